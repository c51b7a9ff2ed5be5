"""`plan`, `apply` and `settle`: from a file of people to what the services hold."""

from __future__ import annotations

import io
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.core.cli.conftest import Cli, Run
from tests.core.cli.program import Program
from tests.core.cli.test_errors import without

from guestlist import Guest, Guestlist
from guestlist.changes import Action, Change
from guestlist.cli.changes import show_changes
from guestlist.cli.screen import Screen
from guestlist.errors import Forbidden, GuestlistError, ServiceUnavailable, Unauthorized
from guestlist.ledger import Ledger, deferred_grants, orders, runs
from guestlist.ledger.origin import NOBODY
from guestlist.roster.file import read_roster
from guestlist.roster.planfile import read_plan, write_plan
from guestlist.runs.unresolved_requests import UnresolvedRequests
from guestlist.sandbox import Sandbox, SandboxControl

ROSTER = """
[accounts.cloud]
provider = "vultr"

[accounts.office]
provider = "aitronos"

[[people]]
email = "ada@example.com"
accounts.cloud = ["group:Engineering"]
accounts.office = ["Member"]

[[people]]
email = "omar@example.org"
accounts.cloud = ["group:Support", "Billing Viewer", "group:Engineering"]
"""

Roster = Callable[..., Run]


@pytest.fixture
def roster(cli: Cli) -> Roster:
    """Runs a command on `guestlist.toml`, with a ledger beside it."""
    Path("guestlist.toml").write_text(ROSTER)

    def run(command: str, *words: str) -> Run:
        return cli(command, "guestlist.toml", "--ledger", "ledger.db", *words)

    return run


def accept(sandbox: Sandbox, address: str) -> None:
    with SandboxControl(sandbox.url) as people:
        for mail in people.emails():
            if mail.to == address:
                people.accept(mail.id)


def emails(sandbox: Sandbox) -> Counter[tuple[str, str]]:
    return Counter((mail.service, mail.to) for mail in sandbox.outbox.emails)


def test_a_plan_shows_each_change_and_sends_nothing(roster: Roster, sandbox: Sandbox) -> None:
    shown = roster("plan")
    assert shown.code == 0
    assert any(
        line.startswith("  +  invite       ada@example.com   group:Engineering when accepted")
        for line in shown.table
    )
    assert any(line.startswith("  +  assign role  omar@example.org") for line in shown.table)
    assert "Plan: 2 to invite, 1 to assign a role." in shown.table
    assert not sandbox.outbox.emails


def test_detailed_exitcode_reports_changes_to_a_pipeline(roster: Roster) -> None:
    assert roster("plan", "--detailed-exitcode").code == 2
    assert roster("plan", "--detailed-exitcode", "--json").document["exit_code"] == 2
    roster("apply", "--yes")
    assert roster("plan", "--detailed-exitcode").code == 0
    document = roster("plan", "--json").results
    assert [row["type"] for row in document] == ["plan"]
    assert document[0]["nothing"] is True


def test_applying_makes_it_so_and_again_does_nothing(roster: Roster, sandbox: Sandbox) -> None:
    done = roster("apply", "--yes")
    assert done.code == 0, done.err
    assert emails(sandbox) == {("vultr", "ada@example.com"): 1, ("aitronos", "ada@example.com"): 1}
    assert any("omar@example.org" in line and "assigned" in line for line in done.table)
    again = roster("apply", "--yes")
    assert "Plan: nothing to do." in again.table
    assert emails(sandbox).total() == 2


def test_deferred_roles_are_given_after_acceptance(roster: Roster, sandbox: Sandbox) -> None:
    told = roster("apply", "--yes")
    assert "1 guest will get roles after accepting" in told.out
    assert "1 guest will get roles after accepting" in roster("settle").out
    accept(sandbox, "ada@example.com")
    settled = roster("settle")
    assert settled.code == 0, settled.err
    assert any("ada@example.com" in line and "assigned" in line for line in settled.table)
    assert roster("settle").out == "No deferred roles.\n"


def test_waiting_for_acceptance_ends(roster: Roster) -> None:
    waited = roster("apply", "--yes", "--wait", "0.1s")
    assert waited.code == 4
    assert "not accepted within 0.1 s by people with deferred roles: 1" in waited.err


def test_nobody_is_taken_out_unless_that_is_asked_for(roster: Roster) -> None:
    assert "to remove" not in roster("plan").out
    pruned = roster("plan", "--prune")
    assert "5 to remove" in pruned.out
    assert "lena@example.org" in pruned.out


def test_ceilings_have_to_be_confirmed(roster: Roster, sandbox: Sandbox) -> None:
    with Path("guestlist.toml").open("a") as file:
        file.write("[limits]\ninvitations = 1\n")
    refused = roster("apply", "--yes")
    assert refused.code == 1
    assert "2 invitations exceed the limit of 1 for one run" in refused.err
    assert not sandbox.outbox.emails
    assert roster("apply", "--yes", "--force").code == 0
    assert emails(sandbox).total() == 2


def test_no_person_gets_too_many_emails(roster: Roster, sandbox: Sandbox) -> None:
    with Path("guestlist.toml").open("a") as file:
        file.write("[limits]\nemails_per_person = 1\n")
    shown = roster("plan")
    assert "1 to invite" in shown.out
    assert "1 change not possible" in shown.out


def test_the_temporary_ledger_of_a_sandbox_is_explained(
    plain: Cli, roster: Roster, sandbox: Sandbox
) -> None:
    """Each command would get a new one."""
    words = ["guestlist.toml", f"--sandbox={sandbox.url}"]
    hint = "run `apply` and `settle` with the same `--ledger FILE`"
    assert hint in " ".join(plain("apply", *words).out.split())
    refused = plain("settle", *words)
    assert refused.code == 2
    assert "Name one with --ledger FILE, for `apply` and for `settle`." in refused.err
    late = plain("apply", *words, "--wait", "0.01s")
    assert hint.capitalize() in late.err


def test_the_allowed_domains_hold_against_a_sandbox(roster: Roster, sandbox: Sandbox) -> None:
    Path("guestlist.toml").write_text('allowed_domains = ["example.org"]\n' + ROSTER)
    shown = roster("plan")
    assert "2 changes not possible" in shown.out
    assert "is not in an allowed domain" in " ".join(shown.out.split())
    roster("apply", "--yes")
    assert not sandbox.outbox.emails


@pytest.fixture
def real(plain: Cli, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Roster:
    """Runs a command on a roster whose account is no imitation, as far as it knows."""
    Path("guestlist.toml").write_text(
        '[accounts.cloud]\nprovider = "vultr"\n'
        f'base_url = "{sandbox.services["vultr"].base_url}"\n'
        '[[people]]\nemail = "ada@example.com"\naccounts.cloud = true\n'
    )
    monkeypatch.setenv("VULTR_API_KEY", sandbox.services["vultr"].settings["api_key"])
    return lambda command, *words: plain(command, "guestlist.toml", *words)


class Terminal(io.StringIO):
    """Somebody who types this, and then Ctrl-D."""

    def isatty(self) -> bool:
        return True


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)


@pytest.mark.parametrize("typed", ["yes\n", "y\n", "Y\n", "what?\nyes\n"])
def test_apply_goes_on_after_yes(
    real: Roster, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    at_a_terminal(monkeypatch, typed)
    done = real("apply")
    assert done.code == 0, done.err
    assert done.err.count("Please answer yes or no.") == typed.count("what?")
    assert len(sandbox.outbox.emails) == 1


@pytest.mark.parametrize("typed", ["no\n", "n\n", "\n", "", "what?\n"])
def test_declining_a_plan_exits_with_1(
    real: Roster, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    at_a_terminal(monkeypatch, typed)
    done = real("apply")
    assert done.code == 1
    assert "declined: nothing was changed\n" in done.err
    assert not sandbox.outbox.emails


def test_without_a_terminal_a_real_apply_asks_for_yes(real: Roster, sandbox: Sandbox) -> None:
    refused = real("apply")
    assert refused.code == 2
    assert "Add --yes" in refused.err
    assert not sandbox.outbox.emails
    assert real("apply", "--yes").code == 0
    assert Path("guestlist.db").exists()


def test_a_plan_in_a_file_is_carried_out_exactly(roster: Roster, sandbox: Sandbox) -> None:
    assert roster("plan", "--out", "team.plan").code == 0
    assert Path("team.plan").stat().st_mode & 0o777 == 0o600
    assert roster("apply", "--plan", "team.plan", "--yes").code == 0
    assert emails(sandbox).total() == 2


def test_a_plan_is_refused_when_the_world_has_moved(
    roster: Roster, cli: Cli, sandbox: Sandbox
) -> None:
    roster("plan", "--out", "team.plan")
    cli("invite", "ada@example.com", "-a", "cloud")
    refused = roster("apply", "--plan", "team.plan", "--yes")
    assert refused.code == 1
    assert "ada@example.com on cloud was not invited, and is now pending" in refused.err
    assert emails(sandbox).total() == 1


def test_a_plan_is_refused_after_the_last_day_of_somebody_in_it(
    roster: Roster, sandbox: Sandbox
) -> None:
    today = sandbox.clock.now().date()
    edited = ROSTER.replace('["Member"]\n', f'["Member"]\nuntil = {today}\n')
    Path("guestlist.toml").write_text(edited)
    roster("plan", "--out", "team.plan")
    with SandboxControl(sandbox.url) as control:
        control.advance(timedelta(days=2))
    refused = roster("apply", "--plan", "team.plan", "--yes")
    assert refused.code == 1
    tomorrow = today + timedelta(days=1)
    told = f"ada@example.com on cloud was valid only until {tomorrow} 00:00 UTC"
    assert told in refused.err
    assert not sandbox.outbox.emails


def test_one_account_that_fails_does_not_stop_the_other(roster: Roster, sandbox: Sandbox) -> None:
    text = ROSTER.replace('["Member"]', '["Nobody"]')
    Path("guestlist.toml").write_text(text)
    done = roster("apply", "--yes")
    assert done.code == 2
    assert "there is no role 'Nobody'" in done.err
    assert emails(sandbox) == {("vultr", "ada@example.com"): 1}


def test_an_unknown_role_names_file_and_line(roster: Roster) -> None:
    text = ROSTER.replace('["Member"]', '["Nobody"]')
    Path("guestlist.toml").write_text(text)
    line = text[: text.index('["Nobody"]')].count("\n") + 1
    done = roster("plan")
    assert done.code == 2
    assert f"guestlist.toml:{line}: there is no role 'Nobody'" in done.err


def test_a_last_day_that_is_over_is_a_difference(roster: Roster) -> None:
    Path("guestlist.toml").write_text(
        '[accounts.cloud]\nprovider = "vultr"\n[[people]]\nemail = "lena@example.org"\n'
        "accounts.cloud = true\nuntil = 2020-12-31\n"
    )
    shown = roster("plan", "--detailed-exitcode")
    assert shown.code == 2
    assert "lena@example.org: was wanted until 2020-12-31 and is still a member" in shown.out
    assert roster("apply", "--yes").code == 1


def test_what_is_not_possible_is_no_success(roster: Roster, sandbox: Sandbox) -> None:
    Path("guestlist.toml").write_text('allowed_domains = ["example.org"]\n' + ROSTER)
    assert roster("plan", "--detailed-exitcode").code == 2
    done = roster("apply", "--yes")
    assert done.code == 1
    assert "not possible" in done.err
    assert not sandbox.outbox.emails
    assert not roster("apply", "--yes", "--json").document["ok"]


def test_without_the_extra() -> None:
    for run in without("sqlalchemy", ["plan"], ["apply"], ["settle"], ["worker"]):
        assert (run.code, run.out) == (2, "")
        assert run.err.splitlines() == [
            "error: a ledger needs sqlalchemy",
            'hint: Run: pip install "guestlist[ledger]"',
        ]


def test_two_runs_at_a_time_are_refused(roster: Roster) -> None:
    from guestlist.ledger.lock import exclusive

    with Ledger("ledger.db") as ledger, exclusive(ledger.store):
        refused = roster("apply", "--yes")
    assert refused.code == 1
    assert "another run is under way" in refused.err


def test_an_invalid_roster_is_reported_with_its_lines(roster: Roster) -> None:
    Path("guestlist.toml").write_text(ROSTER.replace("ada@example.com", "ada at example"))
    wrong = roster("plan")
    assert wrong.code == 2
    assert "guestlist.toml:9" in wrong.err


PEOPLE_FROM = """
[accounts.cloud]
provider = "vultr"

[[people_from]]
file = "people.csv"
accounts.cloud = true
"""


def many(number: int) -> None:
    """Writes a roster of so many people."""
    people = "".join(f"p{number}@example.com\n" for number in range(number))
    Path("people.csv").write_text("email\n" + people)
    Path("guestlist.toml").write_text(PEOPLE_FROM)


def stopped(sandbox: Sandbox, by: signal.Signals, *more: str) -> tuple[int, str]:
    """What an `apply` came to that was stopped in the middle of emails."""
    words = ["apply", "guestlist.toml", "--ledger", "ledger.db", f"--sandbox={sandbox.url}", *more]
    with Program(*words) as running:
        ends = time.monotonic() + 30
        while len(sandbox.outbox.emails) < 20:  # 30 a second at most: it cannot be over by then
            assert time.monotonic() < ends
            assert running.poll() is None
            time.sleep(0.001)
        running.send_signal(by)
        _, err = running.communicate(timeout=30)
    return running.wait(), err


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent")
def test_ctrl_c_stops_cleanly_and_the_next_apply_goes_on(roster: Roster, sandbox: Sandbox) -> None:
    many(120)
    code, err = stopped(sandbox, signal.SIGINT)
    assert code == 130
    assert "left; run `guestlist apply` to continue" in err
    assert emails(sandbox).total() < 120
    done = roster("apply")
    assert "An earlier run was interrupted" in done.out
    assert done.code == 0, done.err
    assert set(emails(sandbox).values()) == {1}
    assert emails(sandbox).total() == 120


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent")
def test_sigterm_stops_as_ctrl_c_does(roster: Roster, sandbox: Sandbox) -> None:
    many(120)
    code, err = stopped(sandbox, signal.SIGTERM)
    assert code == 143
    assert "left; run `guestlist apply` to continue" in err


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent")
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_waiting_says_so_in_a_pipe_and_ends_at_once(
    roster: Roster, sandbox: Sandbox, by: signal.Signals
) -> None:
    roster("apply", "--yes")
    words = ["settle", "guestlist.toml", "--ledger", "ledger.db", f"--sandbox={sandbox.url}"]
    with Program(*words, "--wait", "1h") as running:
        assert running.stderr is not None
        assert running.stderr.readline() == "waiting for 1 person to accept\n"
        running.send_signal(by)
        _, err = running.communicate(timeout=30)
    assert err == (
        "interrupted: stopped: the other roles stay deferred; run `guestlist settle` to continue\n"
    )
    assert running.returncode == 128 + by


def killed(*changes: Change) -> None:
    """A run in the ledger that was killed while the request of its first order was under way."""
    begun("", *changes)
    with Ledger("ledger.db") as ledger:
        now = time.time()
        assert ledger.store.write(lambda c: orders.record_intent(c, 1, "POST", now, None))


ADA = Change(action=Action.INVITE, account="cloud", email="ada@example.com", key="ada@example.com")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent")
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["apply", "settle"])
def test_nothing_comes_after_looking_was_interrupted(
    roster: Roster, sandbox: Sandbox, command: str, by: signal.Signals
) -> None:
    killed(ADA)
    words = [command, "guestlist.toml", "--ledger", "ledger.db", f"--sandbox={sandbox.url}"]
    with Program(*words) as running:
        assert running.stderr is not None
        looking = "looking up the outcome of requests that got no answer"
        assert running.stderr.readline() == f"{looking}\n"
        running.send_signal(by)
        out, err = running.communicate(timeout=30)
    assert err == f"interrupted: stopped while {looking}; `guestlist {command}` continues\n"
    assert (running.returncode, out) == (128 + by, "")
    assert not sandbox.outbox.emails


@pytest.mark.parametrize("planned", [False, True])
def test_nobody_is_invited_while_it_is_not_known_what_became_of_a_request(
    roster: Roster,
    cli: Cli,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    planned: bool,
) -> None:
    """The lists need not show yet what the request has done: it may take effect late."""
    if planned:
        roster("plan", "--out", "team.plan")
    killed(ADA)
    with monkeypatch.context() as patched:

        def look(_doubts: UnresolvedRequests) -> None:
            raise Forbidden("not from here", status=403)

        patched.setattr(UnresolvedRequests, "look", look)
        refused = roster("apply", "--yes", *["--plan", "team.plan"] * planned)
    assert refused.code == 1
    assert "error: cloud: not from here [HTTP 403]" in refused.err
    assert "error: cloud: nothing new is sent, because the outcome" in refused.err
    office = ("aitronos", "ada@example.com")
    assert emails(sandbox) == ({} if planned else {office: 1}), "other accounts are no part of it"
    cli("invite", "ada@example.com", "-a", "cloud")  # as the late effect
    done = roster("apply", "--yes")
    assert done.code == 0, done.err
    assert emails(sandbox) == {("vultr", "ada@example.com"): 1, office: 1}


def test_what_a_killed_settle_had_begun_is_given(
    roster: Roster, cli: Cli, sandbox: Sandbox
) -> None:
    roster("apply", "--yes")
    accept(sandbox, "ada@example.com")
    with Ledger("ledger.db") as ledger:
        debts = [debt.change for debt in deferred_grants.all_deferred(ledger.store)]
    begun("", *debts)
    assert "assigned" in roster("settle").out


@pytest.fixture
def owing(plain: Cli, sandbox: Sandbox) -> Roster:
    """Runs a command on a roster that owes somebody a role in each of two accounts."""
    service = sandbox.services["vultr"]
    account = f'provider = "vultr"\nbase_url = "{service.base_url}"\n'
    account += f'api_key = "{service.settings["api_key"]}"\n'
    accounts = ("first", "second")
    wanted = "".join(f'accounts.{name} = ["group:Engineering"]\n' for name in accounts)
    Path("guestlist.toml").write_text(
        "".join(f"[accounts.{name}]\n{account}" for name in accounts)
        + f'[[people]]\nemail = "omar@example.org"\n{wanted}'
    )
    facts: dict[str, Any] = {"email": "omar@example.org", "key": "omar@example.org"}
    facts["roles"] = ("group:Engineering",)
    with Ledger("guestlist.db") as ledger:
        for name in accounts:
            debt = Change(action=Action.SETTLE, account=name, **facts)
            ledger.store.write(partial(deferred_grants.defer, change=debt, now=1.0, origin=NOBODY))
    return lambda command, *words: plain(command, "guestlist.toml", *words)


def failing(monkeypatch: pytest.MonkeyPatch, *errors: GuestlistError) -> None:
    """Makes the next calls of `status_many` for the account `first` fail."""
    status_many: Any = Guestlist.status_many
    left = list(errors)

    def fail(guests: Guestlist, emails: set[str], **options: bool) -> dict[str, Guest]:
        found: dict[str, Guest] = status_many(guests, emails, **options)
        if left and any(guest.account == "first" for guest in found.values()):
            raise left.pop(0)
        return found

    monkeypatch.setattr(Guestlist, "status_many", fail)


@pytest.mark.parametrize("error", [Unauthorized("no such key"), ServiceUnavailable("it is down")])
def test_a_failing_account_does_not_stop_deferred_roles_in_others(
    owing: Roster, monkeypatch: pytest.MonkeyPatch, error: GuestlistError
) -> None:
    failing(monkeypatch, error)
    done = owing("settle")
    assert done.code == 1
    assert f"error: first: {error.message}" in done.err
    assert any("second" in line and "assigned" in line for line in done.table)
    assert any("first" in line for line in owing("settle").table)


def test_waiting_goes_on_while_a_service_is_down(
    owing: Roster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guestlist.runs.settling.SECONDS_BETWEEN_CHECKS", 0.01)
    failing(monkeypatch, *[ServiceUnavailable("it is down")] * 3)
    done = owing("settle", "--wait", "1h")
    assert done.code == 0, done.err
    assert set(done.err.splitlines()) == {"waiting for first to answer"}
    assert any("first" in line and "assign" in line for line in done.table)


def test_settling_makes_no_ledger(roster: Roster, cli: Cli) -> None:
    refused = cli("settle", "guestlist.toml", "--ledger", "typo.db")
    assert refused.code == 2
    assert "there is no ledger" in refused.err
    assert not Path("typo.db").exists()


# ---------------------------------------------------------------------------- plans in files


@pytest.fixture
def half(plain: Cli, sandbox: Sandbox) -> Roster:
    """Runs a command on a roster with two accounts, of which one cannot be read: its key is
    wrong."""
    service = sandbox.services["vultr"]
    account = f'provider = "vultr"\nbase_url = "{service.base_url}"\n'
    key = service.settings["api_key"]
    Path("guestlist.toml").write_text(
        f'[accounts.good]\n{account}api_key = "{key}"\n'
        f'[accounts.bad]\n{account}api_key = "{key[::-1]}"\n'
        '[[people]]\nemail = "omar@example.org"\naccounts.good = true\naccounts.bad = true\n'
    )
    return lambda command, *words: plain(command, "guestlist.toml", *words)


def test_an_account_that_cannot_be_read_is_not_nothing_to_do(half: Roster) -> None:
    shown = half("plan")
    assert shown.code == 1
    assert "Plan: bad could not be read; nothing to do elsewhere." in shown.table
    (row,) = half("plan", "--json").results
    assert row["nothing"] is False
    edit("omar@example.org", "ada@example.com")
    assert "Plan: 1 to invite; bad could not be read." in half("plan").table


def test_a_saved_plan_reports_the_accounts_that_it_leaves_out(
    half: Roster, sandbox: Sandbox
) -> None:
    edit("omar@example.org", "ada@example.com")
    assert half("plan", "--out", "team.plan").code == 1
    done = half("apply", "--plan", "team.plan", "--yes")
    assert done.code == 1
    assert "error: bad: the plan leaves this account out" in done.err
    assert emails(sandbox) == {("vultr", "ada@example.com"): 1}


def test_a_reason_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    addresses = [f"{name}@example.com" for name in ("ada", "bob", "eve")]
    why = ["it has no way to do that", "it has no way to do that", "declined"]
    changes = [
        Change(action=Action.CANNOT, account="cloud", email=email, key=email, reason=reason)
        for email, reason in zip(addresses, why, strict=True)
    ]
    counts = {"cloud": {Action.CANNOT: len(changes)}}
    plan: Any = SimpleNamespace(
        summary=SimpleNamespace(counts=counts), changes=lambda _account: iter(changes)
    )
    show_changes(Screen(), plan, {}, everything=False)
    assert capsys.readouterr().out.splitlines()[1:4] == [
        "  !  2 people: it has no way to do that",
        "     ada@example.com, bob@example.com",
        "  !  eve@example.com: declined",
    ]


def test_an_unknown_role_is_reported_once(roster: Roster) -> None:
    edit('["Member"]', '["Nobody"]')
    done = roster("plan")
    assert (done.out + done.err).count("there is no role 'Nobody'") == 1
    assert "1 held back, because a wanted role or option is not available" in " ".join(
        done.out.split()
    )


def test_people_who_were_left_out_are_reported_again(roster: Roster) -> None:
    edit('["Member"]', '["Nobody"]')
    roster("plan", "--out", "team.plan")
    done = roster("apply", "--plan", "team.plan", "--yes")
    assert done.code == 2
    assert "there is no role 'Nobody'" in done.err


def begun(digest: str, *changes: Change) -> None:
    """A run in the ledger that was killed before anything was sent for it."""
    with Ledger("ledger.db") as ledger:
        runs.begin_run(ledger.store, lambda: changes, digest, "team.plan", 1.0)


def people(*names: str) -> None:
    Path("people.csv").write_text("email\n" + "".join(f"{name}@example.com\n" for name in names))
    Path("guestlist.toml").write_text(PEOPLE_FROM)


def test_a_plan_in_a_file_goes_on_after_a_crash(roster: Roster, cli: Cli, sandbox: Sandbox) -> None:
    people("ada", "bob")
    roster("plan", "--out", "team.plan")
    plan = read_plan(Path("team.plan"))
    begun(plan.digest, *(one for one in plan.changes() if one.email == "bob@example.com"))
    cli("invite", "ada@example.com", "-a", "cloud")  # what the run had done before
    Path("other.plan").write_text(Path("team.plan").read_text().replace(":", ": ", 1))
    refused = roster("apply", "--plan", "other.plan", "--yes")
    assert "the roster or the services have changed since the plan was made" in refused.err, (
        "another plan is not the run that was begun"
    )
    done = roster("apply", "--plan", "team.plan", "--yes")
    assert "An earlier run was interrupted" in done.out
    assert done.code == 0, done.err
    assert emails(sandbox) == {("vultr", f"{name}@example.com"): 1 for name in ("ada", "bob")}


def test_a_run_is_gone_on_with_in_its_own_accounts_only(roster: Roster, sandbox: Sandbox) -> None:
    people("ada", "bob")
    roster("plan", "--out", "team.plan")
    file = Path("team.plan")
    made = read_plan(file)
    bodies = [change.model_dump_json() for change in made.changes()]
    other = dict.fromkeys(made.summary.accounts, "vultr:of-another-organization")
    write_plan(file, made.summary.model_copy(update={"accounts": other}), lambda: bodies)
    begun(read_plan(file).digest, *read_plan(file).changes())
    refused = roster("apply", "--plan", "team.plan", "--yes")
    assert "the plan was made for another account" in refused.err
    assert emails(sandbox) == {}


def test_a_run_of_another_day_is_not_gone_on_with(roster: Roster, sandbox: Sandbox) -> None:
    """The last day of somebody who was to be invited may be over."""
    people("ada")
    roster("plan", "--out", "team.plan")
    roster("apply", "--yes")
    with closing(sqlite3.connect("ledger.db")) as connection:
        (digest,) = connection.execute("SELECT roster FROM runs WHERE source <> ''").fetchone()
    today = datetime.now(UTC).date()
    yesterday = today - timedelta(days=1)
    for day, told in ((yesterday, "1 to invite"), (today, "An earlier run")):
        sandbox.reset()
        begun(digest.replace(str(today), str(day)), *read_plan(Path("team.plan")).changes())
        shown = roster("apply", "--yes")
        assert told in shown.out


def test_a_plan_in_a_file_comes_before_a_run_that_was_interrupted(
    roster: Roster, sandbox: Sandbox
) -> None:
    people("ada")
    roster("plan", "--out", "team.plan")
    people("bob")
    roster("plan", "--out", "other.plan")
    digest = read_roster(Path("guestlist.toml")).digest
    begun(f"{digest} 00 {datetime.now(UTC).date()}", *read_plan(Path("other.plan")).changes())
    people("ada", "bob")
    done = roster("apply", "--plan", "team.plan", "--yes")
    assert done.code == 0, done.err
    assert emails(sandbox) == {("vultr", "ada@example.com"): 1}


# ---------------------------------------------------------------------------- deferred roles


def edit(old: str, new: str) -> None:
    """Changes the roster."""
    file = Path("guestlist.toml")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def held(roster: Roster, cli: Cli, address: str) -> str:
    """What somebody holds in `cloud`."""
    return cli("access", address, "-a", "cloud").out


ADA_IN_CLOUD = 'accounts.cloud = ["group:Engineering"]'
NOT_ENTITLED = {
    "taken out of the account": ("", "not in the roster"),
    "wanted there until yesterday": (
        f"{ADA_IN_CLOUD}\nuntil = 2020-01-01",
        "wanted until 2020-01-01",
    ),
    "in it without roles": ("accounts.cloud = []", "the roster wants other roles"),
}


@pytest.mark.parametrize(
    ("command", "instead", "why"),
    [
        pytest.param(command, *facts, id=f"{command}: {name}")
        for command, number in (("apply", 3), ("settle", 1))
        for name, facts in list(NOT_ENTITLED.items())[:number]
    ],
)
def test_what_the_roster_wants_no_more_is_not_given(
    roster: Roster, cli: Cli, sandbox: Sandbox, command: str, instead: str, why: str
) -> None:
    roster("apply", "--yes")
    edit(ADA_IN_CLOUD, instead)
    accept(sandbox, "ada@example.com")
    if command == "apply":
        assert any("withdraw" in line and why in line for line in roster("plan", "-v").table)
        assert roster("plan", "--detailed-exitcode").code == 2
    done = roster(command, *["--yes"] * (command == "apply"))
    assert "withdrawn" in done.out, done.out
    assert "Engineering" not in held(roster, cli, "ada@example.com")
    assert "No deferred roles" in roster("settle").out
    assert "withdrawn: " in cli("log", "--ledger", "ledger.db").out
    logged = roster_log(cli, "ada@example.com")
    assert [(row["outcome"], row["detail"]) for row in logged if row["state"] == "dropped"] == [
        ("withdrawn", why)
    ]


def roster_log(cli: Cli, address: str) -> list[dict[str, Any]]:
    return cli("log", address, "--ledger", "ledger.db", "--json").results


def test_other_roles_are_deferred_if_the_roster_changes(
    roster: Roster, cli: Cli, sandbox: Sandbox
) -> None:
    roster("apply", "--yes")
    edit(ADA_IN_CLOUD, 'accounts.cloud = ["group:Support"]')
    assert "1 to withdraw" in roster("plan").out
    assert roster("apply", "--yes").code == 0
    assert "Plan: nothing to do." in roster("plan").table
    accept(sandbox, "ada@example.com")
    assert "assigned" in roster("settle").out
    roles = held(roster, cli, "ada@example.com")
    assert "Support" in roles
    assert "Engineering" not in roles


def test_what_a_single_call_asked_for_is_given_unless_the_roster_speaks_against_it(
    roster: Roster, cli: Cli, sandbox: Sandbox
) -> None:
    edit(ROSTER[ROSTER.index("[[people]]") :], "")
    single = ("--ledger", "ledger.db", "-a", "cloud", "--role", "group:Engineering")
    for address in ("ada@example.com", "eve@example.com"):
        assert cli("invite", address, *single).code == 0
    with Path("guestlist.toml").open("a") as file:
        file.write('[[people]]\nemail = "eve@example.com"\naccounts.cloud = ["group:Support"]\n')
    withdrawn = [row for row in roster("plan", "--json").results if row.get("action") == "withdraw"]
    [eve] = withdrawn
    [role] = eve["deferred"]
    assert (eve["email"], role["kind"], role["name"]) == ("eve@example.com", "group", "Support")
    for address in ("ada@example.com", "eve@example.com"):
        accept(sandbox, address)
    settled = roster("settle")
    assert settled.code == 0, settled.err
    assert "Engineering" in held(roster, cli, "ada@example.com")
    assert "Engineering" not in held(roster, cli, "eve@example.com")
