"""Log records carry the facts of an event as attributes."""

from __future__ import annotations

import logging

import pytest

from guestlist import Guestlist
from guestlist.sandbox import Sandbox
from guestlist.sandbox.services import accounts_of, service_classes


def test_log_records_carry_the_facts_of_an_event(caplog: pytest.LogCaptureFixture) -> None:
    kinds = [kind for kind in service_classes() if kind.name == "vultr"]
    with (
        Sandbox(kinds) as sandbox,
        caplog.at_level(logging.DEBUG, "guestlist"),
        Guestlist({"cloud": accounts_of(sandbox)["vultr"]}) as guests,
    ):
        guests.invite("Ada@Example.com")
    [record] = [one for one in caplog.records if vars(one).get("event") == "outcome"]
    facts = {name: vars(record)[name] for name in ("account", "email_key", "request_id")}
    assert facts == {"account": "cloud", "email_key": "ada@example.com", "request_id": None}
