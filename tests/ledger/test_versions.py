"""The version of a ledger: which ones are opened, refused, and brought up to date."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, inspect, text
from tests.ledger.story import ADA
from tests.postgres import Server

from guestlist.changes import Action
from guestlist.errors import LedgerError
from guestlist.ledger import history, migrations
from guestlist.ledger.schema import VERSION
from guestlist.ledger.store import Store

_numbers = count()

FIRST = (
    "INSERT INTO guestlist (version) VALUES (1)",
    "INSERT INTO runs (id, began, roster, source) VALUES (7, 1.0, 'digest', 'team.toml')",
    "INSERT INTO orders (run, account, key, email, action, place, facts, state, asked, attempts)"
    " VALUES (7, 'cloud', 'ada@example.com', 'ada@example.com', 'invite', 0, '{}', 12, 1.0, 1)",
    "INSERT INTO paces (name, state) VALUES ('cloud', '{\"rests\": 0}')",
)


def older_order(name: str, action: str, **facts: Any) -> str:
    """The statement that adds an order in the words of versions 1 and 2."""
    person = f"{name}@example.com"
    columns = "account, key, email, action, place, facts, state, asked, attempts, mail"
    values = f"'cloud', '{person}', '{person}', '{action}', 0, '{json.dumps(facts)}', 10, 2.0, 1"
    return f"INSERT INTO orders ({columns}) VALUES ({values}, true)"  # noqa: S608


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/guestlist.db"
    server: Server = request.getfixturevalue("server")
    return server.new_database(f"version{next(_numbers)}")


@pytest.fixture
def first(url: str) -> str:
    """The URL of a ledger of version 1, as the first release of guestlist has made it."""
    kind = "sqlite" if url.startswith("sqlite") else "postgresql"
    tables = (Path(__file__).parent / f"version1.{kind}.sql").read_text()
    execute(url, *tables.split(";\n"), *FIRST)
    return url


def execute(url: str, *statements: str) -> None:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        for statement in filter(str.strip, statements):
            connection.exec_driver_sql(statement)
    engine.dispose()


def schema(store: Store) -> dict[str, Any]:
    """The columns and indexes of each table."""
    found = inspect(store.engine)
    return {
        table: (
            {one["name"]: (str(one["type"]), one["nullable"]) for one in found.get_columns(table)},
            sorted(str(one["name"]) for one in found.get_indexes(table)),
        )
        for table in found.get_table_names()
    }


@pytest.fixture
def fresh(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A ledger that is created now, in the same kind of database."""
    if url.startswith("sqlite"):
        store = Store(f"sqlite:///{tmp_path}/fresh.db")
    else:
        store = Store(request.getfixturevalue("server").new_database(f"fresh{next(_numbers)}"))
    yield store
    store.close()


def test_an_older_ledger_is_brought_up_to_date(first: str, fresh: Store) -> None:
    for _ in range(2):
        with closing(Store(first)) as store:
            assert schema(store) == schema(fresh)
            (line,) = history.log_lines(store)
            assert (line.email, line.run, line.source) == (ADA, 7, "team.toml")
            assert (line.actor, line.host, line.job, line.note) == (None,) * 4
            with store.reading() as connection:
                assert connection.scalar(text("SELECT version FROM guestlist")) == VERSION


def test_the_words_of_an_older_ledger_are_renamed(first: str) -> None:
    deferred = [{"id": "7", "kind": "group", "name": "Caf\u00e9"}]
    execute(
        first,
        older_order("bob", "assign", roles=["Member"]),
        older_order("eve", "unassign", roles=["Member"]),
        older_order("joe", "invite", owed=deferred, options={"owed": "yes"}),
        older_order("sue", "invite", reason='is not "owed" anything'),
    )
    with closing(Store(first)) as store:
        _, bob, eve, joe, sue = history.log_lines(store)
        assert (bob.action, eve.action) == (Action.ASSIGN_ROLE, Action.UNASSIGN_ROLE)
        assert (joe.deferred, joe.options) == (("group:Caf\u00e9",), {"owed": "yes"})
        assert (sue.deferred, sue.reason) == ((), 'is not "owed" anything')
        assert {one.email_sent for one in (bob, eve, joe, sue)} == {True}


def test_an_older_ledger_that_is_only_read_is_refused_and_left_as_it_is(first: str) -> None:
    with pytest.raises(
        LedgerError, match=rf"has version 1, and .* reads version {VERSION}"
    ) as told:
        Store(first, read_only=True)
    assert "guestlist settle" in (told.value.hint or "")
    with closing(Store(first)) as store, store.reading() as connection:
        assert connection.scalar(text("SELECT version FROM guestlist")) == VERSION


@pytest.mark.parametrize("read_only", [True, False])
def test_a_newer_ledger_is_refused_and_left_as_it_is(url: str, read_only: bool) -> None:
    Store(url).close()
    execute(url, "UPDATE guestlist SET version = version + 1")
    with pytest.raises(LedgerError, match=f"has version {VERSION + 1}") as told:
        Store(url, read_only=read_only)
    assert told.value.hint == "Upgrade guestlist."
    execute(url, "UPDATE guestlist SET version = version - 1")
    Store(url, read_only=read_only).close()


def test_an_empty_database_cannot_be_read(url: str) -> None:
    execute(url, "CREATE TABLE other (name TEXT)", "DROP TABLE other")
    with pytest.raises(LedgerError, match="is not a ledger: it is empty"):
        Store(url, read_only=True)


def test_each_missing_migration_runs_once_and_in_order(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []

    def step(number: int) -> Any:
        return lambda _connection: ran.append(number)

    monkeypatch.setattr(migrations, "VERSION", 4)
    monkeypatch.setattr(migrations, "MIGRATIONS", {number: step(number) for number in (1, 2, 3)})
    for _ in range(2):
        Store(first).close()
    assert ran == [1, 2, 3]


def test_a_migration_that_fails_changes_nothing(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(connection: Connection) -> None:
        connection.execute(text("DELETE FROM orders"))
        connection.execute(text("nonsense"))

    monkeypatch.setattr(migrations, "MIGRATIONS", {1: fails})
    with pytest.raises(LedgerError, match="nonsense"):
        Store(first)
    monkeypatch.undo()
    with closing(Store(first)) as store:
        assert len(list(history.log_lines(store))) == 1


@pytest.mark.parametrize("read_only", [True, False])
def test_a_ledger_without_a_version_is_damaged(url: str, read_only: bool) -> None:
    Store(url).close()
    execute(url, "DELETE FROM guestlist")
    with pytest.raises(LedgerError, match="is damaged: its table 'guestlist' is empty"):
        Store(url, read_only=read_only)
