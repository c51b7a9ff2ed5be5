"""The line of everything in a TOML file, whichever way it is written."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestlist.tomlfile.lines import Place, line_numbers

FILE = """\
# a comment with [brackets] and key = "value"
name = "x"            # line 2
"quoted key" = 'one # no comment'
"esc\\u0061ped".dotted = 1.5

[table]               # line 6
long = \"\"\"
three = 3
[no.table]
\\\"\"\" and two more quotes\"\"\"\"\"
after = 2026-01-01 07:30:00.5+01:00   # line 11
raw = '''
'' # [[people]]
'''
list = [              # line 15
  1, 2,
  # nothing = here
  [ 3,
    { a = "]", b.c = [ { d = 1 } ] } ],

  "\\"",              # line 21
]
inline = { x = 1, y = { z = "}" }, empty = {} }   # line 23
[[people]]
email = "ada"
accounts.cloud = [ "a", "b" ]
[people.more]         # line 27
key = true
[[people]]            # line 29
[[people.cars]]
[[people.cars]]
wheels = 4
[ spaced . "out" ]
empty = []
last = "no newline"   # line 35"""

EXPECTED: list[tuple[Place, int]] = [
    (("name",), 2),
    (("quoted key",), 3),
    (("escaped", "dotted"), 4),
    (("table",), 6),
    (("table", "long"), 7),
    (("table", "after"), 11),
    (("table", "raw"), 12),
    (("table", "list", 0), 16),
    (("table", "list", 1), 16),
    (("table", "list", 2), 18),
    (("table", "list", 2, 1, "a"), 19),
    (("table", "list", 2, 1, "b", "c", 0, "d"), 19),
    (("table", "list", 3), 21),
    (("table", "inline"), 23),
    (("table", "inline", "y", "z"), 23),
    (("table", "inline", "empty"), 23),
    (("people",), 24),
    (("people", 0), 24),
    (("people", 0, "email"), 25),
    (("people", 0, "accounts", "cloud", 1), 26),
    (("people", 0, "more", "key"), 28),
    (("people", 1), 29),
    (("people", 1, "cars", 1, "wheels"), 32),
    (("spaced", "out", "empty"), 34),
    (("spaced", "out", "last"), 35),
]


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize(("place", "line"), EXPECTED, ids=[str(place) for place, _ in EXPECTED])
def test_the_line_of(place: Place, line: int, end: str) -> None:
    assert line_numbers(FILE.replace("\n", end))[place] == line


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Every place in a parsed file."""
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for key, inner in pairs:
        yield (*place, key)
        yield from places(inner, (*place, key))


def test_every_place_has_a_line_and_nothing_else_has() -> None:
    assert set(line_numbers(FILE)) == set(places(tomllib.loads(FILE)))


@given(
    st.text(st.sampled_from("\n\r\t ab.=,#[]{}\"'\\-0159:TZ_"), max_size=60)
    | st.lists(st.sampled_from(FILE.splitlines()), max_size=12).map("\n".join)
)
def test_every_file_that_tomllib_reads(text: str) -> None:
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(line_numbers(text)) == set(places(parsed))
