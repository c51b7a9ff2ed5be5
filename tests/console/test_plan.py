"""The page of the plan, its runs, and the log."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

import pytest
from tests.console.conftest import Open, Visitor, field
from tests.console.test_changes import emails, result

from guestlist import Guestlist, State, apply
from guestlist.console import page_log
from guestlist.ledger import Ledger, history
from guestlist.runs.stop import Stop
from guestlist.sandbox import Sandbox

ADA, GRACE = "ada@example.com", "grace@example.com"


def make_plan(visitor: Visitor, **options: Any) -> str:
    """Makes a plan, and returns its page."""
    visitor.post("/plan/make", at="/plan", **options)
    while "data-busy" in (page := visitor.page("/plan")):
        time.sleep(0.02)
    return page


def test_a_plan_is_shown_and_applied(
    visitor: Visitor, guests: Guestlist, sandbox: Sandbox, ledger: Ledger
) -> None:
    assert "Make a plan" in visitor.page("/plan")
    page = make_plan(visitor)
    assert emails(sandbox) == []
    assert ADA in page
    assert GRACE in page
    assert "Apply 2 changes" in page
    assert "2 changes" in page
    assert "group:Engineering" in page
    assert GRACE not in visitor.page("/plan", action="remove")
    work = visitor.post("/plan/apply", at="/plan", plan=field(page, "plan")).headers["Location"]
    page = result(visitor, work)
    assert "Made 2 changes, and sent 2 emails." in page
    assert sorted(emails(sandbox)) == [ADA, GRACE]
    assert {line.actor for line in history.log_lines(ledger.store)} == {"ada"}
    assert guests.status(ADA, account="vultr").state is State.PENDING
    assert "This plan was applied." in visitor.page("/plan")
    # a second press leads to the same run
    token = field(visitor.page("/plan"), "csrf")
    plan = visitor.console._plan._plan
    assert plan is not None
    again = visitor.post("/plan/apply", csrf=token, plan=plan.id)
    assert again.headers["Location"] == work
    assert "Everything is as the roster says." in make_plan(visitor)


def test_a_plan_that_is_out_of_date_sends_nothing(
    visitor: Visitor, guests: Guestlist, sandbox: Sandbox
) -> None:
    page = make_plan(visitor)
    guests.invite(ADA, account="vultr")
    work = visitor.post("/plan/apply", at="/plan", plan=field(page, "plan")).headers["Location"]
    assert "have changed since the plan was shown, so nothing was sent" in result(visitor, work)
    assert emails(sandbox) == [ADA]
    old = field(page, "plan")
    make_plan(visitor)
    visitor.post("/plan/apply", 409, at="/plan", plan=old)
    assert emails(sandbox) == [ADA]


def test_a_plan_over_a_limit_needs_its_number(
    visitor: Visitor, roster: Path, sandbox: Sandbox
) -> None:
    text = roster.read_text(encoding="utf-8")
    roster.write_text(f"{text}\n[limits]\ninvitations = 1\n", encoding="utf-8")
    page = make_plan(visitor)
    assert "exceed the limit of 1" in page
    plan = field(page, "plan")
    visitor.post("/plan/apply", 409, at="/plan", plan=plan)
    visitor.post("/plan/apply", 409, at="/plan", plan=plan, typed="3")
    assert emails(sandbox) == []
    work = visitor.post("/plan/apply", at="/plan", plan=plan, typed="2").headers["Location"]
    assert "Made 2 changes" in result(visitor, work)


def test_pruning_is_an_option(visitor: Visitor, sandbox: Sandbox) -> None:
    assert "Remove" not in visitor_rows(make_plan(visitor))
    page = make_plan(visitor, prune="1")
    assert "Also remove people whom the roster does not name." in page
    assert "Remove" in visitor_rows(page)


def visitor_rows(page: str) -> str:
    return page.partition("<tbody>")[2].partition("</tbody>")[0]


def test_an_interrupted_run_goes_on(
    visitor: Visitor, roster: Path, guests: Guestlist, ledger: Ledger, sandbox: Sandbox
) -> None:
    stop = Stop()
    apply(roster, ledger=ledger, client=guests, stop=stop, on_progress=stop_at_start(stop))
    page = visitor.page("/plan")
    assert "An interrupted run has" in page
    work = visitor.post("/plan/resume", at="/plan").headers["Location"]
    assert "Made" in result(visitor, work)
    assert sorted(emails(sandbox)) == [ADA, GRACE]
    assert "An interrupted run" not in visitor.page("/plan")


def stop_at_start(stop: Stop) -> Any:
    """Returns a callback that stops a run before it sends anything."""

    def follow(event: object) -> None:
        if type(event).__name__ == "RunStarted":
            stop()

    return follow


def test_a_run_that_is_stopped_at_any_moment_can_be_completed(
    visitor: Visitor, sandbox: Sandbox
) -> None:
    plan = field(make_plan(visitor), "plan")
    token = field(visitor.page("/plan"), "csrf")
    work = visitor.post("/plan/apply", csrf=token, plan=plan).headers["Location"]
    visitor.post(f"{work}/stop", csrf=token)
    result(visitor, work)
    page = visitor.page("/plan")
    if "An interrupted run has" in page:  # it was stopped after the run was recorded
        result(visitor, visitor.post("/plan/resume", csrf=token).headers["Location"])
    elif "Apply 2 changes" in page:  # it was stopped before
        work = visitor.post("/plan/apply", csrf=token, plan=plan).headers["Location"]
        result(visitor, work)
    assert sorted(emails(sandbox)) == [ADA, GRACE]


def test_a_run_with_other_options_does_not_go_on(
    visitor: Visitor, roster: Path, guests: Guestlist, ledger: Ledger, sandbox: Sandbox
) -> None:
    stop = Stop()
    apply(roster, ledger=ledger, client=guests, stop=stop, on_progress=stop_at_start(stop))
    work = visitor.post("/plan/resume", at="/plan", prune="1").headers["Location"]
    assert "cannot go on. Nothing was sent." in result(visitor, work)
    assert emails(sandbox) == []


def test_deferred_roles_are_given(visitor: Visitor, guests: Guestlist, sandbox: Sandbox) -> None:
    work = visitor.post("/plan/settle", at="/plan").headers["Location"]
    assert "No deferred role is due." in result(visitor, work)


def test_a_roster_that_cannot_be_read_is_explained(visitor: Visitor, roster: Path) -> None:
    roster.write_text("people = 3\n", encoding="utf-8")
    page = make_plan(visitor)
    assert "guestlist.toml" in page
    assert "Nothing was changed." in page
    visitor.console.refresh()
    assert "The roster cannot be read" in visitor.page("/people")


def test_without_a_roster(open_console: Open) -> None:
    visitor = open_console(roster=None)
    visitor.sign_in()
    page = visitor.page("/plan")
    assert "no roster" in page
    visitor.post("/plan/make", 409, at="/people")


def test_the_log_filters_and_exports(visitor: Visitor, guests: Guestlist) -> None:
    assert "Nothing was done with this ledger." in visitor.page("/log")
    guests.acting_as("=olga").invite(ADA, account="vultr")
    guests.acting_as("zoe").invite(GRACE, role="Member", account="aitronos")
    page = visitor.page("/log")
    assert "2 lines" in page
    assert page.index(GRACE) < page.index(f">{ADA}<")
    assert ADA not in visitor.page("/log", actor="zoe").partition("<tbody>")[2]
    assert GRACE not in visitor.page("/log", who=ADA.upper()).partition("<tbody>")[2]
    assert "No line matches" in visitor.page("/log", state="refused")
    assert "2 lines" in visitor.page("/log", since="x", until="99999-01-01", run="x", before="x")
    assert "No line matches" in visitor.page("/log", until="2000-01-01")
    answer = visitor.http.get("/log.csv", params={"account": "vultr"})
    assert answer.headers["Content-Type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["email"], row["actor"]) == (ADA, "'=olga")


def test_the_log_is_paged(
    visitor: Visitor, guests: Guestlist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_log, "ROWS", 2)
    for number in range(3):
        guests.invite(f"p{number}@example.com", account="vultr")
    page = visitor.page("/log")
    assert "3 lines" in page
    assert "p0@example.com" not in page
    before = page.partition("before=")[2].partition('"')[0]
    assert "p0@example.com" in visitor.page("/log", before=before)


@pytest.mark.parametrize("path", ["/plan/make", "/plan/apply", "/plan/resume", "/plan/settle"])
def test_read_only(open_console: Open, path: str) -> None:
    visitor = open_console(read_only=True)
    visitor.sign_in()
    status = 303 if path == "/plan/make" else 403
    visitor.post(path, status, at="/plan")
    page = visitor.page("/plan")
    assert "Give the roles that are due" not in page
    assert "They cannot be given here: this console is read-only." in page
