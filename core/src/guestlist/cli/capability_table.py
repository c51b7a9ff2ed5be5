"""What providers support, as lines of a table with a column for each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from guestlist.cli.document import ProviderRow
from guestlist.cli.screen import Cell, Text
from guestlist.humanize import duration
from guestlist.provider import Provider

COMMANDS = {
    "invite": {"invite"},
    "resend": {"resend"},
    "revoke": {"revoke"},
    "status": {"find_invitation", "invitations", "find_member", "members"},
    "list": {"invitations"},
    "members": {"members"},
    "remove": {"remove"},
    "roles": {"roles"},
    "assign": {"assign_role"},
    "unassign": {"unassign_role"},
    "access": {"access"},
}
"""A command, and the operations of which it needs at least one."""

RESENT_BY = {"invite", "revoke"}
"""What a resend is made of where the service has none."""


def capability_table(
    rows: Sequence[ProviderRow], *, everything: bool = False
) -> list[tuple[str, list[Cell]]]:
    """A fact's name, and what each provider has to say about it.

    Args:
        everything: what only one provider has, too.
    """
    commands: list[tuple[str, list[Cell]]] = [
        (command, [_way(command, needed, set(row.operations)) for row in rows])
        for command, needed in COMMANDS.items()
    ]
    own: list[tuple[str, list[Cell]]] = [
        ("only here", [", ".join(_own(row)) or _none() for row in rows])
    ]
    return [
        ("provider", [row.name for row in rows]),
        *commands,
        ("roles at invitation", [_how_many(row) for row in rows]),
        ("without a mail", [_yes(row.can_suppress_mail) for row in rows]),
        ("lasts", [_lasts(row) for row in rows]),
        ("--option", [", ".join(row.options) or _none() for row in rows]),
        ("local sandbox", [_yes(row.sandbox) for row in rows]),
        ("package", [row.distribution for row in rows]),
        *(own if everything else ()),
    ]


def _way(command: str, needed: set[str], operations: set[str]) -> Text:
    if command == "resend" and not needed & operations and operations >= RESENT_BY:
        return Text("by revoke and invite", "green")
    return _yes(bool(needed & operations))


def _yes(fact: bool) -> Text:
    return Text("yes", "green") if fact else Text("no", "red")


def _none() -> Text:
    return Text("none", "dim")


def _how_many(row: ProviderRow) -> Cell:
    if row.most_roles == 0:
        return _none()
    if row.most_roles is None:
        return f"{row.least_roles} or more"
    if row.least_roles == row.most_roles:
        return f"exactly {row.most_roles}"
    return f"{row.least_roles} to {row.most_roles}"


def _lasts(row: ProviderRow) -> Cell:
    if row.lifetime is None:
        return Text("not known", "dim")
    return duration(timedelta(seconds=row.lifetime))


def _own(row: ProviderRow) -> list[str]:
    """Operations that are no part of the contract: `Guestlist.call` runs them."""
    return [name for name in row.operations if not hasattr(Provider, name)]
