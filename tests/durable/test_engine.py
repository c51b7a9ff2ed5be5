"""Runs that workers carry out together, on a PostgreSQL of the test's own."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from tests import postgres
from tests.durable.kit import BUDGET, PAGE, Facts, Paired, Plain, Service, change, invites, refused

from guestlist import Guestlist
from guestlist.changes import ORDER, Action, Change
from guestlist.errors import ConfigError, Conflict, RateLimited, ServiceUnavailable, UnknownAccount
from guestlist.event import Event
from guestlist.exchange.clock import Clock, SystemClock
from guestlist.exchange.recording import Preparation
from guestlist.ledger import orders, runs
from guestlist.ledger.entry import OrderEntry
from guestlist.ledger.lock import PLANNING, exclusive
from guestlist.ledger.order import SKEW, Order, OrderOutcome
from guestlist.ledger.orders import OrderTaken
from guestlist.ledger.schema import OrderState
from guestlist.ledger.store import Store
from guestlist.runs import runner as runner_module
from guestlist.runs.execution import excessive_pause_error
from guestlist.runs.runner import Runner, RunSummary
from guestlist.runs.stop import Stop
from guestlist.runs.workers import shared
from guestlist.runs.workers import worker as engine
from guestlist.runs.workers.together import run_together
from guestlist.runs.workers.worker import Queue, enqueue, queue_schema, watch_run, work_on_runs

pytestmark = pytest.mark.skipif(postgres.missing() is not None, reason=str(postgres.missing()))
numbers = itertools.count()


@pytest.fixture
def server(postgresql: postgres.Server) -> postgres.Server:
    return postgresql


class Pool:
    """A ledger on the server, and workers on it, each with a client of its own."""

    kind: type[Plain] = Plain

    def __init__(self, url: str) -> None:
        self.url = url
        self.store = Store(url)
        self.service = Service(SystemClock())
        self.stop = Stop()
        self.failures: list[Exception] = []
        self.events: list[Event] = []

    @contextmanager
    def workers(self, count: int = 2) -> Iterator[None]:
        """So many workers."""
        threads = [threading.Thread(target=self._work) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop()
            for thread in threads:
                thread.join()
            self.stop = Stop()

    def _work(self) -> None:
        try:
            work_on_runs(self._client, self.url, stop=self.stop)
        except Exception as error:
            self.failures.append(error)

    def _client(self, clock: Clock) -> Guestlist:
        accounts = {"plain": self.kind(base_url="https://plain.test")}
        return Guestlist(
            accounts,
            transport=self.service,
            clock=clock,
            budget=BUDGET,
            watch=self.events.append,
        )

    @contextmanager
    def runner(self) -> Iterator[Runner]:
        """Who makes plans, besides the workers."""
        with self._client(SystemClock()) as guests:
            yield Runner(guests, self.store, Stop())

    def wait(self, sent: int) -> None:
        """Until so many requests have left."""
        deadline = time.monotonic() + 60
        while sum(self.service.posts.values()) < sent:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def uninvited(self, changes: list[Change]) -> list[Change]:
        """What is left to do, as the service's lists say."""
        with self._client(SystemClock()) as guests:
            seen = {one.email for one in guests.invitations()}
        return [one for one in changes if one.email not in seen]

    def states(self) -> Counter[str]:
        with self.store.reading() as connection:
            rows = connection.scalars(text("SELECT state FROM orders"))
            return Counter(OrderState(state).name for state in rows)

    def follow(self, run: int, accounts: Collection[str] | None = None) -> RunSummary:
        """Watches a run to its end, as long as its workers live."""

        def watch(_tallies: object) -> None:
            if self.failures:
                raise self.failures[0]

        return watch_run(self.store, run, Stop(), watch, accounts=accounts)

    def begin(self, changes: list[Change]) -> int:
        """Writes a run down and puts it into the queue."""
        run = runs.begin_run(self.store, lambda: changes, "digest", "guestlist.toml", time.time())
        enqueue(self.store, run, time.time())
        return run

    def tamper(self, statement: str) -> None:
        """Changes the queue's tables."""
        with self.store.engine.begin() as connection:
            connection.execute(text(f"SET LOCAL search_path = {queue_schema()}"))
            connection.execute(text(statement))


@pytest.fixture
def pool(server: postgres.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    monkeypatch.setattr("guestlist.runs.workers.supervisor.ORDERS_PER_CHUNK", 20)
    with ExitStack() as closing:
        pool = Pool(server.new_database(f"test{next(numbers)}"))
        closing.callback(pool.store.close)
        yield pool


def test_several_workers_share_a_run(pool: Pool) -> None:
    run = pool.begin(invites(90))
    with pool.workers(3):
        summary = pool.follow(run)
    assert summary.tallies["plain"].done == {"invited": 90}
    assert pool.service.emails == {one.email: 1 for one in invites(90)}
    assert not pool.failures
    assert runs.unfinished_run(pool.store) is None


def test_one_kind_of_order_after_another(pool: Pool) -> None:
    people = [pool.service.add_person(f"guest{n}@example.com", "old") for n in range(50)]
    lines: list[str] = []
    pool.service.sent = lambda line, _email: lines.append(line.split()[0])
    changes = []
    for person in people:
        facts: Facts = {"state": "accepted", "member": person}
        changes.append(change(person.label, Action.UNASSIGN_ROLE, roles=("old",), **facts))
        changes.append(change(person.label, Action.ASSIGN_ROLE, roles=("new",), **facts))
    run = pool.begin(changes)
    with pool.workers():
        pool.follow(run)
    assert lines == ["PUT"] * 50 + ["DELETE"] * 50
    assert {tuple(one["roles"]) for one in pool.service.people} == {("new",)}


def test_a_role_is_kept_when_its_replacement_is_refused(pool: Pool) -> None:
    ada = pool.service.add_person("ada@example.com", "old")
    pool.service.faults["ada@example.com"] = [refused(422)]
    facts: Facts = {"state": "accepted", "member": ada}
    run = pool.begin(
        [
            change(ada.label, Action.UNASSIGN_ROLE, roles=("old",), **facts),
            change(ada.label, Action.ASSIGN_ROLE, roles=("new",), **facts),
        ]
    )
    with pool.workers():
        summary = pool.follow(run)
    assert summary.tallies["plain"].refused == {"Rejected": 1, "Conflict": 1}
    assert pool.service.people[0]["roles"] == ["old"]


def test_what_was_answered_with_a_page_is_not_sent_again(pool: Pool) -> None:
    """The worker that looks up the outcome is not the one that got the answer."""
    pool.service.faults["guest0@example.com"] = [PAGE]
    run = pool.begin(invites(2))
    with pool.workers():
        summary = pool.follow(run)
    assert summary.tallies["plain"].unknown == 1
    assert pool.states() == {"DONE": 1, "UNKNOWN": 1}
    assert pool.service.posts == {one.email: 1 for one in invites(2)}


def test_a_refused_key_stops_the_account_until_the_next_run(pool: Pool) -> None:
    pool.service.everybody = refused(401)
    run = pool.begin(invites(300))
    with pool.workers():
        summary = pool.follow(run)
        assert "401" in str(summary.tallies["plain"].halted)
        assert summary.left == 300
        assert sum(pool.service.posts.values()) < 300
        pool.service.everybody = None
        for _ in range(5):  # what was refused before may be noted only after it was asked again
            enqueue(pool.store, run, time.time())
            if not pool.follow(run).left:
                break
        assert pool.follow(run).left == 0
    assert set(pool.service.emails.values()) == {1}


def test_a_service_that_is_down_is_not_waited_for_for_ever(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MAX_SILENCE_SECONDS", 3.0)
    pool.service.everybody = refused(503)
    run = pool.begin(invites(20))
    with pool.workers(1):
        summary = pool.follow(run)
        assert summary.left == 20
        assert isinstance(summary.tallies["plain"].halted, ServiceUnavailable)
        pool.service.everybody = None
        monkeypatch.undo()
        assert pool.follow(run).left == 0
    assert pool.service.emails == {one.email: 1 for one in invites(20)}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_worker_that_waits_for_a_service_says_until_when(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """GET: before it begins to work on the run. POST: while it works."""
    original = pool.service.handle_request

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == method:
            return httpx.Response(429, headers={"Retry-After": "86400"})
        return original(request)

    monkeypatch.setattr(pool.service, "handle_request", handle)
    pool.begin(invites(2))
    deadline = time.monotonic() + 60
    with pool.workers(1):
        while not any(event.name == "pause" for event in pool.events):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    [pause] = [event for event in pool.events if event.name == "pause"]
    assert "HTTP 429: " in str(pause.detail)
    assert pause.retry_after == pytest.approx(86_400, abs=60)


def test_a_run_on_many_machines_ends_if_a_pause_is_too_long(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = pool.service.handle_request

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(429, headers={"Retry-After": "1800"})
        return original(request)

    monkeypatch.setattr(pool.service, "handle_request", handle)
    run = pool.begin(invites(2))
    began = time.monotonic()
    with pool._client(SystemClock()) as guests:
        hurried = guests.with_budget(waiting=600.0)
        summary = run_together(
            pool.store,
            run,
            lambda clock: nullcontext(hurried.with_clock(clock)),
            Stop(),
            too_long=partial(excessive_pause_error, hurried),
        )
    halted = summary.tallies["plain"].halted
    assert isinstance(halted, RateLimited)
    assert halted.retry_after == pytest.approx(1_800, abs=60)
    assert time.monotonic() - began < 60
    assert pool.states() == {"ASKED": 2}


def test_an_account_that_is_not_configured_is_not_waited_for(pool: Pool) -> None:
    run = pool.begin([*invites(10), *invites(2, "gone")])
    with pool.workers(1):
        summary = pool.follow(run, {"plain"})
    assert summary.tallies["plain"].left == 0
    assert isinstance(summary.tallies["gone"].halted, UnknownAccount)
    assert summary.left == 2


def test_a_queue_that_is_emptied_loses_nothing(pool: Pool) -> None:
    run = pool.begin(invites(100))
    pool.tamper("DELETE FROM procrastinate_jobs")
    with pool.workers(1):
        assert pool.follow(run).left == 0
    assert pool.service.emails == {one.email: 1 for one in invites(100)}


def test_a_chunk_that_is_handed_out_twice_is_carried_out_once(pool: Pool) -> None:
    run = pool.begin(invites(60))
    pool.tamper(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, args)"
        " SELECT queue_name, task_name, args FROM procrastinate_jobs"
    )
    with pool.workers():
        assert pool.follow(run).left == 0
    assert pool.service.emails == {one.email: 1 for one in invites(60)}


def test_a_database_that_goes_away_ends_the_workers_before_anything_unrecorded_is_sent(
    pool: Pool, server: postgres.Server
) -> None:
    pool.begin(invites(3000))
    gone = threading.Event()

    def sent(_line: str, _email: str) -> None:
        if sum(pool.service.posts.values()) > 200 and not gone.is_set():
            gone.set()
            server.stop()

    pool.service.sent = sent
    with pool.workers():
        deadline = time.monotonic() + 60
        while len(pool.failures) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    server.start()
    assert len(pool.failures) == 2
    with pool.store.reading() as connection:
        rows = connection.execute(text("SELECT email, state FROM orders"))
        states = {row.email: row.state for row in rows}
    sent_to = pool.service.posts
    assert 200 < len(sent_to) < 3000
    assert {states[email] for email in sent_to} <= {OrderState.INTENDED, OrderState.DONE}


def test_ctrl_c_while_the_worker_begins_ends_it_too(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []

    def worker(*_: object, stop: Stop) -> None:
        ended.append(stop.wait(5))

    class Interrupted(ThreadPoolExecutor):
        def submit(self, *work: Any, **facts: Any) -> Any:
            super().submit(*work, **facts)
            raise KeyboardInterrupt

    monkeypatch.setattr("guestlist.runs.workers.together.work_on_runs", worker)
    monkeypatch.setattr("guestlist.runs.workers.together.ThreadPoolExecutor", Interrupted)
    run = pool.begin(invites(1))
    summary = run_together(pool.store, run, pool._client, Stop())
    assert summary.interrupted
    assert summary.left == 1
    assert ended == [True]


def may_begin(pool: Pool, run: int) -> list[Order]:
    """What workers may take of a run's invitations."""
    return orders.next_of_action(pool.store, run, "plain", ORDER[Action.INVITE], 0, 1)


def test_a_plan_that_a_run_has_overtaken_is_refused_and_the_next_one_is_not(pool: Pool) -> None:
    everybody = invites(400)
    pool.service.answered = lambda: time.sleep(0.02)
    before = pool.begin(everybody)
    with pool.workers(), pool.runner() as runner:
        pool.wait(50)
        claims: runs.Claims | None = runs.attempts_by_account(pool.store)
        plan = pool.uninvited(everybody)
        pool.wait(150)
        with pytest.raises(Conflict, match="plain"):
            runner.begin(lambda: plan, "another", "guestlist.toml", before=claims)
        assert not shared.run_has_ended(pool.store, before)
        with exclusive(pool.store), runner.paused_workers():
            assert not runner.reconcile().failed
            claims, plan = runner.claims(), pool.uninvited(everybody)
            assert may_begin(pool, before) == []
            run = runner.begin(lambda: plan, "another", "guestlist.toml", before=claims)
        assert plan
        enqueue(pool.store, run, time.time())
        assert pool.follow(run).left == 0
    assert pool.service.emails == {one.email: 1 for one in everybody}
    assert shared.unfinished_runs(pool.store) == []
    assert not pool.failures


def test_workers_go_on_where_no_new_run_was_begun(pool: Pool) -> None:
    run = pool.begin(invites(300))
    with pool.workers(1), pool.runner() as runner:
        with exclusive(pool.store), runner.paused_workers():
            asked = sum(pool.service.posts.values())
        assert pool.follow(run).left == 0
    assert asked < 300
    assert pool.service.emails == {one.email: 1 for one in invites(300)}


def test_workers_go_on_after_a_planner_that_was_killed(pool: Pool) -> None:
    run = pool.begin(invites(10))
    with exclusive(pool.store):
        shared.pause_all(pool.store, time.time())
        shared.end_abandoned_pause(pool.store, PLANNING)  # as workers do again and again
        assert may_begin(pool, run) == []
    with pool.workers(1):
        deadline = time.monotonic() + 60
        while not shared.run_has_ended(pool.store, run):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert pool.service.emails == {one.email: 1 for one in invites(10)}


def test_what_is_under_way_as_a_plan_is_made_may_come_about_after_it(pool: Pool) -> None:
    run = pool.begin(invites(1))
    claimed(pool, run)
    with pool.runner() as runner, pytest.raises(Conflict, match="plain"):
        runner.begin(lambda: invites(2), "another", "guestlist.toml", before=runner.claims())


def test_nothing_is_sent_for_a_run_that_another_one_has_replaced(pool: Pool) -> None:
    """Not even what was in doubt as it was replaced, and then shown not to have happened."""
    run = pool.begin(invites(2))
    claimed(pool, run, 60.0)
    with pool.runner() as runner:
        runner.begin(list, "another", "guestlist.toml", before=runner.claims())
    assert pool.states() == {"INTENDED": 1, "DROPPED": 1}
    with pool.workers(1):
        deadline = time.monotonic() + 60
        while pool.states() != {"ASKED": 1, "DROPPED": 1}:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        ids = range(1, 3)
        with Queue(pool.store) as queue:
            queue.put(run, "plain", [list(ids)])
            while queue.is_busy("plain"):
                time.sleep(0.1)
    assert not pool.service.posts
    assert not pool.failures
    order = Order(1, run, invites(1)[0], 0, None)
    with pytest.raises(OrderTaken):
        OrderEntry(pool.store, order, SystemClock()).intend("POST invitations")


def test_what_another_machine_waits_for_is_not_put_back(pool: Pool) -> None:
    """Its answer would find nothing to be written to, and the request would be sent again."""
    person = pool.service.add_person("ada@example.com", "old")
    facts: Facts = {"state": "accepted", "member": person}
    run = pool.begin([change(person.label, Action.UNASSIGN_ROLE, roles=("old",), **facts)])
    claimed(pool, run, 1.0, Action.UNASSIGN_ROLE)
    with pool.runner() as runner:
        assert runner.reconcile().left == 1
    assert pool.states() == {"INTENDED": 1}


def test_what_nobody_waits_for_any_more_is_put_back(pool: Pool) -> None:
    person = pool.service.add_person("ada@example.com", "old")
    facts: Facts = {"state": "accepted", "member": person}
    run = pool.begin([change(person.label, Action.UNASSIGN_ROLE, roles=("old",), **facts)])
    claimed(pool, run, 60.0, Action.UNASSIGN_ROLE)
    with pool.runner() as runner:
        runner.reconcile()
    assert pool.states() == {"ASKED": 1}


def test_workers_complete_what_a_dead_process_has_only_prepared(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lists show the record of the first request, for which no email was sent."""
    monkeypatch.setattr(Pool, "kind", Paired)
    (ada,) = invites(1)
    run = pool.begin([ada])
    claimed(pool, run, 60.0, preparation=Preparation.PREPARED)
    pool.service.add_invitation(ada.email)
    with pool.workers(1):
        assert pool.follow(run).tallies["plain"].emails == 1
    assert pool.service.emails == {ada.email: 1}
    assert pool.states() == {"DONE": 1}


def claimed(
    pool: Pool,
    run: int,
    ago: float = 0.0,
    action: Action = Action.INVITE,
    preparation: Preparation | None = None,
) -> None:
    """The first order of a run was claimed, so many seconds ago, by somebody who is gone."""
    now = time.time() - ago
    first = orders.next_of_action(pool.store, run, "plain", ORDER[action], 0, 1)[0]
    assert pool.store.write(
        lambda c: orders.record_intent(c, first.id, "POST invitations", now, None, preparation)
    )


def test_a_file_is_nothing_to_share(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/guestlist.db")
    with pytest.raises(ConfigError, match="PostgreSQL"):
        enqueue(store, 1, 0.0)
    store.close()


def test_a_plan_sees_what_was_answered_after_the_workers_had_their_time(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service's list shows an invitation only a second after it was created."""
    monkeypatch.setattr(runner_module, "QUIET_SECONDS", 0.1)
    (ada,) = invites(1)
    run = pool.begin([ada])
    claimed(pool, run)
    (sent,) = orders.unanswered_orders(pool.store)
    with pool.runner() as runner, runner.paused_workers():
        pool.service.add_invitation(ada.email)
        OrderEntry(pool.store, sent, SystemClock()).done(OrderOutcome("invited"))
        runner.reconcile()
        before = runner.claims()
        plan = pool.uninvited([ada])
        runner.begin(lambda: plan, "another", "guestlist.toml", before=before)
    assert plan == []


def test_a_plan_waits_for_requests_that_are_under_way_elsewhere(pool: Pool) -> None:
    run = pool.begin(invites(1))
    claimed(pool, run)
    (sent,) = orders.unanswered_orders(pool.store)

    def answer() -> None:
        time.sleep(0.5)
        OrderEntry(pool.store, sent, SystemClock()).done(OrderOutcome("invited"))

    with pool.runner() as runner, ThreadPoolExecutor(1) as elsewhere:
        began = time.monotonic()
        answered = elsewhere.submit(answer)
        with runner.paused_workers():
            assert answered.done()
            assert pool.states() == {"DONE": 1}
    assert time.monotonic() - began < runner_module.QUIET_SECONDS


def test_a_plan_gives_up_waiting_for_requests_that_get_no_answer(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "QUIET_SECONDS", 1.0)
    run = pool.begin(invites(1))
    claimed(pool, run)
    with pool.runner() as runner:
        began = time.monotonic()
        with runner.paused_workers():
            waited = time.monotonic() - began
    assert 1.0 <= waited < 10.0
    assert pool.states() == {"INTENDED": 1}


def test_a_request_whose_time_is_over_is_not_waited_for(pool: Pool) -> None:
    run = pool.begin(invites(1))
    claimed(pool, run, BUDGET.total + SKEW + 1)
    with pool.runner() as runner:
        began = time.monotonic()
        with runner.paused_workers():
            assert time.monotonic() - began < runner_module.QUIET_SECONDS


def test_a_worker_that_is_stopped_while_it_waits_ends_and_sends_nothing(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits because too many requests have got no answer."""
    monkeypatch.setattr(engine, "MAX_UNANSWERED", 0)
    waiting = threading.Event()
    count = shared.count_unanswered

    def counted(store: Store, account: str) -> int:
        waiting.set()
        return count(store, account)

    monkeypatch.setattr(shared, "count_unanswered", counted)
    pool.begin(invites(10))
    began = time.monotonic()
    with pool.workers(1):
        assert waiting.wait(60)
        began = time.monotonic()
    assert time.monotonic() - began < 30
    assert pool.service.posts == {}
    assert pool.states() == {"ASKED": 10}
    assert not pool.failures
