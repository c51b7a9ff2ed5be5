"""The command line, run in this process against a sandbox, or as the program that people start."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.core.cli.program import Program

from guestlist.cli import main
from guestlist.cli.document import document_model
from guestlist.sandbox import Sandbox
from guestlist.sandbox.services import service_classes

SCRIPT = Path(sys.executable).with_name("guestlist")


@dataclass
class Run:
    """What came of a command line."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document, checked against the schema."""
        document_model().model_validate_json(self.out)
        found: dict[str, Any] = json.loads(self.out)
        assert found["exit_code"] == self.code
        assert found["ok"] is (self.code == 0)
        return found

    @property
    def results(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.document["results"]
        return found

    @property
    def errors(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.document["errors"]
        return found

    @property
    def table(self) -> list[str]:
        """The lines on stdout, without the spaces at their ends."""
        return [line.rstrip() for line in self.out.splitlines()]


Cli = Callable[..., Run]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder and a plain terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    kinds = [kind for kind in service_classes() if kind.name in ("aitronos", "vultr")]
    with Sandbox(kinds) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running


@pytest.fixture
def plain(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command line in this process."""

    def run(*words: str) -> Run:
        capsys.readouterr()
        code = main(words)
        captured = capsys.readouterr()
        return Run(code, captured.out, captured.err)

    return run


@pytest.fixture
def cli(plain: Cli, sandbox: Sandbox) -> Cli:
    """The same, on the sandbox: accounts `aitronos` and `vultr`."""

    def run(command: str, *words: str) -> Run:
        return plain(command, f"--sandbox={sandbox.url}", *words)

    return run


def script(*words: str, **streams: Any) -> subprocess.CompletedProcess[str]:
    """Runs a command line in a process of its own, with the streams that `Program` takes."""
    with Program(*words, **streams) as running:
        out, err = running.communicate(60)
    return subprocess.CompletedProcess(words, running.wait(), out, err)
