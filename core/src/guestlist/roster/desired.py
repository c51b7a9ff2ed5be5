"""Desired access: roster entries as facts, and their meaning in one account."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache, reduce
from typing import Any, NamedTuple

from pydantic import BaseModel

from guestlist.address import email_key, login_key
from guestlist.changes import RoleRef, reference
from guestlist.errors import CallerMistake, UnknownRole
from guestlist.models import Role
from guestlist.provider import Provider
from guestlist.roster.store import Fact, Kind
from guestlist.roster.wanted import DesiredMembership, Wanted, merge_memberships
from guestlist.verbs.arguments import parse_options
from guestlist.verbs.roles import match_roles, unassignable_role_error, unknown_role_error

CACHE_ENTRIES = 4096
"""Size of each cache. Many people share few distinct combinations of roles and options."""


class RosterFacts:
    """Converts roster entries into facts, and collects totals over all entries.

    Args:
        numbers: index of each planned account, by name.
        now: the time to compare `from` and `until` with.
        zone: the time zone in which days begin and end.

    Attributes:
        accounts: accounts that the roster names, configured or not.
        wanted: accounts in which the roster wants at least one person, now or later.
        managed: accounts in which at least one entry names roles.
        count: number of entries so far, including those of accounts that are not planned.
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
        """SHA-256 of the entries so far, in their order."""
        return self._hash.hexdigest()

    def facts(self, wanted: Iterable[Wanted]) -> Iterator[Fact]:
        """Yields a fact for each entry whose account is planned."""
        for one in wanted:
            brief = _brief(one)
            named = f"\0{one.also}\0{one.login}" if one.also or one.login else ""
            self._hash.update(
                f"{one.account}\0{one.email}\0{brief}\0{one.starts}\0{one.ends}{named}\n".encode()
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
            names = map(email_key, one.also) if one.also else ()
            for name in (*names, login_key(one.login)) if one.login else names:
                login = one.login or "" if name[:1] == "@" else ""
                yield Fact(one.key, number, Kind.ALIAS, False, name, login, one.place)

    def _kind(self, one: Wanted) -> Kind:
        begin, end = self._begin(one), self._end(one)
        if end is not None and end <= self._now:
            return Kind.ENDED
        if begin is not None and begin > self._now:
            return Kind.NOT_YET
        return Kind.WANTED

    def _until(self, one: Wanted, kind: Kind) -> datetime | None:
        """Returns the next moment at which an entry begins or ends, or None."""
        if kind is Kind.NOT_YET:
            return self._begin(one)
        return self._end(one) if kind is Kind.WANTED else None

    def _begin(self, one: Wanted) -> datetime | None:
        return None if one.starts is None else moment_of(one.starts, self._zone)

    def _end(self, one: Wanted) -> datetime | None:
        return None if one.ends is None else moment_of(one.ends, self._zone, end=True)


@lru_cache(CACHE_ENTRIES)
def moment_of(day: date, zone: tzinfo, *, end: bool = False) -> datetime:
    """Returns the beginning of a day in UTC. A datetime is only converted to UTC.

    Args:
        end: return the end of the day instead.
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
    """Merges several roster entries about one person. Returns the JSON of `Fact.brief`."""
    parts = (json.loads(entry.brief) for entry in entries)
    return _as_json(
        *reduce(
            merge_memberships, (DesiredMembership(roles, options) for roles, options, *_ in parts)
        )
    )


def until(facts: Iterable[Fact]) -> datetime | None:
    """Returns the next moment at which the desired access of a person changes, or None."""
    moments = [
        datetime.fromisoformat(moment)
        for fact in facts
        if fact.kind in (Kind.WANTED, Kind.NOT_YET)
        for moment in json.loads(fact.brief)[2:]
    ]
    return min(moments, default=None)


class DesiredAccess(NamedTuple):
    """Access that a roster wants for a person, resolved to roles and options of one account.

    Attributes:
        roles: the roles without duplicates; None if the roster does not name roles.
        ids: kind and id of each role; None if `roles` is None.
        options: the provider's options; None if they are invalid.
        given: the options that the roster sets, as JSON values.
        problems: why this access is impossible in the account. If there are any, no one is invited
            with it, and no roles are revoked because of it.
    """

    roles: tuple[Role, ...] | None
    ids: frozenset[tuple[str, str]] | None
    options: BaseModel | None
    given: Mapping[str, Any]
    problems: tuple[str, ...]


class AccessResolver:
    """Resolves the names in roster entries to roles and options of one account, with a cache.

    Args:
        roles: the roles that the account can grant.
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
            options = parse_options(self._provider, given)
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
                if role.not_assignable and not role.by_invitation:
                    problems.append(str(unassignable_role_error(role)))
        problems += self._impossible(list(roles.values()))
        return DesiredAccess(
            roles=None if words is None else tuple(roles.values()),
            ids=None if words is None else frozenset(roles),
            options=options,
            given=given,
            problems=tuple(problems),
        )

    def _role(self, word: str) -> Role:
        """Returns the role with the given id, name or `kind:name`.

        Raises:
            UnknownRole: no role matches, or more than one does.
        """
        if not self._provider.supports("roles"):
            return Role(id=word)
        found = match_roles(self._roles, word)
        if len(found) == 1:
            return found[0]
        raise unknown_role_error(word, found, self._roles)

    def role_id(self, ref: RoleRef) -> tuple[str, str] | None:
        """Returns the kind and id of a role, or None if no role has that name any more."""
        try:
            role: Role = self.role(ref) if isinstance(ref, str) else ref
        except UnknownRole:
            return None
        return role.kind, role.id

    def word(self, role: Role) -> str:
        """Returns an unambiguous name of a role: its label, or its id if the label is ambiguous."""
        return role.label if match_roles(self._roles, role.label) == [role] else role.id

    def _impossible(self, roles: Sequence[Role]) -> Iterator[str]:
        provider = self._provider
        if contradiction := provider.excludes(roles):
            yield f"{contradiction[:1].upper()}{contradiction[1:]}, but the roster has both."
        if provider.split_roles(roles)[1] and not provider.supports("assign_role"):
            yield str(provider.unsupported("assign_role"))
