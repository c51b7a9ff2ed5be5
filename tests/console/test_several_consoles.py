"""Several programs on one ledger: two consoles, and a run of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.console.conftest import BASE, ServiceTime, Visitor
from tests.console.test_changes import ADA, carry_out, emails, review_of
from tests.console.test_plan import make_plan, stop_at_start

from guestlist import Guestlist, apply
from guestlist.console import create_app
from guestlist.console.people import token_of
from guestlist.ledger import Ledger, history
from guestlist.ledger.lock import exclusive
from guestlist.runs.stop import Stop
from guestlist.sandbox import Sandbox
from guestlist.sandbox.services import accounts_of


@pytest.fixture
def visitors(sandbox: Sandbox, roster: Path, tmp_path: Path) -> Iterator[list[Visitor]]:
    """Two people, each at a console of their own, with one ledger."""
    with ExitStack() as closing:
        visitors = []
        for name in ("ada", "olga"):
            ledger = closing.enter_context(Ledger(tmp_path / "guestlist.db"))
            guests = closing.enter_context(
                Guestlist(accounts_of(sandbox), ledger=ledger, clock=ServiceTime(sandbox))
            )
            console = create_app(guests, ledger=ledger, roster=roster, actor=name)
            closing.callback(console.finish)
            visitor = Visitor(console, TestClient(console, base_url=BASE))
            visitor.sign_in()
            console.refresh()
            visitors.append(visitor)
        yield visitors


def test_two_consoles_send_one_email(
    visitors: list[Visitor], sandbox: Sandbox, ledger: Ledger
) -> None:
    form = {"people": ADA, "account": "vultr"}
    reviews = [review_of(one, "/add/review", "/add", **form)[0] for one in visitors]
    assert "Invited." in carry_out(visitors[0], reviews[0])
    assert "Was invited already: nothing was sent." in carry_out(visitors[1], reviews[1])
    assert emails(sandbox) == [ADA]
    assert {line.actor for line in history.log_lines(ledger.store) if line.email_sent} == {"ada"}


def test_two_consoles_resend_one_invitation_once(
    visitors: list[Visitor], guests: Guestlist, sandbox: Sandbox
) -> None:
    guests.invite(ADA, account="vultr")
    for visitor in visitors:
        visitor.console.refresh()
    form = {"at": "/invitations", "one": f"resend {token_of(ADA)} vultr"}
    reviews = [review_of(one, "/invitations/review", **form)[0] for one in visitors]
    assert "was sent again." in carry_out(visitors[0], reviews[0])
    assert "Nothing more was sent." in carry_out(visitors[1], reviews[1])
    assert emails(sandbox) == [ADA, ADA]


def test_a_run_of_another_program_is_named(
    visitors: list[Visitor], roster: Path, guests: Guestlist, ledger: Ledger, sandbox: Sandbox
) -> None:
    visitor = visitors[0]
    make_plan(visitor)
    stop = Stop()
    follow = stop_at_start(stop)
    apply(roster, ledger=ledger, client=guests, stop=stop, on_progress=follow, actor="zoe")
    with exclusive(ledger.store):  # as the other program holds it while it works
        page = visitor.page("/plan")
        assert "A run of zoe is at work in another program" in page
        assert "2 changes left" in page
        assert "Apply 2 changes" not in page
        assert "An interrupted run" not in page
    page = visitor.page("/plan")
    assert "An interrupted run has 2 changes left" in page
    assert "Apply 2 changes" in page
    assert emails(sandbox) == []
