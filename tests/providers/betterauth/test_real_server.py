"""guestlist on the real better-auth: every hostile fact, through the public client."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from guestlist import Guestlist
from guestlist.errors import (
    AlreadyInvited,
    AlreadyMember,
    Conflict,
    Forbidden,
    InvalidArgument,
    MalformedResponse,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
    UnknownRole,
)
from guestlist.models import Basis, Outcome, RemoveOutcome, RevokeOutcome, RoleOutcome, State
from guestlist_betterauth import BetterAuth, provider

if TYPE_CHECKING:
    from tests.providers.betterauth.conftest import Caller, Organization, RealServer

Attempts = tuple[Callable[[], object], ...]
ADA = "Ada@Example.com"
KEY = "ada@example.com"


def joined(
    guests: Caller, organization: Organization, email: str = ADA, role: str = "member"
) -> None:
    organization.accept(guests.invite(email, role=role).guest.invitation.id)


# ---------------------------------------------------------------------------- inviting


def test_check_tells_the_organization(guests: Caller, organization: Organization) -> None:
    assert guests.check() == organization.name


def test_an_invitation_is_mailed_with_its_id(guests: Caller, organization: Organization) -> None:
    before = len(organization.mails_to(KEY))
    result = guests.invite(ADA, role=["admin", "member"])

    invitation = result.guest.invitation
    assert (result.outcome, result.email_sent, result.role_applied) == (Outcome.INVITED, True, True)
    assert (invitation.email, invitation.state) == (KEY, State.PENDING)
    assert [role.id for role in invitation.roles] == ["admin", "member"]
    assert organization.records(KEY)[0]["role"] == "admin,member"
    left = invitation.expires_at - datetime.now(UTC)
    assert timedelta(hours=47) < left <= provider.BetterAuth.lifetime
    emails = organization.mails_to(KEY)[before:]
    assert [str(mail.get_payload()).strip().rpartition("/")[2] for mail in emails] == [
        invitation.id
    ]


def test_inviting_twice_sends_once(guests: Caller, organization: Organization) -> None:
    first = guests.invite(ADA, role="member").guest.invitation
    emails = len(organization.mails_to(KEY))
    again = guests.invite("ADA@example.com", role="member")

    assert (again.outcome, again.guest.invitation) == (Outcome.ALREADY_INVITED, first)
    assert len(organization.mails_to(KEY)) == emails
    with pytest.raises(AlreadyInvited):
        guests.invite(ADA, role="member", if_exists="error")


def test_simultaneous_invitations_make_one(server: RealServer, organization: Organization) -> None:
    before = len(organization.mails_to(KEY))

    def invite(_: int) -> Outcome:
        with Guestlist({"auth": organization.provider()}) as alone:
            return alone.invite(ADA, role="member").outcome

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(invite, range(4)))
    assert outcomes == [Outcome.ALREADY_INVITED] * 3 + [Outcome.INVITED]
    assert len(organization.mails_to(KEY)) == before + 1


def test_an_invitation_without_a_role_is_not_sent(
    guests: Caller, organization: Organization
) -> None:
    # the server would take an empty list, and make somebody a member who may do nothing
    with pytest.raises(InvalidArgument, match="needs a role"):
        guests.invite(ADA)
    assert organization.records(KEY) == []


def test_an_unknown_role_is_told_apart(
    connect: Callable[[BetterAuth], Caller], organization: Organization
) -> None:
    with pytest.raises(UnknownRole, match="boss"):
        connect(organization.provider()).invite(ADA, role="boss")
    configured = connect(organization.provider(role_names=("member", "boss")))
    with pytest.raises(Rejected, match="boss") as refused:
        configured.invite(ADA, role="boss")
    assert (refused.value.status, refused.value.code) == (400, None)
    assert "role_names" in refused.value.hint


# ---------------------------------------------------------------------------- resending


def test_resend_keeps_the_id_and_ignores_another_role(
    guests: Caller, organization: Organization
) -> None:
    first = guests.invite(ADA, role="member").guest.invitation
    again = guests.invite(ADA, role="admin", if_exists="resend")

    renewed = again.guest.invitation
    assert (again.outcome, renewed.id, again.replaced) == (Outcome.RESENT, first.id, None)
    assert renewed.expires_at > first.expires_at
    assert again.role_applied is False
    assert again.warnings
    assert [role.id for role in renewed.roles] == ["member"]


def test_resend_after_expiry_makes_a_new_one(guests: Caller, organization: Organization) -> None:
    old = guests.invite(ADA, role="member").guest.invitation
    organization.expire(old.id)
    result = guests.resend(ADA)

    new = result.guest.invitation
    assert (result.outcome, result.replaced.id) == (Outcome.RESENT, old.id)
    assert new.id != old.id
    assert new.roles == old.roles
    # the old record stays pending for ever, and does not stand in the way of the new one
    assert [one["status"] for one in organization.records(KEY)] == ["pending", "pending"]
    assert guests.status(ADA).invitation.id == new.id
    organization.accept(new.id)
    assert guests.status(ADA).state is State.ACCEPTED


def test_the_old_record_does_not_shadow_the_end_of_the_new_one(
    guests: Caller, organization: Organization
) -> None:
    old = guests.invite(ADA, role="member").guest.invitation
    organization.expire(old.id)
    new = guests.resend(ADA).guest.invitation
    guests.revoke(ADA)

    assert guests.status(ADA).state is State.REVOKED
    assert guests.status(ADA).invitation.id == new.id
    states = {one.id: one.state for one in guests.invitations()}
    assert states == {old.id: State.EXPIRED, new.id: State.REVOKED}


# ---------------------------------------------------------------------------- where one stands


def test_expiry_is_derived(guests: Caller, organization: Organization) -> None:
    invitation = guests.invite(ADA, role="member").guest.invitation
    organization.expire(invitation.id)

    guest = guests.status(invitation.id)
    assert (guest.state, guest.basis, guest.raw_state) == (State.EXPIRED, Basis.DERIVED, "pending")
    refused = organization.respond("accept", invitation.id)
    assert (refused.status_code, refused.json()["code"]) == (400, "INVITATION_NOT_FOUND")
    assert guests.invite(ADA, role="member").outcome is Outcome.INVITED


def test_acceptance(guests: Caller, organization: Organization) -> None:
    joined(guests, organization, role="admin")

    guest = guests.status(ADA)
    assert (guest.state, guest.basis) == (State.ACCEPTED, Basis.REPORTED)
    assert [role.id for role in guest.member.roles] == ["admin"]
    assert guests.status(guest.member.id).email == KEY
    assert guests.invite(ADA, role="admin").outcome is Outcome.ALREADY_MEMBER
    with pytest.raises(AlreadyMember):
        guests.invite(ADA, role="admin", if_exists="error")
    assert [grant.role.id for grant in guests.access(ADA).grants] == ["admin"]


def test_only_the_invitee_accepts(guests: Caller, organization: Organization) -> None:
    invitation = guests.invite(ADA, role="member").guest.invitation
    refused = organization.respond("accept", invitation.id, organization.owner)

    code = "YOU_ARE_NOT_THE_RECIPIENT_OF_THE_INVITATION"
    assert (refused.status_code, refused.json()["code"]) == (403, code)
    assert guests.status(ADA).state is State.PENDING


def test_declining(guests: Caller, organization: Organization) -> None:
    organization.decline(guests.invite(ADA, role="member").guest.invitation.id)

    assert guests.status(ADA).state is State.DECLINED
    assert guests.invite(ADA, role="member").outcome is Outcome.INVITED


def test_nobody_knows_a_stranger(guests: Caller) -> None:
    assert guests.status("nobody@example.com").state is State.GONE
    with pytest.raises(NotFound):
        guests.status("no-such-id")


# ---------------------------------------------------------------------------- revoking


def test_revoking_twice(guests: Caller) -> None:
    invitation = guests.invite(ADA, role="member").guest.invitation

    assert guests.revoke(ADA).guest.state is State.REVOKED
    assert guests.revoke(invitation.id).guest.state is State.REVOKED
    guests.call(BetterAuth.revoke, invitation)
    assert guests.invite(ADA, role="member").outcome is Outcome.INVITED


def test_an_accepted_invitation_is_not_cancelled(
    guests: Caller, organization: Organization
) -> None:
    joined(guests, organization)
    invitation = guests.status(ADA).invitation

    with pytest.raises(Conflict, match="is a member"):
        guests.revoke(ADA)
    assert organization.records(KEY)[0]["status"] == "accepted"
    # what the server would have done: the record says canceled, and the person stays
    guests.call(BetterAuth.revoke, invitation)
    assert organization.records(KEY)[0]["status"] == "canceled"
    assert guests.status(ADA).state is State.ACCEPTED


def test_revoking_what_is_not_there(guests: Caller) -> None:
    gone = guests.invite(ADA, role="member").guest.invitation.model_copy(update={"id": "nope"})
    with pytest.raises(NotFound) as missing:
        guests.call(BetterAuth.revoke, gone)
    assert (missing.value.status, missing.value.code) == (400, "INVITATION_NOT_FOUND")
    with pytest.raises(NotFound):
        guests.revoke("nope")  # the server keeps canceled invitations, so it never existed
    nobody = guests.revoke("nobody@example.com")
    assert (nobody.outcome, nobody.invitation) == (RevokeOutcome.ALREADY_REVOKED, None)


# ---------------------------------------------------------------------------- members and roles


def test_members_come_page_by_page(
    guests: Caller, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [f"{name}@example.com" for name in ("ada", "bo", "cy", "di")]
    for email in people:
        joined(guests, organization, email)
    for size in (1, 2, 5, 6):
        monkeypatch.setattr(provider, "PAGE_SIZE", size)
        assert [one.email for one in guests.members()] == [organization.owner, *people]


def test_several_roles(guests: Caller, organization: Organization) -> None:
    joined(guests, organization)

    given = guests.assign_role(ADA, "admin")
    assert given.outcome is RoleOutcome.ASSIGNED
    assert [role.id for role in given.guest.member.roles] == ["member", "admin"]
    assert guests.assign_role(ADA, "Admin").outcome is RoleOutcome.ALREADY_ASSIGNED
    assert guests.unassign_role(ADA, "member").outcome is RoleOutcome.UNASSIGNED
    assert guests.unassign_role(ADA, "member").outcome is RoleOutcome.NOT_ASSIGNED
    with pytest.raises(Conflict, match="only role"):
        guests.unassign_role(ADA, "admin")
    assert [role.id for role in guests.status(ADA).member.roles] == ["admin"]
    assert [role.id for role in guests.roles()] == ["owner", "admin", "member"]


def test_the_last_owner_stays(guests: Caller, organization: Organization) -> None:
    guests.assign_role(organization.owner, "member")
    with pytest.raises(Conflict, match="without an owner"):
        guests.unassign_role(organization.owner, "owner")
    with pytest.raises(Conflict, match="only owner"):
        guests.remove(organization.owner)
    assert guests.status(organization.owner).state is State.ACCEPTED


def test_removing(guests: Caller, organization: Organization) -> None:
    joined(guests, organization)
    member = guests.status(ADA).member

    assert (
        guests.remove(ADA).guest.state is State.GONE
    )  # although the record says accepted for ever
    assert guests.remove(ADA).outcome is RemoveOutcome.ALREADY_REMOVED
    with pytest.raises(NotFound) as missing:
        guests.call(BetterAuth.remove, member)
    assert missing.value.code == "MEMBER_NOT_FOUND"
    assert guests.invite(ADA, role="member").outcome is Outcome.INVITED


# ---------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("token", ["nonsense", "non.sense"])
def test_a_wrong_token(
    connect: Callable[[BetterAuth], Caller], organization: Organization, token: str
) -> None:
    guests = connect(organization.provider(token=token))
    attempts: Attempts = (
        guests.check,
        lambda: guests.invite(ADA, role="member"),
        guests.members,
    )
    for attempt in attempts:
        with pytest.raises(Unauthorized) as refused:
            attempt()
        assert token not in str(refused.value)
    assert organization.records(KEY) == []


def test_a_member_s_token(
    connect: Callable[[BetterAuth], Caller], guests: Caller, organization: Organization
) -> None:
    joined(guests, organization)
    joined(guests, organization, "bo@example.com")
    guests.invite("cy@example.com", role="member")
    limited = connect(organization.provider(token=organization.server.token_of(KEY)))

    assert limited.status("cy@example.com").state is State.PENDING
    attempts: Attempts = (
        lambda: limited.invite("di@example.com", role="member"),
        lambda: limited.revoke("cy@example.com"),
        lambda: limited.remove("bo@example.com"),  # the server answers 401
        lambda: limited.assign_role("bo@example.com", "admin"),
        limited.check,  # the server says that this member may not invite
    )
    for attempt in attempts:
        with pytest.raises(Forbidden):
            attempt()
    assert guests.status("bo@example.com").state is State.ACCEPTED


def test_an_organization_that_the_token_does_not_reach(
    connect: Callable[[BetterAuth], Caller], organization: Organization
) -> None:
    lost = connect(organization.provider(organization_id="nope"))
    with pytest.raises(NotFound, match="nope") as missing:
        lost.check()
    assert organization.name in missing.value.hint
    with pytest.raises(NotFound) as missing:
        lost.invite(ADA, role="member")
    assert "organization_id" in missing.value.hint
    with pytest.raises(Forbidden):
        lost.members()


def test_a_base_url_without_the_mount_path(
    connect: Callable[[BetterAuth], Caller], organization: Organization
) -> None:
    origin = organization.server.url.removesuffix("/api/auth")
    with pytest.raises(NotFound) as missing:
        connect(organization.provider(base_url=origin)).check()
    assert "base_url" in missing.value.hint


def test_a_list_that_is_cut_off(guests: Caller, organization: Organization) -> None:
    copy = (
        "insert into invitation select ?, organizationId, ?, role, 'canceled', expiresAt,"
        " createdAt, inviterId from invitation where id = ?"
    )
    first = guests.invite("first@example.com", role="member").guest.invitation.id
    for number in range(98):
        organization.server.execute(copy, f"{first}-{number}", f"{number}@example.com", first)
    assert len(guests.invitations()) == 99

    guests.invite(ADA, role="member")
    # the hundredth may be the last of a hundred or of a thousand: the server does not tell
    attempts: Attempts = (guests.invitations, lambda: guests.status("nobody@example.com"))
    for attempt in attempts:
        with pytest.raises(MalformedResponse, match="returns only a part of its list") as doubt:
            attempt()
        assert "defaultFindManyLimit" in doubt.value.hint
    assert guests.status(ADA).state is State.PENDING  # who is listed is found
    # inviting needs no list, and the server itself refuses a second one
    assert guests.invite("bo@example.com", role="member").outcome is Outcome.INVITED
    assert organization.records("bo@example.com") == []


def test_too_many_requests(
    connect: Callable[[BetterAuth], Caller], strict_organization: Organization
) -> None:
    guests = connect(strict_organization.provider()).with_budget(total=5.0)
    with pytest.raises(RateLimited) as limited:
        [guests.check() for _ in range(2)]
    assert limited.value.retry_after is not None
    assert 0 < limited.value.retry_after <= 10


def test_a_limit_of_open_invitations(
    connect: Callable[[BetterAuth], Caller], strict_organization: Organization
) -> None:
    guests = connect(strict_organization.provider())
    guests.invite(ADA, role="member")
    with pytest.raises(Forbidden) as full:
        guests.invite("bo@example.com", role="member")
    assert (full.value.status, full.value.code) == (403, "INVITATION_LIMIT_REACHED")
    assert "invitationLimit" in full.value.hint
