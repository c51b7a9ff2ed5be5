"""`who`: the people of all accounts as a matrix, and in other formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from guestlist.sandbox import Sandbox

from .conftest import Cli

LENA = "lena@example.org"


def matrix(lines: list[str]) -> dict[str, list[str]]:
    """The cells of each row by its first cell."""
    return {line.split()[0]: line.split()[1:] for line in lines if line}


def test_a_column_for_each_account(cli: Cli) -> None:
    cli("invite", "ada@example.com", "-a", "vultr")
    run = cli("who")
    assert (run.code, run.err) == (0, "")
    rows = matrix(run.table)
    assert rows["Person"] == ["aitronos", "vultr"]
    assert rows["ada@example.com"] == ["·", "invited"]
    assert rows[LENA] == ["·", "member"]
    assert rows["sam.support@works.example"] == ["member", "·"]


def test_a_pattern(cli: Cli) -> None:
    run = cli("who", "LENA")
    assert list(matrix(run.table)) == ["Person", LENA]
    nobody = cli("who", "nobody")
    assert (nobody.code, nobody.out) == (0, "No people.\n")


def test_twelve_accounts_fit_80_columns(cli: Cli, tmp_path: Path) -> None:
    names = [f"organization-{number}" for number in range(1, 13)]
    tables = (f'[accounts.{name}]\nprovider = "vultr"\n' for name in names)
    tmp_path.joinpath("guestlist.toml").write_text("".join(tables))
    run = cli("who")
    assert all(len(line) <= 80 for line in run.table)
    assert "a organization-1  b organization-2" in run.out
    assert "a b c d e f g h i j k l" in run.out
    assert matrix(run.table)[LENA] == ["M"] * 12
    assert run.table[-1] == "M member"


def test_json_names_the_state_in_each_account(cli: Cli) -> None:
    (lena,) = cli("who", LENA, "--json").results
    assert (lena["type"], lena["email"], lena["in_roster"]) == ("person", LENA, False)
    assert [(one["account"], one["state"]) for one in lena["guests"]] == [("vultr", "accepted")]


def test_other_formats(cli: Cli) -> None:
    assert cli("who", LENA, "--csv").out == (f'"person","aitronos","vultr"\n"{LENA}","","member"\n')
    assert cli("who", LENA, "--markdown").table == [
        "| person | aitronos | vultr |",
        "| --- | --- | --- |",
        f"| {LENA} |  | member |",
    ]
    run = cli("who", "--csv", "--json")
    assert (run.code, "exclude each other" in run.err) == (2, True)


def test_the_roster_merges_people(cli: Cli, tmp_path: Path) -> None:
    tmp_path.joinpath("guestlist.toml").write_text(
        '[accounts.vultr]\nprovider = "vultr"\n[accounts.aitronos]\nprovider = "aitronos"\n'
        f'[[people]]\nemail = "{LENA}"\nalso = ["sam.support@works.example"]\naccounts.vultr = true'
    )
    assert matrix(cli("who", "sam").table)[LENA] == ["member", "member"]


@pytest.mark.parametrize("words", [(), ("--csv",), ("--json",)])
def test_an_account_that_fails_is_shown_as_not_read(
    plain: Cli, sandbox: Sandbox, tmp_path: Path, words: tuple[str, ...]
) -> None:
    lines = []
    for name in ("aitronos", "vultr"):
        settings = dict(sandbox.services[name].settings)
        if name == "aitronos":
            settings["api_key"] = "ak_wrong"
        lines += [f"[accounts.{name}]", f'provider = "{name}"']
        lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    tmp_path.joinpath("guestlist.toml").write_text("\n".join(lines))
    run = plain("who", *words)
    assert run.code == 1
    assert "error: aitronos" in run.err
    assert LENA in run.out
    if "--json" in words:
        assert [one["account"] for one in run.errors] == ["aitronos"]
    else:
        assert "not read" in run.out
