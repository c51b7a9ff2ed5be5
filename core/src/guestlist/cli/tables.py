"""The tables of results: which columns, and what stands in them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from guestlist.cli import screen
from guestlist.cli.document import (
    AccessRow,
    AccountRow,
    AnyRow,
    GuestRow,
    InvitationRow,
    InviteRow,
    MemberRow,
    OrderRow,
    ProviderRow,
    RoleChangeRow,
    RoleRow,
)
from guestlist.cli.facts import Facts, basis, through
from guestlist.cli.matrix import matrix
from guestlist.cli.report import say
from guestlist.cli.screen import Cell, Column, Screen, Text
from guestlist.cli.words import printable, words
from guestlist.ledger.line import LineState
from guestlist.models import Guest, Invitation, Member, State

WHO = Column("Guest", whole=True)
ACCOUNT = Column("Account", whole=True)
ID = Column("Id", style="dim", whole=True, spare=9)

TABLES: dict[type, str] = {
    GuestRow: "guests",
    InviteRow: "invites",
    RoleChangeRow: "role_changes",
    AccessRow: "access",
    InvitationRow: "invitations",
    MemberRow: "members",
    RoleRow: "roles",
    OrderRow: "orders",
    AccountRow: "accounts",
    ProviderRow: "providers",
}
"""The method of `Tables` that shows a kind of row."""


class Tables:
    """Shows results.

    Args:
        facts: what the records say.
        secrets: shows invitation links and keys.
        details: shows what is left out otherwise.
        indent: columns left free at the left.
    """

    def __init__(
        self,
        screen: Screen,
        facts: Facts,
        *,
        secrets: bool = False,
        details: bool = False,
        indent: int = 0,
    ) -> None:
        self._screen = screen
        self._facts = facts
        self._secrets = secrets
        self._details = details
        self._indent = indent

    def show(self, rows: Sequence[AnyRow]) -> None:
        """Each kind of row in a table of its own."""
        for kind, of_kind in groupby(rows, type):
            getattr(self, TABLES[kind])(list(of_kind))

    def guests(self, rows: Sequence[GuestRow]) -> None:
        """Where people stand."""
        columns = [
            WHO,
            ACCOUNT,
            Column("State", whole=True),
            Column("Role"),
            Column("When", style="dim", whole=True, spare=2),
            Column("How we know", style="dim", whole=True, spare=3),
            ID,
            *self._secret_columns(),
        ]
        self._table(
            columns,
            [
                (
                    row.email,
                    row.account,
                    screen.state(row.state),
                    self._facts.roles_of(row),
                    self._facts.when(row),
                    basis(row),
                    _id(row),
                    *self._secret_cells(row.invitation),
                )
                for row in rows
            ],
        )

    def invites(self, rows: Sequence[InviteRow]) -> None:
        """What `invite` and `resend` did."""
        columns = [
            WHO,
            ACCOUNT,
            Column("Outcome", whole=True),
            Column("Role"),
            Column("Mail", spare=3),
            Column("When", style="dim", whole=True, spare=2),
            ID,
            *self._secret_columns(),
        ]
        self._table(
            columns,
            [
                (
                    row.guest.email,
                    row.guest.account,
                    screen.state(row.outcome),
                    self._facts.roles_of(row.guest),
                    screen.yes_or_no(row.mail_sent, "sent", "not sent", "not known"),
                    self._facts.when(row.guest),
                    _id(row.guest),
                    *self._secret_cells(row.guest.invitation),
                )
                for row in rows
            ],
        )
        self._warn(rows)

    def role_changes(self, rows: Sequence[RoleChangeRow]) -> None:
        """What `assign` and `unassign` did."""
        columns = [WHO, ACCOUNT, Column("Role"), Column("Outcome", whole=True)]
        self._table(
            columns,
            [
                (row.guest.email, row.guest.account, row.role.label, words(row.outcome))
                for row in rows
            ],
        )
        self._warn(rows)

    def access(self, rows: Sequence[AccessRow]) -> None:
        """What people hold; in words where that is nothing."""
        columns = [
            WHO,
            ACCOUNT,
            Column("Holds", whole=True),
            Column("Through", style="dim"),
            Column("Description", style="dim", cut=True),
        ]
        told = [
            (row.guest.email, row.guest.account, *cells) for row in rows for cells in _grants(row)
        ]
        self._table(columns, told)
        for row in rows:
            if row.explanation:
                about = "" if row.guest.email in row.explanation else f"{row.guest.email}: "
                text = f"{row.guest.account}: {about}{row.explanation}"
                self._screen.line(text, style="yellow")

    def invitations(self, rows: Sequence[InvitationRow]) -> None:
        """The invitations of accounts."""
        columns = [
            WHO,
            ACCOUNT,
            Column("State", whole=True),
            Column("Role"),
            Column("Invited", style="dim", whole=True, spare=3),
            Column("When", style="dim", whole=True, spare=2),
            Column("By", style="dim", spare=8),
            ID,
            *self._secret_columns(),
        ]
        self._table(
            columns,
            [
                (
                    row.email,
                    row.account,
                    screen.state(row.state),
                    self._facts.roles(row.account, row.roles),
                    self._facts.time(row.created_at),
                    self._facts.expiry(row),
                    row.invited_by or "",
                    row.id or "",
                    *self._secret_cells(row),
                )
                for row in rows
            ],
        )

    def members(self, rows: Sequence[MemberRow]) -> None:
        """The members of accounts."""
        columns = [
            Column("Member", whole=True),
            ACCOUNT,
            Column("Name", spare=4),
            Column("Role"),
            Column("State", spare=3),
            Column("Joined", style="dim", whole=True, spare=5),
            ID,
        ]
        self._table(
            columns,
            [
                (
                    row.email,
                    row.account,
                    row.name or "",
                    self._facts.roles(row.account, row.roles or ()),
                    words(row.state),
                    self._facts.time(row.joined_at),
                    row.id,
                )
                for row in rows
            ],
        )

    def roles(self, rows: Sequence[RoleRow]) -> None:
        """What can be granted."""
        columns = [
            ACCOUNT,
            Column("Kind", whole=True),
            Column("Name", whole=True),
            Column("Description", style="dim", cut=True),
            ID,
        ]
        self._table(
            columns,
            [
                (row.account, row.kind, row.name or "", row.description or "", row.id)
                for row in rows
            ],
        )

    def orders(self, rows: Sequence[OrderRow]) -> None:
        """What was asked for, and what became of it; in full with all that happened to it."""
        columns = [
            Column("When", style="dim", whole=True),
            WHO,
            ACCOUNT,
            Column("Action", whole=True),
            Column("Role", spare=4),
            Column("Result", yields=True),
            Column("Mail", spare=5),
            Column("Run", style="dim", whole=True, spare=8),
            Column("Order", style="dim", whole=True, spare=9),
            *([Column("History")] if self._details else []),
        ]
        self._table(
            columns,
            [
                (
                    self._facts.time(row.last_at),
                    row.email,
                    row.account,
                    row.action,
                    ", ".join((*row.roles, *(f"{role} (owed)" for role in row.owed))),
                    _result(row),
                    "" if row.mail is None else screen.yes_or_no(row.mail, "sent", "not sent"),
                    "" if row.run is None else str(row.run),
                    str(row.id),
                    *([self._history(row)] if self._details else []),
                )
                for row in rows
            ],
        )

    def _history(self, row: OrderRow) -> Text:
        told = [
            f"{self._facts.time(entry.at)} {words(entry.what)}"
            + (f": {entry.detail}" if entry.detail else "")
            for entry in row.entries
        ]
        return self._screen.lines(told)

    def accounts(self, rows: Sequence[AccountRow]) -> None:
        """The configured accounts, and whether their keys work."""
        columns = [
            ACCOUNT,
            Column("Service"),
            Column("Key", whole=True),
            Column("Organization"),
            Column("Address", style="dim", spare=1),
        ]
        marks = {True: Text("works", "green"), False: Text("does not work", "red"), None: Text()}
        self._table(
            columns,
            [
                (row.account, row.title, marks[row.working], row.organization or "", row.base_url)
                for row in rows
            ],
        )

    def providers(self, rows: Sequence[ProviderRow]) -> None:
        """What each provider supports: a column for each, in as many tables as that takes."""
        rest = list(rows)
        while rest:
            size = len(rest)
            while size > 1 and not self._screen.fits(*self._matrix(rest[:size])):
                size -= 1
            self._table(*self._matrix(rest[:size]))
            rest = rest[size:]
        for row in rows if self._details else ():
            for name, substitute in row.substitutes.items():
                self._screen.line(f"{row.title}, {words(name)}: {substitute}", style="dim")

    def _matrix(self, rows: Sequence[ProviderRow]) -> tuple[list[Column], list[tuple[Cell, ...]]]:
        columns = [Column("", whole=True), *(Column(row.title) for row in rows)]
        facts = matrix(rows, everything=self._details)
        return columns, [(name, *cells) for name, cells in facts]

    def _table(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
        self._screen.table(columns, rows, indent=self._indent)

    def _warn(self, rows: Sequence[InviteRow | RoleChangeRow]) -> None:
        for row in rows:
            for warning in row.warnings:
                say("warning", f"{row.guest.account}: {row.guest.email}: {warning}")

    def _secret_columns(self) -> list[Column]:
        return [Column("Link"), Column("Key")] if self._secrets else []

    def _secret_cells(self, invitation: Invitation | None) -> list[str]:
        if not self._secrets:
            return []
        secrets = (invitation.link, invitation.key) if invitation else (None, None)
        return [secret.get_secret_value() if secret else "" for secret in secrets]


def _id(guest: Guest) -> str:
    record: Invitation | Member | None = guest.invitation
    if guest.state is State.ACCEPTED:
        record = guest.member
    return (record.id if record else None) or ""


def _result(row: OrderRow) -> Text:
    state = screen.state(row.state)
    if row.state is LineState.DONE and row.outcome:  # says that, and more
        state.plain = words(row.outcome)
    return Text().append_text(state).append(f": {printable(row.detail)}" if row.detail else "")


def _grants(row: AccessRow) -> list[tuple[str, str, str]]:
    return [
        (grant.role.label, through(grant), grant.role.description or "") for grant in row.grants
    ] or [("nothing", "", "")]
