"""Deferred grants, compared with the roster of today."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, tzinfo

from guestlist.changes import Action, Change, RoleRef
from guestlist.client import Guestlist
from guestlist.roster.desired import AccessResolver, DesiredAccess, RosterFacts, merged_brief
from guestlist.roster.store import Fact, Kind
from guestlist.roster.wanted import Wanted


def withdrawal(
    grant: Change, reason: str, deferred: tuple[RoleRef, ...] = (), until: datetime | None = None
) -> Change:
    """Returns the change that cancels a deferred grant.

    Args:
        grant: the grant, as a `settle` change.
        deferred: roles to defer instead.
        until: the next moment at which the roster wants something else for the person.
    """
    return Change(
        action=Action.WITHDRAW,
        account=grant.account,
        email=grant.email,
        key=grant.key,
        roles=grant.roles,
        deferred=deferred,
        reason=reason,
        single=grant.single,
        until=until,
    )


def withdrawal_reason(
    grant: Change,
    facts: Iterable[Fact],
    desired: DesiredAccess | None,
    role_id: Callable[[RoleRef], tuple[str, str] | None],
    *,
    taken_out: bool = False,
) -> str:
    """Returns why a deferred grant must be withdrawn, or an empty string if it may be granted.

    A grant that came from a roster is valid only while the roster wants the role. A grant that came
    from a single call is valid unless the roster contradicts it.

    Args:
        grant: the grant, as a `settle` change.
        facts: the facts about the person in that account.
        desired: the resolved roster entries of the person; None if the roster does not want the
            person in the account today.
        role_id: returns the kind and id of a role, or None if the account has no such role.
        taken_out: whether the plan removes people who are not in the roster.
    """
    if desired is not None:
        if desired.problems:
            return ""
        if desired.ids is None:
            return "" if grant.single else "the roster names no roles any more"
        return "" if role_id(grant.roles[0]) in desired.ids else "the roster wants other roles"
    named = {fact.kind: fact.body for fact in facts}
    if Kind.ENDED in named and Kind.NOT_YET not in named:
        return f"wanted until {named[Kind.ENDED]}"
    if grant.single and (Kind.NOT_YET in named or not taken_out):
        return ""
    return "wanted from a later day on" if Kind.NOT_YET in named else "not in the roster"


class GrantReviewer:
    """Compares the deferred grants of one account with a roster. Changes nothing.

    Requests the list of roles of the account once, if the roster names roles there, and nothing
    else.

    Args:
        now: the time to compare `from` and `until` with; by default the time of the client's clock.
        zone: the time zone in which the days of `from` and `until` begin and end.
    """

    def __init__(
        self,
        guests: Guestlist,
        account: str,
        *,
        now: datetime | None = None,
        zone: tzinfo = UTC,
    ) -> None:
        self._guests = guests.account(account)
        self._account = account
        self._provider = guests.accounts[account]
        self._facts = RosterFacts({account: 0}, now or guests.clock.now(), zone)
        self._unnamed = AccessResolver(self._provider, ())
        self._named: AccessResolver | None = None

    def review(self, wanted: Iterable[Wanted], grants: Sequence[Change]) -> list[str | None]:
        """Returns for each grant why it must be withdrawn: an empty string if it may be granted,
        None if that cannot be decided, because the roster names a role that does not exist.

        Args:
            wanted: the entries of the roster.
            grants: the grants, as `settle` changes.

        Raises:
            GuestlistError: the account's roles cannot be read.
        """
        by_person: dict[str, list[Fact]] = {grant.key: [] for grant in grants}
        theirs = (one for one in wanted if one.account == self._account and one.key in by_person)
        for fact in self._facts.facts(theirs):
            by_person[fact.key].append(fact)
        return [self._reason(grant, by_person[grant.key]) for grant in grants]

    def _reason(self, grant: Change, facts: list[Fact]) -> str | None:
        brief = desired_brief(facts)
        words = None if brief is None else json.loads(brief)[0]
        if words is not None and self._named is None:
            lists_roles = self._provider.supports("roles")
            roles = list(self._guests.roles()) if lists_roles else ()
            self._named = AccessResolver(self._provider, roles)
        resolver = self._named or self._unnamed
        desired = None if brief is None else resolver.resolve(brief)
        if desired is not None and desired.problems:
            return None
        return withdrawal_reason(grant, facts, desired, resolver.role_id)


def desired_brief(facts: Sequence[Fact]) -> str | None:
    """Returns the access that the roster wants for a person today, as the JSON of `Fact.brief`.
    None if the roster does not want the person today."""
    entries = [fact for fact in facts if fact.kind == Kind.WANTED]
    if not entries:
        return None
    return entries[0].brief if len(entries) == 1 else merged_brief(entries)
