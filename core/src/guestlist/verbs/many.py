"""`status_many`: the states of many people, with each list read only once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from guestlist.address import check_email, email_key, login_key
from guestlist.errors import Forbidden
from guestlist.exchange.account import Call
from guestlist.exchange.step import Steps
from guestlist.models import MEMBERSHIPS, Guest, Invitation, Member, State
from guestlist.provider import Provider, RecordProblem
from guestlist.verbs.accounts import Accounts
from guestlist.verbs.find import (
    candidates,
    key_of_name,
    look,
    mark_incomplete,
    member_or_created,
    names_login,
    with_created,
)
from guestlist.verbs.lists import Listing, Pages, find_unreadable_record
from guestlist.verbs.states import (
    conclude_from,
    current,
    is_open,
    is_undecided,
    mark_login_not_shown,
    pick_member,
)

R = TypeVar("R", Invitation, Member)

MAX_LOOKUPS_BY_ADDRESS = 256
"""The largest number of people who are looked up one by one, if the service can do that. For more
people the lists are read. A run has fewer unresolved requests than this, and reading a list may
take a request for each person in it."""
MAX_LOOKUPS_BESIDE_SUMMARIES = 20
"""Like `MAX_LOOKUPS_BY_ADDRESS`, for a service whose list has summaries: there, one request reads a
page of many people."""


def status_many(
    accounts: Accounts,
    emails: Iterable[str],
    *,
    logins: Mapping[str, str] | None = None,
    account: str | None = None,
    summaries: bool = False,
) -> Steps[dict[str, Guest]]:
    """Returns the states of many people. Each list of the service is read at most once.

    The budget applies to each page of a list, not to the whole call.

    Args:
        emails: addresses, or logins with a leading `@`.
        logins: the logins of people at the service, by their address. Some services do not show
            the addresses of members; without a login, an address that is in no invitation is
            `unknown` there.
        account: the name of the account. May be omitted if there is only one.
        summaries: invitations may lack what costs a request for each: their id, link and exact
            expiry. The states are the same, except that an expiry may be estimated.

    Returns:
        The guests by the normalized form of their address (`guestlist.email_key`), or by the login
        in lower case with a leading `@` (`Guest.key`).

    Raises:
        InvalidArgument: an address is invalid.
        MalformedResponse: a list is incomplete, and a person is not in the part that was read.
    """
    chosen = accounts.pick(account)
    wanted = {key_of_name(name): name for name in map(_checked, emails)}
    login_of = {key_of_name(name): login for name, login in (logins or {}).items() if login}
    login_of |= {key: name[1:] for key, name in wanted.items() if names_login(name)}
    if not wanted:
        return {}
    provider = chosen.provider
    summaries = summaries and provider.supports("invitation_summaries")
    if len(wanted) <= (
        MAX_LOOKUPS_BESIDE_SUMMARIES if summaries else MAX_LOOKUPS_BY_ADDRESS
    ) and _by_address(provider):
        guests = {}
        for key, name in wanted.items():
            email = None if names_login(name) else name
            call = accounts.call(chosen.name, email, login_of.get(key))
            guests[key] = yield from look(call, identify=True)
        return guests

    def begin() -> Call:
        return accounts.call(chosen.name)

    made = {key: chosen.just_made(name) for key, name in wanted.items()}  # before the lists
    found: dict[str, list[Invitation]] = {}
    keys_of = _keys_function(wanted, login_of)
    problems: list[RecordProblem] = []
    if provider.supports("invitations"):
        listing = provider.invitation_summaries if summaries else provider.invitations
        found = yield from _records(
            begin,
            listing,
            keys_of,
            {key for key, name in wanted.items() if not names_login(name)},
            lambda one: is_open(one, chosen),
            problems,
        )
    now = chosen.now()  # the service has answered by now, so its time is known
    invitations = {
        key: [current(one, provider, now) for one in with_created(found.get(key, []), made[key])]
        for key in wanted
    }
    asked = {key for key, records in invitations.items() if not is_undecided(records)}
    members: dict[str, list[Member]] = {}
    shows_logins = not provider.supports("members")

    def keys_of_member(one: Invitation | Member) -> Iterable[str]:
        nonlocal shows_logins
        shows_logins = shows_logins or bool(one.login)
        return keys_of(one)

    if provider.supports("members"):
        try:
            members = yield from _records(
                begin, provider.members, keys_of_member, asked, _is_in, problems
            )
        except Forbidden:
            if asked:
                raise
            shows_logins = True
    guests = {}
    lost: dict[str, Invitation] = {}
    for key, name in wanted.items():
        member = member_or_created(pick_member(members.get(key, ())), made[key])
        email = None if names_login(name) else name
        guest = conclude_from(chosen, email, invitations[key], member, login=login_of.get(key))
        if guest.state is State.GONE and guest.invitation is not None:
            lost[key] = guest.invitation
        if not shows_logins:
            guest = mark_login_not_shown(guest, provider)
        hidden = find_unreadable_record(problems, key)
        guests[key] = guest if hidden is None else mark_incomplete(guest, hidden)
    found_for = yield from candidates(begin, list(lost.values()))
    for key, others in zip(lost, found_for, strict=True):
        if others and guests[key].incomplete is None:
            guests[key] = conclude_from(
                chosen,
                wanted[key],
                invitations[key],
                None,
                login=login_of.get(key),
                candidates=others,
            )
    return guests


def _checked(name: str) -> str:
    """Returns an address or a login without surrounding white space.

    Raises:
        InvalidArgument: it is neither.
    """
    typed = name.strip() if isinstance(name, str) else name
    return typed if isinstance(typed, str) and names_login(typed) else check_email(name)


def _keys_function(
    wanted: Mapping[str, str], login_of: Mapping[str, str]
) -> Callable[[Invitation | Member], Iterable[str]]:
    """Returns a function that returns the keys of the people whom a record may be about: those with
    its address or login."""
    keys_of_login: dict[str, list[str]] = defaultdict(list)
    for key, login in login_of.items():
        if key in wanted:
            keys_of_login[login_key(login)].append(key)

    def keys_of(record: Invitation | Member) -> Iterable[str]:
        keys = {email_key(record.email)} if record.email else set()
        for name in (record.login, record.email) if keys_of_login else ():
            keys.update(keys_of_login.get(login_key(name), ()) if name else ())
        return keys & wanted.keys()

    return keys_of


def _by_address(provider: Provider) -> bool:
    """Returns whether looking up one person is cheaper than reading the lists."""
    members = provider.supports("find_member") or not provider.supports("members")
    return provider.supports("find_invitation") and members


def _is_in(member: Member) -> bool:
    return member.state in MEMBERSHIPS


def _records(
    begin: Callable[[], Call],
    listing: Listing[R],
    keys_of: Callable[[R], Iterable[str]],
    must_be_conclusive: Iterable[str],
    proof: Callable[[R], bool],
    problems: list[RecordProblem],
) -> Steps[dict[str, list[R]]]:
    """Returns the records of a list by key.

    Args:
        keys_of: returns the keys of the people whom a record is about.
        must_be_conclusive: the keys whose absence has to be certain if no record is a proof.
        problems: records that cannot be read are added to it.

    Raises:
        MalformedResponse: the list is incomplete, so that the absence of a key is not certain.
    """
    found: dict[str, list[R]] = defaultdict(list)
    pages: Pages[R] = Pages(listing)
    while not pages.ended:
        for record in (yield from pages.next(begin())):
            for key in keys_of(record):
                found[key].append(record)
    proven = all(any(map(proof, found.get(key, ()))) for key in must_be_conclusive)
    if not proven and (incomplete := pages.incomplete) is not None:
        raise begin().about(incomplete)
    problems += pages.problems
    return dict(found)
