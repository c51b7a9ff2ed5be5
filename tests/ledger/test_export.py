"""The log for other programs."""

from __future__ import annotations

import csv
import io

import pytest
from tests.ledger.story import Story

from guestlist.ledger.history import log_lines
from guestlist.ledger.log import COLUMNS, LogLine, write_csv, write_jsonl
from guestlist.ledger.schema import OrderState


def exported(story: Story) -> list[dict[str, str]]:
    out = io.StringIO()
    write_csv(log_lines(story.store), out)
    return list(csv.DictReader(io.StringIO(out.getvalue())))


def test_json_lines_are_complete(on_file: Story) -> None:
    on_file.settled(
        run=on_file.run(), deferred=("group:Engineering",), options={"api_enabled": True}
    )
    on_file.settled("grüße@example.com", state=OrderState.REFUSED, detail="two\nlines")
    out = io.StringIO()
    write_jsonl(log_lines(on_file.store), out)
    read = [LogLine.model_validate_json(line) for line in out.getvalue().splitlines()]
    assert read == list(log_lines(on_file.store))
    assert len(read) == 3


def test_csv(on_file: Story) -> None:
    on_file.settled(
        run=on_file.run(),
        roles=("Member", "Support"),
        options={"api_enabled": True},
        email_sent=True,
        detail='he said "no", twice\nand left',
    )
    [row] = exported(on_file)
    assert tuple(row) == COLUMNS
    assert row["email"] == "ada@example.com"
    assert row["asked_at"] == "2026-11-21T12:00:00+00:00"
    assert (row["roles"], row["options"]) == ("Member; Support", '{"api_enabled": true}')
    assert (row["email_sent"], row["deferred"], row["run"]) == ("true", "", "1")
    assert row["detail"] == 'he said "no", twice\nand left'
    assert row["entries"].startswith("2026-11-21T12:00:00+00:00 asked; ")


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＠"])  # noqa: RUF001
def test_what_a_spreadsheet_would_run_is_quoted(on_file: Story, first: str) -> None:
    evil = first + "HYPERLINK(A1)"
    on_file.settled(f"{first}a@example.com", detail=evil, roles=(evil,), reason=evil, account=evil)
    [row] = exported(on_file)
    assert row["email"] == f"'{first}a@example.com"
    assert {row[name] for name in ("detail", "roles", "reason", "account")} == {f"'{evil}"}


def test_nothing_else_is_quoted(on_file: Story) -> None:
    on_file.settled("o'neill+x@example.com", detail="a=b")
    [row] = exported(on_file)
    assert (row["email"], row["detail"]) == ("o'neill+x@example.com", "a=b")
