"""What the better-auth provider sends, and what it makes of the answers. No network, no HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from guestlist.errors import (
    Conflict,
    Forbidden,
    GuestlistError,
    MalformedResponse,
    NotFound,
    RateLimited,
    Rejected,
    ServiceUnavailable,
    Unauthorized,
)
from guestlist.models import Grant, Invitation, Member, NewInvitation, Role, State
from guestlist.provider import Effect, Flow, Page, Request, Response
from guestlist.provider.positions import Position
from guestlist_betterauth import BetterAuth
from guestlist_betterauth.provider import read_invitation, read_member, read_roles

T = TypeVar("T")

ORG: dict[str, Any] = {"organizationId": "o1"}
EMAIL = "ada@example.com"
ADMIN, MEMBER = Role(id="admin", name="admin"), Role(id="member", name="member")
INVITED: dict[str, Any] = {
    "organizationId": "o1",
    "email": EMAIL,
    "role": "admin,member",
    "status": "pending",
    "expiresAt": "2026-11-23T03:18:33.804Z",
    "createdAt": "2026-11-21T03:18:33.804Z",
    "inviterId": "u1",
    "id": "i1",
}
JOINED: dict[str, Any] = {
    "organizationId": "o1",
    "userId": "u2",
    "role": "member",
    "createdAt": "2026-11-21T03:18:34.175Z",
    "id": "m2",
    "user": {"id": "u2", "name": "Ada", "email": EMAIL, "image": None},
}
INVITATION = read_invitation(INVITED)
PERSON = read_member(JOINED)
ONE_MEMBER = Request.get(
    "organization",
    "list-members",
    query={"filterField": "id", "filterValue": "m2", **ORG},
)


@pytest.fixture
def auth(monkeypatch: pytest.MonkeyPatch) -> BetterAuth:
    for name in ("BETTER_AUTH_BASE_URL", "BETTER_AUTH_TOKEN", "BETTER_AUTH_ORGANIZATION_ID"):
        monkeypatch.delenv(name, raising=False)
    return BetterAuth(
        base_url="https://app.example.com/api/auth/", token="t0ken", organization_id="o1"
    )


def ok(body: Any) -> Response:
    return Response(200, {"content-type": "application/json"}, json.dumps(body).encode())


def refusal(status: int, body: Any = None) -> Response:
    return Response(status, {}, b"" if body is None else json.dumps(body).encode())


def finish(flow: Flow[T], *exchanges: tuple[Request, Response]) -> T:
    """Runs a flow that has to make exactly these requests."""
    answer: Response | None = None
    for expected, reply in exchanges:
        assert (next(flow) if answer is None else flow.send(answer)) == expected
        answer = reply
    with pytest.raises(StopIteration) as done:
        next(flow) if answer is None else flow.send(answer)
    return done.value.value  # type: ignore[no-any-return]


def post(path: str, effect: Effect = Effect.CREATE, **body: Any) -> Request:
    return Request.post("organization", path, json=body, effect=effect)


# ---------------------------------------------------------------------------- settings


def test_the_mount_path_stays(auth: BetterAuth) -> None:
    assert auth.base_url == "https://app.example.com/api/auth"


def test_the_token_is_a_secret(auth: BetterAuth) -> None:
    assert auth.authorize() == {"Authorization": "Bearer t0ken"}
    assert auth.secrets() == ("t0ken",)
    assert "t0ken" not in repr(auth)
    assert "token" not in auth.model_dump()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETTER_AUTH_BASE_URL", "https://app.example.com/api/auth")
    monkeypatch.setenv("BETTER_AUTH_TOKEN", "t")
    monkeypatch.setenv("BETTER_AUTH_ORGANIZATION_ID", "o1")
    assert BetterAuth().organization_id == "o1"


# ---------------------------------------------------------------------------- invitations


@pytest.mark.parametrize("cancels", [True, False])
def test_a_server_that_cancels_on_a_second_invitation_does_not_refuse(
    auth: BetterAuth, cancels: bool
) -> None:
    told = auth.model_copy(update={"reinvite_cancels": cancels})
    assert told.refuses_duplicates is not cancels


def test_invite(auth: BetterAuth) -> None:
    new = NewInvitation(email="Ada@Example.com", roles=(ADMIN, MEMBER))
    request = post("invite-member", email="Ada@Example.com", role=["admin", "member"], **ORG)
    assert finish(auth.invite(new), (request, ok(INVITED))) == Invitation(
        id="i1",
        email=EMAIL,
        state=State.PENDING,
        raw_state="pending",
        roles=(ADMIN, MEMBER),
        organization_id="o1",
        created_at=datetime(2026, 11, 21, 3, 18, 33, 804000, UTC),
        expires_at=datetime(2026, 11, 23, 3, 18, 33, 804000, UTC),
        invited_by="u1",
    )


def test_resend_is_the_same_call(auth: BetterAuth) -> None:
    request = post("invite-member", email=EMAIL, role=["admin", "member"], resend=True, **ORG)
    renewed = finish(auth.resend(INVITATION), (request, ok({**INVITED, "id": "i2"})))
    assert renewed.id == "i2"


def test_revoke_may_be_repeated(auth: BetterAuth) -> None:
    request = post("cancel-invitation", Effect.REPEATABLE, invitationId="i1", **ORG)
    assert finish(auth.revoke(INVITATION), (request, ok({**INVITED, "status": "canceled"}))) is None


LIST = Request.get("organization", "list-invitations", query=ORG)


def test_one_invitation_comes_from_the_list(auth: BetterAuth) -> None:
    listed = ok([{**INVITED, "id": "i0"}, INVITED])
    assert finish(auth.get_invitation("i1"), (LIST, listed)) == INVITATION
    flow = auth.get_invitation("i9")
    next(flow)
    with pytest.raises(NotFound, match="i9"):
        flow.send(listed)


def test_all_invitations_are_one_page(auth: BetterAuth) -> None:
    found = finish(auth.invitations(), (LIST, ok([INVITED] * 99)))
    assert (len(found.items), found.next, found.cut_off) == (99, None, None)
    assert finish(auth.invitations(), (LIST, ok([]))) == Page([])


@pytest.mark.parametrize(("limit", "count"), [(100, 100), (100, 250), (3, 3)])
def test_a_full_list_may_be_cut_off(auth: BetterAuth, limit: int, count: int) -> None:
    limited = auth.model_copy(update={"list_limit": limit})
    found = finish(limited.invitations(), (LIST, ok([INVITED] * count)))
    assert len(found.items) == count
    assert "defaultFindManyLimit" in (found.cut_off or "")


# ---------------------------------------------------------------------------- members and roles


def page(start: int) -> Request:
    query = {"limit": 500, "offset": start, "sortBy": "createdAt", **ORG}
    return Request.get("organization", "list-members", query=query)


@pytest.mark.parametrize(
    ("cursor", "body", "next_cursor"),
    [
        (None, {"members": [JOINED, JOINED], "total": 2}, None),
        (None, {"members": [JOINED, JOINED], "total": 3}, "2/3"),
        ("2/3", {"members": [JOINED], "total": 3}, None),
        ("2", {"members": [], "total": 3}, None),  # a total that is none
    ],
)
def test_members(
    auth: BetterAuth, cursor: str | None, body: dict[str, Any], next_cursor: str | None
) -> None:
    found = finish(auth.members(cursor), (page(Position.of(cursor).at), ok(body)))
    assert list(found.items) == [PERSON] * len(body["members"])
    assert (found.next, found.total) == (next_cursor, body["total"])


def test_whoever_moves_up_because_somebody_has_left_is_not_passed_over(auth: BetterAuth) -> None:
    none = (page(2), ok({"members": [], "total": 2}))
    found = finish(auth.members("2/3"), none, (page(1), ok({"members": [JOINED], "total": 2})))
    assert list(found.items) == [PERSON]


def test_a_member() -> None:
    assert (
        Member(
            id="m2",
            email=EMAIL,
            name="Ada",
            user_id="u2",
            roles=(MEMBER,),
            joined_at=datetime(2026, 11, 21, 3, 18, 34, 175000, UTC),
        )
        == PERSON
    )


def test_one_member(auth: BetterAuth) -> None:
    assert finish(auth.get_member("m2"), (ONE_MEMBER, ok({"members": [JOINED]}))) == PERSON


@pytest.mark.parametrize("listed", [[], [{**JOINED, "id": "m3"}]])
def test_a_member_who_is_not_there(auth: BetterAuth, listed: list[Any]) -> None:
    flow = auth.get_member("m2")
    next(flow)
    with pytest.raises(NotFound, match="m2"):
        flow.send(ok({"members": listed}))  # a server that ignores the filter lists others


def test_remove(auth: BetterAuth) -> None:
    request = post("remove-member", Effect.REPEATABLE, memberIdOrEmail="m2", **ORG)
    assert finish(auth.remove(PERSON), (request, ok({"member": JOINED}))) is None


def test_the_roles_are_the_configured_ones(auth: BetterAuth) -> None:
    assert [role.id for role in finish(auth.roles()).items] == ["owner", "admin", "member"]


@pytest.mark.parametrize(
    ("now", "after"),
    [("member", ["member", "admin"]), ("", ["admin"]), ("admin, member", ["member", "admin"])],
)
def test_assigning_keeps_the_other_roles(auth: BetterAuth, now: str, after: list[str]) -> None:
    held = ok({"members": [{**JOINED, "role": now}]})
    request = post("update-member-role", Effect.REPEATABLE, memberId="m2", role=after, **ORG)
    finish(auth.assign_role(PERSON, ADMIN), (ONE_MEMBER, held), (request, ok(JOINED)))


def test_unassigning_keeps_the_other_roles(auth: BetterAuth) -> None:
    held = ok({"members": [{**JOINED, "role": "member,admin"}]})
    request = post("update-member-role", Effect.REPEATABLE, memberId="m2", role=["member"], **ORG)
    finish(auth.unassign_role(PERSON, ADMIN), (ONE_MEMBER, held), (request, ok(JOINED)))


def test_the_only_role_is_not_taken(auth: BetterAuth) -> None:
    flow = auth.unassign_role(PERSON, MEMBER)
    next(flow)
    with pytest.raises(Conflict, match="only role"):
        flow.send(ok({"members": [JOINED]}))


def test_access(auth: BetterAuth) -> None:
    held = ok({"members": [{**JOINED, "role": "member,admin"}]})
    grants = finish(auth.access(PERSON), (ONE_MEMBER, held))
    assert grants == (Grant(role=MEMBER), Grant(role=ADMIN))
    nothing = ok({"members": [{**JOINED, "role": ""}]})
    assert finish(auth.access(PERSON), (ONE_MEMBER, nothing)) == ()


ORGANIZATIONS = Request.get("organization", "list")


def test_the_organization_s_name(auth: BetterAuth) -> None:
    known = ok([{"id": "o0", "name": "Other"}, {"id": "o1", "name": "Example Works"}])
    permission = {"permissions": {"invitation": ["create"]}}
    asked = post("has-permission", Effect.READ, **permission, **ORG)
    answer = ok({"error": None, "success": True})
    exchanges = ((ORGANIZATIONS, known), (asked, answer))
    assert finish(auth.organization(), *exchanges) == "Example Works"


@pytest.mark.parametrize(("known", "told"), [([], "none"), ([{"id": "o0", "name": "X"}], "X (o0)")])
def test_an_organization_out_of_reach(auth: BetterAuth, known: list[Any], told: str) -> None:
    flow = auth.organization()
    next(flow)
    with pytest.raises(NotFound, match="o1") as missing:
        flow.send(ok(known))
    assert told in missing.value.hint


# ---------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("pending", State.PENDING),
        ("accepted", State.ACCEPTED),
        ("rejected", State.DECLINED),
        ("canceled", State.REVOKED),
        ("archived", State.UNKNOWN),
        ("PENDING", State.UNKNOWN),
    ],
)
def test_status_words(word: str, state: State) -> None:
    found = read_invitation({**INVITED, "status": word})
    assert (found.state, found.raw_state) == (state, word)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("admin", ["admin"]),
        ("admin,member", ["admin", "member"]),
        (" admin , member,,admin", ["admin", "member"]),
        ("", []),
        (None, []),
    ],
)
def test_roles_in_one_text(text: str | None, names: list[str]) -> None:
    assert [role.id for role in read_roles(text)] == names


def test_what_a_record_may_lack() -> None:
    bare = read_invitation({"id": "i1", "email": EMAIL, "status": "pending"})
    assert (bare.roles, bare.created_at, bare.expires_at, bare.invited_by) == ((), None, None, None)
    person = read_member({"id": "m2", "user": {"email": EMAIL}})
    assert (person.roles, person.name, person.joined_at) == ((), None, None)


@pytest.mark.parametrize(
    "body", [None, [], "text", {}, {"id": "i1"}, {**INVITED, "expiresAt": "soon"}]
)
def test_another_shape_is_an_ordinary_error(auth: BetterAuth, body: Any) -> None:
    flow = auth.invite(NewInvitation(email=EMAIL, roles=(MEMBER,)))
    next(flow)
    with pytest.raises((MalformedResponse, LookupError, TypeError, ValueError)):
        flow.send(ok(body))


@pytest.mark.parametrize("body", [None, {"message": "?"}, ["i1", {"id": "i1"}]])
def test_another_list_is_an_ordinary_error(auth: BetterAuth, body: Any) -> None:
    flow = auth.invitations()
    next(flow)
    with pytest.raises((MalformedResponse, LookupError, TypeError, ValueError)):
        flow.send(ok(body))


# ---------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "USER_IS_ALREADY_INVITED_TO_THIS_ORGANIZATION", Conflict),
        (400, "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION", Conflict),
        (400, "YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER", Conflict),
        (400, "YOU_CANNOT_LEAVE_THE_ORGANIZATION_WITHOUT_AN_OWNER", Conflict),
        (403, "INVITATION_LIMIT_REACHED", Forbidden),
        (400, "INVITATION_NOT_FOUND", NotFound),
        (400, "MEMBER_NOT_FOUND", NotFound),
        (400, "ROLE_NOT_FOUND", Rejected),
        (401, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_MEMBER", Forbidden),
        (401, "UNAUTHORIZED", Unauthorized),
        (403, "YOU_ARE_NOT_ALLOWED_TO_CANCEL_THIS_INVITATION", Forbidden),
        (400, "VALIDATION_ERROR", Rejected),
        (429, "", RateLimited),
        # a fault on the server's side proves nothing, whatever it says
        (500, "INVITATION_NOT_FOUND", ServiceUnavailable),
    ],
)
def test_codes(auth: BetterAuth, status: int, code: str, kind: type[GuestlistError]) -> None:
    error = auth.explain(refusal(status, {"message": "It is so", "code": code}))
    assert type(error) is kind
    assert (error.message, error.status) == ("It is so", status)


def test_an_unknown_role_has_no_code(auth: BetterAuth) -> None:
    error = auth.explain(refusal(400, {"message": "ROLE_NOT_FOUND: boss"}))
    assert type(error) is Rejected
    assert "role_names" in error.hint


@pytest.mark.parametrize(("status", "hint"), [(401, "Sign in"), (404, "base_url"), (400, "")])
def test_answers_without_a_word(auth: BetterAuth, status: int, hint: str) -> None:
    error = auth.explain(refusal(status))
    assert error.message == f"the service answered {status}"
    assert hint in error.hint
