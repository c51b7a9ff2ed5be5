"""`assign_role`, `unassign_role` and `access`."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.in_process import InProcess

from guestlist import (
    Conflict,
    Forbidden,
    InvalidArgument,
    NotFound,
    Role,
    RoleOutcome,
    UnknownRole,
    Unsupported,
)
from guestlist.models import Member
from guestlist_vultr import Vultr
from guestlist_vultr.sandbox import SUPPORTER_KEY

ADA = "ada@example.com"
on_vultr = pytest.mark.parametrize("case", ["vultr"], indirect=True)
on_aitronos = pytest.mark.parametrize("case", ["aitronos"], indirect=True)


def labels(access: Any, *, direct: bool | None = None) -> set[str]:
    return {one.role.label for one in access.grants if direct in (None, one.direct)}


@pytest.mark.parametrize("how", ["id", "name", "other case", "kind:name", "kind:id", "value"])
def test_a_role_is_given(guests: Any, how: str) -> None:
    name = guests.case.role
    role = next(one for one in guests.roles() if one.name == name)
    wanted = {
        "id": role.id,
        "name": name,
        "other case": name.upper(),
        "kind:name": f"role:{name}",
        "kind:id": f"role:{role.id}",
        "value": role,
    }[how]
    result = guests.assign_role(guests.case.member, wanted)
    assert result.outcome is RoleOutcome.ASSIGNED
    assert result.role.id == role.id
    assert result.guest.email == guests.case.member
    assert name in labels(guests.access(guests.case.member))


@pytest.mark.parametrize("how", ["address", "id", "member", "guest"])
def test_to_whom(guests: Any, how: str) -> None:
    guest = guests.status(guests.case.member)
    who = {
        "address": guest.email.upper(),
        "id": guest.member.id,
        "member": guest.member,
        "guest": guest,
    }[how]
    assert guests.assign_role(who, guests.case.role).outcome is RoleOutcome.ASSIGNED
    assert guests.case.role in labels(guests.access(who))


def test_giving_is_safe_to_repeat(guests: Any) -> None:
    member, role = guests.case.member, guests.case.role
    guests.assign_role(member, role)
    guests.forget()
    assert guests.assign_role(member, role).outcome is RoleOutcome.ALREADY_ASSIGNED
    assert guests.writes == []


def test_taking_is_safe_to_repeat(guests: Any) -> None:
    member, role = guests.case.member, guests.case.holds
    result = guests.unassign_role(member, role)
    assert result.outcome is RoleOutcome.UNASSIGNED
    assert role not in labels(guests.access(member))
    guests.forget()
    assert guests.unassign_role(member, role).outcome is RoleOutcome.NOT_ASSIGNED
    assert guests.writes == []


@on_aitronos
def test_the_guest_shows_what_is_held_afterwards(guests: Any) -> None:
    result = guests.assign_role(guests.case.member, "Admin")
    assert [role.name for role in result.guest.member.roles] == ["Admin"]


@on_aitronos
def test_another_role_takes_the_place_of_the_first(guests: Any) -> None:
    guests.assign_role(guests.case.member, "Admin")
    assert labels(guests.access(guests.case.member)) == {"Admin"}


@on_vultr
@pytest.mark.parametrize("role", ["group:Support", "role:Billing Viewer", "policy:Compute"])
def test_every_kind(guests: Any, role: str) -> None:
    guests.unassign_role(guests.case.member, guests.case.holds)
    assert guests.assign_role(guests.case.member, role).outcome is RoleOutcome.ASSIGNED
    kind, _, name = role.partition(":")
    held = guests.access(guests.case.member).grants
    assert (kind, name) in [(one.role.kind, one.role.name) for one in held if one.direct]
    assert guests.unassign_role(guests.case.member, role).outcome is RoleOutcome.UNASSIGNED


@on_vultr
@pytest.mark.parametrize("reattach", ["accept", "refuse"])
def test_with_every_behavior_for_repeated_assignments(guests: Any, reattach: str) -> None:
    guests.service.configure(reattach=reattach)
    for outcome in (RoleOutcome.ASSIGNED, RoleOutcome.ALREADY_ASSIGNED):
        assert guests.assign_role(guests.case.member, "role:Support").outcome is outcome


@on_vultr
def test_what_is_inherited_is_not_held_directly(guests: Any) -> None:
    """Omar has the policy through his role, and may get it directly besides."""
    omar, policy = "omar@example.org", "policy:Ticket Handling"
    assert policy in labels(guests.access(omar), direct=False)
    with pytest.raises(Conflict, match="holds policy:Ticket Handling through Support Engineer"):
        guests.unassign_role(omar, policy)
    assert guests.writes == []
    assert guests.assign_role(omar, policy).outcome is RoleOutcome.ASSIGNED
    taken = guests.unassign_role(omar, policy)
    assert taken.outcome is RoleOutcome.UNASSIGNED
    assert taken.warnings == (f"{policy} is still held through Support Engineer",)
    assert guests.unassign_role(omar, "policy:Compute").outcome is RoleOutcome.NOT_ASSIGNED


@on_vultr
def test_a_role_that_comes_through_a_group_is_not_detached(guests: Any) -> None:
    with pytest.raises(Conflict) as caught:
        guests.unassign_role("omar@example.org", "Support Engineer")
    assert "holds Support Engineer through a group or another role, not directly" in str(
        caught.value
    )
    assert "Unassign group:Support, or detach Support Engineer from it" in caught.value.hint
    assert guests.writes == []


@on_vultr
def test_an_assumable_role_is_not_assigned(guests: Any) -> None:
    """Vultr's guides: only assignable roles are attached to users and groups."""
    [role] = [one for one in guests.roles() if one.not_assignable]
    assert role.label == "Incident Response"
    for wanted in (role, role.label):
        with pytest.raises(Unsupported, match="cannot be assigned: it is an assumable role"):
            guests.assign_role("omar@example.org", wanted)
    assert guests.writes == []
    assert guests.unassign_role("omar@example.org", role).outcome is RoleOutcome.NOT_ASSIGNED


# ---------------------------------------------------------------------------- what cannot be


@on_vultr
def test_an_ambiguous_role_is_reported_with_both_matches(guests: Any) -> None:
    with pytest.raises(UnknownRole) as caught:
        guests.assign_role(guests.case.member, "Support")
    ids = [one.id for one in guests.roles() if one.name == "Support"]
    for told in ("'Support' fits ", "group:Support", "role:Support", *ids):
        assert told in str(caught.value)
    assert guests.writes == []


@pytest.mark.parametrize("verb", ["assign_role", "unassign_role"])
def test_an_unknown_role_is_reported_with_similar_names(guests: Any, verb: str) -> None:
    typo = guests.case.role[:-1] + "z"
    with pytest.raises(UnknownRole, match="home: there is no role") as caught:
        getattr(guests, verb)(guests.case.member, typo)
    assert guests.case.role in caught.value.hint
    assert guests.writes == []


@pytest.mark.parametrize("role", ["", " ", "role:", ":", "group:Nobody", "a/b", "../x", "x\ny"])
def test_words_that_are_no_role(guests: Any, role: str) -> None:
    with pytest.raises(UnknownRole) as caught:
        guests.assign_role(guests.case.member, role)
    assert "\n" not in str(caught.value)
    assert guests.writes == []


def test_a_role_that_was_deleted_meanwhile(guests: Any) -> None:
    gone = Role(id="00000000-0000-4000-8000-000000000000", name="Gone")
    with pytest.raises(NotFound, match="home: ") as caught:
        guests.assign_role(guests.case.member, gone)
    assert caught.value.happened is False


def test_who_is_only_invited(guests: Any) -> None:
    guests.invite(ADA)
    guests.forget()
    with pytest.raises(Conflict, match="is not a member: pending") as caught:
        guests.assign_role(ADA, guests.case.role)
    assert "wait" in caught.value.hint
    assert guests.writes == []
    guests.later(days=8)
    with pytest.raises(Conflict, match="is not a member: expired") as caught:
        guests.assign_role(ADA, guests.case.role)
    assert "resend" in caught.value.hint


def test_who_is_nobody(guests: Any) -> None:
    with pytest.raises(Conflict, match="is not a member: not invited") as caught:
        guests.unassign_role("nobody@example.com", guests.case.role)
    assert "Invite" in caught.value.hint


def test_a_record_without_an_address(guests: Any) -> None:
    with pytest.raises(InvalidArgument, match="no email address"):
        guests.assign_role(Member(id="m1", email=""), guests.case.role)
    assert guests.requests == []


def test_a_key_that_may_only_read(make: Any, case: Any, sandbox: Any) -> None:
    settings = sandbox.services[case.name].read_only_settings
    guests = make(settings={"api_key": settings["api_key"]})
    with pytest.raises(Forbidden, match="home: ") as caught:
        guests.assign_role(case.member, case.role)
    assert caught.value.happened is False


# ---------------------------------------------------------------------------- access


def test_access_says_what_is_held(guests: Any) -> None:
    access = guests.access(guests.case.member)
    assert guests.case.holds in labels(access)
    assert access.effective
    assert access.explanation is None
    assert access.guest.email == guests.case.member


@on_vultr
def test_access_distinguishes_direct_from_inherited_roles(guests: Any) -> None:
    access = guests.access("omar@example.org")
    assert labels(access, direct=True) >= {"group:Support", "Billing Viewer"}
    assert labels(access, direct=False) >= {"Support Engineer", "policy:Ticket Handling"}
    through = {one.role.label: [via.label for via in one.via] for one in access.grants}
    assert through["policy:Ticket Handling"] == ["Support Engineer"]
    assert through["group:Support"] == []


@on_vultr
def test_access_to_nothing_says_what_the_person_sees(guests: Any) -> None:
    guests.invite(ADA)
    guests.accept(ADA)
    access = guests.access(ADA)
    assert (access.is_member, access.effective) == (True, False)
    assert "No Active Organization" in access.explanation
    guests.assign_role(ADA, "group:Engineering")
    access = guests.access(ADA)
    assert access.effective
    assert access.explanation is None


def send(guests: Any, method: str, path: str, body: dict[str, Any]) -> None:
    """Sends what guestlist has no verb for."""
    settings = guests.sandbox.services["vultr"].settings
    headers = {"Authorization": f"Bearer {settings['api_key']}"}
    request = httpx.Request(method, settings["base_url"] + path, json=body, headers=headers)
    assert InProcess(guests.sandbox).handle_request(request).is_success


def let_ada_in(guests: Any) -> Any:
    """Invites Ada, accepts for her, and returns her member record."""
    guests.invite(ADA)
    guests.accept(ADA)
    return guests.status(ADA).member


@on_vultr
@pytest.mark.parametrize(
    ("wanted", "effective", "explained"),
    [
        ("group:Empty", False, "no policy is attached to group:Empty"),
        ("role:Support", False, "no policy is attached to Support"),
        ("policy:Compute", True, "Is in no group"),
        ("Billing Viewer", True, "Is in no group"),
        ("group:Support", True, None),
    ],
)
def test_access_says_what_the_guide_says(
    guests: Any, wanted: str, effective: bool, explained: str | None
) -> None:
    """A group without a policy gives nothing; a policy without a group may not be enough."""
    send(guests, "POST", "/v2/groups", {"display_name": "Empty"})
    let_ada_in(guests)
    guests.assign_role(ADA, wanted)
    access = guests.access(ADA)
    assert wanted.removeprefix("role:") in labels(access, direct=True)
    assert (access.is_member, access.effective) == (True, effective)
    assert access.explanation is None if explained is None else explained in access.explanation


@on_vultr
def test_access_of_an_administrator_and_of_a_suspended_member(guests: Any) -> None:
    ada = let_ada_in(guests)
    send(guests, "PATCH", f"/v2/users/{ada.id}", {"acls": ["manage_users"]})
    access = guests.access(ADA)
    assert access.effective
    assert "full administrative control" in access.explanation

    guests.service.configure(profile="openapi")  # which shows the status of users
    guests.call(Vultr.suspend, ada)
    access = guests.access(ADA)
    assert (access.is_member, access.effective) == (True, False)
    assert "suspended" in access.explanation


@on_vultr
def test_own_access_is_that_of_the_keys_owner(make: Any) -> None:
    omar = make(settings={"api_key": SUPPORTER_KEY}).own_access()
    assert (omar.account, omar.effective, omar.explanation) == ("home", True, None)
    assert labels(omar, direct=True) == {"group:Support", "Billing Viewer"}

    owner = make().own_access()
    assert labels(owner) == {"policy:Administrator Access"}
    assert "Is in no group" in owner.explanation


@on_aitronos
def test_own_access_is_unsupported_elsewhere(guests: Any) -> None:
    with pytest.raises(Unsupported, match="home: Aitronos does not show"):
        guests.own_access()


@pytest.mark.parametrize("who", [ADA, "nobody@example.com"])
def test_access_of_somebody_who_is_not_in(guests: Any, who: str) -> None:
    guests.invite(ADA)
    access = guests.access(who)
    assert (access.is_member, access.effective, access.grants) == (False, False, ())
    assert f"{who} is not a member" in access.explanation
