"""What the reference of the roster file shows works as it is shown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from guestlist.errors import ConfigError
from guestlist.roster.document import (
    Columns,
    GroupTable,
    LedgerTable,
    LimitsTable,
    PeopleFileTable,
    PersonTable,
    TomlTable,
)
from guestlist.roster.file import read_roster

DOCS = Path(__file__).parents[2] / "docs" / "roster.md"
TEXT = DOCS.read_text()


def block(language: str) -> str:
    found = re.search(f"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


@pytest.fixture(autouse=True)
def files() -> None:
    Path("guestlist.toml").write_text(block("toml"))
    Path("people.csv").write_text(block("csv"))


def test_the_example() -> None:
    roster = read_roster(Path("guestlist.toml"))
    assert [(one.account, one.email, one.roles) for one in roster.wanted()] == [
        ("cloud", "ada@example.com", ("group:Engineering", "policy:Invoice Reading")),
        ("chat", "ada@example.com", ("member",)),
        ("chat", "bob@example.com", None),
        ("chat", "eve@example.com", None),
        ("cloud", "dan@example.com", ("group:Engineering",)),
        ("chat", "dan@example.com", ("member",)),
    ]


def test_the_program() -> None:
    run = subprocess.run([sys.executable, "-c", block("python")], capture_output=True, text=True)
    assert run.stderr == ""
    assert "chat bob@example.com None None None guestlist.toml:20\n" in run.stdout


def test_the_error() -> None:
    Path("guestlist.toml").write_text(block("toml").replace('["engineering"]', '["enginering"]'))
    with pytest.raises(ConfigError) as caught:
        read_roster(Path("guestlist.toml"))
    assert f"`{caught.value}`" in TEXT


@pytest.mark.parametrize(
    ("heading", "part"),
    [
        ("in `[groups.NAME]`", GroupTable),
        ("in `[[people]]`", PersonTable),
        ("in `[[people_from]]`", PeopleFileTable),
        ("column", Columns),
        ("in `[limits]`", LimitsTable),
        ("in `[ledger]`", LedgerTable),
    ],
)
def test_every_key_is_in_a_table(heading: str, part: type[TomlTable]) -> None:
    rows = TEXT.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    told = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (.*?) \|", rows, re.MULTILINE)))
    known = {info.alias or name for name, info in part.model_fields.items()}
    singular = {"account", "role", "group", "login"} if part is Columns else set()
    assert set(told) == known | singular
