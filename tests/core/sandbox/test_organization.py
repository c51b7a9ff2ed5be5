"""The rules of an organization in memory, with each value of each switch."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from guestlist.sandbox import AdjustableClock, InvitationRecord, Organization, SandboxRefusal
from guestlist.sandbox.organization import SWITCHES, is_address
from guestlist.sandbox.refusals import (
    DuplicateInvitation,
    DuplicateMember,
    InvalidValue,
    LastRole,
    NoSeatLeft,
    NotAuthenticated,
    NotOpen,
    ProtectedMember,
    RecordNotFound,
    RoleAlreadyHeld,
    RoleNotHeld,
    WrongAddress,
)

ADA, LENA, OTHER = "ada@example.com", "lena@example.org", "ada.home@example.net"
WEEK = timedelta(days=7)


class House:
    """An organization with a member, two roles, and the emails that it sent."""

    def __init__(self, **behavior: str) -> None:
        assert all(value in SWITCHES[name].values for name, value in behavior.items())
        self.emails: list[InvitationRecord] = []
        self.clock = AdjustableClock(lambda: 1_800_000_000.0)
        self.count = 0
        self.organization = Organization(
            id="o-1",
            name="Example Works",
            clock=self.clock,
            lifetime=WEEK,
            new_id=self.new_id,
            send=self.emails.append,
            behavior=behavior,
        )
        self.admin = self.organization.add_role("Admin", manages=True)
        self.reader = self.organization.add_role("Reader", "team")
        self.lena = self.organization.add_member(LENA, "Lena", [self.admin], key="KEY")

    def new_id(self, kind: str) -> str:
        self.count += 1
        return f"{kind}-{self.count}"

    def invite(self, email: str = ADA, *roles: Any, **how: Any) -> InvitationRecord:
        return self.organization.invite(email, roles, **how)

    def state(self, invitation: InvitationRecord) -> str:
        return invitation.state(self.clock.now())

    def expire(self) -> None:
        self.clock.advance(WEEK)


def refused(kind: type[SandboxRefusal], act: Callable[..., object], *given: Any) -> Any:
    with pytest.raises(kind) as caught:
        act(*given)
    return caught.value


def test_a_whole_life() -> None:
    house = House()
    invitation = house.invite(" Ada@Example.com ", house.reader, inviter=house.lena.person)
    assert (invitation.email, house.state(invitation)) == ("Ada@Example.com", "pending")
    assert invitation.expires_at == house.clock.now() + WEEK
    assert house.emails == [invitation]
    member = house.organization.accept(invitation)
    assert (member.person.name, member.roles) == ("Ada", [house.reader])
    assert house.organization.member_with(ADA) is member
    assert house.state(invitation) == "accepted"
    refused(NotOpen, house.organization.accept, invitation)
    refused(DuplicateMember, house.invite)
    house.organization.remove(member)
    refused(RecordNotFound, house.organization.member, member.id)
    again = house.organization.accept(house.invite())
    assert again.person is member.person


def test_an_email_can_be_suppressed() -> None:
    house = House()
    house.invite(send=False)
    assert house.emails == []


@pytest.mark.parametrize("text", ["", "ada", "ada@", "@example.com", "a b@example.com", "a@b..c"])
def test_what_is_not_an_address(text: str) -> None:
    assert not is_address(text)
    assert refused(InvalidValue, House().invite, text).field == "email"


# ---------------------------------------------------------------------------- duplicates


def test_accounts_without_a_login_get_one_from_the_address() -> None:
    organization = Organization(
        id="o-1",
        name="Example Works",
        clock=AdjustableClock(),
        lifetime=WEEK,
        new_id=str,
        send=print,
        logins=True,
    )
    first = organization.add_person("Ada.Byron@example.com")
    given = organization.add_person("bob@example.com", login="ada-byron-1")
    second = organization.add_person("ada_byron@example.net")
    nameless = organization.add_person("@")
    logins = [one.login for one in (first, given, second, nameless)]
    assert logins == ["ada-byron", "ada-byron-1", "ada-byron-2", "user"]


def test_a_duplicate_is_refused() -> None:
    house = House()
    first = house.invite()
    assert refused(DuplicateInvitation, house.invite, "ADA@example.com").invitation == first.id


def test_a_duplicate_is_allowed() -> None:
    house = House(duplicates="allow")
    first, second = house.invite(), house.invite()
    assert first.id != second.id
    assert house.organization.invitations_to(ADA) == [second, first]


def test_a_duplicate_sends_the_first_one_again() -> None:
    house = House(duplicates="resend")
    first = house.invite(ADA, house.reader)
    house.clock.advance(timedelta(days=1))
    assert house.invite(ADA, house.admin) is first
    assert (first.roles, len(house.emails)) == ([house.admin], 2)
    assert first.expires_at == house.clock.now() + WEEK


def test_a_duplicate_with_another_role_is_allowed() -> None:
    house = House(duplicates="per_role")
    house.invite(ADA, house.reader)
    refused(DuplicateInvitation, house.invite, ADA, house.reader)
    other = house.invite(ADA, house.admin)
    house.organization.accept(other)
    assert [house.state(one) for one in house.organization.invitations.values()] == [
        "pending",
        "accepted",
    ]


def test_a_member_can_be_invited_beside_the_membership() -> None:
    house = House(inviting_members="allow")
    invitation = house.invite(LENA, house.reader)
    assert house.organization.member_with(LENA) is house.lena
    assert house.organization.accept(invitation) is house.lena
    assert house.lena.roles == [house.admin, house.reader]


@pytest.mark.parametrize(
    ("rule", "states"),
    [("free", ["expired", "pending"]), ("replace", ["revoked", "pending"])],
)
def test_an_expired_invitation_does_not_prevent_another(rule: str, states: list[str]) -> None:
    house = House(expired_invitations=rule)
    house.invite()
    house.expire()
    house.invite()
    assert [house.state(one) for one in house.organization.invitations.values()] == states


def test_an_expired_invitation_prevents_another() -> None:
    house = House(expired_invitations="block")
    house.invite()
    house.expire()
    refused(DuplicateInvitation, house.invite)


def test_a_known_person_joins_at_once() -> None:
    house = House(known_people="join")
    house.organization.add_person(ADA, "Ada")
    invitation = house.invite(ADA, house.reader)
    member = house.organization.member_with(ADA)
    assert invitation.member is member
    assert house.state(invitation) == "accepted"
    assert (house.organization.shown_invitations(), house.emails) == ([], [])
    assert house.state(house.invite(OTHER)) == "pending"


def test_an_invitation_waits_for_approval() -> None:
    house = House(approval="queue")
    first, second = house.invite(), house.invite(OTHER)
    assert (house.state(first), house.emails) == ("awaiting_approval", [])
    refused(DuplicateInvitation, house.invite)
    for act in (house.organization.accept, house.organization.resend):
        assert refused(NotOpen, act, first).state == "awaiting_approval"
    house.organization.approve(first)
    house.organization.reject(second)
    assert (house.state(first), house.state(second)) == ("pending", "rejected")
    assert house.emails == [first]
    refused(NotOpen, house.organization.approve, first)


# ---------------------------------------------------------------------------- ids and records


def test_the_address_is_the_id() -> None:
    house = House(invitation_ids="address", resend_id="change")
    invitation = house.invite("Ada@example.com")
    assert house.organization.invitation("ADA@example.com") is invitation
    assert house.organization.resend(invitation).id == ADA
    house.organization.revoke(invitation)
    assert house.invite() is house.organization.invitation(ADA)


def test_a_member_has_the_id_of_the_person() -> None:
    assert House(member_ids="person").lena.id.startswith("person-")
    assert House().lena.id.startswith("member-")


@pytest.mark.parametrize("starts", ["acceptance", "invitation"])
def test_a_member_keeps_the_id_of_the_invitation(starts: str) -> None:
    house = House(member_ids="invitation", membership_starts=starts)
    invitation = house.invite(ADA, house.reader)
    member = house.organization.accept(invitation)
    assert house.organization.member(invitation.id) is member
    assert house.lena.id.startswith("member-")


def test_a_membership_starts_with_the_invitation() -> None:
    house = House(membership_starts="invitation")
    invitation = house.invite(ADA, house.reader)
    record = invitation.member
    assert record is not None
    assert (record.status, record.person.registered) == ("invited", False)
    refused(RecordNotFound, house.organization.member, record.id)
    house.organization.set_roles(record, [house.admin])
    assert invitation.roles == [house.admin]
    assert house.organization.accept(invitation, name="Ada Lovelace") is record
    assert (record.status, record.person.name) == ("active", "Ada Lovelace")


def test_the_record_of_an_invited_person_ends_with_the_invitation() -> None:
    house = House(membership_starts="invitation", removed_members="stay")
    first = house.invite()
    house.organization.revoke(first)
    assert list(house.organization.records.values()) == [house.lena]
    member = house.organization.accept(house.invite())
    house.organization.remove(member)
    house.organization.revoke(house.invite())
    assert member.status == "removed"


def test_removing_an_invited_person_withdraws_the_invitation() -> None:
    house = House(membership_starts="invitation", removed_members="stay")
    invitation = house.invite()
    assert invitation.member is not None
    house.organization.remove(invitation.member)
    assert house.state(invitation) == "revoked"
    house.organization.restore(invitation.member)
    assert invitation.member.status == "invited"


def test_people_and_invitations_are_found_by_their_present_address() -> None:
    house = House(membership_starts="invitation", resend_id="change")
    person = house.lena.person
    house.organization.change_address(person, OTHER)
    assert house.organization.person_with(OTHER.upper()) is person
    assert house.organization.member_with(OTHER) is house.lena
    assert house.organization.person_with(LENA) is None
    assert house.organization.member_with(LENA) is None
    invitation = house.invite()
    with house.organization.hidden({house.organization.resend(invitation).id}):
        assert house.organization.invitations_to(ADA) == [invitation.before]
    assert house.organization.invitations_to(ADA) == [invitation]
    house.organization.revoke(invitation)
    assert house.organization.person_with(ADA) is not None
    assert house.organization.member_with(ADA) is None


def test_an_invitation_costs_as_little_among_thousands() -> None:
    house = House(membership_starts="invitation", duplicates="resend")

    def cpu_seconds(first: int, last: int) -> float:
        begin = time.process_time()
        for number in range(first, last):
            house.invite(f"guest{number}@example.com", house.reader)
        return time.process_time() - begin

    among_few = min(cpu_seconds(0, 100), cpu_seconds(100, 200))
    cpu_seconds(200, 3000)
    assert cpu_seconds(3000, 3100) < 10 * among_few  # a search takes 100 times as long


@pytest.mark.parametrize("rule", ["stay", "vanish"])
def test_what_can_still_be_read(rule: str) -> None:
    house = House(accepted=rule, revoked=rule)
    accepted, revoked = house.invite(), house.invite(OTHER)
    house.organization.accept(accepted)
    house.organization.revoke(revoked)
    shown = house.organization.shown_invitations()
    assert shown == ([accepted, revoked] if rule == "stay" else [])
    assert list(house.organization.invitations.values()) == [accepted, revoked]
    for one in (accepted, revoked):
        if rule == "vanish":
            refused(RecordNotFound, house.organization.invitation, one.id)
        else:
            assert house.organization.invitation(one.id) is one


def test_a_removed_member_can_be_restored() -> None:
    house = House(removed_members="stay")
    house.organization.remove(house.lena)
    assert house.organization.members() == []
    house.organization.restore(house.organization.record(house.lena.id))
    assert house.organization.members() == [house.lena]


# ---------------------------------------------------------------------------- resend and answers


@pytest.mark.parametrize("rule", ["keep", "change"])
def test_the_id_after_a_resend(rule: str) -> None:
    house = House(resend_id=rule)
    invitation = house.invite()
    before = invitation.id
    after = house.organization.resend(invitation).id
    assert (after == before) == (rule == "keep")
    assert house.organization.invitation(after) is invitation
    if rule == "change":
        refused(RecordNotFound, house.organization.invitation, before)


@pytest.mark.parametrize("rule", ["yes", "no"])
def test_the_expiry_after_a_resend(rule: str) -> None:
    house = House(resend_moves_expiry=rule)
    invitation = house.invite()
    house.clock.advance(timedelta(days=6))
    house.organization.resend(invitation)
    house.clock.advance(timedelta(days=2))
    assert house.state(invitation) == ("pending" if rule == "yes" else "expired")
    assert len(house.emails) == 2


@pytest.mark.parametrize("rule", ["allow", "refuse"])
def test_resending_an_expired_invitation(rule: str) -> None:
    house = House(resend_expired=rule)
    invitation = house.invite()
    house.expire()
    refused(NotOpen, house.organization.accept, invitation)
    if rule == "refuse":
        assert refused(NotOpen, house.organization.resend, invitation).state == "expired"
    else:
        house.organization.resend(invitation)
        house.organization.accept(invitation)


@pytest.mark.parametrize("rule", ["must_match", "any"])
@pytest.mark.parametrize("starts", ["acceptance", "invitation"])
def test_accepting_under_another_address(rule: str, starts: str) -> None:
    house = House(accept_address=rule, membership_starts=starts)
    invitation = house.invite(ADA, house.reader)
    if rule == "must_match":
        with pytest.raises(WrongAddress):
            house.organization.accept(invitation, email=OTHER)
        assert house.state(invitation) == "pending"
        return
    with pytest.raises(DuplicateMember):
        house.organization.accept(invitation, email=LENA)
    member = house.organization.accept(invitation, email=OTHER)
    assert (member.person.email, member.roles) == (OTHER, [house.reader])
    assert house.organization.member_with(ADA) is None
    assert len(house.organization.records) == 2
    assert house.state(invitation) == "accepted"


def test_declining() -> None:
    house = House()
    first, second = house.invite(), house.invite(OTHER)
    house.organization.decline(first)
    assert refused(NotOpen, house.organization.decline, first).state == "declined"
    house.expire()
    house.organization.decline(second)
    assert [house.state(one) for one in (first, second)] == ["declined", "declined"]
    house.invite()


@pytest.mark.parametrize("how", ["accept", "decline", "revoke"])
def test_an_invitation_that_has_ended_cannot_be_withdrawn_or_resent(how: str) -> None:
    house = House()
    invitation = house.invite()
    getattr(house.organization, how)(invitation)
    refused(NotOpen, house.organization.revoke, invitation)
    refused(NotOpen, house.organization.resend, invitation)


def test_the_secret_of_a_link() -> None:
    house = House()
    invitation = house.invite()
    assert house.organization.invitation_with_secret(invitation.secret) is invitation
    house.organization.revoke(invitation)
    refused(RecordNotFound, house.organization.invitation_with_secret, invitation.secret)
    refused(RecordNotFound, house.organization.invitation_with_secret, "nope")


# ---------------------------------------------------------------------------- members and roles


def test_assigning_and_taking_away() -> None:
    house = House()
    house.organization.assign(house.lena, house.reader)
    house.organization.assign(house.lena, house.reader)
    assert house.lena.roles == [house.admin, house.reader]
    house.organization.unassign(house.lena, house.reader)
    refused(RoleNotHeld, house.organization.unassign, house.lena, house.reader)
    assert (house.lena.manages, house.reader.kind) == (True, "team")


def test_assigning_again_is_refused() -> None:
    house = House(assigned_again="refuse")
    refused(RoleAlreadyHeld, house.organization.assign, house.lena, house.admin)


@pytest.mark.parametrize(
    ("rule", "left"), [("none", []), ("default", ["Reader"]), ("leave", None), ("refuse", None)]
)
def test_taking_the_last_role_away(rule: str, left: list[str] | None) -> None:
    house = House(last_role=rule)
    house.organization.default_role = house.reader
    if rule == "refuse":
        refused(LastRole, house.organization.unassign, house.lena, house.admin)
        return
    house.organization.unassign(house.lena, house.admin)
    if left is None:
        assert house.organization.members() == []
    else:
        assert [role.name for role in house.lena.roles] == left


def test_the_last_owner_is_protected() -> None:
    house = House()
    organization = house.organization
    organization.owner_role = house.admin
    assert refused(ProtectedMember, organization.remove, house.lena).action == "remove"
    refused(ProtectedMember, organization.suspend, house.lena)
    refused(ProtectedMember, organization.set_roles, house.lena, [house.reader])
    organization.set_roles(house.lena, [house.admin, house.reader])
    omar = organization.add_member("omar@example.org", "Omar", [house.admin])
    organization.set_roles(house.lena, [house.reader])
    refused(ProtectedMember, organization.remove, omar)


def test_the_owner_is_protected() -> None:
    house = House()
    house.organization.owner = house.lena
    for act in (house.organization.remove, house.organization.suspend):
        refused(ProtectedMember, act, house.lena)


def test_suspending() -> None:
    house = House()
    house.organization.suspend(house.lena)
    since = house.lena.suspended_at
    house.clock.advance(WEEK)
    house.organization.suspend(house.lena)
    assert (house.lena.status, house.lena.suspended_at, house.lena.is_in) == (
        "suspended",
        since,
        True,
    )
    house.organization.unsuspend(house.lena)
    assert (house.lena.status, house.lena.suspended_at) == ("active", None)


def test_roles_are_found_by_id_and_by_name() -> None:
    house = House()
    assert house.organization.role(house.reader.id) is house.reader
    assert house.organization.role_named("READER") is house.reader
    refused(RecordNotFound, house.organization.role, "nope")
    assert refused(RecordNotFound, house.organization.role_named, "nope").kind == "role"


# ---------------------------------------------------------------------------- seats, lists, keys


@pytest.mark.parametrize("taken_by", ["invitations", "members"])
def test_seats(taken_by: str) -> None:
    house = House(seats="5", seats_taken_by=taken_by)
    first, *_ = [house.invite(f"p{number}@example.com") for number in range(4)]
    if taken_by == "members":
        for invitation in list(house.organization.invitations.values()):
            house.organization.accept(invitation)
        refused(NoSeatLeft, house.invite)
        house.organization.remove(house.lena)
    else:
        refused(NoSeatLeft, house.invite)
        house.organization.revoke(first)
    house.invite()


def test_lists_lag_behind() -> None:
    house = House(list_lag="5")
    invitation = house.invite()
    organization = house.organization
    assert organization.listed(organization.shown_invitations()) == []
    assert organization.invitation(invitation.id) is invitation
    house.clock.advance(timedelta(seconds=5))
    assert organization.listed(organization.shown_invitations()) == [invitation]


@pytest.mark.parametrize(("rule", "shown"), [("shown", LENA), ("hidden", None)])
def test_addresses_of_members(rule: str, shown: str | None) -> None:
    house = House(member_addresses=rule)
    assert house.organization.address_of(house.lena) == shown


def test_hiding_invitations() -> None:
    house = House(membership_starts="invitation")
    invitation = house.invite()
    with house.organization.hidden([invitation.id]):
        assert house.organization.invitations_to(ADA) == []
        assert list(house.organization.records.values()) == [house.lena]
    assert house.organization.invitations_to(ADA) == [invitation]
    assert len(house.organization.records) == 2


def test_a_hidden_renewal_is_shown_as_it_was_before() -> None:
    house = House(resend_id="change")
    invitation = house.invite()
    before = invitation.id, invitation.expires_at
    house.clock.advance(timedelta(hours=1))
    house.organization.resend(invitation)
    with house.organization.hidden([invitation.id]):
        [shown] = house.organization.invitations_to(ADA)
        assert (shown.id, shown.expires_at) == before
    assert house.organization.invitations_to(ADA) == [invitation]
    house.organization.revoke(invitation)
    with house.organization.hidden([invitation.id]):
        assert house.organization.invitations_to(ADA) == []


def test_credentials() -> None:
    house = House()
    organization = house.organization
    assert organization.key("KEY").person is house.lena.person
    expiring = organization.add_key(
        house.lena.person, read_only=True, expires_at=house.clock.now() + WEEK
    )
    assert organization.key(expiring).read_only
    organization.add_key(house.lena.person, "PAUSED", reason="API_KEY_PAUSED")
    house.expire()
    assert refused(NotAuthenticated, organization.key, "PAUSED").reason == "API_KEY_PAUSED"
    for secret in ("", "nope", expiring):
        refused(NotAuthenticated, organization.key, secret)


def test_every_switch_is_tested_here() -> None:
    """Each name of `SWITCHES` is passed to `House` in one of the tests above."""
    with open(__file__, encoding="utf-8") as file:
        source = file.read()
    assert [name for name in SWITCHES if f"{name}=" not in source] == []
