"""`offboard`: takes people out of every account."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from guestlist.address import check_email, login_key
from guestlist.errors import CallerMistake, GuestlistError, InvalidArgument, ServiceRefusal
from guestlist.exchange.policy import block
from guestlist.exchange.step import Steps, Together
from guestlist.models import (
    MEMBERSHIPS,
    OPEN_STATES,
    AccountOffboarding,
    Guest,
    Identity,
    Invitation,
    Member,
    OffboardOutcome,
    OffboardResult,
    RemoveResult,
    RevokeResult,
    State,
)
from guestlist.provider import Provider
from guestlist.verbs.accounts import Accounts
from guestlist.verbs.find import key_of_name, names_login, status
from guestlist.verbs.leave import remove, revoke
from guestlist.verbs.many import status_many

MAX_ROUNDS = 3
"""Number of attempts for one person, who may accept an invitation while it is withdrawn."""

Whom = str | Identity
"""A person to offboard: an address, a login with a leading `@`, or all names of the person."""
OnResult = Callable[[Identity, AccountOffboarding], None]
"""A function that is called when one person is done in one account."""


def offboard(
    accounts: Accounts,
    people: Whom | Iterable[Whom],
    *,
    account: str | Iterable[str] | None = None,
    dry_run: bool = False,
    on_result: OnResult | None = None,
) -> Steps[list[OffboardResult]]:
    """Takes people out of every account: memberships, open invitations and deferred roles.

    The accounts are handled at the same time, the people of an account one after another. A failure
    in one account does not stop the others. It is safe to repeat: what is done is not done again.
    With a ledger, each removal and withdrawal is recorded.

    Args:
        people: one person or several: addresses, or an `Identity` with all names of a person. A
            `Person` is one too. `Roster.identify` returns the names that a roster gives. A login
            with a leading `@` belongs to one account, so it needs `account`.
        account: the name of an account, or of several. By default every account, or the one to
            which the client is bound.
        dry_run: only find out what would be taken away. Nothing is sent or canceled.
        on_result: called when one person is done in one account, never twice at the same time.

    Returns:
        A result for each person. Check `access_remains`.

    Raises:
        InvalidArgument: an address is invalid, or a login belongs to no single account.
        UnknownAccount: no account has that name.
    """
    names = _account_names(accounts, account)
    given = [people] if isinstance(people, str | Identity) else list(people)
    identities = [_identity(one, names) for one in given]
    lock = threading.Lock()

    def report(person: Identity, done: AccountOffboarding) -> None:
        if on_result is not None:
            with lock:
                on_result(person, done)

    parts: list[list[AccountOffboarding]] = yield Together(
        [_offboard_from(accounts.bound(name), identities, dry_run, report) for name in names]
    )
    return [
        OffboardResult(person=person, accounts=tuple(part[number] for part in parts))
        for number, person in enumerate(identities)
    ]


def _account_names(accounts: Accounts, account: str | Iterable[str] | None) -> list[str]:
    if account is None and accounts.default is None:
        if not accounts.by_name:
            accounts.pick(None)  # raises
        return list(accounts.by_name)
    chosen = [account] if account is None or isinstance(account, str) else dict.fromkeys(account)
    return [accounts.pick(name).name for name in chosen]


def _identity(person: Whom, names: Sequence[str]) -> Identity:
    """Returns the names of a person, checked.

    Raises:
        InvalidArgument: see `offboard`.
    """
    if isinstance(person, str):
        if not names_login(person):
            return Identity(email=check_email(person))
        if len(names) > 1:
            raise InvalidArgument(
                f"the login {person} may belong to different people in several accounts",
                hint="Name the account, or give the person's address.",
            )
        return Identity(logins={names[0]: person[1:]})
    for email in filter(None, (person.email, *person.also)):
        check_email(email)
    if not (person.email or person.also or person.logins):
        raise InvalidArgument("no name of the person is given", hint="Give an address or a login.")
    return person


@dataclass
class _Findings:
    """Collects what was taken away from one person in one account, and what remains."""

    members: list[Member] = field(default_factory=list)
    invitations: list[Invitation] = field(default_factory=list)
    deferred: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    remains: OffboardOutcome | None = None
    reason: str = ""
    hint: str = ""
    error: str = ""

    def failed(self, error: GuestlistError) -> None:
        """Notes the error because of which access remains, or may remain."""
        refused = isinstance(error, ServiceRefusal | CallerMistake) and error.happened is not None
        self._remains(
            OffboardOutcome.REMAINS if refused else OffboardOutcome.UNKNOWN,
            error.message,
            error.hint,
            type(error).__name__,
        )

    def unclear(self, reason: str, hint: str, error: str = "") -> None:
        """Notes why it is unknown whether access remains."""
        self._remains(OffboardOutcome.UNKNOWN, reason, hint, error)

    def _remains(self, outcome: OffboardOutcome, reason: str, hint: str, error: str) -> None:
        if self.remains is not OffboardOutcome.REMAINS:  # what is certain comes first
            self.remains, self.reason, self.hint, self.error = outcome, reason, hint, error

    def result(self, account: str, *, dry_run: bool) -> AccountOffboarding:
        found = bool(self.members or self.invitations or self.deferred)
        taken = OffboardOutcome.WOULD_REMOVE if dry_run else OffboardOutcome.REMOVED
        return AccountOffboarding(
            account=account,
            outcome=self.remains or (taken if found else OffboardOutcome.NOT_THERE),
            members=tuple(self.members),
            invitations=tuple(self.invitations),
            deferred=tuple(self.deferred),
            reason=self.reason or None,
            hint=self.hint or None,
            error=self.error or None,
            warnings=tuple(dict.fromkeys(self.warnings)),
        )


def _offboard_from(
    accounts: Accounts, people: Sequence[Identity], dry_run: bool, report: OnResult
) -> Steps[list[AccountOffboarding]]:
    """Takes people out of the default account, one after another."""
    chosen = accounts.pick(None)
    name = chosen.name
    results: list[AccountOffboarding] = []
    found: Mapping[str, Guest] | GuestlistError
    try:
        found = yield from _states(accounts, people)
    except GuestlistError as error:
        found = error
    for person in people:
        findings = _Findings()
        keys = [key_of_name(one) for one in _names(person, name)]
        try:
            yield from _cancel_deferred(accounts, person, findings, dry_run)
            if isinstance(found, GuestlistError):
                findings.unclear(found.message, found.hint, type(found).__name__)
            else:
                for guest in _distinct(found[key] for key in keys):
                    yield from _take_out(accounts, guest, findings, dry_run)
                yield from _check_unanswered(accounts, person, findings)
        except GuestlistError as error:
            findings.failed(error)
        results.append(findings.result(name, dry_run=dry_run))
        report(person, results[-1])
    return results


def _names(person: Identity, account: str) -> list[str]:
    """Returns the names by which an account may know a person: addresses, else the login."""
    emails = [email for email in (person.email, *person.also) if email]
    login = person.logins.get(account)
    return emails or ([f"@{login}"] if login else [])


def _states(accounts: Accounts, people: Sequence[Identity]) -> Steps[dict[str, Guest]]:
    """Returns the states of all people in the default account. Reads each list once."""
    account = accounts.pick(None)
    provider = account.provider
    if not any(map(provider.supports, ("members", "find_member"))):
        raise provider.unsupported("members")
    names = [name for person in people for name in _names(person, account.name)]
    logins = {
        name: login
        for person in people
        for name in _names(person, account.name)
        if (login := person.logins.get(account.name))
    }
    return (yield from status_many(accounts, names, logins=logins))


def _distinct(guests: Iterable[Guest]) -> list[Guest]:
    """Returns the guests, each membership once. A member may be found by several names."""
    found: list[Guest] = []
    seen: set[str] = set()
    for guest in guests:
        if guest.member is not None and guest.member.id in seen:
            if not guest.invitations:
                continue
            only_invited = {"member": None, "state": guest.invitations[0].state}
            guest = guest.model_copy(update=only_invited)
        seen |= {guest.member.id} if guest.member else set()
        found.append(guest)
    return found


def _take_out(accounts: Accounts, guest: Guest, findings: _Findings, dry_run: bool) -> Steps[None]:
    """Ends the membership and withdraws the invitations of a person under one name."""
    provider = accounts.pick(None).provider
    if dry_run:
        _note_possible(provider, guest, findings)
        return
    for _ in range(MAX_ROUNDS):
        inside, may_be_open = _is_inside(guest), _may_be_open(guest)
        if not (inside or may_be_open):
            break
        try:
            result: RemoveResult | RevokeResult
            if inside:
                result = yield from remove(accounts, guest)
            else:
                result = yield from revoke(accounts, guest)
        except GuestlistError as error:
            if error.happened and inside:
                findings.members += [guest.member] if guest.member else []
            if inside or error.happened is not None or not isinstance(error, ServiceRefusal):
                findings.failed(error)
                return
            # The person accepted while the invitation was being revoked: read the status again.
            guest = yield from status(accounts, guest)
            continue
        findings.members += [guest.member] if inside and guest.member else []
        findings.invitations += guest.invitations
        findings.warnings += result.warnings
        guest = result.guest
    _note_remaining(provider, guest, findings)


def _is_inside(guest: Guest) -> bool:
    return guest.state is State.ACCEPTED and guest.member is not None


def _may_be_open(guest: Guest) -> bool:
    """Returns whether there is an invitation to withdraw. One whose state has no known meaning may
    be open."""
    unclear = guest.state is State.UNKNOWN and guest.invitation is not None
    return bool(guest.invitations) or (unclear and not guest.candidates)


def _note_possible(provider: Provider, guest: Guest, findings: _Findings) -> None:
    """Notes what would be taken away, and what the service does not support."""
    inside = _is_inside(guest)
    findings.members += [guest.member] if inside and guest.member else []
    findings.invitations += guest.invitations
    if inside and not provider.supports("remove"):
        findings.failed(provider.unsupported("remove"))
    elif _may_be_open(guest) and not provider.supports("revoke"):
        findings.failed(provider.unsupported("revoke"))
    elif not inside and not guest.invitations:
        _note_remaining(provider, guest, findings)


def _note_remaining(provider: Provider, guest: Guest, findings: _Findings) -> None:
    """Notes that a person still has access, or that this is unknown."""
    if guest.unidentified or guest.incomplete:
        hint = "Look at the members of the service, and remove the person there or by the id."
        if not provider.members_show_emails and not guest.candidates:
            hint = "Give the person's login: in the roster, or `@login` with the account."
        findings.unclear(guest.unidentified or guest.incomplete or "", hint)
    elif (
        guest.state in OPEN_STATES
        or guest.state is State.UNKNOWN
        or (guest.member is not None and guest.member.state in MEMBERSHIPS)
    ):
        findings.unclear(
            f"the service still shows the person as {guest.raw_state or guest.state}",
            "Repeat the call in a minute.",
        )


def _cancel_deferred(
    accounts: Accounts, person: Identity, findings: _Findings, dry_run: bool
) -> Steps[None]:
    """Cancels the deferred roles in the ledger, if the client has one."""
    ledger, call = accounts.ledger, accounts.call(None)
    name = call.account.name
    if ledger is not None:
        login = person.logins.get(name)
        keys = [*map(key_of_name, _names(person, name)), *([login_key(login)] if login else [])]
        findings.deferred += yield from block(call, partial(ledger.deferred_roles, name, keys))
        if findings.deferred and not dry_run:
            yield from block(call, partial(ledger.cancel_deferred, name, keys))


def _check_unanswered(accounts: Accounts, person: Identity, findings: _Findings) -> Steps[None]:
    """Notes an earlier invitation that got no answer and may still take effect."""
    for email in filter(None, (person.email, *person.also)):
        call = accounts.call(None, email)
        earlier = yield from call.strategy.unresolved(call)
        if earlier is not None and earlier.seconds > 0 and not findings.invitations:
            findings.unclear(
                f"an earlier call ({earlier.action}) got no answer and may still take effect",
                f"Repeat the call in {earlier.seconds:.0f} seconds.",
            )
