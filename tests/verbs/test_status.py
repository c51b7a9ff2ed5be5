"""`status`: where somebody stands, and how that is known."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from guestlist import (
    Basis,
    Conflict,
    Forbidden,
    InvalidArgument,
    MalformedResponse,
    MemberState,
    NotFound,
    State,
)
from guestlist.models import Member
from guestlist.provider import Flow, Page, operation

ADA = "ada@example.com"
on_vultr = pytest.mark.parametrize("case", ["vultr"], indirect=True)
on_aitronos = pytest.mark.parametrize("case", ["aitronos"], indirect=True)


def test_nobody(guests: Any) -> None:
    guest = guests.status(ADA)
    assert (guest.state, guest.basis) == (State.GONE, Basis.INFERRED)
    assert guest.invitation is guest.member is None


def test_invited(guests: Any) -> None:
    guests.invite(ADA)
    guest = guests.status("ADA@example.com")
    assert guest.state is State.PENDING
    assert guest.basis is Basis.REPORTED
    assert guest.invitation.email == ADA
    assert guest.member is None


def test_expired(guests: Any) -> None:
    guests.invite(ADA)
    guests.later(days=8)
    guest = guests.status(ADA)
    assert (guest.state, guest.basis) == (State.EXPIRED, Basis.DERIVED)
    assert guest.invitation.state is State.EXPIRED


@on_vultr
def test_expired_by_the_service_s_word(guests: Any) -> None:
    guests.service.configure(expired="expired")
    guests.invite(ADA)
    guests.later(days=4)
    guest = guests.status(ADA)
    assert (guest.state, guest.basis) == (State.EXPIRED, Basis.REPORTED)
    assert guest.raw_state


def test_accepted(guests: Any) -> None:
    guests.invite(ADA)
    guests.accept(ADA)
    guest = guests.status(ADA)
    assert guest.state is State.ACCEPTED
    assert guest.member.email == ADA
    # Vultr keeps the invitation and says so; on Aitronos it is gone
    told = Basis.REPORTED if guests.case.name == "vultr" else Basis.INFERRED
    assert guest.basis is told


def test_a_member_who_never_was_invited(guests: Any) -> None:
    guest = guests.status(guests.case.member)
    assert (guest.state, guest.basis) == (State.ACCEPTED, Basis.INFERRED)
    assert guest.invitation is None


@on_vultr
def test_a_list_of_pending_ones_only_proves_no_acceptance(guests: Any) -> None:
    guests.service.configure(listing="pending")
    guests.invite(ADA)
    guests.accept(ADA)
    assert guests.status(ADA).state is State.ACCEPTED
    guests.remove(ADA)
    assert guests.status(ADA).state is State.GONE


def test_removed(guests: Any) -> None:
    guests.invite(ADA)
    guests.accept(ADA)
    guests.remove(ADA)
    guest = guests.status(ADA)
    assert guest.state is State.GONE  # whatever the record of the invitation still says
    assert guest.member is None or guest.member.state is MemberState.REMOVED


@on_aitronos
def test_revoked(guests: Any) -> None:
    guests.invite(ADA)
    guests.revoke(ADA)
    assert guests.status(ADA).state is State.GONE


@on_vultr
@pytest.mark.parametrize("listing", ["all", "pending"])
def test_a_member_with_another_invitation_besides(guests: Any, listing: str) -> None:
    """Who has accepted one of two invitations is in, whatever the other one says, and whether the
    service still tells of the one that was accepted or not."""
    guests.service.configure(duplicates="allow", listing=listing)
    guests.invite(ADA)
    second = guests.service.organization.invite(ADA, send=False, api_enabled=False)
    guests.service.accept(second.id)
    assert guests.status(ADA).state is State.ACCEPTED
    assert guests.wait(ADA, timeout=1).state is State.ACCEPTED
    assert guests.invite(ADA).outcome == "already_member"
    with pytest.raises(Conflict, match="is a member, and has an open invitation besides"):
        guests.resend(ADA)
    assert len(guests.emails(ADA)) == 1


# ---------------------------------------------------------------------------- whom


def test_by_everything_that_names_somebody(guests: Any) -> None:
    guest = guests.invite(ADA).guest
    for who in (ADA, guest.invitation.id, guest.invitation, guest):
        assert guests.status(who).invitation.id == guest.invitation.id
    guests.accept(ADA)
    member = guests.status(ADA).member
    for who in (ADA, member.id, member, guest, guest.invitation):
        assert guests.status(who).state is State.ACCEPTED


@on_aitronos
def test_by_a_user_s_id(guests: Any) -> None:
    user_id = guests.invite(ADA).guest.invitation.user_id
    assert guests.status(user_id).email == ADA


@pytest.mark.parametrize("id", ["inv_nobody", "00000000-0000-4000-8000-000000000000", "63f1a0c2b4"])
def test_an_id_that_nobody_has(guests: Any, id: str) -> None:
    with pytest.raises(NotFound, match=f"home: there is no invitation or member with the id '{id}"):
        guests.status(id)


BAD_IDS = [
    "",
    " ",
    "a b",
    "a/b",
    "..\\x",
    "../../v2/users",
    "a?b",
    "a#b",
    "a\nb",
    "a\x00b",
    "\u200b",
    ".",
    "..",
]


@pytest.mark.parametrize("id", BAD_IDS, ids=repr)
def test_an_id_that_cannot_be(guests: Any, id: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        guests.status(id)
    assert "\n" not in str(caught.value)
    assert repr(id) in str(caught.value)
    assert guests.requests == []


@pytest.mark.parametrize("email", ["ada@", "@", "a b@example.com", "ada@localhost", "a@b@"])
def test_an_address_that_cannot_be(guests: Any, email: str) -> None:
    with pytest.raises(InvalidArgument, match=r"home: .* is not an email address"):
        guests.status(email)
    assert guests.requests == []


def test_a_record_without_an_address_is_nobody_in_particular(guests: Any) -> None:
    """Vultr's service users have none: any of them would fit."""
    with pytest.raises(InvalidArgument, match="home: the record has no email address"):
        guests.status(Member(id="m1", email=""))
    assert guests.requests == []


# ---------------------------------------------------------------------------- what it costs


def test_an_open_invitation_costs_one_look_at_each_list(guests: Any) -> None:
    guests.invite(ADA)
    guests.forget()
    guests.status(ADA)
    assert len(guests.requests) == 2
    guests.forget()
    with pytest.raises(Conflict, match="is invited and not a member yet"):
        guests.remove(ADA)
    assert len(guests.requests) == 2


def test_nothing_is_changed_by_looking(guests: Any) -> None:
    guests.invite(ADA)
    guests.forget()
    guests.status(ADA)
    guests.status(guests.case.member)
    guests.status("nobody@example.com")
    assert guests.writes == []


@on_vultr
@pytest.mark.parametrize("status", [403, 200])
def test_where_the_members_cannot_be_read_an_open_invitation_counts(
    guests: Any, faulty: Any, status: int
) -> None:
    def unreadable(request: httpx.Request, _: httpx.Response | None) -> httpx.Response | None:
        refused = request.url.path == "/v2/users"
        return httpx.Response(status, json={"error": "no"}) if refused else None

    guests.invite(ADA)
    assert faulty(unreadable).status(ADA).state is State.PENDING
    with pytest.raises((Forbidden, MalformedResponse)):
        faulty(unreadable).status("nobody@example.com")


@pytest.mark.parametrize("on_own_page", [True, False])
def test_who_was_removed_and_has_come_back(
    guests: Any, monkeypatch: pytest.MonkeyPatch, on_own_page: bool
) -> None:
    """The service keeps the record of the first time, and lists it first."""
    provider, email = guests.case.provider, guests.case.member
    listing = provider.members

    @operation
    def members(self: Any, cursor: str | None = None) -> Flow[Page[Member]]:
        old = [Member(id="old", email=email, state=MemberState.REMOVED)]
        if cursor is None and on_own_page:
            return Page(old, next="more")
        page = yield from listing(self, None if cursor == "more" else cursor)
        return Page([*(old if cursor is None else []), *page.items], next=page.next)

    supports = provider.supports
    lists_only = classmethod(lambda _cls, name: name != "find_member" and supports(name))
    monkeypatch.setattr(provider, "supports", lists_only)
    monkeypatch.setattr(provider, "members", members)
    assert guests.status(email).state is State.ACCEPTED
    assert guests.status_many([email])[email].state is State.ACCEPTED
