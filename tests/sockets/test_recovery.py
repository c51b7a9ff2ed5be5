"""Recovery from end to end, where the matrix does not reach: resends, and the bounds of it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sockets.matrix import COLUMNS, SUBJECTS, Stage, Timetable, said
from tests.sockets.rows import FOUND, INVITED, SHORT

from guestlist import Guestlist
from guestlist.sandbox import Sandbox
from guestlist.sandbox.services import accounts_of
from guestlist_betterauth.sandbox import BetterAuthService
from guestlist_vultr import Vultr
from pytest_guestlist.faults import LATE, End, Fault, Forward, answering, on, unanswered
from pytest_guestlist.proxy import FaultProxy

EMAIL = "rosa@example.net"


@pytest.fixture(autouse=True)
def fresh(stage: Stage) -> None:
    stage.sandbox.reset()
    stage.clock.clear()


def emails(stage: Stage) -> int:
    return len(list(stage.sandbox.outbox.to(EMAIL)))


class Hasty(Vultr):
    """Declares that two seconds are enough for every effect: more than is true."""

    late_effect = 2.0


def invite_late(stage: Stage, kind: type[Vultr], seconds: float) -> str:
    """Invites, and lets the request take effect only so much later, in virtual time."""
    hosted = stage.sandbox.services["vultr"]
    with FaultProxy(hosted.base_url, on("POST /v2/invitation ", LATE)) as proxy:
        account = kind(base_url=proxy.url, api_key=hosted.settings["api_key"])
        stage.clock.at(seconds, proxy.release)
        with Guestlist({"v": account}, clock=stage.clock) as guests:
            told = said(lambda: guests.with_budget(timeout=SHORT).invite(EMAIL))
        stage.clock.sleep(seconds)  # what has not landed yet lands now
    return told


def test_an_effect_that_lands_at_the_end_of_the_grace_is_found(stage: Stage) -> None:
    assert invite_late(stage, Vultr, 29.9) == FOUND
    assert emails(stage) == 1


def test_a_grace_that_is_too_short_invites_twice(stage: Stage) -> None:
    """The documented limit: `late_effect` has to be true. The caller is told of one invitation."""
    assert invite_late(stage, Hasty, 12) == INVITED
    assert emails(stage) == 2


def test_an_effect_after_the_declared_bound_invites_twice(stage: Stage) -> None:
    """The same limit with the default of 30 seconds."""
    assert invite_late(stage, Vultr, 31) == INVITED
    assert emails(stage) == 2


@pytest.mark.parametrize(
    ("fault", "told", "sent"),
    [
        (unanswered(End.RESET), FOUND, 1),
        (unanswered(End.RESET, Forward.NEVER), INVITED, 2),
    ],
    ids=["with effect", "without effect"],
)
@pytest.mark.parametrize("column", COLUMNS)
def test_a_service_that_is_not_asked_before(
    stage: Stage, column: str, fault: Fault, told: str, sent: int
) -> None:
    """better-auth refuses duplicates: the order is the first request on a new connection. It has no
    part in the matrix, whose faults begin with the look before an order."""
    with (
        Sandbox([BetterAuthService]) as sandbox,
        FaultProxy(
            sandbox.services["betterauth"].base_url, on("POST .*/invite-member ", fault)
        ) as proxy,
    ):
        account = accounts_of(sandbox)["betterauth"]
        there = {"base_url": f"{proxy.url}/api/auth"}
        accounts = {"b": account.model_copy(update=there)}
        with COLUMNS[column](accounts, Timetable(sandbox)) as client:
            assert said(lambda: client.invite(EMAIL, timeout=10, role="member")) == told
        assert len(list(sandbox.outbox.to(EMAIL))) == 1
    assert [one.line for one in proxy.seen if "/invite-member " in one.line][sent:] == []


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (unanswered(End.RESET), "resent, found by looking"),
        (unanswered(End.RESET, Forward.NEVER), "resent"),
    ],
    ids=["with effect", "without effect"],
)
def test_a_resend_whose_answer_is_lost_is_settled_by_the_expiry(
    stage: Stage, fault: Fault, told: str
) -> None:
    hosted = stage.sandbox.services["vultr"]
    with (
        FaultProxy(hosted.base_url, on("POST /v2/invitation/[^/]+/resend ", fault)) as proxy,
        Guestlist(through(stage, "vultr", proxy), clock=stage.clock) as guests,
    ):
        guests.invite(EMAIL)
        stage.clock.sleep(3600)  # or the expiry would not move

        assert said(lambda: guests.resend(EMAIL)) == told
    assert emails(stage) == 2


def test_a_resend_that_nothing_can_settle_is_not_repeated(stage: Stage) -> None:
    """Aitronos does not say that a resend moves the expiry: that it did not is no proof."""
    stage.sandbox.services["aitronos"].service.configure(resend_moves_expiry="no")
    lost = on("POST .*/resend-invitation ", unanswered(End.RESET))
    hosted = stage.sandbox.services["aitronos"]
    with (
        FaultProxy(hosted.base_url, lost) as proxy,
        Guestlist(through(stage, "aitronos", proxy), clock=stage.clock) as guests,
    ):
        guests.invite(EMAIL, **SUBJECTS["aitronos"].order)

        assert said(lambda: guests.resend(EMAIL)) == "OutcomeUnknown: not known"
    assert emails(stage) == 2


def test_a_page_of_a_captive_portal_leaves_the_outcome_unknown(stage: Stage) -> None:
    """A page with a success status may come from a portal, or from the service after it has sent
    the email, so nothing is sent again."""
    portal = answering(200, b"<html>Welcome to our wireless network</html>")
    hosted = stage.sandbox.services["vultr"]
    with (
        FaultProxy(hosted.base_url, on("POST /v2/invitation ", portal)) as proxy,
        Guestlist(through(stage, "vultr", proxy), clock=stage.clock) as guests,
    ):
        assert said(lambda: guests.invite(EMAIL)) == "OutcomeUnknown: not known"
    assert emails(stage) == 0


def through(stage: Stage, service: str, proxy: FaultProxy) -> dict[str, Any]:
    """The account of a service, reached through a proxy."""
    account = accounts_of(stage.sandbox)[service]
    return {service: account.model_copy(update={"base_url": proxy.url})}
