"""docs/cli.md names everything that there is."""

from __future__ import annotations

import re
from pathlib import Path

from guestlist.cli import exit_codes
from guestlist.cli.arguments import COMMANDS
from guestlist.cli.document import MODELS, ROWS, ErrorRow

TEXT = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")


def column(section: str) -> set[str]:
    """The words in the first column of the first table of a section."""
    table = TEXT.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    return {word for cell in cells for word in re.findall(r"[a-z_-]+|\d+", cell)}


def test_every_command() -> None:
    assert {name for group in COMMANDS.values() for name in group} <= column("Commands")


def test_every_exit_code() -> None:
    codes = {value for name, value in vars(exit_codes).items() if name.isupper() and name[0] != "_"}
    assert {str(code) for code in codes} <= column("Exit codes")


def test_every_type_of_result_and_every_key_of_an_error() -> None:
    assert {*MODELS, *(row.model_fields["type"].default for row in ROWS)} <= column("JSON")
    assert [name for name in ErrorRow.model_fields if f"`{name}`" not in TEXT] == []
