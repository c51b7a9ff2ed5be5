"""`providers` and `providers NAME`: what is said about a provider is what its class says."""

from __future__ import annotations

from typing import Any

import pytest

from guestlist.cli.capability_table import capability_table
from guestlist.cli.document import ProviderRow

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
    (found,) = dict(capability_table([ProviderRow(**given)], everything=True))[fact]
    return str(found)


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
    lines = [line for line in plain("providers").table if line.startswith("local sandbox")]
    assert [word for line in lines for word in line.split()[2:]] == ["yes"] * len(rows)


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
