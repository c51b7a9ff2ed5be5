"""Whether the world has moved since a plan was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from guestlist.changes import UNFOUNDED, Change
from guestlist.client import Guestlist
from guestlist.exchange.account import Account
from guestlist.models import Guest, Invitation
from guestlist.roster.planfile import PlanFile
from guestlist.roster.present import Progress, Reading, ids_of, read_accounts, seen
from guestlist.roster.scratch import Fact, Kind, Scratch


def moved(
    guests: Guestlist, plan: PlanFile, *, progress: Progress | None = None
) -> Iterator[tuple[Change, str]]:
    """Reads the accounts of a plan again, and yields each change that rests on what holds no
    longer, with what is different now. Changes that cannot be made rest on nothing, and neither do
    withdrawals of what is owed.

    Memory does not grow with the number of people.

    Raises:
        ConfigError: an account is another one than it was, or the file cannot be read.
        GuestlistError: an account cannot be read.
    """
    names = plan.founded
    plan.check_accounts(guests)
    scratch = Scratch()
    try:
        numbers = {name: number for number, name in enumerate(names)}
        scratch.add(_befores(plan.changes(), numbers))
        for reading in read_accounts(
            guests,
            names,
            scratch,
            managed=names,
            look_closer=_is_planned,
            progress=progress,
        ).values():
            if reading.error:
                raise reading.error
        accounts = [Account(name, guests.accounts[name], guests.clock) for name in names]
        for facts in scratch.people():
            changes = [
                Change.model_validate_json(fact.body) for fact in facts if fact.kind == Kind.BEFORE
            ]
            if changes:
                now = seen(accounts[facts[0].account], changes[0].email, facts).guest
                yield from _different(changes, now)
    finally:
        scratch.close()


def _is_planned(_account: str, _reading: Reading, facts: Sequence[Fact]) -> bool:
    return any(fact.kind == Kind.BEFORE for fact in facts)


def _befores(changes: Iterable[Change], numbers: Mapping[str, int]) -> Iterator[Fact]:
    for one in changes:
        if one.action not in UNFOUNDED:
            ask = one.member is not None and one.member.roles is not None
            body = one.model_dump_json(exclude_defaults=True)
            yield Fact(one.key, numbers[one.account], Kind.BEFORE, ask, "", body)


def _different(changes: Iterable[Change], now: Guest) -> Iterator[tuple[Change, str]]:
    for change in changes:
        what = difference(change, now)
        if what:
            yield change, what


def difference(change: Change, now: Guest) -> str:
    """What is different from what a change rests on, in words; empty if nothing is."""
    if change.state is not now.state:
        return f"was {change.state}, and is {now.state}"
    if _facts(change.invitation) != _facts(now.invitation):
        return "the invitation is another one, or was renewed"
    before, member = change.member, now.member
    if (before and before.id) != (member and member.id):
        return "the member record is another one"
    if before and member and before.roles is not None:
        held, holds = ids_of(before.roles), ids_of(member.roles or ())
        if held != holds:
            return "holds other roles now"
    return ""


def _facts(invitation: Invitation | None) -> object:
    return invitation and (invitation.id, invitation.expires_at, ids_of(invitation.roles))
