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
from guestlist.roster.deferred_grants import DeferredGrant, desired_brief, withdrawal_reason
from guestlist.roster.desired import AccessResolver, DesiredAccess, until
from guestlist.roster.diff import (
    Entry,
    Note,
    Rules,
    deferred_roles,
    differences,
    differing_parts,
    replacement_grants,
)
from guestlist.roster.limits import EmailLimiter
from guestlist.roster.reading import Reading, invitation_from, person_state, roles_from
from guestlist.roster.store import Fact, Kind, PlanStore

Row = tuple[int, int, str, str]
"""A change as it is kept: account, place of the action in the order, key and body."""


PlaceOf = Callable[[str, str], str]
"""Returns where a roster names a role in an account, such as `guestlist.toml:12`, or nothing."""


class AccountComparison:
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
        self.resolver = AccessResolver(self.provider, reading.roles)
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


class MayDiffer:
    """Whether anything may have to change for a person, by a summary of the invitation.

    Args:
        compared: makes what is needed to compare the people of one account.
        people: compare only the people with these keys; empty for everybody.
    """

    def __init__(
        self, compared: Callable[[str, Reading], AccountComparison], people: Collection[str] = ()
    ) -> None:
        self._make = compared
        self._people = people
        self._compared: dict[str, AccountComparison] = {}

    def __call__(self, name: str, reading: Reading, facts: Sequence[Fact]) -> bool:
        if self._people and facts[0].key not in self._people:
            return False
        account = self._compared.get(name)
        if account is None:
            account = self._compared[name] = self._make(name, reading)
        desired = _desired(account, facts)
        if _quick_notes(account, desired, facts) is not None:
            return False
        found = _full_comparison(account, desired, facts)
        recorded = (Action.WITHDRAW, Action.DEFER)  # nothing is sent for them
        return any(isinstance(one, Change) and one.action not in recorded for one in found)


def compare(
    store: PlanStore,
    accounts: Sequence[AccountComparison | None],
    limiter: EmailLimiter,
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
    changes = _person_changes(store, accounts, limiter, place_of, people, retry_unknown)
    store.add_changes(changes)
    store.add_changes(_problem_changes(store, accounts))


def _person_changes(
    store: PlanStore,
    accounts: Sequence[AccountComparison | None],
    limiter: EmailLimiter,
    place_of: PlaceOf,
    people: Collection[str],
    retry_unknown: bool,
) -> Iterator[Row]:
    for facts in store.people():
        if people and facts[0].key not in people:
            continue
        number = facts[0].account
        account = accounts[number]
        if account is None:
            continue
        desired = _desired(account, facts)
        for problem in desired.problems if desired else ():
            place = _place_of(account, problem, facts, place_of)
            store.add_problem(number, problem, facts[0].body, place)
        notes = _quick_notes(account, desired, facts)
        if notes is not None:
            account.notes.update(notes)
            continue
        for found in _full_comparison(account, desired, facts):
            if isinstance(found, Note):
                account.notes[found] += 1
            else:
                change = _with_unresolved(found, facts, retry_unknown)
                yield account.row(number, limiter.check(change))


def _with_unresolved(change: Change, facts: Sequence[Fact], retry: bool) -> Change:
    """Returns a change as it is if the outcome of an earlier email to the person is unknown."""
    earlier = [fact.body for fact in facts if fact.kind == Kind.UNRESOLVED]
    if not earlier or change.action not in MAILS:
        return change
    if retry:
        return change.model_copy(update={"reason": f"{change.reason}; {earlier[-1]}"})
    return change.model_copy(update={"action": Action.UNRESOLVED, "reason": earlier[-1]})


def _desired(account: AccountComparison, facts: Sequence[Fact]) -> DesiredAccess | None:
    brief = desired_brief(facts)
    return None if brief is None else account.resolver.resolve(brief)


def _place_of(
    account: AccountComparison, problem: str, facts: Sequence[Fact], place_of: PlaceOf
) -> str:
    """Returns where the roster asks for what nobody can have: the role itself, or else the entry
    about the person."""
    entries = [fact for fact in facts if fact.kind == Kind.WANTED]
    for entry in entries:
        for word in json.loads(entry.brief)[0] or ():
            try:
                account.resolver.role(word)
            except UnknownRole as error:
                if str(error) == problem:
                    return place_of(account.name, word) or entry.place
    return next((entry.place for entry in entries), "")


def _problem_changes(
    store: PlanStore, accounts: Sequence[AccountComparison | None]
) -> Iterator[Row]:
    """Yields one change for each problem of an account, and not one for each person."""
    for number, text, people, who, place in store.problems():
        account = accounts[number]
        if account is not None:
            whom = who if people == 1 else f"{people} people"
            reason = f"{place}: {text}" if place else text
            reason += f" It is wanted for {whom}."
            change = Change(
                action=Action.CANNOT, account=account.name, email="", key="", reason=reason
            )
            yield account.row(number, change)


def _quick_notes(
    account: AccountComparison, desired: DesiredAccess | None, facts: Sequence[Fact]
) -> dict[Note, int] | None:
    """What there is to be counted of somebody about whom both sides plainly agree; None where that
    has to be looked into. It says what `differences` would, without making a value of anything."""
    kinds = [fact.kind for fact in facts]
    if desired is None:
        if kinds == [Kind.NOT_YET]:
            return {Note.NOT_YET: 1}
        left_alone = not account.rules.prune and facts[0].key not in account.rules.protected
        if kinds == [Kind.MEMBER] and facts[0].brief and left_alone:
            return {Note.UNLISTED: 1}
        return None
    if desired.problems:
        return None
    if kinds in _INVITED:
        told = invitation_from(facts[-1].brief)
        is_open = told.state in OPEN_STATES and not differing_parts(account.provider, desired, told)
        if is_open and not deferred_roles(account.provider, desired, told):
            return {Note.INVITED: 1}
    elif kinds in _MEMBERS and facts[1].brief:
        held = roles_from(facts[-1].brief)
        if desired.ids is None or held == desired.ids:
            return {Note.FITS: 1}
    return None


_INVITED = ([Kind.WANTED, Kind.INVITATION], [Kind.WANTED, Kind.INVITATION, Kind.COMPLETE])
_MEMBERS = ([Kind.WANTED, Kind.MEMBER], [Kind.WANTED, Kind.MEMBER, Kind.HELD])


def _full_comparison(
    account: AccountComparison, desired: DesiredAccess | None, facts: Sequence[Fact]
) -> Iterator[Change | Note]:
    first = facts[0]
    kinds = {fact.kind for fact in facts}
    grants = [
        DeferredGrant.model_validate_json(fact.body) for fact in facts if fact.kind == Kind.DEFERRED
    ]
    email = first.body if desired is not None else ""
    found = person_state(account.account, email or first.key, facts, account.problems)
    record = found.guest.member or found.guest.invitation
    taken_out = account.rules.prune and first.key not in account.rules.protected
    why = {
        grant: withdrawal_reason(
            grant, facts, desired, account.resolver.role_id, taken_out=taken_out
        )
        for grant in grants
    }
    kept = {account.resolver.role_id(grant.role) for grant, reason in why.items() if not reason}
    entry = Entry(
        key=first.key,
        email=email or (record.email if record else first.key),
        desired=desired,
        owed={role for role in kept if role is not None},
        ended=next((fact.body for fact in facts if fact.kind == Kind.ENDED), ""),
        until=until(facts),
    )
    withdrawn = [(grant, reason) for grant, reason in why.items() if reason]
    instead = replacement_grants(account.rules, entry, found.guest) if withdrawn else ()
    if found.guest.state in OPEN_STATES:  # recorded with the withdrawal
        recorded = {account.resolver.role_id(role) for role in instead}
        entry = replace(entry, owed={*entry.owed, *(one for one in recorded if one)})
    for grant, reason in withdrawn:
        yield grant.withdrawal(reason, instead, entry.until)
        instead = ()
    if desired is None and Kind.NOT_YET in kinds:
        yield Note.NOT_YET
        return
    yield from differences(account.rules, entry, found.guest, found.current_options)
