"""`Accounts`: the accounts of a client, and the rules that apply to all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from guestlist.address import email_key
from guestlist.errors import InvalidArgument, UnknownAccount
from guestlist.exchange.account import Account, Budget, Call
from guestlist.exchange.recording import Entry, Journal, Strategy
from guestlist.humanize import similar_name
from guestlist.models import Guest, NewInvitation
from guestlist.verbs.strategies import InRun, WithLedger, WithoutLedger


@dataclass(frozen=True)
class Accounts:
    """The configured accounts and limits of a client: the first argument of every verb.

    Attributes:
        by_name: the accounts by name.
        default: the account of calls that name none.
        budget: the limits of one call.
        allowed_domains: the domains of addresses that may be invited. Empty if all are allowed.
        check_invitation: calls the plugins, which may refuse an invitation.
        ledger: the ledger. None if there is none.
        new_strategy: returns the strategy of a call that begins.
    """

    by_name: Mapping[str, Account]
    default: str | None = None
    budget: Budget = field(default_factory=Budget)
    allowed_domains: frozenset[str] = frozenset()
    check_invitation: Callable[[NewInvitation], None] | None = None
    ledger: Journal | None = None
    new_strategy: Callable[[], Strategy] = WithoutLedger

    def pick(self, name: str | None) -> Account:
        """Returns the named account. Without a name, returns the default account or the only one.

        Raises:
            UnknownAccount: no account has that name, or a name is needed.
        """
        name = self.default if name is None else name
        if name is None and len(self.by_name) == 1:
            return next(iter(self.by_name.values()))
        if isinstance(name, str) and name in self.by_name:
            return self.by_name[name]
        raise unknown_account(name, self.by_name)

    def call(self, name: str | None, email: str | None = None, login: str | None = None) -> Call:
        """Starts a call on an account."""
        return Call(self.pick(name), self.budget, email, self.new_strategy(), login=login)

    def check_domain(self, email: str) -> None:
        """Refuses an address outside the allowed domains.

        Raises:
            InvalidArgument: the policy does not allow it.
        """
        domain = email_key(email).rpartition("@")[2]
        if self.allowed_domains and domain not in self.allowed_domains:
            allowed = ", ".join(sorted(self.allowed_domains))
            raise InvalidArgument(
                f"{email} is not in an allowed domain",
                hint=f"allowed_domains permits: {allowed}.",
            )

    def check(self, new: NewInvitation) -> None:
        """Refuses an invitation that the policy does not allow.

        Raises:
            InvalidArgument: its domain is not allowed, or a plugin refused it.
        """
        if new.email:
            self.check_domain(new.email)
        if self.check_invitation is not None:
            self.check_invitation(new)

    def bound(self, name: str) -> Accounts:
        """Returns a copy with another default account."""
        return replace(self, default=self.pick(name).name)

    def of_run(self, known: Guest, entry: Entry, *, is_prepared: bool) -> Accounts:
        """Returns a copy for one call of a run that has read the person's records already."""
        strategy = partial(InRun, known, entry, is_prepared=is_prepared)
        return replace(self, default=known.account, new_strategy=strategy)

    def with_ledger(self, ledger: Journal | None) -> Accounts:
        """Returns a copy whose calls are recorded in a ledger. None for no ledger."""
        new_strategy = WithoutLedger if ledger is None else partial(WithLedger, ledger)
        return replace(self, ledger=ledger, new_strategy=new_strategy)

    def acting_as(self, actor: str | None, note: str | None) -> Accounts:
        """Returns the same accounts, whose calls the ledger stores under another actor."""
        return self.with_ledger(self.ledger and self.ledger.acting_as(actor, note))

    def budgeted(self, budget: Budget) -> Accounts:
        """Returns a copy with another budget."""
        return replace(self, budget=budget)


def unknown_account(name: object, known: Iterable[str]) -> UnknownAccount:
    """Returns the error for an account that does not exist.

    Args:
        name: the given name. None if no name was given although one is needed.
        known: the names of the existing accounts.
    """
    names = sorted(known)
    near = similar_name(name, names) if isinstance(name, str) else None
    if not names:
        hint = HOW_TO_CONFIGURE
    elif near:
        hint = f"Did you mean {near!r}?"
    else:
        hint = f"The accounts are: {', '.join(names)}."
    if name is not None:
        return UnknownAccount(f"there is no account {name!r}", hint=hint)
    return UnknownAccount("no account is named" if names else "no account is configured", hint=hint)


HOW_TO_CONFIGURE = (
    "Write a guestlist.toml (`guestlist config init`), or set the environment variables of a"
    " provider (`guestlist providers NAME` lists them)."
)
