"""`pull`: a roster of those who are there, after which there is nothing to do."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.core.cli.conftest import Cli, Run

from guestlist.sandbox import Sandbox, SandboxControl
from guestlist.sandbox.services import service_classes

ACCOUNTS = """\
# ours
[accounts.cloud]
provider = "vultr"

[accounts.office]
provider = "aitronos"

[accounts.app]
provider = "betterauth"
"""
FILE = Path("guestlist.toml")

Roster = Callable[..., Run]


@pytest.fixture(scope="module")
def all_services() -> Iterator[Sandbox]:
    with Sandbox(service_classes()) as sandbox:
        yield sandbox


@pytest.fixture
def world(all_services: Sandbox) -> Sandbox:
    """Members, and an invitation on each service."""
    all_services.reset()
    return all_services


@pytest.fixture
def roster(plain: Cli, world: Sandbox) -> Roster:
    FILE.write_text(ACCOUNTS)

    def run(command: str, *words: str) -> Run:
        return plain(command, f"--sandbox={world.url}", *words)

    for account, *more in [
        ("cloud", "--option", "api_enabled=yes"),
        ("office", "--role", "Admin"),
        ("app", "--role", "admin"),
    ]:
        assert run("invite", "Ada@example.com", "-a", account, *more).code == 0
    return run


def people() -> dict[str, dict[str, Any]]:
    """Accounts by address."""
    found = {}
    for entry in tomllib.loads(FILE.read_text())["people"]:
        emails = entry["email"] if isinstance(entry["email"], list) else [entry["email"]]
        found.update(dict.fromkeys(emails, entry["accounts"]))
    return found


@pytest.mark.parametrize("how", [[], ["--csv"]])
def test_afterwards_there_is_nothing_to_do(roster: Roster, how: list[str]) -> None:
    """Nobody is missing, nobody holds another role, and nobody is there besides."""
    pulled = roster("pull", *how)
    assert pulled.code == 0, pulled.err
    assert pulled.err == ""
    assert FILE.read_text().startswith(ACCOUNTS)
    for prune in ([], ["--prune"]):
        planned = roster("plan", "guestlist.toml", "--json", *prune)
        assert planned.code == 0
        [plan] = planned.results
        assert plan["nothing"] is True
        for notes in plan["notes"].values():
            assert set(notes) == {"fits", "invited"}
            assert notes["invited"] == 1


def test_what_is_written_of_whom(roster: Roster) -> None:
    """Vultr is asked of each member; its invitations carry no roles."""
    shown = roster("pull")
    found = people()
    assert found["lena@example.org"]["cloud"] == ["group:Engineering", "policy:Invoice Reading"]
    assert found["Ada@example.com"] == {"cloud": True, "office": ["Admin"], "app": ["admin"]}
    assert found["sam.support@works.example"]["office"] == ["Support"]
    number = sum(len(accounts) for accounts in found.values())
    assert shown.out == f"guestlist.toml written: {number} memberships.\n"


def test_who_has_accepted_is_a_member_with_what_is_held(roster: Roster, world: Sandbox) -> None:
    with SandboxControl(world.url) as control:
        for mail in control.emails():
            control.accept(mail.id)
    assert roster("pull").code == 0
    assert people()["Ada@example.com"] == {"cloud": [], "office": ["Admin"], "app": ["admin"]}


def test_some_accounts_only(roster: Roster) -> None:
    assert roster("pull", "-a", "office").code == 0
    assert {name for accounts in people().values() for name in accounts} == {"office"}
    wrong = roster("pull", "-a", "offic", "--replace")
    assert wrong.code == 2
    assert "no account 'offic'" in wrong.err


def test_a_roster_without_accounts(roster: Roster) -> None:
    FILE.write_text("# nothing yet\n")
    refused = roster("pull")
    assert refused.code == 2
    assert "no account is configured" in refused.err
    assert FILE.read_text() == "# nothing yet\n"


def test_people_who_are_there_give_way_only_if_asked(roster: Roster) -> None:
    text = ACCOUNTS + '[[people]]\nemail = "x@b.co"\naccounts.cloud = true\nuntil = 2030-01-01\n'
    FILE.write_text(text)
    refused = roster("pull")
    assert refused.code == 2
    assert "guestlist.toml has people in it" in refused.err
    assert "--replace" in refused.err
    assert FILE.read_text() == text
    assert roster("pull", "--replace").code == 0
    assert "x@b.co" not in people()


def test_nothing_is_written_where_an_account_cannot_be_read(
    roster: Roster, plain: Cli, world: Sandbox
) -> None:
    text = ""
    for name in ("vultr", "aitronos"):
        service = world.services[name]
        values = {**service.settings, "base_url": service.base_url}
        values["api_key"] = "wrong" if name == "vultr" else values["api_key"]
        text += f'[accounts.{name}]\nprovider = "{name}"\n'
        text += "".join(f'{key} = "{value}"\n' for key, value in values.items())
    FILE.write_text(text)
    failed = plain("pull")
    assert failed.code == 1
    assert failed.err.startswith("error: vultr: ")
    assert FILE.read_text() == text
    assert plain("pull", "-a", "aitronos").code == 0
    assert "sam.support@works.example" in people()


def test_for_programs(roster: Roster) -> None:
    [row] = roster("pull", "--csv", "--json").results
    assert row == {
        "type": "pulled",
        "files": ["guestlist.toml", "people.csv"],
        "memberships": len(Path("people.csv").read_text().splitlines()) - 1,
        "left_out": [],
        "left_out_count": 0,
        "lost": [],
        "backup": None,
    }


def test_a_file_of_people_holds_no_formulas_and_is_read_back(
    roster: Roster, world: Sandbox
) -> None:
    assert roster("invite", "+ada@example.com", "=1+1@example.com", "-a", "cloud").code == 0
    FILE.write_text(ACCOUNTS)
    assert roster("pull", "-a", "cloud", "--csv").code == 0
    rows = Path("people.csv").read_text(encoding="utf-8-sig").splitlines()
    assert "'+ada@example.com" in [row.partition(",")[0] for row in rows]
    assert not [row for row in rows if row.startswith(("=", "+", "@", "-"))]
    assert "Plan: nothing to do." in roster("plan").out
