"""What each command does to the services, and what it shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest

from guestlist.cli.capability_table import capability_table
from guestlist.cli.commands.providers import describe
from guestlist.cli.document import MemberRow
from guestlist.cli.formatting import RecordFormatter
from guestlist.cli.screen import Screen
from guestlist.cli.tables import Tables
from guestlist.models import Invitation, MemberState, NewInvitation
from guestlist.plugins import Broken, Plugins, installed
from guestlist.provider import Flow, Provider, Request, operation
from guestlist.sandbox import Sandbox, SandboxControl

from .conftest import Cli

ADA, GRACE = "ada@example.com", "grace@example.com"


def accept(sandbox: Sandbox, email: str) -> None:
    with SandboxControl(sandbox.url) as control:
        for mail in control.emails(email):
            control.accept(mail)


def states(sandbox: Sandbox, service: str) -> dict[str, str]:
    records = sandbox.services[service].service.snapshot()["invitations"]
    return {record["email"]: record["state"].lower() for record in records}


def test_invite(cli: Cli, sandbox: Sandbox) -> None:
    run = cli("invite", ADA, GRACE, "-a", "vultr")
    assert run.code == 0
    assert run.table == [
        "Guest              Account  Outcome  Email  When",
        "ada@example.com    vultr    invited  sent   expires in 3 days",
        "grace@example.com  vultr    invited  sent   expires in 3 days",
    ]
    assert run.err == ""
    assert states(sandbox, "vultr") == {ADA: "pending", GRACE: "pending"}


def test_invite_again_changes_nothing(cli: Cli, sandbox: Sandbox) -> None:
    cli("invite", ADA, "-a", "vultr")
    run = cli("invite", ADA, "-a", "vultr")
    assert "already invited  not sent" in run.out
    assert len(list(sandbox.outbox.to(ADA))) == 1


def test_invite_with_a_role_and_without_an_email(cli: Cli, sandbox: Sandbox) -> None:
    run = cli("invite", ADA, "-a", "aitronos", "--role", "member", "--no-email")
    assert "invited  Member  not sent" in run.out
    assert not sandbox.outbox.emails


@pytest.mark.parametrize("command", ["invite", "onboard"])
def test_a_login_belongs_to_one_person(cli: Cli, sandbox: Sandbox, command: str) -> None:
    run = cli(command, ADA, GRACE, "-a", "vultr", "--login", "ada-l")
    assert (run.code, run.out) == (2, "")
    assert "--login needs exactly one address" in run.err
    assert not sandbox.outbox.emails


def test_invite_with_an_option_of_the_provider(cli: Cli, sandbox: Sandbox) -> None:
    run = cli("invite", ADA, "-a", "vultr", "--option", "api_enabled=yes", "--json")
    assert run.code == 0
    invitation = run.results[0]["guest"]["invitation"]["id"]
    accept(sandbox, ADA)
    assert invitation
    assert cli("status", ADA, "-a", "vultr", "--json").results[0]["state"] == "accepted"


@pytest.mark.parametrize(
    ("if_exists", "outcome", "emails"),
    [("return", "already_invited", 1), ("resend", "resent", 2), ("replace", "invited", 2)],
)
def test_invite_if_exists(
    cli: Cli, sandbox: Sandbox, if_exists: str, outcome: str, emails: int
) -> None:
    invite = ("invite", ADA, "-a", "aitronos", "--role", "Member", "--json")
    cli(*invite)
    run = cli(*invite, "--if-exists", if_exists)
    assert run.results[0]["outcome"] == outcome
    assert len(list(sandbox.outbox.to(ADA))) == emails


def test_status_asks_every_account_at_once(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    cli("invite", ADA, "-a", "vultr")
    run = cli("status", ADA, GRACE)
    assert run.code == 0
    assert run.table == [
        "Guest              Account   State        When               How we know",
        "ada@example.com    aitronos  not invited                     neither invited nor a member",
        "ada@example.com    vultr     pending      expires in 3 days  reported by the service",
        "grace@example.com  aitronos  not invited                     neither invited nor a member",
        "grace@example.com  vultr     not invited                     neither invited nor a member",
    ]


def test_status_names_a_role_of_which_the_service_shows_only_the_id(cli: Cli) -> None:
    cli("invite", ADA, "-a", "aitronos", "--role", "Member")
    assert "pending  Member" in cli("status", ADA, "-a", "aitronos").out


def test_options_and_addresses_in_any_order(cli: Cli) -> None:
    run = cli("status", ADA, "-a", "vultr", GRACE, "--json", "-a", "aitronos", "-a", "vultr")
    asked = [(row["email"], row["account"]) for row in run.results]
    assert asked == [
        (ADA, "vultr"),
        (ADA, "aitronos"),
        (GRACE, "vultr"),
        (GRACE, "aitronos"),
    ]


def test_status_by_the_id_that_list_shows(cli: Cli) -> None:
    cli("invite", ADA, "-a", "vultr")
    id = cli("invitations", "-a", "vultr", "--json").results[0]["id"]
    assert cli("status", id, "-a", "vultr", "--json").results[0]["email"] == ADA


def test_the_sandbox_clock_is_the_clients(cli: Cli, sandbox: Sandbox) -> None:
    cli("invite", ADA, "-a", "vultr")
    sandbox.clock.advance(timedelta(days=5))
    run = cli("status", ADA, "-a", "vultr")
    assert "expired" in run.out
    assert "expired 2 days ago" in run.out


def test_resend(cli: Cli, sandbox: Sandbox) -> None:
    cli("invite", ADA, "-a", "vultr")
    assert "resent" in cli("resend", ADA, "-a", "vultr").out
    assert len(list(sandbox.outbox.to(ADA))) == 2


def test_wait(cli: Cli, sandbox: Sandbox) -> None:
    cli("invite", ADA, "-a", "vultr")
    assert cli("wait", ADA, "-a", "vultr", "--until", "pending").code == 0
    accept(sandbox, ADA)
    assert "accepted" in cli("wait", ADA, "-a", "vultr", "--timeout", "30").out


def test_revoke(cli: Cli, sandbox: Sandbox) -> None:
    cli("invite", ADA, "-a", "aitronos", "--role", "Member")
    assert cli("revoke", ADA, "-a", "aitronos").code == 0
    assert states(sandbox, "aitronos") == {ADA: "revoked"}


def test_remove(cli: Cli, sandbox: Sandbox) -> None:
    assert "not invited" in cli("remove", "omar@example.org", "-a", "vultr").out
    members = sandbox.services["vultr"].service.snapshot()["members"]
    assert "omar@example.org" not in [member["email"] for member in members]


def test_assign_access_unassign(cli: Cli) -> None:
    who = "lena@example.org"
    assert cli("assign-role", who, "group:Support", "-a", "vultr").table == [
        "Guest             Account  Role           Outcome",
        "lena@example.org  vultr    group:Support  assigned",
    ]
    assert "already assigned" in cli("assign-role", who, "group:Support", "-a", "vultr").out
    held = cli("access", who, "-a", "vultr", "--json").results[0]["grants"]
    assert ("Support", "group", True) in [
        (grant["role"]["name"], grant["role"]["kind"], grant["direct"]) for grant in held
    ]
    assert "unassigned" in cli("unassign-role", who, "group:Support", "-a", "vultr").out


def test_access_says_plainly_that_it_is_nothing(cli: Cli, sandbox: Sandbox) -> None:
    cli("invite", ADA, "-a", "vultr")
    accept(sandbox, ADA)
    run = cli("access", ADA, "-a", "vultr")
    assert "nothing" in run.out
    assert "No Active Organization" in " ".join(run.out.split())


def test_access_of_the_keys_owner(cli: Cli) -> None:
    run = cli("own-access", "-a", "vultr")
    assert (run.code, "policy:Administrator Access" in run.out) == (0, True)
    assert "Is in no group" in " ".join(run.out.split())
    [row] = cli("own-access", "-a", "vultr", "--json").results
    assert (row["type"], row["account"], row["effective"]) == ("own_access", "vultr", True)

    run = cli("own-access", "-a", "aitronos")
    assert (
        run.code,
        "aitronos: Aitronos does not show the roles of a key's owner" in run.err,
    ) == (2, True)


def test_roles_that_are_not_assigned_say_so(cli: Cli) -> None:
    [row] = [
        row
        for row in cli("roles", "-a", "vultr", "--json").results
        if row["name"] == "Incident Response"
    ]
    assert "assumable role" in row["not_assignable"]
    assert "not assignable: it is an assumable role" in cli("roles", "-a", "vultr").out
    run = cli("assign-role", "lena@example.org", "Incident Response", "-a", "vultr")
    assert (run.code, "cannot be assigned: it is an assumable role" in run.err) == (2, True)

    roster = """
        [accounts.vultr]
        provider = "vultr"
        [[people]]
        email = "lena@example.org"
        accounts.vultr = ["group:Engineering", "Incident Response"]
    """
    Path("roster.toml").write_text(roster)
    run = cli("plan", "roster.toml")
    assert run.code == 2
    assert "cannot be assigned: it is an assumable role" in " ".join((run.out + run.err).split())


def test_list_by_state(cli: Cli, sandbox: Sandbox) -> None:
    cli("invite", ADA, GRACE, "-a", "vultr")
    accept(sandbox, ADA)
    run = cli("invitations", "-a", "vultr", "--state", "pending", "--json")
    assert [row["email"] for row in run.results] == [GRACE]


def test_an_empty_list_says_so(cli: Cli) -> None:
    run = cli("invitations")
    assert (run.code, run.out, run.err) == (0, "No invitations.\n", "")


def test_members_of_all_accounts(cli: Cli) -> None:
    run = cli("members", "--json")
    assert [(row["account"], row["email"]) for row in run.results] == [
        ("aitronos", "olga.owner@works.example"),
        ("aitronos", "rita.reader@works.example"),
        ("aitronos", "sam.support@works.example"),
        ("vultr", "ines@example.org"),
        ("vultr", "lena@example.org"),
        ("vultr", "omar@example.org"),
    ]


@pytest.mark.parametrize("command", ["members", "status", "access"])
def test_it_says_where_a_suspension_is_not_shown(cli: Cli, command: str) -> None:
    hidden = "the service does not show whether a member is suspended"
    who = {"vultr": ["lena@example.org"], "aitronos": ["rita.reader@works.example"]}
    for account, people in who.items():
        run = cli(command, *people if command != "members" else (), "-a", account)
        assert run.code == 0
        assert (hidden in run.out) is (account == "vultr")


def test_a_suspended_member_is_listed_as_such_on_a_narrow_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    tables = Tables(Screen(), RecordFormatter(datetime.now(UTC), lambda _, role: role.label))
    rows = [
        MemberRow(id=f"{state}-{'7' * 20}", email=f"{name}@example.com", state=state, account="hub")
        for name, state in (("ada", MemberState.ACTIVE), ("bob", MemberState.SUSPENDED))
    ]
    tables.members(rows[:1])
    assert "State" not in capsys.readouterr().out
    tables.members(rows)
    assert " suspended" in capsys.readouterr().out


def test_roles_of_a_kind_that_some_accounts_have(cli: Cli) -> None:
    run = cli("roles", "--kind", "group", "--json")
    assert {role["account"] for role in run.document["results"]} == {"vultr"}
    assert (run.code, run.document["errors"]) == (0, [])


def test_roles_of_a_kind_that_no_account_has(cli: Cli) -> None:
    run = cli("roles", "--kind", "team")
    assert "Vultr IAM has no roles of the kind 'team'" in run.err
    assert "It has these kinds: role, group, policy." in run.err
    assert run.code != 0


def test_roles_of_a_kind(cli: Cli) -> None:
    run = cli("roles", "-a", "vultr", "--kind", "group")
    assert run.table == [
        "Account  Kind   Name         Description",
        "vultr    group  Engineering  Builds what we sell",
        "vultr    group  Support      Answers customers",
    ]


def test_accounts_are_checked_live(cli: Cli) -> None:
    run = cli("check", "--json")
    assert [(row["account"], row["working"], row["organization"]) for row in run.results] == [
        ("aitronos", True, "Example Works"),
        ("vultr", True, "Example Works"),
    ]


def test_check_says_that_it_only_read(cli: Cli) -> None:
    run = cli("check", "-a", "vultr")
    assert "can read" in run.out
    assert "A key that may only read can pass" in run.err


def test_providers_is_made_from_the_classes(plain: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    run = plain("providers", "--json")
    assert run.code == 0
    by_name = {row["name"]: row for row in run.results}
    assert "revoke" in by_name["aitronos"]["operations"]
    assert "revoke" not in by_name["vultr"]["operations"]
    assert by_name["vultr"]["options"] == ["api_enabled"]
    secret = {setting["name"] for setting in by_name["vultr"]["settings"] if setting["secret"]}
    assert secret == {"api_key"}
    monkeypatch.setenv("COLUMNS", "200")
    for name, row in by_name.items():
        shown = plain("providers", name).table
        lines = {line.split()[0]: line.split()[1:] for line in shown if line.split()[1:]}
        assert lines["revoke"] == ["yes" if "revoke" in row["operations"] else "no"]


def test_providers_fits_a_narrow_terminal(plain: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "45")
    assert all(len(line) <= 45 for line in plain("providers").table)


@pytest.mark.parametrize("as_json", [False, True])
def test_providers_names_a_plugin_that_cannot_be_loaded(
    plain: Cli, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    plugins = installed()
    broken = [Broken("acme", "guestlist-acme", "1.2", "ImportError: no module named 'acme'")]
    found = Plugins(plugins.manager, plugins.providers, plugins.origins, broken)
    # by the name that the command line imports it by: others may have had it forgotten
    command = import_module("guestlist.cli.commands.providers")
    monkeypatch.setattr(command, "installed", lambda: found)
    run = plain("providers", *["--json"] * as_json)
    assert run.code == 2
    assert "the plugin acme of guestlist-acme 1.2 cannot be loaded: ImportError" in run.err
    assert "vultr" in run.out, "the others work"


def test_a_resend_that_is_made_of_others_is_shown() -> None:
    class Made(Provider):
        name = "made"
        title = "Made"

        @operation
        def invite(self, new: NewInvitation) -> Flow[Invitation]:
            yield Request.post("invites")
            raise AssertionError("only its name is asked for")

        @operation
        def revoke(self, invitation: Invitation) -> Flow[None]:
            yield Request.delete("invites")

    row = describe(Made, "")
    half = row.model_copy(update={"operations": ("invite",)})
    cells = [str(dict(capability_table(one))["resend"]) for one in (row, half)]
    assert cells == ["by revoke and invite", "no"]
