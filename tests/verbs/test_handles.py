"""Invitations that have no id, or whose id changes with a resend: every verb, a plan and a run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from tests.hall import Base, ByAddress, Changing, HallService

import guestlist
from guestlist import AsyncGuestlist, Guestlist, Ledger
from guestlist.errors import NotFound, OutcomeUnknown
from guestlist.models import Invitation, Outcome, RevokeOutcome, State
from guestlist.sandbox import Sandbox
from pytest_guestlist.clock import VirtualClock
from pytest_guestlist.transports import LoopbackTransport

ADA, BEA, CID, DAN = (f"{name}@example.com" for name in ("ada", "bea", "cid", "dan"))
NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)
SWITCHES = {
    ByAddress: {"invitation_ids": "address", "accepted": "vanish", "revoked": "vanish"},
    Changing: {
        "resend_id": "change",
        "accepted": "vanish",
        "revoked": "vanish",
        "expired_invitations": "block",
    },
}
ROSTER = f"""
[accounts.hall]
provider = "hall"

[[people]]
email = ["{ADA}", "{BEA}", "{CID}"]
accounts.hall = ["reader"]

[[people]]
email = "olga@example.org"
accounts.hall = ["admin"]
"""


class Losing(LoopbackTransport):
    """Loses answers to requests that send an email, after the service has acted.

    Attributes:
        left: the number of answers to lose.
        end: the end of the path of the requests.
    """

    left = 0
    end = "/resend"

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        if self.left and request.method == "POST" and request.url.path.endswith(self.end):
            self.left -= 1
            answer.close()
            raise httpx.ReadError("reset by peer")
        return answer


class Place:
    """A running sandbox, and a provider for it."""

    def __init__(self, sandbox: Sandbox, kind: type[Base]) -> None:
        self.sandbox = sandbox
        self.kind = kind
        self.provider = kind(**sandbox.services["hall"].settings)
        self.clock = VirtualClock(sandbox=sandbox)
        self.losing = Losing()

    def client(self, ledger: Ledger | None = None) -> Guestlist:
        return Guestlist(
            {"hall": self.provider}, clock=self.clock, transport=self.losing, ledger=ledger
        )

    def emails(self, address: str) -> int:
        return len(list(self.sandbox.outbox.to(address)))


@pytest.fixture(params=[ByAddress, Changing])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    kind = request.param
    with Sandbox(
        [HallService], time_source=NOW.timestamp, switches={"hall": SWITCHES[kind]}
    ) as sandbox:
        yield Place(sandbox, kind)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "guestlist.db") as opened:
        yield opened


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "guestlist.toml"
    path.write_text(ROSTER, encoding="utf-8")
    return path


def test_the_verbs_about_one_person(place: Place) -> None:
    with place.client() as guests:
        first = guests.invite(ADA, role="reader").guest.invitation
        assert first is not None
        assert guests.invite(ADA, role="reader").outcome is Outcome.ALREADY_INVITED
        place.clock.advance(timedelta(hours=1))
        resent = guests.resend(first)
        assert (resent.outcome, resent.guest.state) == (Outcome.RESENT, State.PENDING)
        second = guests.status(ADA).invitation
        assert second is not None
        assert [one.id for one in guests.invitations()] == [second.id]
        if place.kind is Changing:
            assert resent.replaced == first
            assert second.id not in (None, first.id)
            assert guests.status(str(second.id)).email == ADA
            with pytest.raises(NotFound):
                guests.status(str(first.id))
        else:
            assert (first.id, second.id, resent.replaced) == (None, None, None)
        assert guests.revoke(first).outcome is RevokeOutcome.REVOKED
        assert guests.revoke(second).outcome is RevokeOutcome.ALREADY_REVOKED
        assert guests.status(ADA).state is State.GONE
        assert guests.invite(ADA, role="reader").outcome is Outcome.INVITED
        newest = list(place.sandbox.outbox.to(ADA))[-1]
        place.sandbox.services["hall"].service.accept(newest.invitation)
        assert guests.status(ADA).state is State.ACCEPTED
    assert place.emails(ADA) == 3


def test_the_async_client(place: Place) -> None:
    async def run() -> None:
        async with AsyncGuestlist({"hall": place.provider}, clock=place.clock) as guests:
            await guests.invite(ADA, role="reader")
            assert (await guests.resend(ADA)).outcome is Outcome.RESENT
            assert (await guests.revoke(ADA)).outcome is RevokeOutcome.REVOKED
            assert (await guests.status(ADA)).state is State.GONE

    anyio.run(run)
    assert place.emails(ADA) == 2


def test_a_resend_without_answer_is_never_repeated(place: Place) -> None:
    """Another id proves that the email was sent. Without ids and dates nothing proves it."""
    with place.client() as guests:
        guests.invite(ADA, role="reader")
        place.losing.left = 1
        if place.kind is Changing:
            assert guests.resend(ADA).outcome is Outcome.RESENT
        else:
            with pytest.raises(OutcomeUnknown):
                guests.resend(ADA)
    assert place.emails(ADA) == 2


def apply(place: Place, guests: Guestlist, roster: Path, ledger: Ledger) -> list[str]:
    planned = guestlist.plan(roster, client=guests, ledger=ledger, prune=True)
    actions = sorted(f"{one.action} {one.email.partition('@')[0]}" for one in planned.changes())
    done = guestlist.apply(roster, client=guests, ledger=ledger, prune=True)
    assert done.errors == []
    return actions


def test_a_plan_and_a_run(place: Place, roster: Path, ledger: Ledger) -> None:
    with place.client(ledger) as guests:
        guests.invite(BEA, role="reader")
        place.clock.advance(timedelta(days=8))
        guests.invite(CID, role="editor")
        guests.invite(DAN, role="reader")
        assert apply(place, guests, roster, ledger) == [
            "invite ada",
            "replace cid",
            "resend bea",
            "revoke dan",
        ]
        assert {one.email: one.roles[0].id for one in guests.invitations()} == {
            ADA: "reader",
            BEA: "reader",
            CID: "reader",
        }
        assert apply(place, guests, roster, ledger) == []
    assert [place.emails(one) for one in (ADA, BEA, CID, DAN)] == [1, 2, 2, 1]


def test_a_run_whose_resend_got_no_answer(place: Place, roster: Path, ledger: Ledger) -> None:
    with place.client(ledger) as guests:
        guests.invite(BEA, role="reader")
        place.clock.advance(timedelta(days=8))
        place.losing.left = 1
        for _ in range(2):
            guestlist.apply(roster, client=guests, ledger=ledger)
            place.clock.advance(timedelta(minutes=5))
        assert guests.status(BEA).state is State.PENDING
    assert place.emails(BEA) == 2


class Lax(ByAddress):
    """A service that accepts a second invitation."""

    @property
    def refuses_duplicates(self) -> bool:
        return False


class Undated(Lax):
    """Nothing distinguishes two invitations of an address."""

    def read_invitation(self, raw: Any) -> Invitation:
        return super().read_invitation({**raw, "created_at": None})


@pytest.mark.parametrize("kind", [Lax, Undated])
def test_a_replacement_without_answer_is_never_repeated(kind: type[Base]) -> None:
    switches = {**SWITCHES[ByAddress], "duplicates": "allow"}
    with Sandbox([HallService], time_source=NOW.timestamp, switches={"hall": switches}) as sandbox:
        place = Place(sandbox, kind)
        with place.client() as guests:
            guests.invite(ADA, role="reader")
            place.clock.advance(timedelta(hours=1))
            place.losing.left, place.losing.end = 1, "/invitations"
            if kind is Lax:
                result = guests.invite(ADA, role="editor", if_exists="replace")
                assert result.outcome is Outcome.INVITED
            else:
                with pytest.raises(OutcomeUnknown):
                    guests.invite(ADA, role="editor", if_exists="replace")
        assert place.emails(ADA) == 2
