"""`offboard`: asks, takes people out of every account, and says what remains."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestlist.sandbox import Sandbox

from .conftest import Cli

LENA, ADA = "lena@example.org", "ada@example.com"


def written(sandbox: Sandbox, roster: str = "", **settings: str) -> str:
    """Writes a guestlist.toml whose accounts are those of the sandbox."""
    lines = []
    for name in ("aitronos", "vultr"):
        lines += [f"[accounts.{name}]", f'provider = "{name}"']
        of_account = {**sandbox.services[name].settings, **(settings if name == "vultr" else {})}
        lines += [f'{key} = "{value}"' for key, value in of_account.items()]
    Path("guestlist.toml").write_text("\n".join([*lines, roster]))
    return "guestlist.toml"


def test_everything_is_taken_away(cli: Cli) -> None:
    run = cli("offboard", LENA)
    assert (run.code, run.err) == (0, "")
    assert [line.split() for line in run.table] == [
        ["Guest", "Account", "Outcome", "What"],
        [LENA, "aitronos", "not", "there"],
        [LENA, "vultr", "removed", "membership"],
    ]
    assert LENA not in cli("members").out
    again = cli("offboard", LENA)
    assert (again.code, again.out.count("not there")) == (0, 2)


def test_what_remains_is_an_error_with_its_reason(cli: Cli) -> None:
    cli("invite", ADA, "-a", "vultr")
    run = cli("offboard", ADA)
    assert run.code == 1
    assert (
        f"error: vultr: access remains: Vultr IAM offers no way to revoke an invitation ({ADA})"
        in run.err
    )
    assert "hint: Let it expire" in run.err
    (result,) = cli("offboard", ADA, "--json").results
    assert (result["type"], result["person"]["email"]) == ("offboard", ADA)
    assert [one["outcome"] for one in result["accounts"]] == ["not_there", "remains"]


def test_a_dry_run_changes_nothing(cli: Cli) -> None:
    run = cli("offboard", LENA, "--dry-run")
    assert run.code == 0
    assert "would remove" in run.out
    assert LENA in cli("members").out


def test_it_asks_first(plain: Cli, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    written(sandbox)
    asked = []

    def confirm(question: str, *, yes: bool) -> None:
        from guestlist.cli.exit_codes import Declined

        asked.append(question)
        if len(asked) == 1:
            raise Declined("nothing was changed")

    monkeypatch.setattr("guestlist.cli.commands.offboard.confirm", confirm)
    declined = plain("offboard", LENA)
    assert (declined.code, "would remove" in declined.out) == (1, True)
    assert LENA in plain("members").out
    agreed = plain("offboard", LENA)
    assert agreed.code == 0
    assert LENA not in plain("members").out
    nothing = plain("offboard", LENA)
    assert (nothing.code, len(asked)) == (0, 2)


def test_without_a_terminal_it_needs_yes(plain: Cli, sandbox: Sandbox) -> None:
    written(sandbox)
    run = plain("offboard", LENA)
    assert (run.code, "Add --yes" in run.err) == (2, True)
    assert plain("offboard", LENA, "--yes").code == 0


def test_the_roster_gives_all_names_and_is_not_forgotten(plain: Cli, sandbox: Sandbox) -> None:
    people = (
        f'[[people]]\nemail = "{LENA}"\nalso = ["sam.support@works.example"]\naccounts.vultr = true'
    )
    written(sandbox, people)
    run = plain("offboard", "sam.support@works.example", "--yes")
    assert run.code == 0
    assert run.out.count("removed") == 2
    assert f"warning: guestlist.toml still names {LENA}" in run.err


def test_an_account_that_fails_is_reported_and_the_others_go_on(
    plain: Cli, sandbox: Sandbox
) -> None:
    written(sandbox, api_key="wrong")
    run = plain("offboard", LENA, "sam.support@works.example", "--yes")
    assert run.code == 1
    assert run.err.count("error: vultr: it is unknown whether access remains:") == 2
    assert "removed" in run.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("@ada",), "may belong to different people"),
        (("nobody",), "is not an email address"),
        ((), "ADDRESS is missing"),
    ],
)
def test_bad_input(cli: Cli, words: tuple[str, ...], says: str) -> None:
    run = cli("offboard", *words)
    assert (run.code, says in run.err) == (2, True)


def test_the_ledger_records_it(cli: Cli) -> None:
    cli("offboard", LENA, "--ledger", "guestlist.db", "--note", "T-17")
    (order,) = cli("log", "--ledger", "guestlist.db", "--json").results
    assert (order["action"], order["email"], order["note"]) == ("remove", LENA, "T-17")
