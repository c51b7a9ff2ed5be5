"""Reads the members and invitations of all accounts, page by page, into a plan store."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from guestlist.address import email_key, login_key, person_key
from guestlist.changes import without_secrets
from guestlist.client import Guestlist
from guestlist.errors import GuestlistError, NotFound
from guestlist.exchange.account import Account
from guestlist.models import (
    MEMBERSHIPS,
    Basis,
    Guest,
    Invitation,
    Member,
    MemberState,
    Role,
    State,
)
from guestlist.provider import Provider, RecordProblem
from guestlist.roster.same_organization import MAX_INVITATIONS, identity_of
from guestlist.roster.store import Fact, Kind, PlanStore
from guestlist.roster.threads import in_threads
from guestlist.verbs.find import mark_incomplete
from guestlist.verbs.lists import find_unreadable_record
from guestlist.verbs.states import conclude_from, current, pick_invitation, pick_member

T = TypeVar("T")

MAX_ACCOUNTS_AT_ONCE = 32
"""Maximum number of accounts read at the same time."""
MAX_REQUESTS_PER_ACCOUNT = 4
"""Maximum number of people of one account requested at the same time."""
BATCH_RECORDS = 500
"""Number of records per write to the plan store."""
PROGRESS_SECONDS = 0.5
"""Minimum time between two progress reports of an account."""

LISTS = ("invitations", "members")
"""The operations that list all people of an account."""

Progress = Callable[[str, str, int], None]
"""Callback for progress. Receives the account, the kind of records and the number read so far,
starting with 0.

Kinds: `roles`, `invitations`, `members`, `access` (the roles of a member), `details` (complete
invitations, if the list has only summaries) and `people` (if the service has no lists). Called from
several threads, but never concurrently."""

NeedsDetails = Callable[[str, "Reading", Sequence[Fact]], bool]
"""Callback that decides whether to request the complete invitation of a person, if the list has
only a summary. Receives the account, its reading so far, and the facts about the person."""


@dataclass
class Reading:
    """Result of reading one account, apart from the people.

    Attributes:
        roles: the roles that the account can grant, if they were needed.
        programs: number of members that were skipped because they are service accounts.
        accepted: number of invitations that the service reports as accepted.
        without_roles: number of members whose list record does not contain their roles.
        without_access: by key, why a member whose roles were requested has no effective access.
        identities: what identifies the first invitations among those of all organizations.
        problems: list records that could not be parsed.
        error: why the account could not be read. The data read before the error must not be used.
    """

    roles: list[Role] = field(default_factory=list)
    programs: int = 0
    accepted: int = 0
    without_roles: int = 0
    without_access: dict[str, str] = field(default_factory=dict)
    identities: list[tuple[object, ...]] = field(default_factory=list)
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
    """Reads accounts concurrently. If one cannot be read, the others are read all the same.

    Args:
        names: the accounts. Facts refer to an account by its index in this list.
        store: receives the facts about people.
        managed: accounts in which the roles of people are needed.
        everybody: read all people and their roles, not only those of people in the store. Accounts
            whose service has no lists then fail.
        needs_details: see `NeedsDetails`; by default every invitation is read completely.
        progress: see `Progress`.

    Returns:
        The result of reading, by account.
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
    finally:  # after Ctrl-C or an error, the threads stop at their next record
        stop.set()


def _one_at_a_time(progress: Progress | None) -> Progress:
    lock = threading.Lock()

    def report(account: str, what: str, count: int) -> None:
        if progress is not None:
            with lock:
                progress(account, what, count)

    return report


@dataclass
class _Reader:
    """Reads the members, invitations and roles of one account into the plan store."""

    _guests: Guestlist
    name: str
    _number: int
    _store: PlanStore
    _stop: threading.Event
    _report: Progress
    _everybody: bool
    _needs_details: NeedsDetails | None
    _reading: Reading = field(default_factory=Reading)

    def __post_init__(self) -> None:
        self._provider = self._guests.accounts[self.name]

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
        """Yields the items. Reports progress at the beginning, at the end and at intervals."""
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
        reading = self._reading
        reading.accepted += one.state is State.ACCEPTED
        if len(reading.identities) < MAX_INVITATIONS and one.id and one.created_at:
            reading.identities.append(identity_of(one))
        key = self._store.key_of(self._number, invitation_keys(one))
        return Fact(key, self._number, Kind.INVITATION, False, brief, body)

    def _summary_fact(self, one: Invitation) -> Fact:
        return self._invitation_fact(one)._replace(ask=True)

    def _member_fact(self, one: Member) -> Fact | None:
        if one.service:
            self._reading.programs += 1
            return None
        inside = one.state in MEMBERSHIPS
        # A brief sums up a plain record. Other records are parsed and compared completely.
        plain = one.state is MemberState.ACTIVE and one.address is not None
        brief = roles_brief(one.roles) if plain else ""
        body = one.model_dump_json(exclude_defaults=True)
        ask = inside and one.roles is None
        self._reading.without_roles += ask
        key = self._store.key_of(self._number, member_keys(one))
        return Fact(key, self._number, Kind.MEMBER, ask, brief, body)

    def _look_up_each_person(self) -> None:
        """Looks up each person of the roster, because the service has no lists.

        People who are not in the roster cannot be found this way.
        """
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
        """Requests the roles of members whose records lack them, if the roster names roles."""
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
        """Requests the complete invitation of each person whose summary does not suffice."""
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
        found = self._guests.call(type(self._provider).find_invitation, summary.who)
        if found is None:  # The invitation has ended since the list was read.
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
        with suppress(NotFound):  # the member has left since the list was read
            grants = self._guests.call(access, member)
            effective, why = self._provider.explain_access(grants, member)
            if not effective:
                self._reading.without_access[key] = why or self._provider.no_access
            held = tuple(grant.role for grant in grants if grant.direct)
            kept = json.dumps([one.model_dump(exclude_defaults=True) for one in held])
            return Fact(key, self._number, Kind.HELD, False, roles_brief(held), kept)
        return None


# ---------------------------------------------------------------------------- briefs


class InvitationBrief(NamedTuple):
    """The parts of an invitation that usually suffice for a decision.

    Attributes:
        state: the state of the invitation.
        offered: kind and id of each role that the invitation offers.
        current_options: the provider's options of the invitation; None if the service does not
            show them.
    """

    state: State
    offered: frozenset[tuple[str, str]]
    current_options: Mapping[str, Any] | None


def current_options(provider: Provider, invitation: Invitation) -> dict[str, Any] | None:
    """Returns the options of an invitation as JSON values, or None if they are unknown.

    The invitation must still contain the raw record of the service.
    """
    options = provider.copy_of(invitation).options
    return None if options is None else options.model_dump(mode="json")


def ids_of(roles: Iterable[Role]) -> frozenset[tuple[str, str]]:
    """Returns kind and id of each role."""
    return frozenset((role.kind, role.id) for role in roles)


def _invitation_brief(one: Invitation, options: dict[str, Any] | None) -> str:
    return json.dumps([one.state, sorted(ids_of(one.roles)), options], separators=(",", ":"))


@lru_cache(4096)
def invitation_from(brief: str) -> InvitationBrief:
    """Parses the JSON of `Fact.brief` for an invitation."""
    state, offered, options = json.loads(brief)
    return InvitationBrief(State(state), frozenset(map(tuple, offered)), options)


def roles_brief(roles: Iterable[Role] | None) -> str:
    """Returns the JSON of `Fact.brief` for a member: the roles, or `null` if the record lacks
    them."""
    return "null" if roles is None else json.dumps(sorted(ids_of(roles)), separators=(",", ":"))


@lru_cache(4096)
def roles_from(brief: str) -> frozenset[tuple[str, str]] | None:
    """Parses the JSON of `Fact.brief` for a member. Returns kind and id of each role; None if
    unknown."""
    roles = json.loads(brief)
    return None if roles is None else frozenset(map(tuple, roles))


# ---------------------------------------------------------------------------- state of a person


class PersonState(NamedTuple):
    """State of a person, and the options of their invitations.

    Attributes:
        current_options: the options of the invitation that counts; None if they are unknown.
        options: the options of each of `Guest.invitations`.
    """

    guest: Guest
    current_options: Mapping[str, Any] | None
    options: tuple[Mapping[str, Any] | None, ...] = ()


def invitation_keys(invitation: Invitation) -> list[str]:
    """Returns the keys by which a roster may know an invited person, the one of the address
    first."""
    names = [email_key(invitation.email)] if invitation.email else []
    names += [login_key(invitation.login)] if invitation.login else []
    return names or [person_key(None, None, invitation.id)]


def member_keys(member: Member) -> list[str]:
    """Returns the keys by which a roster may know a member, the one of the address first."""
    names = [login_key(member.login)] if member.login else []
    return list(
        dict.fromkeys([person_key(member.address or member.login or member.email), *names])
        if member.email or member.login
        else [person_key(None, None, member.id)]
    )


def person_state(
    account: Account,
    email: str | None,
    facts: Sequence[Fact],
    problems: Sequence[RecordProblem] = (),
    candidates: Callable[[Invitation], Iterable[Member]] = lambda _invitation: (),
) -> PersonState:
    """Returns the state of a person as `status` would return it, computed from stored facts.

    Args:
        facts: the facts about the person in the account.
        problems: list records of the account that could not be parsed. If one may be about the
            person, their absence is uncertain.
        candidates: returns the members who could have accepted an invitation under another address.
    """
    invitations, members, held = list[tuple[Invitation, str]](), list[Member](), None
    outdated = any(fact.kind == Kind.COMPLETE for fact in facts)  # if so, summaries are ignored
    for fact in facts:
        if fact.kind == Kind.COMPLETE or (fact.kind == Kind.INVITATION and not outdated):
            invitations.append((Invitation.model_validate_json(fact.body), fact.brief))
        elif fact.kind == Kind.MEMBER:
            members.append(Member.model_validate_json(fact.body))
        elif fact.kind == Kind.HELD:
            held = tuple(map(Role.model_validate, json.loads(fact.body)))
    member = pick_member(members)
    if member is not None and held is not None:
        member = member.model_copy(update={"roles": held})
    records = [one for one, _ in invitations]
    counting = pick_invitation(records)
    others: tuple[Member, ...] = ()
    if counting is not None and counting.state is State.ACCEPTED and member is None:
        others = tuple(candidates(counting))
    login = next((fact.body for fact in facts if fact.kind == Kind.ALIAS and fact.body), None)
    guest = conclude_from(account, email, records, member, login=login or None, candidates=others)
    briefs = {id(one): brief for one, brief in invitations}
    options = [
        invitation_from(briefs[id(one)]).current_options
        for one in (*guest.invitations, *([guest.invitation] if guest.invitation else []))
    ]
    hidden = find_unreadable_record(problems, facts[0].key) if problems else None
    return PersonState(
        guest if hidden is None else mark_incomplete(guest, hidden),
        options[-1] if options else None,
        tuple(options[:-1]),
    )
