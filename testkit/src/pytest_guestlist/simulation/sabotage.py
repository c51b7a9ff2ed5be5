"""Ways to break the policy on purpose: each has to be found, or the checker proves nothing."""

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
from guestlist.exchange.step import Failure, Steps
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
"""All of them, by name; the docstring says what is broken."""


@contextmanager
def sabotaged(name: str) -> Iterator[None]:
    """Breaks the policy in one way meanwhile.

    Raises:
        KeyError: there is no such way.
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
    """No answer counts as proof that nothing was sent."""
    judge = policy.judge

    def trusting(answer: Any) -> Verdict:
        failed = isinstance(answer, Failure) and answer.status is None
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
def doubt_forgotten() -> Patches:
    """Whatever is raised says that nothing happened."""
    about = Call.about

    def sure(self: Call, error: GuestlistError) -> GuestlistError:
        error.happened = False
        return about(self, error)

    return [_instead(account.Call, "about", sure)]


@_listed
def budget_ignored() -> Patches:
    """There is always time."""
    return [_instead(account.Call, "remaining", property(lambda _self: 1e6))]


@_listed
def attempts_without_end() -> Patches:
    """Nothing is given up before the time is over, and the time is not looked at."""
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
                    result = Failure("the connection broke")
                step = steps.send(result)
        except StopIteration as done:
            return done.value

    return [_instead(policy, "exchange", deaf)]


@_listed
def interruption_unnoted() -> Patches:
    """An interruption says nothing about what may have happened."""
    return [_instead(policy, "_note", lambda _call, _interruption: None)]


@_listed
def reading_errors_escape() -> Patches:
    """What a provider's reading stumbles over reaches the caller."""
    return [_instead(policy, "READING_ERRORS", ())]


@_listed
def secrets_in_the_clear() -> Patches:
    """Nothing is masked."""
    return [_instead(redact.Redactor, "__call__", lambda _self, text: text)]


# ---------------------------------------------------------------------------- recovering


@_listed
def no_look() -> Patches:
    """What got no answer is taken for not happened."""

    def search(*_args: Any) -> Steps[Any]:
        return None
        yield

    return [_instead(recovery, "_search", search)]


@_listed
def early_look_believed() -> Patches:
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
    """What the client has made itself is only known once the lists show it."""
    return [_instead(recent_writes.RecentWrites, "of", lambda *_: None)]


@_listed
def failed_look_believed() -> Patches:
    """A look that fails counts as one that finds nothing, and is believed at once."""
    search = recovery._search

    def gullible(call: Call, doubt: Any, look: Any, conclusive: bool) -> Steps[Any]:
        def careless(happened: bool) -> Steps[Any]:
            try:
                return (yield from look(happened))
            except ServiceTrouble:
                return None

        try:
            with mock.patch.object(account.Call, "grace", property(lambda _self: 0.0)):
                steps = search(call, doubt, look and careless, conclusive)
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
    """What is not known is told as failed."""
    return [_instead(recovery, "_unknown", lambda doubt: errors.ServiceUnavailable(doubt.message))]


@_listed
def unreadable_called_failed() -> Patches:
    """A 2xx that cannot be read is told as failed."""

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
    """A resend is looked for by its expiry, also where resending does not move that."""

    def once(call: Call, send: Any, look: Any, **_conclusive: bool) -> Steps[Any]:
        return recovery.once(call, send, look)

    return [_instead(resend, "once", once)]


@_listed
def any_invitation_is_renewed() -> Patches:
    """The invitation that is to be resent is taken for the resent one."""

    def renewed(_call: Call, before: Any, *_told: bool) -> Steps[Any]:
        return before
        yield

    return [_instead(resend, "_renewed", renewed)]


@_listed
def expiry_compared_at_once() -> Patches:
    """A resend may go out within the second of the last mail, whose expiry is cut to seconds."""
    return [_instead(evidence, "RENEWAL_GAP_SECONDS", 0.0)]


@_listed
def our_clock_decides() -> Patches:
    """Dates of the service are compared with this machine's clock, whatever the service's says."""
    return [_instead(account.Account, "now", lambda self: self.clock.now())]


@_listed
def expired_by_our_clock() -> Patches:
    """What a look finds is judged by this machine's clock alone."""
    find = create._find_new_record

    def strict(*args: Any) -> Steps[Any]:
        found = yield from find(*args)
        return None if getattr(found, "state", None) is State.EXPIRED else found

    return [_instead(create, "_find_new_record", strict)]


# ---------------------------------------------------------------------------- verbs


@_listed
def nobody_waits() -> Patches:
    """Calls about one address run at the same time."""

    def lock_guest(_call: Call, _email: str) -> Steps[None]:
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
def revoked_is_not_told() -> Patches:
    """When an invitation is replaced and the new one fails, nothing is said of the old one."""
    anew = create.make_anew

    def silent(*args: Any) -> Steps[Any]:
        try:
            return (yield from anew(*args))
        except GuestlistError as error:
            error.happened = False
            raise

    return [_instead(verb, "make_anew", silent) for verb in (invite, resend)]


@_listed
def revoke_not_sent() -> Patches:
    """Revoking sends nothing and tells that it is done."""

    def settled(call: Call, flow: Any, email: str) -> Steps[Any]:
        next(flow)
        flow.close()
        return (yield from find.look(call, email))

    return [_instead(leave, "_settled", settled)]


def described() -> Mapping[str, str]:
    """What each sabotage breaks, by name."""
    return {name: (one.__doc__ or "").strip() for name, one in SABOTAGES.items()}
