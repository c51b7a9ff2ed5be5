"""`console token`: tokens of the HTTP API."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from getpass import getuser
from pathlib import Path
from typing import Any

import pytest

from guestlist.ledger import Ledger, tokens
from guestlist.ledger.tokens import Right

from .conftest import Cli

SECRET = re.compile(r"gl_\w{49}")


def create(plain: Cli, *words: str) -> dict[str, Any]:
    (row,) = plain("console", "token", "create", *words, "--json").results
    return row


def test_a_token_is_created_listed_and_revoked(plain: Cli) -> None:
    made = plain("console", "token", "create", "deploy", "--right", "change")
    assert made.code == 0
    secret = made.out.strip()
    assert SECRET.fullmatch(secret), "a script can store it"
    create(plain, "reader", "--expires", "2h")
    listed = plain("console", "token", "list")
    assert [line.split()[:4] for line in listed.table] == [
        ["Id", "Name", "Right", "State"],
        [listed.table[1].split()[0], "deploy", "change", "valid"],
        [listed.table[2].split()[0], "reader", "read", "valid"],
    ]
    assert not SECRET.search(listed.out)
    id = listed.table[1].split()[0]
    assert f"revoke {id}" in " ".join(made.err.split())
    assert plain("console", "token", "revoke", id).code == 0
    assert plain("console", "token", "list").table[1].split()[3] == "revoked"
    with Ledger("guestlist.db") as ledger:
        token = tokens.find(ledger.store, secret)
    assert token is not None
    assert (token.name, token.right, token.created_by) == ("deploy", Right.CHANGE, getuser())
    assert token.revoked_at is not None


def test_the_json_document_has_the_secret_once(plain: Cli) -> None:
    row = create(plain, "deploy", "--expires", "30d")
    assert SECRET.fullmatch(row["secret"])
    lasts = datetime.fromisoformat(row["expires_at"]) - datetime.fromisoformat(row["created_at"])
    assert (row["right"], row["valid"], lasts) == ("read", True, timedelta(days=30))
    (listed,) = plain("console", "token", "list", "--json").results
    assert listed == {**row, "secret": None}


def test_without_tokens(plain: Cli) -> None:
    Ledger("guestlist.db").close()
    assert plain("console", "token", "list").table == ["No tokens."]


def test_the_ledger_that_is_named(plain: Cli, tmp_path: Path) -> None:
    create(plain, "deploy", "--ledger", "other.db")
    assert (tmp_path / "other.db").exists()
    assert not (tmp_path / "guestlist.db").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tokens",), "no command `console tokens`"),
        (("token",), "no command `console token`"),
        (("token", "make"), "no command `console token make`"),
        (("token", "create"), "no command `console token create`"),
        (("token", "list", "deploy"), "no command `console token list deploy`"),
        (("token", "create", "a", "b"), "no command `console token create a b`"),
        (("token", "create", " "), "the value is empty"),
        (("token", "create", "a\nb"), r"'a\nb' is not a name for a token"),
        (("token", "create", "a", "--expires", "0"), "'0' is not a length of time"),
        (("token", "create", "a", "--expires", "9" * 20 + "d"), "the time is out of range"),
        (("token", "create", "a", "--right", "admin"), "no --right 'admin'"),
    ],
)
def test_mistakes(plain: Cli, words: tuple[str, ...], message: str) -> None:
    run = plain("console", *words)
    assert (run.code, run.out) == (2, "")
    assert message in run.err


def test_a_token_that_does_not_exist(plain: Cli) -> None:
    create(plain, "deploy")
    run = plain("console", "token", "revoke", "deploy")
    assert run.code == 1
    assert "there is no token 'deploy'" in run.err
    assert "console token list" in run.err
