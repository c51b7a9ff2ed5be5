"""What is particular about OpenAI, through the client and the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.providers.judged import Judged, judged

from guestlist import Guestlist
from guestlist.cli import main
from guestlist.errors import Conflict, Forbidden, InvalidArgument, Rejected, Unsupported
from guestlist.models import Role
from guestlist_openai import OpenAI
from guestlist_openai.sandbox import ADMIN_KEY, BOT, READER_KEY, OpenAIService

ADA, BOB = "ada@example.com", "bob@example.com"


@pytest.fixture
def running() -> Iterator[Judged]:
    with judged(OpenAIService) as one:
        yield one


@pytest.fixture
def guests(running: Judged) -> Iterator[Guestlist]:
    account = OpenAI(base_url=f"{running.base_url}/v1", admin_key=ADMIN_KEY)
    with Guestlist({"platform": account}) as client:
        yield client


def accept(running: Judged) -> None:
    running.service.accept(running.service.outbox.emails[-1].invitation)


def labels(guests: Guestlist, email: str) -> list[str]:
    return [grant.role.label for grant in guests.access(email).grants]


def test_projects_at_invitation(running: Judged, guests: Guestlist) -> None:
    """They are held from acceptance on. Records of invites contain only the projects' ids, and
    guestlist shows the names."""
    result = guests.invite(ADA, role=["project:Web/owner", "reader"])
    one = result.guest.invitation
    assert one is not None
    assert [role.label for role in one.roles] == ["reader", "project:Web/owner"]
    assert [role.label for role in next(guests.invitations()).roles] == [
        "reader",
        "project:Web/owner",
    ]
    assert one.id is not None
    found = guests.account("platform").call(OpenAI.get_invitation, one.id)
    assert [role.label for role in found.roles] == ["reader", "project:Web/owner"]
    accept(running)
    assert labels(guests, ADA) == ["reader", "project:Web/owner"]


def test_no_project_means_none(running: Judged, guests: Guestlist) -> None:
    """The service would invite into the default project if `projects` were left out."""
    guests.invite(ADA, role="reader")
    accept(running)
    assert labels(guests, ADA) == ["reader"]
    [sent] = [one.body for one in running.seen if one.method == "POST"]
    assert sent == {"email": ADA, "role": "reader", "projects": []}


def test_an_invite_needs_one_role_of_the_organization(running: Judged, guests: Guestlist) -> None:
    with pytest.raises(InvalidArgument, match="OpenAI needs a role for an invitation"):
        guests.invite(ADA)
    with pytest.raises(InvalidArgument, match="OpenAI needs a role besides project:Web"):
        guests.invite(ADA, role="project:Web")
    with pytest.raises(Unsupported, match="has only one of reader and owner"):
        guests.invite(ADA, role=["reader", "owner"])
    with pytest.raises(Unsupported, match="has only one of project:Web and project:Web/owner"):
        guests.invite(ADA, role=["reader", "project:Web", "project:Web/owner"])
    assert {one.method for one in running.seen} == {"GET"}


def test_a_resend_keeps_the_projects(running: Judged, guests: Guestlist) -> None:
    guests.invite(ADA, role=["reader", "project:Web/owner"])
    before = next(guests.invitations())
    after = guests.resend(ADA).guest.invitation
    assert after is not None
    assert after.id != before.id
    assert after.roles == before.roles
    assert [one.email for one in guests.invitations()] == [ADA]


def test_an_accepted_invite_is_not_deleted(running: Judged, guests: Guestlist) -> None:
    guests.invite(ADA, role="reader")
    [one] = guests.invitations()
    accept(running)
    running.seen.clear()
    with pytest.raises(Conflict, match="the invite is accepted, and cannot be deleted"):
        guests.account("platform").call(OpenAI.revoke, one)
    assert [one.method for one in running.seen] == ["GET"]


def test_service_accounts_are_no_people(guests: Guestlist) -> None:
    [bot] = [one for one in guests.members() if one.service]
    assert (bot.name, bot.email) == (BOT, None)


def test_one_role_in_each_project(running: Judged, guests: Guestlist) -> None:
    guests.invite(ADA, role="reader")
    accept(running)
    for role in ("Web", "project:Default project", "project:Web/owner"):
        assert guests.assign_role(ADA, role).outcome == "assigned"
    assert labels(guests, ADA) == ["reader", "project:Default project", "project:Web/owner"]
    assert guests.unassign_role(ADA, "project:Web").outcome == "not_assigned"
    assert guests.unassign_role(ADA, "project:Web/owner").outcome == "unassigned"
    with pytest.raises(Unsupported, match="a member of OpenAI always has one role"):
        guests.unassign_role(ADA, "reader")
    assert guests.assign_role(ADA, "owner").outcome == "assigned"
    assert labels(guests, ADA) == ["owner", "project:Default project"]


def test_a_role_that_was_replaced_meanwhile_is_not_taken(
    running: Judged, guests: Guestlist
) -> None:
    """The request would take the person out of the project altogether."""
    guests.invite(ADA, role=["reader", "project:Web/owner"])
    accept(running)
    member = guests.status(ADA).member
    [web] = [one for one in guests.roles() if one.name == "Web"]
    assert member is not None
    guests.account("platform").call(OpenAI.unassign_role, member, web)
    assert labels(guests, ADA) == ["reader", "project:Web/owner"]


def test_projects_can_be_left_out(running: Judged) -> None:
    account = OpenAI(base_url=f"{running.base_url}/v1", admin_key=ADMIN_KEY, projects=False)
    with Guestlist({"platform": account}) as guests:
        list(guests.members())
        assert labels(guests, "rolf@example.org") == ["reader"]
        assert {one.kind for one in guests.roles()} == {"role"}
    assert not [one for one in running.seen if "projects" in one.path]


def test_the_last_owner_stays(guests: Guestlist) -> None:
    with pytest.raises(Rejected):
        guests.remove("olga@example.org")


def test_ranks_of_two_projects_do_not_replace_each_other() -> None:
    held = [Role(id=id, kind="project") for id in ("a", "b/owner")]
    held.append(Role(id="reader"))
    given = Role(id="b", kind="project")
    assert [one.id for one in OpenAI.replaced_by(given, held)] == ["b/owner"]
    assert [one.id for one in OpenAI.replaced_by(Role(id="owner"), held)] == ["reader"]


@pytest.mark.parametrize("scopes", ["401", "403"])
def test_a_key_without_the_permission(running: Judged, scopes: str) -> None:
    running.service.configure(scopes=scopes)
    account = OpenAI(base_url=f"{running.base_url}/v1", admin_key=READER_KEY)
    with (
        Guestlist({"platform": account}) as guests,
        pytest.raises(Forbidden, match=r"Missing scopes: api.management.write.*Organization Adm"),
    ):
        guests.invite(ADA, role="reader")


@pytest.mark.parametrize(
    ("key", "command", "says"),
    [
        ("sk-admin-other", ["check"], "hint: Use an Admin API key: platform.openai.com, Settings"),
        (READER_KEY, ["invite", ADA, "--role", "reader"], "write under Organization Administrat"),
        (ADMIN_KEY, ["invite", ADA, "--role", "admin"], "there is no role 'admin'"),
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
    file.write_text(
        f'[accounts.platform]\nprovider = "openai"\nbase_url = "{running.base_url}/v1"\n'
    )
    monkeypatch.setenv("OPENAI_ADMIN_KEY", key)
    assert main([*command, "--config", str(file)]) != 0
    told = capsys.readouterr()
    assert says in " ".join((told.out + told.err).split())
