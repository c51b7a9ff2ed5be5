"""Two requests that make one invitation: no email is lost or sent twice, wherever the first attempt
ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.annex import Annex, AnnexService, Telling, TellingService
from tests.in_process import InProcess

import guestlist
from guestlist import AsyncGuestlist, Forbidden, Guestlist, Outcome, OutcomeUnknown, State
from guestlist.changes import Action
from guestlist.ledger import Ledger
from guestlist.sandbox import Sandbox
from guestlist.sandbox.world import World

from .conftest import START, Case, Fault, Faulty, Killed, Party, SandboxClock

ADA = "ada@example.com"
CREATE, SEND = "/invitations", "/resend"
CASE = Case("annex", Annex, "olga@example.org", "reader", "admin")


@pytest.fixture
def sandbox() -> World:
    urls = {"annex": "http://127.0.0.1:8701", "telling": "http://127.0.0.1:8702"}
    return World([AnnexService, TellingService], urls, time_source=lambda: START)


Make = Callable[..., Party]


@pytest.fixture
def party(kind: str, sandbox: World) -> Iterator[Make]:
    """Makes clients of the kind, each with a memory of its own."""
    with asyncio.Runner() as runner:

        def making(fault: Fault | None = None, *, telling: bool = False, **how: Any) -> Party:
            name, provider = ("telling", Telling) if telling else ("annex", Annex)
            real = InProcess(sandbox)
            client = (Guestlist if kind == "sync" else AsyncGuestlist)(
                {"annex": provider(**sandbox.services[name].settings)},
                clock=SandboxClock(sandbox),
                transport=Faulty(real, fault) if fault else real,
                **how,
            )
            return Party(CASE, sandbox, client, runner.run)

        yield making


class At:
    """Does something to one changing request.

    Args:
        path: the end of its path.
        what: a status, which the service never sees, or an exception.
        acts: whether the service gets the request before the exception.
        times: how often.
    """

    def __init__(self, path: str, what: int | type[BaseException], *, acts: bool = False) -> None:
        self.path, self.what, self.acts, self.left = path, what, acts, 1

    def __call__(
        self, request: httpx.Request, answer: httpx.Response | None
    ) -> httpx.Response | BaseException | None:
        fits = request.method == "POST" and request.url.path.endswith(self.path)
        if not fits or not self.left or (answer is not None) is not self.acts:
            return None
        self.left -= 1
        if isinstance(self.what, int):
            return httpx.Response(self.what, json={"error": {"message": "no"}})
        return self.what("lost") if issubclass(self.what, httpx.HTTPError) else self.what()


BETWEEN = [
    pytest.param(At(CREATE, Killed, acts=True), id="after the first request"),
    pytest.param(At(SEND, Killed), id="before the second request"),
]


# ---------------------------------------------------------------------------- without a ledger


def test_a_lost_answer_of_the_first_request_costs_no_email(party: Make) -> None:
    guests = party(At(CREATE, httpx.ReadError, acts=True))
    result = guests.invite(ADA, role="reader")
    assert (result.outcome, result.email_sent) == (Outcome.INVITED, True)
    assert len(guests.emails(ADA)) == 1


def test_a_canceled_call_is_completed_by_the_next_one(party: Make) -> None:
    guests = party(At(CREATE, Killed, acts=True))
    with pytest.raises(Killed) as killed:
        guests.invite(ADA)
    assert "no email was sent. Make the call again." in killed.value.__notes__[0]
    assert guests.status(ADA).state is State.PENDING
    assert not guests.emails(ADA)
    assert guests.invite(ADA).outcome is Outcome.INVITED
    assert len(guests.emails(ADA)) == 1
    assert guests.invite(ADA).outcome is Outcome.ALREADY_INVITED
    assert len(guests.emails(ADA)) == 1


@pytest.mark.parametrize("if_exists", ["return", "resend", "replace"])
def test_a_refused_second_request_leaves_the_call_to_be_made_again(
    party: Make, if_exists: str
) -> None:
    guests = party(At(SEND, 403))
    with pytest.raises(Forbidden, match="no email was sent: make the same call again") as refused:
        guests.invite(ADA)
    assert (refused.value.happened, refused.value.prepared) == (False, True)
    guests.invite(ADA, if_exists=if_exists)
    assert len(guests.emails(ADA)) == 1


def test_a_lost_answer_of_the_second_request_is_an_unknown_outcome(party: Make) -> None:
    guests = party(At(SEND, httpx.ReadError, acts=True))
    with pytest.raises(OutcomeUnknown):
        guests.invite(ADA)
    with pytest.raises(OutcomeUnknown, match="no lookup shows"):
        guests.invite(ADA)
    assert len(guests.emails(ADA)) == 1
    guests.accept(ADA)
    assert guests.invite(ADA).outcome is Outcome.ALREADY_MEMBER
    assert len(guests.emails(ADA)) == 1


def test_a_second_request_is_repeated_only_if_the_caller_confirms(party: Make) -> None:
    guests = party(At(SEND, httpx.ReadError))
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            guests.invite(ADA)
    assert guests.invite(ADA, retry_unknown=True).outcome is Outcome.INVITED
    assert len(guests.emails(ADA)) == 1


@pytest.mark.parametrize("acts", [True, False])
def test_a_list_that_shows_only_people_with_an_email_is_proof(party: Make, acts: bool) -> None:
    guests = party(At(SEND, httpx.ReadError, acts=acts), telling=True)
    assert guests.invite(ADA).outcome is Outcome.INVITED
    assert len(guests.emails(ADA)) == 1


def test_a_list_that_shows_only_people_with_an_email_needs_no_memory(party: Make) -> None:
    with pytest.raises(Killed):
        party(At(SEND, Killed), telling=True).invite(ADA)
    guests = party(telling=True)
    assert guests.invite(ADA).outcome is Outcome.INVITED
    assert len(guests.emails(ADA)) == 1


# ---------------------------------------------------------------------------- with a ledger


@pytest.mark.parametrize("fault", BETWEEN)
def test_a_process_that_died_between_the_two_is_completed(
    party: Make, ledger: Ledger, fault: At
) -> None:
    fault.left = 1
    with pytest.raises(Killed):
        party(fault, ledger=ledger).invite(ADA)
    guests = party(ledger=ledger)
    if fault.path == SEND:  # its record says that the email may have left
        with pytest.raises(OutcomeUnknown):
            guests.invite(ADA)
        assert guests.invite(ADA, retry_unknown=True).outcome is Outcome.INVITED
    else:
        assert guests.invite(ADA).outcome is Outcome.INVITED
    assert len(guests.emails(ADA)) == 1
    assert party(ledger=ledger).invite(ADA).outcome is Outcome.ALREADY_INVITED
    assert len(guests.emails(ADA)) == 1


@pytest.mark.parametrize("verb", ["invite", "resend"])
def test_a_refused_second_request_is_sent_by_another_process(
    party: Make, ledger: Ledger, verb: str
) -> None:
    for _ in range(2):
        with pytest.raises(Forbidden) as refused:
            party(At(SEND, 403), ledger=ledger).invite(ADA)
        assert refused.value.prepared
    guests = party(ledger=ledger)
    getattr(guests, verb)(ADA)
    assert len(guests.emails(ADA)) == 1
    assert party(ledger=ledger).invite(ADA).outcome is Outcome.ALREADY_INVITED


def test_a_lost_second_request_stays_unknown_in_the_ledger(party: Make, ledger: Ledger) -> None:
    with pytest.raises(OutcomeUnknown):
        party(At(SEND, httpx.ReadError, acts=True), ledger=ledger).invite(ADA)
    guests = party(ledger=ledger)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            guests.invite(ADA)
    assert len(guests.emails(ADA)) == 1
    guests.resend(ADA)
    assert guests.invite(ADA).outcome is Outcome.ALREADY_INVITED


def test_a_revoked_record_is_not_completed_but_made_anew(party: Make, ledger: Ledger) -> None:
    with pytest.raises(Killed):
        party(At(CREATE, Killed, acts=True), ledger=ledger).invite(ADA)
    guests = party(ledger=ledger)
    guests.revoke(ADA)
    assert not guests.emails(ADA)
    assert guests.invite(ADA).outcome is Outcome.INVITED
    assert len(guests.emails(ADA)) == 1


def test_a_killed_process_is_completed(tmp_path: Path) -> None:
    """A real `kill -9` between the two requests."""
    with Sandbox([AnnexService]) as sandbox:
        settings = sandbox.services["annex"].settings
        program = (
            "import os, signal, httpx\n"
            "from guestlist import Guestlist, Ledger\n"
            "from tests.annex import Annex\n"
            "class Deadly(httpx.HTTPTransport):\n"
            "    def handle_request(self, request):\n"
            "        answer = super().handle_request(request)\n"
            "        if request.method == 'POST':\n"
            "            os.kill(os.getpid(), signal.SIGKILL)\n"
            "        return answer\n"
            f"guests = Guestlist({{'annex': Annex(**{settings!r})}}, transport=Deadly(),\n"
            f"    ledger=Ledger({str(tmp_path / 'guestlist.db')!r}))\n"
            f"guests.invite({ADA!r})\n"
        )
        root = Path(__file__).parents[2]
        env = {**os.environ, "PYTHONPATH": str(root)}
        child = subprocess.run([sys.executable, "-c", program], cwd=root, env=env, timeout=60)
        assert child.returncode == -signal.SIGKILL
        assert not sandbox.outbox.emails
        with (
            Ledger(tmp_path / "guestlist.db") as ledger,
            Guestlist({"annex": Annex(**settings)}, ledger=ledger) as guests,
        ):
            assert guests.status(ADA).state is State.PENDING
            assert guests.invite(ADA).outcome is Outcome.INVITED
        assert len(sandbox.outbox.emails) == 1


# ---------------------------------------------------------------------------- plans and runs


def emails(sandbox: World) -> int:
    return len(sandbox.outbox.emails)


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "guestlist.toml"
    path.write_text(
        '[accounts.annex]\nprovider = "annex"\n'
        f'[[people]]\nemail = "{ADA}"\naccounts.annex = ["reader"]\n'
    )
    return path


@contextmanager
def client(sandbox: World, fault: Fault | None = None, **how: Any) -> Iterator[Guestlist]:
    real = InProcess(sandbox)
    yield Guestlist(
        {"annex": Annex(**sandbox.services["annex"].settings)},
        clock=SandboxClock(sandbox),
        transport=Faulty(real, fault) if fault else real,
        **how,
    )


def test_a_run_repeats_an_order_whose_first_answer_was_lost(
    sandbox: World, ledger: Ledger, roster: Path
) -> None:
    with client(sandbox, At(CREATE, httpx.ReadError, acts=True)) as guests:
        done = guestlist.apply(roster, client=guests, ledger=ledger)
    assert done.errors == []
    assert emails(sandbox) == 1


@pytest.mark.parametrize("status", [403, 422])
def test_a_plan_invites_a_person_whose_email_was_refused(
    sandbox: World, ledger: Ledger, roster: Path, status: int
) -> None:
    with client(sandbox, At(SEND, status)) as guests:
        assert guestlist.apply(roster, client=guests, ledger=ledger).errors
    with client(sandbox) as guests:
        plan = guestlist.plan(roster, client=guests, ledger=ledger)
        (change,) = plan.changes()
        assert (change.action, change.prepared) == (Action.INVITE, True)
        assert change.reason == "an earlier attempt ended before its email"
        saved = roster.with_name("plan.json")
        plan.write(saved)
        done = guestlist.apply(roster, plan=saved, client=guests, ledger=ledger)
        assert done.errors == []
        assert len(sandbox.outbox.emails) == 1
        assert list(guestlist.plan(roster, client=guests, ledger=ledger).changes()) == []


def test_a_plan_invites_a_person_whose_single_call_died(
    sandbox: World, ledger: Ledger, roster: Path
) -> None:
    fault = At(CREATE, Killed, acts=True)
    with client(sandbox, fault, ledger=ledger) as guests, pytest.raises(Killed):
        guests.invite(ADA)
    with client(sandbox) as guests:
        SandboxClock(sandbox).sleep(200)
        result = guestlist.settle(roster, client=guests, ledger=ledger)
        assert ["no email was sent" in str(error) for error in result.errors] == [True]
        assert guestlist.apply(roster, client=guests, ledger=ledger).errors == []
    assert emails(sandbox) == 1


def test_an_email_of_unknown_outcome_blocks_the_plan(
    sandbox: World, ledger: Ledger, roster: Path
) -> None:
    with client(sandbox, At(SEND, httpx.ReadError, acts=True)) as guests:
        assert guestlist.apply(roster, client=guests, ledger=ledger).errors
    with client(sandbox) as guests:
        (change,) = guestlist.plan(roster, client=guests, ledger=ledger).changes()
        assert change.action is Action.UNRESOLVED
        assert len(sandbox.outbox.emails) == 1
        sandbox.services["annex"].service.accept(sandbox.outbox.emails[0].invitation)
        assert list(guestlist.plan(roster, client=guests, ledger=ledger).changes()) == []
