"""`who`: shows the people of all accounts as a matrix."""

from __future__ import annotations

import string
from collections.abc import Sequence

from guestlist.cli.exports import check_format, print_export
from guestlist.cli.run_reporter import account_progress
from guestlist.cli.screen import STYLES, Cell, Column, Screen, Text
from guestlist.cli.session import Session, no_account_error
from guestlist.client import Guestlist
from guestlist.config import config_path
from guestlist.models import Guest, State
from guestlist.roster.file import Roster, read_roster
from guestlist.runs.people import People, who
from guestlist.runs.person import Person

SUSPENDED, NOT_READ, UNCLEAR = "suspended", "not read", "unclear"
WORDS = {
    State.ACCEPTED: "member",
    State.PENDING: "invited",
    State.AWAITING_APPROVAL: "approval",
    State.UNKNOWN: UNCLEAR,
}
"""Words for the states that differ from the name of the state."""
MARKS = {
    "member": "M",
    "invited": "I",
    "approval": "A",
    "suspended": "S",
    "expired": "e",
    "declined": "d",
    UNCLEAR: "?",
    NOT_READ: "!",
}
"""The letter for each word in a narrow matrix."""
MEANINGS = {
    "M": "member",
    "I": "invited",
    "A": "invited, waits for approval",
    "S": "suspended member",
    "e": "invitation expired",
    "d": "invitation declined",
    "?": "unknown",
    "!": "account not read",
}
COLORS = {
    **{word: STYLES[state] for state, word in WORDS.items()},
    **{str(state): style for state, style in STYLES.items()},
    SUSPENDED: "yellow",
    NOT_READ: "red",
    UNCLEAR: "dim",
}
ABSENT = "·"


def run_who(session: Session) -> None:
    """Reads all accounts, and prints the people who match the pattern."""
    given = session.arguments
    check_format(session)
    roster, guests = _open(session)
    names = list(dict.fromkeys(given.account)) or list(guests.accounts)
    if not names:
        raise no_account_error()
    progress = account_progress(session.status, guests.accounts)
    with who(roster, client=guests, accounts=names, on_progress=progress) as people:
        found = [
            person
            for person in people
            if person.guests and (given.pattern is None or person.matches(given.pattern))
        ]
    session.errors += [*people.errors.values(), *people.problems]
    session.results += found
    matrix = [[_word(person, name, people) for name in people.accounts] for person in found]
    columns = ["person", *people.accounts]
    lines = [[person.label, *words] for person, words in zip(found, matrix, strict=True)]
    if print_export(session, columns, lines) or session.screen is None:
        return
    session.status.pause()
    if found:
        _show(session.screen, found, people.accounts, matrix)
        _show_notes(session.screen, guests, people, matrix)
        session.printed = True


def _open(session: Session) -> tuple[Roster | None, Guestlist]:
    """Returns the roster in the accounts' file, and the client. None if there is no file."""
    path = config_path(session.arguments.config)
    if path is None:
        return None, session.guests
    roster = read_roster(path, allow_empty=True)
    return roster, session.open_client(session.config(roster.toml, starts_sandbox=True))


def _word(person: Person, account: str, people: People) -> str:
    """Returns the state of a person in an account as a word. Empty if they are not there."""
    if account in people.errors:
        return NOT_READ
    guest = person.guest(account)
    if guest is None:
        return UNCLEAR if account in person.unclear else ""
    return state_word(guest)


def state_word(guest: Guest) -> str:
    """Returns the state of a person in an account as a word."""
    return SUSPENDED if guest.suspended else WORDS.get(guest.state, str(guest.state))


def _show(
    screen: Screen, found: Sequence[Person], accounts: Sequence[str], matrix: list[list[str]]
) -> None:
    """Prints a column of words for each account, or one of letters if the screen is too narrow."""
    people = Column("Person", whole=True)
    columns = [people, *(Column(name, whole=True) for name in accounts)]
    rows: list[list[Cell]] = [
        [person.label, *(Text(word or ABSENT, COLORS.get(word, "dim")) for word in words)]
        for person, words in zip(found, matrix, strict=True)
    ]
    if screen.fits(columns, rows):
        screen.table(columns, rows)
        return
    letters = _letters(len(accounts))
    width = max(map(len, letters))
    _show_legend(screen, [f"{one} {name}" for one, name in zip(letters, accounts, strict=True)])
    screen.line()
    title = " ".join(letter.ljust(width) for letter in letters)
    marks = [
        Text(" ").join(
            Text(MARKS.get(word, ABSENT).ljust(width), COLORS.get(word, "dim")) for word in words
        )
        for words in matrix
    ]
    labels = [person.label for person in found]
    cells = list(zip(labels, marks, strict=True))
    screen.table([people, Column(title, whole=True)], cells)
    used = {MARKS[word] for words in matrix for word in words if word}
    screen.line()
    _show_legend(screen, [f"{sign} {text}" for sign, text in MEANINGS.items() if sign in used])


def _show_legend(screen: Screen, items: Sequence[str]) -> None:
    """Prints items in as many lines as they need. An item is never broken."""
    line = ""
    for item in items:
        if line and len(line) + 2 + len(item) > screen.out.width:
            screen.line(line, style="dim")
            line = ""
        line += f"  {item}" if line else item
    screen.line(line, style="dim")


def _letters(count: int) -> list[str]:
    """Returns a short name for each account: a to z, then a1, b1 and so on."""
    alphabet = string.ascii_lowercase
    return [
        alphabet[number % 26] + (str(number // 26) if number >= 26 else "")
        for number in range(count)
    ]


def _show_notes(screen: Screen, guests: Guestlist, people: People, matrix: list[list[str]]) -> None:
    """Prints the accounts in which it is unknown whether a person is a member."""
    unclear = [
        name
        for number, name in enumerate(people.accounts)
        if any(words[number] == UNCLEAR for words in matrix)
    ]
    for name in unclear:
        title = guests.accounts[name].title
        text = (
            f"{name}: {title} shows the logins of members, not their addresses. Add"
            f" logins.{name} to the roster to see which member is which person."
        )
        screen.line(text, style="dim")
