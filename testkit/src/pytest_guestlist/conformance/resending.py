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
from pytest_guestlist.conformance.base import ProviderRules
from pytest_guestlist.conformance.harness import HOUR, MINUTE, Harness


class ResendingRules(ProviderRules):
    """Rules about `resend`."""

    def test_resend_sends_another_mail(self, harness: Harness) -> None:
        """A pending invitation is sent again: one more email to that person, none to others, and
        the id stays, or the old invitation is named in `replaced`.

        Likely cause: The request is the wrong one (it only extends the invitation), or the returned
        invitation is read from the wrong part of the answer.
        """
        first = self._pending(harness, "ada")
        self._pending(harness, "bob")
        result = harness.guests.resend(harness.address("ada"))
        one = result.guest.invitation
        good = (
            result.outcome is Outcome.RESENT
            and one is not None
            and result.guest.state in OPEN_STATES
            and email_key(one.email) == email_key(harness.address("ada"))
            and (one.id == first.id or result.replaced is not None)
        )
        harness.check(
            good,
            expected=f"resent, {first.id}",
            got=result,
            look_at="resend",
        )
        harness.expect_emails(harness.address("ada"), 2, "resend")
        harness.expect_emails(harness.address("bob"), 1, "resend")

    def test_resend_by_the_invitation(self, harness: Harness) -> None:
        """The invitation that `invite` returned can be sent again as it is.

        Likely cause: `resend` uses a field that an invitation made by `invite` does not have.
        """
        one = self._pending(harness, "ada")
        value = harness.run(harness.provider.resend(one)) if self._native(harness) else None
        if value is None:
            pytest.skip("resend is made of revoke and invite here")
        harness.check(
            email_key(value.email) == email_key(one.email) and value.state in OPEN_STATES,
            expected=one,
            got=value,
            look_at="resend",
        )
        harness.expect_emails(one.email, 2, "resend")

    def test_resend_moves_expiry_as_told(self, harness: Harness) -> None:
        """With `resend_moves_expiry`, a resend an hour later moves the expiry by an hour.

        Likely cause: The service keeps the date: then do not declare `resend_moves_expiry`. Or
        `resend` returns the old record.
        """
        if not harness.provider.resend_moves_expiry:
            pytest.skip("resend_moves_expiry is not claimed")
        self._pending(harness, "ada")
        harness.backend.forward(HOUR)
        first = harness.status("ada").invitation
        result = harness.guests.resend(harness.address("ada"))
        one = result.guest.invitation
        harness.check(
            one is not None
            and first is not None
            and one.expires_at is not None
            and first.expires_at is not None
            and one.expires_at - first.expires_at >= HOUR - MINUTE,
            expected=f"later than {first}",
            got=one,
            look_at="resend resend_moves_expiry",
        )
        found = harness.status("ada").invitation
        harness.check(
            found is not None and one is not None and found.expires_at == one.expires_at,
            expected=one,
            got=found,
            look_at="resend",
        )

    def test_resend_after_expiry_makes_it_usable(self, harness: Harness) -> None:
        """An expired invitation that is sent again can be accepted.

        Likely cause: The service does not renew expired invitations with this call: leave `resend`
        undefined, and guestlist withdraws and invites again. If it does renew them, and the record
        keeps its first date, leave `lifetime` undefined.
        """
        self._pending(harness, "ada")
        harness.expire("ada")
        if harness.status("ada").invitation is None:
            pytest.skip("the service does not list expired invitations")
        result = harness.guests.resend(harness.address("ada"))
        one = result.guest.invitation
        harness.check(
            result.outcome is Outcome.RESENT and result.guest.state is State.PENDING,
            expected="resent, pending",
            got=result,
            look_at="resend",
        )
        harness.accept(one)

    def test_resend_after_acceptance_is_refused(self, harness: Harness) -> None:
        """A person who has accepted gets no email again: Conflict, and nothing is sent.

        Likely cause: The member is not found by the address, so that guestlist takes the person for
        invited.
        """
        self._pending(harness, "x")
        harness.member("ada")
        before = harness.backend.emails(harness.address("ada"))
        harness.forget()
        with harness.expect_error(errors.Conflict, look_at="find_member members"):
            harness.guests.resend(harness.address("ada"))
        harness.expect_emails(harness.address("ada"), before, "resend")

    def test_resend_to_nobody(self, harness: Harness) -> None:
        """Somebody who was never invited cannot be sent anything again: NotFound.

        Likely cause: Looking for an address returns the record of somebody else.
        """
        self._pending(harness, "ada")
        with harness.expect_error(errors.NotFound, look_at="find_invitation invitations"):
            harness.guests.resend(harness.address("nobody"))

    def test_resend_keeps_the_role(self, harness: Harness) -> None:
        """A resend keeps the role of the invitation.

        Likely cause: `resend` or `copy_of` leaves the roles out; or the service gives a default
        role, and `role` of the suite's class is not its name.
        """
        role = harness.role()
        if role is None:
            pytest.skip("an invitation takes no role here")
        self._pending(harness, "ada")
        one = harness.guests.resend(harness.address("ada")).guest.invitation
        harness.check(
            one is not None and (not one.roles or [held.id for held in one.roles] == [role.id]),
            expected=role,
            got=one,
            look_at="resend copy_of",
        )

    def test_lost_answer_of_resend(self, harness: Harness) -> None:
        """A resend whose answer is lost is settled by looking, or its outcome is unknown: there is
        never a third email.

        Likely cause: `resend_moves_expiry` is declared, and the date that a lookup finds afterwards
        has not moved; or the request is marked REPEATABLE and was sent again.
        """
        self._pending(harness, "ada")
        if not self._native(harness):
            pytest.skip("resend is made of revoke and invite here")
        harness.backend.forward(HOUR)
        harness.lose_next_answer()
        try:
            harness.guests.resend(harness.address("ada"))
        except errors.OutcomeUnknown:
            harness.check(
                not harness.provider.resend_moves_expiry,
                expected="settled by the expiry, which resend_moves_expiry says has moved",
                got="OutcomeUnknown",
                look_at="resend get_invitation",
            )
        harness.expect_emails(harness.address("ada"), 2, "resend")

    def _pending(self, harness: Harness, name: str) -> Any:
        if not harness.provider.supports("resend"):
            harness.require("revoke")
        return harness.invitation(name)

    def _native(self, harness: Harness) -> bool:
        return harness.provider.supports("resend")
