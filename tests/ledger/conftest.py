"""A ledger on SQLite, and on PostgreSQL where that is installed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from tests import postgres
from tests.ledger.story import Story

from guestlist.ledger.store import Store

_numbers = count()


@pytest.fixture
def server(postgresql: postgres.Server) -> postgres.Server:
    return postgresql


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the ledger on SQLite."""
    return tmp_path / "guestlist.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def story(request: pytest.FixtureRequest, file: Path) -> Iterator[Story]:
    if request.param == "sqlite":
        url = f"sqlite:///{file}"
    else:
        url = request.getfixturevalue("server").new_database(f"ledger{next(_numbers)}")
    store = Store(url)
    yield Story(store)
    store.close()


@pytest.fixture
def on_file(file: Path) -> Iterator[Story]:
    """A ledger on SQLite."""
    store = Store(f"sqlite:///{file}")
    yield Story(store)
    store.close()
