"""`audit`: findings as a table and in other formats, and exit codes for pipelines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Cli

LENA = "lena@example.org"
ROSTER = f"""
allowed_domains = ["example.org"]
[accounts.cloud]
provider = "vultr"
[accounts.office]
provider = "aitronos"
[[people]]
email = "{LENA}"
accounts.cloud = true
[[people]]
email = "ada@example.org"
accounts.office = ["Member"]
"""


@pytest.fixture(autouse=True)
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "guestlist.toml"
    path.write_text(ROSTER)
    return path


def test_the_findings_are_a_table(cli: Cli) -> None:
    run = cli("audit")
    assert run.code == 0
    lines = [" ".join(line.split()) for line in run.table]
    assert lines[0] == "Finding Guest Account Detail"
    assert "not in roster omar@example.org cloud a member" in lines
    assert any(line.startswith("missing ada@example.org office neither") for line in lines)
    assert "admin olga.owner@works.example office has Owner" in lines
    assert any(line.startswith("outside domain olga.owner@works.example office") for line in lines)
    assert not [line for line in lines if f"not in roster {LENA}" in line]
    assert all(len(line) <= 80 for line in run.table)
    assert "warning: cloud: not checked: admin" in run.err


def test_other_formats(cli: Cli) -> None:
    rows = cli("audit", "-a", "office", "--json").results
    kinds = {(row["type"], row["kind"]) for row in rows}
    assert ("finding", "admin") in kinds
    [missing] = [row for row in rows if row["kind"] == "missing"]
    assert (missing["person"], missing["account"]) == ("ada@example.org", "office")
    csv = cli("audit", "-a", "office", "--csv").table
    assert csv[0] == '"finding","person","account","detail","since"'
    assert '"admin","olga.owner@works.example","office","has Owner",""' in csv
    markdown = cli("audit", "-a", "office", "--markdown").table
    assert "| admin | olga.owner@works.example | office | has Owner |  |" in markdown
    assert cli("audit", "--csv", "--markdown").code == 2


@pytest.mark.parametrize(
    ("kinds", "code"),
    [
        (["admin"], 5),
        (["suspended,pending"], 0),
        (["suspended", "not-in-roster"], 5),
        (["not_in_roster"], 5),
        (["all"], 5),
        (["unclear"], 0),
    ],
)
def test_pipelines_fail_on_what_they_name(cli: Cli, kinds: list[str], code: int) -> None:
    words = [word for kind in kinds for word in ("--fail-on", kind)]
    run = cli("audit", *words, "--json")
    assert run.code == code
    assert json.loads(run.out)["exit_code"] == code


def test_quiet_prints_the_findings_that_fail(cli: Cli) -> None:
    run = cli("audit", "-q", "-a", "office", "--fail-on", "admin,suspended")
    assert (run.code, run.out) == (5, "")
    assert "found: olga.owner@works.example in office: admin (has Owner)\n" in run.err
    assert "missing" not in run.err
    assert "found:" not in cli("audit", "-a", "office", "--fail-on", "admin").err


def test_domains_of_the_command_line_replace_those_of_the_roster(cli: Cli) -> None:
    words = ("--allowed-domain", "works.example", "--allowed-domain", "example.org")
    assert "outside domain" not in cli("audit", *words).out


def test_nothing_found(cli: Cli, roster: Path) -> None:
    roster.write_text('[accounts.cloud]\nprovider = "vultr"\n')
    people = [one["email"] for one in cli("members", "--json").results]
    listed = ", ".join(f'"{email}"' for email in people)
    roster.write_text(
        'allowed_domains = ["example.org"]\n[accounts.cloud]\nprovider = "vultr"\n'
        f"[[people]]\nemail = [{listed}]\naccounts.cloud = true"
    )
    run = cli("audit", "--fail-on", "all", "--quick")
    assert (run.code, run.out) == (0, "Nothing found.\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--fail-on", "rats"), "there is no kind 'rats'; the kinds are: not-in-roster"),
        (("--pending-days", "0"), "not a whole number above 0"),
        (("nowhere.toml",), "nowhere.toml"),
        (("-a", "moon"), "there is no account 'moon'"),
    ],
)
def test_bad_input(cli: Cli, words: tuple[str, ...], says: str) -> None:
    run = cli("audit", *words)
    assert (run.code, says in run.err) == (2, True)
