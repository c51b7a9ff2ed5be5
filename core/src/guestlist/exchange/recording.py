"""Interfaces for the differences between single calls and calls inside a run.

A `Strategy` answers three questions for one call: what is known from before it, where its requests
and its result are recorded, and what to do if an outcome stays unknown. There is one for a client
without a ledger, one for a client with a ledger, and one for a run: `guestlist.verbs.strategies`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from guestlist.errors import GuestlistError
from guestlist.exchange.rate_limiter import RateLimiter
from guestlist.exchange.step import Steps
from guestlist.models import Guest, Role
from guestlist.provider import Limit, Provider, Request

if TYPE_CHECKING:
    from guestlist.exchange.account import Call

T = TypeVar("T")


class Preparation(IntEnum):
    """The progress of an invitation that takes two requests (`Effect.PREPARE`).

    In both cases, a record that a lookup finds does not prove that the person was invited.
    """

    PREPARED = 1
    """The service may have a record of the person. The email was certainly not sent."""
    SENDING = 2
    """The request that sends the email has left, and may have had no effect."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A change that a call is about to make.

    Attributes:
        action: the name of the change, such as `invite`.
        before: the guest before the change. None if the records were not read.
        roles: the roles that are given or taken away.
        deferred: the roles to defer once the change is made.
    """

    action: str
    before: Guest | None
    roles: tuple[Role, ...] = ()
    deferred: tuple[Role, ...] = ()


class Entry(Protocol):
    """The record of one order in the ledger. Every method returns once the record is on disk."""

    def intend(self, request: str, preparation: Preparation | None) -> None:
        """Records that a request that may change something is about to leave.

        Args:
            preparation: the progress of the invitation after the request has left; None if nothing
                was prepared.

        Raises:
            GuestlistError: it cannot be recorded, or another process has taken the order. The
                request must not be sent.
        """

    def answered(self, why: str) -> None:
        """Records that the service reported success in an answer that does not show the record.
        Then the request is never sent again, not even if no lookup finds its effect.

        Args:
            why: what is wrong with the answer.

        Raises:
            GuestlistError: it cannot be recorded.
        """


class CallEntry(Entry, Protocol):
    """The record of a single call, which is not part of a run."""

    def ended(self, outcome: str, email_sent: bool | None) -> None:
        """Records the outcome of the call, and defers the roles that have to wait for acceptance.

        Raises:
            GuestlistError: it cannot be recorded.
        """

    def failed(self, error: GuestlistError) -> None:
        """Records that the call failed. It stays unresolved if it may have had an effect.

        Raises:
            GuestlistError: it cannot be recorded.
        """


class Recorder(Protocol):
    """Creates the record of a call: the ledger, or an earlier call that the call replaces."""

    def entry(
        self,
        known: Guest,
        action: str,
        roles: tuple[Role, ...],
        deferred: tuple[Role, ...],
        *,
        began: float | None = None,
    ) -> CallEntry:
        """Returns a record for a call that begins. Nothing is written until the first request.

        Args:
            known: the guest before the call.
            deferred: the roles to defer once the call has made its change.
            began: the time before the call read the guest's records, by `Journal.now`. If another
                call has sent the guest an email since, this call may not.
        """


class EarlierCall(Protocol):
    """An earlier call about the same guest whose outcome is unknown."""

    @property
    def action(self) -> str:
        """The action of the call, such as `invite`."""

    @property
    def role(self) -> Role | None:
        """The role that the call gives or takes; None for a call about an invitation."""

    @property
    def is_unknown(self) -> bool:
        """Whether the last lookup has ended, and did not show if an email was sent. If so, a
        further email needs the user's confirmation."""

    @property
    def preparation(self) -> Preparation | None:
        """The progress of the call's invitation; None if it has prepared nothing."""

    @property
    def must_be_settled(self) -> bool:
        """Whether a new call about the guest must always find out the outcome of this call first.

        If False, the new call may skip that if it sends nothing, or if the service itself refuses a
        second invitation.
        """

    @property
    def seconds(self) -> float:
        """Seconds until a lookup that finds nothing is conclusive; negative if it already is."""

    def judge(self, now: Guest, *, final: bool) -> bool | None:
        """Returns whether a lookup proves that the call took effect; None if it proves nothing."""


class UnansweredOrder(EarlierCall, Recorder, Protocol):
    """An earlier call in the ledger whose request got no answer."""

    def settle(self, happened: bool | None) -> bool:
        """Records whether the last lookup has shown an effect; None if no lookup can show it.

        Returns False if the process that made the call has recorded something since.
        """


@runtime_checkable
class Journal(Recorder, Protocol):
    """The methods of the ledger that single calls use. Every method but `now` may block."""

    def now(self) -> float:
        """Returns the time that the ledger records, in seconds since 1970."""

    def rate_limiter(
        self, provider: Provider, limits: tuple[Limit, ...] | None = None
    ) -> RateLimiter:
        """Returns the rate limiter of an account, which all processes with the same ledger share.

        Args:
            limits: the limits of all accounts that the service counts together; None for the
                provider's own.
        """

    def acting_as(self, actor: str | None, note: str | None = None) -> Journal:
        """Returns the same ledger, which stores another actor and note with its calls."""

    def last_unanswered(
        self, call: Call, role: Role | None = None, *, give: bool = True
    ) -> UnansweredOrder | None:
        """Returns the last call that was to send the guest an email, if it got no answer or if its
        outcome stays unknown; else None.

        Args:
            role: instead, look for a change of the guest's roles that got no answer and may undo
                the change of this role.
        """

    def deferred_roles(self, account: str, keys: Collection[str]) -> list[str]:
        """Returns the names of the deferred roles of a person in an account.

        Args:
            keys: the normalized addresses and logins of the person.
        """

    def cancel_deferred(self, account: str, keys: Collection[str]) -> None:
        """Cancels all deferred roles of a person in an account.

        Args:
            keys: the normalized addresses and logins of the person.
        """


class Strategy:
    """Decides how a call treats earlier calls, records its changes, and handles an unknown outcome.

    This base class records nothing. It is for calls that only read. Each call has a strategy of its
    own.

    Attributes:
        guest_before: the guest as it was read before the call. None if the call reads it itself.
        must_read_first: whether the guest's records must be read before a change, so that a later
            lookup can compare with them.
        looks_up_outcome: whether the call itself looks up the outcome of a request that got no
            answer.
        can_defer_roles: whether roles that a service accepts only later can be recorded.
        is_prepared: whether an earlier attempt of the call has prepared the invitation.
    """

    guest_before: Guest | None = None
    is_prepared = False
    must_read_first = False
    looks_up_outcome = True
    can_defer_roles = False

    def unresolved(
        self, call: Call, role: Role | None = None, *, give: bool = True
    ) -> Steps[EarlierCall | None]:
        """Returns an earlier call about the same guest whose outcome is unknown; None if there is
        none.

        Args:
            role: the role that the call changes; None for a call about the invitation. With a role,
                returns only an earlier change of the same role, or of a role that it replaces.
            give: True if the call gives the role, False if it takes the role away.
        """
        return None
        yield

    def settle(self, call: Call, earlier: EarlierCall, happened: bool | None) -> Steps[bool]:
        """Records whether the last lookup has shown an effect of an earlier call; None if it shows
        nothing.

        Returns False if the process that made the earlier call has recorded something since.
        """
        return True
        yield

    def intend(self, call: Call, request: Request) -> Steps[None]:
        """Records that a request that may change something is about to leave.

        Raises:
            GuestlistError: it cannot be recorded. The request must not be sent.
        """
        return
        yield

    def answered(self, call: Call, why: str) -> Steps[None]:
        """Records that the service reported success in an answer that does not show the record.

        Args:
            why: what is wrong with the answer.

        Raises:
            GuestlistError: it cannot be recorded.
        """
        return
        yield

    def record(
        self,
        call: Call,
        intent: Intent,
        steps: Steps[T],
        outcome: Callable[[T], tuple[str, bool | None]],
    ) -> Steps[T]:
        """Carries out a change, and records its result.

        Args:
            outcome: returns the outcome of a result, and whether an email was sent (None if
                unknown, or if no email was needed).

        Raises:
            LedgerError: the ledger fails. `happened` is True if the change was made.
        """
        return (yield from steps)
