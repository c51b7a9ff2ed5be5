"""A run that another process has begun: the services are read before anything is sent."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from tests import postgres
from tests.durable.kit import GRACE, LOST, Blind, Facts, Machine, Summarized, _read, change, invites
from tests.durable.test_engine import Pool

from guestlist.changes import Action, Change
from guestlist.errors import ServiceUnavailable, Unauthorized
from guestlist.ledger.schema import OrderState
from guestlist.runs.account_worker import MAX_SILENCE_SECONDS
from guestlist.runs.workers import shared
from guestlist.runs.workers.presence import Presence
from guestlist.runs.workers.worker import enqueue

ADA, BOB, EVE = "ada@example.com", "bob@example.com", "eve@example.com"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "guestlist.db")


def back_up(machine: Machine, after: int) -> Path:
    """Has the ledger backed up as soon as so many emails have been sent."""
    backup = machine.place.with_name("backup.db")
    lock = threading.Lock()

    def sent(_line: str, _email: str) -> None:
        with lock:
            if sum(machine.service.emails.values()) >= after and not backup.exists():
                with closing(sqlite3.connect(machine.place)) as connection:
                    connection.execute("VACUUM INTO ?", (str(backup),))

    machine.service.sent = sent
    return backup


def restore(machine: Machine, backup: Path) -> None:
    for end in ("-wal", "-shm"):
        machine.place.with_name(machine.place.name + end).unlink(missing_ok=True)
    backup.replace(machine.place)


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "stopped"])
def test_a_restored_backup_invites_nobody_twice(machine: Machine, ended: bool) -> None:
    run = machine.begin(invites(300))
    backup = back_up(machine, 60)
    with machine.process() as process:
        if not ended:
            machine.service.answered = lambda: (
                process.stop() if sum(machine.service.posts.values()) == 200 else None
            )
        process.runner.run(run)
    sent = sum(machine.service.emails.values())
    assert (sent == 300) is ended
    machine.service.answered = lambda: None
    restore(machine, backup)
    waiting = len(machine.rows("id", "state = 0"))
    assert 300 - waiting < sent
    summary = machine.run(run)
    assert machine.service.emails == {one.email: 1 for one in invites(300)}
    assert summary.left == 0
    assert {row["state"] for row in machine.rows("state")} == {OrderState.DONE}
    details = [row["detail"] for row in machine.rows("detail")]
    found = details.count("It had been done already when the run was resumed.")
    assert found >= sent - 300 + waiting


def test_every_kind_of_change_is_looked_for(machine: Machine) -> None:
    """All of it was done after the backup; what can be seen is not done again."""
    service = machine.service
    expired = _read(service.add_invitation(BOB, "expired"))
    old = _read(service.add_invitation(EVE))
    fay, gil = (service.add_person(f"{name}@example.com", "old") for name in ("fay", "gil"))
    accepted = {"state": "accepted"}
    changes = [
        change(ADA, deferred=("ops",)),
        change(BOB, Action.RESEND, state="expired", invitation=expired),
        change(EVE, Action.REPLACE, state="pending", invitation=old),
        change(fay.label, Action.ASSIGN_ROLE, roles=("new",), member=fay, **accepted),
        change(fay.label, Action.UNASSIGN_ROLE, roles=("old",), member=fay, **accepted),
        change("hal@example.com", Action.REVOKE, state="pending", invitation=old),
        change("ivy@example.com", Action.REMOVE, member=gil, **accepted),
    ]
    machine.clock.sleep(10)
    run = machine.begin(changes)
    service.add_invitation(ADA)
    service.invitations[0].update(state="pending", expires=service._expiry())
    service.add_invitation(EVE)
    service.people[0]["roles"] = ["new"]
    machine.clock.sleep(10)
    assert machine.run(run).left == 0
    assert service.posts == {}
    outcomes = {row["action"]: row["outcome"] for row in machine.rows("*", "state = 10")}
    assert outcomes == {
        "invite": "invited",
        "resend": "resent",
        "replace": "invited",
        "assign_role": "already_assigned",
        "unassign_role": "not_assigned",
        "revoke": "revoked",
        "remove": "removed",
    }
    assert machine.rows("role", "state = 2") == [{"role": "ops"}]


def test_details_are_read_only_for_people_who_were_invited_before(tmp_path: Path) -> None:
    """A run over 10,000 people would otherwise send a request for each, whenever it is resumed."""
    machine = Machine(tmp_path / "guestlist.db", {"plain": Summarized})
    expired = _read(machine.service.add_invitation(BOB, "expired"))
    resend = change(BOB, Action.RESEND, state="expired", invitation=expired)
    run = machine.begin([*invites(300), resend])
    for one in invites(300)[:290]:
        machine.service.add_invitation(one.email)
    machine.clock.sleep(10)
    reads = count_reads(machine)
    assert machine.run(run).left == 0
    assert not [path for path in reads if path.startswith("/invitations/")]
    assert machine.service.emails == {one.email: 1 for one in invites(300)[290:]} | {BOB: 1}


def test_no_details_are_read_to_look_up_hundreds_of_lost_answers(tmp_path: Path) -> None:
    """The requests of 10,000 earlier invitations would delay the run for minutes."""
    machine = Machine(tmp_path / "guestlist.db", {"plain": Summarized})
    machine.service.everybody = LOST
    reads = count_reads(machine)
    machine.run(machine.begin(invites(400)))
    assert not [path for path in reads if path.startswith("/invitations/")]
    assert machine.service.emails == {one.email: 1 for one in invites(400)}


def test_what_is_still_missing_is_done(machine: Machine) -> None:
    fay = machine.service.add_person("fay@example.com", "old")
    facts: Facts = {"state": "accepted", "member": fay}
    changes = [
        change(ADA),
        change(fay.label, Action.ASSIGN_ROLE, roles=("new",), **facts),
        change(fay.label, Action.UNASSIGN_ROLE, roles=("old",), **facts),
    ]
    assert machine.run(machine.begin(changes)).left == 0
    assert machine.service.emails == {ADA: 1}
    assert machine.service.people[0]["roles"] == ["new"]


def test_a_run_that_this_process_has_begun_reads_nothing(machine: Machine) -> None:
    with machine.process() as process:
        run = process.runner.begin(lambda: invites(3), "digest", "guestlist.toml")
        reads = count_reads(machine)
        process.runner.run(run)
    assert reads == []
    assert machine.service.emails == {one.email: 1 for one in invites(3)}


def count_reads(machine: Machine) -> list[str]:
    reads: list[str] = []
    answer = machine.service.handle_request

    def counted(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            reads.append(request.url.path)
        return answer(request)

    machine.service.handle_request = counted  # type: ignore[method-assign]
    return reads


@pytest.mark.parametrize(
    ("status", "error"), [(503, ServiceUnavailable), (401, Unauthorized)], ids=str
)
def test_nothing_is_sent_while_the_services_cannot_be_read(
    machine: Machine, status: int, error: type[Exception]
) -> None:
    run = machine.begin(invites(3))
    answer = machine.service.handle_request
    machine.service.handle_request = (  # type: ignore[method-assign]
        lambda request: httpx.Response(status) if request.method == "GET" else answer(request)
    )
    summary = machine.run(run)
    assert isinstance(summary.tallies["plain"].halted, error)
    assert summary.left == 3
    assert machine.service.posts == {}
    assert machine.clock.monotonic() < 2 * MAX_SILENCE_SECONDS
    machine.service.handle_request = answer  # type: ignore[method-assign]
    machine.run(run)
    assert machine.service.emails == {one.email: 1 for one in invites(3)}


def test_a_run_on_a_service_that_shows_nobody_goes_on(tmp_path: Path) -> None:
    """There is nothing to read, and a run without a restored backup loses nothing."""
    machine = Machine(tmp_path / "guestlist.db", {"blind": Blind})
    machine.run(machine.begin(invites(2, "blind")))
    assert machine.service.emails == {one.email: 1 for one in invites(2)}


def test_lists_that_lag_are_waited_for(machine: Machine) -> None:
    """The backup is restored in the moment in which the emails were sent."""
    run = machine.begin(invites(3))
    for one in invites(3):
        machine.service.add_invitation(one.email)
    machine.run(run)
    assert machine.service.emails == {}
    assert machine.clock.now() < machine.services["plain"]._clock.now() + timedelta(seconds=GRACE)


# ---------------------------------------------------------------------------- many machines

needs_postgres = pytest.mark.skipif(postgres.missing() is not None, reason=str(postgres.missing()))


@pytest.fixture
def server(postgresql: postgres.Server) -> postgres.Server:
    return postgresql


@pytest.fixture
def pool(server: postgres.Server, request: pytest.FixtureRequest) -> Iterator[Pool]:
    with ExitStack() as closing:
        pool = Pool(server.new_database(f"resume{abs(hash(request.node.name))}"))
        closing.callback(pool.store.close)
        yield pool


def save(pool: Pool) -> None:
    """Backs the ledger up, queue and all."""
    with pool.store.engine.begin() as connection:
        for table in ("runs", "orders", "entries"):
            connection.execute(text(f"CREATE TABLE saved_{table} AS SELECT * FROM {table}"))  # noqa: S608


def reset(pool: Pool) -> None:
    """Restores the backup, while no worker is there."""
    with pool.store.engine.begin() as connection:
        for table in ("entries", "orders", "runs"):
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608
        for table in ("runs", "orders", "entries"):
            connection.execute(text(f"INSERT INTO {table} SELECT * FROM saved_{table}"))  # noqa: S608


def wait_for_locks(pool: Pool) -> None:
    """Waits until the server has noticed that a connection was closed, and holds no lock."""
    held = text(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
        " WHERE datname = current_database() AND locktype = 'advisory'"
    )
    deadline = time.monotonic() + 60
    while True:
        with pool.store.reading() as connection:
            if connection.scalar(held) == 0:
                return
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_for_the_end(pool: Pool, run: int) -> None:
    deadline = time.monotonic() + 60
    while not shared.run_has_ended(pool.store, run):
        assert not pool.failures, pool.failures
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.proof  # waits for the grace period; the steps are tested one by one below
@needs_postgres
def test_a_worker_alone_on_a_restored_backup_invites_nobody_twice(pool: Pool) -> None:
    run = pool.begin(invites(120))
    pool.service.answered = lambda: time.sleep(0.01)
    with pool.workers():
        pool.wait(40)
        save(pool)
        wait_for_the_end(pool, run)
    reset(pool)
    with pool.workers(3):
        wait_for_the_end(pool, run)
    assert pool.service.emails == {one.email: 1 for one in invites(120)}
    assert pool.states() == {"DONE": 120}


@pytest.mark.proof
@needs_postgres
def test_a_backup_may_be_restored_while_idle_workers_run(pool: Pool) -> None:
    """They have released their locks on the run once it had ended."""
    save_after, run = 60, pool.begin(invites(300))
    pool.service.answered = lambda: time.sleep(0.01)
    with pool.workers():
        pool.wait(save_after)
        save(pool)
        wait_for_the_end(pool, run)
        time.sleep(2.5)
        reset(pool)
        wait_for_the_end(pool, run)
    assert pool.service.emails == {one.email: 1 for one in invites(300)}


@needs_postgres
def test_only_the_process_that_resumes_a_run_reads_the_services(pool: Pool) -> None:
    reads: list[str] = []
    answer = pool.service.handle_request

    def counted(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            reads.append(request.url.path)
        return answer(request)

    pool.service.handle_request = counted  # type: ignore[method-assign]
    pool.service.answered = lambda: time.sleep(0.01)
    with pool.runner() as runner:
        run = runner.begin(lambda: invites(300), "digest", "guestlist.toml")
        enqueue(pool.store, run, time.time())
        with pool.workers(1):
            pool.wait(20)
            runner.presence.leave(run)
            with pool.workers(2):  # who come to a run that another one works on
                wait_for_the_end(pool, run)
        assert reads == []


@needs_postgres
def test_the_first_process_resumes_and_the_others_wait(pool: Pool) -> None:
    resumed: list[str] = []
    with ExitStack() as closing:
        one, other = Presence(pool.store), Presence(pool.store)
        closing.callback(one.close)
        closing.callback(other.close)

        def resume() -> None:
            resumed.append("one")
            assert not other.join(7, "plain", lambda: resumed.append("other"))
            assert other.join(7, "another", lambda: resumed.append("of another account"))

        assert one.join(7, "plain", resume)
        assert one.join(7, "plain", resume)
        assert other.join(7, "plain", resume)
        one.close()
        other.leave(7)
        wait_for_locks(pool)
        assert other.join(7, "plain", lambda: resumed.append("again"))
    assert resumed == ["one", "of another account", "again"]


@needs_postgres
def test_a_process_that_fails_to_resume_leaves_it_to_others(pool: Pool) -> None:
    def fails() -> None:
        raise ServiceUnavailable("HTTP 503")

    resumed: list[str] = []
    with closing(Presence(pool.store)) as one, closing(Presence(pool.store)) as other:
        with pytest.raises(ServiceUnavailable):
            one.join(7, "plain", fails)
        assert other.join(7, "plain", lambda: resumed.append("other"))
    assert resumed == ["other"]


@needs_postgres
@pytest.mark.parametrize("status", [503, 401])
def test_workers_send_nothing_before_the_services_can_be_read(pool: Pool, status: int) -> None:
    changes: list[Change] = invites(50)
    run = pool.begin(changes)
    answer = pool.service.handle_request
    refused = threading.Event()

    def refuse(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            refused.set()
            return httpx.Response(status)
        return answer(request)

    pool.service.handle_request = refuse  # type: ignore[method-assign]
    with pool.workers(1):
        assert refused.wait(30)
        time.sleep(1.5)
        assert pool.service.posts == {}
        pool.service.handle_request = answer  # type: ignore[method-assign]
        if status == 401:
            assert "401" in shared.stopped_accounts(pool.store, run)["plain"]
            enqueue(pool.store, run, time.time())
        wait_for_the_end(pool, run)
    assert pool.service.emails == {one.email: 1 for one in changes}
