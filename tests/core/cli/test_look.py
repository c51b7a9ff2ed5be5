"""How results look: narrow and wide, for people and for pipes."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from tests.core.cli.program import Program

from .conftest import SCRIPT, Cli

LONG = "somebody.with.a.rather.long.name@a-department.of.a.long.example.com"


@pytest.mark.parametrize("columns", [80, 120])
def test_nothing_is_wider_than_the_screen_and_no_address_is_cut(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    cli("invite", LONG, "-a", "vultr")
    for words in (["status", LONG], ["invitations"], ["invitations", "-v"], ["members"], ["roles"]):
        run = cli(*words)
        assert all(len(line) <= columns for line in run.table)
        assert (LONG in run.out) is (words[0] in ("status", "invitations"))


def test_a_pipe_gets_whole_lines(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    cli("invite", LONG, "-a", "vultr")
    run = cli("invitations", "-a", "vultr")
    header, line = run.table
    assert header.split()[-1] == "Id"
    assert LONG in line
    assert "\x1b" not in run.out


@pytest.mark.parametrize("words", [["providers"], ["providers", "--json"]])
def test_a_reader_that_has_left_is_no_failure(words: list[str]) -> None:
    with Program(*words) as running:
        assert running.stdout is not None
        running.stdout.close()
        _, told = running.communicate(60)
    assert (running.returncode, told) == (141, "")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("--version >&-", 1, "error: the output cannot be written: Bad file descriptor\n"),
        ("plan missing.toml 2>&- <&-", 2, ""),
    ],
)
def test_a_stream_that_the_shell_has_closed(words: str, code: int, message: str) -> None:
    command = f"{shlex.quote(str(SCRIPT))} {words}"
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (code, "", message)


def test_verbose_gives_dates_and_leaves_nothing_out(cli: Cli) -> None:
    cli("invite", LONG, "-a", "vultr")
    run = cli("invitations", "-a", "vultr", "-v")
    titles = [line.split("  ")[0] for line in run.table]
    assert titles == ["Guest", "Account", "State", "Invited", "When", "By", "Id"]
    assert "UTC" in run.out
    assert "GET /v2/invitation" in run.err


def test_what_a_service_says_cannot_act_on_the_terminal(plain: Cli) -> None:
    run = plain("status", "\x1b[31m@example.com", "--config", "x\x1b[2J.toml")
    assert run.code == 2
    assert "\x1b" not in run.err + run.out
