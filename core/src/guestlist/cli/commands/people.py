"""The commands about people. They call a verb for each address in each account."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pydantic import BaseModel

from guestlist.address import read_email
from guestlist.cli.batch import Task, run_each, tasks_of
from guestlist.cli.parser import UsageError
from guestlist.cli.session import Session
from guestlist.errors import Conflict, InvalidArgument
from guestlist.models import State

Verb = Callable[[Task], BaseModel]
"""Calls a verb of the client for one person in one account."""


def run_invite(session: Session) -> None:
    """`invite`: invites people who are neither invited nor members."""
    given = session.arguments
    options = _options(session)
    _check_login(session)

    def invite(task: Task) -> BaseModel:
        return session.guests.invite(
            task.who,
            login=given.login,
            role=given.role,
            send_email=not given.no_email,
            if_exists=given.if_exists,
            retry_unknown=given.retry_unknown,
            options=options,
            account=task.account,
        )

    _change(session, invite, ids=False)


def run_onboard(session: Session) -> None:
    """`onboard`: invites people, waits until they have joined, and gives them roles."""
    given = session.arguments
    options = _options(session)
    _check_login(session)
    longest = {} if given.timeout is None else {"timeout": given.timeout}

    def onboard(task: Task) -> Iterator[BaseModel]:
        done = session.guests.onboard(
            task.who,
            login=given.login,
            role=given.role,
            retry_unknown=given.retry_unknown,
            options=options,
            account=task.account,
            **longest,
        )
        yield done
        if done.missing:
            missing = ", ".join(role.label for role in done.missing)
            session.errors.append(
                Conflict(
                    f"the service does not show {missing}, which was assigned",
                    hint="Check again with `guestlist access`. Another person may have removed it.",
                    account=task.account,
                    email=task.who,
                )
            )

    accounts = session.accounts(every=False)
    _check_addresses(session, ids=False)
    run_each(session, tasks_of(accounts, given.who), onboard, changes=True, resumable=True)


def _check_addresses(session: Session, *, ids: bool) -> None:
    """Checks all addresses before any request is sent.

    Args:
        ids: accept ids (words without @) and logins (with a leading @), which the verb checks.

    Raises:
        InvalidArgument: an address is invalid. The session gets the errors of other addresses.
    """
    problems = []
    for who in dict.fromkeys(session.arguments.who):
        if ids and "@" not in who[1:]:
            continue
        try:
            if ids:  # members may be outside the allowed domains
                read_email(who)
            else:
                session.guests.check_address(who)
        except InvalidArgument as error:
            problems.append(error.about(email=who if "@" in who else None))
    if problems:
        session.errors += problems[:-1]
        raise problems[-1]


def _check_login(session: Session) -> None:
    """Checks that `--login` is given for one person only."""
    if session.arguments.login and len(session.arguments.who) > 1:
        raise UsageError("--login needs exactly one address", hint="Give each person separately.")


def _options(session: Session) -> dict[str, str]:
    given = session.arguments.option
    options = dict(given)
    if len(options) < len(given):
        raise UsageError("an --option is given twice", hint="Give each option once.")
    return options


def run_resend(session: Session) -> None:
    """`resend`: sends the email of an invitation again."""
    _change(session, lambda task: session.guests.resend(task.who, account=task.account))


def run_status(session: Session) -> None:
    """`status`: shows whether people are invited or members."""
    _read(session, lambda task: session.guests.status(task.who, account=task.account))


def run_wait(session: Session) -> None:
    """`wait`: waits until a state is reached. `--timeout` limits the wait; each check keeps its own
    budget."""
    given = session.arguments
    longest = {} if given.timeout is None else {"timeout": given.timeout}
    states = given.until or [State.ACCEPTED]

    def wait(task: Task) -> Iterator[BaseModel]:
        yield session.guests.wait(task.who, until=states, account=task.account, **longest)

    accounts = session.accounts(every=False)
    _check_addresses(session, ids=True)
    run_each(session, tasks_of(accounts, given.who), wait, changes=False)


def run_revoke(session: Session) -> None:
    """`revoke`: withdraws invitations."""
    _change(session, lambda task: session.guests.revoke(task.who, account=task.account))


def run_remove(session: Session) -> None:
    """`remove`: removes members."""
    _change(session, lambda task: session.guests.remove(task.who, account=task.account))


def run_assign_role(session: Session) -> None:
    """`assign-role`: gives a role to members or invited people."""
    role = session.arguments.role
    _change(session, lambda task: session.guests.assign_role(task.who, role, account=task.account))


def run_unassign_role(session: Session) -> None:
    """`unassign-role`: takes a role from members or invited people."""
    role = session.arguments.role
    _change(
        session, lambda task: session.guests.unassign_role(task.who, role, account=task.account)
    )


def run_access(session: Session) -> None:
    """`access`: shows the effective access of people."""
    _read(session, lambda task: session.guests.access(task.who, account=task.account))


def run_own_access(session: Session) -> None:
    """`own-access`: shows the effective access of the owners of the accounts' keys."""
    tasks = tasks_of(session.accounts(every=True))
    run_each(
        session, tasks, lambda one: [session.guests.own_access(account=one.account)], changes=False
    )


def _change(session: Session, verb: Verb, *, ids: bool = True) -> None:
    """Runs a verb that changes something, in one account only unless several are named.

    Args:
        ids: whether the verb accepts ids as well as addresses.
    """
    accounts = session.accounts(every=False)
    _check_addresses(session, ids=ids)
    tasks = tasks_of(accounts, session.arguments.who)
    run_each(session, tasks, lambda task: [verb(task)], changes=True)


def _read(session: Session, verb: Verb) -> None:
    """Runs a verb that changes nothing, in all accounts. An id or a login belongs to one account:
    with these, there must be only one."""
    people = session.arguments.who
    accounts = session.accounts(every=all("@" in who[1:] for who in people))
    run_each(session, tasks_of(accounts, people), lambda task: [verb(task)], changes=False)
