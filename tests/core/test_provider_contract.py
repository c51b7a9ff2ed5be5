"""What a plugin author relies on: requests, responses, operations, settings, explanations."""

from __future__ import annotations

import gc
import json
import types
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import httpx
import pytest
from pydantic import SecretStr

from guestlist import Guestlist, errors
from guestlist.errors import ConfigError, GuestlistError, MalformedResponse, Unsupported
from guestlist.exchange.account import Account, Budget
from guestlist.models import Invitation, Member, NewInvitation, Role, State
from guestlist.provider import (
    Effect,
    Flow,
    Options,
    Provider,
    Request,
    Response,
    explain,
    operation,
    setting,
)
from guestlist.provider.messages import Query
from guestlist.provider.operations import PHRASES

ORDER = NewInvitation(email="ada@example.com")
INVITATION = Invitation(id="i1", email="ada@example.com", state=State.PENDING)
MEMBER = Member(id="m1", email="ada@example.com")


class Minimal(Provider):
    """The least that is a provider."""

    name = "minimal"
    title = "Minimal"
    base_url: str = setting("Where", default="https://minimal.example")


# ---------------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("make", "method", "effect"),
    [
        (Request.get, "GET", Effect.READ),
        (Request.post, "POST", Effect.CREATE),
        (Request.put, "PUT", Effect.REPEATABLE),
        (Request.patch, "PATCH", Effect.CREATE),
        (Request.delete, "DELETE", Effect.REPEATABLE),
    ],
)
def test_effects(make: Callable[..., Request], method: str, effect: Effect) -> None:
    request = make("a", "b")
    assert (request.method, request.path, request.effect) == (method, ("a", "b"), effect)
    if method != "GET":  # which only reads
        assert make("a", effect=Effect.REPEATABLE).effect is Effect.REPEATABLE


def url(request: Request, provider: Provider | None = None) -> str:
    return Account("acme", provider or Minimal()).outgoing(request, Budget()).url


@pytest.mark.parametrize(
    ("segment", "written"),
    [
        ("a/b", "a%2Fb"),
        ("../../admin", "..%2F..%2Fadmin"),
        ("a?b#c", "a%3Fb%23c"),
        ("a%2Fb", "a%252Fb"),
        ("a b\n", "a%20b%0A"),
        ("ü", "%C3%BC"),
        ("a;b:c@d", "a%3Bb%3Ac%40d"),
        ("\\", "%5C"),
        ("...", "..."),
    ],
)
def test_no_identifier_leaves_its_segment(segment: str, written: str) -> None:
    request = Request.get("v1", segment, "end")
    assert url(request) == f"https://minimal.example/v1/{written}/end"


@pytest.mark.parametrize("segment", ["", ".", "..", SecretStr("..")])
def test_a_segment_that_would_change_the_path_is_refused(segment: str) -> None:
    with pytest.raises(
        errors.InvalidArgument, match=r"^GET /v1/…: segment 2 of the path is '\.*',"
    ):
        Request.get("v1", segment)


@pytest.mark.parametrize(("id", "named"), [("", "''"), (None, "NoneType"), (1.5, "float")])
def test_a_mistake_in_a_path_names_the_flow_and_the_segment(id: Any, named: str) -> None:
    class Acme(Minimal):
        @operation
        def get_member(self, id: str) -> Flow[Member]:
            yield Request.get("v1", "members", id)
            raise AssertionError("unreachable")

    with pytest.raises(errors.InvalidArgument) as caught:
        next(Acme().get_member(id))
    assert "Acme.get_member: GET /v1/members/…: segment 3 of the path is " + named in str(
        caught.value
    )


def test_a_service_may_want_a_slash_at_the_end_of_each_path() -> None:
    class Django(Minimal):
        trailing_slash = True

    account = Account("django", Django())
    assert account.address(Request.get("users", 7, query={"page": 2})) == (
        "https://minimal.example/users/7/?page=2"
    )
    assert account.describe(Request.get("users")) == "GET /users/"


def test_a_form_is_sent_in_place_of_json() -> None:
    account = Account("acme", Minimal())
    form: Query = {
        "email": "a+b@x.org",
        "notify": False,
        "name": None,
        "n": 2,
        "key": SecretStr("s&3cret"),
    }
    sent = account.outgoing(Request.post("v1", form=form), Budget())
    assert sent.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert sent.content == b"email=a%2Bb%40x.org&notify=false&n=2&key=s%263cret"
    assert account.redact("it was s&3cret") == "it was ********"
    for made in (Request.put, Request.patch):
        assert account.outgoing(made("v1", form={"a": "ü"}), Budget()).content == b"a=%C3%BC"
    with pytest.raises(TypeError, match="POST /v1 has a JSON body and a form"):
        Request.post("v1", form={}, json={})


def test_a_delete_may_have_a_body() -> None:
    class Roles(Minimal):
        @operation
        def unassign_role(self, member: Member, role: Role) -> Flow[None]:
            yield Request.delete("members", member.id, "roles", json=[{"id": role.id}])

    bodies: list[tuple[str, bytes, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append((request.method, request.content, request.headers["content-type"]))
        return httpx.Response(204)

    with Guestlist({"acme": Roles()}, transport=httpx.MockTransport(answer)) as guests:
        member = Member(id="m", email="ada@example.com")
        guests.call(Roles.unassign_role, member, Role(id="r"))
    assert bodies == [("DELETE", b'[{"id":"r"}]', "application/json")]


def test_a_whole_number_is_a_segment() -> None:
    request = Request.get("roles", 12, SecretStr("s3cr3t"))
    assert url(request) == "https://minimal.example/roles/12/s3cr3t"
    assert request.path[:2] == ("roles", "12")
    assert str(request) == "GET /roles/12/**********"


@pytest.mark.parametrize("segment", [None, True, 1.5, ["a"], b"a"])
def test_an_invalid_segment_is_refused_where_the_request_is_built(segment: Any) -> None:
    kind = type(segment).__name__
    with pytest.raises(errors.InvalidArgument, match=rf"^GET /roles/…: .* is {kind}, and has"):
        Request.get("roles", segment, "x")


def test_a_path_before_the_service_s_own_is_kept() -> None:
    provider = Minimal(base_url="https://gateway.example/acme/")
    assert url(Request.get("v1"), provider) == "https://gateway.example/acme/v1"


def test_query() -> None:
    query: Query = {
        "a": "x&y=z",
        "n": 7,
        "yes": True,
        "no": False,
        "left_out": None,
        "k": SecretStr("s"),
    }
    assert url(Request.get("v1", query=query)).partition("?")[2] == (
        "a=x%26y%3Dz&n=7&yes=true&no=false&k=s"
    )
    assert url(Request.get("v1", query={"left_out": None})).endswith("/v1")


def test_body_and_headers() -> None:
    account = Account("acme", Minimal())
    sent = account.outgoing(Request.post("v1", json={"ü": None}), Budget())
    assert sent.content == '{"ü":null}'.encode()
    assert sent.headers["Content-Type"] == "application/json"
    assert sent.headers["Accept"] == "application/json"
    assert sent.headers["User-Agent"].startswith("guestlist/")
    without = account.outgoing(Request.post("v1"), Budget())
    assert without.content is None
    assert "Content-Type" not in without.headers
    assert account.outgoing(Request.post("v1", json={}), Budget()).content == b"{}"


def test_credentials_go_along_unless_public(acme: Any) -> None:
    account = Account("acme", acme())
    sent = account.outgoing(Request.get("v1"), Budget())
    assert sent.headers["Authorization"] == "Bearer hunter2-hunter2"
    assert "hunter2" not in repr(sent)
    public = account.outgoing(Request.get("v1", public=True), Budget())
    assert "Authorization" not in public.headers


def test_credentials_that_no_header_can_carry(acme: Any) -> None:
    account = Account("acme", acme(api_key="schlüssel"))
    with pytest.raises(ConfigError, match="cannot be sent") as caught:
        account.outgoing(Request.get("v1"), Budget())
    assert "schl" not in str(caught.value)


def test_secrets_in_a_request_do_not_show() -> None:
    request = Request.get("keys", SecretStr("s3cr3t"), query={"k": SecretStr("s3cr3t")})
    assert "s3cr3t" not in f"{request} {request!r}"
    assert str(request) == "GET /keys/**********"


# ---------------------------------------------------------------------------- responses


def test_json() -> None:
    assert Response(200, {}, b'{"a": [1, 2.5, null]}').json() == {"a": [1, 2.5, None]}


@pytest.mark.parametrize(
    ("headers", "content", "what"),
    [
        ({}, b"", "it is empty"),
        ({"content-type": "text/html"}, b"<html>", "6 bytes of text/html"),
        ({}, b"<html>", "6 bytes without a content type"),
    ],
)
def test_an_answer_that_is_not_json_is_described(
    headers: dict[str, str], content: bytes, what: str
) -> None:
    with pytest.raises(MalformedResponse) as caught:
        Response(200, headers, content).json()
    assert caught.value.message == f"the answer is not JSON: {what}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><body>Bad gateway",
        b'{"a": 1',
        b"\xff\xfe",
        b"{'a': 1}",
        b"[" * 100_000,
        b'{"a": 1} trailing',
    ],
)
def test_what_is_not_json_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedResponse, match="not JSON") as caught:
        Response(200, {"content-type": "text/html"}, content).json()
    assert caught.value.status == 200
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("body", "envelopes", "found"),
    [
        ({"id": 1}, (), {"id": 1}),
        ({"invite": {"id": 1}}, ("invitation", "invite"), {"id": 1}),
        ({"invitation": None, "invite": {"id": 1}}, ("invitation", "invite"), {"id": 1}),
        ({"invitation": "text"}, ("invitation",), {"invitation": "text"}),
    ],
)
def test_mapping(body: Any, envelopes: tuple[str, ...], found: Any) -> None:
    assert Response(200, {}, json.dumps(body).encode()).mapping(*envelopes) == found


@pytest.mark.parametrize(
    ("body", "word"),
    [([], "list"), ("x", "string"), (7, "number"), (True, "boolean"), (None, "null")],
)
def test_no_mapping(body: Any, word: str) -> None:
    with pytest.raises(MalformedResponse, match=f"a JSON {word} where an object"):
        Response(200, {}, json.dumps(body).encode()).mapping("invitation")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ([{"id": 1}], [{"id": 1}]),
        ({"invites": [{"id": 1}]}, [{"id": 1}]),
        ({"invitations": [], "invites": [{"id": 1}]}, [{"id": 1}]),
    ],
)
def test_items(body: Any, found: Any) -> None:
    response = Response(200, {}, json.dumps(body).encode())
    assert response.items("invites", "invitations") == found


@pytest.mark.parametrize("body", [{}, {"invites": None}, {"invites": {}}, [1], "x", None])
def test_no_items(body: Any) -> None:
    with pytest.raises(MalformedResponse, match="no list of invites"):
        Response(200, {}, json.dumps(body).encode()).items("invites")


# ---------------------------------------------------------------------------- operations


class Careless(Minimal):
    """Makes the mistakes that no type checker sees."""

    @operation
    def forgets_to_yield(self) -> Flow[None]:
        Request.post("forgotten")
        yield Request.get("sent")

    @operation
    def forgets_to_run(self) -> Flow[None]:
        self.careful()
        yield Request.get("sent")

    @operation
    def careful(self) -> Flow[str]:
        first = yield Request.get("one")
        assert first.status == 200
        return (yield from self.helper())

    @operation
    def helper(self) -> Flow[str]:
        unsent = Request.get("two")
        try:
            yield unsent
        except errors.NotFound:
            return "absent"
        return "present"

    @operation
    def no_generator(self) -> Flow[None]:
        return None  # type: ignore[return-value]


def play(flow: Flow[Any], *answers: Response | GuestlistError) -> Any:
    try:
        next(flow)
        for answer in answers:
            flow.throw(answer) if isinstance(answer, GuestlistError) else flow.send(answer)
    except StopIteration as done:
        return done.value
    raise AssertionError("the flow wants more")


def test_a_request_that_is_built_and_never_yielded_warns() -> None:
    with pytest.warns(UserWarning, match=r"forgets_to_yield built POST /forgotten and never"):
        play(Careless().forgets_to_yield(), Response(200))


def test_a_flow_that_is_never_run_warns() -> None:
    def run() -> None:
        play(Careless().forgets_to_run(), Response(200))
        gc.collect()

    with pytest.warns(UserWarning, match=r"careful was called and never run: `yield from`"):
        run()


def test_a_careful_flow_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert play(Careless().careful(), Response(200), Response(200)) == "present"
        assert play(Careless().careful(), Response(200), errors.NotFound("no")) == "absent"
        Careless().careful().close()
        gc.collect()


def test_two_flows_at_the_same_time_do_not_mix_up_their_requests() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one, other = Careless().careful(), Careless().careful()
        assert str(next(one)) == str(next(other)) == "GET /one"
        assert str(one.send(Response(200))) == str(other.send(Response(200))) == "GET /two"
        one.close()
        other.close()


@pytest.mark.parametrize(
    ("fact", "value"),
    [("organization_settings", ("tenant",)), ("one_of", (("base_url", "tenant"),))],
)
def test_a_fact_names_existing_settings(fact: str, value: Any) -> None:
    """Otherwise a plan with two accounts would end with an AttributeError."""
    with pytest.raises(TypeError, match=f"Tenants.{fact} names 'tenant', which is not a setting"):
        types.new_class("Tenants", (Provider,), exec_body=lambda body: body.update({fact: value}))


def test_a_misspelled_fact_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Typo.counts_seat is not a fact.*'counts_seats'\?"):

        class Typo(Provider):
            counts_seat: ClassVar[bool] = True


def test_an_operation_has_to_yield() -> None:
    with pytest.raises(TypeError, match=r"Careless.no_generator is not a generator"):
        Careless().no_generator()


# ---------------------------------------------------------------------------- what it supports


class Some(Minimal):
    """Offers two things and says what to do instead of a third."""

    substitutes: ClassVar[dict[str, str]] = {"revoke": "Let it expire."}

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation | Member]:
        yield Request.post("invites")
        return INVITATION

    @operation
    def extra(self) -> Flow[None]:
        yield Request.post("extra")


class Inheriting(Some):
    """A stranger's variation."""


@pytest.mark.parametrize("kind", [Some, Inheriting])
def test_operations_are_the_capabilities(kind: type[Provider]) -> None:
    assert kind.operations() == ("extra", "invite")
    assert kind.supports("invite")
    assert not kind.supports("revoke")
    assert not kind.supports("name")
    assert not kind.supports("no such thing")


DEFAULTS: dict[str, tuple[Any, ...]] = {
    "organization": (),
    "invite": (ORDER,),
    "resend": (INVITATION,),
    "revoke": (INVITATION,),
    "get_invitation": ("i1",),
    "find_invitation": ("ada@example.com",),
    "invitations": (),
    "invitation_summaries": (),
    "change_invitation": (INVITATION, (Role(id="r1"),)),
    "get_member": ("m1",),
    "find_member": ("ada@example.com",),
    "members": (),
    "remove": (MEMBER,),
    "roles": (),
    "assign_role": (MEMBER, Role(id="r1")),
    "unassign_role": (MEMBER, Role(id="r1")),
    "access": (MEMBER,),
    "own_access": (),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_is_not_defined_is_unsupported(name: str) -> None:
    assert not Minimal.supports(name)
    with pytest.raises(Unsupported, match=f"Minimal offers no way to {PHRASES[name]}"):
        getattr(Minimal(), name)(*DEFAULTS[name])


def test_the_substitute_is_named() -> None:
    assert (
        str(Some.unsupported("revoke"))
        == "Minimal offers no way to revoke an invitation. Let it expire."
    )
    assert str(Some.unsupported("roles")) == "Minimal offers no way to list roles."


# ---------------------------------------------------------------------------- settings


class Settled(Minimal):
    """Has a required secret and an optional setting."""

    title = "Settled"
    api_key: str = setting("A key", env="SETTLED_KEY", secret=True)
    size: int = setting("A number", env="SETTLED_SIZE", default=3)


@pytest.fixture(autouse=True)
def _no_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SETTLED_KEY", "SETTLED_SIZE"):
        monkeypatch.delenv(name, raising=False)


def test_settings_come_from_code_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settled(api_key="abc").size == 3
    monkeypatch.setenv("SETTLED_KEY", "from outside")
    monkeypatch.setenv("SETTLED_SIZE", "7")
    outside = Settled()
    assert (outside.api_key, outside.size) == ("from outside", 7)
    assert Settled(api_key="abc").api_key == "abc"
    monkeypatch.setenv("SETTLED_SIZE", "")
    assert Settled(api_key="abc").size == 3


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, r"Settled: api_key: it is missing \(or set SETTLED_KEY\)"),
        ({"api_key": "s3cr3t", "apikey": "s3cr3t"}, "there is no setting 'apikey'"),
        ({"api_key": ""}, "api_key: it is empty"),
        ({"api_key": "  "}, "api_key: it is empty"),
        ({"api_key": "s3cr3t\n"}, "api_key: it begins or ends with whitespace"),
        ({"api_key": " s3cr3t"}, "api_key: it begins or ends with whitespace"),
        ({"api_key": "s3\x00cr3t"}, "api_key: it contains a control character"),
        ({"api_key": "s3\u200bcr3t"}, "api_key: it contains a control character"),
        ({"api_key": ["s3cr3t"]}, "api_key: it has to be a valid string"),
        ({"api_key": "s3cr3t", "size": "s3cr3t"}, "size: it has to be a valid integer"),
    ],
)
def test_invalid_settings_are_reported_without_their_values(given: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        Settled(**given)
    assert "s3cr3t" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint in (
        "api_key: A key.",
        "size: A number.",
        "The settings are: base_url, api_key, size.",
    )
    assert caught.value.__cause__ is None


class Either(Minimal):
    one_of = (("group", "project"),)
    group: str | None = setting("Group", env="EITHER_GROUP", default=None)
    project: str | None = setting("Project", env="EITHER_PROJECT", default=None)


@pytest.mark.parametrize("given", [{}, {"group": "g", "project": "p"}])
def test_an_account_has_exactly_one_of_several_settings(given: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Either(**given)
    assert str(caught.value).startswith(
        "Minimal: it needs exactly one of the settings group and project."
    )


def test_a_setting_that_is_given_comes_before_an_alternative_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EITHER_GROUP", "g")
    assert (Either().group, Either().project) == ("g", None)
    assert (Either(project="p").group, Either(project="p").project) == (None, "p")


def test_secret_settings_do_not_show() -> None:
    provider = Settled(api_key="s3cr3t")
    shown = f"{provider} {provider!r} {provider.model_dump()} {provider.model_dump_json()}"
    assert "s3cr3t" not in shown
    assert provider.secrets() == ("s3cr3t",)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.example.com",
        "https://api.example.com:8443/base",
        "HTTPS://api.example.com",
        "http://localhost:8031",
        "http://vultr.localhost",
        "http://127.0.0.1:8031",
        "http://127.8.0.9",
        "http://[::1]:8031",
    ],
)
def test_base_urls(base_url: str) -> None:
    assert Minimal(base_url=base_url).base_url == base_url
    assert Minimal(base_url=base_url + "/").base_url == base_url


@pytest.mark.parametrize(
    ("base_url", "why"),
    [
        ("http://api.example.com", "plain http"),
        ("http://0.0.0.0:8031", "plain http"),
        ("http://localhost.example.com", "plain http"),
        ("http://127.0.0.1.example.com", "plain http"),
        ("http://10.0.0.1", "plain http"),
        ("api.example.com", "has to be a URL"),
        ("ftp://api.example.com", "has to be a URL"),
        ("https://", "has to be a URL"),
        ("file:///etc/passwd", "has to be a URL"),
        ("https://user:s3cr3t@api.example.com", "credentials"),
        ("https://good.example\\@evil.example", "credentials"),
        ("https://api.example.com?x=1", "query"),
        ("https://api.example.com#x", "fragment"),
        ("https://api.example.com:99999", "Port|port"),
        ("https://[::1", "IPv6"),
        ("https://api.exam ple.com", "whitespace"),
        ("https://api.exam\nple.com", "whitespace|control"),
        ("", "empty|URL"),
    ],
)
def test_base_urls_that_cannot_be(base_url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        Minimal(base_url=base_url)
    assert "base_url" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_options_are_exact() -> None:
    class Own(Options):
        api_enabled: bool = False

    with pytest.raises(ValueError, match="Extra inputs"):
        Own.model_validate({"api_enable": True})


# ---------------------------------------------------------------------------- explanations


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.Rejected),
        (401, errors.Unauthorized),
        (402, errors.Rejected),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (405, errors.Rejected),
        (408, errors.ServiceUnavailable),
        (409, errors.Conflict),
        (410, errors.NotFound),
        (418, errors.Rejected),
        (422, errors.Rejected),
        (429, errors.RateLimited),
        (500, errors.ServiceUnavailable),
        (501, errors.Rejected),
        (502, errors.ServiceUnavailable),
        (503, errors.ServiceUnavailable),
        (599, errors.ServiceUnavailable),
    ],
)
def test_statuses(status: int, kind: type[GuestlistError]) -> None:
    error = explain(Response(status))
    assert type(error) is kind
    assert error.message == f"the service answered {status}"
    assert error.status == status


BODIES: list[tuple[Any, str, str | None]] = [
    ({"error": "no such thing"}, "no such thing", None),
    ({"message": "no such thing", "code": "E7"}, "no such thing", "E7"),
    ({"error": {"message": "no such thing", "code": 7}}, "no such thing", "7"),
    ({"error": "bad", "error_description": "no such thing"}, "no such thing", "bad"),
    ({"errorMessage": "no such thing"}, "no such thing", None),
    (  # RFC 9457
        {"type": "about:blank", "title": "Bad", "status": 400, "detail": "no such thing"},
        "no such thing",
        None,
    ),
    (  # JSON:API
        {"errors": [{"status": "422", "code": "E7", "title": "Bad", "detail": "no such thing"}]},
        "no such thing",
        "E7",
    ),
    (  # SCIM
        {"schemas": ["x:Error"], "status": "409", "scimType": "uniqueness", "detail": "taken"},
        "taken",
        "uniqueness",
    ),
    # Django REST framework
    (["no such thing", "at all"], "no such thing; at all", None),
    (
        {"email": ["not valid"], "name": ["required", "odd"]},
        "email: not valid; name: required; name: odd",
        None,
    ),
    ({"non_field_errors": ["no such thing"]}, "no such thing", None),
    ({"errors": [{"message": "no such thing", "code": "E7"}]}, "no such thing", "E7"),
    ({"errors": ["no such thing"]}, "no such thing", None),
    ({"detail": "no such thing"}, "no such thing", None),
    ({"title": "no such thing"}, "no such thing", None),
    (
        {"detail": [{"loc": ["body", "email"], "msg": "not valid"}, {"loc": [], "msg": "odd"}]},
        "email: not valid; odd",
        None,
    ),
    ({"detail": [7]}, "7", None),
    ({"code": "E7"}, "E7", "E7"),
    ({"message": "two\nlines"}, "two lines", None),
    ({"message": None, "error": [], "errors": {}}, "the service answered 400", None),
    ([], "the service answered 400", None),
    ("no such thing", '"no such thing"', None),
]


@pytest.mark.parametrize(("body", "message", "code"), BODIES)
def test_error_bodies(body: Any, message: str, code: str | None) -> None:
    error = explain(Response(400, {}, json.dumps(body).encode()))
    assert (error.message, error.code) == (message, code)


def test_a_provider_can_set_the_text_of_an_error() -> None:
    answer = Response(409, {}, b'{"message": "E_4711", "code": "E_4711"}')
    error = explain(answer, errors.Conflict, "Wait.", "the seat is being freed")
    assert (error.message, error.code, error.hint) == ("the seat is being freed", "E_4711", "Wait.")


def test_plain_text_is_quoted_and_html_is_not() -> None:
    assert explain(Response(500, {}, b"out of order")).message == "out of order"
    assert explain(Response(500, {}, b"<html>out")).message == "the service answered 500"
    html = Response(500, {"content-type": "text/html"}, b"out of order")
    assert explain(html).message == "the service answered 500"


def test_a_long_story_is_cut_between_words() -> None:
    error = explain(Response(400, {}, json.dumps({"message": "word " * 10_000}).encode()))
    assert len(error.message) <= 500
    assert error.message.endswith("word")


@pytest.mark.parametrize(
    ("headers", "body", "id"),
    [
        ({"x-request-id": "r1"}, {}, "r1"),
        ({"cf-ray": "r2"}, {}, "r2"),
        ({}, {"trace_id": "r3"}, "r3"),
        ({}, {"error": {"request_id": "r4"}}, "r4"),
        ({"x-request-id": "r1"}, {"trace_id": "r3"}, "r1"),
        ({}, {"trace_id": 7}, None),
    ],
)
def test_request_ids(headers: dict[str, str], body: Any, id: str | None) -> None:
    assert explain(Response(500, headers, json.dumps(body).encode())).request_id == id


def test_a_provider_may_know_better() -> None:
    error = explain(Response(400), errors.NotFound, "Look elsewhere.")
    assert isinstance(error, errors.NotFound)
    assert error.hint == "Look elsewhere."


@pytest.mark.parametrize(
    ("most", "now", "deferred"),
    [(None, "abc", ""), (0, "", "abc"), (1, "a", "bc"), (3, "abc", ""), (5, "abc", "")],
)
def test_roles_beyond_the_most_that_an_invitation_takes_are_deferred(
    most: int | None, now: str, deferred: str
) -> None:
    class Some(Minimal):
        most_roles = most

    assert Some.split_roles("abc") == (tuple(now), tuple(deferred))
