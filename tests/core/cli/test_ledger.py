"""`log` and `forget`: what the ledger holds, and deleting from it."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.core.cli.program import Program
from tests.ledger.story import ADA, BOB, EVE, Story, day

from guestlist.changes import Action
from guestlist.cli.commands import log
from guestlist.cli.confirmation import confirm
from guestlist.cli.parser import UsageError
from guestlist.exchange.clock import SystemClock
from guestlist.ledger.schema import OrderState
from guestlist.ledger.store import Store

from .conftest import Cli, script

WIDE = ["When", "Guest", "Account", "Action", "Role", "Result"]


@pytest.fixture
def story(clean: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    """A ledger where one is looked for, ten days after the first day of the story."""
    monkeypatch.setattr(SystemClock, "now", lambda self: day(10))
    store = Store("sqlite:///guestlist.db")
    yield Story(store)
    store.close()


@pytest.fixture
def week(story: Story) -> Story:
    story.settled(
        ADA, 0, run=story.run(), email_sent=True, deferred=("group:Engineering",), reason="new"
    )
    refused = {"state": OrderState.REFUSED, "outcome": "Forbidden", "detail": "not from elsewhere"}
    story.settled(EVE, 3, **refused, account="office", roles=("Member",))  # type: ignore[arg-type]
    story.doubtful(BOB, 7)
    story.asked(BOB, 9.999, action=Action.REMOVE)
    return story


def test_the_table(plain: Cli, week: Story) -> None:
    assert plain("log").table == [
        "When          Guest            Account  Action  Result",
        "10 days ago   ada@example.com  cloud    invite  invited",
        "10 days ago   ada@example.com  cloud    settle  deferred",
        "7 days ago    eve@example.com  office   invite  refused: not from elsewhere",
        "3 days ago    bob@example.com  cloud    invite  unresolved",
        "1 minute ago  bob@example.com  cloud    remove  waiting",
    ]


def test_an_order_without_effect_is_not_called_refused(plain: Cli, story: Story) -> None:
    why = "no answer came, and a lookup has found no effect"
    story.settled(ADA, 8, state=OrderState.REFUSED, outcome="did not happen", detail=why)
    shown = " ".join(plain("log").out.split())
    assert f"did not happen: {why}" in shown
    assert "refused" not in shown


@pytest.mark.parametrize("columns", [80, 120])
def test_it_fits(plain: Cli, week: Story, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    long = "somebody.with.a.rather.long.name@a-department.example.com"
    week.settled(long, 8, detail="a long explanation of what the service has said about it " * 3)
    monkeypatch.setenv("COLUMNS", str(columns))
    for words in ([], ["-v"]):
        run = plain("log", *words)
        assert all(len(line) <= columns for line in run.table)
        assert long in run.out


def test_what_was_said_is_wrapped_before_the_role_is_left_out(
    plain: Cli, week: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    week.settled(BOB, 8, detail="a long explanation of what the service has said about it " * 3)
    monkeypatch.setenv("COLUMNS", "120")
    assert plain("log").table[0].split()[:6] == WIDE


def test_verbose_shows_the_whole_history(plain: Cli, week: Story) -> None:
    run = plain("log", ADA, "-v")
    assert [line for line in run.table if line] == [
        "When     21 Nov 2026, 12:00:00 UTC",
        "Guest    ada@example.com",
        "Account  cloud",
        "Action   invite",
        "Role     group:Engineering (deferred)",
        "Result   invited",
        "Email    sent",
        "Run      1",
        "Order    1",
        "History  21 Nov 2026, 12:00:00 UTC asked: new",
        "         21 Nov 2026, 12:00:00 UTC sent: POST /v2/invitation",
        "         21 Nov 2026, 12:00:00 UTC invited",
        "When     21 Nov 2026, 12:00:00 UTC",
        "Guest    ada@example.com",
        "Account  cloud",
        "Action   settle",
        "Role     group:Engineering",
        "Result   deferred",
        "Order    2",
        "History  21 Nov 2026, 12:00:00 UTC asked",
    ]


def test_a_pipe_gets_a_line_for_each_order_and_in_full_for_each_event(
    plain: Cli, week: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    assert len(plain("log").table) == 1 + 5
    heading, *events = plain("log", ADA, "-v").table
    assert heading.split() == [*WIDE[:5], "Event", "Detail", "Run", "Order"]
    assert [line.split("invite", 1)[1].split() for line in events if "invite  " in line] == [
        ["group:Engineering", "(deferred)", "asked", "new", "1", "1"],
        ["group:Engineering", "(deferred)", "sent", "POST", "/v2/invitation", "1", "1"],
        ["group:Engineering", "(deferred)", "invited", "1", "1"],
    ]


@pytest.mark.parametrize(
    ("words", "orders"),
    [
        ([], [1, 2, 3, 4, 5]),
        (["Ada@Example.com"], [1, 2]),
        ([ADA, EVE], [1, 2, 3]),
        (["-a", "office"], [3]),
        (["--state", "unresolved", "--state", "waiting"], [4, 5]),
        (["--run", "1"], [1]),
        (["--since", "4d"], [4, 5]),
        (["--since", "2026-11-24"], [3, 4, 5]),
        (["--since", "2026-11-24T12:00:01"], [4, 5]),
        (["--since", "2026-11-24T14:00:00+02:00"], [3, 4, 5]),
        (["--until", "2026-11-24"], [1, 2, 3]),
        (["--until", "2026-11-23"], [1, 2]),
        (["--last", "2"], [4, 5]),
    ],
)
def test_which_orders(plain: Cli, week: Story, words: list[str], orders: list[int]) -> None:
    rows = plain("log", "--json", *words).results
    assert [row["id"] for row in rows] == orders
    exported = plain("log", "--export", "jsonl", *words).out.splitlines()
    assert [json.loads(line)["id"] for line in exported] == orders


def test_no_orders(plain: Cli, week: Story) -> None:
    run = plain("log", "nobody@example.com")
    assert (run.code, run.out) == (0, "No orders.\n")


def test_a_table_shows_the_newest_and_says_so(
    plain: Cli, week: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "MAX_ORDERS_IN_TABLE", 2)
    run = plain("log")
    assert len(run.table) == 1 + 2
    assert run.err.startswith("hint: 3 older orders not shown")
    assert plain("log", "--last", "2").err == ""
    monkeypatch.setattr(log, "MAX_ORDERS_IN_TABLE", 4)
    assert plain("log").err.startswith("hint: 1 older order not shown")
    monkeypatch.setattr(log, "MAX_ORDERS_IN_TABLE", 5)
    run = plain("log")
    assert (len(run.table), run.err) == (1 + 5, "")
    assert len(plain("log", "--json").results) == 5


def test_csv(plain: Cli, week: Story) -> None:
    week.settled("=cmd@example.com", 8)
    rows = list(csv.DictReader(io.StringIO(plain("log", "--export", "csv").out)))
    assert [row["state"] for row in rows] == [
        "done",
        "deferred",
        "refused",
        "unresolved",
        "waiting",
        "done",
    ]
    assert rows[-1]["email"] == "'=cmd@example.com"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_one_line(week: Story) -> None:
    with open("/dev/full", "w") as full:
        run = script("log", "--export", "csv", stdout=full)
    told = "error: the output cannot be written: No space left on device\n"
    assert (run.returncode, run.stderr) == (1, told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["log", "--since", "yesterday"], "neither a date such as"),
        (["log", "--since", "2026-13-01"], "neither a date such as"),
        (["log", "--since", "999999999999d"], "neither a date such as"),
        (["log", "--since", "900000d"], "out of range"),
        (["log", "--until", "9999-12-31"], "out of range"),
        (["log", "--state", "lost"], "the states are: waiting, unresolved"),
        (["log", "--last", "0"], "is not a whole number above 0"),
        (["log", "--json", "--export", "csv"], "exclude each other"),
        (["log", "--ledger", "nowhere.db"], "there is no ledger"),
        (["forget"], "exactly one of: an address, --older-than, --expired"),
        (["forget", ADA, "--expired"], "exactly one of: an address, --older-than, --expired"),
        (
            ["forget", ADA, "--older-than", "7d"],
            "exactly one of: an address, --older-than, --expired",
        ),
        (["forget", "--older-than", "900000d", "--yes"], "out of range"),
        (["forget", ADA], "this command asks for confirmation"),
    ],
)
def test_what_is_asked_wrongly(plain: Cli, week: Story, words: list[str], told: str) -> None:
    run = plain(*words)
    assert run.code == 2
    assert run.err.startswith("error: ")
    assert told in run.err
    assert not Path("nowhere.db").exists()
    assert len(plain("log", "--json").results) == 5


def test_the_place(plain: Cli, week: Story) -> None:
    Path("team").mkdir()
    Path("team/guestlist.toml").touch()
    missing = plain("log", "--config", "team/guestlist.toml")
    assert "team/guestlist.db" in missing.err
    assert plain("log", "--config", "team/guestlist.toml", "--ledger", "guestlist.db").code == 0


def test_forget(plain: Cli, week: Story) -> None:
    run = plain("forget", ADA, "--yes")
    place = Path("guestlist.db").absolute()
    assert run.out.split() == f"Deleted from {place}: 2 orders and 2 rows of history.".split()
    assert ADA not in plain("log").out


def test_forget_in_json(plain: Cli, week: Story) -> None:
    [row] = plain("forget", ADA, "--yes", "--json").results
    assert (row["type"], row["email"], row["orders"], row["entries"]) == ("forgotten", ADA, 2, 2)


def test_nobody_of_that_name(plain: Cli, week: Story) -> None:
    run = plain("forget", "adda@example.com", "--yes")
    assert run.code == 1
    assert "has no orders of this person (adda@example.com)" in run.err


def test_forget_a_person_with_an_unresolved_request(plain: Cli, week: Story) -> None:
    run = plain("forget", BOB, "--yes")
    assert run.code == 1
    assert "a request for this person is unresolved" in run.err
    assert "--force" in run.err
    assert plain("forget", BOB, "--yes", "--force").code == 0


def test_forget_what_is_old(plain: Cli, week: Story) -> None:
    [row] = plain("forget", "--older-than", "8d", "--yes", "--json").results
    assert (row["orders"], row["email"]) == (1, None)
    assert datetime.fromisoformat(row["before"]) == datetime(2026, 11, 23, 12, tzinfo=UTC)
    states = [one["state"] for one in plain("log", "--json").results]
    assert states == ["deferred", "refused", "unresolved", "waiting"]


@pytest.mark.parametrize(("keep", "gone"), [("", 0), ('[ledger]\nkeep = "8 days"', 1)])
def test_forget_what_the_file_says_is_old(
    plain: Cli, week: Story, tmp_path: Path, keep: str, gone: int
) -> None:
    tmp_path.joinpath("guestlist.toml").write_text(keep)
    [row] = plain("forget", "--expired", "--yes", "--json").results
    assert row["orders"] == gone


@pytest.mark.parametrize(
    ("answer", "code", "left"), [("y\n", 0, 3), ("\n", 1, 5), ("\x04", 1, 5), ("\x03", 130, 5)]
)
def test_a_person_is_asked(plain: Cli, week: Story, answer: str, code: int, left: int) -> None:
    ours, theirs = pty.openpty()
    with Program("forget", ADA, stdin=theirs, stderr=theirs) as program:
        os.close(theirs)
        question = b""
        while not question.endswith(b"[y/N] "):
            question += os.read(ours, 1000)
        os.write(ours, answer.encode())
        assert program.wait(60) == code
    os.close(ours)
    assert "2 orders (1 deferred, which will not be granted)?" in question.decode()
    assert len(plain("log", "--json").results) == left


def test_reading_the_log_writes_nothing(week: Story, plain: Cli) -> None:
    before = Path("guestlist.db").read_bytes(), Path("guestlist.db-wal").read_bytes()
    assert plain("log").code == 0
    assert plain("log", "--export", "csv").code == 0
    assert (Path("guestlist.db").read_bytes(), Path("guestlist.db-wal").read_bytes()) == before


@pytest.mark.parametrize(
    ("stdin", "stderr"), [(True, False), (False, True), (False, False)], ids=str
)
def test_forget_asks_only_where_it_can_be_answered(
    stdin: bool, stderr: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question goes to stderr, and the answer comes from stdin: both have to be a terminal."""
    monkeypatch.setattr("sys.stdin", Terminal("yes\n", stdin))
    monkeypatch.setattr("sys.stderr", Terminal("", stderr))
    with pytest.raises(UsageError, match="asks for confirmation"):
        confirm("Delete everything?", yes=False)
    confirm("Delete everything?", yes=True)


class Terminal(io.StringIO):
    """Text in a terminal, or in a file."""

    def __init__(self, text: str, is_terminal: bool) -> None:
        super().__init__(text)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal
