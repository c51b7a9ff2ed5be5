"""A secret in a file is read again when the file changes, so that a rotation needs no restart."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from guestlist import AsyncGuestlist, Guestlist
from guestlist.config import open_config, read_config
from guestlist.errors import Unauthorized
from guestlist.plugins import installed
from pytest_guestlist.clock import VirtualClock

START = datetime(2026, 11, 30, 12, tzinfo=UTC)
CONFIG = """
[accounts.cloud]
provider = "vultr"
api_key = { file = "key" }
"""


class House:
    """A service that accepts one key, and calls `when_refused` before it refuses another."""

    def __init__(self) -> None:
        self.valid = "key-0001"
        self.keys: list[str] = []
        self.when_refused: Callable[[], object] = lambda: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        key = request.headers["authorization"].removeprefix("Bearer ")
        self.keys.append(key)
        if key != self.valid:
            self.when_refused()
            return httpx.Response(401, json={"error": f"{key} is invalid"})
        return httpx.Response(200, json={"orgs": [{"id": "o-1", "name": "House"}]})


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("guestlist.toml").write_text(CONFIG)
    path = Path("key")
    path.write_text("key-0001\n")
    return path


@pytest.fixture
def guests(key_file: Path, house: House) -> Guestlist:
    config = read_config(open_config(Path("guestlist.toml")), installed())
    return Guestlist(
        config.accounts, transport=httpx.MockTransport(house), clock=VirtualClock(START)
    ).account("cloud")


def rotate(path: Path, key: str) -> None:
    """Replaces the file as Kubernetes and editors do."""
    Path("key.new").write_text(key)
    Path("key.new").replace(path)


def test_a_rotated_key_is_used_by_a_live_client(
    guests: Guestlist, house: House, key_file: Path
) -> None:
    assert guests.check() == "House"
    rotate(key_file, "key-0002")
    house.valid = "key-0002"
    assert guests.check() == "House"
    assert house.keys == ["key-0001", "key-0002"]


@pytest.mark.anyio
async def test_a_rotated_key_is_used_by_a_live_async_client(key_file: Path, house: House) -> None:
    config = read_config(open_config(Path("guestlist.toml")), installed())
    transport = httpx.MockTransport(house)
    async with AsyncGuestlist(
        config.accounts, transport=transport, clock=VirtualClock(START)
    ) as guests:
        assert await guests.check(account="cloud") == "House"
        rotate(key_file, "key-0002")
        house.valid = "key-0002"
        assert await guests.check(account="cloud") == "House"


def test_a_key_rotated_while_a_request_is_in_flight(
    guests: Guestlist, house: House, key_file: Path
) -> None:
    house.valid = "key-0002"
    house.when_refused = lambda: rotate(key_file, "key-0002")
    assert guests.check() == "House"
    assert house.keys == ["key-0001", "key-0002"]


def test_a_key_that_stays_invalid_is_sent_once(guests: Guestlist, house: House) -> None:
    house.valid = "another"
    with pytest.raises(Unauthorized):
        guests.check()
    assert house.keys == ["key-0001"]


@pytest.mark.parametrize("damage", ["missing", "empty"])
def test_a_file_that_cannot_be_read_changes_nothing(
    guests: Guestlist, house: House, key_file: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    guests.check()
    key_file.unlink() if damage == "missing" else key_file.write_text("")
    with caplog.at_level(logging.WARNING, "guestlist"):
        guests.check()
        guests.check()
    assert house.keys == ["key-0001"] * 3
    assert len(caplog.records) == 1
    assert "the secret read before stays in use" in caplog.text
    key_file.write_text("key-0002")
    house.valid = "key-0002"
    assert guests.check() == "House"


def test_the_new_key_is_masked(guests: Guestlist, house: House, key_file: Path) -> None:
    guests.check()
    rotate(key_file, "key-0002")
    house.valid = "another"
    with pytest.raises(Unauthorized) as caught:
        guests.check()
    assert "key-0002" not in str(caught.value)
    assert "is invalid" in str(caught.value)
