"""Ways to break the policy on purpose. The checker must find each, or it proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any
from unittest import mock

from guestlist import errors
from guestlist.errors import GuestlistError, MalformedResponse, ServiceTrouble
from guestlist.exchange import account, policy, recent_writes, recovery, redact
from guestlist.exchange.account import Call
from guestlist.exchange.policy import Verdict
from guestlist.exchange.step import SendFailure, Steps
from guestlist.models import Outcome, State
from guestlist.provider import Effect, Request
from guestlist.provider.paging import RecordCount
from guestlist.verbs import create, evidence, leave, lists

find = import_module("guestlist.verbs.find")
# the package has functions of these names
invite = import_module("guestlist.verbs.invite")
resend = import_module("guestlist.verbs.resend")
Patches = list[Any]
Sabotage = Callable[[], Patches]

SABOTAGES: dict[str, Sabotage] = {}
"""All sabotages by name. The docstring of each describes it."""


@contextmanager
def sabotaged(name: str) -> Iterator[None]:
    """Breaks the policy in one way within this context.

    Raises:
        KeyError: there is no such sabotage.
    """
    with ExitStack() as stack:
        for patch in SABOTAGES[name]():
            stack.enter_context(patch)
        yield


def _listed(sabotage: Sabotage) -> Sabotage:
    SABOTAGES[sabotage.__name__.replace("_", "-")] = sabotage
    return sabotage


def _instead(where: Any, name: str, other: Any) -> Any:
    return mock.patch.object(where, name, other)


# ---------------------------------------------------------------------------- sending


@_listed
def retry_blindly() -> Patches:
    """A create without an answer is sent again, as most clients do."""
    exchange = policy.exchange

    def blind(call: Call, request: Request) -> Steps[Any]:
        again = Effect.REPEATABLE if request.effect is Effect.CREATE else request.effect
        return exchange(call, replace(request, effect=again))

    return [_instead(policy, "exchange", blind)]


@_listed
def trust_every_failure() -> Patches:
    """A missing answer counts as proof that nothing was sent."""
    judge = policy.judge

    def trusting(answer: Any) -> Verdict:
        failed = isinstance(answer, SendFailure) and answer.status is None
        return Verdict.NOT_SENT if failed else judge(answer)

    return [_instead(policy, "judge", trusting)]


@_listed
def retry_after_5xx() -> Patches:
    """503 counts as refused, like 429."""
    judge = policy.judge
    return [
        _instead(
            policy,
            "judge",
            lambda answer: Verdict.LIMITED if answer.status == 503 else judge(answer),
        )
    ]


@_listed
def a_5xx_is_final() -> Patches:
    """502 counts as an answer that decides."""
    judge = policy.judge
    return [
        _instead(
            policy, "judge", lambda answer: Verdict.FINAL if answer.status == 502 else judge(answer)
        )
    ]


@_listed
def unresolved_called_failed() -> Patches:
    """Every error has `happened` False."""
    about = Call.about

    def sure(self: Call, error: GuestlistError) -> GuestlistError:
        error.happened = False
        return about(self, error)

    return [_instead(account.Call, "about", sure)]


@_listed
def budget_ignored() -> Patches:
    """The time of the budget never ends."""
    return [_instead(account.Call, "remaining", property(lambda _self: 1e6))]


@_listed
def attempts_without_end() -> Patches:
    """The search never ends, because its time is not checked."""
    search = recovery._search

    def stubborn(call: Call, *args: Any) -> Steps[Any]:
        call._ends = float("inf")
        return search(call, *args)

    return [_instead(recovery, "_search", stubborn)]


@_listed
def interruption_swallowed() -> Patches:
    """An interruption while sending is taken for a broken connection."""
    exchange = policy.exchange

    def deaf(call: Call, request: Request) -> Steps[Any]:
        steps = exchange(call, request)
        try:
            step = next(steps)
            while True:
                try:
                    result = yield step
                except BaseException:
                    result = SendFailure("the connection broke")
                step = steps.send(result)
        except StopIteration as done:
            return done.value

    return [_instead(policy, "exchange", deaf)]


@_listed
def interruption_unnoted() -> Patches:
    """An interruption gets no note about requests that may have taken effect."""
    return [_instead(policy, "_note", lambda _call, _interruption: None)]


@_listed
def reading_errors_escape() -> Patches:
    """Errors of a provider that reads an answer reach the caller."""
    return [_instead(policy, "READING_ERRORS", ())]


@_listed
def secrets_in_the_clear() -> Patches:
    """Nothing is masked."""
    return [_instead(redact.Redactor, "__call__", lambda _self, text: text)]


# ---------------------------------------------------------------------------- recovering


@_listed
def no_lookup() -> Patches:
    """A request without an answer counts as without effect."""

    def search(*_args: Any) -> Steps[Any]:
        return None
        yield

    return [_instead(recovery, "_search", search)]


@_listed
def early_lookup_believed() -> Patches:
    """There is no grace period."""
    return [_instead(account.Call, "grace", property(lambda _self: 0.0))]


@_listed
def grace_without_late_effect() -> Patches:
    """The grace period covers the lists' lag alone."""
    return [_instead(account.Call, "grace", property(lambda self: self.provider.list_lag))]


@_listed
def grace_without_lag() -> Patches:
    """The grace period covers the late effect alone."""
    return [_instead(account.Call, "grace", property(lambda self: self.provider.late_effect))]


@_listed
def own_work_forgotten() -> Patches:
    """The client does not remember the records that it has created."""
    return [_instead(recent_writes.RecentWrites, "of", lambda *_: None)]


@_listed
def failed_lookup_believed() -> Patches:
    """A lookup that fails counts as a conclusive lookup that found nothing."""
    search = recovery._search

    def gullible(call: Call, unresolved: Any, look: Any, conclusive: bool) -> Steps[Any]:
        def careless(happened: bool) -> Steps[Any]:
            try:
                return (yield from look(happened))
            except ServiceTrouble:
                return None

        try:
            with mock.patch.object(account.Call, "grace", property(lambda _self: 0.0)):
                steps = search(call, unresolved, look and careless, conclusive)
                first = next(steps)
        except StopIteration as done:
            return done.value
        result = yield first
        while True:
            try:
                result = yield steps.send(result)
            except StopIteration as done:
                return done.value

    return [_instead(recovery, "_search", gullible)]


@_listed
def unknown_called_failed() -> Patches:
    """An unknown outcome is reported as a failure."""
    return [
        _instead(
            recovery, "_unknown", lambda unresolved: errors.ServiceUnavailable(unresolved.message)
        )
    ]


@_listed
def unreadable_called_failed() -> Patches:
    """A 2xx that cannot be read is reported as a failure."""

    class Failed(MalformedResponse):
        @property
        def happened(self) -> bool | None:
            return False

        @happened.setter
        def happened(self, _value: bool | None) -> None:
            pass

    return [_instead(policy, "MalformedResponse", Failed)]


@_listed
def every_resend_conclusive() -> Patches:
    """A lookup after a resend compares the expiry even if resending does not change it."""

    def once(call: Call, send: Any, look: Any, **_conclusive: bool) -> Steps[Any]:
        return recovery.once(call, send, look)

    return [_instead(resend, "once", once)]


@_listed
def any_invitation_is_renewed() -> Patches:
    """The invitation from before the resend counts as the resent one."""

    def renewed(_call: Call, before: Any, *_flags: bool) -> Steps[Any]:
        return before
        yield

    return [_instead(resend, "_renewed", renewed)]


@_listed
def expiry_compared_at_once() -> Patches:
    """A resend may be sent within the same second as the last email, so that the expiry is
    equal."""
    return [_instead(evidence, "RENEWAL_GAP_SECONDS", 0.0)]


@_listed
def our_clock_decides() -> Patches:
    """Dates of the service are compared with this machine's clock instead of the service's."""
    return [_instead(account.Account, "now", lambda self: self.clock.now())]


@_listed
def expired_by_our_clock() -> Patches:
    """A lookup uses only this machine's clock to decide whether an invitation has expired."""
    find = create._find_new_record

    def strict(*args: Any) -> Steps[Any]:
        found = yield from find(*args)
        return None if getattr(found, "state", None) is State.EXPIRED else found

    return [_instead(create, "_find_new_record", strict)]


# ---------------------------------------------------------------------------- verbs


@_listed
def no_lock_per_guest() -> Patches:
    """Calls about one address run at the same time."""

    def lock_guest(_call: Call) -> Steps[None]:
        return
        yield

    return [_instead(verb, "lock_guest", lock_guest) for verb in (invite, resend, leave)]


@_listed
def first_page_only() -> Patches:
    """Reads only the first page of a list, and ignores the total that the service reports."""
    following = lists.Pages.next

    def first(self: Any, call: Call) -> Steps[Any]:
        items = yield from following(self, call)
        self.ended = True
        self._count = RecordCount()
        return items

    return [_instead(lists.Pages, "next", first)]


@_listed
def repeated_page_ends_the_list() -> Patches:
    """Treats a list that repeats a page as complete, and ignores the total."""
    following = lists.Pages.next

    def content(self: Any, call: Call) -> Steps[Any]:
        items = yield from following(self, call)
        self._repeats = False
        self._count = RecordCount()
        return items

    return [_instead(lists.Pages, "next", content)]


@_listed
def vanished_means_accepted() -> Patches:
    """A person who is not found counts as accepted."""
    conclude = find.conclude_from

    def hopeful(*args: Any) -> Any:
        guest = conclude(*args)
        gone = guest.state is State.GONE
        return guest.model_copy(update={"state": State.ACCEPTED}) if gone else guest

    return [_instead(find, "conclude_from", hopeful)]


@_listed
def hidden_addresses_mean_absent() -> Patches:
    """A person whom a list of logins does not show by the address counts as absent."""
    conclude = find.conclude_from

    def sure(*args: Any, **more: Any) -> Any:
        guest = conclude(*args, **more)
        if guest.unidentified is None:
            return guest
        return guest.model_copy(update={"state": State.GONE, "unidentified": None})

    return [_instead(find, "conclude_from", sure)]


@_listed
def conflict_called_invited() -> Patches:
    """Reports a refused duplicate as invited, with an email."""
    after = invite._after_refusal

    def proud(*args: Any) -> Steps[Any]:
        result = yield from after(*args)
        return result.model_copy(update={"outcome": Outcome.INVITED, "email_sent": True})

    return [_instead(invite, "_after_refusal", proud)]


@_listed
def conflict_means_again() -> Patches:
    """ "Already there" is answered by resending."""
    after = invite._after_refusal

    def eager(call: Call, order: Any, _if_exists: Any, conflict: Any) -> Steps[Any]:
        return (yield from after(call, order, "resend", conflict))

    return [_instead(invite, "_after_refusal", eager)]


@_listed
def revoked_is_not_reported() -> Patches:
    """If the new invitation fails, the error does not report that the old one was revoked."""
    anew = create.recreate

    def silent(*args: Any) -> Steps[Any]:
        try:
            return (yield from anew(*args))
        except GuestlistError as error:
            error.happened = False
            raise

    return [_instead(verb, "recreate", silent) for verb in (invite, resend)]


@_listed
def revoke_not_sent() -> Patches:
    """Revoking sends nothing and reports success."""

    def settled(call: Call, flow: Any) -> Steps[Any]:
        next(flow)
        flow.close()
        return (yield from find.look(call))

    return [_instead(leave, "_settled", settled)]


def described() -> Mapping[str, str]:
    """Returns a description of each sabotage, by name."""
    return {name: (one.__doc__ or "").strip() for name, one in SABOTAGES.items()}
