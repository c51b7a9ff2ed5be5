"""One person in all accounts."""

from __future__ import annotations

from fnmatch import fnmatchcase

from guestlist.models import Guest, Identity


class Person(Identity):
    """One person, with the state in each account.

    Addresses, other addresses (`also`) and logins are merged as the roster says. Without a roster,
    records with the same address are one person. Two logins are never taken for one person, not
    even if they are equal, because they may belong to different people.

    Attributes:
        email: the address in the roster, else as a service spells it. None if only logins are
            known.
        also: the other addresses that the roster gives, in their normalized form.
        logins: the logins by account, from the roster and from the services.
        key: the text by which people are compared and sorted.
        guests: the person in each account where a record was found. People who have left and
            revoked invitations are left out.
        wanted: the accounts in which the roster wants the person today.
        in_roster: whether the roster names the person, for any account and time.
        unclear: accounts in which the person may be a member, because the service shows only logins
            and the person's login is unknown.
    """

    key: str
    guests: tuple[Guest, ...] = ()
    wanted: tuple[str, ...] = ()
    in_roster: bool = False
    unclear: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The name of the person in messages: the address, else the login, else the id."""
        return super().label or next((one.label for one in self.guests), self.key)

    def guest(self, account: str) -> Guest | None:
        """Returns the person in an account, or None if no record was found there."""
        return next((one for one in self.guests if one.account == account), None)

    def matches(self, pattern: str) -> bool:
        """Returns whether an address, a login or the name of the person matches, ignoring the case.

        Args:
            pattern: a part of the name, or a pattern with `*` and `?` for the whole name.
        """
        found = pattern.strip().lower()
        if not any(sign in found for sign in "*?["):
            found = f"*{found}*"
        records = [one for guest in self.guests for one in (guest.email, guest.login)]
        full = [guest.member.name for guest in self.guests if guest.member]
        names = (self.email, *self.also, *self.logins.values(), *records, *full)
        return any(fnmatchcase(name.lower(), found) for name in names if name)
