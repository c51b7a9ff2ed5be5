"""The table of what one provider supports."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from guestlist.cli.screen import Cell, Text
from guestlist.humanize import duration
from guestlist.provider import Provider

if TYPE_CHECKING:
    from guestlist.cli.document import ProviderRow

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


def capability_table(row: ProviderRow) -> list[tuple[str, Cell]]:
    """Returns a row for each capability of a provider: its name, and the cell for its value."""
    operations = set(row.operations)
    return [
        *((command, _support(command, needed, operations)) for command, needed in COMMANDS.items()),
        ("roles at invitation", _role_count(row)),
        ("kinds of roles", ", ".join(row.role_kinds)),
        ("members have", members_have(row)),
        ("shows suspension", _yes(not row.hides_suspension)),
        ("without an email", _yes(row.can_suppress_email)),
        ("lasts", lifetime(row)),
        ("--option", ", ".join(row.options) or _none()),
        ("local sandbox", _yes(row.sandbox)),
        ("package", row.distribution),
        ("only here", ", ".join(_own_operations(row)) or _none()),
    ]


def members_have(row: ProviderRow) -> str:
    """Returns the field by which a member is recognized."""
    return "addresses" if row.members_show_emails else "logins"


def lifetime(row: ProviderRow) -> Cell:
    """Returns how long an invitation can be accepted."""
    if row.never_expires:
        return "for ever"
    if row.lifetime is None:
        return Text("not known", "dim")
    return duration(timedelta(seconds=row.lifetime))


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


def _own_operations(row: ProviderRow) -> list[str]:
    """Returns the operations that only this provider has. `Guestlist.call` runs them."""
    return [name for name in row.operations if not hasattr(Provider, name)]
