"""The tour: every operation of a provider, run once against the service and recorded.

What the tests on unreadable answers, errors and words need are true answers to alter. They come
from here, so that no provider's author has to write any.
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
from guestlist.exchange.step import Failure, Outgoing
from guestlist.models import Invitation, Member, Role
from guestlist.provider import Effect, Provider, Request, Response
from pytest_guestlist.clock import VirtualClock
from pytest_guestlist.conformance.clients import PATIENT, keep_token, spy_on
from pytest_guestlist.conformance.remark import origin, remark, said
from pytest_guestlist.conformance.scene import Scene
from pytest_guestlist.conformance.setting import Lacking
from pytest_guestlist.conformance.wires import Replaying, Trick

PAGES = 4
"""At most so many pages of a list are recorded: services of several kinds of roles need several."""

LISTS = ("invitations", "members", "roles")

OF_A_MEMBER = ("find_member", "get_member", "assign_role", "unassign_role", "access", "remove")
"""The steps that need a member."""


@dataclass
class Sample:
    """One operation, as it went against the service.

    Attributes:
        arguments: what the operation was called with.
        requests: what it asked for.
        played: what was sent, with the answers.
        value: what it returned.
        clock: the time when it was run.
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

    def again(
        self,
        nth: int = 0,
        trick: Trick | None = None,
        *,
        times: int = 10_000,
        provider: Provider | None = None,
        arguments: tuple[Any, ...] | None = None,
        budget: Budget = PATIENT,
        wire: Any = None,
        watch: Callable[[Event], None] | None = None,
    ) -> Replay:
        """Runs the operation once more, on the recorded answers, one of them altered."""
        clock = VirtualClock(self.clock.now())
        wire = wire or Replaying([*self.played, *self.tokens], nth, trick, times)
        spy = spy_on(provider or self.provider, clock, watch)
        keep_token(spy)
        operation = getattr(spy.provider, self.name)
        given = self.arguments if arguments is None else arguments
        replay = Replay(clock, spy.asked, wire)
        call = Call(spy, budget, fetches_token=self.name == "fetch_token")
        try:
            replay.value = Driver(wire, clock).run(run(call, operation(*given)))
        except Exception as error:  # the tests judge it
            replay.error = error
        replay.waited = call.waited
        return replay


@dataclass
class Replay:
    """What became of a sample that was run once more."""

    clock: VirtualClock
    asked: list[tuple[Request, Outgoing]]
    wire: Any
    value: Any = None
    error: Exception | None = None
    waited: float = 0.0

    @property
    def came(self) -> str:
        """What came of it, in words."""
        if self.error is not None:
            return f"{type(self.error).__name__}: {self.error}"
        return repr(self.value)


@dataclass
class Tour:
    """All samples, and what was noticed on the way.

    Attributes:
        complaints: warnings of `@operation`: requests never yielded, flows never run.
        lacking: what could not be run, with the reason.
    """

    samples: dict[str, Sample]
    complaints: list[str]
    lacking: dict[str, str]
    emails: dict[str, int]
    events: list[Event]


@dataclass
class Ended:
    """A tour that could not be taken to its end.

    Attributes:
        reason: the failure that it ended with.
        told: whether a test has failed with it.
    """

    reason: str
    told: bool = False

    def tell(self) -> NoReturn:
        """Fails the first test that needs the tour, with the reason, and skips the others."""
        if self.told:
            came = re.search(r"^came: +(.*)$", self.reason, re.MULTILINE)
            step = re.search(r"^expected: +a value of (\w+)$", self.reason, re.MULTILINE)
            where = f"step {step[1]!r} of the walkthrough" if step else "the walkthrough"
            pytest.skip(f"{where} has failed with {came[1] if came else 'an error'}")
        self.told = True
        pytest.fail(self.reason, pytrace=False)


class Guide:
    """Runs operations for the walkthrough and keeps their requests and answers."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.samples: dict[str, Sample] = {}
        self.lacking: dict[str, str] = {}
        self.tokens: list[tuple[Outgoing, Response]] = []

    def take(self, name: str, *arguments: Any, page: int = 1) -> Any:
        """Runs one operation, and returns its value; None if the provider does not support it."""
        scene = self.scene
        if not scene.provider.supports(name):
            return None
        scene.forget()
        try:
            flow = getattr(scene.provider, name)(*arguments)
            value = scene.run(flow, fetches_token=name == "fetch_token")
        except Exception as error:
            self._ended(name, error)
        answers = [(sent, got) for sent, got in scene.wire.noted if not isinstance(got, Failure)]
        self.samples[name if page == 1 else f"{name}, page {page}"] = Sample(
            scene.provider,
            name,
            arguments,
            [request for request, _ in scene.spy.asked],
            answers,
            value,
            VirtualClock(scene.setting.clock.now()),
            self.tokens,
        )
        return value

    def _ended(self, name: str, error: Exception) -> NoReturn:
        """Remarks that an operation has failed on the service itself, unaltered."""
        asked = self.scene.spy.asked
        sent = f", after {asked[-1][0]}" if asked else ", before anything was sent"
        provider = type(self.scene.provider)
        remark(
            rule="every operation works on the service: most tests begin with what it returns",
            expected=f"a value of {name}",
            came=f"{said(error)}{sent}",
            look_at=origin(error, provider),
            cause="The operation sends what the service does not accept, or cannot read its answer."
            " The tests that need this step are skipped.",
        )

    def lead(self, detour: Detour) -> None:
        """The whole way."""
        take, scene = self.take, self.scene
        if (token := take("fetch_token")) is not None:
            self.tokens += self.samples["fetch_token"].played
            keep_token(scene.spy, token)
        take("organization")
        self._pages("roles")
        new = scene.new_invitation("ada")
        invited = take("invite", new)
        if isinstance(invited, Invitation):
            invited = self._invitation(invited)
        else:
            why = "`invite` returned no invitation"
            self.lacks(why, "get_invitation", "resend", "change_invitation", "revoke")
        take("find_invitation", new.email)
        self._pages("invitations")
        self._pages("invitation_summaries")
        member = self._member()
        self._pages("members")
        if member is not None:
            named = member.email or (f"@{member.login}" if scene.provider.finds_logins else None)
            take("find_member", named or scene.address("bob"))
            take("get_member", member.id)
            self._grants(member)
            detour(self, member)
            take("remove", member)
        if isinstance(invited, Invitation) and scene.provider.supports("revoke"):
            take("revoke", invited)

    def _pages(self, name: str) -> None:
        cursor = None
        for page in range(1, PAGES + 1):
            found = self.take(name, cursor, page=page)
            cursor = found.next if found else None
            if cursor is None:
                return

    def _invitation(self, invited: Invitation) -> Invitation:
        if invited.id is not None:
            self.take("get_invitation", invited.id)
        else:
            self.lacks("`invite` returned an invitation without an id", "get_invitation")
        invited = self.take("resend", invited) or invited
        if self.scene.provider.supports("change_invitation"):
            role = self._free_role(invited)
            if role is not None:
                invited = self.take("change_invitation", invited, (role,))
            else:
                why = "there is no role that the invitation does not offer"
                self.lacks(why, "change_invitation")
        return invited

    def _member(self) -> Member | None:
        scene = self.scene
        new = scene.new_invitation("bob")
        try:
            invited = scene.run(scene.provider.invite(new))
            if isinstance(invited, Invitation):
                scene.setting.accept(invited)
            found = scene.guests.status(new.email)
        except Lacking as reason:
            self.lacks(str(reason), *OF_A_MEMBER)
            return None
        if found.member is None:
            why = f"{new.email} accepted the invitation, and the state is {found.state} after it"
            self.lacks(f"{why}, without a member record", *OF_A_MEMBER)
        return found.member

    def _grants(self, member: Member) -> None:
        scene = self.scene
        role = self._free_role(member) if scene.provider.supports("assign_role") else None
        if role is None:
            why = "there is no role that the new member does not hold"
            self.lacks(why, "assign_role", "unassign_role")
            self.take("access", member)
            return
        self.take("assign_role", member, role)
        self.take("access", member)
        self.take("unassign_role", member, role)

    def lacks(self, reason: str, *steps: str) -> None:
        """Notes why operations are not run, for the tests that are skipped for it."""
        for name in steps:
            self.lacking[name] = f"step {name!r} of the walkthrough was not run: {reason}"

    def _free_role(self, holder: Member | Invitation) -> Role | None:
        held = {role.id for role in holder.roles or ()}
        free = [role for role in self.scene.roles() if role.id not in held]
        plain = [role for role in free if "owner" not in role.label.lower()]
        return (plain or free or [None])[-1]  # type: ignore[list-item]


Detour = Callable[[Guide, Member], None]
"""Runs what only this service can do."""


def lead(scene: Scene, detour: Detour) -> Tour:
    """Takes the tour, with a detour to what only this service can do."""
    guide = Guide(scene)
    with warnings.catch_warnings(record=True) as noticed:
        warnings.simplefilter("always")
        guide.lead(detour)
        gc.collect()
    said = [str(one.message) for one in noticed]
    return Tour(
        guide.samples,
        [one for one in said if "never yielded" in one or "never run" in one],
        guide.lacking,
        {name: _emails(scene, name) for name in ("ada", "bob")},
        list(scene.events),
    )


def _emails(scene: Scene, name: str) -> int:
    try:
        return scene.setting.emails(scene.address(name))
    except Lacking:
        return -1


def changes(sample: Sample) -> list[int]:
    """Which of a sample's requests are more than a look."""
    return [n for n, one in enumerate(sample.requests) if one.effect is not Effect.READ]
