"""A folder with a roster in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from guestlist import Guestlist
from guestlist.roster.file import Roster, read_roster

ACCOUNTS = '[accounts.cloud]\nprovider = "vultr"\n[accounts.chat]\nprovider = "aitronos"\n'
"""Four lines, before whatever a test writes."""

Read = Callable[..., Roster]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def read() -> Read:
    """Reads a roster of two accounts with this text behind them, beside files with these texts."""

    def write_and_read(text: str, **files: str | bytes) -> Roster:
        for name, content in files.items():
            path = Path(".".join(name.rsplit("_", 1)))
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        Path("guestlist.toml").write_text(ACCOUNTS + text)
        return read_roster(Path("guestlist.toml"))

    return write_and_read


@pytest.fixture
def guests(guestlist_client: Guestlist) -> Guestlist:
    return guestlist_client
