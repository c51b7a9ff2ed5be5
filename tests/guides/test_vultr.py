"""Vultr's guides to inviting, to resending, and to inviting and granting access.

Each statement holds against the default sandbox, through the guides' own curl commands, the Python
API and the command line. What only Vultr's console does is not here.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.guides.conftest import Cli, Client, Reply, Send

from guestlist import Conflict, Outcome, Rejected, State, Unsupported
from guestlist.ledger import Ledger
from guestlist.sandbox import Sandbox
from guestlist_vultr import Vultr
from guestlist_vultr.sandbox import VultrService

ADA = "ada@example.com"
DAYS_3 = timedelta(days=3)
SECOND = timedelta(seconds=1)

INVITE = """\
curl "https://api.vultr.com/v2/invitation" \\
    -X POST \\
    -H "Authorization: Bearer ${VULTR_API_KEY}" \\
    -H "Content-Type: application/json" \\
    -d '{
        "email_invited": "USER-EMAIL",
        "permissions": {
            "api_enabled": "yes"
        }
    }'
"""
GET_INVITATION = """\
curl "https://api.vultr.com/v2/invitation/{invitation-id}" \\
    -X GET \\
    -H "Authorization: Bearer ${VULTR_API_KEY}"
"""
LIST_INVITATIONS = """\
curl "https://api.vultr.com/v2/invitation" \\
    -X GET \\
    -H "Authorization: Bearer ${VULTR_API_KEY}"
"""
RESEND = """\
curl "https://api.vultr.com/v2/invitation/{invitation-id}/resend" \\
    -X POST \\
    -H "Authorization: Bearer ${VULTR_API_KEY}"
"""
MY_GROUPS = """\
curl "https://api.vultr.com/v2/users/me/groups" \\
    -X GET \\
    -H "Authorization: Bearer ${VULTR_API_KEY}"
"""
# of the guides that this one refers to for the API
CREATE_GROUP = """\
curl "https://api.vultr.com/v2/groups" \\
    -X POST \\
    -H "Authorization: Bearer ${VULTR_API_KEY}" \\
    -H "Content-Type: application/json" \\
    -d '{"display_name": "Night shift", "description": "Watches at night"}'
"""
ATTACH_POLICY = """\
curl "https://api.vultr.com/v2/policies/{policy-id}/groups/{group-id}" \\
    -X POST \\
    -H "Authorization: Bearer ${VULTR_API_KEY}"
"""
ADD_MEMBER = """\
curl "https://api.vultr.com/v2/groups/{group-id}/members" \\
    -X POST \\
    -H "Authorization: Bearer ${VULTR_API_KEY}" \\
    -H "Content-Type: application/json" \\
    -d '{"user_id": "{user-id}", "display_name": "Ada"}'
"""
CREATE_KEY = """\
curl "https://api.vultr.com/v2/users/{user-id}/apikeys" \\
    -X POST \\
    -H "Authorization: Bearer ${VULTR_API_KEY}" \\
    -H "Content-Type: application/json" \\
    --data '{
        "name": "laptop",
        "expire": false
    }'
"""
GET = """\
curl "https://api.vultr.com/v2/{path}" \\
    -X GET \\
    -H "Authorization: Bearer ${VULTR_API_KEY}"
"""


@dataclass
class Service:
    """The sandbox, seen from outside."""

    sandbox: Sandbox
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings = {**self.sandbox.services["vultr"].settings}

    def run(self, send: Send, command: str, key: str | None = None, **placeholders: str) -> Reply:
        """Sends a command of a guide; `user_id` fills `{user-id}`."""
        command = command.replace("https://api.vultr.com", self.settings["base_url"])
        command = command.replace("USER-EMAIL", ADA)
        for name, value in placeholders.items():
            command = command.replace("{" + name.replace("_", "-") + "}", value)
        return send(command, {"VULTR_API_KEY": key or self.settings["api_key"]})

    def accept(self, email: str = ADA) -> None:
        """Does what the invitee's click does."""
        service: Any = self.sandbox.services["vultr"].service
        [*_, last] = [one for one in service.snapshot()["invitations"] if one["email"] == email]
        service.accept(last["id"])

    def id(self, send: Send, kind: str, name: str) -> str:
        """Finds a record by name or address in a list."""
        for one in self.run(send, GET, path=kind).json[kind]:
            if name in (one.get("email"), one.get("name"), one.get("display_name")):
                return str(one["id"])
        raise LookupError(name)

    def later(self, by: timedelta) -> None:
        self.sandbox.clock.advance(by)

    def emails(self) -> list[str]:
        return [mail.to for mail in self.sandbox.outbox.emails]

    @property
    def now(self) -> datetime:
        return self.sandbox.clock.now()


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox([VultrService]) as sandbox:
        yield sandbox


@pytest.fixture
def vultr(running: Sandbox) -> Service:
    running.reset()
    return Service(running)


@pytest.fixture
def guests(client: Client, vultr: Service) -> Any:
    return client(Vultr(**vultr.settings))


@pytest.fixture
def guestlist(cli: Any, vultr: Service) -> Cli:
    made: Cli = cli({"provider": "vultr", **vultr.settings})
    return made


def near(text: str, moment: datetime) -> bool:
    """Whether a moment of an answer, which has no fractions, is the given one."""
    return abs(datetime.fromisoformat(text) - moment) < 5 * SECOND


# ---------------------------------------------------------------------------- inviting


def test_inviting_with_the_commands(vultr: Service, send: Send) -> None:
    """ "Inviting a user ... sends them an email invitation"; "HTTP 201 Created ... with an
    invite_status of Pending"; after acceptance "Accepted", and date_responded shows when."""
    created = vultr.run(send, INVITE)
    assert (created.status, created.json["invite_status"]) == (201, "Pending")
    assert vultr.emails() == [ADA]
    # "Invitations expire after 3 days"; "Note the invitation id"
    assert near(created.json["expiration_date"], vultr.now + DAYS_3)
    id = created.json["id"]

    # "The user appears in the Invitations section"
    assert [one["id"] for one in vultr.run(send, LIST_INVITATIONS).json["invites"]] == [id]

    vultr.later(timedelta(hours=5))
    vultr.accept()
    after = vultr.run(send, GET_INVITATION, invitation_id=id)
    assert (after.status, after.json["invite_status"]) == (200, "Accepted")
    assert near(after.json["date_responded"], vultr.now)
    # "they become a member"; "api_enabled to yes to grant API access"
    [ada] = [one for one in vultr.run(send, GET, path="users").json["users"] if one["email"] == ADA]
    assert ada["api_enabled"]


def test_the_key_determines_the_organization(vultr: Service, send: Send) -> None:
    [home] = vultr.run(send, GET, path="organizations").json["orgs"]
    assert vultr.run(send, INVITE).json["org_id"] == home["id"]


def test_an_invitation_that_is_not_accepted_expires(vultr: Service, guests: Any) -> None:
    """ "Invitations expire after 3 days if not accepted." """
    guests.invite(ADA)
    vultr.later(DAYS_3 - 5 * SECOND)
    assert guests.status(ADA).state is State.PENDING
    vultr.later(10 * SECOND)
    assert guests.status(ADA).state is State.EXPIRED


def test_changing_the_invitation_in_terraform(vultr: Service, send: Send) -> None:
    """ "Changing either field destroys the existing invitation and sends a new one". The provider
    deletes nothing and creates: both invitations are there, and the second one is sent."""
    first, second = (vultr.run(send, INVITE) for _ in range(2))
    assert (first.status, second.status) == (201, 201)
    assert vultr.emails() == [ADA, ADA]
    assert first.json["id"] != second.json["id"]


def test_inviting_in_python(vultr: Service, guests: Any) -> None:
    result = guests.invite(ADA, options={"api_enabled": True})
    assert (result.outcome, result.email_sent) == (Outcome.INVITED, True)
    assert result.guest.invitation.raw_state == "Pending"
    assert result.guest.invitation.expires_at - result.guest.invitation.created_at == DAYS_3
    assert [one.email for one in guests.invitations(state="pending")] == [ADA]
    assert vultr.emails() == [ADA]

    vultr.accept()
    guest = guests.status(ADA)
    assert (guest.state, guest.raw_state) == (State.ACCEPTED, "Accepted")
    assert abs(guest.invitation.responded_at - vultr.now) < 5 * SECOND
    assert guest.member.raw["api_enabled"]


def test_inviting_on_the_command_line(vultr: Service, guestlist: Cli) -> None:
    [invited] = guestlist("invite", ADA, "--option", "api_enabled=yes")["results"]
    assert (invited["outcome"], invited["email_sent"]) == ("invited", True)
    [listed] = guestlist("invitations", "--state", "pending")["results"]
    assert (listed["email"], listed["raw_state"]) == (ADA, "Pending")

    vultr.accept()
    [guest] = guestlist("status", ADA)["results"]
    assert (guest["state"], guest["raw_state"]) == ("accepted", "Accepted")
    assert guest["invitation"]["responded_at"]
    assert ADA in [one["email"] for one in guestlist("members")["results"]]


# ---------------------------------------------------------------------------- resending


def test_resending_with_the_commands(vultr: Service, send: Send) -> None:
    """ "sends a new invitation email ... and extends the expiration date"; "useful when the
    original invitation has expired"; only those with invite_status Pending can be resent."""
    vultr.run(send, INVITE)
    [listed] = vultr.run(send, LIST_INVITATIONS).json["invites"]
    id = listed["id"]
    for wait in (timedelta(days=1), timedelta(days=4)):
        vultr.later(wait)
        resent = vultr.run(send, RESEND, invitation_id=id)
        assert (resent.status, resent.json["id"]) == (200, id)
        # "from the time of resending"
        assert near(resent.json["expiration_date"], vultr.now + DAYS_3)
    assert vultr.emails() == [ADA] * 3

    vultr.accept()
    refused = vultr.run(send, RESEND, invitation_id=id)
    assert (refused.status, len(vultr.emails())) == (400, 3)


def test_resending_in_python(vultr: Service, guests: Any) -> None:
    first = guests.invite(ADA).guest.invitation
    for wait in (timedelta(days=1), timedelta(days=4)):
        vultr.later(wait)
        resent = guests.resend(ADA)
        assert (resent.outcome, resent.guest.invitation.id) == (Outcome.RESENT, first.id)
        assert abs(resent.guest.invitation.expires_at - vultr.now - DAYS_3) < 5 * SECOND
    assert vultr.emails() == [ADA] * 3

    vultr.accept()
    with pytest.raises((Conflict, Rejected)):
        guests.resend(ADA)
    assert len(vultr.emails()) == 3


def test_resending_on_the_command_line(vultr: Service, guestlist: Cli) -> None:
    guestlist("invite", ADA)
    vultr.later(timedelta(days=1))
    [resent] = guestlist("resend", ADA)["results"]
    assert resent["outcome"] == "resent"
    assert near(resent["guest"]["invitation"]["expires_at"], vultr.now + DAYS_3)
    assert vultr.emails() == [ADA] * 2

    vultr.accept()
    assert guestlist("resend", ADA, code=1)["errors"]


# ---------------------------------------------------------------------------- granting access


def test_granting_access_with_the_commands(vultr: Service, send: Send) -> None:
    """The whole guide, up to the check with the invitee's own key."""
    vultr.run(send, INVITE)

    # "appears in the Groups list with no members and no attached policies yet"
    created = vultr.run(send, CREATE_GROUP)
    assert created.status == 201
    group = created.json["id"]
    assert vultr.run(send, GET, path=f"groups/{group}").json["group"]["members"] == []

    # "The group appears in the Attached Entities list"
    policy = vultr.id(send, "policies", "Compute")

    def attached() -> list[str]:
        groups = vultr.run(send, GET, path=f"policies/{policy}/groups").json["groups"]
        return [one["id"] for one in groups]

    assert group not in attached()
    assert vultr.run(send, ATTACH_POLICY, policy_id=policy, group_id=group).status == 201
    assert group in attached()

    # "A user must hold an Active status before you can add them": there is no user yet
    add = ADD_MEMBER.replace("{user-id}", ADA)
    assert vultr.run(send, add, group_id=group).status == 404
    vultr.accept()
    ada = vultr.id(send, "users", ADA)
    key = vultr.run(send, CREATE_KEY, user_id=ada).json["apikey"]["api_key"]

    # "an empty result on this endpoint is what produces the No Active Organization screen"
    assert vultr.run(send, MY_GROUPS, key=key).json["groups"] == []

    # "The user immediately inherits the group's permissions"; the "response contains the group"
    assert vultr.run(send, ADD_MEMBER, group_id=group, user_id=ada).status == 201
    mine = vultr.run(send, MY_GROUPS, key=key)
    assert (mine.status, [one["id"] for one in mine.json["groups"]]) == (200, [group])
    policies = vultr.run(send, GET, key=key, path="users/me/policies").json["policies"]
    assert [one["id"] for one in policies["inherited"]] == [policy]


def test_an_account_with_the_three_permissions_is_enough(vultr: Service, send: Send) -> None:
    """ "an account with iam.group.*, iam.policy.*, and iam.invitation.* permissions" """
    lena = vultr.id(send, "users", "lena@example.org")
    key = vultr.run(send, CREATE_KEY, user_id=lena).json["apikey"]["api_key"]
    assert vultr.run(send, INVITE, key=key).status == 403
    actions = '"iam.group.*", "iam.policy.*", "iam.invitation.*"'
    allow = GET.replace("-X GET", "-X POST") + (
        f""" -d '{{"name": "Inviters", "policy_document": {{"Version": "2012-10-17", "Statement": [
            {{"Effect": "Allow", "Action": [{actions}], "Resource": ["*"]}}]}}}}'"""
    )
    allow = allow.replace('"\n -d', '" -d')
    inviters = vultr.run(send, allow, path="policies").json["id"]
    attach = GET.replace("-X GET", "-X POST")
    vultr.run(send, attach, path=f"policies/{inviters}/users/{lena}")

    invitation = vultr.run(send, INVITE, key=key)
    group = vultr.run(send, CREATE_GROUP, key=key).json["id"]
    policy = vultr.id(send, "policies", "Compute")
    vultr.accept()
    ada = vultr.id(send, "users", ADA)
    done = [
        vultr.run(send, ATTACH_POLICY, key=key, policy_id=policy, group_id=group),
        vultr.run(send, GET_INVITATION, key=key, invitation_id=invitation.json["id"]),
        vultr.run(send, ADD_MEMBER, key=key, group_id=group, user_id=ada),
    ]
    assert [one.status for one in done] == [201, 200, 201]


def test_granting_access_in_python(vultr: Service, client: Client, send: Send) -> None:
    guests = client(Vultr(**vultr.settings))
    vultr.run(send, CREATE_GROUP)
    guests.invite(ADA, options={"api_enabled": True})
    with pytest.raises(Conflict, match="pending"):  # "must hold an Active status"
        guests.assign_role(ADA, "group:Night shift")
    vultr.accept()

    # "does not, by itself, grant any permissions": "a blank No Active Organization screen"
    access = guests.access(ADA)
    assert not access.effective
    assert "No Active Organization" in access.explanation

    # "at least one group that has a policy attached": this one has none
    guests.assign_role(ADA, "group:Night shift")
    access = guests.access(ADA)
    assert not access.effective
    assert "no policy is attached to group:Night shift" in access.explanation

    # "all current and future members inherit the policy's permissions"
    policy = vultr.id(send, "policies", "Compute")
    group = vultr.id(send, "groups", "Night shift")
    vultr.run(send, ATTACH_POLICY, policy_id=policy, group_id=group)
    access = guests.access(ADA)
    assert (access.effective, access.explanation) == (True, None)
    held = {grant.role.label: grant.direct for grant in access.grants}
    assert held == {"group:Night shift": True, "policy:Compute": False}

    key = vultr.run(send, CREATE_KEY, user_id=guests.status(ADA).member.id).json["apikey"]
    own = client(Vultr(**{**vultr.settings, "api_key": key["api_key"]})).own_access()
    assert (own.grants, own.explanation) == (access.grants, None)


def test_a_policy_without_a_group_is_contradictory(vultr: Service, guests: Any) -> None:
    """The list of checks allows "a role or policy attached directly"; the last section says that
    the screen comes from an empty list of groups."""
    guests.invite(ADA)
    vultr.accept()
    guests.assign_role(ADA, "policy:Compute")
    access = guests.access(ADA)
    assert access.effective
    assert "Is in no group" in access.explanation
    assert "No Active Organization" in access.explanation


def test_effective_access_combines_all_ways(guests: Any) -> None:
    """ "every policy a user receives directly, through a role, and through group membership" """

    def policies(email: str) -> dict[str, bool]:
        grants = guests.access(email).grants
        return {one.role.name: one.direct for one in grants if one.role.kind == "policy"}

    assert policies("lena@example.org") == {"Compute": False, "Invoice Reading": True}
    assert policies("omar@example.org") == {"Ticket Handling": False, "Invoice Reading": False}


def test_granting_access_on_the_command_line(
    vultr: Service, cli: Any, guestlist: Cli, send: Send
) -> None:
    vultr.run(send, CREATE_GROUP)
    guestlist("invite", ADA, "--option", "api_enabled=yes")
    refused = guestlist("assign-role", ADA, "group:Night shift", code=1)
    assert "pending" in refused["errors"][0]["message"]
    vultr.accept()
    guestlist("assign-role", ADA, "group:Night shift")
    [access] = guestlist("access", ADA)["results"]
    assert access["effective"] is False
    assert "no policy is attached to group:Night shift" in access["explanation"]

    ids = {"policy_id": "policies", "group_id": "groups"}
    names = {"policy_id": "Compute", "group_id": "Night shift"}
    vultr.run(send, ATTACH_POLICY, **{one: vultr.id(send, ids[one], names[one]) for one in ids})
    [access] = guestlist("access", ADA)["results"]
    assert (access["effective"], access["explanation"]) == (True, None)

    # the last step, with "an API key scoped to the newly provisioned user"
    ada = access["guest"]["member"]["id"]
    key = vultr.run(send, CREATE_KEY, user_id=ada).json["apikey"]["api_key"]
    mine = cli({"provider": "vultr", **vultr.settings, "api_key": key})
    [own] = mine("own-access")["results"]
    assert own["effective"]
    assert [one["role"]["name"] for one in own["grants"]] == ["Night shift", "Compute"]


def test_groups_that_are_chosen_with_the_invitation(
    vultr: Service, client: Client, guestlist: Cli, tmp_path: Path
) -> None:
    """ "select existing roles, groups, or policies" before sending: "Vultr applies them
    automatically after the user accepts". Only the console can; with a ledger, guestlist assigns
    them then."""
    with Ledger(tmp_path / "guestlist.db") as ledger:
        guests = client(Vultr(**vultr.settings), ledger=ledger)
        result = guests.invite(ADA, role="group:Engineering")
        assert [role.label for role in result.deferred] == ["group:Engineering"]
    with pytest.raises(Unsupported, match="role"):
        client(Vultr(**vultr.settings)).invite("grace@example.com", role="group:Engineering")
    vultr.accept()
    guestlist("settle")
    [access] = guestlist("access", ADA)["results"]
    assert "Engineering" in [one["role"]["name"] for one in access["grants"]]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_mailbox_shows_how_to_ask_with_the_invitees_key(
    vultr: Service, guestlist: Cli, tmp_path: Path
) -> None:
    def shown() -> list[str]:
        page = httpx.get(f"{vultr.sandbox.url}/emails/mail-1", trust_env=False).text
        return [
            html.unescape(one)
            for one in re.findall(r'<code class="lines">(.*?)</code>', page, re.S)
        ]

    guestlist("invite", ADA)
    assert shown() == []
    vultr.accept()
    guestlist("assign-role", ADA, "group:Engineering")
    [commands] = shown()
    make_key, ask = commands.split("\n\n")

    def run(script: str, **environment: str) -> str:
        places = [str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]
        ran = subprocess.run(
            ["sh", "-ec", script],
            cwd=tmp_path,
            env={"PATH": ":".join(places), "NO_PROXY": "*", **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    key = json.loads(run(make_key))["apikey"]["api_key"]
    out = run(ask, VULTR_API_KEY=key)
    assert out.count("Engineering") == 2  # from curl, and from the command line
    assert "policy:Compute" in out
