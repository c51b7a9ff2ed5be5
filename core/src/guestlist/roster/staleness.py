"""Compares a saved plan with the present: the date, the roster, the roles, and the state at the
services."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo

from guestlist.address import email_key
from guestlist.changes import UNFOUNDED, WITHDRAWALS, Action, Change
from guestlist.client import Guestlist
from guestlist.exchange.account import Account
from guestlist.models import Guest, Invitation, Role, State
from guestlist.roster.compare import without_prepared
from guestlist.roster.desired import RosterFacts
from guestlist.roster.diff import AccountRules
from guestlist.roster.plan import check_aliases
from guestlist.roster.planfile import PlanFile
from guestlist.roster.reading import Progress, Reading, ids_of, person_state, read_accounts
from guestlist.roster.store import Fact, Kind, PlanStore
from guestlist.roster.summary import REMOVALS
from guestlist.roster.wanted import Wanted
from guestlist.verbs.states import state_word


def iter_outdated_changes(
    guests: Guestlist,
    plan: PlanFile,
    wanted: Iterable[Wanted],
    *,
    now: datetime | None = None,
    zone: tzinfo = UTC,
    protected: frozenset[str] = frozenset(),
    progress: Progress | None = None,
) -> Iterator[tuple[Change, str]]:
    """Reads the accounts of a saved plan again, and yields each change that is out of date.

    A change is based on the date, on the roster, on the roles that it names, and on the person's
    invitation and membership. If changes are out of date because of the date or of roles, only
    those are yielded. Memory does not grow with the number of people.

    Args:
        plan: the saved plan.
        wanted: the present roster.
        zone: the time zone in which the days of the roster begin and end.
        protected: people who lose neither membership nor roles (`Limits.protected`).
        now: the current time; by default the time of the client's clock.
        progress: see `guestlist.roster.reading.Progress`.

    Yields:
        The change, and a description of the difference.

    Raises:
        ConfigError: the provider or the settings of an account have changed, or the file cannot be
            read.
        GuestlistError: an account cannot be read.
    """
    names = plan.founded
    plan.check_accounts(guests)
    now = now or guests.clock.now()
    late = list(iter_overdue_changes(plan, now))
    if late:
        yield from late
        return
    store = PlanStore()
    try:
        numbers = {name: number for number, name in enumerate(names)}
        entries = RosterFacts(numbers, now, zone).facts(wanted)
        # only the roles of people in the plan have to be requested
        store.add(fact._replace(ask=False) for fact in entries)
        check_aliases(store)
        store.add(_basis_facts(plan.changes(), numbers))
        read = read_accounts(
            guests, names, store, managed=names, needs_details=_is_planned, progress=progress
        )
        for reading in read.values():
            if reading.error:
                raise reading.error
        listed = {
            name: {(role.kind, role.id): role for role in reading.roles}
            for name, reading in read.items()
            if guests.accounts[name].supports("roles")
        }
        renamed = [
            (change, what)
            for change in plan.changes()
            if change.account in listed and (what := _renamed(change, listed[change.account]))
        ]
        if renamed:
            yield from renamed
            return
        accounts = [Account(name, guests.accounts[name], guests.clock) for name in names]
        for facts in map(without_prepared, store.people()):
            changes = [
                Change.model_validate_json(fact.body) for fact in facts if fact.kind == Kind.BASIS
            ]
            if changes:
                number = facts[0].account
                account, problems = accounts[number], read[names[number]].problems
                there = person_state(account, changes[0].email or None, facts, problems).guest
                rules = AccountRules(account.name, account.provider, protected=protected)
                for change in changes:
                    what = difference(change, there) or _contradiction(change, there, facts, rules)
                    if what:
                        yield change, what
    finally:
        store.close()


def _is_planned(_account: str, _reading: Reading, facts: Sequence[Fact]) -> bool:
    return any(fact.kind == Kind.BASIS for fact in facts)


def iter_overdue_changes(plan: PlanFile, now: datetime) -> Iterator[tuple[Change, str]]:
    """Yields each change of a plan whose `until` has passed, with a description."""
    for change in plan.changes():
        if change.until is not None and change.until <= now and change.action is not Action.CANNOT:
            yield change, f"was valid only until {change.until:%Y-%m-%d %H:%M} UTC"


def _renamed(change: Change, listed: Mapping[tuple[str, str], Role]) -> str:
    """Describes a difference in the roles that a change names; empty if there is none."""
    if change.action is Action.CANNOT:
        return ""
    given = () if change.action is Action.WITHDRAW else change.roles
    for role in (*given, *change.deferred):
        if isinstance(role, str):  # plans of this version never contain such a role
            return f"names the role {role!r} without its id"
        now = listed.get((role.kind, role.id))
        if now is None:
            return f"is about the role {role.label}, which no longer exists"
        if now.name != role.name:
            return f"is about the role {role.label}, which is now called {now.label}"
    return ""


def _basis_facts(changes: Iterable[Change], numbers: Mapping[str, int]) -> Iterator[Fact]:
    for one in changes:
        if one.action not in UNFOUNDED:
            ask = one.member is not None and one.member.roles is not None
            body = one.model_dump_json(exclude_defaults=True)
            yield Fact(one.key, numbers[one.account], Kind.BASIS, ask, "", body)
            if one.prepared:
                yield Fact(one.key, numbers[one.account], Kind.PREPARED, False, "", "")


def _contradiction(change: Change, there: Guest, facts: Sequence[Fact], rules: AccountRules) -> str:
    """Describes why the present roster does not lead to a change; empty if it does.

    Args:
        there: the person's state at the service.
        facts: the facts about the person, with the entries of the roster.
    """
    entries = [fact for fact in facts if fact.kind in (Kind.WANTED, Kind.NOT_YET)]
    removes = change.action in REMOVALS
    if not removes and all(fact.kind != Kind.WANTED for fact in entries):
        return "is not in the roster now"
    if entries:
        addresses = {email_key(fact.body) for fact in entries}
    else:
        record = there.member.address if there.member else None
        if there.member is None and there.invitation is not None:
            record = there.invitation.email
        addresses = {email_key(record or "")}
    if email_key(change.email) not in addresses:
        return "is not the person for whom the plan was made"
    if removes and entries:  # only surplus invitations are withdrawn
        left = len(there.invitations) > len(change.invitations)
        if change.action is Action.REMOVE or not (there.member or left):
            return "is in the roster now"
    if (
        change.action in WITHDRAWALS
        and (not entries or there.state is State.ACCEPTED)
        and rules.protects(change.key, there.member)
    ):
        return "is protected by the roster now"
    return ""


def difference(change: Change, now: Guest) -> str:
    """Describes how a person's state differs from the basis of a change; empty if it does not."""
    if change.state is not now.state:
        return f"was {state_word(change.state)}, and is now {state_word(now.state)}"
    open_now = set(map(_facts, now.invitations))
    if _facts(change.invitation) != _facts(now.invitation) or not open_now.issuperset(
        map(_facts, change.invitations)
    ):
        return "the invitation was replaced or renewed"
    if change.login != now.login:
        return f"had the login {change.login!r}, and now has {now.login!r}"
    before, member = change.member, now.member
    if (before and before.id) != (member and member.id):
        return "the member record was replaced"
    if before and member and before.roles is not None:
        held, holds = ids_of(before.roles), ids_of(member.roles or ())
        if held != holds:
            return "now holds other roles"
    return ""


def _facts(invitation: Invitation | None) -> object:
    return invitation and (invitation.id, invitation.expires_at, ids_of(invitation.roles))
