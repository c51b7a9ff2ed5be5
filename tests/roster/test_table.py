"""People in a CSV file: which columns, what a row means, and what is wrong with one."""

from __future__ import annotations

import codecs
import os
import tracemalloc
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.roster.conftest import Read

from guestlist.errors import ConfigError
from guestlist.roster import cells, table

GROUPS = '[groups.dev]\naccounts.cloud = ["x"]\n[groups.ops]\naccounts.chat = true\n'
OPS = 'groups = ["ops"]'
FILE = GROUPS + '[[people_from]]\nfile = "people.csv"\n'


def found(read: Read, rows: str | bytes, settings: str = "") -> Any:
    """Address, account and roles of everybody."""
    roster = read(FILE + settings, people_csv=rows)
    return [(one.email, one.account, one.roles) for one in roster.wanted()]


def wrong(read: Read, rows: str | bytes, settings: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        found(read, rows, settings)
    return str(caught.value)


# ---------------------------------------------------------------------------- rows


@pytest.mark.parametrize("blank", ["", ",", ",,", ",,,,,", "  , ,", ' ,"",,'])
def test_a_row_in_which_nothing_is_does_not_matter(blank: str, read: Read) -> None:
    rows = f"email,accounts\n{blank}\nada@example.com,cloud\n{blank}\n"
    assert found(read, rows) == [("ada@example.com", "cloud", None)]


@pytest.mark.parametrize(
    ("row", "meaning"),
    [
        ("cloud,,", [("cloud", None)]),
        ("cloud,-,", [("cloud", ())]),
        ("cloud,a;b;a,", [("cloud", ("a", "b"))]),
        ("cloud; chat,a,", [("cloud", ("a",)), ("chat", ("a",))]),
        (",,dev", [("cloud", ("x",))]),
        ("cloud,y,dev", [("cloud", ("x", "y"))]),
        ("cloud,-,dev", [("cloud", ("x",))]),
        ("cloud,,dev", [("cloud", ("x",))]),
        (",,dev;ops", [("cloud", ("x",)), ("chat", None)]),
        ('cloud,"""a; b"";"" c""",', [("cloud", ("a; b", " c"))]),
        ('cloud,"""-""",', [("cloud", ("-",))]),
    ],
)
def test_what_a_row_says(row: str, meaning: list[Any], read: Read) -> None:
    people = found(read, f"email,accounts,roles,groups\nada@example.com,{row}\n")
    assert [one[1:] for one in people] == meaning


def test_everybody_in_the_file_is_somewhere_besides(read: Read) -> None:
    settings = 'groups = ["ops"]\naccounts.cloud = ["y"]'
    assert found(read, "email,role,group\na@b.co,z,\nc@b.co,,dev\n", settings) == [
        ("a@b.co", "chat", None),
        ("a@b.co", "cloud", ("y", "z")),
        ("c@b.co", "chat", None),
        ("c@b.co", "cloud", ("y", "x")),
    ]


def test_days_keys_and_lines(read: Read) -> None:
    rows = 'note,email,account,from,until\n"two\nlines",Ada@B.co ,cloud,2026-01-31,\n\n'
    rows += ",,,,\n,e@b.co,cloud,, 2026-02-01\n"
    ada, eve = read(FILE, people_csv=rows).wanted()
    assert (ada.email, ada.key, ada.place) == ("Ada@B.co", "ada@b.co", "people.csv:2")
    assert (ada.starts, ada.ends) == (date(2026, 1, 31), None)
    assert (eve.starts, eve.ends, eve.place) == (None, date(2026, 2, 1), "people.csv:6")


def test_options_of_a_group_reach_the_rows(read: Read) -> None:
    text = FILE.replace("true", "{ options = { api_enabled = true } }")
    [one] = read(text, people_csv="email,group\na@b.co,ops\n").wanted()
    assert one.options == {"api_enabled": True}


# ---------------------------------------------------------------------------- the heading


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_as_spreadsheets_write_it(read: Read, separator: str, end: str, mark: bytes) -> None:
    lines = [("Full, name; or not", " EMail ", "Roles", "account"), ("x", "a@b.co", "r;s", "chat")]
    rows = "".join(separator.join(f'"{one}"' for one in line) + end for line in lines)
    assert found(read, mark + rows.encode()) == [("a@b.co", "chat", ("r", "s"))]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "lines",
    [
        ["sep=;", "email;group", "a@b.co;ops"],
        ["SEP=,", "email,group", "a@b.co,ops"],
        ["sep=|", "email|group", "a@b.co|ops"],
        ["", "email,group", "", "a@b.co,ops"],
        [";;;", '"";""', "email;group", "a@b.co;ops"],
        ["email,group,,,", "a@b.co,ops,,,"],
        ["email,group", "a@b.co,ops,,, "],
        ["", "sep=;", "", "group;email", "ops;a@b.co;;"],
    ],
    ids=" ".join,
)
def test_what_spreadsheets_add(read: Read, encoding: str, end: str, lines: list[str]) -> None:
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    rows = mark.get(encoding, b"") + end.join([*lines, ""]).encode(encoding)
    [one] = read(FILE, people_csv=rows).wanted()
    assert (one.email, one.account) == ("a@b.co", "chat")
    assert one.place == f"people.csv:{len(lines)}"


def test_headings_of_ones_own(read: Read) -> None:
    settings = 'columns = { email = "E-mail address", groups = "Team" }'
    rows = "Team,groups,roles,E-Mail Address\nops,ignored,,a@b.co\n"
    assert found(read, rows, settings) == [("a@b.co", "chat", None)]


def test_a_single_column(read: Read) -> None:
    assert found(read, "email\na@b.co", OPS) == [("a@b.co", "chat", None)]


# ---------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("rows", "settings", "told"),
    [
        (
            "mail,x\n",
            "",
            ":1: there is no column 'email'. There are: 'mail', 'x'. Set the right one",
        ),
        ("e\n", 'columns.email = "E-mail"', ":1: there is no column 'E-mail'. There are: 'e'."),
        ("email,x\n", 'columns.until = "end"', ":1: there is no column 'end'. There are: 'email'"),
        ("email,Email\n", "", ":1: there are 2 columns 'email'"),
        ("email,group,groups\n", "", ":1: there are 2 columns 'group'"),
        ('"email', "", ":1: the heading is not valid CSV: unexpected end of data"),
        ("email\nada\n", OPS, ":2: 'ada' is not an email address: it needs"),
        ("email,group\n,ops\n", "", ":2: '' is not an email address: it needs"),
        ("email,group\na@b.co,opps\n", "", ":2: there is no group 'opps'. Did you mean 'ops'?"),
        ("email,account\na@b.co,chta\n", "", ":2: there is no account 'chta'. Did you mean 'chat'"),
        ("email,from\na@b.co,31.1.2026\n", OPS, ":2: from '31.1.2026' is not a day: write a day"),
        ("email,until\na@b.co,2026-02-30\n", OPS, ":2: until '2026-02-30' is not a day"),
        ("email,until,from\na@b.co,2026-02-01,2026-02-02\n", OPS, ":2: until 2026-02-01 is before"),
        (
            "email,group\na@b.co,\n",
            "",
            ":2: this person has no account. Add an account, or a group",
        ),
        ("email,role\na@b.co,r\n", "", ":2: the row has roles, but no account"),
        ("email,group\na@b.co,ops,x\n", "", ":2: the row has 3 values, but the heading has 2. Put"),
        ('email\n\n"a"b\n', "", ":3: this row is not valid CSV"),
        (
            'email,group\na@b.co,"ops\n\n',
            "",
            ":2: this row is not valid CSV: unexpected end of data",
        ),
        (
            'email\n"' + "x\n" * 100_000 + '"',
            "",
            ":2: this row is not valid CSV: field larger than",
        ),
        (b"email,name\na@b.co,x\ne@b.co,J\xf6rg\n", "", "people.csv:3: this is not UTF-8. Save it"),
        (b"PK\x03\x04\x14\x00", "", "people.csv is a spreadsheet's workbook, not a CSV file. Save"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1",
            "",
            "people.csv is a spreadsheet's workbook, not a CSV file.",
        ),
        (
            "email\na@b.co\n".encode("utf-16")[:-1],
            OPS,
            "people.csv is truncated: it is not complete UTF",
        ),
        (
            "email\na@b.co\n".encode("utf-16-le"),
            OPS,
            "people.csv is not UTF-8: it seems to be UTF-16 without a byte order mark. Save it",
        ),
        ("email\n".encode("utf-16-be"), OPS, "UTF-16 without a byte order mark"),
        ("\n,,\nmail\n", "", "people.csv:3: there is no column 'email'. There are: 'mail'."),
        (
            "sep=;\nmail;x\n",
            "",
            "people.csv:2: there is no column 'email'. There are: 'mail', 'x'.",
        ),
        ("\n\nemail\nada\n", OPS, "people.csv:4: 'ada' is not an email address"),
    ],
)
def test_what_is_wrong(rows: str | bytes, settings: str, told: str, read: Read) -> None:
    line = wrong(read, rows, settings)
    assert line.startswith("people.csv")
    assert told in line


def test_a_row_may_lack_its_last_values(read: Read) -> None:
    assert found(read, "email,groups,until,x\na@b.co,ops\n") == [("a@b.co", "chat", None)]


def test_all_problems_are_reported_at_the_end(read: Read) -> None:
    rows = read(
        FILE, people_csv="email,group\nada,ops\na@b.co,ops\ne@b.co,x\nb@b.co,dev\n"
    ).wanted()
    assert [next(rows).email, next(rows).email] == ["a@b.co", "b@b.co"]
    with pytest.raises(ConfigError, match=r"people.csv:2: 'ada' .*; people.csv:4: there is no gro"):
        next(rows)


def test_not_more_than_can_be_read(read: Read) -> None:
    line = wrong(read, "email,group\n" + "ada,ops\n" * 100)
    assert line.count("is not an email address") == 20
    assert "; there may be more. " in line


@pytest.mark.parametrize("late", [False, True], ids=["before", "while reading"])
def test_a_file_that_changes_after_its_digest_was_taken(late: bool, read: Read) -> None:
    rows = read(FILE, people_csv="email,group\n" + "a@b.co,ops\n" * 10_000).wanted()
    if late:
        next(rows)
    with Path("people.csv").open("a") as file:
        file.write("e@b.co,ops\n")
    with pytest.raises(
        ConfigError, match=r"people.csv has changed while it was read. Run it again"
    ):
        list(rows)


def test_a_file_that_is_gone(read: Read) -> None:
    rows = read(FILE, people_csv="email,group\na@b.co,ops\n").wanted()
    os.remove("people.csv")
    with pytest.raises(ConfigError, match=r"there is no file people.csv"):
        list(rows)


# ---------------------------------------------------------------------------- many


def test_many_rows_that_all_differ_need_no_more_memory_than_few(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "CACHE_ENTRIES", remembered := 500)

    def lines(count: int) -> Iterator[str]:
        yield "email,account,role\n"
        for number in range(count):
            yield f"ada.{number}@example.com,cloud,role {number}\n"

    def peak(count: int) -> int:
        roster = read(FILE, people_csv="".join(lines(count)))
        tracemalloc.start()
        assert sum(1 for _ in roster.wanted()) == count
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(2 * remembered)  # what is made at the first time and kept
    assert peak(8 * remembered) < 1.2 * peak(2 * remembered)


# ---------------------------------------------------------------------------- cells


@given(st.lists(st.text(st.sampled_from('ab;"- \n,'), min_size=1) | st.text(min_size=1)))
def test_a_cell_is_read_as_it_was_written(values: list[str]) -> None:
    assert cells.split(cells.join(values)) == values


@pytest.mark.parametrize(
    ("cell", "values"),
    [
        ("", []),
        (" ; ;", []),
        (" a , b ;c;", ["a , b", "c"]),
        ('say "x"; "y" z', ['say "x"', '"y" z']),
        ('"a;b"', ["a;b"]),
    ],
)
def test_cells_of_people(cell: str, values: list[str]) -> None:
    assert cells.split(cell) == values


@pytest.mark.parametrize(
    ("heading", "meant"),
    [("Untill", "until"), ("fro", "from"), ("Accont", "account"), ("rolles", "roles")],
)
def test_a_misspelled_heading_is_an_error(read: Read, heading: str, meant: str) -> None:
    message = wrong(read, f"email,{heading}\na@b.co,\n", OPS)
    assert f"people.csv:1: the column {heading!r} is not known" in message
    assert f"Did you mean {meant!r}?" in message


@pytest.mark.parametrize("heading", ["Title", "Account ID", "Form", "Unit", "Rules", "Name", ""])
def test_a_column_of_another_kind_is_ignored(read: Read, heading: str) -> None:
    assert found(read, f"email,{heading},Team\na@b.co,x,\n", OPS) == [("a@b.co", "chat", None)]


def test_a_similar_heading_is_ignored_if_the_column_is_there(read: Read) -> None:
    rows = "Work mail,Mail,until,Untill\na@b.co,x,,x\n"
    settings = f'{OPS}\ncolumns = {{ email = "Work mail" }}'
    assert found(read, rows, settings) == [("a@b.co", "chat", None)]
