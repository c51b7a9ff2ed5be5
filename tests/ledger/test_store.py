"""The database of a ledger: what it is called, who has it, and how it is opened and closed."""

from __future__ import annotations

import ctypes
import os
import shutil
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from sqlalchemy import Connection, delete, text
from sqlalchemy.exc import OperationalError
from tests.ledger.story import Story
from tests.postgres import Server

from guestlist.errors import ConfigError, LedgerError
from guestlist.ledger import Ledger, history
from guestlist.ledger.lock import exclusive
from guestlist.ledger.schema import runs
from guestlist.ledger.store import Store, _engine, _name, _use_write_ahead_log


@pytest.mark.parametrize(
    "url", ["postgresql://ada:s3cret@db/x", "postgresql://ada@db/x?password=s3cret&sslmode=require"]
)
def test_what_people_know_it_by_holds_no_password(url: str) -> None:
    assert "s3cret" not in _name(_engine(url))


def test_a_change_that_comes_as_it_is_closed_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or whoever waits for it would wait for ever."""
    store = Store(f"sqlite:///{tmp_path}/guestlist.db")
    store.write(lambda _connection: None)
    closer = threading.Thread(target=store.close)
    start = store._start

    def started() -> None:
        start()
        monkeypatch.undo()
        closer.start()
        closer.join(0.2)

    monkeypatch.setattr(store, "_start", started)
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(store.write, lambda _connection: "written")
        try:
            assert made.result(5) == "written"
        finally:
            store._start()  # so that nobody waits for ever where it fails
    closer.join()
    store.close()


WRITTEN = text("INSERT INTO runs (began, roster, source) VALUES (0, :name, '')")


def together(store: Store, *changes: Callable[[Connection], Any]) -> list[BaseException | None]:
    """Has changes made in one transaction, if they can be; returns what was said to each."""
    batch: list[tuple[Callable[[Connection], Any], Future[Any]]]
    batch = [(change, Future()) for change in changes]
    store._commit(batch)
    return [made.exception(0) for _change, made in batch]


def fine(connection: Connection) -> None:
    connection.execute(WRITTEN, {"name": "fine"})


def against_the_rules(connection: Connection) -> None:
    connection.execute(WRITTEN, {"name": None})


def by_mistake(_connection: Connection) -> None:
    raise KeyError("a bug of ours")


@pytest.mark.parametrize("wrong", [against_the_rules, by_mistake])
def test_a_change_that_cannot_be_made_keeps_no_other_from_being_made(
    story: Story, wrong: Callable[[Connection], Any]
) -> None:
    first, failed, last = together(story.store, fine, wrong, fine)
    assert (first, last) == (None, None)
    assert isinstance(failed, LedgerError)
    with story.store.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM runs")) == 2


def test_a_database_that_fails_is_asked_once_for_all(on_file: Story) -> None:
    """SQLite waits for half a minute: once for each would be hours."""
    asked: list[int] = []

    def locked(_connection: Connection) -> None:
        asked.append(1)
        raise OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked"))

    said = together(on_file.store, fine, locked, fine)
    assert all(isinstance(one, LedgerError) for one in said)
    assert len(asked) == 1


RENAME = text("UPDATE runs SET source = source || '.' WHERE id = :id")


def renamed(id: int, met: Callable[[], object]) -> Callable[[Connection], None]:
    """Renames a run, and goes on when the others have got that far, the first time."""

    def change(connection: Connection) -> None:
        connection.execute(RENAME, {"id": id})
        met()

    return change


@pytest.mark.parametrize("joined", [True, False])
def test_what_is_undone_for_another_is_made_again(server: Server, joined: bool) -> None:
    """Two workers that were handed the same orders, and take them in another order: PostgreSQL
    undoes what one of them has made."""
    url = server.new_database(f"deadlock{joined}".lower())
    barrier = Barrier(2)

    def met() -> None:
        with suppress(BrokenBarrierError):
            barrier.wait(10)
        barrier.abort()  # whoever makes it again meets nobody

    with closing(Store(url)) as one, closing(Store(url)) as other, ThreadPoolExecutor(2) as pool:
        first, second = Story(one).run(), Story(one).run()
        said = [
            pool.submit(make, store, renamed(here, met), renamed(there, lambda: None))
            for store, here, there in ((one, first, second), (other, second, first))
            for make in (together if joined else in_turn,)
        ]
        assert [answer.result(30) for answer in said] == [[None, None]] * 2
        with one.reading() as connection:
            names = connection.scalars(text("SELECT source FROM runs")).all()
        assert names == ["guestlist.toml.."] * 2


def in_turn(store: Store, *changes: Callable[[Connection], None]) -> list[None]:
    """Has changes made as one."""
    return store.make(lambda connection: [change(connection) for change in changes])


def test_a_file_that_others_open_at_the_same_time_is_waited_for() -> None:
    """Of six processes that open a new file at once, one was told at times that it is locked."""

    class Busy(sqlite3.Connection):
        left = 2

        def execute(self, *told: Any) -> sqlite3.Cursor:
            self.left -= 1
            if self.left >= 0:
                error = sqlite3.OperationalError("database is locked")
                error.sqlite_errorcode = sqlite3.SQLITE_BUSY
                raise error
            return super().execute(*told)

    connection = Busy(":memory:")
    _use_write_ahead_log(connection)
    assert connection.left == -1
    connection.close()


@pytest.mark.parametrize(
    "place",
    [":memory:", "sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"],
)
def test_it_is_not_kept_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Every thread would have a database of its own, and its tables in none of them."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="cannot be kept in memory"):
        Ledger(place)
    assert list(tmp_path.iterdir()) == []


def test_two_files_whose_names_end_differently_are_two(tmp_path: Path) -> None:
    with (
        closing(Store(f"sqlite:///{tmp_path}/ledger.2026")) as one,
        closing(Store(f"sqlite:///{tmp_path}/ledger.2027")) as other,
        exclusive(one),
        exclusive(other),
    ):
        pass


def test_one_file_under_two_names_is_one(tmp_path: Path) -> None:
    """Whoever believes to be alone takes what is under way elsewhere for interrupted."""
    (tmp_path / "link.db").symlink_to(tmp_path / "guestlist.db")
    with (
        closing(Store(f"sqlite:///{tmp_path}/guestlist.db")) as one,
        closing(Store(f"sqlite:///{tmp_path}/link.db")) as other,
        exclusive(one),
        pytest.raises(LedgerError, match="another run is under way"),
        exclusive(other),
    ):
        pass


# ---------------------------------------------------------------------------- the file itself


@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "deleted"])
@pytest.mark.parametrize("joined", [True, False])
def test_a_file_that_is_deleted_or_replaced_while_it_is_used_is_an_error(
    tmp_path: Path, replaced: bool, joined: bool
) -> None:
    """What is written to a file without a name is lost, and so would be what was sent."""
    file = tmp_path / "guestlist.db"
    with closing(Store(f"sqlite:///{file}")) as store:
        if replaced:
            Store(f"sqlite:///{tmp_path}/other.db").close()
            (tmp_path / "other.db").replace(file)
        else:
            file.unlink()
        told = together(store, fine, fine) if joined else together(store, fine)
        assert all(
            isinstance(error, LedgerError) and "was deleted or replaced" in error.message
            for error in told
        )
        with pytest.raises(LedgerError, match="was deleted or replaced"):
            store.make(fine)
        with pytest.raises(LedgerError), ExitStack() as held:  # noqa: PT012
            for _ in range(3):  # more connections than were open before
                held.enter_context(store.reading()).execute(text("SELECT 1"))
        assert file.exists() is replaced


def test_a_ledger_is_opened_while_another_process_writes(tmp_path: Path) -> None:
    """One that was stopped with Ctrl-Z in the middle of a change, say."""
    file = tmp_path / "guestlist.db"
    Store(f"sqlite:///{file}").close()
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        with closing(Store(f"sqlite:///{file}")) as store, store.reading() as connection:
            assert connection.scalar(text("SELECT count(*) FROM runs")) == 0


def test_a_process_that_never_ends_its_change_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guestlist.ledger.store.BUSY", 0.1)
    file = tmp_path / "guestlist.db"
    with (
        closing(Store(f"sqlite:///{file}")) as store,
        closing(sqlite3.connect(file)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="another process has been writing to") as told:
            store.make(fine)
        assert "Ctrl-Z" in (told.value.hint or "")


@pytest.mark.parametrize("url", ["postgresql+nodriver://db/x", "mysql://db/x", "nodatabase://db/x"])
def test_a_driver_or_database_that_is_unknown_is_a_mistake_of_the_configuration(url: str) -> None:
    with pytest.raises(ConfigError, match=r"URL|cannot be kept in (mysql|nodatabase)"):
        Store(url)


# ---------------------------------------------------------------------------- other files


@pytest.mark.parametrize("read_only", [True, False])
def test_another_programs_database_is_refused_and_left_as_it_is(
    tmp_path: Path, read_only: bool
) -> None:
    file = tmp_path / "shop.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE goods (name TEXT)")
    before = file.read_bytes()
    with pytest.raises(LedgerError, match=r"shop\.db is not a ledger: it contains other tables"):
        Store(f"sqlite:///{file}", read_only=read_only)
    assert file.read_bytes() == before


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_that_is_not_a_database_raises_an_error(tmp_path: Path, read_only: bool) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email\nada@example.com\n" * 100)
    with pytest.raises(LedgerError, match=r"people\.csv is not a SQLite database") as told:
        Store(f"sqlite:///{file}", read_only=read_only)
    assert told.value.hint is not None
    assert "ledger=PLACE" in told.value.hint


@pytest.fixture
def frozen() -> Iterator[Path]:
    """A ledger in a folder where this user may write nothing."""
    folder = Path(tempfile.mkdtemp())
    file = folder / "guestlist.db"
    Store(f"sqlite:///{file}").close()
    file.chmod(0o444)
    folder.chmod(0o555)
    try:
        yield file
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def become_nobody() -> None:
    """Takes root's rights to write from this thread and those that it starts. For root nothing is
    read-only; the user of the process, which other tests share, stays the same."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).setfsuid(65534)


@pytest.mark.skipif(sys.platform != "linux", reason="permissions of folders, rights of threads")
def test_a_ledger_is_read_where_nothing_can_be_written(frozen: Path) -> None:
    with ThreadPoolExecutor(1, initializer=become_nobody) as thread:
        thread.submit(check_read_only, frozen).result()
    assert os.access(frozen, os.W_OK) is (os.geteuid() == 0)


def check_read_only(frozen: Path) -> None:
    with pytest.raises(LedgerError, match="fails"):
        Store(f"sqlite:///{frozen}")
    store = Store(f"sqlite:///{frozen}", read_only=True)
    assert list(history.log_lines(store)) == []
    with pytest.raises(LedgerError, match="cannot be read") as told:
        store.write(lambda connection: end_all(connection))
    assert told.value.hint is not None
    assert "Copy it" in told.value.hint
    store.close()


def end_all(connection: Connection) -> None:
    connection.execute(delete(runs))


def test_its_repr_shows_the_location_without_the_password(tmp_path: Path) -> None:
    with Ledger(tmp_path / "guestlist.db") as ledger:
        assert repr(ledger) == f"<Ledger: {tmp_path}/guestlist.db>"
