"""The strategies of single calls with and without a ledger, and of calls inside a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar, cast

from guestlist.errors import GuestlistError
from guestlist.exchange.account import Account, Call
from guestlist.exchange.policy import block
from guestlist.exchange.recording import (
    CallEntry,
    EarlierCall,
    Entry,
    Intent,
    Journal,
    Preparation,
    Recorder,
    Strategy,
    UnansweredOrder,
)
from guestlist.exchange.step import Steps
from guestlist.models import Guest, Role
from guestlist.provider import Effect, Request
from guestlist.verbs.evidence import may_undo, proves_absence, took_effect

T = TypeVar("T")

MEMORY_SECONDS = 3600.0
"""Seconds for which an unresolved call is remembered after a lookup would be conclusive."""
ENDS_UNKNOWN = frozenset({"invite", "resend", "replace", "revoke", "remove"})
"""Actions after which it does not matter any more whether an earlier email was sent."""
ACTIONS_WITHOUT_EMAIL = frozenset({"revoke", "remove"})
"""Actions that may be repeated while an earlier one is unresolved, because they send no email."""


class WithoutLedger(Strategy):
    """The strategy of a single call of a client without a ledger.

    The client remembers calls whose outcome is unknown: a call that was canceled, or ran out of its
    budget, may take effect later. The next call about the same person looks, until the grace period
    is over, before it sends. A ledger does the same beyond the end of the process.
    """

    def unresolved(
        self, call: Call, role: Role | None = None, *, give: bool = True
    ) -> Steps[RememberedCall | None]:
        if role is None:
            return call.account.unresolved.get((call.key,))
        return next(
            (
                one
                for one in call.account.unresolved.values()
                if one.key[0] == call.key
                and one.role is not None
                and may_undo(call.provider, one.role, role)
            ),
            None,
        )
        yield

    def settle(self, call: Call, earlier: EarlierCall, happened: bool | None) -> Steps[bool]:
        remembered = cast(RememberedCall, earlier)
        if remembered.preparation is Preparation.PREPARED:
            return True  # stays remembered until a later call has sent the email.
        if happened is None and remembered.sends_email:
            call.account.unresolved[remembered.key] = replace(remembered, is_unknown=True)
        else:
            call.account.unresolved.pop(remembered.key, None)
        return True
        yield

    def record(
        self,
        call: Call,
        intent: Intent,
        steps: Steps[T],
        outcome: Callable[[T], tuple[str, bool | None]],
    ) -> Steps[T]:
        try:
            result = yield from steps
            if intent.action in ENDS_UNKNOWN and call.sent is not None:
                call.account.unresolved.pop((call.key,), None)
            return result
        except GuestlistError as error:
            may_have_happened = error.happened is not False and not error.half_done
            if may_have_happened or call.preparation is Preparation.PREPARED:
                _remember(call, intent, call.answered or error.reports_success)
            raise
        except BaseException:  # canceled, or Ctrl-C
            _remember(call, intent, call.answered)
            raise


@dataclass(frozen=True)
class RememberedCall:
    """A call of a client without a ledger that ended before its outcome was known.

    Attributes:
        account: the account of the call.
        key: identifies the person, and for a change of a role the role.
        action: the action of the call.
        before: the guest before the call. None if the records were not read.
        final: the monotonic time in seconds after which a lookup that finds nothing is conclusive.
        answered: whether the service answered with a success status.
        preparation: the progress of the invitation; None if the call has prepared nothing.
        is_unknown: whether the last lookup did not show if an email was sent.
    """

    account: Account
    key: tuple[str, ...]
    action: str
    before: Guest | None
    final: float
    answered: bool
    preparation: Preparation | None = None
    is_unknown: bool = False
    must_be_settled = False

    @property
    def role(self) -> Role | None:
        return None if self.sends_email else Role(kind=self.key[1], id=self.key[2])

    @property
    def sends_email(self) -> bool:
        """Whether the call was to send an email, and not to change a role."""
        return len(self.key) == 1

    @property
    def seconds(self) -> float:
        """Seconds until a lookup that finds nothing is conclusive; negative if it already is."""
        return self.final - self.account.clock.monotonic()

    def judge(self, now: Guest, *, final: bool) -> bool | None:
        """Returns whether a lookup proves that the call took effect; None if it proves nothing."""
        try:
            if took_effect(self.action, self.before, now, prepared=self.preparation is not None):
                return True
        except GuestlistError:
            return None
        conclusive = final and proves_absence(self.account.provider, self.before, now)
        return False if conclusive and not self.answered else None


def _remember(call: Call, intent: Intent, answered: bool) -> None:
    """Remembers a call whose outcome is unknown, if its last request created something, and a call
    that has only prepared an invitation."""
    creates = call.sent is not None and call.sent.effect is Effect.CREATE
    is_prepared = call.preparation is Preparation.PREPARED
    if not (creates or is_prepared) or intent.action in ACTIONS_WITHOUT_EMAIL:
        return
    account = call.account
    now = account.clock.monotonic()
    for other, old in list(account.unresolved.items()):
        if now - old.final > MEMORY_SECONDS and old.preparation is not Preparation.PREPARED:
            account.unresolved.pop(other, None)
    is_about_role = intent.action in ("assign_role", "unassign_role")
    role = [part for role in intent.roles if is_about_role for part in (role.kind, role.id)]
    key = (call.key, *role)
    account.unresolved[key] = RememberedCall(
        account, key, intent.action, intent.before, now + call.grace, answered, call.preparation
    )


class WithLedger(Strategy):
    """The strategy of a single call of a client with a ledger, in which the call is recorded."""

    must_read_first = True
    can_defer_roles = True

    def __init__(self, ledger: Journal) -> None:
        self._ledger = ledger
        self._recorder: Recorder = ledger
        self._entry: CallEntry | None = None
        self._began: float | None = None

    def unresolved(
        self, call: Call, role: Role | None = None, *, give: bool = True
    ) -> Steps[UnansweredOrder | None]:
        self._began = self._ledger.now()
        find = partial(self._ledger.last_unanswered, call, role, give=give)
        return (yield from _blocking(call, find))

    def settle(self, call: Call, earlier: EarlierCall, happened: bool | None) -> Steps[bool]:
        order = cast(UnansweredOrder, earlier)
        settled = yield from _blocking(call, partial(order.settle, happened))
        if settled and happened is False:
            self._recorder = order  # this call replaces the earlier one
        return settled

    def intend(self, call: Call, request: Request) -> Steps[None]:
        if self._entry is not None:
            preparation = call.preparation_after(request)
            yield from block(call, partial(self._entry.intend, str(request), preparation))

    def answered(self, call: Call, why: str) -> Steps[None]:
        if self._entry is not None:
            yield from block(call, partial(self._entry.answered, why))

    def record(
        self,
        call: Call,
        intent: Intent,
        steps: Steps[T],
        outcome: Callable[[T], tuple[str, bool | None]],
    ) -> Steps[T]:
        before = cast(Guest, intent.before)  # because of `must_read_first`
        entry = self._entry = self._recorder.entry(
            before, intent.action, intent.roles, intent.deferred, began=self._began
        )
        try:
            result = yield from steps
        except GuestlistError as error:
            try:
                yield from block(call, partial(entry.failed, error))
            except GuestlistError as failure:
                error.add_note(f"guestlist: that could not be recorded: {failure.headline}")
            raise
        try:
            yield from block(call, partial(entry.ended, *outcome(result)))
        except GuestlistError as failure:
            if call.sent is not None:
                failure.happened = True
                failure.hint = "It was done, and the ledger does not know yet: ask again later."
            raise call.about(failure) from failure.__cause__
        return result


class InRun(Strategy):
    """The strategy of a call inside a run over many guests.

    The run has read the guest's records, and looks up all requests that got no answer together. So
    the call reads nothing about the guest, and raises `OutcomeUnknown` at once.

    Args:
        guest: the guest as the run has read it.
        entry: the record of the order in the ledger.
        is_prepared: whether an earlier attempt of the order has prepared the invitation.
    """

    must_read_first = True
    looks_up_outcome = False

    def __init__(self, guest: Guest, entry: Entry, *, is_prepared: bool = False) -> None:
        self.guest_before = guest
        self.is_prepared = is_prepared
        self._entry = entry

    def intend(self, call: Call, request: Request) -> Steps[None]:
        preparation = call.preparation_after(request)
        yield from block(call, partial(self._entry.intend, str(request), preparation))

    def answered(self, call: Call, why: str) -> Steps[None]:
        yield from block(call, partial(self._entry.answered, why))


def _blocking(call: Call, function: Callable[[], T]) -> Steps[T]:
    """Calls a function of the ledger. Its errors name the account and the guest."""
    try:
        return (yield from block(call, function))
    except GuestlistError as error:
        raise call.about(error) from error.__cause__
