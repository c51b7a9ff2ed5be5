"""What shows that an invitation was made, from what was known before and what is there now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from guestlist.errors import MalformedResponse
from guestlist.models import Basis, Guest, Invitation, State
from guestlist.verbs.evidence import new_record

NOON = datetime(2027, 1, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def record(id: str, state: State, **facts: Any) -> Invitation:
    return Invitation(id=id, email="ada@example.com", state=state, **facts)


def guest(invitation: Invitation) -> Guest:
    email, state = invitation.email, invitation.state
    return Guest(account="acme", email=email, state=state, invitation=invitation)


BEFORE = {"created_at": NOON, "expires_at": NOON + 24 * HOUR}
KNOWN = guest(record("new", State.REVOKED, basis=Basis.INFERRED, **BEFORE))


@pytest.mark.parametrize(
    "dates",
    [{"created_at": NOON - HOUR}, {"expires_at": NOON}, {**BEFORE, "created_at": NOON - HOUR}],
    ids=str,
)
def test_an_older_record_that_has_ended_was_not_made_now(dates: dict[str, Any]) -> None:
    assert new_record(guest(record("old", State.REVOKED, **dates)), KNOWN) is None


@pytest.mark.parametrize(
    "facts",
    [
        {"created_at": NOON + HOUR},
        {"expires_at": NOON + 25 * HOUR},
        {},
        {"created_at": NOON - HOUR, "estimated": frozenset({"created_at"})},
    ],
    ids=str,
)
@pytest.mark.parametrize("state", [State.PENDING, State.DECLINED])
def test_a_record_that_is_not_known_to_be_older_is_what_was_made(
    state: State, facts: dict[str, Any]
) -> None:
    one = record("newer", state, **facts)
    assert new_record(guest(one), KNOWN) is one


def test_an_open_one_that_lasts_less_long_may_be_what_was_made() -> None:
    one = record("newer", State.PENDING, expires_at=NOON)
    assert new_record(guest(one), KNOWN) is one


def test_an_older_one_that_is_open_may_have_been_opened_again() -> None:
    with pytest.raises(MalformedResponse, match="older"):
        new_record(guest(record("old", State.PENDING, created_at=NOON - HOUR)), KNOWN)
