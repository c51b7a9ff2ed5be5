"""`invitations`, `members` and `roles`: page by page, to the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from guestlist import Guestlist, InvalidArgument, MalformedResponse, State
from guestlist.provider.paging import MAX_EMPTY_PAGES
from guestlist_aitronos import Aitronos
from guestlist_betterauth import BetterAuth
from guestlist_vultr import Vultr

on_vultr = pytest.mark.parametrize("case", ["vultr"], indirect=True)
on_aitronos = pytest.mark.parametrize("case", ["aitronos"], indirect=True)


def test_nothing_yet(guests: Any) -> None:
    assert guests.invitations() == []


@pytest.mark.parametrize("many", [1, 30])
def test_all_invitations(guests: Any, many: int) -> None:
    emails = [f"guest{n}@example.com" for n in range(many)]
    for email in emails:
        guests.invite(email)
    found = guests.invitations()
    assert sorted(one.email for one in found) == sorted(emails)
    assert len({one.id for one in found}) == many
    assert {one.state for one in found} == {State.PENDING}


def test_by_state(guests: Any) -> None:
    guests.invite("old@example.com")
    guests.later(days=8)
    guests.invite("new@example.com")
    for state in (State.EXPIRED, "expired"):
        assert [one.email for one in guests.invitations(state=state)] == ["old@example.com"]
    assert [one.email for one in guests.invitations(state="pending")] == ["new@example.com"]
    assert guests.invitations(state="declined") == []


@pytest.mark.parametrize("state", ["Pending", "open", ""])
def test_no_such_state(guests: Any, state: str) -> None:
    with pytest.raises(InvalidArgument, match=f"there is no state '{state}'"):
        guests.invitations(state=state)
    assert guests.requests == []


def test_all_members(guests: Any) -> None:
    before = {one.email for one in guests.members()}
    assert guests.case.member in before
    guests.invite("ada@example.com")
    assert {one.email for one in guests.members()} == before  # to be invited is not to be in
    guests.accept("ada@example.com")
    assert {one.email for one in guests.members()} == before | {"ada@example.com"}


def test_many_members(guests: Any) -> None:
    """More than any page holds."""
    add = ADDING[guests.case.name]
    emails = {f"member{n}@example.com" for n in range(620)}
    for email in sorted(emails):
        add(guests.service, email)
    found = [one.label for one in guests.members()]
    assert emails <= set(found)
    assert len(found) == len(set(found))
    assert len(guests.requests) > 1
    assert guests.status("member619@example.com").state is State.ACCEPTED


def _to_vultr(service: Any, email: str) -> None:
    service.add_user(email, "M")


def _to_aitronos(service: Any, email: str) -> None:
    service.organization.add_member(email, "M", [service.organization.role_named("Member")])


ADDING = {"vultr": _to_vultr, "aitronos": _to_aitronos}


def test_all_roles(guests: Any) -> None:
    labels = {one.label for one in guests.roles()}
    assert {guests.case.role, guests.case.holds} <= labels


@on_vultr
def test_roles_of_one_kind(guests: Any) -> None:
    assert {one.name for one in guests.roles(kind="group")} == {"Engineering", "Support"}
    assert {one.kind for one in guests.roles()} == {"group", "role", "policy"}
    with pytest.raises(InvalidArgument, match=r"has no roles of the kind 'team'\. It has"):
        guests.roles(kind="team")


PROFILES = {"vultr": ("govultr", "openapi"), "aitronos": ("crew", "organizations")}


@pytest.mark.parametrize("which", [0, 1])
def test_every_family_of_documents(guests: Any, which: int) -> None:
    guests.service.configure(profile=PROFILES[guests.case.name][which])
    guests.invite("ada@example.com")
    assert [one.email for one in guests.invitations()] == ["ada@example.com"]
    assert guests.case.member in {one.email for one in guests.members()}
    assert guests.case.role in {one.name for one in guests.roles()}
    guests.accept("ada@example.com")
    assert guests.status("ada@example.com").state is State.ACCEPTED
    assert guests.check() == "Example Works"


def test_a_page_at_a_time(make: Any) -> None:
    """Nothing is asked for before it is used."""
    guests = make()
    guests.client.members()
    assert guests.requests == []


# ---------------------------------------------------------------------------- while somebody goes

AITRONOS = Aitronos(api_key="a-key", organization_id="org_1")
BETTERAUTH = BetterAuth(base_url="https://auth.test", token="a-token", organization_id="o-1")
Rows = list[dict[str, Any]]


def row(number: int, status: str = "Active") -> dict[str, Any]:
    """Somebody, as either service tells it."""
    email = f"p{number}@example.com"
    aitronos = {"status": {"id": "s-1", "name": status}, "role": {"id": "r-1", "name": "Member"}}
    user = {"id": f"u-{number}", "email": email, "name": "P"}
    betterauth = {"userId": user["id"], "user": user, "createdAt": "2026-05-04T12:00:00Z"}
    return {"id": f"m-{number}", "email": email, **aitronos, **betterauth}


def listed(account: Any, rows: Rows, goes: Callable[[Rows], None]) -> list[str]:
    """Who is listed, where some go before the second request."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) == 2:
            goes(rows)
        if request.method == "POST":
            told = json.loads(request.content)
            part = rows[told["skip"] : told["skip"] + told["take"]]
            return httpx.Response(200, json={"users": part, "total_users_count": len(rows)})
        start, limit = (int(request.url.params[name]) for name in ("offset", "limit"))
        part = [one | {"role": "member"} for one in rows[start : start + limit]]
        return httpx.Response(200, json={"members": part, "total": len(rows)})

    with Guestlist({"a": account}, transport=httpx.MockTransport(answer)) as guests:
        return [one.label for one in guests.members()]


@pytest.mark.parametrize("account", [AITRONOS, BETTERAUTH], ids=["aitronos", "betterauth"])
@pytest.mark.parametrize("gone", [slice(0, 1), slice(500, 501), slice(3, 53), slice(500, 700)])
def test_nobody_is_passed_over_or_comes_twice(account: Any, gone: slice) -> None:
    rows = [row(number) for number in range(700)]
    left = [one["email"] for one in rows[: gone.start] + rows[gone.stop :]]

    def go(rows: Rows) -> None:
        del rows[gone]

    found = listed(account, rows, go)
    assert set(left) <= set(found)
    assert len(found) == len(set(found))


def test_a_list_of_empty_pages_without_an_end_raises_an_error() -> None:
    requests = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal requests
        requests += 1
        return httpx.Response(200, json={"users": [], "meta": {"links": {"next": f"{requests}"}}})

    vultr = Vultr(api_key="key", base_url="https://vultr.test")
    with (
        Guestlist({"vultr": vultr}, transport=httpx.MockTransport(answer)) as guests,
        pytest.raises(MalformedResponse, match="empty pages in a row"),
    ):
        list(guests.members())
    assert requests == MAX_EMPTY_PAGES


def test_a_page_that_comes_again_for_that_is_no_list_that_repeats_itself() -> None:
    """Of those on the pages, one alone is a member."""
    rows = [row(n, "Active" if n == 99 else "InvitationSent") for n in range(150)]

    def go(rows: Rows) -> None:
        del rows[120]

    assert listed(AITRONOS, rows, go) == ["p99@example.com"]
