"""Masking what a service echoes."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from guestlist.errors import ConfigError
from guestlist.exchange.account import Account, Budget
from guestlist.exchange.redact import MASK, MOST_ADDED, Redactor
from guestlist.provider import Provider, Request

KEY = "ak_live+/= 1234"
REDACT = Redactor([KEY, ""], ["door_code"])

MASKED = [
    f"Invalid API key: {KEY}",
    f"/v1/things?x={quote(KEY, safe='')}&y=1",
    "api_key=s3cr3t-99",
    "?token=s3cr3t-99&page=2",
    '{"invitation_key": "s3cr3t-99"}',
    '{"invitation_link":"https://acme.example/join?key=s3cr3t-99"}',
    '{"door_code": "s3cr3t-99"}',
    "{'password': 's3cr3t-99'}",
    "Authorization: Bearer s3cr3t-99",
    "authorization=bearer s3cr3t-99",
    "bad credentials: bearer s3cr3t-99.",
    "X-API-Key: s3cr3t-99",
    "DOOR_CODE = s3cr3t-99",
    "refresh_token=s3cr3t-99; access_token=s3cr3t-99",
]


@pytest.mark.parametrize("text", MASKED)
def test_masked(text: str) -> None:
    shown = REDACT(text)
    assert MASK in shown
    assert "s3cr3t" not in shown
    assert "ak_live" not in shown


@pytest.mark.parametrize(
    "text",
    ["", "a token expired", "the invitation of ada@example.com", "role_id=r1", "door codes: 7"],
)
def test_the_rest_stays(text: str) -> None:
    assert REDACT(text) == text


def test_a_text_of_ours_keeps_its_words_and_no_secret() -> None:
    hint = "Sign in again for a new token: it ends with its session."
    assert REDACT.ours(hint) == hint
    assert REDACT.ours(f"It is {KEY}.") == f"It is {MASK}."
    behind = ConfigError("no password=s3cr3t-99 fits", hint=f"{hint} Not {KEY}.")
    error = ValueError()
    error.__cause__ = behind
    REDACT.mask_behind(error)
    assert error.__cause__ is behind
    assert behind.message == f"no password={MASK} fits"
    assert behind.hint == f"{hint} Not {MASK}."


def test_once_masked_it_stays_as_it_is() -> None:
    for text in MASKED:
        assert REDACT(REDACT(text)) == REDACT(text)


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert "tail" not in Redactor(["abcdef", "abcdef-tail"])("x abcdef-tail y")


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=8))
def test_no_key_survives_an_echo(key: str) -> None:
    assume(set(key) != {"*"})  # it would look like its mask
    redact = Redactor([key])
    for echo in (f"bad key {key}!", f"?k={quote(key, safe='')}", json.dumps({"got": key})):
        shown = redact(echo)
        assert key not in shown
        assert json.dumps(key)[1:-1] not in shown


class Rotating(Provider):
    """A service that wants another token with each request."""

    name = "rotating"
    title = "Rotating"
    base_url: str = "https://rotating.example"

    def authorize(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {next(TOKENS)}"}


TOKENS = map("t0ken-{}-end".format, count())


def test_the_tokens_of_all_requests_under_way_are_known() -> None:
    account = Account("a", Rotating())
    for _ in range(100):
        account.outgoing(Request.get("things"), Budget())
    assert account.redact("not with t0ken-0-end") == f"not with {MASK}"


def test_what_many_threads_add_is_known() -> None:
    redact = Redactor([])

    def add(thread: int) -> None:
        for number in range(10):
            redact.add([f"secret-{thread}-{number}"])

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(add, range(16)))
    finally:
        sys.setswitchinterval(interval)
    for thread in range(16):
        for number in range(10):
            assert redact(f"secret-{thread}-{number}") == MASK


def test_the_latest_are_remembered() -> None:
    redact = Redactor([])
    redact.add(["secret-first", "secret-kept"])
    for number in range(MOST_ADDED - 1):
        redact.add(["secret-kept", f"secret-{number}"])
    assert redact("secret-first secret-kept") == f"secret-first {MASK}"
