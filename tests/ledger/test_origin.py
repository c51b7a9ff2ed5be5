"""Who started a run or a call, where, and why."""

from __future__ import annotations

import asyncio
import csv
import getpass
import io
import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection
from tests.durable.kit import START, Plain, Service, invites
from tests.ledger.story import ADA, BOB, EVE, Story

from guestlist import AsyncGuestlist, Guestlist
from guestlist.changes import Action, Change
from guestlist.ledger import Ledger, history, orders
from guestlist.ledger.log import LineState, LogLine, write_csv, write_jsonl
from guestlist.ledger.order import OrderOutcome
from guestlist.ledger.origin import GITHUB_VARIABLES, JOB_VARIABLES, Origin
from guestlist.ledger.runs import begin_run
from guestlist.ledger.schema import OrderState
from guestlist.models import Role
from guestlist.runs.runner import Runner
from guestlist.runs.stop import Stop
from pytest_guestlist.clock import VirtualClock

RUN = {
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/people",
    "GITHUB_RUN_ID": "42",
}


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*GITHUB_VARIABLES, *JOB_VARIABLES):
        monkeypatch.delenv(name, raising=False)


class Answers(httpx.AsyncBaseTransport, Service):
    """The service, for both clients."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)


def connected(ledger: Ledger, **more: Any) -> dict[str, Any]:
    """The arguments of a client of the service."""
    clock = VirtualClock(START)
    accounts = {"plain": Plain(base_url="https://plain.test")}
    return {
        "accounts": accounts,
        "transport": Answers(clock),
        "clock": clock,
        "ledger": ledger,
        **more,
    }


def by_person(ledger: Ledger) -> dict[str, LogLine]:
    return {line.email: line for line in history.log_lines(ledger.store)}


def who(line: LogLine) -> tuple[str | None, ...]:
    return line.actor, line.host, line.job, line.note


HERE = socket.gethostname()


def test_a_call_stores_the_user_and_the_machine(file: Path) -> None:
    with Ledger(file) as ledger, Guestlist(**connected(ledger)) as guests:
        guests.invite(ADA)
        assert who(by_person(ledger)[ADA]) == (getpass.getuser(), HERE, None, None)


def test_each_call_may_have_an_actor_of_its_own(file: Path) -> None:
    with Ledger(file, actor="cron") as ledger:
        with Guestlist(**connected(ledger, note="nightly")) as guests:
            guests.invite(ADA)
            guests.acting_as("eve", note="TICKET-7").invite(BOB)
            guests.account("plain").acting_as("eve").invite(EVE)
        found = by_person(ledger)
    assert who(found[ADA]) == ("cron", HERE, None, "nightly")
    assert who(found[BOB]) == ("eve", HERE, None, "TICKET-7")
    assert who(found[EVE]) == ("eve", HERE, None, None)


def test_each_async_call_may_have_an_actor_of_its_own(file: Path) -> None:
    async def invite(ledger: Ledger) -> None:
        async with AsyncGuestlist(**connected(ledger, actor="cron")) as guests:
            await guests.invite(ADA)
            await guests.acting_as("eve", note="TICKET-7").invite(BOB)

    with Ledger(file) as ledger:
        asyncio.run(invite(ledger))
        found = by_person(ledger)
    assert who(found[ADA]) == ("cron", HERE, None, None)
    assert who(found[BOB]) == ("eve", HERE, None, "TICKET-7")


def test_an_actor_without_a_ledger_changes_nothing() -> None:
    clock = VirtualClock(START)
    accounts = {"plain": Plain(base_url="https://plain.test")}
    with Guestlist(accounts, transport=Service(clock), clock=clock, actor="cron") as guests:
        assert guests.acting_as("eve").invite(ADA).email_sent


def test_a_run_stores_who_started_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in RUN.items():
        monkeypatch.setenv(name, value)
    with Ledger(file) as ledger, Guestlist(**connected(ledger)) as guests:
        origin = Origin.here("ada", "new team")
        runner = Runner(guests, ledger.store, Stop(), origin)
        runner.run(runner.begin(lambda: invites(2), "digest", "team.toml"))
        lines = list(history.log_lines(ledger.store))
    job = "https://github.com/acme/people/actions/runs/42"
    assert [who(line) for line in lines] == [("ada", HERE, job, "new team")] * 2


@pytest.mark.parametrize("name", JOB_VARIABLES)
def test_the_job_of_other_ci_systems(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "https://ci.example/job/7")
    assert Origin.here().job == "https://ci.example/job/7"


def test_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nameless)
    monkeypatch.setattr("os.getuid", lambda: 4711, raising=False)
    assert Origin.here().actor == "uid 4711"


def test_both_databases_and_both_exports_have_it(story: Story) -> None:
    origin = Origin("ada\0", "laptop", "https://ci/7", "=new")
    changes = invites(1)
    begin_run(story.store, lambda: changes, "digest", "team.toml", 1.0, origin=origin)
    lines = list(history.log_lines(story.store))
    assert [who(line) for line in lines] == [("ada", "laptop", "https://ci/7", "=new")]
    rows, objects = io.StringIO(), io.StringIO()
    write_csv(lines, rows)
    write_jsonl(lines, objects)
    (row,) = csv.DictReader(io.StringIO(rows.getvalue()))
    assert [row[name] for name in ("actor", "host", "job", "note")] == [
        "ada",
        "laptop",
        "https://ci/7",
        "'=new",
    ]
    assert json.loads(objects.getvalue())["note"] == "=new"


GROUP = Role(id="7", kind="group", name="Engineering")


def asked(action: Action, *deferred: Role) -> Change:
    return Change(action=action, account="cloud", email=ADA, key=ADA, deferred=deferred)


def deferred_lines(story: Story) -> list[LogLine]:
    return [one for one in history.log_lines(story.store) if one.state is LineState.DEFERRED]


def test_a_deferred_role_names_who_made_the_call(story: Story) -> None:
    origin = Origin("ada", "laptop", None, "TICKET-7")
    change = asked(Action.INVITE, GROUP)

    def invite(connection: Connection) -> None:
        id = orders.add_for_single_call(connection, change, 1.0, origin)
        done = OrderOutcome("invited", deferred=change.deferred_changes())
        orders.record_outcome(connection, id, 2.0, None, OrderState.DONE, done)

    story.store.make(invite)
    assert [who(line) for line in deferred_lines(story)] == [("ada", "laptop", None, "TICKET-7")]


@pytest.mark.parametrize("action", [Action.INVITE, Action.DEFER])
def test_a_deferred_role_names_who_started_the_run(story: Story, action: Action) -> None:
    origin = Origin("ada", "laptop", None, "new team")
    changes = [asked(action, GROUP)]
    run = begin_run(story.store, lambda: changes, "digest", "team.toml", 1.0, origin=origin)
    for order in orders.next_of_any_action(story.store, run, "cloud", 0, 10):
        done = OrderOutcome("invited", deferred=order.change.deferred_changes())
        story.store.make(
            lambda c, id=order.id, done=done: orders.record_outcome(  # type: ignore[misc]
                c, id, 2.0, None, OrderState.DONE, done
            )
        )
    assert [who(line) for line in deferred_lines(story)] == [("ada", "laptop", None, "new team")]
