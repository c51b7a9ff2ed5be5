"""`apply` and `settle` on a ledger that several processes work on, one after another or at once."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest
from tests import postgres
from tests.core.cli.conftest import Cli, Run

from guestlist.changes import ORDER, Action, Change
from guestlist.ledger import orders, runs
from guestlist.ledger.order import OrderOutcome
from guestlist.ledger.schema import OrderState
from guestlist.ledger.store import Store
from guestlist.roster.planfile import read_plan
from guestlist.runs.workers import shared
from guestlist.sandbox import Sandbox

ROSTER = """
[accounts.cloud]
provider = "vultr"

[[people]]
email = "ada@example.com"
accounts.cloud = true
"""

numbers = itertools.count()


@pytest.fixture
def server(postgresql: postgres.Server) -> postgres.Server:
    return postgresql


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, cli: Cli, tmp_path: Path) -> str:
    """A ledger's, with a roster and a plan beside it."""
    Path("guestlist.toml").write_text(ROSTER)
    cli("plan", "guestlist.toml", "--ledger", "another.db", "--out", "team.plan")
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    server: postgres.Server = request.getfixturevalue("server")
    return server.new_database(f"together{next(numbers)}")


def begin(store: Store, *emails: str, account: str = "cloud") -> int:
    """A run of the plan, which nobody has worked on yet."""
    asked = read_plan(Path("team.plan")).digest
    changes = [
        Change(action=Action.INVITE, account=account, email=email, key=email) for email in emails
    ]
    return runs.begin_run(store, lambda: changes, asked, "guestlist.toml", time.time())


def apply(cli: Cli, url: str) -> Run:
    """Goes on with it."""
    words = ("--ledger", url, "--plan", "team.plan", "--yes", "--json")
    return cli("apply", "guestlist.toml", *words)


def settle(store: Store, run: int, state: OrderState, done: OrderOutcome) -> None:
    """What another process has written about the first order of a run."""
    first = orders.next_of_action(store, run, "cloud", ORDER[Action.INVITE], 0, 1)[0]
    store.write(lambda c: orders.record_outcome(c, first.id, time.time(), None, state, done))


@pytest.mark.parametrize(
    ("state", "done", "code", "error"),
    [
        (OrderState.REFUSED, OrderOutcome("Conflict", detail="it said no"), 1, "Conflict"),
        (
            OrderState.REFUSED,
            OrderOutcome("SomePluginsOwn", detail="it said no"),
            1,
            "GuestlistError",
        ),
        (
            OrderState.UNKNOWN,
            OrderOutcome("unknown", detail="it may have happened"),
            3,
            "OutcomeUnknown",
        ),
    ],
)
def test_what_failed_in_another_process_is_no_success(
    cli: Cli, url: str, state: OrderState, done: OrderOutcome, code: int, error: str
) -> None:
    store = Store(url)
    settle(store, begin(store, "ada@example.com", "bob@example.com"), state, done)
    store.close()
    applied = apply(cli, url)
    assert applied.code == code
    assert [(one["error"], one["email"]) for one in applied.errors] == [(error, "ada@example.com")]


def test_unknown_outcomes_come_before_refusals(cli: Cli, url: str) -> None:
    """Of many failures only the first are told, and the exit code is theirs."""
    store = Store(url)
    run = begin(store, *(f"p{number}@example.com" for number in range(30)), "ada@example.com")
    refused = OrderOutcome("Conflict", detail="it said no")
    for _ in range(29):
        settle(store, run, OrderState.REFUSED, refused)
    settle(store, run, OrderState.UNKNOWN, OrderOutcome("unknown", detail="it may have happened"))
    store.close()
    applied = apply(cli, url)
    assert applied.code == 3
    assert len(applied.errors) == 20


def test_a_failure_in_this_process_is_reported_once(cli: Cli, url: str, sandbox: Sandbox) -> None:
    store = Store(url)
    begin(store, "ada@example.com", "no address")
    store.close()
    applied = apply(cli, url)
    assert applied.code == 2
    assert [(one["error"], one["email"]) for one in applied.errors] == [
        ("InvalidArgument", "no address")
    ]
    assert [mail.to for mail in sandbox.outbox.emails] == ["ada@example.com"]


def test_another_roster_takes_the_place_of_a_run_that_was_interrupted(
    cli: Cli, url: str, sandbox: Sandbox
) -> None:
    store = Store(url)
    before = begin(store, "bob@example.com")
    Path("guestlist.toml").write_text(ROSTER.replace("ada@", "eve@"))
    applied = cli("apply", "guestlist.toml", "--ledger", url, "--yes")
    assert applied.code == 0, applied.err
    assert [mail.to for mail in sandbox.outbox.emails] == ["eve@example.com"]
    assert shared.run_has_ended(store, before)
    assert shared.stopped_accounts(store, before) == {}
    store.close()


def test_orders_of_an_account_that_is_not_configured_are_reported(cli: Cli, url: str) -> None:
    store = Store(url)
    begin(store, "ada@example.com", account="gone")
    store.close()
    applied = apply(cli, url)
    assert applied.code == 2
    assert [(one["error"], one["account"]) for one in applied.errors] == [
        ("UnknownAccount", "gone")
    ]
