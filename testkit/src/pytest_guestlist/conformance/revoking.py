"""Rules about `revoke`."""

from __future__ import annotations

from contextlib import suppress

import pytest

from guestlist import errors
from guestlist.errors import GuestlistError
from guestlist.models import Invitation, Outcome, RevokeOutcome, State
from pytest_guestlist.conformance.base import Rules
from pytest_guestlist.conformance.scene import Scene
from pytest_guestlist.conformance.wires import Unheard


class Revoking(Rules):
    """`revoke`."""

    def test_revoke_withdraws(self, scene: Scene) -> None:
        """A revoked invitation is revoked or gone, cannot be accepted, and others stay.

        Likely cause: The call addresses the wrong record, or only hides it.
        """
        scene.needs("revoke")
        one = scene.invitation("ada")
        scene.invitation("bob")
        guest = scene.guests.revoke(scene.address("ada")).guest
        found = scene.status("ada")
        scene.check(
            {guest.state, found.state} <= {State.REVOKED, scene.absent},
            expected="revoked or gone",
            came=f"{guest}, then {found}",
            look_at="revoke",
        )
        scene.stands(scene.address("bob"), State.PENDING, look_at="revoke")
        try:
            scene.setting.accept(one)
        except pytest.skip.Exception:
            raise
        except Exception:
            return  # the service does not let anybody in
        stands = scene.status("ada")
        scene.check(
            stands.state is not State.ACCEPTED,
            expected="nobody can accept it",
            came=stands,
            look_at="revoke",
        )

    def test_revoke_twice(self, scene: Scene) -> None:
        """A second revoke sends nothing and returns `already_revoked`, by address, by the record
        and by its id.

        Likely cause: After the withdrawal the record is reported as open, or `keeps_revoked` does
        not say whether it can still be read by id.
        """
        scene.needs("revoke")
        one = scene.invitation("ada")
        first = scene.guests.revoke(scene.address("ada"))
        scene.check(
            first.outcome is RevokeOutcome.REVOKED and first.invitation is not None,
            expected="revoked, with the invitation",
            came=first,
            look_at="revoke",
        )
        handles: list[str | Invitation] = [scene.address("ada"), one]
        for who in (*handles, one.id) if one.id is not None else handles:
            again = scene.guests.revoke(who)
            scene.check(
                again.outcome is RevokeOutcome.ALREADY_REVOKED,
                expected=f"already_revoked for {who!r}",
                came=again,
                look_at="revoke get_invitation keeps_revoked",
            )

    def test_revoke_after_acceptance_is_refused(self, scene: Scene) -> None:
        """An accepted invitation is not revoked: Conflict with a hint that names `remove`. Nothing
        is sent, and the person stays.

        Likely cause: The member is not found by the address, or the invitation still counts as open
        after acceptance.
        """
        scene.needs("revoke")
        scene.member("ada")
        with scene.refused(errors.Conflict, look_at="find_member members") as caught:
            scene.guests.revoke(scene.address("ada"))
        scene.check(
            "remove" in caught.error.hint,
            expected="a hint that names `remove`",
            came=caught.error.hint,
            look_at="revoke",
        )
        scene.stands(scene.address("ada"), State.ACCEPTED, look_at="revoke")

    def test_revoke_leaves_a_person_who_has_just_accepted(self, scene: Scene) -> None:
        """`Provider.revoke` never removes a member: a person who accepts just before it is called
        stays in. It may raise an error, or do nothing.

        Likely cause: The record of an invitation becomes that of the member, and one request
        deletes both. Read the invitation in `revoke` first, and raise NotFound or Conflict if it is
        not open.
        """
        scene.needs("revoke")
        one = scene.invitation("ada")
        scene.accept(one)
        with suppress(GuestlistError):
            scene.run(scene.provider.revoke(one))
        scene.stands(scene.address("ada"), State.ACCEPTED, look_at="revoke")

    def test_repeated_revoke_leaves_a_person_who_has_just_accepted(self, scene: Scene) -> None:
        """A request of `Provider.revoke` that gets no answer never removes a member when it is sent
        again: a person who accepts in between stays in.

        Likely cause: The record of an invitation becomes that of the member, and one request
        deletes both. Send it with `effect=Effect.CREATE`, so that it is not repeated.
        """
        scene.needs("revoke")
        one = scene.invitation("ada")
        wire = Unheard(scene.wire, scene.changes, lambda: scene.accept(one))
        scene.forget()
        with suppress(GuestlistError):
            scene.run(scene.provider.revoke(one), wire)
        scene.check(wire.lost, expected="a request", came="none", look_at="revoke")
        scene.stands(scene.address("ada"), State.ACCEPTED, look_at="revoke")

    def test_revoke_nobody(self, scene: Scene) -> None:
        """A person who was never invited has nothing to revoke: `already_revoked`, and nothing is
        sent.

        Likely cause: Looking for an address returns the record of somebody else.
        """
        scene.needs("revoke")
        result = scene.guests.revoke(scene.address("nobody"))
        scene.check(
            result.outcome is RevokeOutcome.ALREADY_REVOKED and result.invitation is None,
            expected="already_revoked, without an invitation",
            came=result,
            look_at="find_invitation invitations",
        )

    def test_revoke_of_an_unknown_id_is_not_found(self, scene: Scene) -> None:
        """The service's answer about an invitation that is not there is NotFound, or nothing:
        repeating a revoke whose answer was lost has to succeed.

        Likely cause: `explain` does not turn the service's answer for a record that is not there
        into NotFound.
        """
        scene.needs("revoke")
        one = scene.invitation("ada")
        scene.run(scene.provider.revoke(one))
        try:
            scene.run(scene.provider.revoke(one))
        except GuestlistError as error:
            scene.check(
                isinstance(error, errors.NotFound | errors.Conflict),
                expected="NotFound",
                came=repr(error),
                look_at="revoke explain",
            )

    def test_invite_after_revoke(self, scene: Scene) -> None:
        """A person whose invitation was revoked can be invited again, and gets an email.

        Likely cause: The withdrawn record still counts as open.
        """
        scene.needs("revoke")
        scene.invitation("ada")
        scene.guests.revoke(scene.address("ada"))
        result = scene.invite("ada")
        scene.check(
            result.outcome is Outcome.INVITED and scene.status("ada").state is State.PENDING,
            expected="invited, pending",
            came=result,
            look_at="revoke find_invitation invitations",
        )
        scene.mailed(scene.address("ada"), 2, "invite")
