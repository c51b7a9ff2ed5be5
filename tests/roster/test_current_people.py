"""Everybody whom a service holds, with roles as a roster can name them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import pytest

from guestlist import Guestlist, Unsupported
from guestlist.models import Role, State
from guestlist.provider import Flow, Page, Provider, operation
from guestlist.roster.current_people import CurrentPeople
from guestlist_vultr import Vultr

LENA = "lena@example.org"

Roles = Callable[[Iterable[Role]], list[Role]]


def found(guests: Guestlist, account: str) -> dict[str, Any]:
    with CurrentPeople(guests, [account]) as everybody:
        assert everybody.read[account].error is None
        return {email: (roles, state) for _, email, roles, state, *_ in everybody}


def of_lena(guestlist_accounts: dict[str, Any], clock: Any, listed: Roles) -> Any:
    """Her roles, where the service lists other ones: she holds a group and a policy."""

    class Other(Vultr):
        @operation
        def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
            page = yield from super().roles(cursor)
            return Page(listed(page.items), page.next)

    other = Other(**dict(guestlist_accounts["vultr"]))
    with Guestlist({"cloud": other}, clock=clock) as guests:
        return found(guests, "cloud")[LENA][0]


@pytest.mark.parametrize(
    ("listed", "roles"),
    [
        (list, ("group:Engineering", "policy:Invoice Reading")),
        (lambda roles: [one for one in roles if one.kind == "group"], ("group:Engineering",)),
        (lambda roles: [one for one in roles if one.kind == "role"], None),
    ],
    ids=["as it is", "without policies", "with neither"],
)
def test_what_cannot_be_granted_is_no_wish(
    listed: Roles, roles: Any, guestlist_accounts: dict[str, Any], guestlist_clock: Any
) -> None:
    """A plan never takes it away; whoever holds nothing else is left alone."""
    assert of_lena(guestlist_accounts, guestlist_clock, listed) == roles


def test_roles_with_one_name_are_distinguished_by_their_ids(
    guestlist_accounts: dict[str, Any], guestlist_clock: Any
) -> None:
    def twins(roles: Iterable[Role]) -> list[Role]:
        update = {"id": "another"}
        return [twin for one in roles for twin in (one, one.model_copy(update=update))]

    group, policy = of_lena(guestlist_accounts, guestlist_clock, twins)
    with Guestlist(guestlist_accounts, clock=guestlist_clock) as guests:
        ids = {one.name: one.id for one in guests.roles(account="vultr")}
    assert {group, policy} == {ids["Engineering"], ids["Invoice Reading"]}


def test_members_and_open_invitations(guests: Guestlist) -> None:
    guests.invite("Ada@example.com", account="vultr")
    guests.invite("bea@example.com", account="aitronos", role="Member")
    vultr, aitronos = found(guests, "vultr"), found(guests, "aitronos")
    assert vultr["Ada@example.com"] == (None, State.PENDING)
    assert vultr[LENA][1] is State.ACCEPTED
    assert aitronos["bea@example.com"] == (("Member",), State.PENDING)


def test_a_service_without_lists(guestlist_clock: Any) -> None:
    class Blind(Provider):
        name: ClassVar[str] = "blind"
        title: ClassVar[str] = "Blind"
        docs_url: ClassVar[str] = "https://blind.example"
        base_url: str = "https://blind.example"

    with (
        Guestlist({"blind": Blind()}, clock=guestlist_clock) as guests,
        CurrentPeople(guests, ["blind"]) as everybody,
    ):
        error = everybody.read["blind"].error
    assert isinstance(error, Unsupported)
    assert str(error).startswith("blind: Blind offers no way to list invitations")
