"""Schemathesis judges the API by its description: it sends requests of every described form, and
of forms that are not described, and checks each answer.

The services are sandboxes with virtual time, so that nothing waits for a rate limit.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from tests.api.conftest import ROSTER, serving

from guestlist import Guestlist
from guestlist.console.api import ApiMount, create_api
from guestlist.ledger import Ledger, tokens
from guestlist.ledger.tokens import Right
from guestlist.sandbox import Sandbox
from guestlist.sandbox.services import accounts_of
from guestlist_aitronos.sandbox import AitronosService
from guestlist_vultr.sandbox import VultrService
from pytest_guestlist.clock import VirtualClock

PROGRAM = Path(sys.executable).with_name("schemathesis")
START = datetime(2027, 1, 15, 8, tzinfo=UTC)

# 422 is the answer to a request of the described form that the service or the roster does not
# allow: an unknown role, an address whose domain is invalid. 403 is the answer to a token that may
# only read. No request of the described form gets a 400.
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "403", "404", "409", "422"]
"""

KNOWN: dict[str, list[str]] = {
    "account": ["vultr", "aitronos"],
    "email": ["ada@example.com", "grace@example.com"],
    "who": ["ada@example.com", "grace@example.com", "ines@example.org"],
    "role": ["group:Engineering", "Member"],
}
"""Values that exist. Without them, most requests would end with 404."""


def described(api: Any) -> dict[str, Any]:
    """The description, which names the known values too."""
    description: dict[str, Any] = json.loads(api._description)

    def add(name: str, schema: dict[str, Any]) -> None:
        if name == "roles":
            add("role", schema["items"])
        if name == "account":
            schema.update(enum=KNOWN[name])
        elif name in KNOWN:
            schema["anyOf"] = [{"enum": KNOWN[name]}, dict(schema)]

    for path in description["paths"].values():
        for operation in path.values():
            for parameter in operation["parameters"]:
                add(parameter["name"], parameter["schema"])
    for model, schema in description["components"]["schemas"].items():
        if model.endswith("Body"):
            for name, part in schema.get("properties", {}).items():
                add(name, part)
    return description


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[Judge]:
    roster = tmp_path / "guestlist.toml"
    roster.write_text(ROSTER)
    clock = VirtualClock(START)

    def seconds() -> float:
        return clock.now().timestamp()

    with (
        Sandbox([VultrService, AitronosService], time_source=seconds) as sandbox,
        Ledger(tmp_path / "guestlist.db", clock=clock) as ledger,
        Guestlist(accounts_of(sandbox), ledger=ledger, clock=clock) as guests,
    ):
        api = create_api(guests, ledger=ledger, roster=roster)
        (tmp_path / "openapi.json").write_text(json.dumps(described(api)))
        (tmp_path / "schemathesis.toml").write_text(CONFIG)
        with serving(ApiMount(api, Starlette())) as url:
            yield Judge(tmp_path, url, ledger)
        api.close()


class Judge:
    """Runs schemathesis against the API."""

    def __init__(self, folder: Path, url: str, ledger: Ledger) -> None:
        self._folder = folder
        self._url = url
        self._ledger = ledger

    def run(self, right: Right, *options: str) -> int:
        """Returns the number of cases. Fails if schemathesis finds a violation."""
        now = datetime.now(UTC)
        _, secret = tokens.create(
            self._ledger.store, "judge", right, now=now, expires=now + timedelta(days=1), by=None
        )
        done = subprocess.run(
            [
                PROGRAM,
                "--config-file",
                "schemathesis.toml",
                "run",
                "openapi.json",
                f"--url={self._url}/api",
                f"--header=Authorization: Bearer {secret}",
                "--continue-on-failure",
                "--generation-database=none",
                "--no-color",
                *options,
            ],
            cwd=self._folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found = re.search(r"^Test cases:\n +([\d,]+) generated", done.stdout, re.MULTILINE)
        assert found is not None, done.stdout
        assert secret not in done.stdout
        return int(found[1].replace(",", ""))


@pytest.mark.long
def test_no_violation_in_a_hundred_requests(judged: Judge) -> None:
    assert judged.run(Right.CHANGE, "--phases=fuzzing", "--max-examples=4", "--seed=1") > 80


@pytest.mark.long
def test_a_token_that_may_read_gets_no_other_answers(judged: Judge) -> None:
    assert judged.run(Right.READ, "--phases=fuzzing", "--max-examples=1", "--seed=1") > 20


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_no_violation_in_five_thousand_requests(judged: Judge) -> None:
    assert judged.run(Right.CHANGE, "--max-examples=250") > 5000
