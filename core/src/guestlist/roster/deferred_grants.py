"""Deferred grants, compared with the roster of today."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from guestlist.changes import Action, Change, RoleRef
from guestlist.client import Guestlist
from guestlist.errors import GuestlistError
from guestlist.models import Model
from guestlist.roster.desired import AccessResolver, DesiredAccess, RosterFacts, merged_brief
from guestlist.roster.store import Fact, Kind
from guestlist.roster.wanted import Wanted


class DeferredGrant(Model):
    """A role to grant to a person after they accept the invitation.

    Attributes:
        single: whether a single call such as `invite` asked for the role, and not a roster.
    """

    account: str
    key: str
    email: str
    role: RoleRef
    single: bool = False

    @classmethod
    def of(cls, change: Change) -> DeferredGrant:
        """Returns the deferred grant that a `settle` or `withdraw` change is about."""
        return cls(
            account=change.account,
            key=change.key,
            email=change.email,
            role=change.roles[0],
            single=change.single,
        )

    def withdrawal(
        self, reason: str, deferred: tuple[RoleRef, ...] = (), until: datetime | None = None
    ) -> Change:
        """Returns the change that cancels this grant.

        Args:
            deferred: roles to defer instead.
            until: the next moment at which the roster wants something else for the person.
        """
        return Change(
            action=Action.WITHDRAW,
            account=self.account,
            email=self.email,
            key=self.key,
            roles=(self.role,),
            deferred=deferred,
            reason=reason,
            single=self.single,
            until=until,
        )


def withdrawal_reason(
    grant: DeferredGrant,
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
        facts: the facts about the person in that account.
        desired: the resolved roster entries of the person; None if the roster does not want the
            person in the account today.
        role_id: returns the kind and id of a role, or None if the account has no such role.
        taken_out: whether a plan removes people who are not in the roster.
    """
    if desired is not None:
        if desired.problems:
            return ""
        if desired.ids is None:
            return "" if grant.single else "the roster names no roles any more"
        return "" if role_id(grant.role) in desired.ids else "the roster wants other roles"
    named = {fact.kind: fact.body for fact in facts}
    if Kind.ENDED in named and Kind.NOT_YET not in named:
        return f"wanted until {named[Kind.ENDED]}"
    if grant.single and (Kind.NOT_YET in named or not taken_out):
        return ""
    return "wanted from a later day on" if Kind.NOT_YET in named else "not in the roster"


@dataclass
class GrantReview:
    """Result of comparing deferred grants with the roster.

    Attributes:
        withdrawn: the changes that cancel grants that the roster does not want.
        held: grants that could not be compared. They stay deferred and must not be granted now.
        errors: by account, why grants could not be compared.
    """

    withdrawn: list[Change] = field(default_factory=list)
    held: set[DeferredGrant] = field(default_factory=set)
    errors: dict[str, GuestlistError] = field(default_factory=dict)


def review_grants(
    guests: Guestlist,
    wanted: Iterable[Wanted],
    grants: Collection[DeferredGrant],
    *,
    now: datetime | None = None,
    zone: tzinfo = UTC,
) -> GrantReview:
    """Compares deferred grants with a roster. Changes nothing.

    Requests the list of roles of an account if the roster names roles there, and nothing else.

    Args:
        wanted: the entries of the roster.
        grants: the deferred grants, all of configured accounts.
        now: the time to compare `from` and `until` with; by default the time of the client's clock.
        zone: the time zone in which the days of `from` and `until` begin and end.
    """
    judged = GrantReview()
    by_account: dict[str, list[DeferredGrant]] = defaultdict(list)
    for grant in grants:
        by_account[grant.account].append(grant)
    numbers = {name: number for number, name in enumerate(by_account)}
    of_whom = {(grant.account, grant.key) for grant in grants}
    roster = RosterFacts(numbers, now or guests.clock.now(), zone)
    said: dict[tuple[int, str], list[Fact]] = defaultdict(list)
    for fact in roster.facts(one for one in wanted if (one.account, one.key) in of_whom):
        said[fact.account, fact.key].append(fact)
    for name, number in numbers.items():
        mine = [(grant, said[number, grant.key]) for grant in by_account[name]]
        try:
            _review_account(guests.account(name), name, mine, judged)
        except GuestlistError as error:
            judged.errors[name] = error
            judged.held.update(by_account[name])
    return judged


def _review_account(
    guests: Guestlist,
    name: str,
    grants: Iterable[tuple[DeferredGrant, list[Fact]]],
    judged: GrantReview,
) -> None:
    provider = guests.accounts[name]
    unnamed = AccessResolver(provider, ())
    named: AccessResolver | None = None
    for grant, facts in grants:
        brief = desired_brief(facts)
        words = None if brief is None else json.loads(brief)[0]
        if words is not None and named is None:
            named = AccessResolver(
                provider, list(guests.roles()) if provider.supports("roles") else ()
            )
        resolver = named or unnamed
        desired = None if brief is None else resolver.resolve(brief)
        if desired is not None and desired.problems:
            judged.held.add(grant)
        elif reason := withdrawal_reason(grant, facts, desired, resolver.role_id):
            judged.withdrawn.append(grant.withdrawal(reason))


def desired_brief(facts: Sequence[Fact]) -> str | None:
    """Returns the brief of the access that the roster wants for a person today, or None."""
    entries = [fact for fact in facts if fact.kind == Kind.WANTED]
    if not entries:
        return None
    return entries[0].brief if len(entries) == 1 else merged_brief(entries)
