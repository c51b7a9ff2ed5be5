"""The plan: what has to be done so that the services are as the roster says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self

from guestlist.client import Guestlist
from guestlist.errors import GuestlistError, UnknownAccount, UnknownRole
from guestlist.exchange.account import Account
from guestlist.models import OPEN_STATES
from guestlist.roster.change import MAILS, ORDER, Action, Change
from guestlist.roster.diff import Entry, Note, Rules, differences, owed_after, unlikeness
from guestlist.roster.planfile import write_plan
from guestlist.roster.present import (
    Progress,
    Reading,
    invitation_from,
    read_accounts,
    roles_from,
    seen,
)
from guestlist.roster.scratch import Fact, Kind, Scratch
from guestlist.roster.summary import Summary, fingerprint, over
from guestlist.roster.wanted import Wanted
from guestlist.roster.wishes import Intake, Wish, Wishes, merged

Owed = tuple[str, str, str]
"""Account, key, and a role as a roster has named it."""


@dataclass(frozen=True)
class Limits:
    """What a plan may ask of people and services. None for any number.

    Attributes:
        mails_per_person: mails that one person may get within `days`, from all accounts together.
        days: the period that `mails` counts.
        invitations: mails of one run; more have to be confirmed.
        removals: people taken out in one run; more have to be confirmed.
        keep: keys of people from whom nothing is taken, such as whoever an API key belongs to.
    """

    mails_per_person: int | None = None
    days: int = 7
    invitations: int | None = None
    removals: int | None = None
    keep: frozenset[str] = frozenset()


class Plan:
    """What has to be done. Use it in a `with` block: its changes are on disk until it is closed.

    Attributes:
        summary: what it comes to; it has all counts.
        errors: accounts that could not be read.
    """

    def __init__(
        self, scratch: Scratch, summary: Summary, errors: Mapping[str, GuestlistError]
    ) -> None:
        self._scratch = scratch
        self._numbers = {name: number for number, name in enumerate(summary.accounts)}
        self.summary = summary
        self.errors = errors

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to do, as far as the accounts could be read."""
        return self.summary.nothing

    def changes(self, account: str | None = None) -> Iterator[Change]:
        """The changes by account, and in each in the order of execution.

        Args:
            account: only those of this one.
        """
        number = None if account is None else self._numbers[account]
        return map(Change.model_validate_json, self._scratch.changes(number))

    def write(self, path: Path) -> None:
        """Writes the plan into a file that nobody else may read.

        Raises:
            ConfigError: it cannot be written.
        """
        write_plan(path, self.summary, self._scratch.changes())

    def close(self) -> None:
        """Gives the space on disk free."""
        self._scratch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def make_plan(
    guests: Guestlist,
    wanted: Iterable[Wanted],
    *,
    accounts: Collection[str] | None = None,
    today: date | None = None,
    limits: Limits | None = None,
    prune: bool = False,
    invite_declined: bool = False,
    owed: Iterable[Owed] = (),
    mails: Callable[[str], int] | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Compares a roster with what the services hold. Nothing is changed.

    The roster is read to its end before any service is asked for anything. Memory does not grow
    with the number of people.

    Args:
        wanted: the roster. Several entries about one person in one account, those of them that
            count today, are taken together (`guestlist.roster.stay`).
        accounts: the accounts to plan, instead of all; entries of others are passed over.
        today: the day for `from` and `until`; by default that of the client's clock, in UTC.
        limits: what the plan may ask for.
        prune: take out whoever is there and not wanted. Else they are counted.
        invite_declined: invite those who have declined once more.
        owed: roles that earlier runs could not give yet.
        mails: how many mails the person with that key was sent in the last `limits.days` days.
        progress: see `guestlist.roster.present.Progress`.

    Raises:
        UnknownAccount: an account of `accounts` is not configured. One that is only in the roster
            is among the plan's errors.
        GuestlistError: there is no room for temporary files.
    """
    names = sorted(guests.accounts if accounts is None else set(accounts))
    for name in names:
        guests.account(name)
    limits = limits or Limits()
    scratch = Scratch()
    try:
        numbers = {name: number for number, name in enumerate(names)}
        intake = Intake(numbers, today or guests.clock.now().date())
        scratch.add(intake.facts(wanted))
        scratch.add(_of_owed(owed, numbers))
        read = read_accounts(guests, names, scratch, managed=intake.managed, progress=progress)
        errors = {name: reading.error for name, reading in read.items() if reading.error}
        if accounts is None:
            errors |= _not_configured(guests, intake.people)
        comparison = _Comparison(
            scratch,
            [
                None
                if read[name].error
                else _Account(guests, name, read[name], prune, invite_declined, limits.keep)
                for name in names
            ],
            _Guard(limits, mails),
        )
        comparison.run()
        counts = comparison.counts
        summary = Summary(
            made_at=guests.clock.now(),
            digest=intake.digest,
            accounts={name: fingerprint(guests.accounts[name]) for name in names},
            counts=counts,
            notes=comparison.notes,
            errors={name: str(error) for name, error in errors.items()},
            over=over(counts, intake.people, limits.invitations, limits.removals),
        )
        return Plan(scratch, summary, errors)
    except BaseException:
        scratch.close()
        raise


def _of_owed(owed: Iterable[Owed], numbers: Mapping[str, int]) -> Iterator[Fact]:
    for account, key, role in owed:
        if account in numbers:
            yield Fact(key, numbers[account], Kind.OWED, False, "", role)


def _not_configured(guests: Guestlist, people: Iterable[str]) -> dict[str, GuestlistError]:
    errors: dict[str, GuestlistError] = {}
    for name in people:
        try:
            guests.account(name)
        except UnknownAccount as error:
            errors[name] = error
    return errors


# ---------------------------------------------------------------------------- comparing


class _Account:
    """What is needed to compare the people of one account."""

    def __init__(
        self,
        guests: Guestlist,
        name: str,
        reading: Reading,
        prune: bool,
        invite_declined: bool,
        keep: frozenset[str],
    ) -> None:
        self.name = name
        self.provider = guests.accounts[name]
        self.wishes = Wishes(self.provider, reading.roles)
        self.account = Account(name, self.provider, guests.clock)
        self.rules = Rules(
            account=name,
            provider=self.provider,
            roles=reading.roles,
            word=self.wishes.word,
            check=guests.check_order,
            prune=prune,
            invite_declined=invite_declined,
            keep=keep,
        )
        self.counts: Counter[Action] = Counter()
        self.notes: Counter[Note] = Counter({Note.PROGRAMS: reading.programs})


class _Guard:
    """Sees to it that nobody gets more mails than the limits allow. Knows of one person at a time:
    the accounts of a person come one after another."""

    def __init__(self, limits: Limits, mails: Callable[[str], int] | None) -> None:
        self._most = limits.mails_per_person
        self._days = limits.days
        self._mails = mails
        self._key = ""
        self._count = 0

    def pass_(self, change: Change) -> Change:
        """The change, or that it cannot be made."""
        if self._most is None or change.action not in MAILS:
            return change
        if change.key != self._key:
            self._key = change.key
            self._count = self._mails(change.key) if self._mails else 0
        if self._count >= self._most:
            reason = (
                f"had {_mails(self._count)} in {self._days} days, and {self._most} is the limit"
            )
            return change.model_copy(update={"action": Action.CANNOT, "reason": reason})
        self._count += 1
        return change


def _mails(count: int) -> str:
    return f"{count} mail" + "s" * (count != 1)


class _Comparison:
    """Goes through all people once.

    Args:
        accounts: by number; None for one that cannot be read.
    """

    def __init__(
        self, scratch: Scratch, accounts: Sequence[_Account | None], guard: _Guard
    ) -> None:
        self._scratch = scratch
        self._accounts = accounts
        self._guard = guard

    @property
    def counts(self) -> dict[str, dict[Action, int]]:
        return {one.name: dict(+one.counts) for one in self._accounts if one}

    @property
    def notes(self) -> dict[str, dict[Note, int]]:
        return {one.name: dict(+one.notes) for one in self._accounts if one}

    def run(self) -> None:
        """Writes the changes into the scratch space."""
        self._scratch.add_changes(self._rows())
        self._scratch.add_changes(self._of_problems())

    def _rows(self) -> Iterator[tuple[int, int, str, str]]:
        for facts in self._scratch.people():
            number = facts[0].account
            account = self._accounts[number]
            if account is None:
                continue
            wish = self._wish(account, number, facts)
            notes = _agreed(account, wish, facts)
            if notes is not None:
                account.notes.update(notes)
                continue
            for found in _compared(account, wish, facts):
                if isinstance(found, Note):
                    account.notes[found] += 1
                    continue
                change = self._guard.pass_(found)
                account.counts[change.action] += 1
                yield _row(number, change)

    def _wish(self, account: _Account, number: int, facts: Sequence[Fact]) -> Wish | None:
        if facts[0].kind != Kind.WANTED:
            return None
        entries = [fact for fact in facts if fact.kind == Kind.WANTED]
        wish = account.wishes.understood(entries[0].brief if len(entries) == 1 else merged(entries))
        for problem in wish.problems:
            self._scratch.add_problem(number, problem)
        return wish

    def _of_problems(self) -> Iterator[tuple[int, int, str, str]]:
        """What is a problem of an account is told once, and not of everybody."""
        for number, text, people in self._scratch.problems():
            account = self._accounts[number]
            if account is not None:
                whom = "one person" if people == 1 else f"{people} people"
                reason = f"{text} It is wanted for {whom}."
                account.counts[Action.CANNOT] += 1
                yield _row(
                    number,
                    Change(
                        action=Action.CANNOT, account=account.name, email="", key="", reason=reason
                    ),
                )


def _row(number: int, change: Change) -> tuple[int, int, str, str]:
    body = change.model_dump_json(exclude_defaults=True)
    return number, ORDER[change.action], change.key, body


def _agreed(account: _Account, wish: Wish | None, facts: Sequence[Fact]) -> dict[Note, int] | None:
    """What there is to be counted of somebody about whom both sides plainly agree; None where that
    has to be looked into. It says what `differences` would, and costs a tenth."""
    kinds = [fact.kind for fact in facts]
    if wish is None:
        if kinds == [Kind.NOT_YET]:
            return {Note.NOT_YET: 1}
        return None
    if wish.problems:
        return None
    if kinds == [Kind.WANTED, Kind.INVITATION]:
        told = invitation_from(facts[1].brief)
        if told.state in OPEN_STATES and not unlikeness(account.provider, wish, told):
            return {Note.INVITED: 1, Note.OWED: owed_after(account.provider, wish, told)}
    elif kinds in _MEMBERS and facts[1].brief:
        held = roles_from(facts[-1].brief)
        if wish.ids is None or held == wish.ids:
            return {Note.FITS: 1}
    return None


_MEMBERS = ([Kind.WANTED, Kind.MEMBER], [Kind.WANTED, Kind.MEMBER, Kind.HELD])


def _compared(
    account: _Account, wish: Wish | None, facts: Sequence[Fact]
) -> Iterator[Change | Note]:
    first = facts[0]
    kinds = {fact.kind for fact in facts}
    if wish is None and Kind.NOT_YET in kinds:
        return iter([Note.NOT_YET])
    email = first.body if wish is not None else ""
    found = seen(account.account, email or first.key, facts)
    record = found.guest.member or found.guest.invitation
    entry = Entry(
        key=first.key,
        email=email or (record.email if record else first.key),
        wish=wish,
        owed=_owed(account, facts) if wish else (),
        ended=next((fact.body for fact in facts if fact.kind == Kind.ENDED), ""),
    )
    return differences(account.rules, entry, found.guest, found.carried)


def _owed(account: _Account, facts: Iterable[Fact]) -> set[tuple[str, str]]:
    """Kinds and ids of the roles that are owed. One that there is no more cannot be wanted."""
    found = set()
    for fact in facts:
        if fact.kind == Kind.OWED:
            with suppress(UnknownRole):
                role = account.wishes.role(fact.body)
                found.add((role.kind, role.id))
    return found
