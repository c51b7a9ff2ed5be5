"""What the suite says of providers that are wrong: a short remark, once, at the right place."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

import guestlist.sandbox
import guestlist.testing.conformance
from guestlist.plugins import installed

pytest_plugins = ["pytester"]

HERE = Path(__file__).parent

SUITE = """\
from plain_service import *
from plain_provider import *
from guestlist.testing.conformance import ProviderSuite

class Broken(Plain):
{broken}

class Odd(PlainService):
{odd}

class TestBroken(ProviderSuite):
    kind = Broken
    service = Odd
"""


@pytest.fixture
def told(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Told:
    # pytester forgets what is loaded within its runs: two copies of a class would not be the same
    assert guestlist.sandbox
    assert guestlist.testing.conformance
    assert installed().providers
    monkeypatch.syspath_prepend(str(HERE))
    return Told(pytester)


class Told:
    """Runs the suite on a provider that overrides something of the plain one."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        self.outcomes: dict[str, int] = {}

    def __call__(self, broken: str, chosen: str = "", odd: str = "pass") -> str:
        """What is printed.

        Args:
            broken: the body of the provider's class.
            chosen: which tests.
            odd: the body of the class of its service.
        """
        bodies = {
            name: indent(dedent(body), "    ").strip("\n")
            for name, body in (("broken", broken), ("odd", odd))
        }
        self._pytester.makepyfile(test_broken=SUITE.format(**bodies))
        options = (
            "-n0",
            "-ra",
            "-p",
            "no:hypothesispytest",
            "-p",
            "no:cacheprovider",
            "-k",
            chosen,
        )
        result = self._pytester.runpytest_inprocess(*options)
        self.outcomes = result.parseoutcomes()
        return str(result.stdout)


UNREADABLE = """
    @operation
    def get_invitation(self, id):
        reply = yield Request.get("invitations", id)
        return Invitation(id=reply.mapping()["number"])
"""


def test_an_operation_that_never_works_is_remarked_once(told: Told) -> None:
    said = told(UNREADABLE)

    assert told.outcomes["errors"] == 1
    assert "rule:      every operation works on the service" in said
    assert "KeyError: 'number'), after GET /invitations/i-0" in said
    assert "look at:   Broken.get_invitation (test_broken.py:9)" in said
    assert "the tour has failed with MalformedResponse" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) < 100  # most of them say what is skipped


def test_an_error_in_the_middle_of_a_test_is_a_remark(told: Told) -> None:
    said = told(UNREADABLE, "test_get_of_an_unknown_id or test_pending")

    assert told.outcomes == {"failed": 1, "passed": 1, "deselected": told.outcomes["deselected"]}
    assert "rule:      Whoever was invited is pending, by address and by id." in said
    assert "look at:   Broken.get_invitation (test_broken.py:9)" in said
    assert len(said.splitlines()) < 30
