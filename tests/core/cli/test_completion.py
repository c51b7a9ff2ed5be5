"""Completion: the script for the shell, and what is offered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from guestlist.cli.arguments import SHELLS

from .conftest import Cli, script


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script(plain: Cli, shell: str) -> None:
    run = plain("completion", shell)
    assert run.code == 0
    assert "guestlist" in run.out
    assert run.err == ""


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("guestlist inv", ["invite", "invitations"]),
        ("guestlist invite ada@example.com --if-exists re", ["return", "resend", "replace"]),
        ("guestlist status -a c", ["cloud "]),
        ("guestlist status -a cloud ada@example.com --show", ["--show-secrets "]),
        ("guestlist invitations --state pen", ["pending "]),
    ],
)
def test_what_is_offered(tmp_path: Path, line: str, offered: list[str]) -> None:
    Path("guestlist.toml").write_text('[accounts.cloud]\nprovider = "vultr"\n')
    answer = tmp_path / "answer"
    environment = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    assert script(env={**os.environ, **environment}).returncode == 0
    assert answer.read_text().split("\n") == offered
