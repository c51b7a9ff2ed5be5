"""Tokens of the HTTP API in the ledger."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.story import ADA, NOON, Story

from guestlist.errors import NotFound
from guestlist.ledger import tokens
from guestlist.ledger.erasure import forget
from guestlist.ledger.tokens import ApiToken, Right

YEAR = timedelta(days=365)


def new(story: Story, name: str = "deploy", right: Right = Right.READ) -> tuple[ApiToken, str]:
    return tokens.create(story.store, name, right, now=NOON, expires=NOON + YEAR, by="eve")


def test_a_token_is_found_by_its_secret(story: Story) -> None:
    token, secret = new(story, right=Right.CHANGE)
    assert tokens.find(story.store, secret) == token
    assert (token.name, token.right, token.created_by) == ("deploy", Right.CHANGE, "eve")
    assert token.is_valid(NOON)
    assert not token.is_valid(NOON + YEAR), "expired"


def test_every_token_is_another_one(story: Story) -> None:
    secrets = {new(story)[1] for _ in range(20)}
    assert len(secrets) == 20
    assert all(tokens.is_token(secret) and len(secret) == 52 for secret in secrets)


def test_a_revoked_token_is_invalid_and_stays_in_the_list(story: Story) -> None:
    token, secret = new(story)
    other, _ = new(story)
    revoked = tokens.revoke(story.store, token.id, NOON + timedelta(days=1))
    assert not revoked.is_valid(NOON)
    assert tokens.find(story.store, secret) == revoked
    later = tokens.revoke(story.store, token.id, NOON + timedelta(days=2))
    assert later.revoked_at == NOON + timedelta(days=1), "the first time counts"
    assert {one.id: one.revoked_at for one in tokens.all_tokens(story.store)} == {
        token.id: NOON + timedelta(days=1),
        other.id: None,
    }


def test_only_a_token_that_exists_is_revoked(story: Story) -> None:
    new(story)
    with pytest.raises(NotFound, match="no token 'deploy'"):
        tokens.revoke(story.store, "deploy", NOON)


def test_the_last_use_is_stored_once_a_minute(story: Story) -> None:
    token, secret = new(story)
    stored = []
    for seconds in (0, 59, 61):
        token = tokens.find(story.store, secret) or token
        tokens.record_use(story.store, token, NOON + timedelta(seconds=seconds))
        stored.append(tokens.all_tokens(story.store)[0].used_at)
    assert stored == [NOON, NOON, NOON + timedelta(seconds=61)]


def test_the_ledger_does_not_contain_the_secret(on_file: Story, file: Path) -> None:
    _, secret = new(on_file)
    tokens.find(on_file.store, secret)
    on_file.store.close()
    found = [one.read_bytes() for one in file.parent.iterdir()]
    assert any(b"deploy" in one for one in found), "the files contain the ledger"
    assert not any(secret[3:20].encode() in one for one in found)


@given(st.text() | st.from_regex(r"gl_[0-9A-Za-z]{49}", fullmatch=True))
def test_a_guess_without_the_right_checksum_is_no_token(guess: str) -> None:
    assert not tokens.is_token(guess)


def test_a_mistyped_token_is_noticed_without_the_ledger(story: Story) -> None:
    _, secret = new(story)
    other = "a" if secret[10] != "a" else "b"
    assert not tokens.is_token(secret[:10] + other + secret[11:])
    assert tokens.find(story.store, secret + "\0") is None


def test_forgetting_a_person_replaces_the_name_of_their_token(story: Story) -> None:
    _, secret = new(story, ADA)
    forget(story.store, ADA)
    (token,) = tokens.all_tokens(story.store)
    assert token.name == "(deleted)"
    assert tokens.find(story.store, secret) == token, "it can be revoked still"
