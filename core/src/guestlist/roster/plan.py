"""The plan: the changes that make the services match the roster."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Self

from guestlist.changes import Change, RoleRef, Unresolved
from guestlist.client import Guestlist
from guestlist.errors import ConfigError, GuestlistError, UnknownAccount
from guestlist.roster.compare import (
    AccountComparison,
    LastInvited,
    PlaceOf,
    compare,
    may_differ,
)
from guestlist.roster.deferred_grants import withdrawal, withdrawal_reason
from guestlist.roster.desired import RosterFacts
from guestlist.roster.limits import EmailLimiter, Limits
from guestlist.roster.planfile import write_plan
from guestlist.roster.problems import EMPTY_HINT
from guestlist.roster.reading import Progress, Reading, read_accounts
from guestlist.roster.same_organization import check_distinct, shared_invitations
from guestlist.roster.store import Fact, Kind, PlanStore
from guestlist.roster.summary import Summary, fingerprint, over
from guestlist.roster.wanted import Wanted


class Plan:
    """The changes that make the services match the roster.

    Use it in a `with` block: the changes are in a temporary database that the block closes.

    Attributes:
        summary: the counts of changes and notes, and the limits that the plan exceeds.
        errors: by account, why it could not be read, or why nothing may be planned for it.
    """

    def __init__(
        self, store: PlanStore, summary: Summary, errors: Mapping[str, GuestlistError]
    ) -> None:
        self._store = store
        self._numbers = {name: number for number, name in enumerate(summary.accounts)}
        self.summary = summary
        self.errors = errors

    @property
    def nothing(self) -> bool:
        """True if all accounts were read and no change can be made."""
        return self.summary.nothing

    def changes(self, account: str | None = None) -> Iterator[Change]:
        """Yields the changes by account, in the order of execution.

        Args:
            account: yield only the changes of this account.
        """
        number = None if account is None else self._numbers[account]
        return map(Change.model_validate_json, self._store.changes(number))

    def write(self, path: Path) -> None:
        """Writes the plan to a file that only its owner can read. Follows a symbolic link. A pipe
        or a device is written to directly.

        Raises:
            ConfigError: the file cannot be written.
        """
        write_plan(path, self.summary, self._store.changes)

    def close(self) -> None:
        """Deletes the temporary database with the changes."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def make_plan(
    guests: Guestlist,
    wanted: Iterable[Wanted],
    *,
    accounts: Collection[str] | None = None,
    people: Collection[str] = (),
    unclear: Mapping[str, GuestlistError] | None = None,
    now: datetime | None = None,
    zone: tzinfo = UTC,
    limits: Limits | None = None,
    prune: bool = False,
    invite_declined: bool = False,
    allow_empty: bool = False,
    deferred: Iterable[Change] = (),
    unresolved: Iterable[Unresolved] = (),
    prepared: Iterable[tuple[str, str]] = (),
    last_invited: LastInvited | None = None,
    retry_unknown: bool = False,
    emails_sent: Callable[[str], int] | None = None,
    place_of: PlaceOf = lambda _account, _role: "",
    progress: Progress | None = None,
) -> Plan:
    """Compares a roster with the services. Changes nothing.

    Reads the roster to its end before it sends the first request. Memory does not grow with the
    number of people.

    Args:
        wanted: the roster. Entries about one person in one account that are valid today are merged
            (`guestlist.roster.wanted`).
        accounts: the accounts to plan, instead of all. Entries of other accounts are skipped.
        people: keys of addresses (`guestlist.address.email_key`): plan only for these people,
            instead of all.
        unclear: accounts for which nothing may be planned now, and why. They are listed in
            `Plan.errors`, like accounts that cannot be read.
        now: the time to compare `from` and `until` with; by default the time of the client's clock.
        zone: the time zone in which the days of `from` and `until` begin and end.
        limits: the limits on emails, invitations and removals.
        prune: remove members and revoke invitations of people who are not in the roster. Otherwise
            they are only counted.
        invite_declined: invite people again who declined.
        allow_empty: accept a roster without people. Otherwise that is an error, because a truncated
            file looks the same.
        deferred: deferred grants, as `settle` changes. A grant that the roster does not want is
            withdrawn, also in accounts that the roster does not mention.
        unresolved: earlier emails with an unknown outcome. These people get no further email.
        prepared: the accounts and keys of people who may have an open invitation without an email.
            They are invited if the roster wants them.
        last_invited: returns when people were invited. If such a person is neither invited nor a
            member any more, members who joined since may be that person.
        retry_unknown: send a further email to the people of `unresolved`.
        emails_sent: returns the number of emails that were sent within `limits.period` to the
            person with a key.
        place_of: returns where the roster names a role, for messages (`Roster.place_of`).
        progress: see `guestlist.roster.reading.Progress`.

    Raises:
        UnknownAccount: an account of `accounts` is not configured. An account that only the roster
            names is listed in `Plan.errors` instead.
        ConfigError: the roster has no people, or two accounts are the same organization.
        GuestlistError: a temporary file cannot be written.
    """
    names = sorted(guests.accounts if accounts is None else set(accounts))
    for name in names:
        guests.account(name)
    check_distinct({name: guests.accounts[name] for name in names})
    unclear = unclear or {}
    names = [name for name in names if name not in unclear]
    limits = limits or Limits()
    numbers = {name: number for number, name in enumerate(names)}
    roster = RosterFacts(numbers, now or guests.clock.now(), zone)
    store = PlanStore()
    try:
        store.add(roster.facts(wanted))
        check_aliases(store)
        if not (roster.count or allow_empty):
            raise ConfigError("the roster has no people", hint=EMPTY_HINT)
        grants = [grant for grant in deferred if not people or grant.key in people]
        store.add(_grant_facts(grants, numbers))
        store.add(_unresolved_facts(store, unresolved, numbers))
        store.add(_prepared_facts(store, prepared, numbers))

        def compared(name: str, reading: Reading) -> AccountComparison:
            return AccountComparison(
                guests, name, reading, prune, invite_declined, limits.protected
            )

        early: dict[str, AccountComparison] = {}

        def needs_details(name: str, reading: Reading, facts: Sequence[Fact]) -> bool:
            if people and facts[0].key not in people:
                return False
            if name not in early:
                early[name] = compared(name, reading)
            return may_differ(early[name], facts)

        read = read_accounts(
            guests,
            names,
            store,
            managed=roster.managed,
            needs_details=needs_details,
            progress=progress,
        )
        seen = {name: reading.identities for name, reading in read.items()}
        for name, error in shared_invitations(guests.accounts, seen):
            read[name].error = read[name].error or error
        readable = {
            name: compared(name, reading) for name, reading in read.items() if not reading.error
        }
        compare(
            store,
            [readable.get(name) for name in names],
            EmailLimiter(limits, emails_sent),
            place_of,
            people,
            last_invited=last_invited,
            retry_unknown=retry_unknown,
        )
        mentioned = {*names, *unclear, *roster.accounts}
        for change in _leftover_withdrawals(grants, guests.accounts.keys() - mentioned):
            number = numbers.setdefault(change.account, len(numbers))
            store.add_changes([(number, change)])
        errors = {name: reading.error for name, reading in read.items() if reading.error}
        errors |= unclear
        if accounts is None:
            errors |= _not_configured(guests, roster.accounts)
        summary = _summary(guests, numbers, roster, readable, store, errors, limits)
        return Plan(store, summary, errors)
    except BaseException:
        store.close()
        raise


def _summary(
    guests: Guestlist,
    numbers: Mapping[str, int],
    roster: RosterFacts,
    readable: Mapping[str, AccountComparison],
    store: PlanStore,
    errors: Mapping[str, GuestlistError],
    limits: Limits,
) -> Summary:
    counted = store.counts()
    counts = {
        name: counted.get(number, {})
        for name, number in numbers.items()
        if name in readable or number in counted
    }
    return Summary(
        made_at=guests.clock.now(),
        digest=roster.digest,
        accounts={name: fingerprint(guests.accounts[name]) for name in numbers},
        counts=counts,
        notes={name: dict(+readable[name].notes) for name in sorted(readable)},
        errors={name: str(error) for name, error in errors.items()},
        over=over(counts, roster.wanted, limits.invitations, limits.removals),
    )


def _grant_facts(deferred: Iterable[Change], numbers: Mapping[str, int]) -> Iterator[Fact]:
    for grant in deferred:
        if grant.account in numbers:
            body = grant.model_dump_json(exclude_defaults=True)
            yield Fact(grant.key, numbers[grant.account], Kind.DEFERRED, False, "", body)


def check_aliases(store: PlanStore) -> None:
    """Checks that no two people have the same address in `also`, or the same login.

    Raises:
        ConfigError: two people do.
    """
    for fact, other, place in store.learn_aliases():
        name = fact.body or fact.brief
        raise ConfigError(
            f"{fact.place}: {name!r} belongs to two people, {fact.key} and {other} ({place})",
            hint="Write one table for each person, with all their addresses.",
        )


def _unresolved_facts(
    store: PlanStore, unresolved: Iterable[Unresolved], numbers: Mapping[str, int]
) -> Iterator[Fact]:
    for one in unresolved:
        if one.account in numbers:
            number = numbers[one.account]
            key = store.key_of(number, [one.key])
            yield Fact(key, number, Kind.UNRESOLVED, False, "", str(one))


def _prepared_facts(
    store: PlanStore, prepared: Iterable[tuple[str, str]], numbers: Mapping[str, int]
) -> Iterator[Fact]:
    for account, key in prepared:
        if account in numbers:
            number = numbers[account]
            yield Fact(store.key_of(number, [key]), number, Kind.PREPARED, False, "", "")


def _leftover_withdrawals(grants: Iterable[Change], accounts: Collection[str]) -> list[Change]:
    """Returns the changes that withdraw the deferred grants of accounts that the roster does not
    mention. These accounts are not read."""
    changes = [
        withdrawal(grant, reason)
        for grant in grants
        if grant.account in accounts and (reason := withdrawal_reason(grant, (), None, _nothing))
    ]
    return sorted(changes, key=lambda change: change.account)


def _nothing(_role: RoleRef) -> None:
    """Resolves no role, because the roles of these accounts are not read."""


def _not_configured(guests: Guestlist, people: Iterable[str]) -> dict[str, GuestlistError]:
    errors: dict[str, GuestlistError] = {}
    for name in people:
        try:
            guests.account(name)
        except UnknownAccount as error:
            errors[name] = error
    return errors
