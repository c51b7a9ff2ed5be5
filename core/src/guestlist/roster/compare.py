"""Comparing what is wanted with what is there, one person after another."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from guestlist.changes import MAILS, ORDER, Action, Change
from guestlist.client import Guestlist
from guestlist.errors import UnknownRole
from guestlist.exchange.account import Account
from guestlist.models import OPEN_STATES
from guestlist.roster.deferred_grants import Debt, unwanted, wish_brief
from guestlist.roster.desired import Wish, Wishes, until
from guestlist.roster.diff import (
    Entry,
    Note,
    Rules,
    deferred_roles,
    differences,
    owed_instead,
    unlikeness,
)
from guestlist.roster.limits import Guard
from guestlist.roster.reading import Reading, invitation_from, roles_from, seen
from guestlist.roster.store import Fact, Kind, Scratch

Row = tuple[int, int, str, str]
"""A change as it is kept: account, place of the action in the order, key and body."""


PlaceOf = Callable[[str, str], str]
"""Returns where a roster names a role in an account, such as `guestlist.toml:12`, or nothing."""


class Compared:
    """What is needed to compare the people of one account, and what that came to."""

    def __init__(
        self,
        guests: Guestlist,
        name: str,
        reading: Reading,
        prune: bool,
        invite_declined: bool,
        protected: frozenset[str],
    ) -> None:
        self.name = name
        self.provider = guests.accounts[name]
        self.wishes = Wishes(self.provider, reading.roles)
        self.account = Account(name, self.provider, guests.clock)
        self.rules = Rules(
            account=name,
            provider=self.provider,
            roles=reading.roles,
            check=guests.check_order,
            prune=prune,
            invite_declined=invite_declined,
            protected=protected,
        )
        self.problems = reading.problems
        self.counts: Counter[Action] = Counter()
        self.notes: Counter[Note] = Counter({Note.PROGRAMS: reading.programs})

    def row(self, number: int, change: Change) -> Row:
        """Counts a change, and returns it as it is kept."""
        self.counts[change.action] += 1
        body = change.model_dump_json(exclude_defaults=True)
        return number, ORDER[change.action], change.key, body


class Differs:
    """Whether anything may have to change for a person, by a summary of the invitation.

    Args:
        compared: makes what is needed to compare the people of one account.
        people: compare only the people with these keys; empty for everybody.
    """

    def __init__(
        self, compared: Callable[[str, Reading], Compared], people: Collection[str] = ()
    ) -> None:
        self._make = compared
        self._people = people
        self._compared: dict[str, Compared] = {}

    def __call__(self, name: str, reading: Reading, facts: Sequence[Fact]) -> bool:
        if self._people and facts[0].key not in self._people:
            return False
        account = self._compared.get(name)
        if account is None:
            account = self._compared[name] = self._make(name, reading)
        wish = _wish(account, facts)
        if _agreed(account, wish, facts) is not None:
            return False
        found = _looked_into(account, wish, facts)
        recorded = (Action.WITHDRAW, Action.DEFER)  # nothing is sent for them
        return any(isinstance(one, Change) and one.action not in recorded for one in found)


def compare(
    scratch: Scratch,
    accounts: Sequence[Compared | None],
    guard: Guard,
    place_of: PlaceOf,
    people: Collection[str] = (),
    *,
    retry_unknown: bool = False,
) -> None:
    """Goes through all people once, and writes the changes into the scratch space.

    Args:
        accounts: by number; None for one that cannot be read.
        place_of: see `PlaceOf`.
        people: compare only the people with these keys; empty for everybody.
        retry_unknown: whether people get an email although an earlier one may have gone out.
    """
    changes = _of_people(scratch, accounts, guard, place_of, people, retry_unknown)
    scratch.add_changes(changes)
    scratch.add_changes(_of_problems(scratch, accounts))


def _of_people(
    scratch: Scratch,
    accounts: Sequence[Compared | None],
    guard: Guard,
    place_of: PlaceOf,
    people: Collection[str],
    retry_unknown: bool,
) -> Iterator[Row]:
    for facts in scratch.people():
        if people and facts[0].key not in people:
            continue
        number = facts[0].account
        account = accounts[number]
        if account is None:
            continue
        wish = _wish(account, facts)
        for problem in wish.problems if wish else ():
            place = _place_of(account, problem, facts, place_of)
            scratch.add_problem(number, problem, facts[0].body, place)
        notes = _agreed(account, wish, facts)
        if notes is not None:
            account.notes.update(notes)
            continue
        for found in _looked_into(account, wish, facts):
            if isinstance(found, Note):
                account.notes[found] += 1
            else:
                change = _with_unresolved(found, facts, retry_unknown)
                yield account.row(number, guard.pass_(change))


def _with_unresolved(change: Change, facts: Sequence[Fact], retry: bool) -> Change:
    """Returns a change as it is if the outcome of an earlier email to the person is unknown."""
    earlier = [fact.body for fact in facts if fact.kind == Kind.UNRESOLVED]
    if not earlier or change.action not in MAILS:
        return change
    if retry:
        return change.model_copy(update={"reason": f"{change.reason}; {earlier[-1]}"})
    return change.model_copy(update={"action": Action.UNRESOLVED, "reason": earlier[-1]})


def _wish(account: Compared, facts: Sequence[Fact]) -> Wish | None:
    brief = wish_brief(facts)
    return None if brief is None else account.wishes.understood(brief)


def _place_of(account: Compared, problem: str, facts: Sequence[Fact], place_of: PlaceOf) -> str:
    """Returns where the roster asks for what nobody can have: the role itself, or else the entry
    about the person."""
    entries = [fact for fact in facts if fact.kind == Kind.WANTED]
    for entry in entries:
        for word in json.loads(entry.brief)[0] or ():
            try:
                account.wishes.role(word)
            except UnknownRole as error:
                if str(error) == problem:
                    return place_of(account.name, word) or entry.place
    return next((entry.place for entry in entries), "")


def _of_problems(scratch: Scratch, accounts: Sequence[Compared | None]) -> Iterator[Row]:
    """Yields one change for each problem of an account, and not one for each person."""
    for number, text, people, who, place in scratch.problems():
        account = accounts[number]
        if account is not None:
            whom = who if people == 1 else f"{people} people"
            reason = f"{place}: {text}" if place else text
            reason += f" It is wanted for {whom}."
            change = Change(
                action=Action.CANNOT, account=account.name, email="", key="", reason=reason
            )
            yield account.row(number, change)


def _agreed(account: Compared, wish: Wish | None, facts: Sequence[Fact]) -> dict[Note, int] | None:
    """What there is to be counted of somebody about whom both sides plainly agree; None where that
    has to be looked into. It says what `differences` would, without making a value of anything."""
    kinds = [fact.kind for fact in facts]
    if wish is None:
        if kinds == [Kind.NOT_YET]:
            return {Note.NOT_YET: 1}
        left_alone = not account.rules.prune and facts[0].key not in account.rules.protected
        if kinds == [Kind.MEMBER] and facts[0].brief and left_alone:
            return {Note.UNLISTED: 1}
        return None
    if wish.problems:
        return None
    if kinds in _INVITED:
        told = invitation_from(facts[-1].brief)
        is_open = told.state in OPEN_STATES and not unlikeness(account.provider, wish, told)
        if is_open and not deferred_roles(account.provider, wish, told):
            return {Note.INVITED: 1}
    elif kinds in _MEMBERS and facts[1].brief:
        held = roles_from(facts[-1].brief)
        if wish.ids is None or held == wish.ids:
            return {Note.FITS: 1}
    return None


_INVITED = ([Kind.WANTED, Kind.INVITATION], [Kind.WANTED, Kind.INVITATION, Kind.COMPLETE])
_MEMBERS = ([Kind.WANTED, Kind.MEMBER], [Kind.WANTED, Kind.MEMBER, Kind.HELD])


def _looked_into(
    account: Compared, wish: Wish | None, facts: Sequence[Fact]
) -> Iterator[Change | Note]:
    first = facts[0]
    kinds = {fact.kind for fact in facts}
    debts = [Debt.model_validate_json(fact.body) for fact in facts if fact.kind == Kind.OWED]
    email = first.body if wish is not None else ""
    found = seen(account.account, email or first.key, facts, account.problems)
    record = found.guest.member or found.guest.invitation
    taken_out = account.rules.prune and first.key not in account.rules.protected
    why = {
        debt: unwanted(debt, facts, wish, account.wishes.meant, taken_out=taken_out)
        for debt in debts
    }
    kept = {account.wishes.meant(debt.role) for debt, reason in why.items() if not reason}
    entry = Entry(
        key=first.key,
        email=email or (record.email if record else first.key),
        wish=wish,
        owed={role for role in kept if role is not None},
        ended=next((fact.body for fact in facts if fact.kind == Kind.ENDED), ""),
        until=until(facts),
    )
    withdrawn = [(debt, reason) for debt, reason in why.items() if reason]
    instead = owed_instead(account.rules, entry, found.guest) if withdrawn else ()
    if found.guest.state in OPEN_STATES:  # recorded with the withdrawal
        recorded = {account.wishes.meant(role) for role in instead}
        entry = replace(entry, owed={*entry.owed, *(one for one in recorded if one)})
    for debt, reason in withdrawn:
        yield debt.withdrawal(reason, instead, entry.until)
        instead = ()
    if wish is None and Kind.NOT_YET in kinds:
        yield Note.NOT_YET
        return
    yield from differences(account.rules, entry, found.guest, found.carried)
