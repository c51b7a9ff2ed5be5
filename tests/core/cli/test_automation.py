"""Schedulers and scripts: `--quiet`, `python -m guestlist`, signals, and ledgers out of reach."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.core.cli.program import Program

from guestlist.cli.confirmation import confirm
from guestlist.cli.parser import UsageError
from guestlist.cli.run_display import minimum_seconds
from guestlist.ledger import Ledger
from guestlist.provider.messages import Limit
from guestlist.sandbox import Sandbox

from .conftest import SCRIPT, Cli
from .test_interrupt import Silent

ROSTER = """
[accounts.cloud]
provider = "vultr"
[[people]]
email = "ada@example.com"
accounts.cloud = ["group:Engineering"]
"""


@pytest.mark.parametrize(
    "words",
    [
        ["apply", "--yes", "--ledger", "ledger.db"],
        ["plan", "--ledger", "ledger.db"],
        ["settle", "--ledger", "ledger.db"],
        ["members", "-a", "cloud"],
        ["invite", "bob@example.com", "-a", "cloud"],
    ],
)
def test_quiet_prints_nothing_on_success(cli: Cli, words: list[str]) -> None:
    Path("guestlist.toml").write_text(ROSTER)
    with Ledger("ledger.db"):
        pass
    for option in ("--quiet", "-q"):
        run = cli(*words, option)
        assert (run.code, run.out, run.err) == (0, "", "")


def test_quiet_shows_errors(cli: Cli) -> None:
    run = cli("invite", "nonsense@", "-a", "vultr", "--quiet")
    assert run.code == 2
    assert run.out == ""
    assert run.err.startswith("error: 'nonsense@' is not an e")
    assert cli("members", "--quiet", "--json").code == 2


def test_the_package_is_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "guestlist", "--version"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout.split()[0]) == (0, "guestlist")


@pytest.fixture
def service() -> Silent:
    service = Silent()
    account = f'provider = "vultr"\napi_key = "hunter2-hunter2"\nbase_url = "{service.url}"\n'
    Path("guestlist.toml").write_text(f"[accounts.cloud]\n{account}")
    return service


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent")
@pytest.mark.parametrize("number", ["SIGHUP", "SIGTERM"])
def test_a_signal_in_the_middle_of_a_change_says_what_may_have_happened(
    service: Silent, number: str
) -> None:
    sent = getattr(signal, number)
    words = ["invite", "ada@example.com", "bob@example.com", "-a", "cloud"]
    with Program(*words) as running:
        assert service.posted.wait(90)
        running.send_signal(sent)
        _, err = running.communicate(timeout=30)
    service.close()
    assert running.returncode == 128 + sent
    assert err == (
        "interrupted: invite ada@example.com on cloud may have happened"
        " (see `guestlist status`); 1 not started\n"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent")
def test_a_closed_terminal_ends_an_apply_cleanly(service: Silent) -> None:
    with Path("guestlist.toml").open("a") as file:
        file.write('[[people]]\nemail = "ada@example.com"\naccounts.cloud = true\n')
    with Program("apply", "--yes", "--timeout", "60s") as running:
        assert service.posted.wait(90)
        running.send_signal(signal.SIGHUP)
        time.sleep(0.5)  # until it has arrived
        service.hang_up()
        _, err = running.communicate(timeout=30)
    service.close()
    assert running.returncode == 129
    assert err == "interrupted: stopped: 1 left; run `guestlist apply` to continue\n"


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent")
def test_nohup_is_respected(service: Silent) -> None:
    words = ["nohup", str(SCRIPT), "invite", "ada@example.com", "-a", "cloud", "--timeout", "60s"]
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert service.posted.wait(90)
        running.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(1)
        running.kill()
    service.close()


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("missing/ledger.db", "there is no folder "),
        (".", "it is a folder"),
        ("pipe", "it is not a regular file"),
        ("guestlist.toml/ledger.db", "guestlist.toml is not a folder"),
        ("guestlist.toml", "guestlist.toml is not a SQLite database"),
    ],
)
def test_a_ledger_that_cannot_be_opened_says_why(cli: Cli, place: str, why: str) -> None:
    Path("guestlist.toml").write_text(ROSTER)
    os.mkfifo("pipe")
    for command in ("plan", "apply"):
        run = cli(command, "--ledger", place)
        assert run.code == 1
        assert why in run.err
        assert "Name another file with --ledger" in run.err


def unwritable(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    """Paths that look read-only, also to root."""
    access = os.access
    closed = {path.absolute() for path in paths}
    monkeypatch.setattr(
        "os.access",
        lambda path, mode: (
            not (mode & os.W_OK and Path(path).absolute() in closed) and access(path, mode)
        ),
    )


def test_a_plan_needs_no_folder_that_can_be_written(
    cli: Cli, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("guestlist.toml").write_text(ROSTER)
    ledger = Path("ledger.db")
    with monkeypatch.context() as patched:
        unwritable(patched, Path())
        assert "Plan: 1 to invite." in cli("plan", "--ledger", "ledger.db").out
        assert not ledger.exists()
        refused = cli("apply", "--ledger", "ledger.db")
        assert refused.code == 1
        assert " is not writable" in refused.err
    cli("apply", "--ledger", "ledger.db")
    before = ledger.stat().st_mtime_ns, ledger.read_bytes()
    unwritable(monkeypatch, ledger)
    shown = cli("plan", "--ledger", "ledger.db")
    assert "1 role to be given after acceptance" in shown.out, shown.err
    assert (ledger.stat().st_mtime_ns, ledger.read_bytes()) == before


def test_a_person_who_was_never_invited_is_not_gone(cli: Cli) -> None:
    run = cli("status", "nobody@example.com", "-a", "vultr")
    assert "not invited" in run.out
    assert "gone" not in run.out
    (row,) = cli("status", "nobody@example.com", "-a", "vultr", "--json").results
    assert row["state"] == "gone"


def test_all_addresses_are_checked_before_one_is_invited(cli: Cli, sandbox: Sandbox) -> None:
    for command in ("invite", "onboard"):
        run = cli(command, "ada@example.com", "x@@y", "z@@y", "-a", "vultr")
        assert run.code == 2
        assert run.err.count("error: ") == 2
        assert "'x@@y'" in run.err
    assert not sandbox.outbox.emails


@pytest.mark.parametrize(
    ("changes", "seconds"), [(1, 0.0), (10, 0.0), (11, 60.0), (20, 60.0), (21, 120.0)]
)
def test_the_estimated_time_respects_the_rate_limit(changes: int, seconds: float) -> None:
    assert minimum_seconds(changes, [Limit(10, 60), Limit(100, 1)]) == seconds
    assert minimum_seconds(changes, []) == 0.0


@pytest.mark.parametrize("terminal", ["stdin", "stderr"])
def test_a_question_needs_stdin_and_stderr_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, terminal: str
) -> None:
    for name in ("stdin", "stderr"):
        is_terminal = name == terminal
        monkeypatch.setattr(f"sys.{name}.isatty", lambda it=is_terminal: it, raising=False)
    with pytest.raises(UsageError, match="but there is no terminal"):
        confirm("Really?", yes=False)
    confirm("Really?", yes=True)
