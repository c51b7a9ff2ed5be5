"""`audit`: compares the accounts with the roster and its policies, and reports what differs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.address import domain_key
from guestlist.client import Guestlist
from guestlist.config import domains
from guestlist.errors import GuestlistError, InvalidArgument
from guestlist.models import OPEN_STATES, Guest, Member, Role, State
from guestlist.provider import Page, Provider
from guestlist.provider.paging import unfinished_list_error
from guestlist.roster.file import Roster, read_roster
from guestlist.roster.reading import MAX_ACCOUNTS_AT_ONCE
from guestlist.roster.threads import in_threads
from guestlist.runs.findings import Finding, FindingKind, Unchecked
from guestlist.runs.people import People, client_of, who
from guestlist.runs.person import Person
from guestlist.runs.progress import AsyncProgress, Progress
from guestlist.runs.stop import Stop, StopClock

if TYPE_CHECKING:
    from guestlist.client import AsyncGuestlist

PENDING_DAYS = 7.0
"""Days after which an open invitation is reported."""

Find = Callable[..., Finding]
"""Returns a finding about one person in one account."""


@dataclass(frozen=True)
class AuditResult:
    """The result of an audit.

    Attributes:
        findings: what was found, by kind, account and person.
        unchecked: what could not be checked, and why.
        errors: by account, why it could not be read, or not completely.
    """

    findings: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...]
    errors: dict[str, GuestlistError]

    def of(self, kinds: Collection[FindingKind | str]) -> list[Finding]:
        """Returns the findings of these kinds.

        Args:
            kinds: the kinds, also as words such as `not_in_roster` or `not-in-roster`.

        Raises:
            InvalidArgument: there is no such kind.
        """
        try:
            wanted = {FindingKind(kind.replace("-", "_")) for kind in kinds}
        except ValueError as error:
            raise InvalidArgument(
                f"there is no such kind of finding: {error}",
                hint=f"The kinds are: {', '.join(FindingKind)}.",
            ) from None
        return [one for one in self.findings if one.kind in wanted]


def audit(
    roster: Roster | str | Path,
    *,
    client: Guestlist | None = None,
    on_progress: Progress | None = None,
    accounts: Iterable[str] = (),
    allowed_domains: Iterable[str] = (),
    pending_days: float = PENDING_DAYS,
    quick: bool = False,
    stop: Stop | None = None,
) -> AuditResult:
    """Reports people and roles in the accounts that contradict the roster or its policies, and
    other findings (`FindingKind`). Changes nothing.

        result = guestlist.audit("guestlist.toml")
        for one in result.findings:
            print(one.kind, one.account, one.person, one.detail)

    All accounts are read at the same time. If one cannot be read, it is in `AuditResult.errors`,
    and the others are audited all the same. People whom the roster protects (`[limits] protected`)
    are never `not_in_roster`.

    Args:
        roster: the roster, or the path of its file.
        client: the client to read with. By default one for the roster's accounts.
        on_progress: called with a `ReadingAccount` event for each part that is read.
        accounts: audit only these accounts. By default all that are configured, also those in which
            the roster wants no one.
        allowed_domains: the domains that addresses may have. By default those of the client, which
            are the `allowed_domains` of the roster's file.
        pending_days: report invitations that have been open for more than so many days.
        quick: do not request the roles of each member whose record lacks them, which costs a
            request for each of these members. Administrators and people without access are then
            only found where the list shows roles.
        stop: ends the reading early when called.

    Raises:
        ConfigError: the roster, its accounts or a domain are invalid.
        UnknownAccount: an account of `accounts` is not configured.
    """
    if isinstance(roster, str | Path):
        roster = read_roster(Path(roster), allow_empty=True)
    stop = Stop() if stop is None else stop
    with ExitStack() as closing:
        if client is None:
            client = closing.enter_context(client_of(roster, accounts))
        client = client.with_clock(StopClock(stop, client.clock))
        people = closing.enter_context(
            who(
                roster,
                client=client,
                on_progress=on_progress,
                accounts=accounts,
                roles=not quick,
                stop=stop,
            )
        )
        errors = dict(people.errors)
        for problem in people.problems:
            errors.setdefault(problem.account or "", problem)
        policies = _Policies(
            people=people,
            providers=client.accounts,
            allowed=domains(allowed_domains) or client.allowed_domains,
            protected=roster.limits.protected,
            since=client.clock.now() - timedelta(days=pending_days),
            pending_days=pending_days,
        )
        found = [one for person in people for one in policies.findings(person)]
        found += _outside_collaborators(client, people, policies, errors)
        kinds, order = list(FindingKind), {name: n for n, name in enumerate(people.accounts)}
        found.sort(key=lambda one: (kinds.index(one.kind), order[one.account], one.person))
        return AuditResult(tuple(found), tuple(policies.unchecked(roles=not quick)), errors)


async def audit_async(
    roster: Roster | str | Path,
    *,
    client: AsyncGuestlist | None = None,
    on_progress: AsyncProgress | None = None,
    accounts: Iterable[str] = (),
    allowed_domains: Iterable[str] = (),
    pending_days: float = PENDING_DAYS,
    quick: bool = False,
) -> AuditResult:
    """Reports people and roles in the accounts that contradict the roster or its policies; see
    `audit`.

    Args:
        client: the client to read with. By default one for the roster's accounts.
        on_progress: a function or coroutine function.
    """
    from guestlist.runs.bridge import in_worker_thread

    return await in_worker_thread(
        lambda bridge: audit(
            roster,
            client=bridge.client(client),
            on_progress=bridge.progress(on_progress),
            accounts=accounts,
            allowed_domains=allowed_domains,
            pending_days=pending_days,
            quick=quick,
            stop=bridge.stop,
        )
    )


@dataclass(frozen=True)
class _Policies:
    """The policies against which each person is checked.

    Attributes:
        since: invitations that were created before this time are reported.
    """

    people: People
    providers: Mapping[str, Provider]
    allowed: frozenset[str]
    protected: frozenset[str]
    since: datetime
    pending_days: float

    def findings(self, person: Person) -> Iterator[Finding]:
        """Yields what is found about a person."""
        for account in person.wanted:
            if person.guest(account) is None and account not in self.people.errors:
                detail = "neither a member nor invited"
                yield self._finding(FindingKind.MISSING, account, person, detail)
        for guest in person.guests:
            provider = self.providers[guest.account]
            find = partial(self._finding, account=guest.account, person=person, guest=guest)
            yield from self._compared(person, guest, find)
            if guest.state is State.ACCEPTED or guest.state in OPEN_STATES:
                yield from self._records(person, guest, provider, find)

    def _compared(self, person: Person, guest: Guest, find: Find) -> Iterator[Finding]:
        """Yields how a person differs from the roster."""
        there = guest.state is State.ACCEPTED or guest.state in OPEN_STATES
        wanted = guest.account in person.wanted
        if there and not wanted and not self._protects(person, guest):
            known = "the roster does not want them here now" if person.in_roster else ""
            unsure = "may be a person of the roster whose login is not known"
            why = known or (unsure if self._may_be_known(guest) else "")
            is_what = "a member" if guest.state is State.ACCEPTED else "invited"
            yield find(FindingKind.NOT_IN_ROSTER, detail=": ".join(filter(None, (is_what, why))))
        elif guest.state is State.UNKNOWN:
            odd = f"the service calls the invitation {guest.raw_state!r}"
            yield find(FindingKind.UNCLEAR, detail=guest.unidentified or guest.incomplete or odd)
        elif wanted and not there:
            yield find(FindingKind.MISSING, detail=f"the invitation is {guest.state}")

    def _records(
        self, person: Person, guest: Guest, provider: Provider, find: Find
    ) -> Iterator[Finding]:
        """Yields what is found in the records of a member or an invited person."""
        member = guest.member if guest.state is State.ACCEPTED else None
        addresses = [member.address if member else None, *(one.email for one in guest.invitations)]
        for address in dict.fromkeys(filter(None, addresses)):
            if self._is_outside(address):
                yield find(FindingKind.OUTSIDE_DOMAIN, detail=f"the address is {address}")
        if names := _admin_names(provider, (member.roles or ()) if member else ()):
            yield find(FindingKind.ADMIN, detail=f"has {names}")
        for invitation in guest.invitations:
            if names := _admin_names(provider, invitation.roles):
                yield find(FindingKind.ADMIN, detail=f"is invited as {names}")
            created = invitation.created_at
            if created is not None and created < self.since:
                detail = f"invited on {created:%Y-%m-%d}, more than {self.pending_days:g} days ago"
                yield find(FindingKind.PENDING, detail=detail, since=created)
        if member is not None and guest.suspended:
            yield find(FindingKind.SUSPENDED, detail="locked out", since=member.joined_at)
        elif member is not None and (why := self._no_access(person, member, provider, guest)):
            yield find(FindingKind.NO_ACCESS, detail=why, since=member.joined_at)

    def unchecked(self, *, roles: bool) -> Iterator[Unchecked]:
        """Yields what cannot be checked in each account that was read.

        Args:
            roles: whether the roles of each member were requested.
        """
        for account in self.people.accounts:
            provider = self.providers[account]
            if account in self.people.errors:
                continue
            note = partial(Unchecked, account=account)
            if not self.allowed:
                yield note(kind=FindingKind.OUTSIDE_DOMAIN, reason="no allowed_domains are set")
            elif not provider.members_show_emails:
                reason = f"{provider.title} does not show the addresses of members"
                yield note(kind=FindingKind.OUTSIDE_DOMAIN, reason=reason)
            if not provider.admin_roles:
                reason = f"it is not known which roles administer {provider.title}"
                yield note(kind=FindingKind.ADMIN, reason=reason)
            if provider.hides_suspension:
                reason = f"{provider.title} does not show whether a member is suspended"
                yield note(kind=FindingKind.SUSPENDED, reason=reason)
            if account in self.people.without_roles:
                requested = roles and provider.supports("access")
                reason = "" if requested else "the list of members does not show their roles"
                if reason:
                    yield note(kind=FindingKind.NO_ACCESS, reason=reason)
                    if provider.admin_roles:
                        yield note(kind=FindingKind.ADMIN, reason=reason)

    def outside(self, account: str, member: Member) -> Iterator[Finding]:
        """Yields what is found about an outside collaborator."""
        find = partial(Finding, account=account, person=member.label)
        held = ", ".join(role.label for role in member.roles or ())
        detail = f"has {held}" if held else "has access without being a member"
        yield find(kind=FindingKind.OUTSIDE_COLLABORATOR, detail=detail, since=member.joined_at)
        if member.address and self._is_outside(member.address):
            yield find(kind=FindingKind.OUTSIDE_DOMAIN, detail=f"the address is {member.address}")

    def _no_access(
        self, person: Person, member: Member, provider: Provider, guest: Guest
    ) -> str | None:
        """Returns why a member has no effective access. None if the member has access, or if that
        is unknown."""
        if member.roles == ():
            effective, why = provider.explain_access((), member)
            return None if effective else why or provider.no_access
        return self.people.without_access.get((guest.account, person.key))

    def _protects(self, person: Person, guest: Guest) -> bool:
        if person.key in self.protected:
            return True
        return guest.member is not None and any(map(guest.member.is_called, self.protected))

    def _may_be_known(self, guest: Guest) -> bool:
        """Returns whether a member without an address may be a person of the roster."""
        member = guest.member
        return member is not None and not member.address and guest.account in self.people.unmatched

    def _is_outside(self, address: str) -> bool:
        return bool(self.allowed) and domain_key(address.rpartition("@")[2]) not in self.allowed

    @staticmethod
    def _finding(
        kind: FindingKind,
        account: str,
        person: Person,
        detail: str,
        guest: Guest | None = None,
        since: datetime | None = None,
    ) -> Finding:
        return Finding(
            kind=kind,
            account=account,
            person=person.label,
            detail=detail,
            guest=guest,
            since=since,
        )


def _admin_names(provider: Provider, roles: Iterable[Role]) -> str:
    return " and ".join(role.label for role in roles if provider.is_admin_role(role))


def _outside_collaborators(
    client: Guestlist, people: People, policies: _Policies, errors: dict[str, GuestlistError]
) -> list[Finding]:
    """Returns the outside collaborators of all accounts whose provider lists them. Adds the errors
    of accounts that cannot be read."""

    def read(account: str) -> list[Finding] | GuestlistError:
        try:
            found = _collaborators_of(client.account(account), client.accounts[account])
            return [one for member in found for one in policies.outside(account, member)]
        except GuestlistError as error:
            return error.about(account=account)

    listing = [
        name
        for name in people.accounts
        if name not in errors and client.accounts[name].supports("outside_collaborators")
    ]
    findings: list[Finding] = []
    for found in in_threads(read, listing, MAX_ACCOUNTS_AT_ONCE):
        if isinstance(found, GuestlistError):
            errors[found.account or ""] = found
        else:
            findings += found
    return findings


def _collaborators_of(guests: Guestlist, provider: Provider) -> Iterator[Member]:
    """Yields the outside collaborators of the account to which the client is bound.

    Raises:
        MalformedResponse: the list does not end.
    """
    operation = getattr(type(provider), "outside_collaborators")  # noqa: B009 - few have it
    cursor: str | None = None
    read: set[str | None] = set()
    while cursor not in read:
        read.add(cursor)
        page: Page[Member] = guests.call(operation, cursor)
        yield from page.items
        if page.next is None:
            return
        cursor = page.next
    raise unfinished_list_error(None)
