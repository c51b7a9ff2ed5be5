"""What the Vultr provider sends, and what it makes of the answers. No network, no HTTP.

`C-1` and its like are the rows of the table in which Vultr's sources disagree.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from guestlist.errors import (
    ConfigError,
    Conflict,
    Forbidden,
    GuestlistError,
    InvalidArgument,
    MalformedResponse,
    NotFound,
    RateLimited,
    Rejected,
    ServiceUnavailable,
    Unauthorized,
    Unsupported,
)
from guestlist.models import Grant, Invitation, Member, MemberState, NewInvitation, Role, State
from guestlist.provider import Effect, Flow, Limit, Page, Provider, Request, Response
from guestlist_vultr import Vultr, VultrOptions

T = TypeVar("T")

ID = "7d0c1a52-3f0b-4f5e-9a61-0f3f6a9d1c11"
ORG = "b52a2f0e-6a57-4a34-8d3e-5d1b7f0c9e20"
PENDING: dict[str, Any] = {
    "id": ID,
    "inviter_name": "Ines Admin",
    "inviter_email": "ines@example.org",
    "email_invited": "rosa@example.net",
    "email_registered": "",
    "permissions": {"api_enabled": True},
    "org_id": ORG,
    "org_name": "Example Works",
    "status": "Pending",
    "status_full": "Pending",
    "invite_status": "Pending",
    "date_created": "2026-05-04T09:15:00+00:00",
    "date_responded": "",
    "expiration_date": "2026-05-07T09:15:00+00:00",
}
ACCEPTED = PENDING | {"invite_status": "Accepted"}
ROSA: dict[str, Any] = {
    "id": "63f1a0c2b4d5e",
    "name": "Rosa",
    "email": "rosa@example.net",
    "api_enabled": True,
    "acls": [],
    "service_user": False,
}
INVITATION = Invitation(id=ID, email="rosa@example.net", state=State.PENDING)
MEMBER = Member(id="63f1a0c2b4d5e", email="rosa@example.net", name="Rosa")
GROUP = Role(id="g1", name="Engineering", kind="group")
ROLE = Role(id="r1", name="Support Engineer")
POLICY = Role(id="p1", name="Compute", kind="policy")


@pytest.fixture
def vultr(monkeypatch: pytest.MonkeyPatch) -> Vultr:
    for name in ("VULTR_API_KEY", "VULTR_ORGANIZATION_ID"):
        monkeypatch.delenv(name, raising=False)
    return Vultr(api_key="KEY")


def answer(body: Any = None, status: int = 200) -> Response:
    """What the service answers; no body where `body` is None."""
    content = b"" if body is None else json.dumps(body).encode()
    return Response(status, {"content-type": "application/json"}, content)


def refusal(provider: Provider, status: int, text: str) -> GuestlistError:
    """What an answer outside 2xx becomes, as the exchange throws it into a flow."""
    return provider.explain(answer({"error": text, "status": status}, status))


def play(flow: Flow[T], *exchanges: tuple[Request, Response | GuestlistError]) -> T:
    """Runs a flow that has to send exactly these requests, and returns its value."""
    reply: Response | GuestlistError | None = None
    for expected, following in (*exchanges, (None, None)):
        try:
            if reply is None:
                request = next(flow)
            elif isinstance(reply, GuestlistError):
                request = flow.throw(reply)
            else:
                request = flow.send(reply)
        except StopIteration as done:
            assert expected is None, f"never sent: {expected}"
            return done.value  # type: ignore[no-any-return]
        assert request == expected
        reply = following
    raise AssertionError("unreachable")


def listing(*path: str, cursor: str | None = None) -> Request:
    return Request.get("v2", *path, query={"per_page": 500, "cursor": cursor})


def listed(name: str, *records: Any, following: str = "", total: int | None = None) -> Response:
    links = {"next": following, "prev": ""}
    return answer({name: records, "meta": {"total": total or len(records), "links": links}})


def one_organization(name: str = "orgs") -> tuple[Request, Response]:
    return listing("organizations"), listed(name, {"id": ORG, "name": "Example Works"})


# ---------------------------------------------------------------------------- facts, settings


def test_facts() -> None:
    assert (Vultr.name, Vultr.least_roles, Vultr.most_roles) == ("vultr", 0, 0)  # C-20
    assert Vultr.lifetime == timedelta(days=3)
    assert Vultr.resend_moves_expiry
    assert not Vultr.can_suppress_email
    assert "No Active Organization" in Vultr.no_access


def test_limits(vultr: Vultr) -> None:
    assert not vultr.refuses_duplicates
    assert vultr.limits == (Limit(30, 1.0),)


def test_operations() -> None:
    assert set(Vultr.operations()) == {
        "access", "assign_role", "get_invitation", "get_member", "invitations", "invite",
        "members", "organization", "own_access", "remove", "resend", "restore_group_member",
        "roles", "set_api_enabled", "suspend", "suspended", "unassign_role", "unsuspend",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "substitute"),
    [("revoke", "`remove`"), ("find_member", "`members`"), ("find_invitation", "`invitations`")],
)
def test_what_it_cannot_do_names_a_substitute(name: str, substitute: str) -> None:
    assert substitute in Vultr.unsupported(name).hint


def test_authorizes_with_the_key(vultr: Vultr) -> None:
    assert vultr.authorize() == {"Authorization": "Bearer KEY"}
    assert vultr.secrets() == ("KEY",)
    assert "KEY" not in repr(vultr)


def test_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VULTR_API_KEY", "FROM-ENV")
    monkeypatch.setenv("VULTR_ORGANIZATION_ID", ORG)
    vultr = Vultr()
    assert (vultr.api_key, vultr.organization_id) == ("FROM-ENV", ORG)
    assert (vultr.base_url, vultr.boolean) == ("https://api.vultr.com", "words")


@pytest.mark.parametrize(
    ("settings", "about"),
    [
        ({}, "VULTR_API_KEY"),
        ({"api_key": "K", "boolean": "binary"}, "boolean"),
        ({"api_key": "K", "organization": ORG}, "organization"),
    ],
)
def test_wrong_settings(vultr: Vultr, settings: dict[str, Any], about: str) -> None:
    with pytest.raises(ConfigError, match=about):
        Vultr(**settings)


@pytest.mark.parametrize(
    "url",
    ["https://api.vultr.com", "https://api.vultr.com/", "https://api.vultr.com/v2/"],
)
def test_one_version_prefix__c12(url: str, vultr: Vultr) -> None:
    assert Vultr(api_key="K", base_url=url).base_url == "https://api.vultr.com"
    assert next(vultr.get_invitation(ID)).path == ("v2", "invitation", ID)


# ---------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, "Bad request.", Rejected),
        (400, "Invalid user", NotFound),
        (400, "Invite not found", NotFound),
        (400, "Error: Group not found (g1)", NotFound),
        (400, "Role not found", NotFound),
        (400, "Policy not found", NotFound),
        (400, "Organization not found.", NotFound),
        (400, "Invalid UUID format.", NotFound),
        (400, "invite not found", Rejected),  # Terraform compares with case
        (400, "User is already a member of this organization.", Conflict),
        (401, "Invalid API token.", Unauthorized),
        (403, "Forbidden.", Forbidden),
        (404, "Invite not found", NotFound),
        (405, "Method not allowed.", Unsupported),
        (409, "Duplicate", Conflict),
        (422, "Nope", Rejected),
        (429, "rate limit exceeded", RateLimited),
        (500, "Internal", ServiceUnavailable),
    ],
)
def test_errors(vultr: Vultr, status: int, text: str, kind: type[GuestlistError]) -> None:
    error = refusal(vultr, status, text)
    assert type(error) is kind
    assert (error.message, error.status) == (text, status)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"error": "Bad request."}', "Bad request."),  # without the numeric twin of the status
        (b'{"message": "Bad request."}', "Bad request."),
        (b"plain words", "plain words"),
        (b"", "the service answered 400"),
    ],
)
def test_error_bodies(vultr: Vultr, content: bytes, message: str) -> None:
    assert vultr.explain(Response(400, {}, content)).message == message


def test_hints(vultr: Vultr) -> None:
    assert "address" in refusal(vultr, 401, "no").hint
    assert "iam.invitation" in refusal(vultr, 403, "no").hint


def test_server_error_without_json(vultr: Vultr) -> None:
    error = vultr.explain(Response(500, {"content-type": "text/html"}, b"<html>"))
    assert type(error) is ServiceUnavailable


# ---------------------------------------------------------------------------- organization


@pytest.mark.parametrize("name", ["orgs", "organizations"])
def test_the_only_organization__c10(vultr: Vultr, name: str) -> None:
    assert play(vultr.organization(), one_organization(name)) == "Example Works"


@pytest.mark.parametrize("envelope", [None, "organization"])
def test_the_configured_organization__c10(envelope: str | None) -> None:
    raw = {"id": ORG, "name": "Example Works"}
    vultr = Vultr(api_key="K", organization_id=ORG)
    reply = answer({envelope: raw} if envelope else raw)
    request = Request.get("v2", "organizations", ORG)
    assert play(vultr.organization(), (request, reply)) == "Example Works"


def test_several_organizations_are_named(vultr: Vultr) -> None:
    first = listed("orgs", {"id": "o1", "name": "One"}, following="more")
    second = listed("orgs", {"id": "o2", "name": "Two"})
    with pytest.raises(ConfigError, match=r"One \(o1\), Two \(o2\)") as caught:
        play(
            vultr.remove(MEMBER),
            (listing("organizations"), first),
            (listing("organizations", cursor="more"), second),
        )
    assert "VULTR_ORGANIZATION_ID" in caught.value.hint


def test_no_organization(vultr: Vultr) -> None:
    with pytest.raises(ConfigError, match="no organization"):
        play(vultr.organization(), (listing("organizations"), listed("orgs")))


# ---------------------------------------------------------------------------- invite


@pytest.mark.parametrize(
    ("boolean", "options", "sent"),
    [
        ("words", VultrOptions(api_enabled=True), "yes"),
        ("words", VultrOptions(api_enabled=False), "no"),
        ("words", None, "no"),
        ("json", VultrOptions(api_enabled=True), True),
        ("json", VultrOptions(), False),
        ("json", None, False),
    ],
)
def test_invite__c1(boolean: Any, options: VultrOptions | None, sent: Any) -> None:
    vultr = Vultr(api_key="K", boolean=boolean)
    body = {"email_invited": "Rosa@example.net", "permissions": {"api_enabled": sent}}
    request = Request.post("v2", "invitation", json=body)
    assert request.effect is Effect.CREATE
    invitation = play(
        vultr.invite(NewInvitation(email="Rosa@example.net", options=options)),
        (request, answer(PENDING, 201)),
    )
    assert invitation == Invitation(
        id=ID,
        email="rosa@example.net",
        state=State.PENDING,
        raw_state="Pending",
        organization_id=ORG,
        organization="Example Works",
        created_at=datetime(2026, 5, 4, 9, 15, tzinfo=UTC),
        expires_at=datetime(2026, 5, 7, 9, 15, tzinfo=UTC),
        invited_by="ines@example.org",
    )
    assert invitation.raw == PENDING


@pytest.mark.parametrize("envelope", [None, "invitation", "invite"])
def test_single_invitation__c2_c8(vultr: Vultr, envelope: str | None) -> None:
    reply = answer({envelope: PENDING} if envelope else PENDING)
    create = Request.post(
        "v2",
        "invitation",
        json={"email_invited": "rosa@example.net", "permissions": {"api_enabled": "no"}},
    )
    got = play(vultr.get_invitation(ID), (Request.get("v2", "invitation", ID), reply))
    assert got == play(vultr.invite(NewInvitation(email="rosa@example.net")), (create, reply))
    assert got == play(vultr.resend(INVITATION), (resending(), reply))
    assert got.id == ID


def test_options() -> None:
    assert VultrOptions.model_validate({"api_enabled": "yes"}).api_enabled
    with pytest.raises(ValueError, match="colour"):
        VultrOptions.model_validate({"colour": "red"})


# ---------------------------------------------------------------------------- resend


def resending() -> Request:
    return Request.post("v2", "invitation", ID, "resend")


def test_resend_keeps_the_invitation__c5(vultr: Vultr) -> None:
    moved = PENDING | {"expiration_date": "2026-05-09T10:00:00+00:00"}
    assert resending().effect is Effect.CREATE
    again = play(vultr.resend(INVITATION), (resending(), answer(moved)))
    assert again.id == ID
    assert again.expires_at == datetime(2026, 5, 9, 10, tzinfo=UTC)


def test_refused_resend_is_the_callers_to_settle__c5(vultr: Vultr) -> None:
    refused = refusal(vultr, 400, "Only pending invitations can be resent.")
    with pytest.raises(Rejected, match="Only pending"):
        play(vultr.resend(INVITATION), (resending(), refused))


@pytest.mark.parametrize("api_enabled", [True, False])
def test_the_same_order_once_more_keeps_the_permission(vultr: Vultr, api_enabled: bool) -> None:
    old = INVITATION.model_copy(update={"raw": {"permissions": {"api_enabled": api_enabled}}})
    again = vultr.copy_of(old)
    assert again.email == old.email
    assert again.options == VultrOptions(api_enabled=api_enabled)


def test_an_invitation_from_the_ledger_can_be_copied(vultr: Vultr) -> None:
    """The ledger stores no raw records, and a run resends expired invitations."""
    old = Invitation(id=ID, email="ada@example.com", state=State.EXPIRED)
    assert vultr.copy_of(old).options == VultrOptions(api_enabled=False)


def test_resend_of_an_unknown_one(vultr: Vultr) -> None:
    with pytest.raises(NotFound):
        play(vultr.resend(INVITATION), (resending(), refusal(vultr, 404, "Invite not found")))


def test_resend_without_id(vultr: Vultr) -> None:
    with pytest.raises(InvalidArgument, match="no id"):
        play(vultr.resend(INVITATION.model_copy(update={"id": None})))


# ---------------------------------------------------------------------------- lists


@pytest.mark.parametrize("name", ["invites", "invitations", None])
def test_invitations__c3(vultr: Vultr, name: str | None) -> None:
    reply = listed(name, PENDING, ACCEPTED, total=7) if name else answer([PENDING, ACCEPTED])
    page = play(vultr.invitations(), (listing("invitation"), reply))
    assert [one.state for one in page.items] == [State.PENDING, State.ACCEPTED]  # C-4: all of them
    assert (page.next, page.total) == (None, 7 if name else None)


def test_next_page_keeps_its_size(vultr: Vultr) -> None:
    first = play(
        vultr.invitations(), (listing("invitation"), listed("invites", PENDING, following="bm=="))
    )
    assert first.next == "bm=="
    request = listing("invitation", cursor="bm==")
    assert play(vultr.invitations("bm=="), (request, listed("invites"))).items == []


def test_accepted_after_the_list_forgot_it__c4(vultr: Vultr) -> None:
    page = play(vultr.invitations(), (listing("invitation"), listed("invitations")))
    assert page == Page([], None, 0)
    responded = ACCEPTED | {"date_responded": "2026-05-05T07:40:12+00:00"}
    request = Request.get("v2", "invitation", ID)
    got = play(vultr.get_invitation(ID), (request, answer(responded)))
    assert got.state is State.ACCEPTED
    assert got.responded_at == datetime(2026, 5, 5, 7, 40, 12, tzinfo=UTC)


def test_members__c14(vultr: Vultr) -> None:
    robot = {"id": "s1", "name": "Robot", "email": "", "service_user": True}
    invited = ROSA | {"id": "u3", "status": "Invite Pending"}
    page = play(vultr.members(), (listing("users"), listed("users", ROSA, robot, invited)))
    assert [one.id for one in page.items] == [MEMBER.id, "s1"]  # a service user is a member
    assert [one.service for one in page.items] == [False, True]
    assert page.items[0] == MEMBER
    assert page.items[0].roles is None


@pytest.mark.parametrize("reply", [{"user": ROSA}, ROSA])
def test_get_member__c8(vultr: Vultr, reply: Any) -> None:
    request = Request.get("v2", "users", MEMBER.id)
    assert play(vultr.get_member(MEMBER.id), (request, answer(reply))) == MEMBER


def test_get_unknown_member(vultr: Vultr) -> None:
    with pytest.raises(NotFound):
        play(
            vultr.get_member("u9"),
            (Request.get("v2", "users", "u9"), refusal(vultr, 400, "Invalid user")),
        )


# ---------------------------------------------------------------------------- membership

USER = ("v2", "organizations", ORG, "user", MEMBER.id)


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("remove", Request.delete(*USER)),
        ("suspend", Request.put(*USER, "suspend")),
        ("unsuspend", Request.put(*USER, "unsuspend")),
    ],
)
def test_membership(vultr: Vultr, operation: str, request_: Request) -> None:
    done = (request_, answer(status=204))
    assert request_.effect is Effect.REPEATABLE
    assert play(getattr(vultr, operation)(MEMBER), one_organization(), done) is None
    configured = Vultr(api_key="K", organization_id=ORG)
    assert play(getattr(configured, operation)(MEMBER), done) is None


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("users", ROSA | {"date_suspended": "2026-05-05T07:40:12+00:00"}),
        ("users", {"uuid": MEMBER.id, "display_name": "Rosa", "email": MEMBER.email}),
        ("members", {"id": MEMBER.id, "display_name": "Rosa", "email": MEMBER.email}),
    ],
)
def test_suspended__c14(name: str, record: dict[str, Any]) -> None:
    vultr = Vultr(api_key="K", organization_id=ORG)
    request = listing("organizations", ORG, "suspended-users", cursor="c")
    page = play(vultr.suspended("c"), (request, listed(name, record)))
    assert page.items == [MEMBER.model_copy(update={"state": MemberState.SUSPENDED})]


def test_set_api_enabled(vultr: Vultr) -> None:
    request = Request.patch(
        "v2", "users", MEMBER.id, json={"api_enabled": False}, effect=Effect.REPEATABLE
    )
    play(vultr.set_api_enabled(MEMBER, False), (request, answer(status=204)))


# ---------------------------------------------------------------------------- roles


def test_roles_are_groups_then_roles_then_policies(vultr: Vultr) -> None:
    pages = {
        (None, "groups"): listed(
            "groups", {"id": "g1", "display_name": "Engineering"}, following="gg"
        ),
        ("group:gg", "groups"): listed(
            "groups", {"id": "g2", "display_name": "Old", "status": "deleted"}
        ),
        ("role:", "roles"): listed("roles", {"id": "r1", "name": "Support Engineer"}),
        ("policy:", "policies"): listed("policies", following="pp"),
        ("policy:pp", "policies"): listed("policies", {"id": "p1", "name": "Compute"}),
    }
    found: list[Role] = []
    following: str | None = None
    for (cursor, path), reply in pages.items():
        assert following == cursor
        rest = (cursor or "").partition(":")[2] or None
        page = play(vultr.roles(cursor), (listing(path, cursor=rest), reply))
        found += page.items
        following = page.next
        assert path.startswith(page.section[:5])
    assert following is None
    assert found == [GROUP, ROLE, POLICY]


@pytest.mark.parametrize("cursor", ["abc", "team:abc"])
def test_roles_of_a_foreign_cursor(vultr: Vultr, cursor: str) -> None:
    with pytest.raises(InvalidArgument):
        next(vultr.roles(cursor))


ADDING = Request.post(
    "v2",
    "groups",
    "g1",
    "members",
    # several users may be called Rosa, and the OpenAPI document has display_name alone
    json={"user_id": MEMBER.id, "display_name": MEMBER.id},
    effect=Effect.REPEATABLE,
)


@pytest.mark.parametrize(
    ("role", "request_", "reply"),
    [
        (GROUP, ADDING, {"group_member": {"id": "x"}}),
        (
            ROLE,
            Request.post("v2", "roles", "r1", "users", MEMBER.id, effect=Effect.REPEATABLE),
            {"role_user_relationship": {}},
        ),
        (
            POLICY,
            Request.post("v2", "policies", "p1", "users", MEMBER.id, effect=Effect.REPEATABLE),
            None,
        ),
    ],
    ids=["group C-11", "role C-8", "policy"],
)
def test_assign_role(vultr: Vultr, role: Role, request_: Request, reply: Any) -> None:
    play(vultr.assign_role(MEMBER, role), (request_, answer(reply, 201)))


@pytest.mark.parametrize(
    ("role", "request_"),
    [
        (GROUP, Request.delete("v2", "groups", "g1", "members", MEMBER.id)),
        (ROLE, Request.delete("v2", "roles", "r1", "users", MEMBER.id)),
        (POLICY, Request.delete("v2", "policies", "p1", "users", MEMBER.id)),
    ],
    ids=["group", "role", "policy"],
)
def test_unassign_role(vultr: Vultr, role: Role, request_: Request) -> None:
    play(vultr.unassign_role(MEMBER, role), (request_, answer(status=204)))


@pytest.mark.parametrize("operation", ["assign_role", "unassign_role"])
def test_a_kind_that_vultr_does_not_have(vultr: Vultr, operation: str) -> None:
    with pytest.raises(InvalidArgument, match="group, role, policy"):
        next(getattr(vultr, operation)(MEMBER, Role(id="t", kind="team")))


def test_restore_group_member(vultr: Vultr) -> None:
    request = Request.put("v2", "groups", "g1", "members", MEMBER.id)
    play(vultr.restore_group_member(MEMBER, GROUP), (request, answer({}, 202)))
    with pytest.raises(InvalidArgument, match="is not a group"):
        next(vultr.restore_group_member(MEMBER, ROLE))


# ---------------------------------------------------------------------------- access


def looking(who: str, *replies: Response) -> Iterator[tuple[Request, Response]]:
    for path, reply in zip(("groups", "roles", "policies"), replies, strict=True):
        yield listing("users", who, path), reply


def parts(name: str, **found: list[dict[str, Any]] | None) -> Response:
    return answer({name: found, "meta": {"total": 0, "links": {"next": ""}}})


G1 = {"id": "g1", "display_name": "Engineering"}
R1 = {"id": "r1", "name": "Support Engineer"}
R2 = {"id": "r2", "name": "Billing"}
P1 = {"id": "p1", "name": "Compute"}
P2 = {"id": "p2", "name": "Invoices", "from_role": "r1"}


@pytest.mark.parametrize("who", [MEMBER.id, "me"])
def test_access_by_parts__c9(vultr: Vultr, who: str) -> None:
    flow = vultr.own_access() if who == "me" else vultr.access(MEMBER)
    grants = play(
        flow,
        *looking(
            who,
            listed("groups", G1),
            parts("roles", all=[R1, R2], direct=[R2], inherited=[R1]),
            parts("policies", all=[P1, P2], direct=[P1], inherited=[P2]),
        ),
    )
    assert grants == (
        Grant(role=GROUP),
        Grant(role=ROLE, direct=False),
        Grant(role=Role(id="r2", name="Billing")),
        Grant(role=POLICY),
        Grant(role=Role(id="p2", name="Invoices", kind="policy"), direct=False, via=(ROLE,)),
    )


def test_access_in_flat_lists__c9(vultr: Vultr) -> None:
    role = {"user_id": MEMBER.id, "role_id": "r1", "role_name": "Support Engineer"}
    policy = {"user_id": MEMBER.id, "policy_id": "p1", "policy_name": "Compute"}
    grants = play(
        vultr.access(MEMBER),
        *looking(
            MEMBER.id,
            listed("groups", G1),
            listed("role_user_relationships", role),
            listed("policies", policy),
        ),
    )
    assert grants == (Grant(role=GROUP), Grant(role=ROLE), Grant(role=POLICY))


def test_no_access(vultr: Vultr) -> None:
    empty = parts("roles", all=[], direct=[], inherited=[])
    replies = looking(MEMBER.id, listed("groups"), empty, answer({"policies": None}))
    assert play(vultr.access(MEMBER), *replies) == ()


DIRECT, INHERITED = Grant(role=ROLE), Grant(role=POLICY, direct=False)


@pytest.mark.parametrize(
    ("grants", "effective", "explained"),
    [
        ((), False, "Holds no group, role or policy"),
        ([Grant(role=GROUP)], False, "no policy is attached to group:Engineering"),
        (
            [Grant(role=GROUP), DIRECT],
            False,
            "no policy is attached to group:Engineering and Support Engineer",
        ),
        ([DIRECT], False, "no policy is attached to Support Engineer"),
        ([Grant(role=POLICY)], True, "Is in no group"),
        ([DIRECT, INHERITED], True, "Is in no group"),
        ([Grant(role=GROUP), INHERITED], True, None),
        ([Grant(role=GROUP), Grant(role=POLICY)], True, None),
    ],
)
def test_access_is_explained_as_in_the_guide(
    vultr: Vultr, grants: list[Grant], effective: bool, explained: str | None
) -> None:
    allows, explanation = vultr.explain_access(grants, MEMBER)
    assert allows is effective
    assert (explained is None) is (explanation is None)
    if explained is not None:
        assert explanation is not None
        assert explained in explanation
        assert "No Active Organization" in explanation


def test_manage_users_is_full_control(vultr: Vultr) -> None:
    admin = MEMBER.model_copy(update={"raw": ROSA | {"acls": ["dns", "manage_users"]}})
    effective, explanation = vultr.explain_access((), admin)
    assert effective
    assert "full administrative control" in str(explanation)


@pytest.mark.parametrize(
    ("role_type", "says"),
    [("assumable", "assumable role"), ("assignable", None), ("user", None), (None, None)],
)
def test_roles_of_two_types(vultr: Vultr, role_type: str | None, says: str | None) -> None:
    record = {"id": "r1", "name": "Incident Response", "role_type": role_type}
    [role] = play(vultr.roles("role:"), (listing("roles"), listed("roles", record))).items
    assert role.not_assignable is None if says is None else says in str(role.not_assignable)


def test_access_reads_all_pages(vultr: Vultr) -> None:
    grants = play(
        vultr.access(MEMBER),
        (listing("users", MEMBER.id, "groups"), listed("groups", following="2")),
        (listing("users", MEMBER.id, "groups", cursor="2"), listed("groups", G1)),
        (listing("users", MEMBER.id, "roles"), listed("roles")),
        (listing("users", MEMBER.id, "policies"), listed("policies")),
    )
    assert grants == (Grant(role=GROUP),)


def test_access_is_not_told_from_a_list_that_repeats_itself(vultr: Vultr) -> None:
    with pytest.raises(MalformedResponse, match="repeats itself"):
        play(
            vultr.access(MEMBER),
            (listing("users", MEMBER.id, "groups"), listed("groups", G1, following="2")),
            (listing("users", MEMBER.id, "groups", cursor="2"), listed("groups", G1)),
        )


# ---------------------------------------------------------------------------- wrong shapes


@pytest.mark.parametrize(
    "reply",
    [b"", b"null", b"7", b'"text"', b"[]", b"[7]", b"{}", b'{"n": 7}', b"<html>",
     b'{"invites": 7}', b'{"invites": {"a": 1}}', b'{"invites": [1]}',
     b'{"invites": [{}], "meta": {}}', b'{"users": [{"email": 5}]}',
     b'{"invites": [], "meta": 7}', b'{"invites": [], "meta": {"links": "x"}}',
     b'{"invites": [], "meta": {"links": {"next": 7}}}'],
)  # fmt: skip
@pytest.mark.parametrize(
    "operation", ["organization", "invite", "resend", "get_invitation", "get_member", "invitations",
                  "members", "roles", "access", "suspended"],
)  # fmt: skip
def test_wrong_shapes_raise_ordinary_errors(vultr: Vultr, operation: str, reply: bytes) -> None:
    """Or are read as empty lists; nothing hangs, nothing is invented."""
    arguments: dict[str, Any] = {
        "invite": NewInvitation(email="a@example.net"),
        "resend": INVITATION,
        "get_invitation": ID,
        "get_member": MEMBER.id,
        "access": MEMBER,
    }
    given = [arguments[operation]] if operation in arguments else []
    flow = getattr(vultr, operation)(*given)
    next(flow)
    try:
        for _ in range(10):
            flow.send(Response(200, {}, reply))
    except StopIteration as done:
        assert done.value == () or not done.value.items  # noqa: PT017
    except (KeyError, TypeError, ValueError, MalformedResponse, ConfigError):
        pass
    else:
        pytest.fail("it went on asking")
