"""The commands that list invitations, members, roles and accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pydantic import BaseModel

from guestlist.cli.batch import Task, run_each, tasks_of
from guestlist.cli.document import AccountRow, InvitationRow, MemberRow, RoleRow
from guestlist.cli.session import Session
from guestlist.errors import Forbidden, GuestlistError, Unauthorized


def run_invitations(session: Session) -> None:
    """`invitations`: lists invitations."""

    def invitations(task: Task) -> Iterator[BaseModel]:
        found = session.guests.invitations(state=session.arguments.state, account=task.account)
        for one in found:
            yield InvitationRow.model_construct(**dict(one), account=task.account)

    _read_each(session, invitations)


def run_members(session: Session) -> None:
    """`members`: lists members."""

    def members(task: Task) -> Iterator[BaseModel]:
        for one in session.guests.members(account=task.account):
            yield MemberRow.model_construct(**dict(one), account=task.account)

    _read_each(session, members)


def run_roles(session: Session) -> None:
    """`roles`: lists the roles that can be assigned."""

    kind = session.arguments.kind

    def roles(task: Task) -> Iterator[BaseModel]:
        for one in session.guests.roles(kind=kind, account=task.account):
            yield RoleRow.model_construct(**dict(one), account=task.account)

    accounts = session.accounts(every=True)
    providers = session.guests.accounts
    having = [name for name in accounts if kind in (None, *providers[name].role_kinds)]
    # If no account has this kind, read all of them: the error for each account lists its kinds.
    run_each(session, tasks_of(having or accounts), roles, changes=False)


def run_check(session: Session) -> None:
    """`check`: lists the accounts and checks their keys."""
    refusals: dict[str, GuestlistError] = {}

    def check(task: Task) -> Iterator[BaseModel]:
        provider = session.guests.accounts[task.account]
        organization = ""
        working: bool | None = True
        try:
            organization = session.guests.check(account=task.account)
        except GuestlistError as error:
            refusals[task.account] = error
            # any other error, such as a wrong base_url, says nothing about the key
            working = False if isinstance(error, Unauthorized | Forbidden) else None
        yield AccountRow(
            account=task.account,
            provider=provider.name,
            title=provider.title,
            base_url=provider.base_url,
            working=working,
            organization=organization or None,
        )

    _read_each(session, check)
    session.errors += [refusals[name] for name in sorted(refusals)]


def _read_each(session: Session, work: Callable[[Task], Iterator[BaseModel]]) -> None:
    run_each(session, tasks_of(session.accounts(every=True)), work, changes=False)
