"""`status_many`: where many people stand, without reading the lists once for each of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TypeVar

from guestlist.address import check_email, email_key
from guestlist.errors import Forbidden
from guestlist.exchange.account import Call
from guestlist.exchange.step import Steps
from guestlist.models import MEMBERSHIPS, Guest, Invitation, Member, State
from guestlist.provider import Provider, RecordProblem
from guestlist.verbs.accounts import Accounts
from guestlist.verbs.find import candidates, look, member_or_made, unless_seen, with_made
from guestlist.verbs.lists import Listing, Pages, hiding
from guestlist.verbs.states import best_member, conclude_from, current, is_open, is_undecided

R = TypeVar("R", Invitation, Member)

MAX_LOOKUPS_BY_ADDRESS = 256
"""The largest number of people who are looked up one by one, if the service can do that. For more
people the lists are read. A run has fewer unresolved requests than this, and reading a list may
take a request for each person in it."""
MAX_LOOKUPS_BESIDE_SUMMARIES = 20
"""The same, if the list has summaries: one request then reads a page of many people."""


def status_many(
    accounts: Accounts,
    emails: Iterable[str],
    *,
    account: str | None = None,
    summaries: bool = False,
) -> Steps[dict[str, Guest]]:
    """Returns the states of many people. Each list of the service is read at most once.

    The budget applies to each page of a list, not to the whole call.

    Args:
        emails: the addresses.
        account: the name of the account. May be omitted if there is only one.
        summaries: invitations may lack what costs a request for each: their id, link and exact
            expiry. The states are the same, except that an expiry may be estimated.

    Returns:
        The guests by the normalized form of their address (`guestlist.email_key`).

    Raises:
        InvalidArgument: an address is invalid.
        MalformedResponse: a list is incomplete, and a person is not in the part that was read.
    """
    chosen = accounts.pick(account)
    wanted = {email_key(email): email for email in map(check_email, emails)}
    if not wanted:
        return {}
    provider = chosen.provider
    summaries = summaries and provider.supports("invitation_summaries")
    if len(wanted) <= (
        MAX_LOOKUPS_BESIDE_SUMMARIES if summaries else MAX_LOOKUPS_BY_ADDRESS
    ) and _by_address(provider):
        guests = {}
        for key, email in wanted.items():
            guests[key] = yield from look(accounts.call(chosen.name, email), email, identify=True)
        return guests

    def begin() -> Call:
        return accounts.call(chosen.name)

    made = {key: chosen.just_made(email) for key, email in wanted.items()}  # before the lists
    found: dict[str, list[Invitation]] = {}
    problems: list[RecordProblem] = []
    if provider.supports("invitations"):
        listing = provider.invitation_summaries if summaries else provider.invitations
        found = yield from _records(
            begin, listing, wanted, wanted, lambda one: is_open(one, chosen), problems
        )
    now = chosen.now()  # the service's time is known, because it has answered by now
    invitations = {
        key: [current(one, provider, now) for one in with_made(found.get(key, []), made[key])]
        for key in wanted
    }
    asked = {key for key, records in invitations.items() if not is_undecided(records)}
    members: dict[str, list[Member]] = {}
    if provider.supports("members"):
        try:
            members = yield from _records(begin, provider.members, wanted, asked, _is_in, problems)
        except Forbidden:
            if asked:
                raise
    guests = {}
    lost: dict[str, Invitation] = {}
    for key, email in wanted.items():
        member = member_or_made(best_member(members.get(key, ())), made[key])
        guest = conclude_from(chosen, email, invitations[key], member)
        if guest.state is State.GONE and guest.invitation is not None:
            lost[key] = guest.invitation
        hidden = hiding(problems, key)
        guests[key] = guest if hidden is None else unless_seen(guest, hidden)
    found_for = yield from candidates(begin, list(lost.values()))
    for key, others in zip(lost, found_for, strict=True):
        if others and guests[key].incomplete is None:
            guests[key] = conclude_from(
                chosen, wanted[key], invitations[key], None, candidates=others
            )
    return guests


def _by_address(provider: Provider) -> bool:
    """Returns whether looking up one person is cheaper than reading the lists."""
    members = provider.supports("find_member") or not provider.supports("members")
    return provider.supports("find_invitation") and members


def _is_in(member: Member) -> bool:
    return member.state in MEMBERSHIPS


def _records(
    begin: Callable[[], Call],
    listing: Listing[R],
    keys: Iterable[str],
    must_be_conclusive: Iterable[str],
    proof: Callable[[R], bool],
    problems: list[RecordProblem],
) -> Steps[dict[str, list[R]]]:
    """Returns the records of a list that are about one of the keys, by key.

    Args:
        must_be_conclusive: the keys whose absence has to be certain if no record is a proof.
        problems: records that cannot be read are added to it.

    Raises:
        MalformedResponse: the list is incomplete, so that the absence of a key is not certain.
    """
    keys = frozenset(keys)
    found: dict[str, list[R]] = defaultdict(list)
    pages: Pages[R] = Pages(listing)
    while not pages.ended:
        for record in (yield from pages.next(begin())):
            if record.email and (key := email_key(record.email)) in keys:
                found[key].append(record)
    proven = all(any(map(proof, found.get(key, ()))) for key in must_be_conclusive)
    if not proven and (incomplete := pages.incomplete) is not None:
        raise begin().about(incomplete)
    problems += pages.problems
    return dict(found)
