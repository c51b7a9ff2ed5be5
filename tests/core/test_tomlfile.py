"""On which line of a TOML file each thing stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestlist.errors import ConfigError
from guestlist.tomlfile import Place, Problems, TomlFile, read_toml

TEXT = (
    """\
# a comment with [brackets], 'quotes" and = signs
title = "a # that is none"      # 2
"quoted.key".inner = 1          # 3
text = '''
[no.header]
x = 1'''                        # begins on 4
also = """
    + '"""'
    + """
\\"" ["" \\
"""
    + '"""'
    + """
[people]                        # 10
names = [                       # 11
    "ada",  # the first, [12]
    "grace", { name = "x", of = ["a"] },

    "alan"]
empty = []
nested = [[1, 2], [
    3]]

[[team]]                        # 20
name = "one"
[[team.role]]
name = "r1"
[team.role.more]
x = 1
[[team]]
[[team.role]]
[[team.role]]
name = "r2"                     # 29
[team."the last".one]
"""
)


@pytest.fixture
def file(tmp_path: Path) -> TomlFile:
    path = tmp_path / "a.toml"
    path.write_text(TEXT, encoding="utf-8", newline="\r\n")
    return read_toml(path)


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("title",), 2),
        (("quoted.key", "inner"), 3),
        (("text",), 4),
        (("also",), 7),
        (("people",), 10),
        (("people", "names"), 11),
        (("people", "names", 0), 12),
        (("people", "names", 1), 13),
        (("people", "names", 2, "of", 0), 13),
        (("people", "names", 3), 15),
        (("people", "names", 9), 11),
        (("people", "missing"), 10),
        (("people", "nested", 1), 17),
        (("team", 0), 20),
        (("team", 0, "name"), 21),
        (("team", 0, "role", 0, "name"), 23),
        (("team", 0, "role", 0, "more", "x"), 25),
        (("team", 1), 26),
        (("team", 1, "role", 0), 27),
        (("team", 1, "role", 1), 28),
        (("team", 1, "role", 1, "name"), 29),
        (("team", 1, "the last", "one"), 30),
        (("nothing",), None),
        ((), None),
    ],
)
def test_lines(file: TomlFile, place: Place, line: int | None) -> None:
    assert file.line_of(place) == line


def test_problems_are_told_with_file_and_line_in_the_file_s_order(file: TomlFile) -> None:
    problems = Problems()
    for message, place in [("late", ("team", 1)), ("whole", ()), ("early", ("title",))]:
        with problems:
            raise ConfigError(message, place=place, hint=f"Not {message}.")
    with pytest.raises(ConfigError) as caught:
        problems.check()
    told = file.located(caught.value)
    name = str(file.path)
    assert [one.message for one in told.problems] == [
        f"{name}: whole",
        f"{name}, line 2: early",
        f"{name}, line 26: late",
    ]
    assert str(told) == "; ".join(one.message for one in told.problems) + (
        ". Not whole. Not early. Not late."
    )


def test_only_what_is_wrong_with_the_file_is_collected() -> None:
    with pytest.raises(ZeroDivisionError), Problems():
        raise ZeroDivisionError
