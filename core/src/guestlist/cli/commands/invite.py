"""`invite`: people have an open invitation, or are in."""

from __future__ import annotations

from collections.abc import Iterator

from guestlist.cli.batch import Task, run_each, tasks_for
from guestlist.cli.document import InviteRow
from guestlist.cli.parser import UsageError
from guestlist.cli.screen import Screen
from guestlist.cli.session import Session
from guestlist.cli.showing import tables_of


def run(session: Session) -> None:
    given = session.arguments
    options = _options(given.option)

    def invite(task: Task) -> Iterator[InviteRow]:
        result = session.guests.invite(
            task.who,
            role=given.role,
            mail=not given.no_mail,
            if_exists=given.if_exists,
            options=options,
            account=task.account,
        )
        yield InviteRow.model_construct(**dict(result))

    run_each(session, tasks_for(session.accounts(every=False), given.who), invite, changes=True)


def _options(pairs: list[tuple[str, str]]) -> dict[str, str]:
    options = dict(pairs)
    if len(options) < len(pairs):
        raise UsageError("an option is given twice", hint="Give each --option once.")
    return options


def show(session: Session, screen: Screen) -> None:
    tables_of(session, screen).invites([r for r in session.results if isinstance(r, InviteRow)])
