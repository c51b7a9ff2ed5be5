"""A ledger on SQLite, and on PostgreSQL where that is installed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.ledger.postgres import new_database, programs, server
from tests.ledger.story import Story

from guestlist.ledger.store import Store

_numbers = count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Path]:
    if programs() is None:
        pytest.skip("PostgreSQL is not installed")
    with server() as folder:
        yield folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the ledger on SQLite."""
    return tmp_path / "guestlist.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def story(request: pytest.FixtureRequest, file: Path) -> Iterator[Story]:
    if request.param == "sqlite":
        url = f"sqlite:///{file}"
    else:
        url = new_database(request.getfixturevalue("postgres"), f"ledger{next(_numbers)}")
    store = Store(url)
    yield Story(store)
    store.close()


@pytest.fixture
def on_file(file: Path) -> Iterator[Story]:
    """A ledger on SQLite."""
    store = Store(f"sqlite:///{file}")
    yield Story(store)
    store.close()
