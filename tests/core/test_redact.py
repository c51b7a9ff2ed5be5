"""Masking what a service echoes."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from guestlist.errors import ConfigError
from guestlist.exchange.redact import MASK, Redactor

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
