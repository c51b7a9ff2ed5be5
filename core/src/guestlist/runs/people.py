"""`who`: the people of all accounts, from one pass over all accounts in parallel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Self

from guestlist.address import email_key, is_email, login_key, person_key
from guestlist.client import Guestlist
from guestlist.config import load_config
from guestlist.errors import GuestlistError, MalformedResponse
from guestlist.exchange.account import Account
from guestlist.exchange.clock import Stopped
from guestlist.models import Guest, State
from guestlist.plugins import installed
from guestlist.roster.compare import LostPeople, unlisted_members
from guestlist.roster.current_people import may_be_closed
from guestlist.roster.desired import RosterFacts
from guestlist.roster.file import Roster, read_roster
from guestlist.roster.plan import check_aliases
from guestlist.roster.reading import Progress as ReadingCallback
from guestlist.roster.reading import Reading, person_state, read_accounts
from guestlist.roster.store import Fact, Kind, PlanStore
from guestlist.roster.wanted import Wanted
from guestlist.runs.person import Person
from guestlist.runs.progress import AsyncProgress, Progress, ReadingAccount
from guestlist.runs.stop import Stop, StopClock

if TYPE_CHECKING:
    from guestlist.client import AsyncGuestlist

ROSTER_KINDS = (Kind.WANTED, Kind.NOT_YET, Kind.ENDED, Kind.ALIAS)
"""The facts that come from the roster."""
NOT_LISTED = (State.GONE, State.REVOKED)
"""States of people who are left out: they are not in the account and are not invited."""


class People:
    """The people of all accounts, in the order of their keys.

    Use it in a `with` block: the people are in a temporary database that the block closes, so
    memory does not grow with their number. One thread may read at a time.

        with guestlist.who("guestlist.toml") as people:
            for person in people:
                print(person.label, {one.account: one.state for one in person.guests})

    Attributes:
        accounts: the names of the accounts.
        errors: by account, why it could not be read. Its people are missing then.
        problems: one error for each account whose list has a record that cannot be parsed. The
            other people of the account were read.
        without_access: by account and `Person.key`, why a member has no effective access. Only
            members whose roles were requested (`roles`) are in it.
        without_roles: the accounts whose list of members does not show all roles.
        unmatched: the accounts that show only the logins of members, and of which the roster wants
            a person whose login is not known.
    """

    def __init__(
        self,
        client: Guestlist,
        accounts: Sequence[str],
        store: PlanStore,
        read: dict[str, Reading],
    ) -> None:
        self.accounts = tuple(accounts)
        self.errors = {name: one.error for name, one in read.items() if one.error}
        self.problems = tuple(
            _problem(name, one) for name, one in read.items() if one.problems and not one.error
        )
        self.without_access = {
            (name, key): why
            for name, one in read.items()
            for key, why in one.without_access.items()
        }
        self.without_roles = frozenset(name for name, one in read.items() if one.without_roles)
        self._store = store
        self._read = read
        self._client = client
        providers = client.accounts
        self._hiding = [name for name in accounts if not providers[name].members_show_emails]
        self.unmatched = frozenset(
            name for name in self._hiding if store.has_unidentified(self.accounts.index(name))
        )
        self._bound = [Account(name, providers[name], client.clock) for name in accounts]
        self._lost = [LostPeople() for _ in accounts]
        for number, name in enumerate(accounts):
            if read[name].accepted and not read[name].error:
                self._lost[number].members = unlisted_members(store, number)

    def __iter__(self) -> Iterator[Person]:
        """Yields each person who is a member, is invited or was invited, and each person in the
        roster."""
        return self._people(None)

    def find(self, name: str) -> list[Person]:
        """Returns the people who have an address or a login. With a login there may be several,
        because equal logins of different accounts may belong to different people.

        Args:
            name: an address, or a login with a leading `@`.
        """
        is_login = name.startswith("@")
        key = login_key(name) if is_login else email_key(name)

        def has_name(person: Person) -> bool:
            addresses = {email_key(one) for one in (person.email, *person.also) if one}
            logins = {login_key(one) for one in person.logins.values()}
            return key == person.key or key in (logins if is_login else addresses)

        keys = dict.fromkeys((*self._store.keys_of(key), key))
        found = [person for one in keys for person in self._people(one) if has_name(person)]
        return found or [person for person in self._people(None) if has_name(person)]

    def _people(self, only: str | None) -> Iterator[Person]:
        for key, found in groupby(self._store.people(only), key=lambda facts: facts[0].key):
            parts = list(found)
            if is_email(key):
                yield self._person(key, parts)
                continue
            # Equal logins or ids in several accounts mean the same person only if the roster says
            # so.
            known = [facts for facts in parts if any(one.kind in ROSTER_KINDS for one in facts)]
            if known:
                yield self._person(key, known)
            for facts in parts:
                if facts not in known:
                    yield self._person(key, [facts])

    def close(self) -> None:
        """Deletes the temporary database."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _person(self, key: str, parts: Sequence[Sequence[Fact]]) -> Person:
        """Returns one person.

        Args:
            parts: the facts of each account.
        """
        facts = [one for part in parts for one in part]
        email = next((one.body for one in facts if one.kind in (Kind.WANTED, Kind.NOT_YET)), None)
        guests = [found for part in parts if (found := self._guest(key, email, part))]
        records = (one.email for guest in guests for one in (guest.member, guest.invitation) if one)
        if not email and is_email(key):
            email = next((one for one in records if one and email_key(one) == key), key)
            guests = [one.model_copy(update={"email": email}) for one in guests]
        logins: dict[str, str] = {}
        also: dict[str, str] = {}
        for one in facts:
            if one.kind == Kind.ALIAS and one.body:
                logins[self.accounts[one.account]] = one.body
            elif one.kind == Kind.ALIAS and one.brief != key:
                also[one.brief] = one.brief
        for guest in guests:
            if guest.login:
                logins.setdefault(guest.account, guest.login)
        held = {guest.account for guest in guests} | logins.keys() | self.errors.keys()
        return Person(
            key=key,
            email=email or None,
            also=tuple(also),
            logins=logins,
            guests=tuple(guests),
            wanted=tuple(self.accounts[one.account] for one in facts if one.kind == Kind.WANTED),
            in_roster=any(one.kind in ROSTER_KINDS for one in facts),
            unclear=tuple(name for name in self._hiding if name not in held) if email else (),
        )

    def _guest(self, key: str, email: str | None, facts: Sequence[Fact]) -> Guest | None:
        number = facts[0].account
        reading = self._read[self.accounts[number]]
        if reading.error:
            return None
        lost = self._lost[number]
        if all(one.kind in ROSTER_KINDS and one.kind != Kind.WANTED for one in facts):
            return None
        known = email or (key if is_email(key) else None)
        found = person_state(
            self._bound[number], known, facts, reading.problems, lost.candidates
        ).guest
        return None if found.state in NOT_LISTED else found


def who(
    roster: Roster | str | Path | None = None,
    *,
    client: Guestlist | None = None,
    on_progress: Progress | None = None,
    accounts: Iterable[str] = (),
    roles: bool = False,
    stop: Stop | None = None,
) -> People:
    """Reads the people of all accounts, each account at the same time. Changes nothing.

    It takes as long as the slowest account. If an account cannot be read, it is in `People.errors`,
    and the others are read all the same.

        with guestlist.who("guestlist.toml") as people:
            for person in people:
                print(person.label, {one.account: one.state for one in person.guests})

    Args:
        roster: the roster, or the path of its file. It says which addresses and logins belong to
            one person. Without it, people are merged by their address only.
        client: the client to read with. By default one for the roster's accounts, or for those of
            `guestlist.toml` or the environment.
        on_progress: called with a `ReadingAccount` event for each part that is read.
        accounts: read only these accounts.
        roles: also request the roles of each member whose record lacks them. That costs a request
            for each of these members.
        stop: ends the reading early when called.

    Returns:
        The people. Close it or use it in a `with` block.

    Raises:
        ConfigError: the roster or its accounts are invalid, or two people of the roster have the
            same other address or login.
        UnknownAccount: an account of `accounts` is not configured.
    """
    if isinstance(roster, str | Path):
        roster = read_roster(Path(roster), allow_empty=True)
    stop = Stop() if stop is None else stop
    with ExitStack() as closing:
        if client is None:
            client = closing.enter_context(client_of(roster, accounts))
        client = client.with_clock(StopClock(stop, client.clock))
        names = list(dict.fromkeys(accounts)) or list(client.accounts)
        for name in names:
            client.account(name)
        store = PlanStore()
        try:
            if roster is not None:
                store.add(_roster_facts(roster, names, client))
                check_aliases(store)
            read = read_accounts(
                client,
                names,
                store,
                managed=names if roles else (),
                everybody=True,
                needs_details=may_be_closed,
                progress=_callback(on_progress, stop),
            )
            return People(client, names, store, read)
        except BaseException:
            store.close()
            raise


async def who_async(
    roster: Roster | str | Path | None = None,
    *,
    client: AsyncGuestlist | None = None,
    on_progress: AsyncProgress | None = None,
    accounts: Iterable[str] = (),
    roles: bool = False,
) -> People:
    """Reads the people of all accounts; see `who`.

    Args:
        client: the client to read with. By default one for the roster's accounts.
        on_progress: a function or coroutine function.
    """
    from guestlist.runs.bridge import in_worker_thread

    return await in_worker_thread(
        lambda bridge: who(
            roster,
            client=bridge.client(client),
            on_progress=bridge.progress(on_progress),
            accounts=accounts,
            roles=roles,
            stop=bridge.stop,
        )
    )


def client_of(roster: Roster | None, accounts: Iterable[str]) -> Guestlist:
    """Returns a client for the accounts of a roster, or for the configured ones without one."""
    if roster is None:
        return Guestlist()
    config = load_config(roster.toml, installed(), only=tuple(accounts))
    return Guestlist(
        config.accounts,
        clock=config.clock,
        budget=config.budget,
        allowed_domains=config.allowed_domains,
    )


def _callback(on_progress: Progress | None, stop: Stop) -> ReadingCallback:
    def emit(account: str, what: str, count: int) -> None:
        if on_progress is not None:
            on_progress(ReadingAccount(account, what, count))
        if stop:
            raise Stopped

    return emit


def _problem(account: str, reading: Reading) -> GuestlistError:
    return MalformedResponse(
        f"a list has a record that cannot be parsed: {reading.problems[0]}",
        hint="The person of that record is missing. Correct it at the service, or report it to the"
        " authors of the provider.",
        account=account,
    )


def _roster_facts(roster: Roster, names: Sequence[str], client: Guestlist) -> Iterator[Fact]:
    """Yields the entries of a roster as facts, and the names of each person in every account.

    A person without an address gets one key for all logins.
    """
    numbers = {name: number for number, name in enumerate(names)}
    main: dict[tuple[str, str], str] = {}
    for one in roster.identities():
        logins = [(account, login) for account, login in one.logins.items() if account in numbers]
        if not one.email and not logins:
            continue
        key = person_key(one.email, next((login for _, login in logins), None))
        for account, login in logins:
            if not one.email:
                main.setdefault((account, login_key(login)), key)
            yield Fact(key, numbers[account], Kind.ALIAS, False, login_key(login), login)
        for also in map(email_key, one.also):
            yield from (
                Fact(key, number, Kind.ALIAS, False, also, "") for number in range(len(names))
            )

    elsewhere: set[str] = set()

    def entries() -> Iterator[Wanted]:
        for one in roster.wanted():
            key = main.get((one.account, one.key)) if not one.email else None
            yield one._replace(key=key, also=()) if key else one._replace(also=())
            if one.account not in numbers and one.email:
                elsewhere.add(one.key)

    facts = RosterFacts(numbers, client.clock.now(), roster.zone)
    yield from facts.facts(entries())
    # People whose accounts are all unread are nevertheless in the roster.
    yield from (Fact(key, 0, Kind.ALIAS, False, key, "") for key in elsewhere if numbers)
