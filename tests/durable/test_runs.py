"""A run: what is written before what is sent, what stops it, and how it goes on."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import event, text
from tests.durable.kit import (
    BUDGET,
    LATE_EFFECT,
    LOST,
    VOID,
    Facts,
    Machine,
    Plain,
    _member,
    an_order,
    change,
    invites,
    refused,
)

from guestlist import Guestlist
from guestlist.changes import Action, Change
from guestlist.errors import LedgerError, RateLimited, Unauthorized, UnknownAccount
from guestlist.exchange.account import MAX_BACK_OFF_SECONDS
from guestlist.ledger import Ledger, orders, runs
from guestlist.ledger.deferred_grants import all_deferred
from guestlist.ledger.entry import OrderEntry
from guestlist.ledger.lock import exclusive
from guestlist.ledger.orders import OrderTaken
from guestlist.ledger.schema import OrderState
from guestlist.models import Member, Role
from guestlist.provider import Flow, Page, Request, operation
from guestlist.runs.account_worker import AccountWorker
from guestlist.runs.settling import due_changes
from guestlist.runs.tally import Tally
from guestlist.runs.unresolved_requests import MAX_ATTEMPTS
from guestlist.runs.work import orders_of_chunk, orders_of_run


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "guestlist.db")


def states(machine: Machine) -> Counter[str]:
    return Counter(OrderState(row["state"]).name for row in machine.rows("state"))


def test_the_intent_is_committed_before_the_request_leaves(machine: Machine) -> None:
    seen: dict[str, list[int]] = {}

    def sent(_line: str, email: str) -> None:
        seen[email] = [row["state"] for row in machine.rows("state", f"email = '{email}'")]

    machine.service.sent = sent
    machine.run(machine.begin(invites(20)))
    assert seen == {one.email: [OrderState.INTENDED] for one in invites(20)}
    assert states(machine) == {"DONE": 20}


def test_a_commit_is_synced_to_the_disk(machine: Machine) -> None:
    with machine.process() as process, process.store.engine.begin() as connection:
        assert connection.scalar(text("PRAGMA synchronous")) == 2  # FULL
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"


def test_what_many_threads_write_at_once_is_committed_together(machine: Machine) -> None:
    with machine.process() as process:
        store = process.store
        commits: list[int] = []
        event.listen(store.engine, "commit", lambda _connection: commits.append(1))
        going, writing = threading.Event(), threading.Event()

        def first(_connection: object) -> None:
            writing.set()
            going.wait(10)

        threads = [threading.Thread(target=store.write, args=(first,))]
        threads[0].start()
        writing.wait(10)
        threads += [
            threading.Thread(target=store.write, args=(lambda _connection: None,))
            for _ in range(20)
        ]
        for thread in threads[1:]:
            thread.start()
        while store._queue.qsize() < 20:
            pass
        going.set()
        for thread in threads:
            thread.join()
        assert len(commits) == 2


def test_a_run_is_written_down_with_all_its_orders_or_not_at_all(machine: Machine) -> None:
    """A run of which only the beginning was on disk would be gone on with: nothing left to do."""
    before = machine.begin(invites(2))

    def interrupted() -> Iterator[Change]:
        yield from invites(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        machine.begin(interrupted())
    with machine.process() as process:
        run = runs.unfinished_run(process.store)
        assert run is not None
        assert run.id == before
        assert orders.unsettled_counts(process.store, before) == {"plain": 2}


def test_an_order_is_claimed_by_one(machine: Machine) -> None:
    machine.begin(invites(1))
    with machine.process() as one, machine.process() as other:
        first = OrderEntry(one.store, an_order(), one.clock)
        second = OrderEntry(other.store, an_order(), other.clock)
        first.intend("POST invitations")
        with pytest.raises(OrderTaken):
            second.intend("POST invitations")
        machine.clock.sleep(1)
        first.intend("POST invitations")  # another request of the same order
    assert [row["attempts"] for row in machine.rows()] == [1]


def test_a_worker_that_wakes_up_late_finds_its_order_taken(machine: Machine) -> None:
    machine.begin(invites(1))
    with machine.process() as process:
        sleeper = OrderEntry(process.store, an_order(), process.clock)
        sleeper.intend("POST invitations")
        (found,) = orders.unanswered_orders(process.store)
        OrderEntry(process.store, found, process.clock).ask_again(found.change, "a look")
        sleeper.refused(Unauthorized("too late to tell"))
        assert states(machine) == {"ASKED": 1}
        with pytest.raises(OrderTaken):
            sleeper.intend("POST invitations")


def test_a_request_does_not_leave_when_writing_took_the_time_of_the_call(machine: Machine) -> None:
    run = machine.begin(invites(1))
    slept: list[bool] = []

    def commit() -> None:
        if not slept:
            slept.append(True)
            machine.clock.sleep(BUDGET.total)

    with machine.process() as process:
        process.die(commit=commit)
        summary = process.runner.run(run)
    assert slept
    assert machine.service.posts == {"guest0@example.com": 1}
    assert [row["attempts"] for row in machine.rows()] == [2]
    assert summary.tallies["plain"].done == {"invited": 1}


def test_one_account_does_not_stop_another(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "guestlist.db", {"good": Plain, "bad": Plain})
    machine.services["bad"].everybody = refused(401)
    run = machine.begin([*invites(50, "good"), *invites(50, "bad")])
    summary = machine.run(run)
    assert summary.tallies["good"].done == {"invited": 50}
    assert isinstance(summary.tallies["bad"].halted, Unauthorized)
    assert summary.tallies["bad"].left == 50
    assert len(machine.services["bad"].posts) < 50
    machine.services["bad"].everybody = None
    assert machine.run(run).tallies["bad"].done == {"invited": 50}
    assert set(machine.services["bad"].emails.values()) == {1}


def test_one_person_does_not_stop_another(machine: Machine) -> None:
    machine.service.faults["guest3@example.com"] = [refused(422)]
    tally = machine.run(machine.begin(invites(10))).tallies["plain"]
    assert tally.done == {"invited": 9}
    assert tally.refused == {"Rejected": 1}


class Watchful(Plain):
    """One that shows what a member holds."""

    @operation
    def get_member(self, id: str) -> Flow[Member]:
        reply = yield Request.get("members")
        return next(_member(raw) for raw in reply.items("items") if raw["id"] == id)


@pytest.mark.parametrize("chunks", [False, True])
def test_what_a_service_says_yes_to_and_does_not_do_is_given_up(
    tmp_path: Path, *, chunks: bool
) -> None:
    machine = Machine(tmp_path / "guestlist.db", {"plain": Watchful})
    facts: Facts = {"state": "accepted", "member": machine.service.add_person("ada@example.com")}
    machine.service.everybody = refused(200)
    run = machine.begin([change("ada@example.com", Action.ASSIGN_ROLE, roles=("dev",), **facts)])
    tally = Tally("plain", left=1)
    with machine.process() as process:
        account_worker = AccountWorker(
            process.guests, process.store, process.stop, tally, reconciles=not chunks
        )
        work = orders_of_chunk(process.store, "plain", [1]) if chunks else None
        account_worker.run(work or orders_of_run(process.store, run, "plain"))
    assert tally.halted is None
    assert tally.unknown == 1
    assert [one.message for one in tally.problems] == [
        "the service confirmed the change, but the member does not hold dev"
    ]
    assert machine.service.posts == {"ada@example.com": MAX_ATTEMPTS}
    assert states(machine) == {"UNKNOWN": 1}


def test_a_run_ends_if_the_service_asks_for_a_pause_that_is_too_long(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daily limit answers `Retry-After: 86400`. A later run goes on."""
    original, asked = machine.service.handle_request, iter(["86400"])

    def handle(request: httpx.Request) -> httpx.Response:
        rest = next(asked, None) if request.method == "POST" else None
        return httpx.Response(429, headers={"Retry-After": rest}) if rest else original(request)

    monkeypatch.setattr(machine.service, "handle_request", handle)
    run = machine.begin(invites(1))
    halted = machine.run(run).tallies["plain"].halted
    assert isinstance(halted, RateLimited)
    assert halted.retry_after == pytest.approx(86_400, abs=5)
    assert states(machine) == {"ASKED": 1}
    assert machine.clock.monotonic() < MAX_BACK_OFF_SECONDS
    machine.clock.sleep(86_400)
    machine.run(run)
    assert states(machine) == {"DONE": 1}


def test_a_run_waits_for_a_shorter_pause(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    original, asked = machine.service.handle_request, iter(["600"])

    def handle(request: httpx.Request) -> httpx.Response:
        rest = next(asked, None) if request.method == "POST" else None
        return httpx.Response(429, headers={"Retry-After": rest}) if rest else original(request)

    monkeypatch.setattr(machine.service, "handle_request", handle)
    machine.run(machine.begin(invites(1)))
    assert states(machine) == {"DONE": 1}
    assert 600 <= machine.clock.monotonic() < 700
    pauses = [event for event in machine.events if event.name == "pause"]
    assert 9 <= len(pauses) <= 10  # one a minute
    assert pauses[0].retry_after == pytest.approx(600, abs=5)
    assert str(pauses[0].detail).startswith("HTTP 429: ")
    assert "waiting until 2027-01-15 08:10 UTC" in str(pauses[-1].detail)


@pytest.mark.parametrize("status", [429, 503])
def test_a_worker_reports_a_pause_that_it_waits_for(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """A worker does not give up: it asks again every hour, and reports every minute."""
    original, asked = machine.service.handle_request, iter(["86400"])

    def handle(request: httpx.Request) -> httpx.Response:
        rest = next(asked, None) if request.method == "PUT" else None
        return httpx.Response(status, headers={"Retry-After": rest}) if rest else original(request)

    monkeypatch.setattr(machine.service, "handle_request", handle)
    member = machine.service.add_person("ada@example.com")
    assign = change("ada@example.com", Action.ASSIGN_ROLE, roles=("dev",), member=member)
    run = machine.begin([assign])
    with machine.process() as process:
        worker = AccountWorker(
            process.guests, process.store, process.stop, Tally("plain", left=1), reconciles=False
        )
        worker.run(orders_of_chunk(process.store, "plain", [run]))
    assert states(machine) == {"DONE": 1}
    pauses = [event for event in machine.events if event.name == "pause"]
    assert 59 <= len(pauses) <= 61
    assert f"HTTP {status}: " in str(pauses[0].detail)
    assert "waiting until 2027-01-16 08:00 UTC" in str(pauses[0].detail)


def test_a_run_that_looks_for_what_happened_reports_a_pause(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests without an answer are looked up as soon as the pause is over."""
    original, asked = machine.service.handle_request, iter(["600"])

    def handle(request: httpx.Request) -> httpx.Response:
        rest = next(asked, None) if machine.service.posts and request.method == "GET" else None
        return httpx.Response(429, headers={"Retry-After": rest}) if rest else original(request)

    monkeypatch.setattr(machine.service, "handle_request", handle)
    machine.service.faults["guest0@example.com"] = [LOST]
    machine.first_run(invites(1))
    assert states(machine) == {"DONE": 1}
    assert 9 <= sum(event.name == "pause" for event in machine.events) <= 10


def test_a_deferred_role_is_given_by_its_id_if_the_service_lists_no_roles(machine: Machine) -> None:
    editor = Role(id="r-7", name="Editor")
    with Ledger(machine.place, clock=machine.clock) as ledger:
        accounts = {"plain": Plain(base_url="https://plain.test")}
        how: Facts = {"transport": machine.service, "clock": machine.clock, "ledger": ledger}
        result = Guestlist(accounts, **how).invite("ada@example.com", role=["dev", editor])
    assert result.deferred == (editor,)
    machine.service.add_person("ada@example.com")
    with machine.process() as process:
        grants = list(all_deferred(process.store))
        changes, _others = due_changes(process.guests.account("plain"), grants)
        process.runner.run(process.runner.begin(lambda: changes, "", "settle", replace=False))
    assert [person["roles"] for person in machine.service.people] == [["r-7"]]


class Listing(Plain):
    """One that lists its roles, two of which have the same name."""

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        if False:
            yield Request.get("roles")
        named = [Role(id=id, name="Editor") for id in ("r-6", "r-7")]
        return Page([Role(id="dev"), *named, Role(id="r-8", name="r-7")])


def test_a_deferred_role_is_given_by_its_id_if_two_have_its_name(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "guestlist.db", {"plain": Listing})
    editor = Role(id="r-7", name="Editor")
    with Ledger(machine.place, clock=machine.clock) as ledger:
        accounts = {"plain": Listing(base_url="https://plain.test")}
        how: Facts = {"transport": machine.service, "clock": machine.clock, "ledger": ledger}
        Guestlist(accounts, **how).invite("ada@example.com", role=["dev", editor])
    machine.service.add_person("ada@example.com")
    with machine.process() as process:
        grants = list(all_deferred(process.store))
        changes, _others = due_changes(process.guests.account("plain"), grants)
        process.runner.run(process.runner.begin(lambda: changes, "", "settle", replace=False))
    assert [person["roles"] for person in machine.service.people] == [["r-7"]]


def test_a_removed_account_is_reported(machine: Machine) -> None:
    run = machine.begin([change("ada@example.com", account="old"), *invites(1)])
    summary = machine.run(run)
    assert isinstance(summary.tallies["old"].halted, UnknownAccount)
    assert summary.failed
    assert summary.tallies["plain"].done == {"invited": 1}


def test_an_unresolved_request_of_a_removed_account_is_reported(
    machine: Machine,
) -> None:
    machine.begin([change("ada@example.com", account="old")])
    now = machine.clock.now().timestamp()
    with machine.process() as process:
        assert process.store.write(lambda c: orders.record_intent(c, 1, "POST", now, None))
        summary = process.runner.reconcile()
    assert isinstance(summary.tallies["old"].halted, UnknownAccount)
    assert summary.failed
    assert states(machine) == {"INTENDED": 1}


def test_a_service_that_is_down_is_left_to_a_later_run(machine: Machine) -> None:
    facts: Facts = {"state": "accepted", "member": machine.service.add_person("ada@example.com")}
    run = machine.begin([change("ada@example.com", Action.ASSIGN_ROLE, roles=("dev",), **facts)])
    machine.service.everybody = refused(503)
    summary = machine.run(run)
    assert summary.tallies["plain"].halted is not None
    assert states(machine) == {"ASKED": 1}


def test_what_was_interrupted_goes_on(machine: Machine) -> None:
    run = machine.begin(invites(300))

    with machine.process() as process:
        machine.service.answered = lambda: (
            process.stop() if sum(machine.service.posts.values()) >= 40 else None
        )
        summary = process.runner.run(run)
        assert summary.interrupted
    machine.service.answered = lambda: None
    assert 0 < states(machine)["ASKED"] < 300
    with machine.process() as process:
        unfinished = runs.unfinished_run(process.store)
        assert unfinished is not None
        assert unfinished.id == run
        assert process.runner.run(run).left == 0
        assert runs.unfinished_run(process.store) is None
    assert machine.service.emails == {one.email: 1 for one in invites(300)}


def test_an_order_that_was_interrupted_before_sending_is_not_unresolved(machine: Machine) -> None:
    run = machine.begin(invites(1))
    machine.service.everybody = refused(429)
    with machine.process() as process:
        machine.service.answered = process.stop
        assert process.runner.run(run).interrupted
    assert states(machine) == {"ASKED": 1}
    machine.service.everybody = None
    began = machine.clock.monotonic()
    assert machine.run(run).left == 0
    assert machine.clock.monotonic() - began < LATE_EFFECT
    assert [row["attempts"] for row in machine.rows()] == [1]


def test_ctrl_c_ends_the_run_and_says_so(machine: Machine) -> None:
    def interrupt(_tallies: object) -> None:
        raise KeyboardInterrupt

    summary = machine.run(machine.begin(invites(2000)), progress=interrupt)
    assert summary.interrupted
    assert summary.left > 0
    assert not [one for one in threading.enumerate() if one.name.startswith("guestlist-plain")]


def test_ctrl_c_between_two_accounts_leaves_nothing_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path / "guestlist.db", {"one": Plain, "other": Plain})
    run = machine.begin([*invites(2000, "one"), *invites(2000, "other")])
    start, started = threading.Thread.start, list[threading.Thread]()

    def interrupted(thread: threading.Thread) -> None:
        if thread.name in ("guestlist-one", "guestlist-other"):
            started.append(thread)
            if len(started) == 2:
                raise KeyboardInterrupt
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    summary = machine.run(run)
    assert summary.interrupted
    assert summary.left > 0
    assert not started[0].is_alive()


def test_a_failing_display_ends_the_run(machine: Machine) -> None:
    def broken(_tallies: object) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        machine.run(machine.begin(invites(2000)), progress=broken)
    assert not [one for one in threading.enumerate() if one.name.startswith("guestlist-plain")]


def test_a_disk_that_fills_up_stops_the_run_before_anything_unrecorded_is_sent(
    machine: Machine,
) -> None:
    run = machine.begin(invites(500))
    with machine.process() as process:
        with process.store.engine.begin() as connection:
            pages = connection.scalar(text("PRAGMA page_count"))

        def connected(connection: object, _record: object) -> None:
            connection.execute(f"PRAGMA max_page_count = {pages + 2}")  # type: ignore[attr-defined]

        event.listen(process.store.engine, "connect", connected)
        process.store.engine.dispose()
        with pytest.raises(LedgerError, match="full"):
            process.runner.run(run)
    sent = sum(machine.service.posts.values())
    assert 0 < sent < 500
    assert sent <= states(machine)["INTENDED"] + states(machine)["DONE"]
    machine.run(run)
    assert machine.service.emails == {one.email: 1 for one in invites(500)}


def test_a_ledger_that_fails_stops_the_run_before_anything_unrecorded_is_sent(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path / "guestlist.db", {"one": Plain, "other": Plain})
    run = machine.begin([*invites(100, "one"), *invites(100, "other")])
    gone = []

    def commit() -> None:
        if sum(sum(one.posts.values()) for one in machine.services.values()) > 30:
            gone.append(1)
            raise OSError("the database went away")

    with machine.process() as process:
        process.die(commit=commit)
        with pytest.raises(LedgerError, match="went away"):
            process.runner.run(run)
    sent = sum(sum(one.posts.values()) for one in machine.services.values())
    assert gone
    assert sent <= states(machine)["INTENDED"] + states(machine)["DONE"] < 200
    machine.run(run)
    for service in machine.services.values():
        assert service.emails == {one.email: 1 for one in invites(100)}


def test_each_that_waits_gets_an_error_of_its_own(machine: Machine) -> None:
    """Each error says whom it is about."""
    with machine.process() as process:
        errors: list[LedgerError] = []

        def write() -> None:
            try:
                process.store.write(lambda connection: connection.execute(text("nonsense")))
            except LedgerError as error:
                errors.append(error)

        threads = [threading.Thread(target=write) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({id(error) for error in errors}) == 5


def test_two_runs_on_one_file_are_refused(machine: Machine) -> None:
    with (
        machine.process() as one,
        machine.process() as other,
        exclusive(one.store),
        pytest.raises(LedgerError, match="another run is under way"),
        exclusive(other.store),
    ):
        pass


def test_deferred_roles_are_written_once(machine: Machine) -> None:
    machine.service.faults["ada@example.com"] = [LOST]
    run = machine.begin([change("ada@example.com", deferred=("dev", "ops"))])
    machine.run(run)
    deferred = machine.rows("role, state", "action = 'settle'")
    assert [(row["role"], row["state"]) for row in deferred] == [("dev", 2), ("ops", 2)]
    machine.run(machine.begin([change("ada@example.com", deferred=("dev", "ops"))]))
    assert len(machine.rows("*", "action = 'settle'")) == 2


def test_passes_go_in_the_order_of_the_actions(machine: Machine) -> None:
    """A role is taken only when the other one is given, whatever had to be repeated."""
    ada = machine.service.add_person("ada@example.com", "old")
    lines: list[str] = []
    machine.service.sent = lambda line, _email: lines.append(line)
    machine.service.faults["ada@example.com"] = [VOID, VOID, VOID, VOID, VOID]
    facts: Facts = {"state": "accepted", "member": ada}
    run = machine.begin(
        [
            change("ada@example.com", Action.UNASSIGN_ROLE, roles=("old",), **facts),
            change("ada@example.com", Action.ASSIGN_ROLE, roles=("new",), **facts),
        ]
    )
    assert not machine.run(run).failed
    assert machine.service.people[0]["roles"] == ["new"]
    assert [line.split()[0] for line in lines] == ["PUT"] * 6 + ["DELETE"]


def test_a_role_is_kept_when_its_replacement_is_refused(machine: Machine) -> None:
    changes: list[Change] = []
    for email in ("ada@example.com", "bob@example.com"):
        facts: Facts = {"state": "accepted", "member": machine.service.add_person(email, "old")}
        changes.append(change(email, Action.UNASSIGN_ROLE, roles=("old",), **facts))
        changes.append(change(email, Action.ASSIGN_ROLE, roles=("new",), **facts))
    machine.service.faults["ada@example.com"] = [refused(422)]
    summary = machine.run(machine.begin(changes))
    assert summary.failed
    assert [person["roles"] for person in machine.service.people] == [["old"], ["new"]]
    (row,) = machine.rows(
        "outcome, detail", "action = 'unassign_role' AND email = 'ada@example.com'"
    )
    assert row["outcome"] == "Conflict"
    assert "'old' was not taken away" in row["detail"]


def test_a_plan_waits_until_the_lists_show_what_another_process_has_just_done(
    machine: Machine,
) -> None:
    machine.first_run(invites(1))
    with machine.process() as process:
        assert list(process.guests.invitations()) == []
        assert process.runner.claims() is None
        assert [one.email for one in process.guests.invitations()] == [invites(1)[0].email]


def test_a_plan_does_not_wait_when_nothing_was_done_lately(machine: Machine) -> None:
    machine.first_run(invites(1))
    machine.clock.sleep(3600)
    before = machine.clock.monotonic()
    with machine.process() as process:
        process.runner.claims()
    assert machine.clock.monotonic() == before
