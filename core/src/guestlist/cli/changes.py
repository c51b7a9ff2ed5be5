"""Showing a plan: each change on a line, and what it all comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice

from guestlist.changes import IMPOSSIBLE, Action, Change, label
from guestlist.cli.screen import Column, Screen, Text, cell_len
from guestlist.cli.text import comma_list, printable, quantity
from guestlist.roster import Note, Plan

SIGNS = {
    Action.INVITE: ("+", "green"),
    Action.RESEND: ("~", "yellow"),
    Action.REPLACE: ("~", "yellow"),
    Action.ASSIGN: ("+", "green"),
    Action.SETTLE: ("+", "green"),
    Action.UNASSIGN: ("-", "red"),
    Action.REVOKE: ("-", "red"),
    Action.REMOVE: ("-", "red"),
    Action.WITHDRAW: ("-", "yellow"),
    Action.DEFER: ("+", "yellow"),
}
"""What stands before a change, and its colour."""

MAX_CHANGES_ON_TERMINAL = 40
"""Changes of one account that are shown, unless everything is asked for."""

COLUMNS = [
    Column(""),
    Column("Change", whole=True),
    Column("Guest", whole=True),
    Column("What", yields=True),  # nobody should confirm a plan without seeing what it gives
    Column("Why", style="dim", yields=True, spare=1),
]


def show_changes(screen: Screen, plan: Plan, titles: dict[str, str], *, everything: bool) -> None:
    """Shows the changes, account by account. A terminal gets only the first of each account.

    Args:
        titles: what people call the service of an account.
        everything: show all changes on a terminal, too.
    """
    everything = everything or not screen.out.is_terminal
    for account in sorted(plan.summary.counts):
        counts = plan.summary.counts[account]
        number = sum(counts.values()) - sum(counts.get(one, 0) for one in IMPOSSIBLE)
        impossible = [
            change
            for change in (plan.changes(account) if IMPOSSIBLE.intersection(counts) else ())
            # without an address, nobody can have it: that is an error and shown as one
            if change.action in IMPOSSIBLE and change.email
        ]
        if not number and not impossible:
            continue
        screen.line(Text.assemble((account, "bold"), (f"  {titles.get(account, '')}", "dim")))
        possible = partial(_possible, plan, account)
        if number and screen.for_programs:
            _print_lines(screen, possible)
        elif number:
            shown = possible() if everything else islice(possible(), MAX_CHANGES_ON_TERMINAL)
            screen.table(COLUMNS, [_cells(change) for change in shown], indent=2)
        _show_impossible(screen, impossible)
        if number > MAX_CHANGES_ON_TERMINAL and not everything:
            screen.line(
                f"… and {number - MAX_CHANGES_ON_TERMINAL:,} more (-v shows all)",
                indent=2,
                style="dim",
            )
        screen.line()


def _possible(plan: Plan, account: str) -> Iterator[Change]:
    return (change for change in plan.changes(account) if change.action not in IMPOSSIBLE)


def _print_lines(screen: Screen, changes: Callable[[], Iterator[Change]]) -> None:
    """Prints a table of any length in constant memory: a line for each change, none of it cut."""

    def rows() -> Iterator[list[str]]:
        return ([printable(str(cell)) for cell in _cells(change)] for change in changes())

    widths = [0] * len(COLUMNS)
    for row in rows():
        widths = [max(width, cell_len(cell)) for width, cell in zip(widths, row, strict=True)]
    shown = [place for place, width in enumerate(widths) if width]
    titles = [column.title for column in COLUMNS]
    widths = [max(width, len(title)) for width, title in zip(widths, titles, strict=True)]
    for row in chain([titles], rows()):
        cells = (row[place] + " " * (widths[place] - cell_len(row[place])) for place in shown)
        screen.out.file.write(f"  {'  '.join(cells).rstrip()}\n")


@contextmanager
def markdown_block(screen: Screen, title: str) -> Iterator[None]:
    """Prints a heading in Markdown, and what is printed within the block as preformatted text."""
    screen.line(f"### {title}")
    screen.line()
    screen.line("```text")
    yield
    screen.line("```")


def _show_impossible(screen: Screen, changes: Iterable[Change]) -> None:
    """Shows each reason once, with the people that it is about."""
    whom: dict[tuple[Action, str], list[str]] = {}
    for change in changes:
        whom.setdefault((change.action, change.reason), []).append(change.email)
    for (action, reason), emails in whom.items():
        sign = "?" if action is Action.UNRESOLVED else "!"
        about = emails[0] if len(emails) == 1 else f"{len(emails)} people"
        screen.line(Text.assemble((f"{sign}  ", "magenta"), f"{about}: {reason}"), indent=2)
        if emails[1:]:
            screen.line(", ".join(emails), indent=5, style="dim")


def _cells(change: Change) -> list[str | Text]:
    sign, style = SIGNS[change.action]
    return [
        Text(sign, style=style),
        Text(change.action, style=style),
        change.email,
        change_text(change),
        change.reason,
    ]


def change_text(change: Change) -> str:
    """What a change gives or takes."""
    told = [", ".join(map(label, change.roles))] if change.roles else []
    if change.owed:
        instead = "instead " if change.action is Action.WITHDRAW else ""
        told.append(f"{instead}{comma_list(list(map(label, change.owed)))} when accepted")
    told += [f"{name}={value}" for name, value in change.options.items()]
    return "; ".join(told)


SINGULAR_NOTES = {
    "fits": "as the roster wants them",
    "invited": "invited, and not accepted yet",
    "owed": "role to be given after acceptance",
    "not yet": "wanted from a later day on",
    "unlisted": "there, and not in the roster (--prune takes them out)",
    "kept": "not in the roster, and never taken out",
    "programs": "login of a program, left alone",
    "unseen": "member whose roles the service does not show",
    "held back": "held back: what is wanted for them cannot be had (see the error)",
}
"""What is counted and is not a change, of one person."""

PLURAL_NOTES = {
    "owed": "roles to be given after acceptance",
    "programs": "logins of programs, left alone",
    "unseen": "members whose roles the service does not show",
}
"""The same of several people, if that differs."""


def show_notes(screen: Screen, notes: Mapping[str, Mapping[Note, int]]) -> None:
    """Says what was counted besides."""
    for account, counted in sorted(notes.items()):
        told = [
            f"{number:,} {_note_text(note, number)}" for note, number in counted.items() if number
        ]
        if told:
            screen.line(Text.assemble((f"{account}: ", "bold"), (", ".join(told), "dim")))


def _note_text(note: Note, number: int) -> str:
    singular = SINGULAR_NOTES[note]
    return singular if number == 1 else PLURAL_NOTES.get(note, singular)


def totals_text(counts: Counter[Action], unread: Sequence[str] = ()) -> str:
    """What a plan comes to: `3 to invite, 1 to assign`.

    Args:
        unread: accounts that could not be read.
    """
    told = [
        f"{counts[action]:,} to {action}"
        for action in Action
        if counts[action] and action not in IMPOSSIBLE
    ]
    if counts[Action.UNRESOLVED]:
        told.append(f"{counts[Action.UNRESOLVED]:,} unresolved")
    if counts[Action.CANNOT]:
        told.append(f"{quantity(counts[Action.CANNOT], 'change')} not possible")
    if not unread:
        return ", ".join(told) or "nothing to do"
    lacking = f"{comma_list(list(unread))} could not be read"
    return f"{', '.join(told)}; {lacking}" if told else f"{lacking}; nothing to do elsewhere"
