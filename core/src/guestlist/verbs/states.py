"""Computes the state of a person from the records of a service."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta

from guestlist.errors import InvalidArgument
from guestlist.exchange.account import Account
from guestlist.models import (
    MEMBERSHIPS,
    OPEN_STATES,
    Basis,
    Guest,
    Invitation,
    Member,
    MemberState,
    State,
)
from guestlist.provider import NEVER, Provider

LONG_AGO = datetime.min.replace(tzinfo=UTC)


def state_named(word: State | str) -> State:
    """Returns the state of that name.

    Raises:
        InvalidArgument: no state has that name.
    """
    try:
        return State(word)
    except ValueError:
        raise InvalidArgument(
            f"there is no state {word!r}", hint=f"The states are: {', '.join(State)}."
        ) from None


def current(
    invitation: Invitation, provider: Provider, now: datetime, *, fresh: bool = False
) -> Invitation:
    """Returns the invitation with its state at `now`.

    Missing dates are estimated. An invitation that the service reports as pending has expired if
    its date is over.

    Args:
        fresh: whether the invitation has just been created, so that `now` stands in for a missing
            `created_at`.
    """
    created, expires = invitation.created_at, invitation.expires_at
    estimated = invitation.estimated
    if created is None and fresh:
        created = now
        estimated |= {"created_at"}
    endless = invitation.never_expires
    if expires is None and not endless and provider.lifetime == NEVER:
        endless = True
        estimated |= {"never_expires"}
    elif expires is None and not endless and created is not None and provider.lifetime is not None:
        expires = created + provider.lifetime
        estimated |= {"expires_at"}
    state, basis = invitation.state, invitation.basis
    if state is State.PENDING and expires is not None and expires <= now:
        state, basis = State.EXPIRED, Basis.DERIVED
    if state is invitation.state and estimated == invitation.estimated:
        return invitation
    return invitation.model_copy(
        update={
            "created_at": created,
            "expires_at": expires,
            "never_expires": endless,
            "estimated": estimated,
            "state": state,
            "basis": basis,
        }
    )


def is_open(invitation: Invitation, account: Account) -> bool:
    """Returns whether an invitation is open now. An expired one is not, even if reported as
    pending."""
    return current(invitation, account.provider, account.now()).state in OPEN_STATES


def pick_invitation(invitations: Iterable[Invitation]) -> Invitation | None:
    """Returns the invitation that counts if an address has several: an open one, else the latest.
    Services keep closed invitations, and some allow several open ones."""
    return max(
        invitations,
        key=lambda one: (
            one.state in OPEN_STATES,
            one.created_at or LONG_AGO,
            one.expires_at or LONG_AGO,
        ),
        default=None,
    )


def pick_member(members: Iterable[Member]) -> Member | None:
    """Returns the member record that counts if an address has several.

    An active membership comes before an invited one, and that before a removed one.
    """
    return max(
        members,
        key=lambda one: (one.state in MEMBERSHIPS, one.state is MemberState.INVITED),
        default=None,
    )


def is_undecided(records: Iterable[Invitation]) -> bool:
    """Returns whether the invitations do not show if the person is a member, so that the members
    must be read.
    """
    records = list(records)
    counting = pick_invitation(records)
    open_one = counting is not None and counting.state in OPEN_STATES
    return open_one and all(one.state is not State.ACCEPTED for one in records)


def conclude_from(
    account: Account,
    email: str | None,
    records: Iterable[Invitation],
    member: Member | None,
    *,
    login: str | None = None,
    candidates: Iterable[Member] = (),
) -> Guest:
    """Returns the guest that follows from all records about a person.

    Args:
        login: the person's login, if it is known.
        candidates: the members who could have accepted an invitation of the person under another
            address.
    """
    records = list(records)
    if is_undecided(records) and member is not None and member.state not in MEMBERSHIPS:
        member = None  # listed as invited, or removed before
    guest = conclude(account, email, pick_invitation(records), member)
    counting = guest.invitation
    others = [one for one in records if one.state in OPEN_STATES and one is not counting]
    if others and counting is not None and counting.state in OPEN_STATES:
        guest = guest.model_copy(update={"invitations": (counting, *others)})
    if login and guest.login is None:
        guest = guest.model_copy(update={"login": login})
    if guest.state is State.ACCEPTED or guest.state in OPEN_STATES:
        return guest
    provider = account.provider
    if counting is not None and counting.state is State.ACCEPTED and (found := tuple(candidates)):
        when = f" on {counting.responded_at:%Y-%m-%d}" if counting.responded_at else ""
        names = candidate_names(found)
        why = f"the invitation was accepted{when}, and no member has this address; {names}"
        unclear = {"state": State.UNKNOWN, "unidentified": why, "candidates": found}
        return guest.model_copy(update=unclear)
    if not provider.members_show_emails and guest.login is None and provider.supports("members"):
        why = f"{provider.title} does not show the addresses of members, and no login is known"
        state = State.UNKNOWN if guest.state is State.GONE else guest.state
        return guest.model_copy(update={"state": state, "unidentified": why})
    return guest


def mark_login_not_shown(guest: Guest, provider: Provider) -> Guest:
    """Returns the guest. If only the login is known, marks it as unknown, for a service whose
    member records show no logins."""
    is_unnamed = guest.email is None and provider.members_show_emails
    if guest.state is not State.GONE or not is_unnamed:
        return guest
    why = f"no member record of {provider.title} shows a login; name the person by the address"
    return guest.model_copy(update={"state": State.UNKNOWN, "unidentified": why})


NAMED = 3
"""Number of candidates that a message names."""


def candidate_names(candidates: Sequence[Member]) -> str:
    """Returns who a person could be, for messages: `it could be a@x, b@x or 3 others`."""
    names = [one.label for one in candidates[:NAMED]]
    if more := len(candidates) - NAMED:
        names += [f"{more} others" if more > 1 else candidates[-1].label] * (more > 0)
    return f"it could be {' or '.join(filter(None, [', '.join(names[:-1]), names[-1]]))}"


def is_same_user(member: Member, invitation: Invitation) -> bool:
    """Returns whether the service names the member as the person of the invitation."""
    return invitation.user_id is not None and invitation.user_id in (member.user_id, member.id)


SAME_DAY, SAME_HOUR = timedelta(days=1), timedelta(hours=1)
"""Maximum difference between the dates of a membership and of the acceptance: if the service shows
only the day, and if it shows the time."""


def could_be(member: Member, invitation: Invitation) -> bool:
    """Returns whether a member may have joined with an accepted invitation to another address."""
    joined, invited, accepted = member.joined_at, invitation.created_at, invitation.responded_at
    if member.service or joined is None:
        return not member.service
    only_day = joined.time() == time.min
    too_early = invited is not None and (
        joined < invited - SAME_DAY if only_day else joined <= invited
    )
    latest = SAME_DAY if only_day else SAME_HOUR
    return not too_early and (accepted is None or joined <= accepted + latest)


def conclude(
    account: Account, email: str | None, invitation: Invitation | None, member: Member | None
) -> Guest:
    """Returns the guest that follows from an invitation and a member record."""
    state, basis = State.GONE, Basis.INFERRED
    inside = member is not None and member.state in MEMBERSHIPS
    if inside:
        reported = invitation is not None and invitation.state is State.ACCEPTED
        state, basis = State.ACCEPTED, Basis.REPORTED if reported else Basis.INFERRED
    elif invitation is not None and (
        invitation.state is not State.ACCEPTED or _accepted_just_now(account, invitation)
    ):
        state, basis = invitation.state, invitation.basis
    elif member is not None and member.state is MemberState.INVITED:
        state = State.UNKNOWN  # was invited, and no invitation is shown
    suspended = None
    if inside and member is not None and not account.provider.hides_suspension:
        suspended = member.state is MemberState.SUSPENDED
    elif inside and member is not None and member.state is MemberState.SUSPENDED:
        suspended = True
    is_open = invitation is not None and invitation.state in OPEN_STATES
    return Guest(
        account=account.name,
        email=email,
        login=member.login if member else invitation.login if is_open and invitation else None,
        state=state,
        basis=basis,
        raw_state=invitation.raw_state if invitation else None,
        invitation=invitation,
        invitations=(invitation,) if is_open and invitation else (),
        member=member,
        suspended=suspended,
    )


def _accepted_just_now(account: Account, invitation: Invitation) -> bool:
    """Returns whether the list of members may not yet contain a person who has accepted.

    If the acceptance is older and the person is not listed, they have left.
    """
    if not account.provider.supports("members") and not account.provider.supports("find_member"):
        return True
    lag = timedelta(seconds=account.provider.list_lag)
    responded = invitation.responded_at
    # `abs`: a clock that was set back must not make an event "just now" for hours.
    return responded is not None and abs(account.now() - responded) < lag


def state_word(state: State) -> str:
    """Returns a state in the words of messages and tables."""
    return "not invited" if state is State.GONE else state.value
