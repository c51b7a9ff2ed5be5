"""Services of any ability, for tests that need no sandbox."""

from __future__ import annotations

from typing import Any

from guestlist.models import Invitation, Member, Role
from guestlist.provider import Flow, Page, Provider, operation, setting

ADMIN, EDITOR, READER = (Role(id=f"r{n}", name=name) for n, name in enumerate(("a", "e", "r")))
ROLES = (ADMIN, EDITOR, READER)
ALL = frozenset(
    {"invite", "resend", "revoke", "remove", "assign_role", "unassign_role", "roles", "access"}
)


class People(Provider):
    """Who is there is what a test says. Nobody can ask yet."""

    name = "service"
    title = "Service"
    base_url: str = setting("Where it is", default="http://127.0.0.1:1")
    records: tuple[Invitation, ...] = setting("Its invitations", default=())
    people: tuple[Member, ...] = setting("Its members", default=())


class Service(People):
    """One that lists them."""

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        yield from ()
        return Page(self.people)

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        yield from ()
        return Page(self.records)


def service(without: frozenset[str] = frozenset(), **facts: Any) -> type[Service]:
    """A kind of service that can do everything but some things, and has those facts."""
    done = {name: operation(_nothing) for name in ALL - without - {"roles"}}
    body = {"__module__": __name__, **done, "roles": operation(_roles), **facts}
    return type("Kind", (Service,), body)


def _nothing(self: Provider, *_: Any) -> Flow[Any]:
    yield from ()
    raise AssertionError("a plan changes nothing")


def _roles(self: Provider, cursor: str | None = None) -> Flow[Page[Role]]:
    yield from ()
    return Page(ROLES)
