"""`guestlist console`, as the program that people start."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.console.conftest import field

from guestlist.cli import main
from guestlist.ledger import Ledger, history
from guestlist.ledger.log import LineState

SCRIPT = Path(sys.executable).with_name("guestlist")
SECONDS_TO_END = 3.0
"""The console takes 2 seconds at most; the rest is for a busy machine."""

pytestmark = pytest.mark.long


@contextmanager
def console(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Starts the program, and yields the process and its JSON document."""
    process = subprocess.Popen(
        [SCRIPT, "console", "--json", "--port", "0", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        text = ""
        while not text.endswith("}\n") or json_of(text) is None:
            line = process.stdout.readline()
            assert line, process.communicate()
            text += line
        (row,) = json.loads(text)["results"]
        yield process, row
    finally:
        process.kill()
        process.communicate()


def json_of(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def sign_in(http: httpx.Client, row: dict[str, Any]) -> None:
    token = field(http.get(row["link"]).text, "token")
    answer = http.post(f"{row['url']}/login", data={"token": token}, headers={"Origin": row["url"]})
    assert answer.status_code == 303


def test_it_starts_on_the_sandboxes_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    with console(tmp_path, "--sandbox") as (process, row), httpx.Client(timeout=30) as http:
        sign_in(http, row)
        headers = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https"}
        while "Ines" not in (page := http.get(f"{row['url']}/people", headers=headers).text):
            time.sleep(0.1)
        assert "Sandbox: nothing here leaves this machine." in page
        # a page with a live stream is open
        csrf = field(page, "csrf")
        origin = {"Origin": row["url"]}
        answer = http.post(f"{row['url']}/plan/make", data={"csrf": csrf}, headers=origin)
        assert answer.status_code == 303
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - began < SECONDS_TO_END
        assert process.returncode == 0, err
        token = row["link"].partition("token=")[2]
        assert token not in out + err
        assert "Traceback" not in err


class Hanging(http.server.BaseHTTPRequestHandler):
    """A service without people, which answers no request for a change."""

    asked = threading.Event()

    def do_GET(self) -> None:
        lists = dict.fromkeys(("users", "invitations", "groups", "roles", "policies"), ())
        body = json.dumps({**lists, "organization": {"name": "Works"}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.asked.set()
        with suppress(OSError):
            self.rfile.read()  # until the process ends

    def log_message(self, *_: Any) -> None:
        """Prints nothing."""


def test_it_ends_while_a_service_does_not_answer_and_loses_no_record(tmp_path: Path) -> None:
    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hanging)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    (tmp_path / "guestlist.toml").write_text(
        '[accounts.cloud]\nprovider = "vultr"\napi_key = "key"\norganization_id = "org"\n'
        f'base_url = "http://127.0.0.1:{service.server_port}/v2"\n',
        encoding="utf-8",
    )
    with (
        console(tmp_path, "--ledger", "try.db") as (process, row),
        httpx.Client(timeout=30) as http_client,
    ):
        http_client.headers["Origin"] = row["url"]
        sign_in(http_client, row)

        def post(path: str, **form: str) -> str:
            page = http_client.get(f"{row['url']}/add").text
            form["csrf"] = field(page, "csrf")
            location: str = http_client.post(row["url"] + path, data=form).headers["Location"]
            return location

        review = post("/add/review", people="ada@example.com", account="cloud")
        post(f"{review}/start")
        assert Hanging.asked.wait(20)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert time.monotonic() - began < SECONDS_TO_END
        assert process.returncode == 0, err
        assert "Traceback" not in err
    service.shutdown()
    service.server_close()
    with Ledger(tmp_path / "try.db") as ledger:
        (line,) = history.log_lines(ledger.store)
    assert (line.email, line.state) == ("ada@example.com", LineState.UNRESOLVED)


def test_it_opens_the_accounts_of_the_file_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "guestlist.toml").write_text(
        '[accounts.cloud]\nprovider = "vultr"\napi_key = "secret-key-123"\n'
        'base_url = "http://127.0.0.1:9/v2"\n',
        encoding="utf-8",
    )
    with console(tmp_path, "--read-only") as (process, row), httpx.Client(timeout=30) as http:
        sign_in(http, row)
        page = http.get(f"{row['url']}/people").text
        assert "cloud" in page
        assert "Read-only" in page
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        assert "secret-key-123" not in page + out + err
        assert process.returncode == 0, err
    assert not (tmp_path / "guestlist.db").exists()


def test_a_port_that_is_in_use_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("guestlist.toml").write_text(
        '[accounts.cloud]\nprovider = "vultr"\napi_key = "x"\n', encoding="utf-8"
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["console", "--port", port]) == 2
    err = capsys.readouterr().err
    assert f"port {port} is in use" in err
    assert "0 for any free one" in err


def test_without_an_account_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["console", "--port", "0"]) == 2
    assert "guestlist config init" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
