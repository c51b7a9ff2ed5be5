"""The normalized values: frozen, and silent about secrets."""

from __future__ import annotations

import json
import logging
import pickle
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from guestlist import models
from guestlist.models import (
    Access,
    Grant,
    Guest,
    Invitation,
    InviteResult,
    Member,
    MemberState,
    NewInvitation,
    OnboardResult,
    Outcome,
    RemoveOutcome,
    RemoveResult,
    Result,
    RevokeOutcome,
    RevokeResult,
    Role,
    RoleOutcome,
    RoleResult,
    State,
)

LINK = "https://acme.example/join?key=s3cr3t-link"
KEY = "s3cr3t-key"
RAW = {"id": "i1", "invitation_link": "s3cr3t-raw"}
ROLE = Role(id="r1", name="Admin", raw=RAW)
INVITATION = Invitation(
    id="i1",
    email="ada@example.com",
    state=State.PENDING,
    roles=(ROLE,),
    expires_at=datetime(2027, 1, 15, tzinfo=UTC),
    link=SecretStr(LINK),
    key=SecretStr(KEY),
    raw=RAW,
)
MEMBER = Member(id="m1", email="ada@example.com", roles=(ROLE,), raw=RAW)
GUEST = Guest(
    account="cloud",
    email="Ada@example.com",
    state=State.PENDING,
    invitation=INVITATION,
    member=MEMBER,
)
VALUES: list[BaseModel] = [
    ROLE,
    INVITATION,
    MEMBER,
    GUEST,
    NewInvitation(email="ada@example.com", roles=(ROLE,)),
    InviteResult(outcome=Outcome.INVITED, guest=GUEST, replaced=INVITATION),
    RoleResult(outcome=RoleOutcome.ASSIGNED, guest=GUEST, role=ROLE),
    Grant(role=ROLE, via=(ROLE,)),
    RevokeResult(outcome=RevokeOutcome.REVOKED, guest=GUEST, invitation=INVITATION),
    RemoveResult(outcome=RemoveOutcome.REMOVED, guest=GUEST),
    Access(guest=GUEST, is_member=True, grants=(Grant(role=ROLE),)),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_frozen_and_exact(value: BaseModel) -> None:
    name = next(iter(type(value).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(value, name, getattr(value, name))
    with pytest.raises(ValidationError):
        type(value)(**{**dict(value), "nonsense": 1})


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_no_secret_shows(value: BaseModel, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("app").warning("%s %r", value, value)
    shown = [
        repr(value),
        str(value),
        f"{value}",
        value.model_dump_json(),
        str(value.model_dump()),
        str(value.model_dump(mode="json")),
        json.dumps(value.model_dump(mode="json")),
        caplog.text,
    ]
    assert not [text for text in shown if "s3cr3t" in text]


def test_secrets_can_be_read_by_those_who_ask() -> None:
    assert INVITATION.link is not None
    assert INVITATION.link.get_secret_value() == LINK
    assert INVITATION.raw == RAW


def test_a_wrong_value_is_refused_without_showing_it() -> None:
    with pytest.raises(ValidationError) as caught:
        Invitation.model_validate(
            {"id": "1", "email": "a@example.com", "state": "pending", "link": ["s3cr3t"]}
        )
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_they_cross_processes(value: BaseModel) -> None:
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own


def test_a_pickle_is_the_whole_value_secrets_included() -> None:
    """It is for other processes of the same application, not for people."""
    twin: Invitation = pickle.loads(pickle.dumps(INVITATION))  # noqa: S301 - our own
    assert twin.raw == RAW
    assert twin.link == SecretStr(LINK)


def test_equal_is_what_was_normalized() -> None:
    assert Role(id="1", name="A", raw={"x": 1}) == Role(id="1", name="A", raw={"x": 2})
    assert Role(id="1", name="A") != Role(id="1", name="B")
    assert Role(id="1") != Member(id="1", email="")
    assert len({Role(id="1", raw={"unhashable": []}), Role(id="1", raw={})}) == 1


def test_json_is_read_back() -> None:
    guest = Guest(account="cloud", email="a@example.com", state=State.GONE)
    assert Guest.model_validate_json(guest.model_dump_json()) == guest


def test_options_of_a_provider_are_dumped_whole() -> None:
    class Own(BaseModel):
        api_enabled: bool = True

    new = NewInvitation(email="ada@example.com", options=Own())
    assert new.model_dump()["options"] == {"api_enabled": True}


@pytest.mark.parametrize(
    ("role", "label"),
    [
        (Role(id="1", name="Admin"), "Admin"),
        (Role(id="1"), "1"),
        (Role(id="1", name="Admin", kind="group"), "group:Admin"),
        (Role(id="1", kind="policy"), "policy:1"),
    ],
)
def test_labels(role: Role, label: str) -> None:
    assert role.label == label


def test_a_guest_is_compared_by_key() -> None:
    assert GUEST.key == "ada@example.com"


@pytest.mark.parametrize(
    ("email", "login", "key"),
    [
        ("Ada@Example.com", "ada-l", "ada@example.com"),
        (None, "Ada-L", "@ada-l"),
        ("ci-bot", None, "@ci-bot"),  # a login in the field of the address
        (None, None, "#m-1"),
    ],
)
def test_a_guest_without_an_address_is_compared_by_login_or_id(
    email: str | None, login: str | None, key: str
) -> None:
    member = Member(id="m-1", email=email, login=login)
    guest = Guest(account="cloud", email=email, login=login, state=State.ACCEPTED, member=member)
    assert (guest.key, guest.label, member.label) == (key, email or login or "m-1", guest.label)


def test_a_member_is_called_by_address_login_and_id() -> None:
    member = Member(id="m-1", email="Ada@Example.com", login="ada-l")
    assert all(map(member.is_called, ["ada@example.com", "ADA-L", "@ada-l", "m-1"]))
    assert not any(map(member.is_called, ["ada", "m-2", "M-1", ""]))
    assert Member(id="m-2", email="ci-bot").address is None


def test_access_has_no_truth_value_of_its_own() -> None:
    """`if guests.access(...)` would not say which of membership and access it tests."""
    assert "__bool__" not in dir(Access)


@pytest.mark.parametrize(
    "result", [InviteResult, RevokeResult, RemoveResult, RoleResult, OnboardResult]
)
def test_results_begin_with_the_same_fields(result: type[Result]) -> None:
    assert list(result.model_fields)[:3] == ["outcome", "guest", "warnings"]
    outcome: Any = result.model_fields["outcome"].annotation
    assert issubclass(outcome, StrEnum)


def test_words_are_words() -> None:
    assert f"{State.PENDING} {MemberState.ACTIVE} {Outcome.INVITED}" == "pending active invited"


@pytest.mark.parametrize("name", ["State", "Basis", "Outcome", "RoleOutcome", "MemberState"])
def test_every_word_is_lower_case(name: str) -> None:
    enum: Any = getattr(models, name)
    assert all(word == word.lower() for word in enum)


def test_a_number_that_is_an_id_is_kept_as_text() -> None:
    told: Any = 12
    member = Member(id=told, email="ada@example.com", user_id=told, roles=(Role(id=told),))
    assert (member.id, member.user_id, member.roles) == ("12", "12", (Role(id="12"),))
    invitation = Invitation(id=told, email="ada@example.com", state=State.UNKNOWN, raw_state=told)
    assert (invitation.id, invitation.raw_state) == ("12", "12")


@pytest.mark.parametrize("told", [None, True, {}, [1]])
def test_what_is_no_id_is_refused(told: Any) -> None:
    with pytest.raises(ValidationError):
        Role(id=told)
