"""What is particular to SCIM: people with several names, settings for unusual services, errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from guestlist import Guestlist
from guestlist.errors import (
    ConfigError,
    Conflict,
    Forbidden,
    GuestlistError,
    NotFound,
    Rejected,
    Unauthorized,
    Unsupported,
)
from guestlist.event import Event
from guestlist.models import MemberState, NewInvitation, State
from guestlist.sandbox import Sandbox
from guestlist_scim import Scim
from guestlist_scim.sandbox import ScimService
from pytest_guestlist.clock import VirtualClock

ADA, ROBIN = "ada@example.com", "robin@example.org"


class Scene:
    """A sandbox, and a client in virtual time."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def start(self, **switches: str) -> None:
        self.sandbox.reset()
        self.service.configure(**switches)

    @property
    def service(self) -> Any:
        return self.sandbox.services["scim"].service

    def account(self, **changes: Any) -> Scim:
        settings: dict[str, Any] = self.sandbox.services["scim"].settings | changes
        return Scim(**settings)

    def guests(self, **changes: Any) -> Guestlist:
        accounts = {"scim": self.account(**changes)}
        return Guestlist(accounts, clock=VirtualClock(sandbox=self.sandbox))

    def users(self) -> dict[str, Any]:
        """The members by userName."""
        return {one.person.email: one for one in self.service.organization.members()}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox([ScimService], port=0) as running:
        yield running


@pytest.fixture
def scene(sandbox: Sandbox) -> Scene:
    scene = Scene(sandbox)
    scene.start()
    return scene


# ---------------------------------------------------------------------------- who is who


def test_a_user_whose_user_name_is_no_address_is_found_by_the_email_and_by_the_login(
    scene: Scene,
) -> None:
    with scene.guests() as guests:
        assert guests.invite(ROBIN).outcome == "already_member"
        found = guests.status(login="robin")
    assert (found.state, found.login) == (State.ACCEPTED, "robin")
    assert found.member is not None
    assert found.member.email == ROBIN
    assert set(scene.users()) == {"olga@example.org", "robin"}


def test_a_login_becomes_the_user_name(scene: Scene) -> None:
    with scene.guests() as guests:
        assert guests.invite(ADA, login="ada-l").outcome == "joined"
        assert guests.invite(ADA).outcome == "already_member"
        assert guests.invite("other@example.com", login="ADA-L").outcome == "already_member"
    assert scene.users()["ada-l"].fields["emails"][0]["value"] == ADA


def test_a_second_address_of_a_user_is_the_same_person(scene: Scene) -> None:
    with scene.guests() as guests:
        guests.invite(ADA)
        scene.users()[ADA].fields["emails"].append({"value": "ada@home.example"})
        assert guests.invite("Ada@Home.example").outcome == "already_member"


def test_a_plan_from_a_list_invites_no_second_address_of_a_user(scene: Scene) -> None:
    """The list of members shows one address of each. A run does not search for the others."""
    with scene.guests() as guests:
        guests.invite(ADA)
        scene.users()[ADA].fields["emails"].append({"value": "ada@home.example"})
        account = guests.account("scim")
        with pytest.raises(Conflict, match=scene.users()[ADA].id):
            account.call(Scim.invite, NewInvitation(email="ada@home.example"))


def test_quotation_marks_in_an_address_stay_within_the_filter(scene: Scene) -> None:
    odd = 'x" or userName pr or userName eq "'
    with scene.guests() as guests:
        account = guests.account("scim")
        assert account.call(Scim.find_member, odd) is None
        assert account.call(Scim.find_member, "a\\") is None


# ---------------------------------------------------------------------------- leaving


@pytest.mark.parametrize("patch", ["yes", "no"])
def test_who_was_deactivated_is_gone_and_can_be_invited_again(scene: Scene, patch: str) -> None:
    scene.start(delete="deactivates", patch=patch)
    with scene.guests() as guests:
        guests.invite(ADA)
        guests.assign_role(ADA, "Support")
        user = scene.users()[ADA]
        assert guests.remove(ADA).outcome == "removed"
        assert user.fields["active"] is False
        assert guests.status(ADA).state is State.GONE
        assert ADA not in [one.email for one in guests.members()]
        assert guests.remove(ADA).outcome == "already_removed"
        again = guests.invite(ADA)
        assert again.outcome == "joined"
        assert again.guest.member is not None
        assert again.guest.member.id == user.id
        assert [one.role.name for one in guests.access(ADA).grants] == ["Support"]
    assert user.fields["active"] is True


def test_an_inactive_user_is_suspended_if_remove_deletes(scene: Scene) -> None:
    with scene.guests() as guests:
        guests.invite(ADA)
        scene.service.store(scene.users()[ADA], scene.users()[ADA].fields | {"active": False})
        result = guests.invite(ADA)
        assert result.outcome == "already_member"
        assert "suspended" in result.warnings[0]
        states = {one.email: one.state for one in guests.members()}
        assert states[ADA] is MemberState.SUSPENDED
        assert guests.remove(ADA).outcome == "removed"
    assert ADA not in scene.users()


def test_put_keeps_what_guestlist_does_not_know(scene: Scene) -> None:
    scene.start(delete="deactivates", patch="no")
    with scene.guests() as guests:
        guests.invite(ADA)
        scene.users()[ADA].fields["name"] = {"givenName": "Ada", "familyName": "Byron"}
        guests.remove(ADA)
    assert scene.users()[ADA].fields["name"] == {"givenName": "Ada", "familyName": "Byron"}


# ---------------------------------------------------------------------------- roles


def test_roles_wait_in_the_ledger_and_never_leave_with_the_invitation(scene: Scene) -> None:
    with scene.guests() as guests:
        with pytest.raises(Unsupported, match="takes no role") as caught:
            guests.invite(ADA, role="Support")
        assert "onboard" in caught.value.hint
        done = guests.onboard(ADA, role=["Support", "Engineering"])
    assert done.outcome == "onboarded"
    assert {role.name for role in scene.users()[ADA].roles} == {"Support", "Engineering"}


def test_members_show_their_groups_which_their_records_lack(scene: Scene) -> None:
    with scene.guests() as guests:
        shown = {one.email: [role.name for role in one.roles or ()] for one in guests.members()}
    assert shown == {"olga@example.org": ["Admins"], ROBIN: ["Engineering"]}


# ---------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("switches", "changes", "error", "hint"),
    [
        ({}, {"token": "wrong"}, Unauthorized, "token for SCIM"),
        ({}, {"token": "SCIM-SANDBOX-READ-ONLY"}, Forbidden, "permission for SCIM"),
        ({}, {"base_url": "{}/scim"}, NotFound, "base_url"),
        ({"user_filters": "userName"}, {"find_by": ["emails.value"]}, Rejected, "find_by"),
        ({"user_filters": "none"}, {"find_by": ["userName"]}, Rejected, "find_by"),
    ],
)
def test_each_refusal_of_an_invitation_says_what_to_do(
    scene: Scene,
    switches: dict[str, str],
    changes: dict[str, Any],
    error: type[GuestlistError],
    hint: str,
) -> None:
    scene.start(**switches)
    base = scene.sandbox.services["scim"].base_url
    changes = {k: one.format(base) if isinstance(one, str) else one for k, one in changes.items()}
    call = "status" if "find_by" in changes else "invite"
    with scene.guests(**changes) as guests, pytest.raises(error) as caught:
        getattr(guests, call)(ADA)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("switches", "changes", "hint"),
    [
        ({"patch": "no"}, {"patch": True}, "patch = false"),
        ({"selectors": "no"}, {"removes_members": "by_path"}, "removes_members"),
        ({}, {"find_groups": True}, "find_groups"),
    ],
)
def test_each_refusal_of_a_change_names_the_setting(
    scene: Scene, switches: dict[str, str], changes: dict[str, Any], hint: str
) -> None:
    scene.start(**switches)
    with scene.guests(**changes) as guests, pytest.raises(Rejected) as caught:
        guests.unassign_role(ROBIN, "Engineering")
    assert hint in caught.value.hint


def test_a_setting_with_another_value_is_refused(scene: Scene) -> None:
    with pytest.raises(ConfigError, match="deprovision"):
        scene.account(deprovision="disable")


def test_the_groups_are_read_once_for_all_pages_of_the_users(scene: Scene) -> None:
    asked = Counter[str]()
    clock = VirtualClock(sandbox=scene.sandbox)
    accounts = {"scim": scene.account(page_size=2)}

    def watch(event: Event) -> None:
        if event.name == "answer":
            asked[str(event.path).rpartition("/")[2]] += 1

    with Guestlist(accounts, clock=clock, watch=watch) as guests:
        for number in range(5):
            guests.invite(f"p{number}@example.com")
        asked.clear()
        found = {one.email: one for one in guests.members()}
        read = dict(asked)
        groups = len(list(guests.roles()))
    assert (len(found), read) == (7, {"Users": 4, "Groups": -(-groups // 2)})
    assert any(one.roles for one in found.values())


# ---------------------------------------------------------------------------- rate limits


@pytest.mark.parametrize(
    ("settings", "limits"), [({}, []), ({"requests_per_minute": 1}, [(1, 60.0)])]
)
def test_the_limit_is_that_of_the_setting(
    settings: dict[str, Any], limits: list[tuple[int, float]]
) -> None:
    account = Scim(base_url="https://scim.example.com", token="t", **settings)
    assert [(one.count, one.per) for one in account.limits] == limits


def test_two_hundred_invitations_meet_no_refusal(scene: Scene) -> None:
    """The sandbox allows 180 requests in a minute, and so does the account's setting."""
    scene.start(rate="180")
    answers: list[int | None] = []
    clock = VirtualClock(sandbox=scene.sandbox)
    began = clock.monotonic()
    accounts = {"scim": scene.account(find_by=["userName"])}
    with Guestlist(
        accounts, clock=clock, watch=lambda event: answers.append(event.status)
    ) as guests:
        for number in range(200):
            guests.invite(f"p{number}@example.com")
    assert 201 in answers
    assert 429 not in answers
    assert 40 < clock.monotonic() - began < 90
    assert len(scene.users()) == 202


def test_without_a_known_limit_a_refusal_is_waited_for(scene: Scene) -> None:
    scene.start(rate="180")
    clock = VirtualClock(sandbox=scene.sandbox)
    accounts = {"scim": scene.account(find_by=["userName"], requests_per_minute=0)}
    with Guestlist(accounts, clock=clock) as guests:
        for number in range(200):
            guests.invite(f"p{number}@example.com")
    assert len(scene.users()) == 202
