"""The accounts that a client works on, and the rules that hold for all of them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from guestlist.address import email_key
from guestlist.errors import InvalidOrder, UnknownAccount
from guestlist.exchange.account import Account, Budget, Call, Entry, Journal
from guestlist.models import Guest, Order


@dataclass(frozen=True)
class Accounts:
    """What every verb is given first.

    Attributes:
        by_name: the accounts, under the names that the user chose.
        default: the account that is meant when a call names none.
        budget: what one call may cost.
        allowed_domains: domains that may be invited; empty for all.
        check_order: lets plugins refuse an order.
        journal: the ledger, if there is one.
        known, entry: of calls that belong to a run: see `Call`.
    """

    by_name: Mapping[str, Account]
    default: str | None = None
    budget: Budget = field(default_factory=Budget)
    allowed_domains: frozenset[str] = frozenset()
    check_order: Callable[[Order], None] | None = None
    journal: Journal | None = None
    known: Guest | None = None
    entry: Entry | None = None

    def pick(self, name: str | None) -> Account:
        """The account of that name; without a name the default, or the only one.

        Raises:
            UnknownAccount: there is none, or it has to be named.
        """
        name = self.default if name is None else name
        if name is None and len(self.by_name) == 1:
            return next(iter(self.by_name.values()))
        if isinstance(name, str) and name in self.by_name:
            return self.by_name[name]
        raise unknown_account(name, self.by_name)

    def call(self, name: str | None, email: str | None = None) -> Call:
        """A call on an account, which begins now."""
        return Call(self.pick(name), self.budget, email, self.known, self.entry, self.journal)

    def check_domain(self, email: str) -> None:
        """Refuses an address outside the allowed domains.

        Raises:
            InvalidOrder: the policy does not allow it.
        """
        domain = email_key(email).rpartition("@")[2]
        if self.allowed_domains and domain not in self.allowed_domains:
            allowed = ", ".join(sorted(self.allowed_domains))
            raise InvalidOrder(
                f"{email} is not in an allowed domain",
                hint=f"allowed_domains permits: {allowed}.",
            )

    def check(self, order: Order) -> None:
        """Refuses an order that the policy does not allow.

        Raises:
            InvalidOrder: its domain is not allowed, or a plugin refused it.
        """
        self.check_domain(order.email)
        if self.check_order is not None:
            self.check_order(order)

    def bound(self, name: str) -> Accounts:
        """The same with another default account."""
        return replace(self, default=self.pick(name).name)

    def of_run(self, known: Guest, entry: Entry | None) -> Accounts:
        """The same for one call of a run that has read where everybody stands."""
        return replace(self, default=known.account, known=known, entry=entry)

    def acting_as(self, actor: str | None, note: str | None) -> Accounts:
        """Returns the same accounts, whose calls the ledger stores under another actor."""
        if self.journal is None:
            return self
        return replace(self, journal=self.journal.acting_as(actor, note))

    def budgeted(self, budget: Budget) -> Accounts:
        """The same with another budget."""
        return replace(self, budget=budget)


def unknown_account(name: object, known: Iterable[str]) -> UnknownAccount:
    """Return the error for an account that does not exist.

    Args:
        name: the name that was given; None if none was, although it is needed.
        known: the names of the accounts that exist.
    """
    names = sorted(known)
    near = isinstance(name, str) and difflib.get_close_matches(name, names, 1)
    if not names:
        hint = HOW_TO_CONFIGURE
    elif near:
        hint = f"Did you mean {near[0]!r}?"
    else:
        hint = f"The accounts are: {', '.join(names)}."
    if name is not None:
        return UnknownAccount(f"there is no account {name!r}", hint=hint)
    return UnknownAccount("no account is named" if names else "no account is configured", hint=hint)


HOW_TO_CONFIGURE = (
    "Write a guestlist.toml (`guestlist config init`), or set the environment variables of a"
    " provider (`guestlist providers NAME` lists them)."
)
