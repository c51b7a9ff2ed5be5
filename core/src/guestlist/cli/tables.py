"""The tables of results: which columns, and what stands in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from guestlist.cli import screen
from guestlist.cli.document import (
    AccessRow,
    GuestRow,
    InvitationRow,
    InviteRow,
    MemberRow,
    RoleChangeRow,
    RoleRow,
)
from guestlist.cli.report import say
from guestlist.cli.screen import Column, Screen
from guestlist.cli.words import words
from guestlist.models import OPEN_STATES, Basis, Grant, Guest, Invitation, Member, Role, State
from guestlist.sandbox.wording import absolute, relative

WHO = Column("Guest", whole=True)
ACCOUNT = Column("Account", whole=True)
ID = Column("Id", style="dim", whole=True, spare=9)

BASES = {
    Basis.REPORTED: "the service says so",
    Basis.DERIVED: "by its date",
    Basis.INFERRED: "from the other list",
}


class Tables:
    """Shows results.

    Args:
        now: the moment that times are relative to.
        exact: shows times as dates.
        secrets: shows invitation links and keys.
    """

    def __init__(self, screen: Screen, now: datetime, *, exact: bool, secrets: bool) -> None:
        self._screen = screen
        self._now = now
        self._exact = exact
        self._secrets = secrets

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
        self._screen.table(
            columns,
            [
                (
                    row.email,
                    row.account,
                    screen.state(row.state),
                    _roles(_held(row)),
                    self._when(row),
                    _basis(row),
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
        self._screen.table(
            columns,
            [
                (
                    row.guest.email,
                    row.guest.account,
                    screen.state(row.outcome),
                    _roles(_held(row.guest)),
                    screen.yes_or_no(row.mail_sent, "sent", "not sent", "not known"),
                    self._when(row.guest),
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
        self._screen.table(
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
            Column("Holds"),
            Column("Through", style="dim"),
            Column("Description", style="dim", spare=5),
        ]
        told = [
            (row.guest.email, row.guest.account, *cells) for row in rows for cells in _grants(row)
        ]
        self._screen.table(columns, told)
        for row in rows:
            if row.explanation:
                about = f"{row.guest.email} on {row.guest.account}: {row.explanation}"
                self._screen.line(about, style="yellow")

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
        self._screen.table(
            columns,
            [
                (
                    row.email,
                    row.account,
                    screen.state(row.state),
                    _roles(row.roles),
                    self._time(row.created_at),
                    self._expiry(row),
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
        self._screen.table(
            columns,
            [
                (
                    row.email,
                    row.account,
                    row.name or "",
                    _roles(row.roles or ()),
                    words(row.state),
                    self._time(row.joined_at),
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
            Column("Description", style="dim"),
            ID,
        ]
        self._screen.table(
            columns,
            [
                (row.account, row.kind, row.name or "", row.description or "", row.id)
                for row in rows
            ],
        )

    def _warn(self, rows: Sequence[InviteRow | RoleChangeRow]) -> None:
        for row in rows:
            for warning in row.warnings:
                say("warning", f"{row.guest.account}: {row.guest.email}: {warning}")

    def _when(self, guest: Guest) -> str:
        if guest.state is State.ACCEPTED:
            joined = guest.member.joined_at if guest.member else None
            return f"joined {self._time(joined)}" if joined else ""
        return self._expiry(guest.invitation) if guest.invitation else ""

    def _expiry(self, invitation: Invitation) -> str:
        if invitation.expires_at is None:
            return ""
        if invitation.state in OPEN_STATES:
            return f"expires {self._time(invitation.expires_at)}"
        if invitation.state is State.EXPIRED:
            return f"expired {self._time(invitation.expires_at)}"
        return ""

    def _time(self, moment: datetime | None) -> str:
        if moment is None:
            return ""
        return absolute(moment) if self._exact else relative(moment, self._now)

    def _secret_columns(self) -> list[Column]:
        return [Column("Link"), Column("Key")] if self._secrets else []

    def _secret_cells(self, invitation: Invitation | None) -> list[str]:
        if not self._secrets:
            return []
        secrets = (invitation.link, invitation.key) if invitation else (None, None)
        return [secret.get_secret_value() if secret else "" for secret in secrets]


def _held(guest: Guest) -> Iterable[Role]:
    if guest.state is State.ACCEPTED:
        return (guest.member.roles if guest.member else None) or ()
    return guest.invitation.roles if guest.invitation else ()


def _roles(roles: Iterable[Role]) -> str:
    return ", ".join(role.label for role in roles)


def _basis(guest: Guest) -> str:
    told = f" ({guest.raw_state})" if guest.state is State.UNKNOWN and guest.raw_state else ""
    return {
        (State.ACCEPTED, Basis.INFERRED): "is among the members",
        (State.GONE, Basis.INFERRED): "neither invited nor a member",
    }.get((guest.state, guest.basis), BASES[guest.basis]) + told


def _id(guest: Guest) -> str:
    record: Invitation | Member | None = guest.invitation
    if guest.state is State.ACCEPTED:
        record = guest.member
    return (record.id if record else None) or ""


def _grants(row: AccessRow) -> list[tuple[str, str, str]]:
    return [
        (grant.role.label, _through(grant), grant.role.description or "") for grant in row.grants
    ] or [("nothing", "", "")]


def _through(grant: Grant) -> str:
    if grant.direct:
        return "directly"
    return " > ".join(role.label for role in grant.via) or "inherited"
