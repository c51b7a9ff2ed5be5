"""The shapes in which Aitronos' sources disagree, and the one value that each becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from guestlist.models import MemberState, Role
from guestlist.provider import Response
from guestlist_aitronos.reading import (
    capabilities,
    is_invited,
    key_in,
    named,
    read_bulk,
    read_invitation,
    read_member,
    read_role,
    read_status,
    read_total,
)


@pytest.mark.parametrize(
    ("link", "key"),
    [
        ("https://chat.aitronos.com/user/register?invite=invkey_1", "invkey_1"),
        ("https://chat.aitronos.com/r?lang=de&invite=a%2Fb&x=1", "a/b"),
        ("https://chat.aitronos.com/user/register", None),
        ("https://[broken", None),
        ("", None),
        (None, None),
    ],
)
def test_c2_the_key_is_taken_from_the_link(link: str | None, key: str | None) -> None:
    assert key_in(link) == key


def test_c2_a_key_of_its_own_comes_first() -> None:
    raw = {
        "invitation_id": "inv_1",
        "email": "a@b.example",
        "invitation_key": "own",
        "invitation_link": "https://chat.aitronos.com/r?invite=other",
    }
    invitation = read_invitation(raw, organization_id="org_1")
    assert invitation.key is not None
    assert invitation.key.get_secret_value() == "own"


def test_a_role_other_than_the_one_asked_for_is_told() -> None:
    raw = {"invitation_id": "inv_1", "email": "a@b.example", "role_id": "role_2"}
    invitation = read_invitation(
        raw, roles=(Role(id="role_1", name="Member"),), organization_id="org_1"
    )
    assert invitation.roles == (Role(id="role_2"),)


NESTED = {
    "id": "orgusr_1",
    "user_id": "usr_1",
    "email": "a@b.example",
    "full_name": "A",
    "role": {"id": "role_1", "name": "Member"},
    "status": {"id": "sts_1", "name": "Inactive", "selectable_in_ui": True},
}
FLAT = {
    "id": "orgusr_1",
    "user_id": "usr_1",
    "email": "a@b.example",
    "full_name": "A",
    "role_id": "role_1",
    "role_name": "Member",
    "status_id": "sts_1",
    "status_name": "Inactive",
}


def test_c4_nested_and_flat_members_are_the_same() -> None:
    assert read_member(NESTED) == read_member(FLAT)
    assert read_member(FLAT).roles == (Role(id="role_1", name="Member"),)
    assert read_member(FLAT).state is MemberState.SUSPENDED


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Active", MemberState.ACTIVE),
        ("Inactive", MemberState.SUSPENDED),
        ("deactivated", MemberState.SUSPENDED),
        ("Deleted", MemberState.REMOVED),
        ("On holiday", MemberState.ACTIVE),
        (None, MemberState.ACTIVE),
    ],
)
def test_c8_the_states_of_members(status: str | None, state: MemberState) -> None:
    assert read_member(FLAT | {"status_name": status}).state is state


def test_members_without_the_optional_fields() -> None:
    member = read_member({"user_id": "usr_1", "email": "a@b.example", "username": "a"})
    assert (member.id, member.name, member.roles) == ("usr_1", "a", None)


@pytest.mark.parametrize(
    "raw", [{"email": "a@b.example"}, {"id": "orgusr_1"}, {"id": 1, "email": 2}]
)
def test_members_of_another_shape_are_ordinary_errors(raw: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        read_member(raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"status": {"id": "sts_1", "name": "Invitation Sent"}}, True),
        ({"status_name": "invitation_pending"}, True),
        ({"status": {"id": "status_1", "name": "Active"}}, False),
        ({"status": {"id": "status_1"}}, False),
        ({"status": None}, False),
        ({}, False),
    ],
)
def test_c8_who_is_invited(raw: dict[str, Any], expected: bool) -> None:
    assert is_invited(raw) is expected


def test_c4_ids_and_names_of_either_shape() -> None:
    assert named(NESTED, "status") == named(FLAT, "status") == ("sts_1", "Inactive")
    assert named({"role": None, "role_id": "r"}, "role") == ("r", None)


def rows(count: int, **facts: Any) -> Response:
    return Response(200, {}, json.dumps({"users": [NESTED] * count, **facts}).encode())


@pytest.mark.parametrize(
    ("more", "total"),
    [({"total_users_count": 5}, 5), ({"total": 9}, 9), ({}, None), ({"total": None}, None)],
)
def test_c4_c22_the_names_of_the_total(more: dict[str, Any], total: int | None) -> None:
    body = json.dumps({"users": [FLAT], **more}).encode()
    assert read_total(Response(200, {}, body)) == total


@pytest.mark.parametrize(
    ("raw", "allowed"),
    [
        ({"capabilities": ["a", "b"], "permissions": {"c": True}}, ["a", "b"]),
        ({"permissions": {"a": True, "b": False}}, ["a"]),
        ({"permissions": ["a"]}, ["a"]),
        ({"permissions": None}, []),
        ({}, []),
    ],
)
def test_c19_what_a_role_allows(raw: dict[str, Any], allowed: list[str]) -> None:
    assert capabilities(raw) == allowed


def test_c19_roles_of_the_smaller_and_of_the_larger_shape() -> None:
    small = {"id": "role_1", "name": "Member", "is_base_role": True, "is_custom": False}
    large = {**small, "description": "Works here", "capabilities": ["x"], "member_count": 3}
    assert read_role(small) == Role(id="role_1", name="Member")
    assert read_role(large).description == "Works here (allows: x)"


def test_statuses_keep_their_raw_form() -> None:
    raw = {"id": "sts_1", "name": "Pending", "color": "#fff", "description": "approval"}
    status = read_status(raw)
    assert (status.id, status.name, status.description) == ("sts_1", "Pending", "approval")
    assert status.raw is raw


def test_bulk_results_without_a_list_of_failures() -> None:
    assert read_bulk({"success_count": 2}).failures == ()
    with pytest.raises(KeyError):
        read_bulk({})
