"""What records say, in words: when, as what, and how that is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from guestlist.humanize import absolute, relative
from guestlist.models import OPEN_STATES, Basis, Grant, Guest, Invitation, Role, State

BASES = {
    Basis.REPORTED: "the service says so",
    Basis.DERIVED: "by its date",
    Basis.INFERRED: "from the other list",
}


class RecordFormatter:
    """Tells facts about guests.

    Args:
        now: the moment that times are relative to.
        label: what people call a role of an account.
        exact: tells times as dates.
    """

    def __init__(
        self, now: datetime, label: Callable[[str, Role], str], *, exact: bool = False
    ) -> None:
        self._now = now
        self._label = label
        self._exact = exact

    def roles_of(self, guest: Guest) -> str:
        """What a guest has, or is offered."""
        if guest.state is State.ACCEPTED:
            return self.roles(guest.account, (guest.member and guest.member.roles) or ())
        return self.roles(guest.account, guest.invitation.roles if guest.invitation else ())

    def roles(self, account: str, roles: Iterable[Role]) -> str:
        """Roles of an account, separated by commas."""
        return ", ".join(self._label(account, role) for role in roles)

    def when(self, guest: Guest) -> str:
        """When a guest joined, or until when the invitation can be accepted."""
        if guest.state is State.ACCEPTED:
            joined = guest.member.joined_at if guest.member else None
            return f"joined {self.time(joined)}" if joined else ""
        return self.expiry(guest.invitation) if guest.invitation else ""

    def expiry(self, invitation: Invitation) -> str:
        """Until when an invitation can or could be accepted, where that matters still."""
        if invitation.expires_at is None:
            return ""
        if invitation.state in OPEN_STATES:
            return f"expires {self.time(invitation.expires_at)}"
        if invitation.state is State.EXPIRED:
            return f"expired {self.time(invitation.expires_at)}"
        return ""

    def time(self, moment: datetime | None) -> str:
        """A moment, as seen from now; nothing for none."""
        if moment is None:
            return ""
        if self._exact:
            return absolute(moment)
        return relative(moment + _half_a_unit(moment - self._now), self._now)


def basis_text(guest: Guest) -> str:
    """How a guest's state is known."""
    if guest.state is State.UNKNOWN and guest.raw_state:
        return f"the service says {guest.raw_state!r}"
    return {
        (State.ACCEPTED, Basis.INFERRED): "is among the members",
        (State.GONE, Basis.INFERRED): "neither invited nor a member",
    }.get((guest.state, guest.basis), BASES[guest.basis])


def grant_path(grant: Grant) -> str:
    """How a grant reaches the person."""
    if grant.direct:
        return "directly"
    return " > ".join(role.label for role in grant.via) or "inherited"


def _half_a_unit(ahead: timedelta) -> timedelta:
    """What rounds a time to come to the nearest unit: three days less a second are 3 days."""
    for unit in (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)):
        if ahead >= unit / 2:
            return unit / 2
    return timedelta(0)
