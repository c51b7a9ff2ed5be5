"""Rules about `resend`."""

from __future__ import annotations

from typing import Any

import pytest

from guestlist import errors
from guestlist.address import email_key
from guestlist.models import (
    OPEN_STATES,
    Outcome,
    State,
)
from pytest_guestlist.conformance.base import Rules
from pytest_guestlist.conformance.scene import HOUR, MINUTE, Scene


class Resending(Rules):
    """`resend`."""

    def test_resend_sends_another_mail(self, scene: Scene) -> None:
        """A pending invitation is sent again: one more mail to that person, none to others, and
        the id stays, or the old invitation is named in `replaced`.

        Likely cause: The request is the wrong one (it only extends the invitation), or the returned
        invitation is read from the wrong part of the answer.
        """
        first = self._pending(scene, "ada")
        self._pending(scene, "bob")
        result = scene.guests.resend(scene.address("ada"))
        one = result.guest.invitation
        good = (
            result.outcome is Outcome.RESENT
            and one is not None
            and result.guest.state in OPEN_STATES
            and email_key(one.email) == email_key(scene.address("ada"))
            and (one.id == first.id or result.replaced is not None)
        )
        scene.check(
            good,
            expected=f"resent, {first.id}",
            came=result,
            look_at="resend",
        )
        scene.mailed(scene.address("ada"), 2, "resend")
        scene.mailed(scene.address("bob"), 1, "resend")

    def test_resend_by_the_invitation(self, scene: Scene) -> None:
        """The invitation that `invite` returned can be sent again as it is.

        Likely cause: `resend` uses a field that an invitation made by `invite` does not have.
        """
        one = self._pending(scene, "ada")
        value = scene.run(scene.provider.resend(one)) if self._native(scene) else None
        if value is None:
            pytest.skip("resend is made of revoke and invite here")
        scene.check(
            email_key(value.email) == email_key(one.email) and value.state in OPEN_STATES,
            expected=one,
            came=value,
            look_at="resend",
        )
        scene.mailed(one.email, 2, "resend")

    def test_resend_moves_expiry_as_told(self, scene: Scene) -> None:
        """Where `resend_moves_expiry`, a resend an hour later ends an hour later.

        Likely cause: The service keeps the date: then do not declare `resend_moves_expiry`. Or
        `resend` returns the old record.
        """
        if not scene.provider.resend_moves_expiry:
            pytest.skip("resend_moves_expiry is not claimed")
        self._pending(scene, "ada")
        scene.setting.forward(HOUR)
        first = scene.status("ada").invitation
        result = scene.guests.resend(scene.address("ada"))
        one = result.guest.invitation
        scene.check(
            one is not None
            and first is not None
            and one.expires_at is not None
            and first.expires_at is not None
            and one.expires_at - first.expires_at >= HOUR - MINUTE,
            expected=f"later than {first}",
            came=one,
            look_at="resend resend_moves_expiry",
        )
        found = scene.status("ada").invitation
        scene.check(
            found is not None and one is not None and found.expires_at == one.expires_at,
            expected=one,
            came=found,
            look_at="resend",
        )

    def test_resend_after_expiry_makes_it_usable(self, scene: Scene) -> None:
        """An expired invitation that is sent again can be accepted.

        Likely cause: The service does not renew expired invitations with this call: leave `resend`
        undefined, and guestlist withdraws and invites again.
        """
        self._pending(scene, "ada")
        scene.expire("ada")
        if scene.status("ada").invitation is None:
            pytest.skip("the service does not tell of invitations that have expired")
        result = scene.guests.resend(scene.address("ada"))
        one = result.guest.invitation
        scene.check(
            result.outcome is Outcome.RESENT and result.guest.state is State.PENDING,
            expected="resent, pending",
            came=result,
            look_at="resend",
        )
        scene.accept(one)

    def test_resend_after_acceptance_is_refused(self, scene: Scene) -> None:
        """A person who has accepted gets no email again: Conflict, and nothing is sent.

        Likely cause: The member is not found by the address, so that guestlist takes the person for
        invited.
        """
        self._pending(scene, "x")
        scene.member("ada")
        before = scene.setting.emails(scene.address("ada"))
        scene.forget()
        with scene.refused(errors.Conflict, look_at="find_member members"):
            scene.guests.resend(scene.address("ada"))
        scene.mailed(scene.address("ada"), before, "resend")

    def test_resend_to_nobody(self, scene: Scene) -> None:
        """Somebody who was never invited cannot be sent anything again: NotFound.

        Likely cause: Looking for an address returns the record of somebody else.
        """
        self._pending(scene, "ada")
        with scene.refused(errors.NotFound, look_at="find_invitation invitations"):
            scene.guests.resend(scene.address("nobody"))

    def test_resend_keeps_the_role(self, scene: Scene) -> None:
        """A resend keeps the role of the invitation.

        Likely cause: `resend` or `copy_of` leaves the roles out.
        """
        role = scene.role()
        if role is None:
            pytest.skip("an invitation takes no role here")
        self._pending(scene, "ada")
        one = scene.guests.resend(scene.address("ada")).guest.invitation
        scene.check(
            one is not None and (not one.roles or [held.id for held in one.roles] == [role.id]),
            expected=role,
            came=one,
            look_at="resend copy_of",
        )

    def test_lost_answer_of_resend(self, scene: Scene) -> None:
        """A resend whose answer is lost is settled by looking, or its outcome is unknown: there is
        never a third mail.

        Likely cause: `resend_moves_expiry` is declared, and the date that a look finds afterwards
        has not moved; or the request is marked REPEATABLE and was sent again.
        """
        self._pending(scene, "ada")
        if not self._native(scene):
            pytest.skip("resend is made of revoke and invite here")
        scene.setting.forward(HOUR)
        scene.lose_an_answer()
        try:
            scene.guests.resend(scene.address("ada"))
        except errors.OutcomeUnknown:
            scene.check(
                not scene.provider.resend_moves_expiry,
                expected="settled by the expiry, which resend_moves_expiry says has moved",
                came="OutcomeUnknown",
                look_at="resend get_invitation",
            )
        scene.mailed(scene.address("ada"), 2, "resend")

    def _pending(self, scene: Scene, name: str) -> Any:
        if not scene.provider.supports("resend"):
            scene.needs("revoke")
        return scene.invitation(name)

    def _native(self, scene: Scene) -> bool:
        return scene.provider.supports("resend")
