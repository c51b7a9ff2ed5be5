"""The tool that follows docs/writing-a-provider.md. CI follows the whole page with it:
`uv run tools/tutorial.py --check --pip`.
"""

from __future__ import annotations

import pytest
from tools.tutorial import DOCUMENT, alike, merged, without

MODULE = '''"""A module."""

from a import one


class Acme:
    """A class."""

    key = 1
    name = "acme"

    def first(self):
        return 1
'''


def test_what_is_defined_takes_the_place_of_what_bears_its_name() -> None:
    assert merged(MODULE, '    name = "b"\n\n    def first(self):\n        return 2\n') == (
        MODULE.replace('"acme"', '"b"').replace("return 1", "return 2")
    )
    assert merged(MODULE, "from a import one, two\n") == MODULE.replace("one", "one, two")


def test_what_is_new_follows_what_it_follows_in_the_block() -> None:
    assert merged(MODULE, "    key = 1\n    more = 2\n") == (
        MODULE.replace("key = 1\n", "key = 1\n    more = 2\n")
    )
    assert merged(MODULE, "    def second(self):\n        return 2\n") == (
        MODULE + "\n    def second(self):\n        return 2\n"
    )
    assert merged(MODULE, "def third():\n    return 3\n") == (
        MODULE + "\n\ndef third():\n    return 3\n"
    )


def test_what_is_deleted_is_gone() -> None:
    assert without(MODULE, "key") == MODULE.replace("    key = 1\n", "")


@pytest.mark.parametrize(
    ("told", "came", "same"),
    [
        ("1 passed in 0.2s\n", "12 passed in 3.45s\n", True),
        ("1 failed, 1 passed\n", "2 failed, 1 passed\n", False),
        ("...\nlast\n", "a\nb\nlast\n", True),
        ("...\nlast\n", "a\nb\nlast\nmore\n", False),
        ("first ... third\n", "first second third\n", True),
        ("first ... third\n", "first second\n", False),
    ],
)
def test_what_may_differ(told: str, came: str, same: bool) -> None:
    assert alike(told, came) is same


def test_the_page_is_short() -> None:
    assert len(DOCUMENT.read_text("utf-8").split()) < 3000
