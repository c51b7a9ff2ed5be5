"""`--json`: one documented schema, and no secret in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from guestlist.cli.document import error_row, json_schema
from guestlist.errors import GuestlistError
from guestlist.sandbox import Sandbox

from .conftest import Cli, Run

DOCS = Path(__file__).parents[3] / "docs"

KEYS = {"guestlist", "command", "ok", "exit_code", "results", "errors"}

COMMANDS: dict[str, tuple[str, ...]] = {
    "invite": ("ada@example.com", "-a", "aitronos", "--role", "Member"),
    "resend": ("eve@example.com", "-a", "aitronos"),
    "status": ("eve@example.com",),
    "wait": ("eve@example.com", "-a", "aitronos", "--until", "pending"),
    "revoke": ("eve@example.com", "-a", "aitronos"),
    "remove": ("sam.support@works.example", "-a", "aitronos"),
    "assign-role": ("sam.support@works.example", "Member", "-a", "aitronos"),
    "unassign-role": ("sam.support@works.example", "Support", "-a", "aitronos"),
    "access": ("sam.support@works.example",),
    "invitations": (),
    "members": (),
    "roles": (),
    "check": (),
    "providers": (),
}


def test_the_committed_schema_is_what_the_code_says() -> None:
    committed = (DOCS / "cli-schema.json").read_text(encoding="utf-8")
    assert committed == json_schema(), (
        "run: python -m guestlist.cli.document > docs/cli-schema.json"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_keeps_to_the_schema(cli: Cli, command: str) -> None:
    cli("invite", "eve@example.com", "-a", "aitronos", "--role", "Member")
    run = cli(command, *COMMANDS[command], "--json")
    assert run.code == 0, run.err
    assert run.document.keys() == KEYS
    assert run.document["command"] == command
    assert run.results
    assert run.err == ""


def test_errors_are_in_the_document_and_on_stderr(cli: Cli) -> None:
    run = cli("revoke", "ada@example.com", "-a", "vultr", "--json")
    assert run.code == 2
    [error] = run.errors
    assert (error["error"], error["account"], error["email"], error["happened"]) == (
        "Unsupported",
        "vultr",
        "ada@example.com",
        False,
    )
    assert error["hint"]
    assert run.err.startswith("error: vultr: ")


@pytest.mark.parametrize("command", ["check", "members"])
def test_an_unavailable_service_is_reported_in_json_too(plain: Cli, command: str) -> None:
    Path("guestlist.toml").write_text(
        '[accounts.cloud]\nprovider = "vultr"\napi_key = "k-123456"\n'
        'base_url = "http://127.0.0.1:9"\n[budget]\nattempts = 1\n'
    )
    run = plain(command, "--json")
    assert run.code == 1
    [error] = run.errors
    assert (error["error"], error["budget"]) == ("ServiceUnavailable", "one attempt")
    assert [row["working"] for row in run.results] == [None] * (command == "check")


def test_every_fact_of_an_error_has_its_place_in_the_document() -> None:
    error = GuestlistError(
        "m", hint="h", account="a", email="e", status=500, code="c", request_id="r"
    )
    error.attempts, error.waited, error.budget = 4, 1.5, "4 attempts"
    error.request, error.retry_after = "POST /v2/users", 3.0
    assert error_row(error).model_dump() == error.to_dict()


def test_what_was_typed_wrongly_is_answered_in_json_too(plain: Cli) -> None:
    run = plain("invit", "--json")
    assert run.document["command"] is None
    assert run.errors[0]["error"] == "UsageError"


def secrets_of(sandbox: Sandbox) -> set[str]:
    links = [mail.link for mail in sandbox.outbox.emails if mail.link]
    keys = {part for link in links for part in re.findall(r"[^/?=&]{16,}", link)}
    settings = [hosted.settings for hosted in sandbox.services.values()]
    return {*links, *keys, *(one["api_key"] for one in settings)}


def everything(run: Run) -> str:
    return run.out + run.err


def test_no_secret_is_shown_unless_asked_for(cli: Cli, sandbox: Sandbox) -> None:
    cli("invite", "eve@example.com", "-a", "aitronos", "--role", "Member")
    shown = ""
    for command, words in COMMANDS.items():
        for more in ((), ("--json",), ("-v",)):
            shown += everything(cli(command, *words, *more))
    secrets = secrets_of(sandbox)
    assert len(secrets) > 4
    assert not [secret for secret in secrets if secret in shown]


def test_links_are_shown_when_asked_for(cli: Cli, sandbox: Sandbox) -> None:
    words = ("ada@example.com", "-a", "aitronos", "--role", "Member", "--json")
    masked = cli("invite", *words).results[0]["guest"]["invitation"]["link"]
    told = cli("invite", *words, "--show-secrets").results[0]["guest"]["invitation"]["link"]
    assert masked == "********"
    assert told == sandbox.outbox.emails[0].link
    table = cli("status", "ada@example.com", "-a", "aitronos", "--show-secrets", "-v").out
    assert told in "".join(table.split())
