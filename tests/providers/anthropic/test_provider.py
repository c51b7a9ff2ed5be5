"""What is particular about Anthropic, through the client and the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.providers.judged import Judged, judged

from guestlist import Guestlist
from guestlist.cli import main
from guestlist.errors import Conflict, Forbidden, InvalidArgument, SeatLimit, Unsupported
from guestlist.models import Role
from guestlist_anthropic import Anthropic
from guestlist_anthropic.sandbox import ADMIN_KEY, READER_KEY, AnthropicService

ADA, BOB = "ada@example.com", "bob@example.com"


@pytest.fixture
def running() -> Iterator[Judged]:
    with judged(AnthropicService) as one:
        yield one


@pytest.fixture
def guests(running: Judged) -> Iterator[Guestlist]:
    account = Anthropic(base_url=running.base_url, admin_api_key=ADMIN_KEY)
    with Guestlist({"claude": account}) as client:
        yield client


def test_roles_that_the_api_does_not_grant(running: Judged, guests: Guestlist) -> None:
    for role in ("admin", "owner", "primary_owner", "membership_admin", "managed"):
        with pytest.raises(Unsupported, match=f"{role} cannot be assigned: the API does not"):
            guests.invite(ADA, role=role)
    assert {one.method for one in running.seen} == {"GET"}


def test_the_plan_decides_about_the_roles(running: Judged) -> None:
    running.service.configure(plan="enterprise")
    account = Anthropic(base_url=running.base_url, admin_api_key=ADMIN_KEY, plan="enterprise")
    with Guestlist({"claude": account}) as guests:
        granted = {one.id for one in guests.roles() if not one.not_assignable}
        assert {one for one in granted if "wrkspc" not in one} == {"user", "managed"}
        assert guests.invite(ADA, role="managed").guest.invitation is not None


def test_an_invite_needs_a_role_of_the_organization(running: Judged, guests: Guestlist) -> None:
    with pytest.raises(InvalidArgument, match="Anthropic needs a role for an invitation"):
        guests.invite(ADA)
    with pytest.raises(Unsupported, match="takes no workspace at invitation time"):
        guests.invite(ADA, role="workspace:Research")
    assert {one.method for one in running.seen} == {"GET"}


def test_a_full_organization(running: Judged, guests: Guestlist) -> None:
    """Three members and two pending invites take the five seats."""
    running.service.configure(seats="5")
    guests.invite(ADA, role="user")
    guests.invite(BOB, role="user")
    with pytest.raises(SeatLimit, match="Pending invites count toward the member limit") as full:
        guests.invite("cleo@example.com", role="user")
    assert full.value.code == "org_member_limit_exceeded"
    assert guests.invite(ADA, role="user").outcome == "already_invited"
    guests.revoke(BOB)
    assert guests.invite("cleo@example.com", role="user").outcome == "invited"
    assert Anthropic.counts_seats  # so a run removes people before it invites others


def test_a_domain_that_is_not_allowed(running: Judged, guests: Guestlist) -> None:
    running.service.configure(domains="example")
    with pytest.raises(Forbidden, match="allowed email domains"):
        guests.invite("ada@other.net", role="user")


def join(running: Judged, guests: Guestlist, email: str, role: str = "user") -> None:
    guests.invite(email, role=role)
    running.service.accept(running.service.outbox.emails[-1].invitation)


def test_one_role_in_each_workspace(running: Judged, guests: Guestlist) -> None:
    join(running, guests, ADA)
    for role in (
        "Research",
        "workspace:Production/developer",
        "workspace:Research/admin",
    ):
        assert guests.assign_role(ADA, role).outcome == "assigned"
    labels = ["user", "workspace:Research/admin", "workspace:Production/developer"]
    assert [grant.role.label for grant in guests.access(ADA).grants] == labels
    assert guests.unassign_role(ADA, "workspace:Research").outcome == "not_assigned"
    assert guests.unassign_role(ADA, "workspace:Research/admin").outcome == "unassigned"
    with pytest.raises(Unsupported, match="a member of Anthropic always has one role"):
        guests.unassign_role(ADA, "user")
    member = guests.status(ADA).member
    assert member is not None
    assert [one.label for one in member.roles or ()] == ["user", "workspace:Production/developer"]


def test_a_role_that_was_replaced_meanwhile_is_not_taken(
    running: Judged, guests: Guestlist
) -> None:
    """The request would take the person out of the workspace altogether."""
    join(running, guests, ADA)
    guests.assign_role(ADA, "workspace:Research/admin")
    member = guests.status(ADA).member
    places = [one for one in guests.roles() if one.name == "Research"]
    assert member is not None
    guests.account("claude").call(Anthropic.unassign_role, member, places[0])
    assert [one.label for one in guests.status(ADA).member.roles][-1] == "workspace:Research/admin"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("email", "rank"), [("ines@example.org", "admin"), ("bela@example.org", "billing")]
)
def test_who_is_in_every_workspace(guests: Guestlist, email: str, rank: str) -> None:
    grants = guests.access(email).grants
    places = [f"workspace:Research/{rank}", f"workspace:Production/{rank}"]
    assert [one.role.label for one in grants] == [rank, *places]
    assert [[one.label for one in grant.via] for grant in grants] == [[], [rank], [rank]]


def test_workspaces_can_be_left_out(running: Judged) -> None:
    account = Anthropic(base_url=running.base_url, admin_api_key=ADMIN_KEY, workspaces=False)
    with Guestlist({"claude": account}) as guests:
        guests.members()
        guests.access("dana@example.org")
        assert {one.kind for one in guests.roles()} == {"role"}
    assert not [one for one in running.seen if "workspaces" in one.path]


def test_only_a_pending_invite_is_deleted(running: Judged, guests: Guestlist) -> None:
    join(running, guests, ADA)
    [one] = guests.invitations()
    running.seen.clear()
    with pytest.raises(Conflict, match="the invite is accepted, and only a pending one"):
        guests.account("claude").call(Anthropic.revoke, one)
    assert [one.method for one in running.seen] == ["GET"]


def test_an_admin_cannot_be_removed(guests: Guestlist) -> None:
    with pytest.raises(Exception, match="cannot be changed or removed via the API"):
        guests.remove("ines@example.org")


def test_ranks_of_two_workspaces_do_not_replace_each_other() -> None:
    held = [Role(id=id, kind="workspace") for id in ("a", "b/workspace_admin")]
    held.append(Role(id="user"))
    given = Role(id="b/workspace_developer", kind="workspace")
    assert [one.id for one in Anthropic.replaced_by(given, held)] == ["b/workspace_admin"]
    assert [one.id for one in Anthropic.replaced_by(Role(id="developer"), held)] == ["user"]


@pytest.mark.parametrize(
    ("key", "command", "says"),
    [
        ("sk-ant-admin01-other", ["check"], "hint: Use an Admin API key: Claude Console"),
        (READER_KEY, ["invite", ADA, "--role", "user"], "needs the scope write:members"),
        (ADMIN_KEY, ["invite", ADA, "--role", "admin"], "an admin can do so in the Claude Console"),
    ],
)
def test_what_the_command_line_says(
    running: Judged,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    key: str,
    command: list[str],
    says: str,
) -> None:
    file = tmp_path / "guestlist.toml"
    file.write_text(f'[accounts.claude]\nprovider = "anthropic"\nbase_url = "{running.base_url}"\n')
    monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", key)
    assert main([*command, "--config", str(file)]) != 0
    told = capsys.readouterr()
    assert says in " ".join((told.out + told.err).split())
