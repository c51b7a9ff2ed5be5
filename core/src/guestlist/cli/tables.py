"""The tables of results: their columns and cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from guestlist.cli import screen
from guestlist.cli.capability_table import lifetime, members_have
from guestlist.cli.formatting import RecordFormatter, basis_text, grant_path
from guestlist.cli.printing import print_message
from guestlist.cli.screen import Cell, Column, Screen, Text
from guestlist.cli.text import ONLY_READ, printable, spaced, yes_or_no
from guestlist.ledger.log import NO_EFFECT, LineState
from guestlist.models import (
    Access,
    AccountOffboarding,
    Guest,
    Invitation,
    InviteResult,
    Member,
    MemberState,
    OffboardResult,
    OnboardResult,
    OwnAccess,
    RemoveResult,
    Result,
    RevokeResult,
    Role,
    RoleResult,
    State,
)
from guestlist.verbs.states import state_word

if TYPE_CHECKING:
    from guestlist.cli.document import (
        AccountRow,
        InvitationRow,
        MemberRow,
        ProviderRow,
        RoleRow,
        TokenRow,
    )
    from guestlist.ledger.log import LogLine
    from guestlist.runs.findings import Finding

WHO = Column("Guest", whole=True)
ACCOUNT = Column("Account", whole=True)
STATE = Column("State", whole=True)
ROLE = Column("Role")
WHEN = Column("When", style="dim", whole=True, spare=2)
DESCRIPTION = Column("Description", style="dim", cut=True)
ID = Column("Id", style="dim", whole=True, spare=9)

HIDDEN_SUSPENSION = "the service does not show whether a member is suspended"

SENT = ("sent", "not sent", "unknown")

OUTCOME_OF_GUEST: tuple[tuple[Column, Callable[[Any], Cell]], ...] = (
    (WHO, lambda row: row.guest.label),
    (ACCOUNT, lambda row: row.guest.account),
    (Column("Outcome", whole=True), lambda row: screen.state(row.outcome)),
)
"""The first columns of results about one person."""

R = TypeVar("R")

TABLES = {
    "Guest": "guests",
    "InviteResult": "invites",
    "RevokeResult": "withdrawals",
    "RemoveResult": "withdrawals",
    "OnboardResult": "onboardings",
    "OffboardResult": "offboardings",
    "RoleResult": "role_changes",
    "Access": "access",
    "OwnAccess": "own_access",
    "InvitationRow": "invitations",
    "MemberRow": "members",
    "RoleRow": "roles",
    "Finding": "findings",
    "LogLine": "orders",
    "AccountRow": "accounts",
    "TokenRow": "tokens",
    "ProviderRow": "providers",
}
"""The method of `Tables` that prints the rows of a class, by its name: a table of people needs none
of the other classes, which take time to load."""


class Tables:
    """Prints results as tables.

    Args:
        formatter: turns fields of records into text.
        secrets: show invitation links and keys.
        details: show all columns and details.
        indent: number of spaces at the left.
        hides_suspension: returns whether the service of an account does not show if a member is
            suspended.
    """

    def __init__(
        self,
        screen: Screen,
        formatter: RecordFormatter,
        *,
        secrets: bool = False,
        details: bool = False,
        indent: int = 0,
        hides_suspension: Callable[[str], bool] = lambda _account: False,
    ) -> None:
        self._screen = screen
        self._hides_suspension = hides_suspension
        self._format = formatter
        self._secrets = secrets
        self._details = details
        self._indent = indent

    def show(self, rows: Sequence[BaseModel]) -> None:
        """Prints each kind of row in a table of its own."""
        for kind, of_kind in groupby(rows, type):
            getattr(self, TABLES[kind.__name__])(list(of_kind))

    def guests(self, rows: Sequence[Guest]) -> None:
        """Prints the state of people."""
        self._list(
            rows,
            (WHO, lambda row: row.label),
            (ACCOUNT, lambda row: row.account),
            (STATE, self._state),
            (ROLE, self._format.roles_of),
            (WHEN, self._format.when),
            (Column("How we know", style="dim", whole=True, spare=3), basis_text),
            (ID, _id),
            *self._secret_columns(lambda row: row.invitation),
        )
        for row in rows:
            self._remark(row)

    def _remark(self, row: Guest) -> None:
        """Prints facts that have no column: other open invitations, and why the state is
        uncertain."""
        counting = None if row.state is State.ACCEPTED else row.invitation
        others = [one for one in row.invitations if one != counting]
        for one in others:
            roles = self._format.roles(row.account, one.roles)
            offer = f" as {roles}" if roles else ""
            self._explain(row.account, f"{row.label}: is also invited{offer} ({one.id})", row.label)
        if row.unidentified:
            self._explain(row.account, row.unidentified, row.label)
        if row.incomplete:
            self._explain(row.account, row.incomplete, row.label)
        self._note_hidden_suspension(row)

    def _note_hidden_suspension(self, guest: Guest) -> None:
        if guest.state is State.ACCEPTED and guest.member is not None and guest.suspended is None:
            line = f"{guest.account}: {guest.label}: {HIDDEN_SUSPENSION}"
            self._screen.line(line, style="dim")

    def _state(self, row: Guest) -> Text:
        shown = screen.state(row.state)
        if row.state is State.GONE:
            shown.plain = state_word(row.state)
        if row.suspended:
            shown = Text("suspended", "yellow")
        return shown

    def invites(self, rows: Sequence[InviteResult]) -> None:
        """Prints the results of `invite` and `resend`."""
        self._list(
            rows,
            *OUTCOME_OF_GUEST,
            (ROLE, lambda row: self._format.roles_of(row.guest)),
            (Column("Email", spare=3), lambda row: yes_or_no(row.email_sent, *SENT)),
            (WHEN, lambda row: self._format.when(row.guest)),
            (ID, lambda row: _id(row.guest)),
            *self._secret_columns(lambda row: row.guest.invitation),
        )
        self._warn(rows)

    def withdrawals(self, rows: Sequence[RevokeResult] | Sequence[RemoveResult]) -> None:
        """Prints the results of `revoke` and `remove`."""
        self._list(
            rows,
            *OUTCOME_OF_GUEST,
            (STATE, lambda row: self._state(row.guest)),
            (ROLE, lambda row: self._format.roles_of(row.guest)),
            (ID, lambda row: _id(row.guest)),
        )
        self._warn(rows)

    def onboardings(self, rows: Sequence[OnboardResult]) -> None:
        """Prints the results of `onboard`."""
        self._list(
            rows,
            *OUTCOME_OF_GUEST,
            (STATE, lambda row: screen.state(row.guest.state)),
            (Column("Invitation", spare=2), lambda row: screen.state(row.invited.outcome)),
            (ROLE, lambda row: ", ".join(one.role.label for one in row.granted)),
            (WHEN, lambda row: self._format.when(row.guest)),
        )
        for row in rows:
            if row.access:
                self._explain(row.guest.account, row.access.explanation, row.guest.label)

    def offboardings(self, rows: Sequence[OffboardResult]) -> None:
        """Prints the results of `offboard`."""
        found = [(row.person.label, one) for row in rows for one in row.accounts]
        self._list(
            found,
            (WHO, lambda one: one[0]),
            (ACCOUNT, lambda one: one[1].account),
            (Column("Outcome", whole=True), lambda one: screen.state(one[1].outcome)),
            (Column("What"), lambda one: self._taken_away(one[1])),
        )
        for label, one in found:
            for warning in one.warnings:
                print_message("warning", f"{one.account}: {label}: {warning}")

    def _taken_away(self, done: AccountOffboarding) -> str:
        """Returns what was taken away from a person in an account."""
        parts = ["membership" for _ in done.members]
        for one in done.invitations:
            offered = self._format.roles(done.account, one.roles)
            parts.append(f"invitation as {offered}" if offered else "invitation")
        parts += (f"deferred role {role}" for role in done.deferred)
        return ", ".join(parts)

    def role_changes(self, rows: Sequence[RoleResult]) -> None:
        """Prints the results of `assign-role` and `unassign-role`."""
        self._list(
            rows,
            (WHO, lambda row: row.guest.label),
            (ACCOUNT, lambda row: row.guest.account),
            (ROLE, lambda row: row.role.label),
            (Column("Outcome", whole=True), lambda row: spaced(row.outcome)),
        )
        self._warn(rows)

    def access(self, rows: Sequence[Access]) -> None:
        """Prints the effective access of people, with an explanation if there is none."""
        self._list(
            [(row.guest, *grant) for row in rows for grant in _grants(row)],
            (WHO, lambda held: held[0].label),
            (ACCOUNT, lambda held: held[0].account),
            (Column("Holds", whole=True), lambda held: held[1]),
            (Column("Through", style="dim"), lambda held: held[2]),
            (DESCRIPTION, lambda held: held[3]),
        )
        for row in rows:
            self._explain(row.guest.account, row.explanation, row.guest.label)
            self._note_hidden_suspension(row.guest)

    def own_access(self, rows: Sequence[OwnAccess]) -> None:
        """Prints the effective access of the owners of API keys."""
        self._list(
            [(row.account, *grant) for row in rows for grant in _grants(row)],
            (ACCOUNT, lambda held: held[0]),
            (Column("Holds", whole=True), lambda held: held[1]),
            (Column("Through", style="dim"), lambda held: held[2]),
            (DESCRIPTION, lambda held: held[3]),
        )
        for row in rows:
            self._explain(row.account, row.explanation)

    def invitations(self, rows: Sequence[InvitationRow]) -> None:
        """Prints the invitations of accounts."""
        invited = Column("Invited", style="dim", whole=True, spare=3)
        self._list(
            rows,
            (WHO, lambda row: row.label),
            (ACCOUNT, lambda row: row.account),
            (STATE, lambda row: screen.state(row.state)),
            (ROLE, lambda row: self._format.roles(row.account, row.roles)),
            (invited, lambda row: self._format.time(row.created_at)),
            (WHEN, self._format.expiry),
            (Column("By", style="dim", spare=8), lambda row: row.invited_by or ""),
            (ID, lambda row: row.id or ""),
            *self._secret_columns(lambda row: row),
        )

    def members(self, rows: Sequence[MemberRow]) -> None:
        """Prints the members of accounts."""
        joined = Column("Joined", style="dim", whole=True, spare=5)
        suspended = any(row.state is MemberState.SUSPENDED for row in rows)
        state = STATE if suspended else Column("State", spare=3)  # never hide a suspension
        self._list(
            rows,
            (Column("Member", whole=True), lambda row: row.label),
            (ACCOUNT, lambda row: row.account),
            (Column("Login", spare=6), lambda row: row.login or ""),
            (Column("Name", spare=4), lambda row: row.name or ""),
            (ROLE, lambda row: self._format.roles(row.account, row.roles or ())),
            (state, lambda row: spaced(row.state)),
            (joined, lambda row: self._format.time(row.joined_at)),
            (ID, lambda row: row.id),
        )
        for account in dict.fromkeys(row.account for row in rows):
            if self._hides_suspension(account):
                self._screen.line(f"{account}: {HIDDEN_SUSPENSION}", style="dim")

    def roles(self, rows: Sequence[RoleRow]) -> None:
        """Prints the roles that can be assigned."""
        self._list(
            rows,
            (ACCOUNT, lambda row: row.account),
            (Column("Kind", whole=True), lambda row: row.kind),
            (Column("Name", whole=True), lambda row: row.name or ""),
            (DESCRIPTION, _description),
            (ID, lambda row: row.id),
        )

    def findings(self, rows: Sequence[Finding]) -> None:
        """Prints the findings of an audit."""
        self._list(
            rows,
            (Column("Finding", whole=True), lambda row: spaced(row.kind)),
            (WHO, lambda row: row.person),
            (ACCOUNT, lambda row: row.account),
            (Column("Detail", yields=True), lambda row: row.detail),
        )

    def orders(self, rows: Sequence[LogLine]) -> None:
        """Prints orders of the ledger and their outcomes. With details, also their history."""
        if self._details and self._screen.for_programs:
            self._events(rows)
            return
        self._list(
            rows,
            (Column("When", style="dim", whole=True), lambda row: self._format.time(row.last_at)),
            (WHO, lambda row: row.email or row.key),
            (ACCOUNT, lambda row: row.account),
            (Column("Action", whole=True), lambda row: spaced(row.action)),
            (Column("Role", spare=4), _of_order),
            (Column("Result", yields=True), _result),
            (
                Column("Email", spare=5),
                lambda row: (
                    "" if row.email_sent is None else yes_or_no(row.email_sent, "sent", "not sent")
                ),
            ),
            (
                Column("Run", style="dim", whole=True, spare=8),
                lambda row: "" if row.run is None else str(row.run),
            ),
            (Column("Order", style="dim", whole=True, spare=9), lambda row: str(row.id)),
            (Column("By", style="dim", spare=7), lambda row: row.actor or ""),
            *([(Column("History"), self._history)] if self._details else []),
        )

    def _events(self, rows: Sequence[LogLine]) -> None:
        """Prints each event of the orders on a line of its own."""
        self._list(
            [(row, entry) for row in rows for entry in row.entries],
            (Column("When"), lambda one: self._format.time(one[1].at)),
            (WHO, lambda one: one[0].email),
            (ACCOUNT, lambda one: one[0].account),
            (Column("Action"), lambda one: spaced(one[0].action)),
            (Column("Role"), lambda one: _of_order(one[0])),
            (Column("Event"), lambda one: spaced(one[1].what)),
            (Column("Detail"), lambda one: one[1].detail or ""),
            (Column("Run"), lambda one: "" if one[0].run is None else str(one[0].run)),
            (Column("Order"), lambda one: str(one[0].id)),
            (Column("By"), lambda one: one[0].actor or ""),
            (Column("Host"), lambda one: one[0].host or ""),
            (Column("Job"), lambda one: one[0].job or ""),
            (Column("Note"), lambda one: one[0].note or ""),
        )

    def _history(self, row: LogLine) -> Text:
        lines = [
            f"{self._format.time(entry.at)} {spaced(entry.what)}"
            + (f": {entry.detail}" if entry.detail else "")
            for entry in row.entries
        ]
        if origin := _origin(row):
            lines.insert(1, origin)
        return self._screen.multiline(lines)

    def accounts(self, rows: Sequence[AccountRow]) -> None:
        """Prints the configured accounts and whether the services accept their keys."""
        marks = {
            True: Text("can read", "green"),
            False: Text("does not work", "red"),
            None: Text("unknown", "dim"),
        }
        self._list(
            rows,
            (ACCOUNT, lambda row: row.account),
            (Column("Service"), lambda row: row.title),
            (Column("Key", whole=True), lambda row: marks[row.working]),
            (Column("Organization"), lambda row: row.organization or ""),
            (Column("Address", style="dim", spare=1), lambda row: row.base_url),
        )
        if any(row.working for row in rows):
            print_message("hint", ONLY_READ)

    def tokens(self, rows: Sequence[TokenRow]) -> None:
        """Prints the tokens of the HTTP API."""
        self._list(
            rows,
            (Column("Id", whole=True), lambda row: row.id),
            (Column("Name", style="bold"), lambda row: row.name),
            (Column("Right", whole=True), lambda row: row.right),
            (Column("State", whole=True), _token_state),
            (Column("Expires"), lambda row: self._format.time(row.expires_at)),
            (Column("Last used"), lambda row: self._format.time(row.used_at)),
            (
                Column("Created", style="dim", spare=1),
                lambda row: self._format.time(row.created_at),
            ),
            (Column("By", style="dim", spare=2), lambda row: row.created_by or ""),
        )

    def providers(self, rows: Sequence[ProviderRow]) -> None:
        """Prints a row for each provider. If the screen is too narrow, prints the column about the
        tests as a second table."""
        columns: list[tuple[Column, Callable[[ProviderRow], Cell]]] = [
            (Column("Provider", whole=True), lambda row: row.name),
            (Column("Service", whole=True), lambda row: row.title),
            (Column("Roles"), lambda row: ", ".join(row.role_kinds)),
            (Column("Members have", whole=True), members_have),
            (Column("Lasts", whole=True), lifetime),
            (Column("Sandbox", whole=True), lambda row: "yes" if row.sandbox else "no"),
        ]
        tested: tuple[Column, Callable[[ProviderRow], Cell]] = (
            Column("Tested against"),
            lambda row: ", ".join(row.judges),
        )
        together = [column for column, _ in (*columns, tested)]
        cells = [[cell(row) for _, cell in (*columns, tested)] for row in rows]
        if self._screen.fits_in_lines(together, cells):
            self._table(together, cells)
            return
        self._list(rows, *columns)
        if any(row.judges for row in rows):
            self._screen.line()
            self._list([row for row in rows if row.judges], columns[0], tested)

    def _list(self, rows: Sequence[R], *columns: tuple[Column, Callable[[R], Cell]]) -> None:
        """Prints a line for each row. Each column has a function that returns its cell."""
        shown = [[cell(row) for _, cell in columns] for row in rows]
        self._table([column for column, _ in columns], shown)

    def _table(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
        self._screen.table(columns, rows, indent=self._indent)

    def _explain(self, account: str, explanation: str | None, email: str = "") -> None:
        """Prints why a person has no effective access."""
        if explanation:
            about = "" if email in explanation else f"{email}: "
            self._screen.line(f"{account}: {about}{explanation}", style="yellow")

    def _warn(self, rows: Iterable[Result]) -> None:
        for row in rows:
            for warning in row.warnings:
                about = filter(None, (row.guest.account, row.guest.label))
                print_message("warning", ": ".join((*about, warning)))

    def _secret_columns(
        self, invitation_of: Callable[[Any], Invitation | None]
    ) -> list[tuple[Column, Callable[[Any], Cell]]]:
        if not self._secrets:
            return []

        def secret(name: str) -> Callable[[Any], Cell]:
            def shown(row: Any) -> Cell:
                value = getattr(invitation_of(row), name, None)
                return value.get_secret_value() if value else ""

            return shown

        return [(Column("Link"), secret("link")), (Column("Key"), secret("key"))]


def _id(guest: Guest) -> str:
    record: Invitation | Member | None = guest.invitation
    if guest.state is State.ACCEPTED:
        record = guest.member
    return (record.id if record else None) or ""


def _token_state(row: TokenRow) -> Text:
    if row.valid:
        return Text("valid", "green")
    return Text("expired" if row.revoked_at is None else "revoked", "red")


def _of_order(row: LogLine) -> str:
    return ", ".join((*row.roles, *(f"{role} (deferred)" for role in row.deferred)))


def _origin(row: LogLine) -> str:
    """Returns who asked for an order, where and why, as far as the ledger knows it."""
    where = [
        *([f"by {row.actor}"] if row.actor else []),
        *([f"on {row.host}"] if row.host else []),
        *([f"in {row.job}"] if row.job else []),
    ]
    return " ".join(where) + (f" ({row.note})" if row.note else "")


def _result(row: LogLine) -> Text:
    state = screen.state(row.state)
    if row.outcome and (
        row.state in (LineState.DONE, LineState.DROPPED) or row.outcome == NO_EFFECT
    ):  # the outcome says more than the state
        state.plain = spaced(row.outcome)
    return Text().append_text(state).append(f": {printable(row.detail)}" if row.detail else "")


def _grants(row: Access | OwnAccess) -> list[tuple[str, str, str]]:
    return [
        (grant.role.label, grant_path(grant), _description(grant.role)) for grant in row.grants
    ] or [("nothing", "", "")]


def _description(role: Role) -> str:
    """Returns what a role is for, preceded by the reason if it cannot be assigned."""
    no = f"not assignable: {role.not_assignable}" if role.not_assignable else ""
    return ". ".join(filter(None, (no, role.description or "")))
