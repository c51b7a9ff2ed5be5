"""What the Aitronos provider sends, and what it makes of the answers. No network, no HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from pydantic import SecretStr

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
)
from guestlist.models import (
    Basis,
    Grant,
    Invitation,
    Member,
    MemberState,
    NewInvitation,
    Role,
    State,
)
from guestlist.provider import Effect, Flow, Limit, Page, Provider, Request, Response
from guestlist_aitronos import Aitronos, BulkResend, ResendFailure, Status

T = TypeVar("T")

ORG = ("v1", "organizations", "org_7h2k")
KEY = "invkey_4f0d6a1b2c3e4d5f8a9b0c1d2e3f4a5b"
LINK = f"https://chat.aitronos.com/user/register?invite={KEY}"
EMAIL = "noor@example.net"
ROLE = Role(id="role_5p1q", name="Member")

CREATED_B = {
    "invitation_id": "inv_9c41",
    "email": EMAIL,
    "role_id": "role_5p1q",
    "user_id": "usr_31fd",
    "invitation_link": LINK,
}
CREATED_A = {
    "invitation_id": "inv_9c41",
    "email": EMAIL,
    "invitation_key": "5d2b7f3e-19a4-4c0f-8a7e-6c1f0b9d2e77",
    "is_new_user": True,
    "user_id": "usr_31fd",
    "expires_at": "2026-02-10T10:00:00Z",
}
DETAILS = {
    **CREATED_B,
    "organization_id": "org_7h2k",
    "expires_at": "2026-02-10T10:00:00Z",
    "created_at": "2026-02-03T10:00:00Z",
}
STATUSES = [
    {"id": "status_1", "name": "Active"},
    {"id": "status_2", "name": "Inactive"},
    {"id": "status_3", "name": "InvitationSent"},
    {"id": "status_4", "name": "Deleted"},
]
INVITATION = Invitation(id="inv_9c41", email=EMAIL, state=State.PENDING, user_id="usr_31fd")
MEMBER = Member(id="orgusr_b1", email=EMAIL, user_id="usr_31fd")


@pytest.fixture
def aitronos(monkeypatch: pytest.MonkeyPatch) -> Aitronos:
    for name in ("AITRONOS_ORGANIZATION_ID", "FREDDY_API_KEY", "FREDDY_JWT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return Aitronos(organization_id="org_7h2k", api_key="ak_test")


def row(status: str | None = "Active", number: int = 1, **facts: Any) -> dict[str, Any]:
    """A row of the member list as crew management and the SDK have it."""
    return {
        "id": f"orgusr_b{number}",
        "user_id": f"usr_{number}",
        "organization_id": "org_7h2k",
        "full_name": "Noor Example",
        "email": f"guest{number}@example.net",
        "username": None,
        "role": {"id": "role_5p1q", "name": "Member"},
        "status": {"id": "status_1", "name": status, "selectable_in_ui": True},
        "joined_at": "2026-02-03T10:00:00Z",
        **facts,
    }


def users(*rows: dict[str, Any], total: int | None = None, skip: int = 0) -> dict[str, Any]:
    count = skip + len(rows) if total is None else total
    return {"users": rows, "total_users_count": count, "skip": skip, "take": 100}


def answer(body: Any = None, status: int = 200) -> Response:
    content = b"" if body is None else json.dumps(body).encode()
    return Response(status, {"content-type": "application/json"}, content)


def refusal(code: str = "SOME_CODE", status: int = 404, message: str = "no") -> Response:
    error = {"code": code, "message": message, "status": status, "trace_id": "0d6c"}
    return answer({"success": False, "error": error}, status)


def play(provider: Provider, flow: Flow[T], *exchanges: tuple[Request, Response]) -> T:
    """Runs a flow that is to send exactly these requests, and returns its value."""
    resume: Any = lambda: next(flow)  # noqa: E731
    for expected, response in exchanges:
        assert resume() == expected
        if 200 <= response.status < 300:
            resume = lambda response=response: flow.send(response)  # noqa: E731
        else:
            error = provider.explain(response)
            resume = lambda error=error: flow.throw(error)  # noqa: E731
    with pytest.raises(StopIteration) as done:
        resume()
    return done.value.value  # type: ignore[no-any-return]


def get_invitation(**query: str) -> Request:
    return Request.get(*ORG, "invitation", query=query)


def list_users(skip: int = 0, take: int = 100, **filters: Any) -> Request:
    body = {"skip": skip, "take": take, **filters}
    return Request.post(*ORG, "users", json=body, effect=Effect.READ)


def list_invited(status_id: str | None, skip: int = 0) -> Request:
    asked = {"status_id": status_id} if status_id else {}
    return list_users(skip, 25, **asked, sort_field="created_at", sort_direction="asc")


LIST_STATUSES = Request.get(*ORG, "statuses", query={"active_only": False})
GET_MEMBER = Request.get(*ORG, "users", "orgusr_b1")


# ---------------------------------------------------------------------- settings


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AITRONOS_ORGANIZATION_ID", "org_env")
    monkeypatch.setenv("FREDDY_API_KEY", "ak_env")
    monkeypatch.setenv("FREDDY_JWT_TOKEN", "jwt_env")
    provider = Aitronos()
    assert (provider.organization_id, provider.api_key) == ("org_env", "ak_env")
    assert set(provider.secrets()) == {"ak_env", "jwt_env"}
    assert "ak_env" not in repr(provider)
    assert "jwt_env" not in repr(provider)


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"api_key": "k"}, {"X-API-Key": "k"}),
        ({"api_key": "k", "credential": "bearer"}, {"Authorization": "Bearer k"}),
        ({"token": "t"}, {"Authorization": "Bearer t"}),
        ({"token": "t", "credential": "bearer"}, {"Authorization": "Bearer t"}),
        ({"api_key": "k", "token": "t"}, {"X-API-Key": "k", "Authorization": "Bearer t"}),
    ],
)
@pytest.mark.usefixtures("aitronos")
def test_c5_one_credential_unless_both_are_configured(
    settings: dict[str, Any], headers: dict[str, str]
) -> None:
    assert Aitronos(organization_id="org_7h2k", **settings).authorize() == headers


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"api_key": "k", "token": "t", "credential": "bearer"},
        {"api_key": "k", "credential": "basic"},
        {"api_key": ""},
        {"api_key": "k", "plan": "gold"},
    ],
)
@pytest.mark.usefixtures("aitronos")
def test_settings_that_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Aitronos(organization_id="org_7h2k", **settings)


@pytest.mark.parametrize("length", [10, 42, 43])
@pytest.mark.usefixtures("aitronos")
def test_c18_the_length_of_a_key_is_not_checked(length: int) -> None:
    assert Aitronos(organization_id="o", api_key="k" * length).api_key == "k" * length


def test_c14_the_host_is_configurable(aitronos: Aitronos) -> None:
    assert aitronos.base_url == "https://api.aitronos.com"
    other = Aitronos(
        base_url="https://api.freddy.aitronos.com/", organization_id="org_7h2k", api_key="k"
    )
    assert other.base_url == "https://api.freddy.aitronos.com"


def test_limits_go_by_the_plan(aitronos: Aitronos) -> None:
    assert aitronos.limits == (Limit(100, 60.0),)
    premium = Aitronos(organization_id="org_7h2k", api_key="k", plan="premium")
    assert premium.limits == (Limit(1000, 60.0),)


def test_c23_the_lifetime_is_a_fact_and_not_a_field(aitronos: Aitronos) -> None:
    assert Aitronos.lifetime == timedelta(days=7)
    assert invited(aitronos, CREATED_B).expires_at is None


# ---------------------------------------------------------------------- invitations


def test_organization(aitronos: Aitronos) -> None:
    reply = answer({"id": "org_7h2k", "name": "Example Works"})
    assert play(aitronos, aitronos.organization(), (Request.get(*ORG), reply)) == "Example Works"


def invite_request(send_email: bool = True) -> Request:
    body = {"email": EMAIL, "role_id": "role_5p1q", "send_invitation": send_email}
    return Request.post(*ORG, "invite-user", json=body)


def invited(aitronos: Aitronos, body: Any) -> Invitation:
    new = NewInvitation(email=EMAIL, roles=(ROLE,))
    value = play(aitronos, aitronos.invite(new), (invite_request(), answer(body, 201)))
    assert isinstance(value, Invitation)
    return value


@pytest.mark.parametrize("send_email", [True, False])
def test_c1_c20_an_invitation_names_one_role_by_id_and_nothing_else(
    aitronos: Aitronos, send_email: bool
) -> None:
    flow = aitronos.invite(NewInvitation(email=EMAIL, roles=(ROLE,), send_email=send_email))
    request = next(flow)
    assert request == invite_request(send_email)
    assert request.effect is Effect.CREATE
    flow.close()


def test_c2_variant_b_has_a_link_with_the_key_in_it(aitronos: Aitronos) -> None:
    assert invited(aitronos, CREATED_B) == Invitation(
        id="inv_9c41",
        email=EMAIL,
        state=State.PENDING,
        roles=(ROLE,),
        organization_id="org_7h2k",
        user_id="usr_31fd",
        link=SecretStr(LINK),
        key=SecretStr(KEY),
    )


def test_c2_variant_a_has_a_key_and_an_expiry_and_keeps_the_role_asked_for(
    aitronos: Aitronos,
) -> None:
    invitation = invited(aitronos, CREATED_A)
    assert invitation == Invitation(
        id="inv_9c41",
        email=EMAIL,
        state=State.PENDING,
        roles=(ROLE,),
        organization_id="org_7h2k",
        expires_at=datetime(2026, 2, 10, 10, tzinfo=UTC),
        user_id="usr_31fd",
        key=SecretStr("5d2b7f3e-19a4-4c0f-8a7e-6c1f0b9d2e77"),
        is_new_user=True,
    )
    assert invited(aitronos, CREATED_A | {"is_new_user": "perhaps"}).is_new_user is None
    assert invited(aitronos, CREATED_B).is_new_user is None


def test_c2_any_one_id_is_enough(aitronos: Aitronos) -> None:
    assert invited(aitronos, {"invitation_id": "inv_1"}).email == EMAIL
    assert invited(aitronos, {"user_id": "usr_1"}).id is None


def test_secrets_do_not_show(aitronos: Aitronos) -> None:
    invitation = invited(aitronos, CREATED_B)
    assert KEY not in repr(invitation)
    assert KEY not in str(invitation.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("id", "selector"),
    [
        ("inv_9c41", "invitation_id"),
        ("anything", "invitation_id"),
        ("usr_31fd", "user_id"),
        ("orgusr_b1", "user_id"),
        ("orguser_b1", "user_id"),
    ],
)
def test_c9_one_invitation_is_read_with_exactly_one_selector(
    aitronos: Aitronos, id: str, selector: str
) -> None:
    flow = aitronos.get_invitation(id)
    assert play(aitronos, flow, (get_invitation(**{selector: id}), answer(DETAILS))) == Invitation(
        id="inv_9c41",
        email=EMAIL,
        state=State.PENDING,
        roles=(Role(id="role_5p1q"),),
        organization_id="org_7h2k",
        created_at=datetime(2026, 2, 3, 10, tzinfo=UTC),
        expires_at=datetime(2026, 2, 10, 10, tzinfo=UTC),
        user_id="usr_31fd",
        link=SecretStr(LINK),
        key=SecretStr(KEY),
    )


def test_an_unknown_invitation_is_not_found(aitronos: Aitronos) -> None:
    flow = aitronos.get_invitation("inv_0")
    next(flow)
    with pytest.raises(NotFound):
        flow.throw(aitronos.explain(refusal()))


def test_c21_a_lapsed_invitation_that_is_still_told_keeps_its_past_expiry(
    aitronos: Aitronos,
) -> None:
    lapsed = DETAILS | {"expires_at": "2020-01-01T00:00:00Z"}
    flow = aitronos.find_invitation(EMAIL)
    invitation = play(aitronos, flow, (get_invitation(email=EMAIL), answer(lapsed)))
    assert invitation is not None
    assert invitation.state is State.PENDING  # the core compares the date with its own clock
    assert invitation.expires_at == datetime(2020, 1, 1, tzinfo=UTC)


def test_c21_an_invitation_that_is_not_told_is_none(aitronos: Aitronos) -> None:
    flow = aitronos.find_invitation(EMAIL)
    assert play(aitronos, flow, (get_invitation(email=EMAIL), refusal())) is None


RESEND = Request.post(*ORG, "users", "usr_31fd", "resend-invitation")


@pytest.mark.parametrize(
    "reply",
    [answer(None, 204), answer({"success": True, "message": "Invitation sent again"})],
    ids=["204", "200"],
)
def test_c3_a_resend_is_done_with_any_2xx_and_read_again(
    aitronos: Aitronos, reply: Response
) -> None:
    assert RESEND.effect is Effect.CREATE
    again = (get_invitation(user_id="usr_31fd"), answer(DETAILS))
    resent = play(aitronos, aitronos.resend(INVITATION), (RESEND, reply), again)
    assert resent.expires_at == datetime(2026, 2, 10, 10, tzinfo=UTC)


def test_a_resent_invitation_that_cannot_be_read_stays_as_it_was(aitronos: Aitronos) -> None:
    again = (get_invitation(user_id="usr_31fd"), refusal())
    flow = aitronos.resend(INVITATION)
    assert play(aitronos, flow, (RESEND, answer(None, 204)), again) is INVITATION


@pytest.mark.parametrize(
    ("id", "selector"), [("inv_9c41", {"invitation_id": "inv_9c41"}), (None, {"email": EMAIL})]
)
def test_a_resend_looks_up_the_user_id_that_it_needs(
    aitronos: Aitronos, id: str | None, selector: dict[str, str]
) -> None:
    invitation = Invitation(id=id, email=EMAIL, state=State.PENDING)
    play(
        aitronos,
        aitronos.resend(invitation),
        (get_invitation(**selector), answer(DETAILS)),
        (RESEND, answer(None, 204)),
        (get_invitation(user_id="usr_31fd"), answer(DETAILS)),
    )


def test_a_resend_without_any_user_id_sends_nothing(aitronos: Aitronos) -> None:
    flow = aitronos.resend(Invitation(id="inv_9c41", email=EMAIL, state=State.PENDING))
    next(flow)
    with pytest.raises(MalformedResponse):
        flow.send(answer({"invitation_id": "inv_9c41", "email": EMAIL}))


@pytest.mark.parametrize("reply", [answer(None, 204), answer({"success": True})])
def test_revoke(aitronos: Aitronos, reply: Response) -> None:
    request = Request.delete(*ORG, "invitations", "inv_9c41")
    play(aitronos, aitronos.revoke(INVITATION), (request, reply))


def test_revoke_looks_up_the_id_that_it_needs(aitronos: Aitronos) -> None:
    play(
        aitronos,
        aitronos.revoke(Invitation(id=None, email=EMAIL, state=State.PENDING)),
        (get_invitation(email=EMAIL), answer(DETAILS)),
        (Request.delete(*ORG, "invitations", "inv_9c41"), answer(None, 204)),
    )


def test_revoke_without_any_id_sends_nothing(aitronos: Aitronos) -> None:
    flow = aitronos.revoke(Invitation(id=None, email=EMAIL, state=State.PENDING))
    next(flow)
    with pytest.raises(MalformedResponse):
        flow.send(answer({"user_id": "usr_31fd", "email": EMAIL}))


# ---------------------------------------------------------------------- the list of invitations


@pytest.mark.parametrize(
    "name",
    ["InvitationSent", "invitation_sent", "Invited", "Pending", "PENDING", "Invitation Pending"],
)
def test_c8_statuses_are_matched_by_name(aitronos: Aitronos, name: str) -> None:
    page = play(
        aitronos,
        aitronos.invitations(),
        (
            LIST_STATUSES,
            answer([{"id": "sts_9", "name": name}, {"id": "status_1", "name": "Active"}]),
        ),
        (list_invited("sts_9"), answer(users(row(name)))),
        (get_invitation(user_id="usr_1"), answer(DETAILS)),
    )
    assert [invitation.id for invitation in page.items] == ["inv_9c41"]
    assert page.next is None


def test_invitations_go_page_by_page_and_status_by_status(aitronos: Aitronos) -> None:
    statuses = [*STATUSES, {"id": "status_5", "name": "Pending"}]
    first = play(
        aitronos,
        aitronos.invitations(),
        (LIST_STATUSES, answer(statuses)),
        (list_invited("status_3"), answer(users(row("InvitationSent"), total=2))),
        (get_invitation(user_id="usr_1"), answer(DETAILS)),
    )
    assert first.next == "status_3,status_5:1/2"
    second = play(
        aitronos,
        aitronos.invitations(first.next),
        (list_invited("status_3", 1), answer(users(row("InvitationSent", 2), skip=1))),
        (get_invitation(user_id="usr_2"), answer(DETAILS)),
    )
    assert second.next == "status_5:0"
    third = play(
        aitronos, aitronos.invitations(second.next), (list_invited("status_5"), answer(users()))
    )
    assert third == Page([], total=0, section="status_5")


def test_whoever_moves_up_because_somebody_has_gone_is_not_passed_over(
    aitronos: Aitronos,
) -> None:
    gone = (list_invited("status_3", 2), answer(users(total=2)))
    rest = (list_invited("status_3", 1), answer(users(row("InvitationSent", 2), skip=1)))
    found = (get_invitation(user_id="usr_2"), answer(DETAILS))
    page = play(aitronos, aitronos.invitations("status_3:2/3"), gone, rest, found)
    assert (len(page.items), page.next) == (1, None)


def test_invited_without_an_invitation_is_unknown(aitronos: Aitronos) -> None:
    page = play(
        aitronos,
        aitronos.invitations(),
        (LIST_STATUSES, answer(STATUSES)),
        (list_invited("status_3"), answer(users(row("InvitationSent")))),
        (get_invitation(user_id="usr_1"), refusal()),
    )
    (lost,) = page.items
    assert lost == Invitation(
        id=None,
        email="guest1@example.net",
        state=State.UNKNOWN,
        raw_state="InvitationSent",
        basis=Basis.INFERRED,
        roles=(ROLE,),
        organization_id="org_7h2k",
        user_id="usr_1",
    )


def test_without_a_status_for_invited_people_everybody_is_read(aitronos: Aitronos) -> None:
    first = play(
        aitronos,
        aitronos.invitations(),
        (LIST_STATUSES, answer([])),
        (list_invited(None), answer(users(row("Active"), row("Pending", 2), total=3))),
        (get_invitation(user_id="usr_2"), answer(DETAILS)),
    )
    assert len(first.items) == 1
    rest = (list_invited(None, 2), answer(users(row("Active", 3), skip=2)))
    assert play(aitronos, aitronos.invitations(first.next), rest) == Page([], total=3, left_out=1)


def test_rows_that_a_service_lists_against_the_filter_are_left_out(aitronos: Aitronos) -> None:
    page = play(
        aitronos,
        aitronos.invitations(),
        (LIST_STATUSES, answer(STATUSES)),
        (list_invited("status_3"), answer(users(row("Active"), row(number=2, status=None)))),
        (get_invitation(user_id="usr_2"), answer(DETAILS)),
    )
    assert len(page.items) == 1


# ---------------------------------------------------------------------- members


def test_members_are_those_who_are_not_merely_invited(aitronos: Aitronos) -> None:
    rows = [row("Active", 1), row("InvitationSent", 2), row("Inactive", 3), row("Custom", 4)]
    page = play(aitronos, aitronos.members(), (list_users(), answer(users(*rows))))
    assert [(member.id, member.state) for member in page.items] == [
        ("orgusr_b1", MemberState.ACTIVE),
        ("orgusr_b3", MemberState.SUSPENDED),
        ("orgusr_b4", MemberState.ACTIVE),
    ]
    assert page.next is None


def test_c22_members_are_paged_with_skip_and_take(aitronos: Aitronos) -> None:
    first = play(aitronos, aitronos.members(), (list_users(), answer(users(row(), total=2))))
    assert first.next == "1/2"
    second = (list_users(1), answer(users(row(number=2), skip=1)))
    assert play(aitronos, aitronos.members(first.next), second).next is None


def test_find_member_compares_addresses_by_key(aitronos: Aitronos) -> None:
    typed = "Guest2@Example.NET"
    rows = [row(number=1, full_name="guest2@example.net"), row(number=2)]
    request = list_users(search_term=typed, include_deleted=True)
    found = play(aitronos, aitronos.find_member(typed), (request, answer(users(*rows))))
    assert found is not None
    assert found.id == "orgusr_b2"


@pytest.mark.parametrize("status", ["InvitationSent", "Pending", "invited"])
def test_who_is_invited_is_no_member(aitronos: Aitronos, status: str) -> None:
    email = "guest1@example.net"
    request = list_users(search_term=email, include_deleted=True)
    flow = aitronos.find_member(email)
    found = play(aitronos, flow, (request, answer(users(row(status)))))
    assert found is not None
    assert found.state is MemberState.INVITED
    one = aitronos.get_member("orgusr_b1")
    next(one)
    with pytest.raises(NotFound):
        one.send(answer(row(status)))


def test_find_member_prefers_who_is_in_over_who_was_removed(aitronos: Aitronos) -> None:
    email = "guest1@example.net"
    first = list_users(search_term=email, include_deleted=True)
    second = list_users(1, search_term=email, include_deleted=True)
    found = play(
        aitronos,
        aitronos.find_member(email),
        (first, answer(users(row("Deleted"), total=2))),
        (second, answer(users(row("Inactive", id="orgusr_new"), skip=1))),
    )
    assert found is not None
    assert (found.id, found.state) == ("orgusr_new", MemberState.SUSPENDED)


def test_find_member_ends_when_a_page_repeats(aitronos: Aitronos) -> None:
    page = answer(users(row(), total=10**9))
    with pytest.raises(MalformedResponse, match="repeats itself"):
        play(
            aitronos,
            aitronos.find_member(EMAIL),
            (list_users(search_term=EMAIL, include_deleted=True), page),
            (list_users(1, search_term=EMAIL, include_deleted=True), page),
        )


def test_find_member_does_not_trust_fewer_rows_than_the_total(aitronos: Aitronos) -> None:
    with pytest.raises(MalformedResponse, match="reports 2 records and sent 0"):
        play(
            aitronos,
            aitronos.find_member(EMAIL),
            (list_users(search_term=EMAIL, include_deleted=True), answer(users(total=2))),
        )


@pytest.mark.parametrize(
    ("odd", "found"), [({"email": 7}, False), ({"email": "other@example.net", "id": 7.5}, True)]
)
def test_find_member_with_a_row_that_cannot_be_read(
    aitronos: Aitronos, odd: dict[str, Any], found: bool
) -> None:
    asked = list_users(search_term=EMAIL, include_deleted=True), answer(users({**row(), **odd}))
    if found:  # it is about somebody else
        assert play(aitronos, aitronos.find_member(EMAIL), asked) is None
    else:
        with pytest.raises(MalformedResponse, match="record 1"):
            play(aitronos, aitronos.find_member(EMAIL), asked)


def test_get_member(aitronos: Aitronos) -> None:
    member = play(aitronos, aitronos.get_member("orgusr_b1"), (GET_MEMBER, answer(row())))
    assert member == Member(
        id="orgusr_b1",
        email="guest1@example.net",
        name="Noor Example",
        user_id="usr_1",
        roles=(ROLE,),
        joined_at=datetime(2026, 2, 3, 10, tzinfo=UTC),
    )


def test_c11_remove_is_the_delete_that_can_be_undone(aitronos: Aitronos) -> None:
    request = Request.delete(*ORG, "users", "orgusr_b1", "delete")
    play(aitronos, aitronos.remove(MEMBER), (request, answer(None, 204)))


def test_restore(aitronos: Aitronos) -> None:
    request = Request.post(*ORG, "users", "orgusr_b1", "restore", effect=Effect.REPEATABLE)
    play(aitronos, aitronos.restore(MEMBER), (request, answer(None, 204)))


def test_search(aitronos: Aitronos) -> None:
    page = answer(users(row(), row("Deleted", 2), total=3))
    first = play(aitronos, aitronos.search("noor"), (list_users(search_term="noor"), page))
    assert first.next == "2/3"
    rest = list_users(2, search_term="noor", include_deleted=True)
    flow = aitronos.search("noor", first.next, include_deleted=True)
    assert play(aitronos, flow, (rest, answer(users(total=3, skip=2)))) == Page([], total=3)


# ---------------------------------------------------------------------- statuses


SET_STATUS = Request.put(*ORG, "users", "orgusr_b1", json={"status_id": "status_2"})


@pytest.mark.parametrize("word", ["Inactive", "inactive", "status_2"])
def test_set_status_by_word(aitronos: Aitronos, word: str) -> None:
    member = play(
        aitronos,
        aitronos.set_status(MEMBER, word),
        (LIST_STATUSES, answer(STATUSES)),
        (SET_STATUS, answer(row("Inactive"))),
    )
    assert member.state is MemberState.SUSPENDED


def test_c12_a_confirmation_instead_of_a_member_is_followed_by_a_look(aitronos: Aitronos) -> None:
    confirmation = {"success": True, "message": "ok", "id": "orgusr_b1", "user_id": "usr_1"}
    member = play(
        aitronos,
        aitronos.set_status(MEMBER, Status(id="status_2", name="Inactive")),
        (SET_STATUS, answer(confirmation)),
        (GET_MEMBER, answer(row("Inactive"))),
    )
    assert member.state is MemberState.SUSPENDED


def test_an_unknown_status_names_the_known_ones(aitronos: Aitronos) -> None:
    flow = aitronos.set_status(MEMBER, "Asleep")
    next(flow)
    with pytest.raises(InvalidArgument, match="Active, Inactive, InvitationSent, Deleted"):
        flow.send(answer(STATUSES))


# ---------------------------------------------------------------------- roles


LIST_ROLES = Request.get(*ORG, "roles")


def test_roles(aitronos: Aitronos) -> None:
    raw = [{"id": "role_1", "name": "Owner"}, {"id": "role_2", "name": "Our own"}]
    page = play(aitronos, aitronos.roles(), (LIST_ROLES, answer(raw)))
    assert page == Page([Role(id="role_1", name="Owner"), Role(id="role_2", name="Our own")])


@pytest.mark.parametrize(
    "reply", [row(), {"success": True, "message": "ok", "role_id": "role_5p1q"}], ids=["CM", "OM"]
)
def test_c12_assign_role_replaces_the_role_and_takes_either_answer(
    aitronos: Aitronos, reply: dict[str, Any]
) -> None:
    request = Request.put(*ORG, "users", "orgusr_b1", json={"role_id": "role_5p1q"})
    assert request.effect is Effect.REPEATABLE
    play(aitronos, aitronos.assign_role(MEMBER, ROLE), (request, answer(reply)))


@pytest.mark.parametrize(
    ("member", "id"), [(MEMBER, "usr_31fd"), (Member(id="usr_1", email=EMAIL), "usr_1")]
)
def test_unassign_role(aitronos: Aitronos, member: Member, id: str) -> None:
    request = Request.delete(*ORG, "roles", "role_5p1q", "members", id)
    play(aitronos, aitronos.unassign_role(member, ROLE), (request, answer(None, 204)))


def test_access_is_the_role_and_what_it_allows(aitronos: Aitronos) -> None:
    roles = [{"id": "role_5p1q", "name": "Member", "capabilities": ["view_members"]}]
    grants = play(
        aitronos,
        aitronos.access(MEMBER),
        (GET_MEMBER, answer(row())),
        (LIST_ROLES, answer(roles)),
    )
    described = Role(id="role_5p1q", name="Member", description="(allows: view_members)")
    assert grants == (Grant(role=described),)
    assert grants[0].role.raw == roles[0]


def test_access_of_a_role_that_is_not_listed(aitronos: Aitronos) -> None:
    grants = play(
        aitronos, aitronos.access(MEMBER), (GET_MEMBER, answer(row())), (LIST_ROLES, answer([]))
    )
    assert grants == (Grant(role=ROLE),)


def test_access_without_a_role_is_nothing(aitronos: Aitronos) -> None:
    assert play(aitronos, aitronos.access(MEMBER), (GET_MEMBER, answer(row(role=None)))) == ()


# ---------------------------------------------------------------------- only here


def test_bulk_resend_tells_who_failed(aitronos: Aitronos) -> None:
    body = {"user_ids": ["usr_31fd", "usr_77aa"]}
    request = Request.post(*ORG, "users", "resend-invitation-bulk", json=body)
    failure = {"id": "usr_77aa", "error": "Invitation already accepted"}
    reply = {"success_count": 1, "failure_count": 1, "failed_operations": [failure]}
    flow = aitronos.bulk_resend(["usr_31fd", "usr_77aa"])
    assert play(aitronos, flow, (request, answer(reply))) == BulkResend(
        sent=1,
        failed=1,
        failures=(ResendFailure(id="usr_77aa", reason="Invitation already accepted"),),
    )


def test_a_bulk_that_is_too_large_sends_nothing(aitronos: Aitronos) -> None:
    with pytest.raises(InvalidArgument, match="1001"):
        next(aitronos.bulk_resend(["usr_1"] * 1001))


@pytest.mark.parametrize("key", ["5d2b/..%7f", KEY, SecretStr(KEY)], ids=["odd", "str", "secret"])
def test_c10_a_key_is_opaque_secret_and_needs_no_credentials(
    aitronos: Aitronos, key: SecretStr | str
) -> None:
    secret = key if isinstance(key, SecretStr) else SecretStr(key)
    request = Request.get("v1", "invitations", "validate", secret, public=True)
    assert secret.get_secret_value() not in str(request) + repr(request)
    body = {
        "valid": True,
        "invitation_id": "inv_9c41",
        "email": EMAIL,
        "organization_id": "org_other",
        "organization_name": "Example Works",
        "role_id": "role_5p1q",
        "role_name": "Member",
        "expires_at": "2026-02-10T10:00:00Z",
    }
    flow = aitronos.validate_key(key)
    assert play(aitronos, flow, (request, answer(body))) == Invitation(
        id="inv_9c41",
        email=EMAIL,
        state=State.PENDING,
        roles=(ROLE,),
        organization_id="org_other",
        organization="Example Works",
        expires_at=datetime(2026, 2, 10, 10, tzinfo=UTC),
        key=secret,
    )


def test_a_key_that_is_not_valid_has_no_known_state(aitronos: Aitronos) -> None:
    flow = aitronos.validate_key(KEY)
    next(flow)
    with pytest.raises(StopIteration) as done:
        flow.send(answer({"valid": False, "invitation_id": "inv_1", "email": EMAIL}))
    assert done.value.value.state is State.UNKNOWN
    assert done.value.value.raw_state == "not valid"


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("response", "kind", "code"),
    [
        (refusal("INVALID_API_KEY", 401), Unauthorized, "INVALID_API_KEY"),
        (refusal("API_KEY_PAUSED", 401), Unauthorized, "API_KEY_PAUSED"),
        (refusal("ORGANIZATION_ACCESS_DENIED", 403), Forbidden, "ORGANIZATION_ACCESS_DENIED"),
        (refusal("CANNOT_DELETE_OWNER", 403), Forbidden, "CANNOT_DELETE_OWNER"),
        (refusal("ANYTHING_NEW", 404), NotFound, "ANYTHING_NEW"),
        (refusal("RESOURCE_ALREADY_EXISTS", 409), Conflict, "RESOURCE_ALREADY_EXISTS"),
        (refusal("X", 429), RateLimited, "X"),
        (refusal("X", 500), ServiceUnavailable, "X"),
        (Response(502, {"content-type": "text/html"}, b"<html>"), ServiceUnavailable, None),
        (Response(404, {}, b"not here"), NotFound, None),
    ],
)
def test_refusals_go_by_the_status(
    aitronos: Aitronos, response: Response, kind: type[GuestlistError], code: str | None
) -> None:
    error = aitronos.explain(response)
    assert type(error) is kind
    assert error.code == code


@pytest.mark.parametrize("status", [400, 422])
def test_c16_a_400_and_a_422_are_the_same(aitronos: Aitronos, status: int) -> None:
    assert type(aitronos.explain(refusal("VALIDATION_ERROR", status))) is Rejected


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(
    "message",
    [
        "Invitation already accepted",
        "This invitation has already been used",
        "User is already a member of the organization",
    ],
)
def test_c16_an_invitation_that_is_over_is_a_conflict(
    aitronos: Aitronos, status: int, message: str
) -> None:
    error = aitronos.explain(refusal("VALIDATION_ERROR", status, message))
    assert type(error) is Conflict
    assert error.message == message


def test_c17_a_422_with_a_list_of_details_is_read(aitronos: Aitronos) -> None:
    detail = [{"loc": ["body", "role_id"], "msg": "Field required", "type": "missing"}]
    error = aitronos.explain(answer({"detail": detail}, 422))
    assert type(error) is Rejected
    assert error.message == "role_id: Field required"


def test_c17_the_envelope_is_read(aitronos: Aitronos) -> None:
    error = aitronos.explain(refusal("VALIDATION_ERROR", 422, "Bad e-mail"))
    assert (error.message, error.code, error.request_id) == (
        "Bad e-mail",
        "VALIDATION_ERROR",
        "0d6c",
    )


def test_c6_a_403_says_whose_key_it_takes(aitronos: Aitronos) -> None:
    assert "Owner" in aitronos.explain(refusal("INSUFFICIENT_PERMISSIONS", 403)).hint
    assert "Owner" not in aitronos.explain(refusal("CANNOT_REMOVE_LAST_OWNER", 403)).hint


# ---------------------------------------------------------------------- answers of another shape


@pytest.mark.parametrize("body", [None, [], "text", 7, {}, {"email": EMAIL}, {"invitation_id": {}}])
def test_an_invitation_of_another_shape_is_an_ordinary_error(aitronos: Aitronos, body: Any) -> None:
    flow = aitronos.find_invitation(EMAIL)
    next(flow)
    with pytest.raises((KeyError, TypeError, ValueError, MalformedResponse)):
        flow.send(answer(body))


@pytest.mark.parametrize(
    "body", [None, [], {}, {"users": None}, {"users": {}}, {"users": ["x", {}]}]
)
def test_a_member_list_of_another_shape_is_an_ordinary_error(aitronos: Aitronos, body: Any) -> None:
    flow = aitronos.members()
    next(flow)
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError, MalformedResponse)):
        flow.send(answer(body))
