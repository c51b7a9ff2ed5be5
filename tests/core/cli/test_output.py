"""Stdout that cannot be written to, and an operating system that refuses, are no bugs."""

from __future__ import annotations

import asyncio
import errno
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from guestlist.sandbox import Sandbox
from guestlist.sandbox.server import _warn_about_files

from .conftest import SCRIPT, script

FULL = Path("/dev/full")
ROSTER = """
[accounts.cloud]
provider = "vultr"
[[people]]
email = "ada@example.com"
accounts.cloud = ["group:Support"]
"""

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="only Linux has /dev/full")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words",
    ["providers", "providers --json", "--help", "--version", "config path", "members", "plan"],
)
def test_a_full_disk_behind_stdout_is_named(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, words: str, unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    people = '[[people]]\nemail = "ada@example.com"\naccounts.cloud = true\n'
    Path("guestlist.toml").write_text(f'[accounts.cloud]\nprovider = "vultr"\n{people}')
    where = [f"--sandbox={sandbox.url}"] if words in ("members", "plan") else []
    with FULL.open("w") as full:
        done = script(*words.split(), *where, stdout=full)
    assert done.stderr == "error: the output cannot be written: No space left on device\n"
    assert done.returncode == 1


def test_errors_are_shown_although_stdout_is_full(sandbox: Sandbox) -> None:
    with FULL.open("w") as full:
        done = script("status", "nonsense@", f"--sandbox={sandbox.url}", "--json", stdout=full)
    assert "'nonsense@' is not an email address" in done.stderr
    assert "the output cannot be written" in done.stderr


def without_files(number: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the program with at most so many open files."""

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))

    return subprocess.run(
        [SCRIPT, *words], preexec_fn=few, capture_output=True, text=True, timeout=60
    )


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
@pytest.mark.parametrize("number", [5, 7, 8, 9])
def test_too_few_file_descriptors_are_the_cause_wherever_they_run_out(
    sandbox: Sandbox, number: int
) -> None:
    """The limits are those at which a connection, a module, the ledger or a request fails."""
    Path("guestlist.toml").write_text(ROSTER)
    done = without_files(number, "plan", f"--sandbox={sandbox.url}")
    assert done.returncode in (1, 2)
    assert "too many open files" in done.stderr.lower()
    assert "hint: Allow more open files, " in done.stderr
    assert "`ulimit -n 1024`" in done.stderr
    assert "guestlist itself failed" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sandbox_that_cannot_accept_connections_warns_in_one_line() -> None:
    loop = asyncio.new_event_loop()
    trouble = OSError(errno.EMFILE, "Too many open files")
    try:
        with pytest.warns(RuntimeWarning, match="too many open files"):
            _warn_about_files(loop, {"message": "accept failed", "exception": trouble})
    finally:
        loop.close()
