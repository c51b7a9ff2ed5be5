"""The services' guides, step by step, against the default sandbox.

A guide's commands run as they are printed, apart from the address, the key and the placeholders:
with curl, where it is installed, and as requests of httpx.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from guestlist import AsyncGuestlist, Guestlist
from guestlist.cli import main
from guestlist.provider import Provider


@dataclass
class Reply:
    """A service's answer."""

    status: int
    raw: str

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


Send = Callable[[str, Mapping[str, str]], Reply]
"""Sends a curl command with the given environment variables."""


def with_curl(command: str, environment: Mapping[str, str]) -> Reply:
    """Runs the command in a shell, as the reader of a guide does."""
    lines = command.strip()
    assert lines.startswith("curl ")
    ran = subprocess.run(
        ["sh", "-c", f"{lines} --silent --show-error --write-out '\\n%{{http_code}}'"],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "NO_PROXY": "*", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    raw, _, status = ran.stdout.rpartition("\n")
    return Reply(int(status), raw)


def with_httpx(command: str, environment: Mapping[str, str]) -> Reply:
    """Sends the request that curl would send."""
    joined = command.replace("\\\n", " ")
    named = re.sub(r"\$\{(\w+)\}|\$(\w+)", lambda m: environment[m[1] or m[2]], joined)
    _, *words = shlex.split(named)
    method, url, headers, body = "", "", {}, None
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(":")
            headers[name] = value.strip()
        elif word in ("-d", "--data"):
            body = words.pop(0)
        else:
            url = word
    method = method or ("POST" if body is not None else "GET")
    answer = httpx.request(method, url, headers=headers, content=body, trust_env=False)
    return Reply(answer.status_code, answer.text)


@pytest.fixture(params=["httpx", "curl"])
def send(request: pytest.FixtureRequest) -> Send:
    if request.param == "curl" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    return {"httpx": with_httpx, "curl": with_curl}[request.param]


class Caller:
    """Calls the methods of either client in one way."""

    def __init__(self, client: Any, runner: asyncio.Runner) -> None:
        self._client = client
        self._runner = runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *arguments, **named: self._value(method(*arguments, **named))

    def _value(self, given: Any) -> Any:
        if inspect.iscoroutine(given):
            return self._runner.run(given)
        if isinstance(given, AsyncIterator):

            async def read() -> list[Any]:
                return [item async for item in given]

            return self._runner.run(read())
        return list(given) if isinstance(given, Iterator) else given


Client = Callable[..., Caller]


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """Makes a client of a provider, whose account is `cloud`, as on the command line."""
    with asyncio.Runner() as runner:
        opened: list[Any] = []

        def make(provider: Provider, **options: Any) -> Caller:
            kind = Guestlist if request.param == "sync" else AsyncGuestlist
            opened.append(kind({"cloud": provider}, **options))
            return Caller(opened[-1], runner)

        yield make
        for one in opened:
            if isinstance(one, AsyncGuestlist):
                runner.run(one.aclose())
            else:
                one.close()


Cli = Callable[..., dict[str, Any]]


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> Callable[[Mapping[str, str]], Cli]:
    """Makes a command line for an account with these settings, which returns the JSON document."""
    monkeypatch.chdir(tmp_path)

    def make(settings: Mapping[str, str]) -> Cli:
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        (tmp_path / "guestlist.toml").write_text("\n".join(["[accounts.cloud]", *lines, ""]))

        def run(*words: str, code: int = 0) -> dict[str, Any]:
            capsys.readouterr()
            got = main([*words, "--json"])
            document: dict[str, Any] = json.loads(capsys.readouterr().out)
            assert got == document["exit_code"] == code, document["errors"]
            return document

        return run

    return make
