"""Checks a run: compares the results that callers got with the records of the service."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from guestlist.address import email_key
from guestlist.errors import GuestlistError, NotFound, OutcomeUnknown
from guestlist.exchange.account import Call
from guestlist.exchange.policy import is_foreign, may_refuse
from guestlist.models import (
    OPEN_STATES,
    Guest,
    InviteResult,
    Outcome,
    RemoveOutcome,
    RemoveResult,
    RevokeOutcome,
    RevokeResult,
    State,
)
from guestlist.provider import Effect, Response
from pytest_guestlist.simulation.driver import Caller
from pytest_guestlist.simulation.world import Landed, Truth

if TYPE_CHECKING:
    from pytest_guestlist.simulation.run import Simulation

MARGIN = 0.001
"""Seconds of tolerance for rounding errors in sums of times."""

FRAGMENT = 12
"""The number of first characters of a secret that must not be shown."""

SENDING = frozenset({"invite", "resend"})


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken in a run."""

    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


def check_simulation(run: Simulation) -> list[Violation]:
    """Returns all promises that were broken."""
    found = [
        Violation(rule.__name__.removeprefix("_").replace("_", " "), f"{caller}: {text}")
        for caller in run.callers
        for rule in RULES
        for text in rule(run, caller)
    ]
    found += [Violation("two emails through one client", text) for text in _one_client(run)]
    found += [Violation("a secret is shown", text) for text in _events(run)]
    return found


def _ended(_run: Simulation, caller: Caller) -> Iterator[str]:
    if caller.ended is None:
        yield "it never ended"


def _ended_in_time(_run: Simulation, caller: Caller) -> Iterator[str]:
    """A call ends within its budget plus the time-out of one request. `wait` has its own time-out
    in addition, and a list has the budget for each page."""
    budget = caller.budget
    allowed = budget.total
    if caller.verb == "wait":
        allowed = max(budget.total, caller.arguments["timeout"]) + budget.timeout
    if caller.verb in ("invitations", "members"):
        allowed *= 1 + len(
            {one.request.query.get("cursor") or str(one.request.json) for one in caller.sent}
        )
    took = (caller.ended or 0.0) - (caller.started or 0.0)
    if took > allowed + budget.timeout + MARGIN:
        limit = allowed + budget.timeout
        yield f"it took {took:.1f} s, and {limit:g} s are allowed"


def _only_our_errors(_run: Simulation, caller: Caller) -> Iterator[str]:
    error = caller.error
    if error is not None and error is not caller.interruption:
        if not isinstance(error, GuestlistError):
            yield f"it raised {type(error).__name__}: {error}"
        elif "\n" in str(error):
            yield "the error has several lines"


def _interruptions_pass(run: Simulation, caller: Caller) -> Iterator[str]:
    interruption = caller.interruption
    if interruption is None:
        return
    if caller.error is not interruption:
        yield "the interruption was swallowed"
    elif _acted(run, caller) and not any(
        note.startswith("guestlist: ") for note in getattr(interruption, "__notes__", ())
    ):
        yield "interrupted after a request took effect, and the exception has no note about it"


def _one_email_for_one_call(run: Simulation, caller: Caller) -> Iterator[str]:
    """A call sends one email. An email does not count if another call withdrew its invitation, or
    the invitee declined it, before the next email, and the service forgot it: the client cannot
    distinguish this from an invitation that was never made."""
    emails = [(landed.at, mail) for landed in _mine(run, caller) for mail in landed.emails]
    lost = sum(
        _undone_unseen(run, caller, mail.invitation, since, until)
        for (since, mail), (until, _) in pairwise(emails)
    )
    if len(emails) - lost > 1:
        yield f"{len(emails)} emails"


def _undone_unseen(run: Simulation, caller: Caller, id: str, since: float, until: float) -> bool:
    """Returns whether another call or the invitee ended the invitation that a call had made,
    without an answer that showed it; or with one, if a wrong clock made an older invitation look
    open."""
    key = email_key(caller.email)
    undone = any(
        landed.by != caller.number and key in landed.touched and since <= landed.at <= until
        for landed in run.site.landed
    )
    return (
        undone
        and (run.misled or not _was_shown(caller, id, since, until))
        and not run.site.truths(caller.email, until, until)[0].here
    )


def _was_shown(caller: Caller, id: str, since: float, until: float) -> bool:
    """Returns whether an answer to the call contained an id between two moments."""
    return any(
        isinstance(one.result, Response) and id.encode() in one.result.content
        for one in caller.sent
        if since <= (one.ended or 0.0) <= until
    )


def _emails_as_reported(run: Simulation, caller: Caller) -> Iterator[str]:
    """If another call has invited the person meanwhile, a service that changes an open invitation
    instead of refusing a second one sends one email, which both calls report."""
    if isinstance(caller.value, InviteResult):
        reported, emails = caller.value.email_sent, _emails(run, caller)
        if reported and not emails and not _has_invited(run, caller):
            since = (caller.started or 0.0) - run.subject.provider.list_lag
            emails = sum(len(one.emails) for one in _about(run, caller) if one.at >= since)
        if reported is not None and reported != bool(emails):
            yield f"reported email_sent={reported}, but {emails} emails were sent"


def _has_invited(run: Simulation, caller: Caller) -> bool:
    """Returns whether the last request of the call that reached the service changed the records of
    the invited person."""
    return any(email_key(caller.email) in landed.touched for landed in _mine(run, caller)[-1:])


def _not_lost(run: Simulation, caller: Caller) -> Iterator[str]:
    """If a call reports that a person is invited or a member, the service has the record, unless
    another client changed it meanwhile. A reported email was sent by some call."""
    result = caller.value
    if not isinstance(result, InviteResult) or caller.started is None or caller.ended is None:
        return
    if result.guest.state is State.EXPIRED:
        return  # reported correctly: sent again, and still expired
    listed = result.guest.invitation is not None and result.guest.invitation.id is not None
    if result.outcome is Outcome.AWAITING_APPROVAL and not listed:
        return  # in a queue that no list of the service shows
    lag = run.subject.provider.list_lag
    changed_by_others = _touched_by_others(run, caller)
    truths = run.site.truths(caller.email, caller.started, caller.ended)
    if run.misled and any(one.lapsed for one in truths):
        return  # without state and time from the service, the client's clock decides
    if not (any(one.here for one in truths) if changed_by_others else truths[-1].here):
        yield f"reported {result.outcome}, but the service has no record"
    if not _touched_by_others(run, caller, ever=True) and not run.site.truth(caller.email).here:
        yield f"reported {result.outcome}, but later the service has no record"
    sending = result.outcome in (Outcome.INVITED, Outcome.RESENT)
    # without an earlier look, the call takes an older invitation for its own
    if (
        sending
        # The first lookup does not show a record that another call made within the lag.
        and not _touched_by_others(run, caller, lag=lag)
        and not run.subject.provider.refuses_duplicates
        and result.email_sent is None
        and caller.arguments.get("send_email", True)
    ):
        started = [caller.started]
        if not _creates(caller):  # the result of an earlier call of the client that was unresolved
            started += [other.started or 0.0 for other in _earlier_creating(run, caller)]
        since = min(started) - lag
        sent = [one for one in _about(run, caller) if one.emails]
        if not any(since <= one.at <= caller.ended for one in sent):
            yield f"reported {result.outcome}, but no email was sent"


def _no_silent_invitation(run: Simulation, caller: Caller) -> Iterator[str]:
    """If a call reports an open invitation, an email was sent for it. Judged for people whom one
    client invites, and nobody has invited before: another client without a ledger cannot know."""
    result = caller.value
    if not isinstance(result, InviteResult) or result.guest.state is not State.PENDING:
        return
    others = [one for one in run.callers if email_key(one.email) == email_key(caller.email)]
    orders_without = any(not one.arguments.get("send_email", True) for one in others)
    if orders_without or len({one.client.name for one in others}) > 1:
        return
    sent = [one for one in _about(run, caller) if one.emails and one.at <= (caller.ended or 0.0)]
    now = sum(len(one.emails) for one in _about(run, caller))
    every = [one for one in run.site.outbox.emails if email_key(one.to) == email_key(caller.email)]
    if not sent and len(every) == now:
        yield f"reported {result.outcome}, but no email was ever sent"


def _creates(caller: Caller) -> bool:
    """Returns whether the call sent a request that acts twice if it is sent twice."""
    return any(one.request.effect is Effect.CREATE for one in caller.sent)


def _earlier_creating(run: Simulation, caller: Caller) -> list[Caller]:
    """Returns the calls of the same client about the same person that sent a creating request and
    ended before this call did. The client remembers those that are unresolved."""
    return [
        other
        for other in run.callers
        if other is not caller
        and other.client is caller.client
        and other.ended is not None
        and other.ended <= (caller.ended or 0.0)
        and email_key(other.email) == email_key(caller.email)
        and _creates(other)
    ]


def _failed_means_failed(run: Simulation, caller: Caller) -> Iterator[str]:
    error = caller.error
    if isinstance(error, GuestlistError) and error is not caller.interruption:
        acted = _acted(run, caller)
        if error.happened is False and acted and not _is_queued_unseen(run, caller):
            yield f"reported happened=False ({type(error).__name__}), but a request took effect"
        if error.happened is True and not acted:
            yield f"reported happened=True ({type(error).__name__}), but no request took effect"
        unclear = error.happened is None and not isinstance(error, OutcomeUnknown)
        if unclear and caller.verb in SENDING and not _revoking(caller):
            yield f"{type(error).__name__} has happened=None, but is not OutcomeUnknown"


def _is_queued_unseen(run: Simulation, caller: Caller) -> bool:
    """Returns whether each request of an invitation that the service accepted got no answer, sent
    no email, and changed no record that a list shows: it waits in a queue for an approval (GitLab,
    role promotions). No lookup distinguishes that from a request that never arrived."""
    accepted = [one for one in _mine(run, caller) if one.accepted and not one.prepares]
    answered = any(
        one.request.effect is Effect.CREATE
        and isinstance(one.result, Response)
        and one.result.status < 300
        for one in caller.sent
    )
    seen = any(one.touched or one.emails for one in accepted) or run.site.truth(caller.email).here
    return caller.verb == "invite" and not seen and not answered


def _unknown_only_if_unavoidable(run: Simulation, caller: Caller) -> Iterator[str]:
    """`OutcomeUnknown` is allowed only if a lookup cannot be conclusive, the grace period does not
    fit into the budget, the service refused the lookup, or every final lookup failed. No lookup
    shows whether an invitation was renewed that no list had shown before, or whether a person
    joined if members have no addresses. A call that waits for an earlier one of its client raises
    it too, without having sent a creating request."""
    if not isinstance(caller.error, OutcomeUnknown) or caller.verb not in SENDING:
        return
    if _earlier_creating(run, caller) and not _creates(caller):
        return
    unresolved = [
        one
        for one in caller.sent
        if one.request.effect is Effect.CREATE
        and one.result is not None
        and (
            one.result.status is None
            or one.result.status >= 500
            or one.result.status == 408
            or (one.result.status < 300 and may_refuse(run.subject.provider))
            or (one.result.status < 300 and is_foreign(run.subject.provider, one.result))
        )
    ]
    refused = any(
        one.request.effect is Effect.READ
        and one.result is not None
        and one.result.status is not None
        and (300 <= one.result.status < 500 and one.result.status not in (404, 408, 429))
        for one in caller.sent
    )
    if refused or _revoking(caller):
        return
    if unresolved and not run.subject.provider.members_show_emails:
        return
    if not unresolved:
        yield "raised OutcomeUnknown, although no request is unresolved"
        return
    provider = run.subject.provider
    sent = unresolved[-1].began
    renewed = run.site.truths(caller.email, sent, sent)[-1].open
    asked = caller.verb == "resend" or (
        caller.arguments.get("if_exists") == "resend" and bool(renewed)
    )
    resent = asked and provider.supports("resend")
    lapsed = any(one.lapsed for one in run.site.truths(caller.email, 0.0, caller.ended or 0.0))
    misled = run.misled or (lapsed and not run.subject.dated)
    if (resent or misled) and not provider.resend_moves_expiry:
        return
    if resent and not any(_was_shown(caller, id, 0.0, sent) for id in renewed):
        return
    deadline = (caller.started or 0.0) + caller.budget.total
    grace = Call(caller.client.account, caller.budget).grace
    final = (unresolved[-1].ended or 0.0) + grace
    if final < deadline - MARGIN and (caller.ended or 0.0) < deadline - MARGIN:
        yield f"raised at {caller.ended:.1f} s; a final lookup was possible from {final:.1f} s"


def _revoking(caller: Caller) -> bool:
    """Returns whether a request failed that revokes the invitation to be replaced. It is safe to
    repeat, or must not be repeated because the provider has marked it so."""
    return any(
        one.fault is not None
        and (
            one.request.effect is Effect.REPEATABLE
            or one.request.method == "DELETE"
            or any(word in str(part) for part in one.request.path for word in REVOKING)
        )
        for one in caller.sent
    )


def _no_secret_shown(run: Simulation, caller: Caller) -> Iterator[str]:
    error = caller.error
    if isinstance(error, GuestlistError):
        notes = getattr(error, "__notes__", ())
        yield from _leaks(run, f"{error} {error.to_dict()} {error!r} {error.args} {notes}")
    yield from _leaks(run, repr(caller.value))


def _reported_state_is_true(run: Simulation, caller: Caller) -> Iterator[str]:
    """The state that `status`, `wait`, `revoke` and `remove` report was true at some time of the
    call. A call that names a person by the login alone looks only for records with the login."""
    value = caller.value
    guest = value.guest if isinstance(value, RevokeResult | RemoveResult) else value
    if not isinstance(guest, Guest) or run.misled or caller.started is None:
        return
    since = caller.started - run.subject.provider.list_lag
    truths = run.site.truths(caller.email, since, caller.ended or 0.0)
    if guest.state in OPEN_STATES and not any(one.open for one in truths):
        yield f"reported {guest.state}, but no invitation was open"
    if guest.state is State.ACCEPTED and not any(one.members for one in truths):
        yield "reported accepted, but there was no member"
    found = [_open_for_call(caller, one) or one.members for one in truths]
    if guest.state is State.GONE and all(found):
        yield f"reported gone, but there was {truths[-1]}"
    if guest.state in (State.REVOKED, State.EXPIRED) and not _ever_closed(truths):
        yield f"reported {guest.state}, but the invitation was open"


def _nothing_to_do_is_true(run: Simulation, caller: Caller) -> Iterator[str]:
    """If a call reports that there is nothing to do, that was so at some time of the call. A call
    that names a person by the login alone reports only that no invitation shows the login."""
    unchanged = getattr(caller.value, "outcome", None) in (
        RevokeOutcome.ALREADY_REVOKED,
        RemoveOutcome.ALREADY_REMOVED,
    )
    if not (unchanged or _found_nothing(caller.error)) or caller.started is None:
        return
    since = caller.started - run.subject.provider.list_lag
    truths = run.site.truths(caller.email, since, caller.ended or 0.0)
    removes = caller.verb == "remove"
    if all(one.members if removes else _open_for_call(caller, one) for one in truths):
        yield f"reported that there is nothing to do, but there was {truths[-1]}"


def _open_for_call(caller: Caller, truth: Truth) -> frozenset[str]:
    """Returns the open invitations that a call can find: all of them, or if it names the person by
    the login alone, those that an answer showed with the login."""
    if caller.login_alone is None:
        return truth.open
    return frozenset(id for id in truth.open if _was_shown_with_login(caller, id))


def _was_shown_with_login(caller: Caller, id: str) -> bool:
    """Whether an answer to the call has held a record with an id and the login of the person."""

    def holds(value: Any) -> bool:
        inner = value.values() if isinstance(value, dict) else value
        if not isinstance(inner, Iterable) or isinstance(inner, str):
            return False
        texts = {str(one) for one in inner if isinstance(one, str | int)}
        return {id, str(caller.login_alone)} <= texts or any(map(holds, inner))

    for one in caller.sent:
        if isinstance(one.result, Response):
            with suppress(ValueError):
                if holds(json.loads(one.result.content)):
                    return True
    return False


def _found_nothing(error: BaseException | None) -> bool:
    return isinstance(error, NotFound) and error.status is None


def _ever_closed(truths: list[Truth]) -> bool:
    kept = frozenset.intersection(*(one.open for one in truths))
    return not kept


REVOKING = ("cancel", "revoke")
"""Words in the path of a POST that revokes an invitation."""

RULES: tuple[Callable[[Simulation, Caller], Iterator[str]], ...] = (
    _ended,
    _ended_in_time,
    _only_our_errors,
    _interruptions_pass,
    _one_email_for_one_call,
    _emails_as_reported,
    _not_lost,
    _no_silent_invitation,
    _failed_means_failed,
    _unknown_only_if_unavoidable,
    _no_secret_shown,
    _reported_state_is_true,
    _nothing_to_do_is_true,
)


def _one_client(run: Simulation) -> Iterator[str]:
    """Calls of one client that invite the same person send one email together. Exceptions: the
    outcome of one is unresolved, its answer was unreadable, another kind of call came in between,
    or the invitee answered in between (inviting again after that sends a new email)."""
    if run.misled:
        return
    for email in {email_key(caller.email) for caller in run.callers}:
        mine = [caller for caller in run.callers if email_key(caller.email) == email]
        plain = all(
            caller.verb in ("status", "wait", "invitations", "members", "assign_role")
            or (caller.verb == "invite" and caller.arguments["if_exists"] in ("return", "error"))
            for caller in mine
        )
        decided = all(
            caller.interruption is None and getattr(caller.error, "happened", False) is False
            for caller in mine
        )
        answered = any(one.by is None and email in one.touched for one in run.site.landed)
        if not plain or not decided or answered or len({c.client.name for c in mine}) > 1:
            continue
        emails = sum(_emails(run, caller) for caller in mine)
        if emails > 1:
            yield f"{emails} emails to {email}"


def _events(run: Simulation) -> Iterator[str]:
    for event in run.events:
        yield from _leaks(run, f"{event} {event!r}")


def _leaks(run: Simulation, text: str) -> Iterator[str]:
    for secret in run.secrets:
        if secret[:FRAGMENT] in text:
            yield f"{secret[:FRAGMENT]}... in {text[:300]}"


def _mine(run: Simulation, caller: Caller) -> list[Landed]:
    return [landed for landed in run.site.landed if landed.by == caller.number]


def _emails(run: Simulation, caller: Caller) -> int:
    return sum(len(landed.emails) for landed in _mine(run, caller))


def _acted(run: Simulation, caller: Caller) -> bool:
    return any(landed.accepted and not landed.prepares for landed in _mine(run, caller))


def _about(run: Simulation, caller: Caller) -> list[Landed]:
    """Returns the requests of all clients about the address of a call that reached the service."""
    key = email_key(caller.email)
    return [
        landed
        for landed in run.site.landed
        if key in landed.touched or any(email_key(mail.to) == key for mail in landed.emails)
    ]


def _touched_by_others(
    run: Simulation, caller: Caller, *, ever: bool = False, lag: float = 0.0
) -> bool:
    """Returns whether another call or the invitee changed the person's records during the call, or
    `lag` seconds before it; with `ever`, since its start."""
    since = (caller.started or 0.0) - lag
    until = float("inf") if ever else caller.ended or 0.0
    return any(
        landed.by != caller.number and since <= landed.at <= until for landed in _about(run, caller)
    )
