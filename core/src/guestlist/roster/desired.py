"""What the roster wants, on its way into scratch space and in the terms of one account."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache, reduce
from typing import Any, NamedTuple

from pydantic import BaseModel

from guestlist.changes import RoleRef, reference
from guestlist.errors import CallerMistake, UnknownRole
from guestlist.models import Role
from guestlist.provider import Provider
from guestlist.roster.memberships import DesiredMembership, merge_memberships
from guestlist.roster.store import Fact, Kind
from guestlist.roster.wanted import Wanted
from guestlist.verbs.order import options_of
from guestlist.verbs.roles import fitting, unassignable, unknown_role

CACHE_ENTRIES = 4096
"""How many different wishes are kept in mind; people are many, their wishes few."""


class RosterFacts:
    """Turns the people of a roster into facts, and keeps what has to be known of all of them.

    Args:
        numbers: of the accounts that are planned, by name.
        now: the moment that `from` and `until` are compared with.
        zone: where days begin and end.

    Attributes:
        accounts: those that the roster names, also if nobody configured them.
        wanted: those in which it wants somebody, now or later.
        managed: the accounts in which the roster says of somebody which roles to hold.
        count: how many entries the roster has had so far, those of other accounts included.
    """

    def __init__(self, numbers: Mapping[str, int], now: datetime, zone: tzinfo) -> None:
        self._numbers = numbers
        self._now = now
        self._zone = zone
        self._hash = hashlib.sha256()
        self.accounts: set[str] = set()
        self.wanted: set[str] = set()
        self.managed: set[str] = set()
        self.count = 0

    @property
    def digest(self) -> str:
        """Tells two rosters apart: what they want, and in which order."""
        return self._hash.hexdigest()

    def facts(self, wanted: Iterable[Wanted]) -> Iterator[Fact]:
        """The facts of those whose account is planned."""
        for one in wanted:
            brief = _brief(one)
            self._hash.update(
                f"{one.account}\0{one.email}\0{brief}\0{one.starts}\0{one.ends}\n".encode()
            )
            self.count += 1
            self.accounts.add(one.account)
            number = self._numbers.get(one.account)
            if number is None:
                continue
            if one.roles is not None:
                self.managed.add(one.account)
            kind = self._kind(one)
            if kind is not Kind.ENDED:
                self.wanted.add(one.account)
            if until := self._until(one, kind):
                brief = _as_json(one.roles, one.options, until)
            body = str(one.ends) if kind is Kind.ENDED else one.email
            ask = kind is Kind.WANTED and one.roles is not None
            yield Fact(one.key, number, kind, ask, brief, body, one.place)

    def _kind(self, one: Wanted) -> Kind:
        begin, end = self._begin(one), self._end(one)
        if end is not None and end <= self._now:
            return Kind.ENDED
        if begin is not None and begin > self._now:
            return Kind.NOT_YET
        return Kind.WANTED

    def _until(self, one: Wanted, kind: Kind) -> datetime | None:
        """Return the moment at which an entry begins or ends next; None if it never does."""
        if kind is Kind.NOT_YET:
            return self._begin(one)
        return self._end(one) if kind is Kind.WANTED else None

    def _begin(self, one: Wanted) -> datetime | None:
        return None if one.starts is None else moment_of(one.starts, self._zone)

    def _end(self, one: Wanted) -> datetime | None:
        return None if one.ends is None else moment_of(one.ends, self._zone, end=True)


@lru_cache(CACHE_ENTRIES)
def moment_of(day: date, zone: tzinfo, *, end: bool = False) -> datetime:
    """Returns when a day begins, in UTC; a moment is taken as it is.

    Args:
        end: return when the day ends instead.
    """
    if isinstance(day, datetime):
        return day.astimezone(UTC)
    if end:
        if day == date.max:
            return datetime.max.replace(tzinfo=UTC)
        day += timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _brief(one: Wanted) -> str:
    return _as_json(one.roles, one.options) if one.options else _without_options(one.roles)


@lru_cache(CACHE_ENTRIES)
def _without_options(roles: tuple[str, ...] | None) -> str:
    return _as_json(roles, {})


def _as_json(
    roles: Sequence[str] | None, options: Mapping[str, Any], until: date | str | None = None
) -> str:
    parts = [roles, dict(options)] if until is None else [roles, dict(options), until]
    return json.dumps(parts, separators=(",", ":"), sort_keys=True, default=str)


def merged_brief(entries: Sequence[Fact]) -> str:
    """Return the brief for several entries about one person."""
    parts = (json.loads(entry.brief) for entry in entries)
    return _as_json(
        *reduce(
            merge_memberships, (DesiredMembership(roles, options) for roles, options, *_ in parts)
        )
    )


def until(facts: Iterable[Fact]) -> datetime | None:
    """Return the moment from which on the roster wants something else of a person. None for
    never."""
    moments = [
        datetime.fromisoformat(moment)
        for fact in facts
        if fact.kind in (Kind.WANTED, Kind.NOT_YET)
        for moment in json.loads(fact.brief)[2:]
    ]
    return min(moments, default=None)


class DesiredAccess(NamedTuple):
    """What is wanted for somebody, in the terms of an account.

    Attributes:
        roles: the roles, each once; None if the roster names none.
        ids: their kinds and ids.
        options: the provider's options; None where they cannot be.
        given: those that the roster names, as JSON has them.
        problems: why it cannot be had by anybody; then nobody is invited with it, and nothing is
            taken away for its sake.
    """

    roles: tuple[Role, ...] | None
    ids: frozenset[tuple[str, str]] | None
    options: BaseModel | None
    given: Mapping[str, Any]
    problems: tuple[str, ...]


class AccessResolver:
    """Understands the wishes for one account, each once.

    Args:
        roles: what can be granted.
    """

    def __init__(self, provider: Provider, roles: Sequence[Role]) -> None:
        self._provider = provider
        self._roles = roles
        self.resolve = lru_cache(CACHE_ENTRIES)(self._resolve)
        self.role = lru_cache(CACHE_ENTRIES)(self._role)

    def _resolve(self, brief: str) -> DesiredAccess:
        words, given, *_until = json.loads(brief)
        problems: list[str] = []
        options = None
        try:
            options = options_of(self._provider, given)
            given = options.model_dump(mode="json", include=options.model_fields_set)
        except CallerMistake as error:
            problems.append(str(error))
        roles: dict[tuple[str, str], Role] = {}
        for word in words or ():
            try:
                role = self.role(word)
            except CallerMistake as error:
                problems.append(str(error))
            else:
                roles.setdefault((role.kind, role.id), reference(role))
                if role.not_assignable:
                    problems.append(str(unassignable(role)))
        problems += self._impossible(len(roles))
        return DesiredAccess(
            roles=None if words is None else tuple(roles.values()),
            ids=None if words is None else frozenset(roles),
            options=options,
            given=given,
            problems=tuple(problems),
        )

    def _role(self, word: str) -> Role:
        """The role that a word means.

        Raises:
            UnknownRole: it fits nothing, or more than one thing.
        """
        if not self._provider.supports("roles"):
            return Role(id=word)
        found = fitting(self._roles, word)
        if len(found) == 1:
            return found[0]
        raise unknown_role(word, found, self._roles)

    def role_id(self, ref: RoleRef) -> tuple[str, str] | None:
        """Return the kind and id of a role; None for a name that no role has any more."""
        try:
            role: Role = self.role(ref) if isinstance(ref, str) else ref
        except UnknownRole:
            return None
        return role.kind, role.id

    def word(self, role: Role) -> str:
        """How a role is named so that it is understood: its label, or else its id."""
        return role.label if fitting(self._roles, role.label) == [role] else role.id

    def _impossible(self, roles: int) -> Iterator[str]:
        provider = self._provider
        if provider.one_role and roles > 1:
            yield f"A member of {provider.title} holds one role, and the roster wants {roles}."
        later = roles - (roles if provider.most_roles is None else provider.most_roles)
        if later > 0 and not provider.supports("assign_role"):
            yield str(provider.unsupported("assign_role"))
