"""How the shapes that Vultr's sources describe are read. `C-1` and its like: see test_provider."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from guestlist.errors import MalformedResponse
from guestlist.models import Grant, MemberState, Role, State
from guestlist_vultr import reading
from guestlist_vultr.grants import read_grants

BARE: dict[str, Any] = {"id": "i1", "email_invited": "rosa@example.net"}
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "state", "raw_state"),
    [
        ({"invite_status": "Pending"}, State.PENDING, "Pending"),
        ({"invite_status": "Accepted", "status": "Pending"}, State.ACCEPTED, "Accepted"),
        ({"status": "Accepted", "status_full": "Pending"}, State.ACCEPTED, "Accepted"),
        ({"invite_status": "", "status": None, "status_full": "Pending"}, State.PENDING, "Pending"),
        ({"invite_status": "pending"}, State.PENDING, "pending"),
        ({"invite_status": "EXPIRED"}, State.EXPIRED, "EXPIRED"),
        ({"invite_status": "Expires"}, State.EXPIRED, "Expires"),
        ({"invite_status": "Declined"}, State.DECLINED, "Declined"),
        ({"invite_status": "Invite rejected"}, State.DECLINED, "Invite rejected"),
        ({"invite_status": "Cancelled"}, State.UNKNOWN, "Cancelled"),
        ({"invite_status": "Invite Pending"}, State.UNKNOWN, "Invite Pending"),
        ({"invite_status": 1}, State.UNKNOWN, None),
        ({}, State.UNKNOWN, None),
    ],
)
def test_state__c6(words: dict[str, Any], state: State, raw_state: str | None) -> None:
    got = reading.invitation(BARE | words)
    assert (got.state, got.raw_state) == (state, raw_state)


@pytest.mark.parametrize(
    ("permissions", "enabled"),
    [
        ({"api_enabled": True}, True),
        ({"api_enabled": "yes"}, True),
        ({"api_enabled": "true"}, True),
        ({"api_enabled": 1}, True),
        ({"api_enabled": False}, False),
        ({"api_enabled": "no"}, False),
        ({"api_enabled": "0"}, False),
        ({"api_enabled": None}, False),
        ({}, False),
        ('{"api_enabled": true}', True),
        ('{"api_enabled": "no"}', False),
        ("yes", True),
        ("none", False),
        ("", False),
        (None, False),
        ([], False),
    ],
)
def test_permissions__c1_c7(permissions: Any, enabled: bool) -> None:
    got = reading.invitation(BARE | {"permissions": permissions})
    assert got.raw["permissions"] == permissions
    assert reading.api_enabled(got.raw) is enabled


def test_an_invitation_with_hardly_anything() -> None:
    got = reading.invitation(BARE)
    assert (got.id, got.email) == ("i1", "rosa@example.net")
    assert (got.created_at, got.expires_at, got.invited_by, got.organization) == (None,) * 4
    assert got.estimated == frozenset()


@pytest.mark.parametrize("missing", ["id", "email_invited"])
def test_an_invitation_without_id_or_address(missing: str) -> None:
    with pytest.raises(KeyError):
        reading.invitation({name: value for name, value in BARE.items() if name != missing})


def test_the_invited_address_counts_not_the_registered() -> None:
    assert (
        reading.invitation(BARE | {"email_registered": "r@example.com"}).email
        == BARE["email_invited"]
    )


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        ({}, MemberState.ACTIVE),
        ({"status": "Active"}, MemberState.ACTIVE),
        ({"status": "Suspended"}, MemberState.SUSPENDED),
        ({"status": "deleted"}, MemberState.REMOVED),
        ({"status": "Pending"}, MemberState.INVITED),
        ({"status": "invited"}, MemberState.INVITED),
        ({"active": True}, MemberState.ACTIVE),
        ({"active": False}, MemberState.SUSPENDED),
        ({"active": "no"}, MemberState.SUSPENDED),
        ({"active": "false"}, MemberState.SUSPENDED),
        ({"date_suspended": ""}, MemberState.ACTIVE),
        ({"date_suspended": "2026-05-04T12:00:00+00:00"}, MemberState.SUSPENDED),
    ],
)
def test_member_state__c14(raw: dict[str, Any], state: MemberState) -> None:
    assert reading.member({"id": "u", "email": "a@example.net"} | raw).state is state


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ({"name": "Ada"}, "Ada"),
        ({"display_name": "Ada"}, "Ada"),
        ({"name": "", "first_name": "Ada", "last_name": "Byron"}, "Ada Byron"),
        ({"first_name": "Ada"}, "Ada"),
        ({}, None),
    ],
)
def test_member_name__c13(raw: dict[str, Any], name: str | None) -> None:
    got = reading.member({"id": "u"} | raw)
    assert (got.name, got.email) == (name, "")


@pytest.mark.parametrize("raw", [{"id": "u"}, {"uuid": "u"}, {"id": "", "uuid": "u"}])
def test_member_id__c14(raw: dict[str, Any]) -> None:
    assert reading.member(raw).id == "u"


@pytest.mark.parametrize(
    ("body", "cursor"),
    [
        ({"meta": {"links": {"next": "abc", "prev": ""}}}, "abc"),
        ({"meta": {"links": {"next": ""}}}, None),
        ({"meta": {"links": {"next": None}}}, None),
        ({"meta": {"links": {}}}, None),
        ({"meta": {"links": []}}, None),
        ({"meta": {"total": 3}}, None),
        ({"meta": None}, None),
        ({}, None),
        ([], None),
    ],
)
def test_end_of_a_list(body: Any, cursor: str | None) -> None:
    assert reading.next_cursor(body) == cursor


@pytest.mark.parametrize(
    "body", [{"meta": "x"}, {"meta": {"links": "x"}}, {"meta": {"links": {"next": {"a": 1}}}}]
)
def test_an_unreadable_end_is_not_taken_for_the_end(body: Any) -> None:
    with pytest.raises(TypeError):
        reading.next_cursor(body)


def test_content() -> None:
    assert reading.content({"b": None, "c": 1}, "a", "b") == []
    assert reading.content([1], "a") == [1]
    with pytest.raises(MalformedResponse, match="no list of a"):
        reading.content({"x": []}, "a", "b")


@pytest.mark.parametrize(
    ("raw", "kind", "name"),
    [
        ({"id": "x", "display_name": "N", "description": "D"}, "group", "N"),
        ({"id": "x", "name": "N", "description": "D", "role_type": "assumable"}, "role", "N"),
        ({"role_id": "x", "role_name": "N", "role_description": "D", "role_type": 3}, "role", "N"),
        ({"policy_id": "x", "policy_name": "N", "policy_description": "D"}, "policy", "N"),
        ({"id": "x", "name": "", "description": "D"}, "role", None),
    ],
    ids=["group", "role C-15", "relationship C-9", "policy C-9", "nameless"],
)
def test_role(raw: dict[str, Any], kind: str, name: str | None) -> None:
    role = reading.role(raw, kind)
    assert role.model_copy(update={"not_assignable": None}) == Role(
        id="x", name=name, kind=kind, description="D"
    )


A, B = {"id": "a"}, {"id": "b"}


@pytest.mark.parametrize(
    ("content", "direct"),
    [
        ([A, B], {"a": True, "b": True}),
        ({"all": [A, B], "direct": [A], "inherited": [B]}, {"a": True, "b": False}),
        ({"all": [A, B], "direct": [A]}, {"a": True, "b": False}),
        ({"all": [A, B], "inherited": [B]}, {"a": True, "b": False}),
        ({"all": [A, B], "direct": None, "inherited": None}, {"a": True, "b": True}),
        ({"all": [A], "direct": [A, B]}, {"a": True}),  # `all` is preferred
        ({"direct": [A], "inherited": [B]}, {"a": True, "b": False}),
        ({"direct": [A], "inherited": [A, B]}, {"a": True, "b": False}),
        ({"all": None, "inherited": [B]}, {"b": False}),
        ({"direct": [A], "from_roles": [B]}, {"a": True, "b": False}),
        ([A, A, {"id": "b", "status": "deleted"}], {"a": True}),
        ({}, {}),
        (None, {}),
    ],
)
def test_grants__c9(content: Any, direct: dict[str, bool]) -> None:
    grants = read_grants("role", [content], {})
    assert {grant.role.id: grant.direct for grant in grants} == direct


@pytest.mark.parametrize(
    ("kind", "raw", "via"),
    [
        ("role", {"group_id": "g", "group_name": "G"}, Role(id="g", name="G", kind="group")),
        ("policy", {"group_id": "g"}, Role(id="g", kind="group")),
        ("policy", {"from_role": "r"}, Role(id="r", name="Known")),
        ("policy", {"from_role": "s"}, Role(id="s")),
        ("policy", {"role_id": "s", "role_name": "S"}, Role(id="s", name="S")),
    ],
)
def test_where_a_grant_comes_from(kind: str, raw: dict[str, Any], via: Role) -> None:
    known = {"r": Role(id="r", name="Known")}
    (grant,) = read_grants(kind, [[A | raw]], known)
    assert grant == Grant(role=Role(id="a", kind=kind), direct=False, via=(via,))


def test_parts_over_several_pages() -> None:
    grants = read_grants("role", [{"all": [A], "direct": []}, {"all": [B], "direct": [A]}], {})
    assert [grant.direct for grant in grants] == [True, False]


@pytest.mark.parametrize(
    "content", [7, "x", [7], {"all": 7}, {"direct": [7]}, {"items": [A]}, [{}]]
)
def test_wrong_grants(content: Any) -> None:
    with pytest.raises((KeyError, TypeError)):
        read_grants("role", [content], {})
