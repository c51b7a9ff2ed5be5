"""Every verb, as a plan that can be run against answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guestlist import verbs
from guestlist.exchange.step import Steps
from guestlist.verbs import Accounts

ADA = "ada@example.com"


def _walked(walk: Any) -> Steps[list[Any]]:
    found: list[Any] = []
    while (items := (yield from walk.more())) is not None:
        found += items
    return found


PLANS: dict[str, Any] = {
    "invite": lambda a: verbs.invite(a, ADA),
    "invite with a role": lambda a: verbs.invite(a, ADA, role="Viewer"),
    "invite or replace": lambda a: verbs.invite(a, ADA, role="Viewer", if_exists="replace"),
    "invite or resend": lambda a: verbs.invite(a, ADA, if_exists="resend"),
    "resend": lambda a: verbs.resend(a, ADA),
    "status": lambda a: verbs.status(a, ADA),
    "status by id": lambda a: verbs.status(a, "some-id"),
    "assign_role": lambda a: verbs.assign_role(a, ADA, "group:Viewer"),
    "unassign_role": lambda a: verbs.unassign_role(a, ADA, "Viewer"),
    "revoke": lambda a: verbs.revoke(a, ADA),
    "remove": lambda a: verbs.remove(a, ADA),
    "access": lambda a: verbs.access(a, ADA),
    "wait": lambda a: verbs.wait(a, ADA, timeout=30.0),
    "check": verbs.check,
    "invitations": lambda a: _walked(verbs.invitations(a)),
    "members": lambda a: _walked(verbs.members(a)),
    "roles": lambda a: _walked(verbs.roles(a)),
}


def plan(name: str) -> Callable[[Accounts], Steps[Any]]:
    """The verb as a generator from its first line on: some refuse before there is one."""

    def started(accounts: Accounts) -> Steps[Any]:
        yield from ()
        return (yield from PLANS[name](accounts))

    return started
