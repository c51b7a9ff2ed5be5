"""Rules about `revoke`."""

from __future__ import annotations

from contextlib import suppress

import pytest

from guestlist import errors
from guestlist.errors import GuestlistError
from guestlist.models import Invitation, Outcome, RevokeOutcome, State
from pytest_guestlist.conformance.base import ProviderRules
from pytest_guestlist.conformance.harness import Harness
from pytest_guestlist.conformance.wires import LosingWire


class RevokingRules(ProviderRules):
    """Rules about `revoke`."""

    def test_revoke_withdraws(self, harness: Harness) -> None:
        """A revoked invitation is revoked or gone, cannot be accepted, and others stay.

        Likely cause: The call addresses the wrong record, or only hides it.
        """
        harness.require("revoke")
        one = harness.invitation("ada")
        harness.invitation("bob")
        guest = harness.guests.revoke(harness.address("ada")).guest
        found = harness.status("ada")
        harness.check(
            {guest.state, found.state} <= {State.REVOKED, harness.absent_state},
            expected="revoked or gone",
            got=f"{guest}, then {found}",
            look_at="revoke",
        )
        harness.expect_state(harness.address("bob"), State.PENDING, look_at="revoke")
        try:
            harness.backend.accept(one)
        except pytest.skip.Exception:
            raise
        except Exception:
            return  # the service does not let anybody in
        expect_state = harness.status("ada")
        harness.check(
            expect_state.state is not State.ACCEPTED,
            expected="nobody can accept it",
            got=expect_state,
            look_at="revoke",
        )

    def test_revoke_twice(self, harness: Harness) -> None:
        """A second revoke sends nothing and returns `already_revoked`, by address, by the record
        and by its id.

        Likely cause: After the withdrawal the record is reported as open, or `keeps_revoked` does
        not say whether it can still be read by id.
        """
        harness.require("revoke")
        one = harness.invitation("ada")
        first = harness.guests.revoke(harness.address("ada"))
        harness.check(
            first.outcome is RevokeOutcome.REVOKED and first.invitation is not None,
            expected="revoked, with the invitation",
            got=first,
            look_at="revoke",
        )
        handles: list[str | Invitation] = [harness.address("ada"), one]
        for who in (*handles, one.id) if one.id is not None else handles:
            again = harness.guests.revoke(who)
            harness.check(
                again.outcome is RevokeOutcome.ALREADY_REVOKED,
                expected=f"already_revoked for {who!r}",
                got=again,
                look_at="revoke get_invitation keeps_revoked",
            )

    def test_revoke_after_acceptance_is_refused(self, harness: Harness) -> None:
        """An accepted invitation is not revoked: Conflict with a hint that names `remove`. Nothing
        is sent, and the person stays.

        Likely cause: The member is not found by the address, or the invitation still counts as open
        after acceptance.
        """
        harness.require("revoke")
        harness.member("ada")
        with harness.expect_error(errors.Conflict, look_at="find_member members") as caught:
            harness.guests.revoke(harness.address("ada"))
        harness.check(
            "remove" in caught.error.hint,
            expected="a hint that names `remove`",
            got=caught.error.hint,
            look_at="revoke",
        )
        harness.expect_state(harness.address("ada"), State.ACCEPTED, look_at="revoke")

    def test_revoke_leaves_a_person_who_has_just_accepted(self, harness: Harness) -> None:
        """`Provider.revoke` never removes a member: a person who accepts just before it is called
        stays in. It may raise an error, or do nothing.

        Likely cause: The record of an invitation becomes that of the member, and one request
        deletes both. Read the invitation in `revoke` first, and raise NotFound or Conflict if it is
        not open.
        """
        harness.require("revoke")
        one = harness.invitation("ada")
        harness.accept(one)
        with suppress(GuestlistError):
            harness.run(harness.provider.revoke(one))
        harness.expect_state(harness.address("ada"), State.ACCEPTED, look_at="revoke")

    def test_repeated_revoke_leaves_a_person_who_has_just_accepted(self, harness: Harness) -> None:
        """A request of `Provider.revoke` that gets no answer never removes a member when it is sent
        again: a person who accepts in between stays in.

        Likely cause: The record of an invitation becomes that of the member, and one request
        deletes both. Send it with `effect=Effect.CREATE`, so that it is not repeated.
        """
        harness.require("revoke")
        one = harness.invitation("ada")
        wire = LosingWire(harness.wire, harness.is_reading, lambda: harness.accept(one))
        harness.forget()
        with suppress(GuestlistError):
            harness.run(harness.provider.revoke(one), wire)
        harness.check(wire.lost, expected="a request", got="none", look_at="revoke")
        harness.expect_state(harness.address("ada"), State.ACCEPTED, look_at="revoke")

    def test_revoke_nobody(self, harness: Harness) -> None:
        """A person who was never invited has nothing to revoke: `already_revoked`, and nothing is
        sent.

        Likely cause: Looking for an address returns the record of somebody else.
        """
        harness.require("revoke")
        result = harness.guests.revoke(harness.address("nobody"))
        harness.check(
            result.outcome is RevokeOutcome.ALREADY_REVOKED and result.invitation is None,
            expected="already_revoked, without an invitation",
            got=result,
            look_at="find_invitation invitations",
        )

    def test_revoke_of_an_unknown_id_is_not_found(self, harness: Harness) -> None:
        """Revoking an invitation that does not exist raises NotFound or succeeds, because repeating
        a revoke whose answer was lost has to succeed.

        Likely cause: `explain` does not turn the service's answer for a record that is not there
        into NotFound.
        """
        harness.require("revoke")
        one = harness.invitation("ada")
        harness.run(harness.provider.revoke(one))
        try:
            harness.run(harness.provider.revoke(one))
        except GuestlistError as error:
            harness.check(
                isinstance(error, errors.NotFound | errors.Conflict),
                expected="NotFound",
                got=repr(error),
                look_at="revoke explain",
            )

    def test_invite_after_revoke(self, harness: Harness) -> None:
        """A person whose invitation was revoked can be invited again, and gets an email.

        Likely cause: The withdrawn record still counts as open.
        """
        harness.require("revoke")
        harness.invitation("ada")
        harness.guests.revoke(harness.address("ada"))
        result = harness.invite("ada")
        harness.check(
            result.outcome is Outcome.INVITED and harness.status("ada").state is State.PENDING,
            expected="invited, pending",
            got=result,
            look_at="revoke find_invitation invitations",
        )
        harness.expect_emails(harness.address("ada"), 2, "invite")
