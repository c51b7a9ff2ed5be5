"""`providers` and `providers NAME`: what is said about a provider is what its class says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from guestlist.cli.capability_table import capability_table
from guestlist.cli.document import ProviderRow
from guestlist.cli.formatting import RecordFormatter
from guestlist.cli.screen import Screen
from guestlist.cli.tables import Tables

from .conftest import Cli


def cell(fact: str, **facts: Any) -> str:
    """What the table says about a provider with these facts, on one line of it."""
    given: dict[str, Any] = {
        "name": "acme",
        "title": "Acme",
        "docs_url": "",
        "distribution": "guestlist-acme 1.2",
        "operations": (),
        "least_roles": 0,
        "most_roles": 0,
        "can_suppress_email": False,
        "lifetime": None,
        "sandbox": False,
        "substitutes": {},
        "options": (),
        "settings": (),
        **facts,
    }
    return str(dict(capability_table(ProviderRow(**given)))[fact])


@pytest.mark.parametrize(
    ("fact", "facts", "told"),
    [
        ("local sandbox", {"sandbox": True}, "yes"),
        ("local sandbox", {"sandbox": False}, "no"),
        ("without an email", {"can_suppress_email": True}, "yes"),
        ("without an email", {"can_suppress_email": False}, "no"),
        ("roles at invitation", {}, "none"),
        ("roles at invitation", {"least_roles": 1, "most_roles": None}, "1 or more"),
        ("roles at invitation", {"least_roles": 1, "most_roles": 1}, "exactly 1"),
        ("roles at invitation", {"least_roles": 0, "most_roles": 3}, "0 to 3"),
        ("lasts", {"lifetime": None}, "not known"),
        ("lasts", {"lifetime": None, "never_expires": True}, "for ever"),
        ("lasts", {"lifetime": 3 * 86_400.0}, "3 days"),
        ("--option", {"options": ("color", "size")}, "color, size"),
        ("--option", {}, "none"),
        ("package", {}, "guestlist-acme 1.2"),
        ("resend", {"operations": ("resend",)}, "yes"),
        ("resend", {"operations": ("invite", "revoke")}, "by revoke and invite"),
        ("resend", {"operations": ("invite",)}, "no"),
        ("status", {"operations": ("find_member",)}, "yes"),
        ("status", {"operations": ("invite",)}, "no"),
        ("only here", {"operations": ("invite", "bulk_resend")}, "bulk_resend"),
        ("only here", {"operations": ("invite",)}, "none"),
    ],
)
def test_a_fact_of_a_provider(fact: str, facts: dict[str, Any], told: str) -> None:
    assert cell(fact, **facts) == told


def test_the_installed_providers_bring_their_sandboxes(plain: Cli) -> None:
    rows = {row["name"]: row["sandbox"] for row in plain("providers", "--json").results}
    assert rows["vultr"] is rows["aitronos"] is True
    header, *lines = plain("providers").table
    place = header.index("Sandbox")
    assert {line[place : place + 3].strip() for line in lines[: len(rows)]} == {"yes"}


NINE = (
    ("aitronos", "Aitronos", ("role",), "the official SDK aitronos-sdk 5.0"),
    ("anthropic", "Anthropic", ("role", "workspace"), "anthropic 2.14"),
    ("betterauth", "better-auth", ("role",), "the real server better-auth 1.6"),
    ("github", "GitHub", ("role", "team"), "PyGithub 2.10, GitHub's OpenAPI description"),
    ("gitlab", "GitLab", ("level", "role"), "python-gitlab 8.4"),
    ("keycloak", "Keycloak", ("role", "group"), "the real server Keycloak 26.5"),
    ("openai", "OpenAI", ("role", "project"), "openai 3.57, OpenAI's OpenAPI description"),
    ("scim", "SCIM 2.0", ("group",), "the real scim2-server, scim2-tester, scim2-client"),
    ("vultr", "Vultr IAM", ("role", "group", "policy"), "govultr, Vultr's OpenAPI description"),
)


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_nine_providers_have_a_row_each(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    rows = [
        ProviderRow(
            name=name,
            title=title,
            docs_url="",
            distribution="",
            operations=(),
            least_roles=0,
            most_roles=0,
            role_kinds=kinds,
            can_suppress_email=False,
            lifetime=None if name == "scim" else 7 * 86_400.0,
            sandbox=True,
            judges=tuple(judges.split(", ")),
            substitutes={},
            options=(),
            settings=(),
        )
        for name, title, kinds, judges in NINE
    ]
    formatter = RecordFormatter(datetime.now(UTC), lambda _account, role: role.label)
    Tables(Screen(), formatter).show(rows)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line.rstrip()) <= columns for line in lines)
    tables = 1 if columns == 200 else 2
    for name, title, kinds, judges in NINE:
        found = [line for line in lines if line.split()[:1] == [name]]
        assert len(found) == tables
        for text in (title, ", ".join(kinds), judges):
            assert text in " ".join(found)


def test_one_provider_is_shown_with_its_settings_variables_and_capabilities(plain: Cli) -> None:
    out = " ".join(plain("providers", "vultr").out.split())
    for text in (
        "Vultr IAM guestlist-vultr",
        "api_key VULTR_API_KEY yes An API key",
        "organization_id VULTR_ORGANIZATION_ID no",
        "api_enabled",
        "revoke no",
        "Instead of revoke: Let it expire",
    ):
        assert text in out
    (row,) = plain("providers", "vultr", "--json").results
    assert row["name"] == "vultr"
    assert "VULTR_API_KEY" in [setting["env"] for setting in row["settings"]]


def test_a_provider_that_is_not_installed(plain: Cli) -> None:
    run = plain("providers", "acme")
    assert run.code == 2
    assert "no provider 'acme' is installed (installed: aitronos" in run.err


def test_without_accounts_a_command_leads_to_the_settings(plain: Cli) -> None:
    assert "`guestlist providers NAME` lists them" in plain("status", "ada@example.com").err


@pytest.mark.parametrize("name", ["vulr", "Vultr"])
def test_a_misspelled_provider_is_suggested(plain: Cli, name: str) -> None:
    run = plain("providers", name)
    assert run.code == 2
    assert "hint: Did you mean 'vultr'?" in run.err
    assert "pip install" not in run.err
    assert "pip install guestlist-nothing-like-it" in plain("providers", "nothing-like-it").err
