"""Reads who is there: every account once, page by page, into scratch space."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from guestlist.address import email_key
from guestlist.changes import without_secrets
from guestlist.client import Guestlist
from guestlist.errors import GuestlistError, NotFound
from guestlist.exchange.account import Account
from guestlist.models import MEMBERSHIPS, Basis, Guest, Invitation, Member, Role, State
from guestlist.provider import Provider, RecordProblem
from guestlist.roster.store import Fact, Kind, PlanStore
from guestlist.roster.threads import in_threads
from guestlist.verbs.find import unless_seen
from guestlist.verbs.lists import hiding
from guestlist.verbs.states import best, best_member, conclude, current

T = TypeVar("T")

MAX_ACCOUNTS_AT_ONCE = 32
"""Accounts that are read at the same time."""
MAX_REQUESTS_PER_ACCOUNT = 4
"""People of one account who are asked about at the same time."""
BATCH_RECORDS = 500
"""Records that are stored at once."""
PROGRESS_SECONDS = 0.5
"""How often a reader reports its progress."""

LISTS = ("invitations", "members")
"""The operations that list everybody who is there."""

Progress = Callable[[str, str, int], None]
"""Receives the account, what is read (`roles`, `invitations`, `members`, `access`; `details` for
invitations that the list shows in short; `people` where there are no lists), and how many so far:
0 when it begins. Called from several threads, one at a time."""

NeedsDetails = Callable[[str, "Reading", Sequence[Fact]], bool]
"""Whether to ask for the complete invitation of a person, of whom the list shows a summary. Gets
the account, what was read of it so far, and the facts about the person."""


@dataclass
class Reading:
    """What reading one account came to.

    Attributes:
        roles: what can be granted, if that had to be known.
        programs: members that are logins of programs, or have no address: they are left out.
        problems: records of the lists that cannot be read.
        error: why the account cannot be read; then what was read of it is of no use.
    """

    roles: list[Role] = field(default_factory=list)
    programs: int = 0
    problems: list[RecordProblem] = field(default_factory=list)
    error: GuestlistError | None = None


def read_accounts(
    guests: Guestlist,
    names: Sequence[str],
    store: PlanStore,
    *,
    managed: Iterable[str],
    everybody: bool = False,
    needs_details: NeedsDetails | None = None,
    progress: Progress | None = None,
) -> dict[str, Reading]:
    """Reads accounts, all at the same time. One that cannot be read does not stop the others.

    Args:
        names: the accounts; their numbers are the places in this list.
        managed: those in which roles matter.
        everybody: they matter of all who are there, and not only of those in the scratch space. An
            account whose service has no lists cannot be read then.
        look_closer: see `LookCloser`; by default every invitation is read completely.
        progress: see `Progress`.

    Returns:
        By account what it came to. The people are in the scratch space.
    """
    stop, managed = threading.Event(), frozenset(managed)
    report = _one_at_a_time(progress)
    readers = [
        _Reader(guests.account(name), name, number, store, stop, report, everybody, needs_details)
        for number, name in enumerate(names)
    ]

    def read(one: _Reader) -> tuple[str, Reading]:
        return one.name, one.read(one.name in managed)

    try:
        return dict(in_threads(read, readers, MAX_ACCOUNTS_AT_ONCE))
    finally:  # after Ctrl-C, or a fault of ours, the threads end at their next record
        stop.set()


def _one_at_a_time(progress: Progress | None) -> Progress:
    lock = threading.Lock()

    def report(account: str, what: str, count: int) -> None:
        if progress is not None:
            with lock:
                progress(account, what, count)

    return report


class _Reader:
    """Reads one account."""

    def __init__(
        self,
        guests: Guestlist,
        name: str,
        number: int,
        store: PlanStore,
        stop: threading.Event,
        report: Progress,
        everybody: bool,
        needs_details: NeedsDetails | None,
    ) -> None:
        self.name = name
        self._guests = guests
        self._provider = guests.accounts[name]
        self._number = number
        self._store = store
        self._stop = stop
        self._report = report
        self._everybody = everybody
        self._needs_details = needs_details
        self._reading = Reading()

    def read(self, roles_matter: bool) -> Reading:
        reading = self._reading
        try:
            if roles_matter and self._provider.supports("roles"):
                reading.roles = list(self._reported("roles", self._guests.roles()))
            lacking = [name for name in LISTS if not self._provider.supports(name)]
            if lacking and self._everybody:
                raise self._provider.unsupported(lacking[0])
            if not lacking:
                short = self._needs_details and self._provider.supports("invitation_summaries")
                listed = self._guests.invitations(complete=not short)
                keep = self._summary_fact if short else self._invitation_fact
                self._store_facts("invitations", listed, keep)
                members = self._guests.members()
                self._store_facts("members", members, self._member_fact)
                problems = (*listed.problems, *members.problems)
                reading.problems = [one for one in problems if not one.kept]
                if short and self._needs_details:
                    self._read_details(self._needs_details)
            else:
                self._look_up_each_person()
            if roles_matter and self._provider.supports("access"):
                self._read_held_roles()
        except GuestlistError as error:
            reading.error = error.about(account=self.name)
        return reading

    def _reported(self, what: str, items: Iterator[T]) -> Iterator[T]:
        """The items. Reports progress at the beginning, at the end, and now and then between."""
        count, clock = 0, self._guests.clock
        self._report(self.name, what, count)
        reported = clock.monotonic()
        for item in items:
            if self._stop.is_set():
                return
            count += 1
            if (now := clock.monotonic()) - reported >= PROGRESS_SECONDS:
                self._report(self.name, what, count)
                reported = now
            yield item
        self._report(self.name, what, count)

    def _store_facts(self, what: str, items: Iterator[T], fact: Callable[[T], Fact | None]) -> None:
        facts = filter(None, map(fact, self._reported(what, items)))
        while batch := list(islice(facts, BATCH_RECORDS)):
            self._store.add(batch)

    def _invitation_fact(self, one: Invitation) -> Fact:
        brief = _invitation_brief(one, current_options(self._provider, one))
        body = without_secrets(one).model_dump_json(exclude_defaults=True)
        return Fact(email_key(one.email), self._number, Kind.INVITATION, False, brief, body)

    def _summary_fact(self, one: Invitation) -> Fact:
        return self._invitation_fact(one)._replace(ask=True)

    def _member_fact(self, one: Member) -> Fact | None:
        if one.service or not one.email:
            self._reading.programs += 1
            return None
        inside = one.state in MEMBERSHIPS
        brief = roles_brief(one.roles) if inside else ""
        body = one.model_dump_json(exclude_defaults=True)
        ask = inside and one.roles is None
        return Fact(email_key(one.email), self._number, Kind.MEMBER, ask, brief, body)

    def _look_up_each_person(self) -> None:
        """Where the service has no lists, everybody in the roster is looked for. Who is there
        besides cannot be known."""
        people = (
            one
            for some in self._store.wanted(self._number, BATCH_RECORDS)
            for one in in_threads(self._look_up, some, MAX_REQUESTS_PER_ACCOUNT)
        )
        for found in self._reported("people", people):
            self._store.add(found)

    def _look_up(self, one: tuple[str, str]) -> list[Fact]:
        if self._stop.is_set():
            return []
        key, email = one
        guest = self._guests.status(email)
        found = [
            self._invitation_fact(guest.invitation) if guest.invitation else None,
            self._member_fact(guest.member) if guest.member else None,
        ]
        return [fact._replace(key=key) for fact in found if fact is not None]

    def _read_held_roles(self) -> None:
        """Asks what members hold, where their records do not tell and the roster says what they
        shall hold."""
        people = self._store.members_without_roles(
            self._number, BATCH_RECORDS, everybody=self._everybody
        )
        held = (
            one
            for some in people
            for one in in_threads(self._held_roles_fact, some, MAX_REQUESTS_PER_ACCOUNT)
        )
        self._store_facts("access", held, lambda fact: fact)

    def _read_details(self, needs_details: NeedsDetails) -> None:
        """Asks for the complete invitation of each person whose summary does not suffice."""
        unclear = (
            [facts for facts in people if needs_details(self.name, self._reading, facts)]
            for people in self._store.people_with_summaries(self._number, BATCH_RECORDS)
        )
        found = (
            one
            for some in unclear
            for one in in_threads(self._details_fact, some, MAX_REQUESTS_PER_ACCOUNT)
        )
        self._store_facts("details", found, lambda fact: fact)

    def _details_fact(self, facts: Sequence[Fact]) -> Fact | None:
        if self._stop.is_set():
            return None
        body = next(fact.body for fact in facts if fact.kind == Kind.INVITATION)
        summary = Invitation.model_validate_json(body)
        found = self._guests.call(type(self._provider).find_invitation, summary.email)
        if found is None:  # listed as invited, and there is no invitation: it was withdrawn or lost
            gone = {"state": State.UNKNOWN, "basis": Basis.INFERRED}
            found = summary.model_copy(update=gone)
        else:
            found = current(found, self._provider, self._guests.service_time())
        return self._invitation_fact(found)._replace(key=facts[0].key, kind=Kind.COMPLETE)

    def _held_roles_fact(self, one: tuple[str, str]) -> Fact | None:
        if self._stop.is_set():
            return None
        key, body = one
        member = Member.model_validate_json(body)
        access = type(self._provider).access
        with suppress(NotFound):  # has left since the list was read
            grants = self._guests.call(access, member)
            held = tuple(grant.role for grant in grants if grant.direct)
            kept = json.dumps([one.model_dump(exclude_defaults=True) for one in held])
            return Fact(key, self._number, Kind.HELD, False, roles_brief(held), kept)
        return None


# ---------------------------------------------------------------------------- briefs


class InvitationBrief(NamedTuple):
    """What mostly suffices to know of an invitation.

    Attributes:
        state: where it stands.
        offered: kinds and ids of the roles that it names.
        carried: the options that it carries; None where nobody can tell.
    """

    state: State
    offered: frozenset[tuple[str, str]]
    current_options: Mapping[str, Any] | None


def current_options(provider: Provider, invitation: Invitation) -> dict[str, Any] | None:
    """The options of an invitation, as JSON has them; None where nobody can tell. Only as long as
    the service's own answer is at hand."""
    options = provider.order_of(invitation).options
    return None if options is None else options.model_dump(mode="json")


def ids_of(roles: Iterable[Role]) -> frozenset[tuple[str, str]]:
    """Kinds and ids of roles."""
    return frozenset((role.kind, role.id) for role in roles)


def _invitation_brief(one: Invitation, options: dict[str, Any] | None) -> str:
    return json.dumps([one.state, sorted(ids_of(one.roles)), options], separators=(",", ":"))


@lru_cache(4096)
def invitation_from(brief: str) -> InvitationBrief:
    """Understands the brief of an invitation."""
    state, offered, options = json.loads(brief)
    return InvitationBrief(State(state), frozenset(map(tuple, offered)), options)


def roles_brief(roles: Iterable[Role] | None) -> str:
    """The brief of what a member holds; that of somebody who is no member is empty."""
    return "null" if roles is None else json.dumps(sorted(ids_of(roles)), separators=(",", ":"))


@lru_cache(4096)
def roles_from(brief: str) -> frozenset[tuple[str, str]] | None:
    """Understands the brief of what a member holds: kinds and ids; None where it is not told."""
    told = json.loads(brief)
    return None if told is None else frozenset(map(tuple, told))


# ---------------------------------------------------------------------------- where people stand


class PersonState(NamedTuple):
    """Where somebody stands, and what the invitation that counts carries."""

    guest: Guest
    current_options: Mapping[str, Any] | None


def person_state(
    account: Account, email: str, facts: Sequence[Fact], problems: Sequence[RecordProblem] = ()
) -> PersonState:
    """Where somebody stands, from the facts about the person, as `status` would say.

    Args:
        problems: records of the account that cannot be read, and may be about the person.
    """
    invitations, members, held = list[tuple[Invitation, str]](), list[Member](), None
    outdated = any(fact.kind == Kind.COMPLETE for fact in facts)  # the summaries
    for fact in facts:
        if fact.kind == Kind.COMPLETE or (fact.kind == Kind.INVITATION and not outdated):
            invitations.append((Invitation.model_validate_json(fact.body), fact.brief))
        elif fact.kind == Kind.MEMBER:
            members.append(Member.model_validate_json(fact.body))
        elif fact.kind == Kind.HELD:
            held = tuple(map(Role.model_validate, json.loads(fact.body)))
    member = best_member(members)
    if member is not None and held is not None:
        member = member.model_copy(update={"roles": held})
    invitation = best(one for one, _ in invitations)
    options = next(
        (invitation_from(brief).current_options for one, brief in invitations if one is invitation),
        None,
    )
    guest = conclude(account, email, invitation, member)
    hidden = hiding(problems, facts[0].key) if problems else None
    return PersonState(guest if hidden is None else unless_seen(guest, hidden), options)
