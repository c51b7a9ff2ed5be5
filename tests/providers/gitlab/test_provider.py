"""What is particular to GitLab: who is who, invitations that change a membership, errors."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from guestlist import AsyncGuestlist, Guestlist, Outcome, errors
from guestlist.cli import main
from guestlist.errors import ConfigError, GuestlistError
from guestlist.exchange.step import Outgoing
from guestlist.models import MemberState, Role, State
from guestlist.sandbox.service import AdjustableClock
from guestlist_gitlab import GitLab
from guestlist_gitlab.sandbox import EXPIRED_TOKEN, READ_ONLY_TOKEN, REPORTER_TOKEN, GitLabService
from pytest_guestlist.calling import ServiceWire, call_service
from pytest_guestlist.clock import VirtualClock
from pytest_guestlist.conformance.clients import WiredGuestlist

ADA, KIM, RITA, PIA = "ada@example.com", "kim@example.net", "rita@example.org", "pia@example.org"
START = datetime(2026, 5, 4, 9, 15, tzinfo=UTC)


class World:
    """A sandbox in this process, in virtual time, and a client of either kind."""

    def __init__(self, kind: str) -> None:
        self.clock = VirtualClock(START)
        self.service = GitLabService(clock=AdjustableClock(lambda: self.clock.now().timestamp()))
        self.answers: list[tuple[str, str, int]] = []
        self.kind = kind
        self.loses = ""
        """The method of the requests whose answers are lost."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        outgoing = Outgoing(
            method=request.method,
            url=str(request.url),
            headers=dict(request.headers),
            content=request.content,
            timeout=10.0,
            total=10.0,
            max_body=10**6,
        )
        answer = call_service(self.service, outgoing)
        path = request.url.raw_path.decode().partition("?")[0]
        self.answers.append((request.method, path.rpartition("42/")[2], answer.status))
        if request.method == self.loses:
            raise httpx.ReadTimeout("no answer", request=request)
        return httpx.Response(answer.status, headers=answer.headers, content=answer.content)

    def account(self, **changes: Any) -> GitLab:
        settings: dict[str, Any] = {**self.service.settings("https://gitlab.example"), **changes}
        return GitLab(**{name: value for name, value in settings.items() if value is not None})

    def guests(self, **changes: Any) -> Callable[..., Any]:
        """Returns a function that calls a client: `guests("invite", ADA)`."""
        how: dict[str, Any] = {"transport": httpx.MockTransport(self), "clock": self.clock}
        accounts = {"gitlab": self.account(**changes)}
        client: Any = (Guestlist if self.kind == "sync" else AsyncGuestlist)(accounts, **how)

        def run(name: str, *args: Any, **more: Any) -> Any:
            result = getattr(client, name)(*args, **more)
            if inspect.isasyncgen(result) or hasattr(result, "__aiter__"):
                return asyncio.run(_collected(result))
            return asyncio.run(result) if inspect.iscoroutine(result) else result

        return run

    def member(self, email: str, level: str = "10", **more: str) -> None:
        organization = self.service.organization
        organization.add_member(email, roles=[organization.role(level)], **more)

    def level(self, email: str) -> str:
        member = self.service.organization.member_with(email)
        assert member is not None
        return member.roles[0].id

    def emails(self, email: str) -> int:
        return len(list(self.service.outbox.to(email)))

    @property
    def changes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path, _ in self.answers if method != "GET"]


async def _collected(items: Any) -> list[Any]:
    return [one async for one in items]


@pytest.fixture(params=["sync", "async"])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


# ---------------------------------------------------------------------------- who is who


def test_by_default_an_address_that_may_be_a_member_s_is_not_invited(world: World) -> None:
    guests = world.guests(invite_unknown=False)
    with pytest.raises(errors.InvalidArgument) as refused:
        guests("invite", RITA, role="Developer")
    assert "it is unknown whether rita@example.org is a member" in str(refused.value)
    assert refused.value.hint == (
        "Nothing was sent. Pass the person's login. Or set invite_unknown in the account: GitLab"
        " then gives a member the role."
    )
    assert world.changes == []
    assert world.level(RITA) == "20"


def test_a_new_person_is_invited_once(world: World) -> None:
    guests = world.guests()
    result = guests("invite", "Ada@Example.com", role="Developer")
    assert (result.outcome, result.email_sent, result.warnings) == (Outcome.INVITED, True, ())
    assert result.guest.invitation.id is None
    assert result.guest.invitation.expires_at == START + timedelta(days=90)
    for spelling in (ADA, "ADA@EXAMPLE.COM"):
        assert guests("invite", spelling, role="Maintainer").outcome is Outcome.ALREADY_INVITED
    assert world.emails(ADA) == 1
    [invitation] = world.service.open_invitations()
    assert (invitation.email, invitation.roles[0].id) == (ADA, "30")


def test_the_owner_of_an_account_joins_at_once(world: World) -> None:
    guests = world.guests()
    result = guests("invite", KIM, role="Developer")
    assert (result.outcome, result.guest.state) == (Outcome.JOINED, State.ACCEPTED)
    assert result.email_sent is None
    assert world.level(KIM) == "30"
    assert guests("status", KIM).state is State.UNKNOWN
    assert guests("status", KIM, login="KIM").state is State.ACCEPTED


def test_a_hidden_member_gets_the_role_and_the_result_says_so(world: World) -> None:
    result = world.guests()("invite", RITA, role="Developer")
    assert (result.outcome, world.level(RITA)) == (Outcome.JOINED, "30")
    assert result.warnings == (
        "If the person was a member before, the role is now the one asked for.",
    )
    assert world.emails(RITA) == 0


def test_a_login_tells_a_member_from_a_new_user(world: World) -> None:
    guests = world.guests(invite_unknown=False)
    result = guests("invite", RITA, login="Rita", role="Developer")
    assert (result.outcome, result.role_applied) == (Outcome.ALREADY_MEMBER, False)
    assert world.changes == []
    result = guests("invite", KIM, login="@kim", role="Developer")
    assert (result.outcome, result.guest.login, result.role_applied) == (
        Outcome.JOINED,
        "kim",
        True,
    )
    assert world.changes == [("POST", "members")]
    with pytest.raises(errors.NotFound, match="404 User Not Found") as unknown:
        guests("invite", ADA, login="ada", role="Developer")
    assert "leave the login out" in unknown.value.hint


@pytest.mark.parametrize("login", [None, "rita"])
def test_a_gitlab_that_refuses_shows_who_is_a_member(world: World, login: str | None) -> None:
    world.service.configure(again="refuse")
    result = world.guests()("invite", RITA, login=login, role="Developer")
    assert (result.outcome, world.level(RITA)) == (Outcome.ALREADY_MEMBER, "20")


def test_an_administrator_recognizes_people_by_their_addresses(world: World) -> None:
    world.service.configure(member_addresses="shown")
    guests = world.guests(invite_unknown=False)
    assert guests("status", RITA).state is State.ACCEPTED
    assert guests("status", ADA).state is State.GONE
    assert guests("invite", RITA, role="Owner").outcome is Outcome.ALREADY_MEMBER
    assert guests("invite", ADA, role="Guest").outcome is Outcome.INVITED
    assert world.level(RITA) == "20"
    assert GitLab.members_show_emails is False


def test_an_address_that_gitlab_shows_is_used_without_the_setting(world: World) -> None:
    world.service.configure(member_addresses="shown")
    guests = world.guests(invite_unknown=False, sees_addresses=None)
    assert guests("status", RITA).state is State.ACCEPTED
    assert guests("status", ADA).state is State.UNKNOWN


def test_programs_are_no_people(world: World) -> None:
    world.member("bot@gitlab.example", login="group_42_bot_1f")
    found = {one.login: one.service for one in world.guests()("members")}
    assert found == {"olga": False, "rita": False, "group_42_bot_1f": True}


def test_a_withdrawal_without_an_answer_is_not_sent_again(world: World) -> None:
    """It names the address only, and could withdraw a newer invitation."""
    guests = world.guests()
    guests("invite", ADA, role="Guest")
    world.loses = "DELETE"
    with pytest.raises(errors.OutcomeUnknown):
        guests("revoke", ADA)
    assert world.changes.count(("DELETE", "invitations/ada%40example.com")) == 1
    world.loses = ""
    assert guests("revoke", ADA).outcome == "already_revoked"


def test_an_invitation_without_an_answer_is_found_by_looking(world: World) -> None:
    guests = world.guests()
    world.loses = "POST"
    result = guests("invite", ADA, role="Guest")
    assert (result.outcome, result.email_sent) == (Outcome.INVITED, None)
    with pytest.raises(errors.OutcomeUnknown):  # joined at once: no list tells who it is
        guests("invite", KIM, role="Guest")
    assert [path for method, path in world.changes if method == "POST"] == ["invitations"] * 2


# ---------------------------------------------------------------------------- inherited members


def test_inherited_members_count_if_the_account_says_so(world: World) -> None:
    assert world.guests()("status", "@pia").state is State.GONE
    guests = world.guests(inherited=True)
    assert guests("status", "@pia").state is State.ACCEPTED
    with pytest.raises(errors.Conflict, match="through a parent group") as refused:
        guests("remove", "@pia")
    assert refused.value.hint == "Remove the person there."
    assert guests("remove", "@rita").outcome == "removed"
    assert guests("remove", "@rita").outcome == "already_removed"


def test_access_shows_what_comes_from_another_group(world: World) -> None:
    organization = world.service.organization
    organization._join(organization.person_with(PIA), [organization.role("10")])  # type: ignore[arg-type]
    grants = world.guests(inherited=True)("access", "@pia").grants
    assert [(one.role.name, one.direct) for one in grants] == [
        ("Guest", True),
        ("Maintainer", False),
    ]
    [grant] = world.guests()("access", "@rita").grants
    assert (grant.role.name, grant.direct) == ("Reporter", True)


def test_a_lower_role_than_an_inherited_one_is_refused(world: World) -> None:
    result = world.guests()("invite", PIA, role="Guest")
    assert (result.outcome, result.email_sent) == (Outcome.ALREADY_MEMBER, False)


@pytest.mark.parametrize(("role", "works"), [("No access", False), ("Minimal access", False)])
def test_a_role_without_access_is_explained(world: World, role: str, works: bool) -> None:
    guests = world.guests()
    guests("assign_role", "@rita", role)
    access = guests("access", "@rita")
    assert (access.effective, role in access.explanation) == (works, True)


# ---------------------------------------------------------------------------- approval, seats


def test_a_queued_promotion_awaits_approval(world: World) -> None:
    world.service.configure(promotions="queue")
    guests = world.guests()
    for login in (None, "kim"):
        result = guests("invite", KIM, login=login, role="Developer")
        assert (result.outcome, result.guest.state) == (
            Outcome.AWAITING_APPROVAL,
            State.AWAITING_APPROVAL,
        )
        assert result.email_sent is None  # an email may follow the approval
    assert guests("status", KIM).state is State.UNKNOWN  # no list shows the queue
    world.service.approve("kim")
    assert guests("status", "@kim").state is State.ACCEPTED
    with pytest.raises(errors.Conflict, match="an administrator has to approve"):
        guests("assign_role", "@kim", "Owner")
    assert world.level(KIM) == "30"


def test_a_full_subscription_is_a_seat_limit(world: World) -> None:
    guests = world.guests()
    guests("invite", ADA, role="Guest")
    world.service.configure(seats="5")
    for number in range(3):
        world.member(f"m{number}@example.com")
    with pytest.raises(errors.SeatLimit, match="There are not enough available seats") as full:
        guests("invite", "bob@example.com", role="Guest")
    assert full.value.hint == "Buy seats, or remove a billable member."
    assert guests("invite", ADA, role="Guest").outcome is Outcome.ALREADY_INVITED


def test_members_over_the_limit_of_the_free_plan_are_suspended(world: World) -> None:
    raw = world.service.member(world.service.organization.members()[1])
    world.service.member = lambda _: raw | {"membership_state": "awaiting"}  # type: ignore[method-assign,assignment]
    [one, *_] = world.guests()("members")
    assert one.state is MemberState.SUSPENDED


# ---------------------------------------------------------------------------- roles, expiry


def test_the_end_of_a_membership_is_kept_by_a_resend(world: World) -> None:
    guests = world.guests()
    end = {"expires_at": "2027-01-31"}
    result = guests("invite", ADA, role="Guest", options=end)
    assert result.guest.invitation.expires_at == START + timedelta(days=90)
    guests("assign_role", ADA, "Planner")
    assert guests("resend", ADA).outcome is Outcome.RESENT
    [invitation] = world.service.open_invitations()
    assert (invitation.fields, invitation.roles[0].id) == (end, "15")
    assert world.emails(ADA) == 2
    assert world.changes == [
        ("POST", "invitations"),
        ("PUT", "invitations/ada%40example.com"),
        ("DELETE", "invitations/ada%40example.com"),
        ("POST", "invitations"),
    ]


def test_custom_roles(world: World) -> None:
    guests = world.guests(custom_roles="42")
    names = {(one.kind, one.name) for one in guests("roles")}
    assert ("custom_role", "Auditor") in names
    assert len(names) == 10
    guests("invite", KIM, login="kim", role="custom_role:Auditor")
    auditor = world.service.organization.roles["custom-9"]
    member = world.service.organization.member_with(KIM)
    assert member is not None
    assert member.roles == [auditor]
    [found] = [one for one in guests("members") if one.login == "kim"]
    assert [(one.kind, one.id) for one in found.roles] == [("custom_role", "9")]
    guests("assign_role", "@kim", "Developer")
    assert world.level(KIM) == "30"
    guests("assign_role", "@kim", Role(id="9", kind="custom_role"))
    assert member.roles == [auditor]


def test_an_invitation_hides_its_role_if_there_are_custom_ones(world: World) -> None:
    guests = world.guests(custom_roles="42")
    assert guests("invite", ADA, role="Auditor").guest.invitation.roles == ()
    [invitation] = world.service.open_invitations()
    assert invitation.roles[0].name == "Auditor"
    with pytest.raises(errors.Conflict, match="does not show its role"):
        guests("resend", ADA)
    with pytest.raises(errors.Conflict, match="cannot give a custom role"):
        guests("assign_role", ADA, "Auditor")


# ---------------------------------------------------------------------------- errors

MISTAKES: dict[str, tuple[dict[str, Any], type[GuestlistError], str, str]] = {
    "wrong token": ({"token": "wrong"}, errors.Unauthorized, "401", "Create a new token"),
    "expired token": (
        {"token": EXPIRED_TOKEN},
        errors.Unauthorized,
        "Token is expired",
        "Create a new token",
    ),
    "read-only token": (
        {"token": READ_ONLY_TOKEN},
        errors.Forbidden,
        "higher privileges",
        "the scope api",
    ),
    "reporter": (
        {"token": REPORTER_TOKEN},
        errors.Forbidden,
        "403 Forbidden",
        "needs the role Owner in the group",
    ),
    "no group": ({"group": "nobodys"}, errors.NotFound, "404 Group Not Found", "Check group"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_has_a_clear_error(world: World, mistake: str) -> None:
    changes, kind, message, hint = MISTAKES[mistake]
    with pytest.raises(kind) as refused:
        world.guests(**changes)("invite", ADA, role="Guest")
    assert message in refused.value.message
    assert hint in refused.value.hint


def test_check_refuses_a_token_that_may_only_read(world: World) -> None:
    with pytest.raises(errors.Forbidden, match="only the scopes read_api") as refused:
        world.guests(token=READ_ONLY_TOKEN)("check")
    assert "the scope api" in refused.value.hint
    assert world.guests()("check") == "Example Holding / Example Works"


def test_a_plan_without_custom_roles_is_named(world: World) -> None:
    world.service.configure(plan="free")
    with pytest.raises(errors.Forbidden) as refused:
        list(world.guests(custom_roles="42")("roles"))
    assert "GitLab Ultimate" in refused.value.hint
    assert "custom_roles" in refused.value.hint


def test_an_account_is_a_group_or_a_project() -> None:
    both: list[dict[str, Any]] = [{}, {"group": "1", "project": "2"}]
    for settings in both:
        with pytest.raises(ConfigError, match="exactly one of the settings group and project"):
            GitLab(token="t", **settings)


# ---------------------------------------------------------------------------- limits, commands


def test_three_hundred_invitations_meet_no_refusal() -> None:
    """The lists of members set the pace: 200 in a minute, one for each invitation."""
    world, statuses = World("sync"), Counter[int | None]()
    world.service.configure(rate="on")
    client = WiredGuestlist(
        {"gitlab": world.account()},
        transport=ServiceWire(world.service),
        clock=world.clock,
        watch=lambda event: statuses.update([event.status]),
    )
    for number in range(300):
        client.invite(f"p{number}@example.com", role="Guest")
    assert statuses[201] == 300
    assert statuses[429] == 0
    assert len(world.service.open_invitations()) == 300
    assert timedelta(minutes=1) < world.clock.now() - START < timedelta(minutes=3)


def test_removals_are_counted_apart() -> None:
    world = World("sync")
    world.service.configure(rate="on")
    for number in range(70):
        world.member(f"m{number}@example.com")
    guests = world.guests()
    for number in range(70):
        guests("remove", f"@m{number}")
    assert {status for _, _, status in world.answers} == {200, 204}
    assert world.clock.now() - START > timedelta(minutes=1)


def test_config_init_asks_for_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["config", "init", "gitlab"]) == 0
    assert "set GITLAB_TOKEN and GITLAB_GROUP" in capsys.readouterr().out.replace("\n", " ")
    text = (tmp_path / "guestlist.toml").read_text(encoding="utf-8")
    active = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert active == [
        "[accounts.gitlab]    # the name is yours",
        'provider = "gitlab"',
        'token = {env = "GITLAB_TOKEN"}',
        'group = {env = "GITLAB_GROUP"}',
    ]
    monkeypatch.setenv("GITLAB_TOKEN", "glpat-x")
    assert main(["check", "--json"]) != 0
    problem = json.loads(capsys.readouterr().out)["errors"][0]
    assert "GITLAB_GROUP" in problem["message"]
