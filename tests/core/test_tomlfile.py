"""Files that people write: what is wrong in one is told with its file, line and place."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestlist.errors import ConfigError
from guestlist.tomlfile import Place, Problems, TomlFile, read_toml, unknown_name_error

TEXT = """\
title = "a"
key = "s3cr3t"

[[team]]        # line 4
name = "one"
names = [
    "ada",
    "alan",
]
"""


@pytest.fixture
def file(tmp_path: Path) -> TomlFile:
    path = tmp_path / "a.toml"
    path.write_text(TEXT, encoding="utf-8", newline="\r\n")
    return read_toml(path)


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("team", 0, "names", 1), 8),
        (("team", 0, "names", 9), 6),
        (("team", 0, "missing", 3, "x"), 4),
        (("team", 7), 4),
        (("title", "x"), 1),
        (("nothing",), None),
        ((), None),
    ],
)
def test_the_line_of_a_place_or_of_what_is_around_it(
    file: TomlFile, place: Place, line: int | None
) -> None:
    assert file.line_of(place) == line
    assert file.where(place) == f"{file.path}{f':{line}' if line else ''}"


def test_problems_have_file_line_and_place_in_the_order_of_the_file(file: TomlFile) -> None:
    problems = Problems()
    for message, place in [("late", ("team", 0, "names", 1)), ("whole", ()), ("early", ("title",))]:
        with problems:
            raise ConfigError(message, where="title: ", place=place, hint=f"Not {message}.")
    with pytest.raises(ConfigError, match="title: late; title: whole; title: early") as caught:
        problems.check()
    told = file.located(caught.value)
    assert [one.message for one in told.problems] == [
        f"{file.path}: whole",
        f"{file.path}:1: title: early",
        f"{file.path}:8: team.1.names.2: late",
    ]
    assert str(told) == "; ".join(one.message for one in told.problems) + (
        ". Not whole. Not early. Not late."
    )


def test_only_what_is_wrong_with_the_file_is_collected() -> None:
    with pytest.raises(ZeroDivisionError), Problems():
        raise ZeroDivisionError


def test_not_more_problems_than_can_be_read() -> None:
    problems = Problems(3)
    problems.add(ConfigError("a"))
    with pytest.raises(ConfigError) as caught, problems:
        raise ConfigError.of([ConfigError("b"), ConfigError("c"), ConfigError("d")])
    assert caught.value.message == "a; b; c; there may be more"


def test_a_name_that_there_is_not() -> None:
    assert str(unknown_name_error("key", "titel", ["title"])) == (
        "there is no key 'titel'. Did you mean 'title'?"
    )
    assert str(unknown_name_error("key", "x", ["title", "key"])).endswith(
        ". There are: title, key."
    )
    assert str(unknown_name_error("key", "x", [])).endswith(". There is no key at all.")


def test_the_same_content_has_the_same_digest_and_nothing_of_it_is_shown(
    file: TomlFile, tmp_path: Path
) -> None:
    other = tmp_path / "b.toml"
    other.write_text(TEXT, newline="\r\n")
    assert read_toml(other).digest == file.digest
    other.write_text(TEXT + "#")
    assert read_toml(other).digest != file.digest
    assert "s3cr3t" not in repr(file)


def test_invalid_toml_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("a = 1\nb = nonsense\n")
    with pytest.raises(ConfigError) as caught:
        read_toml(path)
    assert str(caught.value).startswith(f"{path}:2: this is not valid TOML: ")
