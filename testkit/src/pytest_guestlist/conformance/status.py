"""Rules about `status`: every state, and how it is known."""

from __future__ import annotations

from typing import Any

import pytest

from guestlist import errors
from guestlist.address import email_key
from guestlist.models import (
    Basis,
    InviteResult,
    MemberState,
    Outcome,
    State,
)
from pytest_guestlist.conformance.base import ProviderRules
from pytest_guestlist.conformance.harness import MINUTE, Harness


class StatusRules(ProviderRules):
    """Rules about `status`: every state, and its basis."""

    def test_nobody(self, harness: Harness) -> None:
        """The state of an address that the service does not know is gone.

        Likely cause: Looking for an address returns the record of somebody else, or NotFound is not
        caught where absence is an answer.
        """
        found = harness.status("nobody")
        harness.check(
            found.state is harness.absent_state and found.basis is Basis.INFERRED,
            expected=str(harness.absent_state),
            got=found,
            look_at="find_invitation invitations find_member members",
        )

    def test_unknown_id(self, harness: Harness) -> None:
        """An id that the service does not know is NotFound.

        Likely cause: `explain` does not turn the service's answer for an unknown id into NotFound.
        """
        harness.require("get_invitation")
        with harness.expect_error(errors.NotFound, look_at="get_invitation explain"):
            harness.guests.status("00000000-0000-4000-8000-000000000000")

    def test_get_of_an_unknown_id(self, harness: Harness, getting: str) -> None:
        """`get_invitation` and `get_member` of an id that the service does not know are NotFound,
        even if the service reports that with another status.

        Likely cause: `explain` does not turn the service's answer for an unknown id into NotFound,
        or the operation returns a made-up record.
        """
        with harness.expect_error(errors.NotFound, look_at=f"{getting} explain"):
            harness.run(getattr(harness.provider, getting)("00000000-0000-4000-8000-000000000000"))

    def test_pending(self, harness: Harness) -> None:
        """An invited person is pending, by address and by id.

        Likely cause: The service's word for open invitations is missing in the table of states, or
        the operation reads the wrong record.
        """
        one = harness.invitation("ada")
        whos: list[Any] = [harness.address("ada"), one]
        if harness.provider.supports("get_invitation") and one.id is not None:
            whos.append(one.id)
        look_at = "find_invitation invitations get_invitation"
        for who in whos:
            found = harness.expect_state(who, State.PENDING, look_at=look_at)
            harness.check(found.member is None, expected="no member", got=found, look_at=look_at)

    def test_accepted(self, harness: Harness) -> None:
        """A person who has accepted is accepted, with a member record of that address.

        Likely cause: The member's address, name or state is read from the wrong field.
        """
        member = harness.member("ada")
        harness.check(
            harness.key(member) == email_key(harness.address("ada"))
            and member.state is MemberState.ACTIVE
            and bool(member.id)
            and member.name != member.id,
            expected="an active member",
            got=member,
            look_at="find_member members",
        )

    def test_declined(self, harness: Harness) -> None:
        """A person who has declined is declined or gone: never pending, never a member. Where
        members have no addresses, the state is unknown instead of gone.

        Likely cause: The service's word for declined invitations is missing in the table of states.
        """
        one = harness.invitation("ada")
        harness.backend.decline(one)
        declined = (State.DECLINED, harness.absent_state)
        harness.expect_state(
            harness.address("ada"), *declined, look_at="find_invitation invitations"
        )

    def test_expired(self, harness: Harness) -> None:
        """Past its date an invitation is expired or gone, even if the service says pending; a
        minute before, it is pending.

        Likely cause: The expiry is read from the wrong field, or `lifetime` is wrong.
        """
        one = harness.invitation("ada")
        if one.expires_at is None:
            pytest.skip("the expiry of invitations is unknown")
        left = one.expires_at - harness.backend.clock.now()
        harness.backend.forward(left - MINUTE)
        before = harness.status("ada")
        harness.backend.forward(2 * MINUTE)
        after = harness.status("ada")
        harness.check(
            before.state is State.PENDING
            and after.state in (State.EXPIRED, State.GONE, State.UNKNOWN),
            expected="pending, then expired",
            got=f"{before.state}, then {after.state} ({after.basis})",
            look_at="find_invitation invitations lifetime",
        )

    def test_expired_in_the_list(self, harness: Harness) -> None:
        """Past its date an invitation is pending in no list, and not accepted.

        Likely cause: The list's records have no expiry: read it there too, or declare `lifetime`.
        """
        harness.require("invitations")
        harness.invitation("ada")
        harness.expire("ada")
        key = email_key(harness.address("ada"))
        listed = [one.state for one in harness.guests.invitations() if email_key(one.email) == key]
        harness.check(
            not {State.PENDING, State.ACCEPTED} & set(listed),
            expected="expired, unknown, or not listed",
            got=listed,
            look_at="invitations",
        )

    def test_return_after_removal(self, harness: Harness) -> None:
        """A person who was removed, invited again and has accepted is found as a member, even if
        the service keeps the old record. Some services add such a person at once.

        Likely cause: The record from before the removal hides the new one.
        """
        harness.require("remove")
        harness.member("ada")
        harness.guests.remove(harness.address("ada"))
        try:
            result = harness.invite("ada")
        except errors.ServiceRefusal:
            pytest.skip("the service does not let anybody come back")
        if result.outcome is Outcome.JOINED:
            harness.expect_state(harness.address("ada"), State.ACCEPTED, look_at="invite members")
        else:
            harness.accept(result.guest.invitation)

    def test_invite_after_expiry(self, harness: Harness) -> None:
        """A person whose invitation expired can be invited again, gets an email, and can accept.

        Likely cause: The service refuses while the expired invitation exists, and `explain` does
        not turn that into Conflict.
        """
        harness.invitation("ada")
        harness.expire("ada")
        result = harness.invite("ada")
        harness.check(
            result.outcome in (Outcome.INVITED, Outcome.RESENT)
            and result.guest.state is State.PENDING,
            expected="invited, pending",
            got=result,
            look_at="invite explain find_invitation invitations",
        )
        harness.expect_emails(harness.address("ada"), 2, "invite resend")
        harness.accept(result.guest.invitation)

    def test_invite_after_removal(self, harness: Harness) -> None:
        """A person who was removed can be invited again, unless the service refuses.

        Likely cause: A removed member is still listed, or their old invitation counts as accepted.
        """
        harness.require("remove")
        harness.member("ada")
        harness.guests.remove(harness.address("ada"))
        try:
            result: InviteResult | None = harness.invite("ada")
        except errors.ServiceRefusal:
            result = None
        harness.check(
            result is None or result.outcome in (Outcome.INVITED, Outcome.JOINED),
            expected="invited",
            got=result,
            look_at="members find_member remove",
        )
