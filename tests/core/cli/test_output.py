"""Stdout that cannot be written to, and an operating system that refuses, are no bugs."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from guestlist.sandbox import Sandbox

from .conftest import SCRIPT

FULL = Path("/dev/full")

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
        done = subprocess.run(
            [SCRIPT, *words.split(), *where], stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    assert done.stderr.decode() == "error: the output cannot be written: No space left on device\n"
    assert done.returncode == 1


def test_errors_are_shown_although_stdout_is_full(sandbox: Sandbox) -> None:
    with FULL.open("w") as full:
        words = ["status", "nonsense@", f"--sandbox={sandbox.url}", "--json"]
        done = subprocess.run([SCRIPT, *words], stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert b"'nonsense@' is not an email address" in done.stderr
    assert b"the output cannot be written" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_too_few_file_descriptors_are_named(sandbox: Sandbox) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (6, 6))

    done = subprocess.run(
        [SCRIPT, "members", f"--sandbox={sandbox.url}"],
        preexec_fn=few,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    # which file is one too many, and so who reports it, depends on the version of Python
    assert "too many open files" in done.stderr.lower()
    assert "hint: Allow more open files, " in done.stderr
    assert "`ulimit -n 1024`" in done.stderr
    assert "guestlist itself failed" not in done.stderr
