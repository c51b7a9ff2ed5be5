"""Aitronos, replayed. Its two profiles are the two families of its documentation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.cassettes.scenarios import scenarios

from guestlist import (
    Basis,
    Conflict,
    Forbidden,
    Guestlist,
    MemberState,
    NewInvitation,
    NotFound,
    Outcome,
    Rejected,
    RoleOutcome,
    State,
    Unauthorized,
    UnknownRole,
)
from guestlist_aitronos import Aitronos
from pytest_guestlist.clock import VirtualClock

NOBODY = "inv_00000000000000000000000000000000"


scenario = scenarios("aitronos", "crew", "organizations", invite_reply="profile")


@pytest.fixture
def team(client: Guestlist) -> Guestlist:
    return client.account("aitronos")


@scenario("invite")
def test_invite_resend_revoke(team: Guestlist, guestlist_invitee: str, profile: str) -> None:
    assert team.check()

    result = team.invite(guestlist_invitee, role="Member")
    invitation = result.guest.invitation
    assert (result.outcome, result.email_sent) == (Outcome.INVITED, True)
    assert invitation is not None
    assert invitation.state == State.PENDING
    assert invitation.key is not None
    assert [role.name for role in invitation.roles] == ["Member"]
    # the `organizations` pages show no link in the answer
    assert (invitation.link is not None) is (profile == "crew")

    again = team.invite(guestlist_invitee, role="Member")
    assert (again.outcome, again.role_applied) == (Outcome.ALREADY_INVITED, True)

    assert team.call(Aitronos.validate_key, invitation.key).email == guestlist_invitee
    assert team.resend(guestlist_invitee).outcome == Outcome.RESENT

    guest = team.status(guestlist_invitee)
    assert guest.state == State.PENDING
    assert guest.invitation is not None
    assert guest.invitation.created_at is not None
    assert guest.invitation.id is not None
    assert team.status(guest.invitation.id).email == guest.email

    assert team.revoke(guestlist_invitee).guest.state in (State.REVOKED, State.GONE)
    with pytest.raises(NotFound):
        team.resend(guestlist_invitee)


@scenario("without-mail", live=False)
def test_invite_without_an_email(team: Guestlist, profile: str) -> None:
    result = team.invite("ada@example.com", role="Support", send_email=False)

    assert (result.outcome, result.email_sent, result.role_applied) == (
        Outcome.INVITED,
        False,
        True,
    )


@scenario("accept")
def test_accept_and_change_roles(
    team: Guestlist, guestlist_invitee: str, guestlist_accept: Callable[[str], None], profile: str
) -> None:
    team.invite(guestlist_invitee, role="Member")
    with pytest.raises(Conflict, match="is not a member: pending"):
        team.assign_role(guestlist_invitee, "Admin")

    guestlist_accept(guestlist_invitee)
    guest = team.wait(guestlist_invitee, timeout=3600)
    assert (guest.state, guest.basis) == (State.ACCEPTED, Basis.INFERRED)
    assert [grant.role.name for grant in team.access(guestlist_invitee).grants] == ["Member"]

    assert team.assign_role(guestlist_invitee, "Admin").outcome == RoleOutcome.ASSIGNED
    assert team.assign_role(guestlist_invitee, "admin").outcome == RoleOutcome.ALREADY_ASSIGNED
    assert [grant.role.name for grant in team.access(guestlist_invitee).grants] == ["Admin"]

    member = team.status(guestlist_invitee).member
    assert member is not None
    inactive = team.call(Aitronos.set_status, member, "Inactive")
    assert inactive.state == MemberState.SUSPENDED

    team.remove(guestlist_invitee)
    assert team.status(guestlist_invitee).state == State.GONE
    team.call(Aitronos.restore, member)
    assert team.status(guestlist_invitee).state == State.ACCEPTED
    team.remove(guestlist_invitee)


@scenario("lists", live=False)
def test_lists_of_several_pages(
    team: Guestlist, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    monkeypatch.setattr("guestlist_aitronos.provider.PAGE_SIZE", 2)
    monkeypatch.setattr("guestlist_aitronos.provider.INVITATIONS_PAGE_SIZE", 2)
    people = [f"{name}@example.com" for name in ("ada", "grace", "edsger")]
    for email in people:
        team.invite(email, role="Member")

    assert [one.email for one in team.invitations()] == people
    assert [one.email for one in team.members()] == [
        "olga.owner@works.example", "rita.reader@works.example", "sam.support@works.example",
    ]  # fmt: skip
    assert [role.name for role in team.roles()] == [
        "Owner", "Admin", "Member", "Department Manager", "Knowledge Manager", "Billing Manager",
        "Support",
    ]  # fmt: skip
    with pytest.raises(UnknownRole, match="Support"):
        team.invite("ada@example.com", role="Supprt")


@scenario("bulk", live=False)
def test_resend_in_bulk(team: Guestlist, profile: str) -> None:
    users = []
    for name in ("ada", "grace"):
        invitation = team.invite(f"{name}@example.com", role="Member").guest.invitation
        assert invitation is not None
        users.append(str(invitation.user_id))

    sent = team.call(Aitronos.bulk_resend, [*users, "usr_unknown"])

    assert (sent.sent, sent.failed) == (2, 1)
    assert [failure.id for failure in sent.failures] == ["usr_unknown"]


@scenario("refusals")
def test_refusals(client: Guestlist, guestlist_invitee: str, profile: str) -> None:
    team = client.account("aitronos")

    with pytest.raises(Unauthorized, match="aitronos-wrong:") as unauthorized:
        client.check(account="aitronos-wrong")
    assert (unauthorized.value.status, unauthorized.value.happened) == (401, False)
    with pytest.raises(NotFound, match=NOBODY):
        team.status(NOBODY)
    member = next(role for role in list(team.roles()) if role.name == "Member")
    with pytest.raises(Rejected) as rejected:
        team.call(Aitronos.invite, NewInvitation(email="nobody", roles=(member,)))
    assert rejected.value.status == 422
    assert team.status(guestlist_invitee).state == State.GONE


@scenario("duplicate", live=False)
def test_a_duplicate_is_a_conflict(team: Guestlist, profile: str) -> None:
    member = next(role for role in list(team.roles()) if role.name == "Member")
    new = NewInvitation(email="ada@example.com", roles=(member,))
    team.call(Aitronos.invite, new)

    with pytest.raises(Conflict) as conflict:
        team.call(Aitronos.invite, new)

    assert conflict.value.status == 409


@pytest.mark.guestlist_cassette("aitronos/forbidden", live=False)
def test_a_key_that_may_not_invite(client: Guestlist) -> None:
    reader = client.account("aitronos-reader")

    assert list(reader.members())
    with pytest.raises(Forbidden, match="Admin"):
        reader.invite("ada@example.com", role="Member")


@scenario("expired", live=False)
def test_expired(team: Guestlist, guestlist_clock: VirtualClock, profile: str) -> None:
    team.invite("ada@example.com", role="Member")
    guestlist_clock.advance(timedelta(days=7))

    guest = team.status("ada@example.com")
    assert (guest.state, guest.basis) == (State.EXPIRED, Basis.DERIVED)

    resent = team.resend("ada@example.com")
    assert (resent.outcome, resent.guest.state) == (Outcome.RESENT, State.PENDING)
