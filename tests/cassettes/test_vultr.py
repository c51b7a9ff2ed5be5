"""Vultr, replayed. `C-4` and its like are the rows in which Vultr's sources disagree."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.cassettes.scenarios import scenarios

from guestlist import (
    AlreadyInvited,
    Basis,
    Conflict,
    Forbidden,
    Guestlist,
    MemberState,
    NewInvitation,
    NotFound,
    Outcome,
    Rejected,
    RemoveOutcome,
    RoleOutcome,
    State,
    Unauthorized,
    Unsupported,
)
from guestlist_vultr import Vultr
from pytest_guestlist.clock import VirtualClock

NOBODY = "00000000-0000-4000-8000-000000000000"


scenario = scenarios("vultr", "govultr", "openapi")


@pytest.fixture
def cloud(client: Guestlist) -> Guestlist:
    return client.account("vultr")


@scenario("invite")
def test_invite_and_resend(cloud: Guestlist, guestlist_invitee: str, profile: str) -> None:
    assert cloud.check()

    result = cloud.invite(guestlist_invitee)
    invitation = result.guest.invitation
    assert (result.outcome, result.email_sent) == (Outcome.INVITED, True)
    assert invitation is not None
    assert (invitation.state, invitation.basis) == (State.PENDING, Basis.REPORTED)
    assert invitation.created_at is not None
    assert invitation.expires_at == invitation.created_at + Vultr.lifetime

    again = cloud.invite(guestlist_invitee.upper())
    assert (again.outcome, again.email_sent) == (Outcome.ALREADY_INVITED, False)
    assert again.guest.invitation == invitation
    with pytest.raises(AlreadyInvited, match=str(invitation.id)):
        cloud.invite(guestlist_invitee, if_exists="error")

    resent = cloud.resend(guestlist_invitee)
    assert (resent.outcome, resent.replaced) == (Outcome.RESENT, None)
    assert resent.guest.invitation is not None
    assert resent.guest.invitation.id == invitation.id

    assert cloud.status(guestlist_invitee).state == State.PENDING
    assert invitation.id is not None
    assert cloud.status(invitation.id).email == invitation.email
    with pytest.raises(Unsupported, match="expire"):
        cloud.revoke(guestlist_invitee)


@scenario("accept")
def test_accept_and_grant(
    cloud: Guestlist, guestlist_invitee: str, guestlist_accept: Callable[[str], None], profile: str
) -> None:
    assignable = [role for role in cloud.roles() if not role.not_assignable]
    roles = {role.kind: role for role in reversed(assignable)}  # the first of each kind
    cloud.invite(guestlist_invitee)
    with pytest.raises(Conflict, match="is not a member: pending"):
        cloud.assign_role(guestlist_invitee, roles["group"])

    guestlist_accept(guestlist_invitee)
    guest = cloud.wait(guestlist_invitee, timeout=3600)
    assert guest.state == State.ACCEPTED
    assert guest.member is not None

    nothing = cloud.access(guestlist_invitee)
    assert nothing.effective is False
    assert "No Active Organization" in str(nothing.explanation)

    for role in roles.values():
        assert cloud.assign_role(guestlist_invitee, role).outcome == RoleOutcome.ASSIGNED
        held = [grant.role.id for grant in cloud.access(guestlist_invitee).grants if grant.direct]
        assert role.id in held
        assert cloud.unassign_role(guestlist_invitee, role).outcome == RoleOutcome.UNASSIGNED

    cloud.call(Vultr.suspend, guest.member)
    suspended = cloud.call(Vultr.suspended)
    assert [(one.id, one.state) for one in suspended.items] == [
        (guest.member.id, MemberState.SUSPENDED)
    ]
    cloud.call(Vultr.unsuspend, guest.member)

    cloud.remove(guestlist_invitee)
    assert cloud.remove(guestlist_invitee).outcome is RemoveOutcome.ALREADY_REMOVED


@scenario("lists", live=False)
def test_lists_of_several_pages(
    cloud: Guestlist, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    monkeypatch.setattr("guestlist_vultr.provider.PAGE_SIZE", 2)
    people = [f"{name}@example.com" for name in ("ada", "grace", "edsger")]
    for email in people:
        cloud.invite(email)

    assert [one.email for one in cloud.invitations()] == people
    assert list(cloud.invitations(state="accepted")) == []
    assert [one.email for one in cloud.members()] == [
        "ines@example.org", "lena@example.org", "omar@example.org",
    ]  # fmt: skip
    assert [role.label for role in cloud.roles()] == [
        "group:Engineering", "group:Support",
        "Support Engineer", "Billing Viewer", "Support", "Incident Response",
        "policy:Administrator Access", "policy:Ticket Handling", "policy:Invoice Reading",
        "policy:Compute",
    ]  # fmt: skip


@scenario("access", live=False)
def test_access_through_groups_and_roles(cloud: Guestlist, profile: str) -> None:
    grants = cloud.access("omar@example.org").grants

    assert {grant.role.label for grant in grants if grant.direct} >= {
        "group:Support",
        "Billing Viewer",
    }
    assert "policy:Ticket Handling" in {grant.role.label for grant in grants}
    inherited = {grant.role.label for grant in grants if not grant.direct}
    # the OpenAPI document's form does not say what is inherited
    assert inherited == (
        {"Support Engineer", "policy:Ticket Handling", "policy:Invoice Reading"}
        if profile == "govultr"
        else set()
    )


@scenario("refusals")
def test_refusals(client: Guestlist, guestlist_invitee: str, profile: str) -> None:
    cloud = client.account("vultr")

    with pytest.raises(Unauthorized, match="vultr-wrong:") as unauthorized:
        client.check(account="vultr-wrong")
    assert (unauthorized.value.status, unauthorized.value.happened) == (401, False)
    with pytest.raises(NotFound, match=NOBODY):
        cloud.status(NOBODY)
    with pytest.raises(Rejected):
        cloud.call(Vultr.invite, NewInvitation(email="nobody"))
    assert cloud.status(guestlist_invitee).state == State.GONE


@scenario("duplicate", live=False, duplicates="refuse")
def test_a_duplicate_is_a_conflict(cloud: Guestlist, profile: str) -> None:
    cloud.invite("ada@example.com")

    with pytest.raises(Conflict, match="already") as conflict:
        cloud.call(Vultr.invite, NewInvitation(email="ada@example.com"))

    assert conflict.value.status == 400


@pytest.mark.guestlist_cassette("vultr/forbidden", live=False)
def test_a_key_that_may_only_read(client: Guestlist) -> None:
    reader = client.account("vultr-reader")

    assert list(reader.members())
    with pytest.raises(Forbidden, match=r"iam\.invitation"):
        reader.invite("ada@example.com")


@pytest.mark.parametrize(
    ("raw_state", "basis"),
    [
        pytest.param(
            "Pending",
            Basis.DERIVED,
            marks=pytest.mark.guestlist_cassette("vultr/expired", live=False),
        ),
        pytest.param(
            "Expired",
            Basis.REPORTED,
            marks=pytest.mark.guestlist_cassette(
                "vultr/expired.reported", switches={"vultr": {"expired": "expired"}}
            ),
        ),
    ],
)
def test_expired(
    cloud: Guestlist, guestlist_clock: VirtualClock, raw_state: str, basis: Basis
) -> None:
    before = cloud.invite("ada@example.com").guest
    guestlist_clock.advance(timedelta(days=3))

    guest = cloud.status("ada@example.com")
    assert (guest.state, guest.raw_state, guest.basis) == (State.EXPIRED, raw_state, basis)
    assert [one.email for one in cloud.invitations(state="expired")] == ["ada@example.com"]

    resent = cloud.resend("ada@example.com")
    assert resent.outcome == Outcome.RESENT
    assert resent.guest.state == State.PENDING
    # an invitation that Vultr itself calls expired is made anew
    assert (resent.replaced is not None) is (raw_state == "Expired")
    assert before.invitation is not None
    assert cloud.invite("ada@example.com").outcome == Outcome.ALREADY_INVITED
