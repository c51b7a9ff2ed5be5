"""A plan that asks for a role that the service has no way to give."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.roster.services import ADMIN, service

from guestlist import Guestlist, Unsupported, runs
from guestlist.changes import Action
from guestlist.cli.exit_codes import exit_code
from guestlist.ledger import Ledger
from guestlist.models import Member
from guestlist.runs.progress import RunEvent, RunProblem

ROSTER = """
[accounts.home]
provider = "service"
[[people]]
email = "ada@example.com"
accounts.home = ["e"]
"""


@pytest.fixture
def guests() -> Guestlist:
    kind = service(frozenset({"assign_role"}), most_roles=None)
    ada = Member(id="m", email="ada@example.com", roles=(ADMIN,))
    return Guestlist({"home": kind(people=(ada,))})


def test_it_takes_nothing_and_exits_with_2(guests: Guestlist) -> None:
    Path("guestlist.toml").write_text(ROSTER)
    for apply in (False, True):
        events: list[RunEvent] = []
        with Ledger("ledger.db") as ledger:
            if apply:
                runs.apply(
                    "guestlist.toml",
                    ledger=ledger,
                    client=guests,
                    confirm=lambda _plan: True,
                    on_progress=events.append,
                )
            else:
                with runs.plan(
                    "guestlist.toml", ledger=ledger, client=guests, on_progress=events.append
                ) as plan:
                    assert [one.action for one in plan.changes()] == [Action.CANNOT]
        [error] = [event.error for event in events if isinstance(event, RunProblem)]
        assert isinstance(error, Unsupported)
        assert error.hint == "The roster wants it for ada@example.com."
        assert exit_code([error]) == 2
