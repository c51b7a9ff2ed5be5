"""The table of what providers support, with a column for each provider."""

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
    "invitations": {"invitations"},
    "members": {"members"},
    "remove": {"remove"},
    "roles": {"roles"},
    "assign-role": {"assign_role"},
    "unassign-role": {"unassign_role"},
    "access": {"access"},
}
"""The operations that a command can use. It needs at least one of them."""

RESEND_SUBSTITUTE = {"invite", "revoke"}
"""The operations that make up a resend if the service has none."""


def capability_table(
    rows: Sequence[ProviderRow], *, everything: bool = False
) -> list[tuple[str, list[Cell]]]:
    """Returns the rows of the table: the name of a capability, and a cell for each provider.

    Args:
        everything: add the operations that only one provider has.
    """
    commands: list[tuple[str, list[Cell]]] = [
        (command, [_support(command, needed, set(row.operations)) for row in rows])
        for command, needed in COMMANDS.items()
    ]
    own: list[tuple[str, list[Cell]]] = [
        ("only here", [", ".join(_own_operations(row)) or _none() for row in rows])
    ]
    return [
        ("provider", [row.name for row in rows]),
        *commands,
        ("roles at invitation", [_role_count(row) for row in rows]),
        ("kinds of roles", [", ".join(row.role_kinds) for row in rows]),
        ("members have", ["addresses" if row.members_show_emails else "logins" for row in rows]),
        ("shows suspension", [_yes(not row.hides_suspension) for row in rows]),
        ("without an email", [_yes(row.can_suppress_email) for row in rows]),
        ("lasts", [_lifetime(row) for row in rows]),
        ("--option", [", ".join(row.options) or _none() for row in rows]),
        ("local sandbox", [_yes(row.sandbox) for row in rows]),
        ("package", [row.distribution for row in rows]),
        *(own if everything else ()),
    ]


def _support(command: str, needed: set[str], operations: set[str]) -> Text:
    if command == "resend" and not needed & operations and operations >= RESEND_SUBSTITUTE:
        return Text("by revoke and invite", "green")
    return _yes(bool(needed & operations))


def _yes(fact: bool) -> Text:
    return Text("yes", "green") if fact else Text("no", "red")


def _none() -> Text:
    return Text("none", "dim")


def _role_count(row: ProviderRow) -> Cell:
    if row.most_roles == 0:
        return _none()
    if row.most_roles is None:
        return f"{row.least_roles} or more"
    if row.least_roles == row.most_roles:
        return f"exactly {row.most_roles}"
    return f"{row.least_roles} to {row.most_roles}"


def _lifetime(row: ProviderRow) -> Cell:
    if row.never_expires:
        return "for ever"
    if row.lifetime is None:
        return Text("not known", "dim")
    return duration(timedelta(seconds=row.lifetime))


def _own_operations(row: ProviderRow) -> list[str]:
    """Returns the operations that only this provider has. `Guestlist.call` runs them."""
    return [name for name in row.operations if not hasattr(Provider, name)]
