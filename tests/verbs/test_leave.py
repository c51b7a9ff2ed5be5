"""`revoke` withdraws an invitation, `remove` takes a member out, and neither does the other's."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any

import pytest
from tests.hall import Hall, HallService

from guestlist import (
    Conflict,
    Forbidden,
    InvalidArgument,
    NotFound,
    RemoveOutcome,
    RevokeOutcome,
    State,
    Unsupported,
)
from guestlist.exchange.step import Outgoing
from guestlist.models import Member
from pytest_guestlist.conformance.backend import SandboxBackend
from pytest_guestlist.conformance.harness import Harness

ADA = "ada@example.com"
on_vultr = pytest.mark.parametrize("case", ["vultr"], indirect=True)
on_aitronos = pytest.mark.parametrize("case", ["aitronos"], indirect=True)


# ---------------------------------------------------------------------------- revoke


@on_aitronos
@pytest.mark.parametrize("how", ["address", "id", "invitation", "guest"])
def test_an_open_invitation_is_withdrawn(guests: Any, how: str) -> None:
    guest = guests.invite(ADA).guest
    who = {
        "address": ADA.upper(),
        "id": guest.invitation.id,
        "invitation": guest.invitation,
        "guest": guest,
    }[how]
    result = guests.revoke(who)
    assert result.outcome is RevokeOutcome.REVOKED
    assert result.invitation.id == guest.invitation.id
    assert result.invitation.state is State.REVOKED
    assert result.guest.state in (State.REVOKED, State.GONE)
    assert guests.invitations_of(ADA)[0]["state"] == "revoked"
    with pytest.raises(Exception, match="the invitation is revoked"):
        guests.accept(ADA)


@on_aitronos
def test_an_expired_invitation_is_withdrawn_too(guests: Any) -> None:
    guests.invite(ADA)
    guests.later(days=8)
    assert guests.revoke(ADA).guest.state in (State.REVOKED, State.GONE)


@on_aitronos
def test_an_accepted_invitation_is_not_revoked(guests: Any) -> None:
    guest = guests.invite(ADA).guest
    guests.accept(ADA)
    guests.forget()
    for who in (ADA, guest, guest.invitation):
        with pytest.raises(Conflict, match="is a member without an open") as caught:
            guests.revoke(who)
        assert "remove" in caught.value.hint
    assert guests.writes == []
    assert guests.is_member(ADA)


@on_aitronos
def test_nothing_to_revoke(guests: Any) -> None:
    never = guests.revoke(ADA)
    assert (never.outcome, never.invitation) == (RevokeOutcome.ALREADY_REVOKED, None)
    assert never.warnings == ("The service has no invitation of ada@example.com.",)
    guest = guests.invite(ADA).guest
    guests.revoke(ADA)
    guests.forget()
    for who in (ADA, guest, guest.invitation, guest.invitation.id):
        assert guests.revoke(who).outcome is RevokeOutcome.ALREADY_REVOKED
    assert guests.writes == []


@on_aitronos
def test_an_id_that_the_service_does_not_have_counts_as_revoked(guests: Any) -> None:
    """Aitronos forgets revoked invitations, so it may have been one."""
    result = guests.revoke("usr_nobody")
    assert (result.outcome, result.guest.email) == (RevokeOutcome.ALREADY_REVOKED, None)
    assert "usr_nobody" in result.warnings[0]


@pytest.mark.parametrize("case", ["betterauth"], indirect=True)
def test_the_open_invitation_of_a_member_is_withdrawn(guests: Any) -> None:
    guests.invite(ADA)
    organization = guests.service.organization
    organization.add_member(ADA, roles=[organization.role_named("member")])
    result = guests.revoke(ADA)
    assert (result.outcome, result.guest.state) == (RevokeOutcome.REVOKED, State.ACCEPTED)
    assert result.invitation.state is State.REVOKED
    assert guests.is_member(ADA)
    with pytest.raises(Conflict, match="is a member without an open invitation"):
        guests.revoke(ADA)


@pytest.mark.parametrize("case", ["betterauth"], indirect=True)
def test_an_id_is_unknown_if_the_service_keeps_revoked_invitations(guests: Any) -> None:
    with pytest.raises(NotFound, match="there is no invitation or member with the id 'nope'"):
        guests.revoke("nope")


def revoke(harness: Harness, kind: str) -> None:
    if kind == "sync":
        harness.guests.revoke(harness.address("ada"))
    else:
        asyncio.run(harness.async_client().revoke(harness.address("ada")))


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_acceptance_between_the_lookups_of_revoke_is_a_conflict(kind: str) -> None:
    behavior = {"accepted": "vanish", "revoked": "vanish"}
    harness = Harness(SandboxBackend(HallService, Hall, **behavior))
    with closing(harness):
        one = harness.invitation("ada")
        read: list[Outgoing] = []

        def accept(outgoing: Outgoing, answer: Any) -> Any:
            if "/invitations" in outgoing.url and not read:
                read.append(outgoing)
                harness.backend.accept(one)
            return answer

        harness.wire.after = accept
        harness.forget()
        with pytest.raises(Conflict, match="is a member without an open invitation") as caught:
            revoke(harness, kind)
        assert "remove" in caught.value.hint
        assert caught.value.happened is False
        assert harness.status("ada").state is State.ACCEPTED


@on_vultr
@pytest.mark.parametrize("who", [ADA, "00000000-0000-4000-8000-000000000000"])
def test_what_cannot_be_revoked(guests: Any, who: str) -> None:
    guests.invite(ADA)
    guests.forget()
    with pytest.raises(Unsupported, match="home: Vultr IAM offers no way to revoke") as caught:
        guests.revoke(who)
    assert "Let it expire" in caught.value.hint
    assert guests.requests == []


# ---------------------------------------------------------------------------- remove


@pytest.mark.parametrize("how", ["address", "id", "member", "guest"])
def test_a_member_is_taken_out(guests: Any, how: str) -> None:
    guests.invite(ADA)
    guests.accept(ADA)
    guest = guests.status(ADA)
    who = {"address": ADA, "id": guest.member.id, "member": guest.member, "guest": guest}[how]
    result = guests.remove(who)
    assert (result.outcome, result.guest.state) == (RemoveOutcome.REMOVED, State.GONE)
    assert not guests.is_member(ADA)
    assert guests.is_member(guests.case.member)
    assert [event.detail for event in guests.events if event.name == "outcome"][-1] == "removed"


def test_who_is_only_invited_is_not_removed(guests: Any) -> None:
    guests.invite(ADA)
    guests.forget()
    with pytest.raises(Conflict, match="is invited and not a member yet") as caught:
        guests.remove(ADA)
    assert "revoke" in caught.value.hint
    assert guests.writes == []
    assert guests.status(ADA).state is State.PENDING


def test_nobody_to_remove(guests: Any) -> None:
    assert guests.remove(ADA).outcome is RemoveOutcome.ALREADY_REMOVED
    guests.invite(ADA)
    guests.accept(ADA)
    member = guests.status(ADA).member
    guests.remove(ADA)
    guests.forget()
    for who in (ADA, member, member.id):
        result = guests.remove(who)
        assert (result.outcome, result.guest.state) == (RemoveOutcome.ALREADY_REMOVED, State.GONE)
    assert guests.writes == []


def test_nobody_is_removed_in_place_of_a_record_without_an_address(guests: Any) -> None:
    with pytest.raises(InvalidArgument, match="no email address"):
        guests.remove(Member(id="m1", email=""))
    assert guests.requests == []


@on_vultr
def test_an_invitation_that_cannot_be_withdrawn_is_an_error(guests: Any) -> None:
    """Vultr cannot withdraw it, so the person might come back."""
    guests.service.organization.invite(guests.case.member, send=False, api_enabled=False)
    with pytest.raises(Conflict, match="was removed, but an invitation is still open") as caught:
        guests.remove(guests.case.member)
    assert caught.value.happened
    assert not guests.is_member(guests.case.member)
    assert guests.status(guests.case.member).state is State.PENDING


@on_aitronos
def test_the_owner_stays(guests: Any) -> None:
    owner = "olga.owner@works.example"
    for refusal in ("validation", "forbidden"):
        guests.service.configure(owner_refusal=refusal)
        with pytest.raises(Exception, match="home: ") as caught:
            guests.remove(owner)
        assert getattr(caught.value, "happened", None) is False
    assert guests.is_member(owner)


def test_a_key_that_may_only_read(make: Any, case: Any, sandbox: Any) -> None:
    settings = sandbox.services[case.name].read_only_settings
    guests = make(settings={"api_key": settings["api_key"]})
    with pytest.raises(Forbidden, match="home: "):
        guests.remove(case.member)
    assert guests.is_member(case.member)
