"""docs/ledger.md: its commands for moving to PostgreSQL and for backups work, and its tables are
complete."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import Table
from tests.ledger.story import ADA, BOB, EVE, Story
from tests.postgres import Server

from guestlist.ledger.history import log_lines
from guestlist.ledger.schema import metadata
from guestlist.ledger.store import Store

TEXT = Path(__file__).parents[2].joinpath("docs", "ledger.md").read_text("utf-8")
[MOVE] = re.findall(r"## Moving to PostgreSQL\n.*?```python\n(.*?)```", TEXT, re.DOTALL)
[BACKUP] = re.findall(r"^sqlite3 .*$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_the_document_describes_every_column(table: Table) -> None:
    section = TEXT.partition(f"\n| `{table.name}` | ")[2].partition("\n\n")[0]
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", section, re.MULTILINE)))
    assert sorted(named) == sorted(column.name for column in table.columns)


@pytest.fixture
def filled(on_file: Story) -> Story:
    on_file.settled(ADA, 1, run=on_file.run(), email_sent=True, deferred=("group:Engineering",))
    on_file.doubtful(BOB, 2)
    return on_file


def test_moving_to_postgresql(
    filled: Story, file: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.new_database("moved")
    code, replaced = re.subn(r'"postgresql://[^"]*"', repr(url), MOVE)
    assert replaced == 1
    monkeypatch.chdir(file.parent)
    exec(code, {})  # noqa: S102 - it is ours
    moved = Story(Store(url))
    assert list(log_lines(moved.store)) == list(log_lines(filled.store))
    assert moved.settled(EVE, 3, run=moved.run()) > max(line.id for line in log_lines(filled.store))
    moved.store.close()


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the program sqlite3 is not installed")
def test_a_backup_while_it_is_in_use(filled: Story, file: Path) -> None:
    subprocess.run(BACKUP, shell=True, check=True, cwd=file.parent)  # noqa: S602 - it is ours
    copy = Store(f"sqlite:///{file.with_name('backup.db')}")
    assert list(log_lines(copy)) == list(log_lines(filled.store))
    copy.close()
