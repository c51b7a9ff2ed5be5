"""`sandbox`: started as a program, and talked to by another one."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.core.cli.program import Program

from guestlist.cli.commands.sandbox import rows_of
from guestlist.cli.document import ServiceRow
from guestlist.sandbox import Sandbox, SandboxControl
from guestlist.sandbox.services import service_classes

from .conftest import Cli, script

Started = tuple[Program, list[dict[str, Any]]]


@pytest.fixture
def started() -> Iterator[Started]:
    running = Program(
        *("sandbox", "--port", "0", "--json"),
        *("--profile", "vultr=openapi", "--switch", "vultr.duplicates=allow"),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert running.stdout is not None
    text = ""
    for line in running.stdout:
        text += line
        if line == "}\n":
            break
    yield running, json.loads(text)["results"]
    running.kill()
    running.communicate()


def test_it_says_where_everything_is_and_ends_with_ctrl_c(started: Started) -> None:
    running, rows = started
    mailbox = rows[0]["url"]
    assert {"aitronos", "vultr"} <= {row["account"] for row in rows[1:]}
    invite = ("invite", "ada@example.com", "-a", "vultr")
    assert script("--sandbox", mailbox, *invite).returncode == 0
    with SandboxControl(mailbox) as control:
        assert [mail.to for mail in control.emails()] == ["ada@example.com"]
        [vultr] = [one for one in control.services() if one.name == "vultr"]
        assert (vultr.profile, vultr.switches["duplicates"].value) == ("openapi", "allow")
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (0, "")


def test_what_it_prints_can_be_configured(started: Started) -> None:
    """A server may be mounted below the address at which it listens."""
    _, rows = started
    printed = {row["account"]: row["base_url"] for row in rows[1:]}
    assert printed == {row["account"]: row["settings"]["base_url"] for row in rows[1:]}
    assert printed["betterauth"].endswith("/api/auth")


def test_the_start_fits_a_terminal_of_80_columns() -> None:
    running = Program(
        *("sandbox", "--port", "0"),
        env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "80"},
    )
    assert running.stdout is not None
    lines = []
    for line in running.stdout:
        lines.append(line.rstrip("\n"))
        if line.endswith(" members\n"):
            break
    running.kill()
    running.communicate()
    assert max(map(len, lines)) <= 80
    [header] = [line.split() for line in lines if line.startswith("Account ")]
    assert header == ["Account", "Setting", "Value"]  # a table, and no blocks of lines
    assert "Read-only keys:" in lines


def test_the_variable_that_it_prints_puts_every_command_on_it(
    started: Started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, rows = started
    monkeypatch.chdir(tmp_path)
    for name, value in rows[0]["environment"].items():
        monkeypatch.setenv(name, value)
    assert script("invite", "ada@example.com", "-a", "vultr").returncode == 0
    assert not (tmp_path / "guestlist.db").exists()
    (tmp_path / "guestlist.toml").write_text('[accounts.cloud]\nprovider = "vultr"\n')
    shown = script("status", "ada@example.com", "-a", "cloud", "--json")
    assert json.loads(shown.stdout)["results"][0]["state"] == "pending"


def test_it_writes_a_configuration_that_works(tmp_path: Path) -> None:
    file = tmp_path / "guestlist.toml"
    running = Program(
        *("sandbox", "--port", "0", "--json", "--write", str(file)),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert running.stdout is not None
        for line in running.stdout:
            if line == "}\n":
                break
        checked = script("--config", str(file), "check", "--json")
        accounts = {row["account"] for row in json.loads(checked.stdout)["results"]}
        assert {"aitronos", "betterauth", "vultr"} <= accounts
        again = script("sandbox", "--port", "0", "--write", str(file))
        assert again.returncode == 2
        assert "exists already" in again.stderr
    finally:
        running.kill()
        running.communicate()


def test_the_switches_are_listed_with_their_meaning() -> None:
    listed = script("sandbox", "--list", "--json")
    rows = json.loads(listed.stdout)["results"]
    [duplicates] = [row for row in rows if (row["service"], row["name"]) == ("vultr", "duplicates")]
    assert duplicates["values"] == ["allow", "refuse"]
    assert "open invitation" in duplicates["meaning"]
    profiles = [row["values"] for row in rows if row["name"] == "profile"]
    assert ["govultr", "openapi"] in profiles
    assert "vultr" in script("sandbox", "--list").stdout


@pytest.mark.parametrize("by_variable", [True, False])
def test_apply_in_a_sandbox_does_not_ask_and_says_so(
    plain: Cli, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, by_variable: bool
) -> None:
    """There is no terminal here: a question would be an error."""
    Path("guestlist.toml").write_text(
        '[accounts.cloud]\nprovider = "vultr"\n'
        '[[people]]\nemail = "ada@example.com"\naccounts.cloud = ["group:Support"]\n'
    )
    words = ["apply"]
    if by_variable:
        monkeypatch.setenv("GUESTLIST_SANDBOX", sandbox.url)
    else:
        words.append(f"--sandbox={sandbox.url}")
    run = plain(*words)
    assert run.code == 0
    assert "Not asked, because a sandbox sends no real email." in run.err
    assert [mail.to for mail in sandbox.outbox.emails] == ["ada@example.com"]
    assert "Not asked" not in plain(*words, "--yes").err


def test_the_accounts_of_a_file_are_imitated(plain: Cli, sandbox: Sandbox) -> None:
    Path("there.toml").write_text('[accounts.home]\nprovider = "vultr"\n')
    words = ["--config", "there.toml", f"--sandbox={sandbox.url}"]
    assert plain("invite", "ada@example.com", *words).code == 0
    run = plain("invitations", "--json", *words)
    assert [(row["account"], row["email"]) for row in run.results] == [("home", "ada@example.com")]


def test_the_settings_of_every_installed_service_can_be_shown() -> None:
    with Sandbox(service_classes()) as running:
        for hosted in running.services.values():
            for name, switch in hosted.service.switches.items():
                for value in switch.values[::-1]:
                    hosted.service.configure(**{name: value})
                    rows_of(running)
        found = {row.account for row in rows_of(running) if isinstance(row, ServiceRow)}
    assert found == {kind.name for kind in service_classes()}
