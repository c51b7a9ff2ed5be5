"""Compares the roster with the services, one person after another."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from guestlist.changes import SENDS_EMAIL, Action, Change
from guestlist.client import Guestlist
from guestlist.errors import UnknownRole
from guestlist.exchange.account import Account
from guestlist.models import (
    MAY_BE_OPEN,
    MEMBERSHIPS,
    OPEN_STATES,
    Basis,
    Guest,
    Invitation,
    Member,
    State,
)
from guestlist.roster.deferred_grants import desired_brief, withdrawal, withdrawal_reason
from guestlist.roster.desired import AccessResolver, DesiredAccess, until
from guestlist.roster.diff import (
    AccountRules,
    DesiredState,
    Note,
    deferred_roles,
    differences,
    differing_parts,
    replacement_grants,
)
from guestlist.roster.limits import EmailLimiter
from guestlist.roster.reading import (
    Reading,
    invitation_from,
    member_keys,
    person_state,
    roles_from,
)
from guestlist.roster.store import Fact, Kind, PlanStore
from guestlist.verbs.states import candidate_names, could_be, is_same_user

LastInvited = Callable[[str, Collection[str]], Mapping[str, float]]
"""Callback that returns when people of an account were invited, in seconds since 1970. Receives the
account and the keys of people."""
PEOPLE_PER_LOOKUP = 500
"""People whose invitations are looked up in the ledger together."""

PlaceOf = Callable[[str, str], str]
"""Callback that returns where a roster names a role of an account, such as `guestlist.toml:12`, or
an empty string. Receives the account and the role."""


class AccountComparison:
    """Rules, caches and counts for comparing the people of one account."""

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
        self.rules = AccountRules(
            account=name,
            provider=self.provider,
            roles=reading.roles,
            check=guests.check_invitation,
            prune=prune,
            invite_declined=invite_declined,
            protected=protected,
        )
        self.problems = reading.problems
        self.lost = LostPeople()
        self.accepted = reading.accepted
        self.notes: Counter[Note] = Counter({Note.PROGRAMS: reading.programs})


def may_differ(account: AccountComparison, facts: Sequence[Fact]) -> bool:
    """Returns whether a person may need a change, as far as an invitation's summary shows."""
    facts = without_prepared(facts)
    desired = _desired(account, facts)
    if _quick_notes(account, desired, facts) is not None:
        return False
    found = _full_comparison(account, desired, facts)
    recorded = (Action.WITHDRAW, Action.DEFER)  # actions that send no request
    return any(isinstance(one, Change) and one.action not in recorded for one in found)


def compare(
    store: PlanStore,
    accounts: Sequence[AccountComparison | None],
    limiter: EmailLimiter,
    place_of: PlaceOf,
    people: Collection[str] = (),
    *,
    last_invited: LastInvited | None = None,
    retry_unknown: bool = False,
) -> None:
    """Compares each person with the roster, and writes the changes into the store.

    Args:
        accounts: the comparison of each account, by index; None if it cannot be read.
        place_of: see `PlaceOf`.
        people: compare only the people with these keys; empty for all.
        last_invited: see `LastInvited`; None without a ledger.
        retry_unknown: send an email even if the outcome of an earlier one is unknown.
    """
    _find_lost_people(store, accounts)
    if last_invited is not None:
        _find_vanished_invitations(store, accounts, last_invited)
    changes = _person_changes(store, accounts, limiter, place_of, people, retry_unknown)
    store.add_changes(changes)
    store.add_changes(_problem_changes(store, accounts))


class LostPeople:
    """People of the roster who may be members, although no member record can be assigned to them.

    Attributes:
        accepted: their invitations that were accepted, although no member has their address.
        vanished: by key, their invitations that only the ledger knows. The service has forgotten
            them, perhaps because they were accepted.
        without_login: whether the service shows no addresses, and the roster lacks a login.
        members: members who are neither in the roster nor invited by an address of their own.
    """

    def __init__(self) -> None:
        self.accepted: list[Invitation] = []
        self.vanished: dict[str, Invitation] = {}
        self.without_login = False
        self.members: list[Member] = []

    def candidates(self, invitation: Invitation) -> list[Member]:
        """Returns the members who could have accepted an invitation to another address."""
        same = [one for one in self.members if is_same_user(one, invitation)]
        dated = invitation.email in self.vanished  # then the date of joining is the only evidence
        return same or [
            one
            for one in self.members
            if could_be(one, invitation) and (one.joined_at is not None or not dated)
        ]

    def may_be(self, record: Member | Invitation | None) -> bool:
        """Returns whether a member or invited person who is not in the roster may be a person of
        the roster."""
        if isinstance(record, Invitation):
            return self.without_login and not record.email
        if record is None:
            return False
        if self.without_login and not record.address:
            return True
        return any(record in self.candidates(one) for one in self.accepted)


def _find_lost_people(store: PlanStore, accounts: Sequence[AccountComparison | None]) -> None:
    """Finds the people of the roster who may be members under a name that the roster does not
    give."""
    for number, account in enumerate(accounts):
        if account is None:
            continue
        hides = not account.provider.members_show_emails
        if not hides and not account.accepted:
            continue
        bodies = store.accepted_without_member(number)
        account.lost.accepted = [Invitation.model_validate_json(body) for body in bodies]
        account.lost.without_login = hides and store.has_unidentified(number)
        if account.lost.accepted:
            account.lost.members = unlisted_members(store, number)


def _find_vanished_invitations(
    store: PlanStore, accounts: Sequence[AccountComparison | None], last_invited: LastInvited
) -> None:
    """Finds the people of the roster whose invitation the service no longer shows. Does so only if
    an unknown member has joined since the invitation: one who is not in the roster, and whose
    address was not invited."""
    for number, account in enumerate(accounts):
        if account is None:
            continue
        dated = [one for one in unlisted_members(store, number) if one.joined_at is not None]
        own = _in_parts(
            [key for one in dated for key in member_keys(one)],
            partial(last_invited, account.name),
        )
        members = [one for one in dated if own.keys().isdisjoint(member_keys(one))]
        if not members:
            continue
        for keys in store.absent(number, PEOPLE_PER_LOOKUP):
            for key, at in last_invited(account.name, keys).items():
                one = Invitation(
                    id=None,
                    email=key,
                    state=State.ACCEPTED,
                    basis=Basis.INFERRED,
                    created_at=datetime.fromtimestamp(at, UTC),
                )
                if any(could_be(member, one) for member in members):
                    account.lost.vanished[key] = one
                    account.lost.accepted.append(one)
        known = {one.id for one in account.lost.members}
        account.lost.members += [one for one in members if one.id not in known]


def _in_parts(
    keys: Sequence[str], lookup: Callable[[Collection[str]], Mapping[str, float]]
) -> dict[str, float]:
    found: dict[str, float] = {}
    for start in range(0, len(keys), PEOPLE_PER_LOOKUP):
        found |= lookup(keys[start : start + PEOPLE_PER_LOOKUP])
    return found


def _with_vanished(guest: Guest, invitation: Invitation, candidates: Sequence[Member]) -> Guest:
    """Returns a guest without records as unknown, because one of the members may be the person."""
    why = (
        f"the person was invited on {invitation.created_at:%Y-%m-%d}, the service does not show"
        f" that invitation any more, and no member has this address; {candidate_names(candidates)}"
    )
    unclear = {"state": State.UNKNOWN, "unidentified": why, "candidates": tuple(candidates)}
    return guest.model_copy(update=unclear)


def unlisted_members(store: PlanStore, number: int) -> list[Member]:
    """Returns the members of an account who are not in the roster, and did not accept an invitation
    to their own address."""
    members = map(Member.model_validate_json, store.unlisted_members(number))
    return [one for one in members if one.state in MEMBERSHIPS]


def _person_changes(
    store: PlanStore,
    accounts: Sequence[AccountComparison | None],
    limiter: EmailLimiter,
    place_of: PlaceOf,
    people: Collection[str],
    retry_unknown: bool,
) -> Iterator[tuple[int, Change]]:
    for facts in map(without_prepared, store.people()):
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
                change = _with_unresolved(_with_prepared(found, facts), facts, retry_unknown)
                yield number, limiter.check(change)


def without_prepared(facts: Sequence[Fact]) -> Sequence[Fact]:
    """Returns the facts about a person. Leaves out an open invitation whose email may not have been
    sent, if the roster or a saved plan wants the person, so that the person is invited again.
    Otherwise keeps it, so that it is withdrawn like any other.
    """
    kinds = {fact.kind for fact in facts}
    if Kind.PREPARED not in kinds or not kinds & {Kind.WANTED, Kind.BASIS}:
        return facts
    return [
        fact
        for fact in facts
        if fact.kind not in (Kind.INVITATION, Kind.COMPLETE)
        or invitation_from(fact.brief).state not in MAY_BE_OPEN
    ]


def _with_prepared(change: Change, facts: Sequence[Fact]) -> Change:
    """Returns the change, marked if an earlier attempt may have left a record without an email."""
    kinds = {fact.kind for fact in facts}
    if change.action not in SENDS_EMAIL or Kind.PREPARED not in kinds:
        return change
    why = change.reason if Kind.UNRESOLVED in kinds else "an earlier attempt ended before its email"
    return change.model_copy(update={"prepared": True, "reason": why})


def _with_unresolved(change: Change, facts: Sequence[Fact], retry: bool) -> Change:
    """Returns the change, adjusted if the outcome of an earlier email to the person is unknown.

    Without `retry`, an action that sends an email becomes `unresolved`.
    """
    earlier = [fact.body for fact in facts if fact.kind == Kind.UNRESOLVED]
    if not earlier or change.action not in SENDS_EMAIL:
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
    """Returns the place of the role that causes a problem, or else of the person's entry."""
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
) -> Iterator[tuple[int, Change]]:
    """Yields one `cannot` change per problem of an account, instead of one per person."""
    for number, text, people, who, place in store.problems():
        account = accounts[number]
        if account is not None:
            whom = who if people == 1 else f"{people} people"
            reason = f"{place}: {text}" if place else text
            reason += f" The roster wants it for {whom}."
            change = Change(
                action=Action.CANNOT, account=account.name, email="", key="", reason=reason
            )
            yield number, change


def _quick_notes(
    account: AccountComparison, desired: DesiredAccess | None, facts: Sequence[Fact]
) -> dict[Note, int] | None:
    """Returns the notes of a person who clearly needs no change; None if a full comparison is
    needed.

    The notes equal those of `differences`, but the records are not parsed, which is faster.
    """
    kinds = [fact.kind for fact in facts if fact.kind != Kind.ALIAS]
    if desired is None:
        if kinds == [Kind.NOT_YET]:
            return {Note.NOT_YET: 1}
        left_alone = not account.rules.prune and not account.rules.protected
        if kinds == [Kind.MEMBER] and facts[0].brief and left_alone:
            return {Note.UNLISTED: 1}
        return None
    if desired.problems:
        return None
    if kinds in _INVITED:
        current = invitation_from(facts[len(kinds) - 1].brief)
        provider = account.provider
        fits = current.state in OPEN_STATES and not differing_parts(provider, desired, current)
        if fits and not deferred_roles(provider, desired, current):
            return {Note.INVITED: 1}
    elif kinds in _MEMBERS and facts[1].brief:
        held = roles_from(facts[len(kinds) - 1].brief)
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
    grants = [Change.model_validate_json(one.body) for one in facts if one.kind == Kind.DEFERRED]
    email = first.body if desired is not None else ""
    found = person_state(
        account.account, email or None, facts, account.problems, account.lost.candidates
    )
    vanished = account.lost.vanished.get(first.key)
    if vanished is not None and found.guest.state is State.GONE:
        who = account.lost.candidates(vanished)
        found = found._replace(guest=_with_vanished(found.guest, vanished, who))
    member = found.guest.member
    record = member.address if member else None
    if member is None and found.guest.invitation is not None:
        record = found.guest.invitation.email
    taken_out = account.rules.prune and not account.rules.protects(first.key, member)
    role_id = account.resolver.role_id
    reasons = [
        (grant, withdrawal_reason(grant, facts, desired, role_id, taken_out=taken_out))
        for grant in grants
    ]
    withdrawn = [(grant, reason) for grant, reason in reasons if reason]
    kept = {role_id(grant.roles[0]) for grant, reason in reasons if not reason}
    wanted = DesiredState(
        key=first.key,
        email=email or record or "",
        desired=desired,
        deferred={role for role in kept if role is not None},
        ended=next((fact.body for fact in facts if fact.kind == Kind.ENDED), ""),
        until=until(facts),
        may_be=account.lost.may_be(member or found.guest.invitation),
    )
    instead = replacement_grants(account.rules, wanted, found.guest) if withdrawn else ()
    if found.guest.state in OPEN_STATES:  # withdrawing the old grants also records the new ones
        recorded = {role_id(role) for role in instead}
        wanted = replace(wanted, deferred={*wanted.deferred, *(one for one in recorded if one)})
    for grant, reason in withdrawn:
        yield withdrawal(grant, reason, instead, wanted.until)
        instead = ()
    if desired is None and Kind.NOT_YET in kinds:
        yield Note.NOT_YET
        return
    yield from differences(account.rules, wanted, found.guest, found.current_options, found.options)
