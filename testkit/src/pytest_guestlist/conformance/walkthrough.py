"""The walkthrough: runs every operation of a provider once against the service, and records it.

Tests about unreadable answers, errors and unknown words alter a real answer. They take it from the
walkthrough, so that authors of providers do not have to write answers.
"""

from __future__ import annotations

import gc
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pytest

from guestlist.event import Event
from guestlist.exchange.account import Budget, Call
from guestlist.exchange.drive import Driver
from guestlist.exchange.policy import run
from guestlist.exchange.step import Outgoing, SendFailure
from guestlist.models import Invitation, Member, Role
from guestlist.provider import Provider, Request, Response
from pytest_guestlist.clock import VirtualClock
from pytest_guestlist.conformance.backend import Skipped
from pytest_guestlist.conformance.clients import PATIENT, keep_token, spy_on
from pytest_guestlist.conformance.finding import (
    location_of,
    one_line,
    origin_of_error,
    report_finding,
)
from pytest_guestlist.conformance.harness import Harness
from pytest_guestlist.conformance.wires import Mutation, ReplayWire

PAGES = 4
"""The maximum number of recorded pages of a list. Several kinds of roles take several pages."""

LISTS = ("invitations", "members", "roles")

OF_A_MEMBER = ("find_member", "get_member", "assign_role", "unassign_role", "access", "remove")
"""The operations that need a member."""


@dataclass
class Sample:
    """One operation with the requests and answers of its run against the service.

    Attributes:
        arguments: the arguments of the operation.
        requests: the requests that the operation yielded.
        played: the requests as they were sent, with the answers.
        value: the returned value.
        clock: a clock that stands at the time of the run.
        tokens: the requests that fetch an access token, with the answers.
    """

    provider: Provider
    name: str
    arguments: tuple[Any, ...]
    requests: list[Request]
    played: list[tuple[Outgoing, Response]]
    value: Any
    clock: VirtualClock = field(repr=False)
    tokens: list[tuple[Outgoing, Response]] = field(default_factory=list, repr=False)

    def report_finding(self, *, expected: object, got: object, rule: str | None = None) -> NoReturn:
        """Fails the test with a finding about the operation."""
        look_at = location_of(self.provider, self.name)
        report_finding(rule=rule, expected=expected, got=got, look_at=look_at)

    def replay(
        self,
        nth: int = 0,
        mutation: Mutation | None = None,
        *,
        times: int = 10_000,
        provider: Provider | None = None,
        arguments: tuple[Any, ...] | None = None,
        budget: Budget = PATIENT,
        wire: Any = None,
        watch: Callable[[Event], None] | None = None,
    ) -> Replay:
        """Runs the operation again on the recorded answers, with a mutation of the `nth`."""
        clock = VirtualClock(self.clock.now())
        wire = wire or ReplayWire([*self.played, *self.tokens], nth, mutation, times)
        spy = spy_on(provider or self.provider, clock, watch)
        keep_token(spy)
        operation = getattr(spy.provider, self.name)
        given = self.arguments if arguments is None else arguments
        replay = Replay(clock, spy.requests, wire)
        call = Call(spy, budget, fetches_token=self.name == "fetch_token")
        try:
            replay.value = Driver(wire, clock).run(run(call, operation(*given)))
        except Exception as error:  # the tests judge it
            replay.error = error
        replay.waited = call.waited
        return replay


@dataclass
class Replay:
    """The result of running a sample again."""

    clock: VirtualClock
    requests: list[tuple[Request, Outgoing]]
    wire: Any
    value: Any = None
    error: Exception | None = None
    waited: float = 0.0

    def equals(self, sample: Sample) -> bool:
        """Returns whether it sent the same requests as the sample, with the same result."""
        requests = [request for request, _ in self.requests]
        return self.error is None and self.value == sample.value and requests == sample.requests

    @property
    def summary(self) -> str:
        """The error or the value, as text."""
        if self.error is not None:
            return f"{type(self.error).__name__}: {self.error}"
        return repr(self.value)


@dataclass
class Walkthrough:
    """All samples of a walkthrough, and what else it recorded.

    Attributes:
        complaints: warnings of `@operation`: requests never yielded, flows never run.
        skipped: the operations that could not be run, with the reason.
        emails: the number of emails to each invented person; -1 if the backend cannot count them.
    """

    samples: dict[str, Sample]
    complaints: list[str]
    skipped: dict[str, str]
    emails: dict[str, int]
    events: list[Event]


@dataclass
class FailedWalkthrough:
    """A walkthrough that ended with a failure.

    Attributes:
        reason: the message of the failure.
        reported: whether a test has already failed with it.
    """

    reason: str
    reported: bool = False

    def fail_or_skip(self) -> NoReturn:
        """Fails the first test that needs the walkthrough, and skips the others."""
        if self.reported:
            got = re.search(r"^got: +(.*)$", self.reason, re.MULTILINE)
            step = re.search(r"^expected: +a value of (\w+)$", self.reason, re.MULTILINE)
            where = f"step {step[1]!r} of the walkthrough" if step else "the walkthrough"
            pytest.skip(f"{where} has failed with {got[1] if got else 'an error'}")
        self.reported = True
        pytest.fail(self.reason, pytrace=False)


class WalkthroughRunner:
    """Runs operations for the walkthrough, and records their requests and answers."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.samples: dict[str, Sample] = {}
        self.skipped: dict[str, str] = {}
        self.tokens: list[tuple[Outgoing, Response]] = []

    def run(self, name: str, *arguments: Any, page: int = 1) -> Any:
        """Runs one operation and returns its value. None if the provider does not support it."""
        harness = self.harness
        if not harness.provider.supports(name):
            return None
        harness.forget()
        try:
            flow = getattr(harness.provider, name)(*arguments)
            value = harness.run(flow, fetches_token=name == "fetch_token")
        except Exception as error:
            self._report_failure(name, error)
        answers = [
            (sent, got) for sent, got in harness.wire.exchanges if not isinstance(got, SendFailure)
        ]
        self.samples[name if page == 1 else f"{name}, page {page}"] = Sample(
            harness.provider,
            name,
            arguments,
            [request for request, _ in harness.spy.requests],
            answers,
            value,
            VirtualClock(harness.backend.clock.now()),
            self.tokens,
        )
        return value

    def _report_failure(self, name: str, error: Exception) -> NoReturn:
        """Reports that an operation failed although no answer was altered."""
        asked = self.harness.spy.requests
        sent = f", after {asked[-1][0]}" if asked else ", before anything was sent"
        provider = type(self.harness.provider)
        report_finding(
            rule="every operation works on the service: most tests begin with what it returns",
            expected=f"a value of {name}",
            got=f"{one_line(error)}{sent}",
            look_at=origin_of_error(error, provider),
            cause="The operation sends what the service does not accept, or cannot read its answer."
            " The tests that need this step are skipped.",
        )

    def run_all(self, extra_operations: ExtraOperations) -> None:
        """Runs all operations, in an order in which each has the records that it needs."""
        run_operation, harness = self.run, self.harness
        if (token := run_operation("fetch_token")) is not None:
            self.tokens += self.samples["fetch_token"].played
            keep_token(harness.spy, token)
        run_operation("organization")
        self._pages("roles")
        new = harness.new_invitation("ada")
        invited = run_operation("invite", new)
        if isinstance(invited, Invitation):
            invited = self._invitation(invited)
        else:
            why = "`invite` returned no invitation"
            self.note_skipped(why, "get_invitation", "resend", "change_invitation", "revoke")
        run_operation("find_invitation", new.email)
        self._pages("invitations")
        self._pages("invitation_summaries")
        member = self._member()
        self._pages("members")
        if member is not None:
            named = member.email or (f"@{member.login}" if harness.provider.finds_logins else None)
            run_operation("find_member", named or harness.address("bob"))
            run_operation("get_member", member.id)
            self._grants(member)
            extra_operations(self, member)
            run_operation("remove", member)
        if isinstance(invited, Invitation) and harness.provider.supports("revoke"):
            run_operation("revoke", invited)

    def _pages(self, name: str) -> None:
        cursor = None
        for page in range(1, PAGES + 1):
            found = self.run(name, cursor, page=page)
            cursor = found.next if found else None
            if cursor is None:
                return

    def _invitation(self, invited: Invitation) -> Invitation:
        if invited.id is not None:
            self.run("get_invitation", invited.id)
        else:
            self.note_skipped("`invite` returned an invitation without an id", "get_invitation")
        invited = self.run("resend", invited) or invited
        if self.harness.provider.supports("change_invitation"):
            role = self._free_role(invited)
            if role is not None:
                invited = self.run("change_invitation", invited, (role,))
            else:
                why = "there is no role that the invitation does not offer"
                self.note_skipped(why, "change_invitation")
        return invited

    def _member(self) -> Member | None:
        harness = self.harness
        new = harness.new_invitation("bob")
        try:
            invited = harness.run(harness.provider.invite(new))
            if isinstance(invited, Invitation):
                harness.backend.accept(invited)
            found = harness.guests.status(new.email)
        except Skipped as reason:
            self.note_skipped(str(reason), *OF_A_MEMBER)
            return None
        if found.member is None:
            why = f"{new.email} accepted the invitation, and the state is {found.state} after it"
            self.note_skipped(f"{why}, without a member record", *OF_A_MEMBER)
        return found.member

    def _grants(self, member: Member) -> None:
        harness = self.harness
        role = self._free_role(member) if harness.provider.supports("assign_role") else None
        if role is None:
            why = "there is no role that the new member does not hold"
            self.note_skipped(why, "assign_role", "unassign_role")
            self.run("access", member)
            return
        self.run("assign_role", member, role)
        self.run("access", member)
        self.run("unassign_role", member, role)

    def note_skipped(self, reason: str, *steps: str) -> None:
        """Records why operations are not run. Their tests are skipped with this reason."""
        for name in steps:
            self.skipped[name] = f"step {name!r} of the walkthrough was not run: {reason}"

    def _free_role(self, holder: Member | Invitation) -> Role | None:
        held = {role.id for role in holder.roles or ()}
        free = [role for role in self.harness.roles() if role.id not in held]
        plain = [role for role in free if "owner" not in role.label.lower()]
        return (plain or free or [None])[-1]  # type: ignore[list-item]


ExtraOperations = Callable[[WalkthroughRunner, Member], None]
"""A function that runs the operations outside the contract."""


def run_walkthrough(harness: Harness, extra_operations: ExtraOperations) -> Walkthrough:
    """Runs every operation once, the ones outside the contract included."""
    runner = WalkthroughRunner(harness)
    with warnings.catch_warnings(record=True) as noticed:
        warnings.simplefilter("always")
        runner.run_all(extra_operations)
        gc.collect()
    one_line = [str(one.message) for one in noticed]
    return Walkthrough(
        runner.samples,
        [one for one in one_line if "never yielded" in one or "never run" in one],
        runner.skipped,
        {name: _emails(harness, name) for name in ("ada", "bob")},
        list(harness.events),
    )


def _emails(harness: Harness, name: str) -> int:
    try:
        return harness.backend.emails(harness.address(name))
    except Skipped:
        return -1
