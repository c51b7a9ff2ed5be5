"""Formats the fields of records as text: times, roles and their names, and how a state is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from guestlist.client import Guestlist
from guestlist.errors import GuestlistError
from guestlist.humanize import absolute_time, relative_time
from guestlist.models import OPEN_STATES, Basis, Grant, Guest, Invitation, Role, State

BASES = {
    Basis.REPORTED: "reported by the service",
    Basis.DERIVED: "derived from its date",
    Basis.INFERRED: "inferred from the other list",
}


class RecordFormatter:
    """Formats the fields of guests and invitations as text.

    Args:
        now: the time to which others are relative.
        label: returns the name of a role of an account.
        exact: show dates instead of relative times.
    """

    def __init__(
        self, now: datetime, label: Callable[[str, Role], str], *, exact: bool = False
    ) -> None:
        self._now = now
        self._label = label
        self._exact = exact

    def roles_of(self, guest: Guest) -> str:
        """Returns the roles that a person has, or that the invitation offers."""
        if guest.state is State.ACCEPTED:
            return self.roles(guest.account, (guest.member and guest.member.roles) or ())
        return self.roles(guest.account, guest.invitation.roles if guest.invitation else ())

    def roles(self, account: str, roles: Iterable[Role]) -> str:
        """Returns the labels of an account's roles, separated by commas."""
        return ", ".join(self._label(account, role) for role in roles)

    def when(self, guest: Guest) -> str:
        """Returns when a person joined, or until when the invitation can be accepted."""
        if guest.state is State.ACCEPTED:
            joined = guest.member.joined_at if guest.member else None
            return f"joined {self.time(joined)}" if joined else ""
        return self.expiry(guest.invitation) if guest.invitation else ""

    def expiry(self, invitation: Invitation) -> str:
        """Returns the expiry of an open or expired invitation, for people: `expires in 3 days`.
        Empty for other states, and if the expiry is unknown."""
        if invitation.never_expires and invitation.state in OPEN_STATES:
            return "never expires"
        if invitation.expires_at is None:
            return ""
        if invitation.state in OPEN_STATES:
            return f"expires {self.time(invitation.expires_at)}"
        if invitation.state is State.EXPIRED:
            return f"expired {self.time(invitation.expires_at)}"
        return ""

    def time(self, moment: datetime | None) -> str:
        """Returns a time relative to now; empty for None."""
        if moment is None:
            return ""
        if self._exact:
            return absolute_time(moment)
        return relative_time(moment + _half_a_unit(moment - self._now), self._now)


def basis_text(guest: Guest) -> str:
    """Returns how a person's state is known."""
    if guest.state is State.UNKNOWN and guest.raw_state:
        return f"the service says {guest.raw_state!r}"
    accepted = guest.invitation is not None and guest.invitation.state is State.ACCEPTED
    if accepted and guest.state in (State.GONE, State.UNKNOWN):
        return "accepted, and no member has this address"
    return {
        (State.ACCEPTED, Basis.INFERRED): "is among the members",
        (State.GONE, Basis.INFERRED): "neither invited nor a member",
    }.get((guest.state, guest.basis), BASES[guest.basis])


def grant_path(grant: Grant) -> str:
    """Returns how a person got a grant: directly, or through other roles."""
    if grant.direct:
        return "directly"
    return " > ".join(role.label for role in grant.via) or "inherited"


def _half_a_unit(ahead: timedelta) -> timedelta:
    """Returns half of the unit in which a future time is shown. Adding it rounds to the nearest
    unit: three days less a second are shown as 3 days."""
    for unit in (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)):
        if ahead >= unit / 2:
            return unit / 2
    return timedelta(0)


class RoleLabels:
    """Looks up the names of roles. Reads an account's roles once, when a role without a name
    appears for the first time.

    Args:
        guests: returns the client. Called only if names must be read.
    """

    def __init__(self, guests: Callable[[], Guestlist]) -> None:
        self._guests = guests
        self._known: dict[str, dict[tuple[str, str], str]] = {}

    def __call__(self, account: str, role: Role) -> str:
        """Returns the label of a role of an account, or its id if the name is unknown."""
        if role.name is not None:
            return role.label
        if account not in self._known:
            self._known[account] = {}
            with suppress(GuestlistError):
                roles = self._guests().roles(account=account)
                self._known[account] = {(one.kind, one.id): one.label for one in roles}
        return self._known[account].get((role.kind, role.id), role.label)
