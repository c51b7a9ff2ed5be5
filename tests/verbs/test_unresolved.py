"""A client without a ledger remembers its calls whose outcome is not known."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.in_process import InProcess
from tests.verbs.conftest import Kill, Killed, SuccessPage

from guestlist import Guestlist
from guestlist.errors import Conflict, Forbidden, OutcomeUnknown, Unsupported
from guestlist.ledger import Ledger
from guestlist.models import Invitation, Member, NewInvitation, Outcome, Role, RoleOutcome, State
from guestlist.provider import Effect, Flow, Page, Request, operation, setting
from guestlist.provider import Provider as Base
from guestlist.sandbox.world import World
from pytest_guestlist.clock import VirtualClock

ADA = "ada@example.com"
GRACE = 30.0


def test_inviting_again_after_an_interruption_sends_one_email(faulty: Any) -> None:
    guests = faulty(Kill(before=False))
    with pytest.raises(Killed):
        guests.invite(ADA)
    assert guests.invite(ADA).outcome is Outcome.ALREADY_INVITED
    assert len(guests.emails(ADA)) == 1


class Slow:
    """The first request that makes an invitation takes effect three seconds after it was lost."""

    def __init__(self, sandbox: World, after: Any, loss: Callable[[], BaseException]) -> None:
        self._sandbox = sandbox
        self._after = after
        self._loss = loss
        self.sent: list[httpx.Request] = []

    def __call__(self, request: httpx.Request, answer: httpx.Response | None) -> Any:
        if request.method != "POST" or request.url.path.endswith("/users") or self.sent:
            return None
        self.sent.append(request)
        self._after(3, lambda: InProcess(self._sandbox).handle_request(request))
        return self._loss()


def test_inviting_again_waits_for_an_effect_that_comes_late(
    faulty: Any, sandbox: Any, after: Any
) -> None:
    guests = faulty(Slow(sandbox, after, Killed))
    with pytest.raises(Killed):
        guests.invite(ADA)
    began = sandbox.clock.seconds()
    assert guests.invite(ADA).outcome is Outcome.ALREADY_INVITED
    assert 3 <= sandbox.clock.seconds() - began < GRACE
    assert len(guests.emails(ADA)) == 1


def test_a_short_budget_sends_nothing_while_an_earlier_call_may_take_effect(
    faulty: Any, after: Any, sandbox: Any
) -> None:
    guests = faulty(Slow(sandbox, after, lambda: httpx.ReadTimeout("lost")))
    with pytest.raises(OutcomeUnknown, match="the budget is 2 s in all") as caught:
        guests.budgeted(total=2).invite(ADA)
    assert "Make the same call again" in caught.value.hint
    with pytest.raises(OutcomeUnknown, match="may still take effect"):
        guests.budgeted(total=0.5).invite(ADA)
    assert guests.invite(ADA).outcome is Outcome.ALREADY_INVITED
    assert len(guests.emails(ADA)) == 1


def test_what_never_happened_is_sent_after_the_grace_period(faulty: Any, sandbox: Any) -> None:
    guests = faulty(Kill(before=True))
    with pytest.raises(Killed):
        guests.invite(ADA)
    began = sandbox.clock.seconds()
    assert guests.invite(ADA).outcome is Outcome.INVITED
    assert GRACE <= sandbox.clock.seconds() - began < 2 * GRACE
    assert len(guests.emails(ADA)) == 1


@pytest.mark.parametrize("kills", [True, False], ids=["interrupted", "not interrupted"])
def test_inviting_again_after_a_page_with_a_success_status_sends_nothing(
    faulty: Any, kills: bool
) -> None:
    fault = SuccessPage(kills=kills)
    guests = faulty(fault)
    with pytest.raises(Killed if kills else OutcomeUnknown):
        guests.invite(ADA)
    fault.kills = False
    guests.later(minutes=30)
    guests.forget()
    with pytest.raises(OutcomeUnknown, match="no lookup shows"):
        guests.invite(ADA)
    assert guests.writes == []


def interrupted_resend(faulty: Any, *, before: bool) -> Any:
    """Returns a client whose resend was interrupted, before or after the request took effect."""
    kill = Kill(before=before)
    kill.left = 0
    guests = faulty(kill)
    guests.invite(ADA)
    kill.left = 1
    with pytest.raises(Killed):
        guests.resend(ADA)
    return guests


def test_resending_again_after_an_interruption_sends_one_email(faulty: Any, case: Any) -> None:
    guests = interrupted_resend(faulty, before=False)
    if case.provider.resend_moves_expiry:
        assert guests.resend(ADA).outcome is Outcome.RESENT
    else:
        with pytest.raises(OutcomeUnknown, match="no lookup shows"):
            guests.resend(ADA)
    assert len(guests.emails(ADA)) == 2
    guests.resend(ADA)  # the next one is a new order
    assert len(guests.emails(ADA)) == 3


@pytest.mark.parametrize("case", ["betterauth"], indirect=True)
def test_resending_again_after_an_interruption_fails_if_the_invitee_has_declined(
    faulty: Any,
) -> None:
    guests = interrupted_resend(faulty, before=False)
    guests.service.decline(guests.invitations_of(ADA)[-1]["id"])
    with pytest.raises(Conflict, match="is declined") as caught:
        guests.resend(ADA)
    assert caught.value.happened is False
    assert len(guests.emails(ADA)) == 2


def test_replacing_again_after_an_interruption_sends_one_email(faulty: Any, case: Any) -> None:
    if not case.provider.supports("revoke"):
        pytest.skip("nothing is replaced there")

    def kill(request: httpx.Request, answer: httpx.Response | None) -> Any:
        if answer is not None and request.url.path.endswith("/invite-user") and armed:
            armed.clear()
            return Killed()
        return None

    armed: list[bool] = []
    guests = faulty(kill)
    guests.invite(ADA)
    armed.append(True)
    with pytest.raises(Killed):
        guests.invite(ADA, if_exists="replace")
    assert guests.invite(ADA, if_exists="replace").outcome is Outcome.INVITED
    assert len(guests.emails(ADA)) == 2


def test_another_person_is_invited_at_once(faulty: Any, sandbox: Any) -> None:
    guests = faulty(Kill(before=True))
    with pytest.raises(Killed):
        guests.invite(ADA)
    began = sandbox.clock.seconds()
    assert guests.invite("bob@example.com").outcome is Outcome.INVITED
    assert sandbox.clock.seconds() - began < 2


class Badges(Base):
    """Every assignment of a role acts: twice is two badges."""

    name = "badges"
    title = "Badges"
    base_url: str = setting("Where it is", default="https://badges.example")

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        reply = yield Request.get("members")
        return Page.of(reply.records("members"), self.read)

    @operation
    def assign_role(self, member: Member, role: Any) -> Flow[None]:
        yield Request.post("badges", json={"role": role.id}, effect=Effect.CREATE)

    def read(self, raw: dict[str, Any]) -> Member:
        roles = tuple(Role(id=id) for id in raw["roles"])
        return Member(id=raw["id"], email=raw["email"], roles=roles)


def test_assigning_again_waits_where_each_assignment_acts() -> None:
    clock, badges = VirtualClock(datetime(2027, 1, 15, tzinfo=UTC)), list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            badges.append("gold")
            raise httpx.ReadTimeout("lost")
        # the list shows it four seconds later
        shown = badges if clock.monotonic() > 4 else []
        return httpx.Response(200, json=[{"id": "m1", "email": ADA, "roles": shown}])

    transport = httpx.MockTransport(answer)
    with Guestlist({"club": Badges()}, clock=clock, transport=transport) as guests:
        with pytest.raises(OutcomeUnknown):
            guests.assign_role(ADA, "gold")
        with pytest.raises(OutcomeUnknown, match="may still take effect"):
            guests.with_budget(total=2).assign_role(ADA, "gold")
        assert guests.assign_role(ADA, "gold").outcome is RoleOutcome.ALREADY_ASSIGNED
    assert badges == ["gold"]
    assert clock.monotonic() < GRACE


class Door(Base):
    """Its key may invite, and not list the members. Nobody is invited twice."""

    name = "door"
    title = "Door"
    base_url: str = setting("Where it is", default="https://door.example")
    most_roles = 1

    @property
    def refuses_duplicates(self) -> bool:
        return True

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        reply = yield Request.post("invites", json={"email": new.email})
        return Invitation(id=reply.mapping()["id"], email=new.email, state=State.PENDING)

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        yield Request.get("members")
        raise AssertionError("the key may not list them")


@pytest.mark.parametrize("remembers", [False, True])
def test_a_key_that_may_invite_and_not_list(tmp_path: Path, remembers: bool) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(403, json={"error": "insufficient scope"})
        return httpx.Response(201, json={"id": "i1"})

    with ExitStack() as closing:
        how: dict[str, Any] = {"transport": httpx.MockTransport(answer)}
        if remembers:
            how["ledger"] = closing.enter_context(Ledger(tmp_path / "guestlist.db"))
        guests = closing.enter_context(Guestlist({"club": Door()}, **how))
        assert guests.invite(ADA).outcome is Outcome.INVITED
        with pytest.raises(Forbidden, match="GET /members"):
            guests.status(ADA)


def test_hints_advise_only_what_the_provider_can_do() -> None:
    guests = Guestlist({"club": Door()}, transport=httpx.MockTransport(_never))
    with guests, pytest.raises(Unsupported) as caught:
        guests.invite(ADA, role=["reader", "editor"])
    assert caught.value.hint == "Leave them out."


def _never(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"sent: {request}")


def test_an_open_invitation_is_returned_while_its_resend_is_unresolved(
    faulty: Any, sandbox: Any
) -> None:
    """Nothing is sent either way, so the call need not wait."""
    guests = interrupted_resend(faulty, before=True)
    began = sandbox.clock.seconds()
    assert guests.invite(ADA).outcome is Outcome.ALREADY_INVITED
    assert sandbox.clock.seconds() - began < 2
    assert len(guests.emails(ADA)) == 1


class Club(Base):
    """Each invitation sends an email. The list shows an invitation a while after it was made."""

    name = "club"
    title = "Club"
    base_url: str = setting("Where it is", default="https://club.example")

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        reply = yield Request.post("invites", json={"email": new.email}, effect=Effect.CREATE)
        return self.read(reply.mapping())

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        reply = yield Request.get("invites")
        return Page.of(reply.records("invitations"), self.read)

    def read(self, raw: dict[str, Any]) -> Invitation:
        return Invitation(id=raw["id"], email=raw["email"], state=State.PENDING)


def test_threads_on_one_client_send_one_email_after_a_short_call() -> None:
    clock, made = VirtualClock(datetime(2027, 1, 15, tzinfo=UTC)), list[dict[str, Any]]()

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            made.append({"id": f"i{len(made)}", "email": ADA})
            raise httpx.ReadTimeout("lost")
        return httpx.Response(200, json=made if clock.monotonic() > 4 else [])

    transport = httpx.MockTransport(answer)
    with Guestlist({"club": Club()}, clock=clock, transport=transport) as guests:
        with pytest.raises(OutcomeUnknown):
            guests.with_budget(total=2).invite(ADA)
        with ThreadPoolExecutor(8) as threads:
            results = list(threads.map(lambda _: guests.invite(ADA), range(8)))
    assert {result.outcome for result in results} == {Outcome.ALREADY_INVITED}
    assert len(made) == 1
