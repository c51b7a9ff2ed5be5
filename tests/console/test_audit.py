"""The page of the audit: its findings, filters and export."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from tests.console.conftest import Open, Visitor
from tests.console.test_changes import person, result

from guestlist.console.page_audit import Line, _csv
from guestlist.runs.findings import FindingKind
from guestlist.sandbox import Sandbox

INES = "ines@example.org"


def make_audit(visitor: Visitor, **options: Any) -> str:
    """Makes an audit, and returns its page."""
    visitor.post("/audit/make", at="/audit", **options)
    return result(visitor, "/audit")


def rows(page: str) -> str:
    return page.partition("<tbody>")[2].partition("</tbody>")[0]


def test_an_audit_is_made_filtered_and_exported(visitor: Visitor, sandbox: Sandbox) -> None:
    assert "<table" not in visitor.page("/audit")
    page = make_audit(visitor)
    assert "Made by ada" in page
    assert f'<a href="{person(INES)}">{INES}</a>' in page
    assert "Missing" in rows(page)
    page = visitor.page("/audit", kind="missing", account="vultr")
    assert "ada@example.com" in rows(page)
    assert INES not in rows(page)
    assert "No finding matches these filters." in visitor.page("/audit", who="nobody")
    answer = visitor.http.get("/audit.csv", params={"who": "INES", "account": "vultr"})
    assert answer.headers["Content-Type"].startswith("text/csv")
    found = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["person"] for row in found} == {INES}
    assert "not in roster" in {row["finding"] for row in found}
    assert sandbox.world.delivered() == []


def test_cells_of_the_export_are_no_formulas() -> None:
    line = Line(FindingKind.ADMIN, "vultr", "=cmd|x", "@SUM(1)", None)
    (_, row) = _csv([line])
    assert row == '"admin","\'=cmd|x","vultr","\'@SUM(1)",""\n'


def test_a_reader_may_make_one(open_console: Open) -> None:
    visitor = open_console(read_only=True)
    visitor.sign_in()
    assert "findings" in make_audit(visitor, quick="1")


def test_a_roster_that_cannot_be_read_is_explained(visitor: Visitor, roster: Path) -> None:
    roster.write_text("people = 3\n", encoding="utf-8")
    assert "guestlist.toml" in make_audit(visitor)
    assert visitor.http.get("/audit.csv").status_code == 404


def test_without_a_roster(open_console: Open) -> None:
    visitor = open_console(roster=None)
    visitor.sign_in()
    assert "no roster" in visitor.page("/audit")
    visitor.post("/audit/make", 409, at="/people")
