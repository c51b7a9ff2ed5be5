"""Prints a plan: one line for each change, and the totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice

from guestlist.changes import IMPOSSIBLE, Action, Change, label
from guestlist.cli.screen import Column, Screen, Text, cell_len
from guestlist.cli.text import comma_list, printable, spaced, with_flags
from guestlist.humanize import quantity
from guestlist.roster.diff import Note
from guestlist.roster.plan import Plan

SIGNS = {
    Action.INVITE: ("+", "green"),
    Action.RESEND: ("~", "yellow"),
    Action.REPLACE: ("~", "yellow"),
    Action.ASSIGN_ROLE: ("+", "green"),
    Action.SETTLE: ("+", "green"),
    Action.UNASSIGN_ROLE: ("-", "red"),
    Action.REVOKE: ("-", "red"),
    Action.REMOVE: ("-", "red"),
    Action.WITHDRAW: ("-", "yellow"),
    Action.DEFER: ("+", "yellow"),
}
"""The sign before a change, and its color."""

MAX_CHANGES_ON_TERMINAL = 40
"""Changes of one account that a terminal shows without `-v`."""

COLUMNS = [
    Column(""),
    Column("Change", whole=True),
    Column("Guest", whole=True),
    Column("What", yields=True),  # never omitted, because the user must see it before confirming
    Column("Why", style="dim", yields=True, spare=1),
]


def show_changes(screen: Screen, plan: Plan, titles: dict[str, str], *, everything: bool) -> None:
    """Prints the changes of a plan by account. On a terminal, only the first changes of each
    account.

    Args:
        titles: the name of each account's service.
        everything: print all changes on a terminal too.
    """
    everything = everything or not screen.out.is_terminal
    for account in sorted(plan.summary.counts):
        counts = plan.summary.counts[account]
        number = sum(counts.values()) - sum(counts.get(one, 0) for one in IMPOSSIBLE)
        impossible = [
            change
            for change in (plan.changes(account) if IMPOSSIBLE.intersection(counts) else ())
            # a change without an address affects the whole account, and is printed as an error
            if change.action in IMPOSSIBLE and change.label
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
    """Prints a table of any length in constant memory, one uncut line for each change."""

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
    """Prints a Markdown heading, and the output of the block as preformatted text."""
    screen.line(f"### {title}")
    screen.line()
    screen.line("```text")
    yield
    screen.line("```")


def _show_impossible(screen: Screen, changes: Iterable[Change]) -> None:
    """Prints each reason once, with the people it applies to."""
    whom: dict[tuple[Action, str], list[str]] = {}
    for change in changes:
        whom.setdefault((change.action, with_flags(change.reason)), []).append(change.label)
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
        Text(spaced(change.action), style=style),
        change.label,
        change_text(change),
        with_flags(change.reason),
    ]


def change_text(change: Change) -> str:
    """Returns the roles and options that a change gives or takes."""
    parts = [", ".join(map(label, change.roles))] if change.roles else []
    if change.deferred:
        instead = "instead " if change.action is Action.WITHDRAW else ""
        parts.append(f"{instead}{comma_list(list(map(label, change.deferred)))} when accepted")
    parts += [f"{name}={value}" for name, value in change.options.items()]
    return "; ".join(parts)


SINGULAR_NOTES = {
    "fits": "as the roster wants them",
    "invited": "invited, and not accepted yet",
    "deferred": "role to be given after acceptance",
    "not yet": "to be invited at a later date",
    "unlisted": "not in the roster (--prune removes them)",
    "kept": "not in the roster, but protected from removal",
    "programs": "login of a program, left alone",
    "unnamed": "member without an address, left alone",
    "candidates": "who may be a person of the roster under another address or login, left alone",
    "suspended": "suspended (locked out), otherwise as the roster wants them",
    "unseen": "member whose roles the service does not show",
    "held back": "held back, because a wanted role or option is not available (see the error)",
}
"""Texts for the counts that are not changes, for one person."""

PLURAL_NOTES = {
    "deferred": "roles to be given after acceptance",
    "programs": "logins of programs, left alone",
    "unnamed": "members without an address, left alone",
    "unseen": "members whose roles the service does not show",
}
"""Texts for several people, if they differ from those for one."""


def show_notes(
    screen: Screen, notes: Mapping[str, Mapping[Note, int]], hiding: Collection[str] = ()
) -> None:
    """Prints the counts of people who need no change.

    Args:
        hiding: accounts whose services do not show whether a member is suspended.
    """
    for account, counted in sorted(notes.items()):
        parts = [
            f"{number:,} {_note_text(note, number)}" for note, number in counted.items() if number
        ]
        if account in hiding and counted.get(Note.FITS):
            parts.append("not known whether members are suspended")
        if parts:
            screen.line(Text.assemble((f"{account}: ", "bold"), (", ".join(parts), "dim")))


def _note_text(note: Note, number: int) -> str:
    singular = SINGULAR_NOTES[note]
    return singular if number == 1 else PLURAL_NOTES.get(note, singular)


TOTAL_TEXTS = {
    Action.ASSIGN_ROLE: "assign a role",
    Action.UNASSIGN_ROLE: "unassign a role",
}
"""Texts for actions in the totals, if they differ from the action's name."""


def totals_text(counts: Counter[Action], unread: Sequence[str] = ()) -> str:
    """Returns the totals of a plan as text, such as `3 to invite, 1 to revoke`.

    Args:
        unread: accounts that could not be read.
    """
    parts = [
        f"{counts[action]:,} to {TOTAL_TEXTS.get(action, action)}"
        for action in Action
        if counts[action] and action not in IMPOSSIBLE
    ]
    if counts[Action.UNRESOLVED]:
        parts.append(f"{counts[Action.UNRESOLVED]:,} unresolved")
    if counts[Action.CANNOT]:
        parts.append(f"{quantity(counts[Action.CANNOT], 'change')} not possible")
    if not unread:
        return ", ".join(parts) or "nothing to do"
    unread_text = f"{comma_list(list(unread))} could not be read"
    return (
        f"{', '.join(parts)}; {unread_text}" if parts else f"{unread_text}; nothing to do elsewhere"
    )
