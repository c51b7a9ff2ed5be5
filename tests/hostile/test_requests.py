"""What a caller passes stays where it belongs: no id, name, option or cursor changes a request."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import pytest
from hypothesis import assume, example, given, note, settings
from hypothesis import strategies as st
from tests.hostile.answers import Case, act, cases_of, providers, repeated, with_secret
from tests.pacing.traffic import BASE_URL, SimulatedTime

from guestlist import verbs
from guestlist.address import check_email, email_key
from guestlist.errors import ConfigError, GuestlistError, InvalidArgument
from guestlist.exchange.account import Account, Budget
from guestlist.exchange.policy import run
from guestlist.exchange.step import Outgoing, Send, Steps
from guestlist.models import Invitation, Member, NewInvitation, Role, State
from guestlist.provider import Provider, Request, Response
from guestlist.verbs import Accounts

ATTACKS = [
    "/",
    "a/b",
    "../../admin",
    "..",
    ".",
    "%2e%2e",
    "%2F..%2Fadmin",
    "a?admin=1",
    "a#b",
    "a;b=c",
    "a&per_page=1",
    "a\r\nX-Injected: yes",
    "a\nHost: evil.example",
    "\x00",
    "a\x7fb",
    "@evil.example",
    "//evil.example/",
    "https://evil.example/",
    "\\\\evil.example\\",
    "é",
    "\u202e\u2066",
    "\ud800",
    "x" * 5000,
    "",
    " ",
    "\t",
    "${7*7}",
    "' OR 1=1 --",
]
WORDS = st.sampled_from(ATTACKS) | st.text(max_size=30)


def outgoing(provider: Provider, request: Request) -> Outgoing:
    return Account("a", provider, SimulatedTime()).outgoing(request, Budget())


@given(segments=st.lists(WORDS, min_size=1, max_size=4), query=st.dictionaries(WORDS, WORDS))
@example(segments=["a\r\nb"], query={"a&b": "c&d=e"})
def test_a_request_says_what_was_meant(segments: list[str], query: dict[str, str]) -> None:
    provider = providers()["vultr"]
    try:
        made = outgoing(provider, Request.get(*segments, query=query))
    except InvalidArgument:
        text = "".join([*segments, *query, *query.values()])
        broken = any(0xD800 <= ord(letter) < 0xE000 for letter in text)
        assert broken or {"", ".", ".."} & set(segments)
        return
    parts = urlsplit(made.url)
    assert f"{parts.scheme}://{parts.netloc}" == BASE_URL
    assert [unquote(part) for part in parts.path[1:].split("/")] == segments
    assert dict(parse_qsl(parts.query, keep_blank_values=True)) == query
    assert made.url.isascii()
    assert made.url.isprintable()
    assert " " not in made.url


@given(body=st.recursive(WORDS, lambda inner: st.dictionaries(WORDS, inner), max_leaves=8))
def test_a_body_says_what_was_meant(body: Any) -> None:
    try:
        made = outgoing(providers()["vultr"], Request.post("v2", json=body))
    except InvalidArgument:
        assert "\\ud" in json.dumps(body)
        return
    assert json.loads(made.content or b"") == body


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_body_is_json_or_not_sent(number: float) -> None:
    with pytest.raises(InvalidArgument):
        outgoing(providers()["vultr"], Request.post("v2", json={"limit": number}))


def hostile_arguments(word: str) -> dict[str, Any]:
    role = Role(id=word, name=word, kind="group")
    return {
        "Role": role,
        "NewInvitation": NewInvitation(email="ada@example.com", roles=(role,)),
        "Invitation": Invitation(
            id=word, email="ada@example.com", state=State.PENDING, roles=(role,), user_id=word
        ),
        "Member": Member(id=word, email="ada@example.com", roles=(role,), user_id=word),
        "str": word,
    }


@pytest.mark.parametrize("name", providers())
@settings(max_examples=settings().max_examples // 2)
@given(word=WORDS)
def test_no_id_leaves_its_place(name: str, word: str) -> None:
    """Every operation of every provider: all that is sent goes to the account's own origin, below
    the paths that the same operation uses for a harmless word."""
    assume(word)  # some operations look up an id that is missing
    for case in cases_of(name):
        note(f"operation: {case}")
        check_that_it_stays(case, word)


def check_that_it_stays(case: Case, word: str) -> None:
    """What an operation sends for a word differs from what it sends for another in the word."""
    at = "@" if word.startswith("@") else ""  # a login, which some operations look up elsewhere
    harmless, hostile = _sent(case, f"{at}harmless"), _sent(case, word)
    assert [one.method for one in hostile] == [one.method for one in harmless][: len(hostile)]
    for one, same in zip(hostile, harmless, strict=False):
        parts, expected = urlsplit(one.url), urlsplit(same.url)
        assert (parts.scheme, parts.netloc) == (expected.scheme, expected.netloc)
        assert parts.path.count("/") == expected.path.count("/")
        assert parse_qs(parts.query).keys() <= parse_qs(expected.query).keys()
        assert not parts.fragment
        assert "\r" not in one.url + "".join(one.headers.values())
        assert one.headers == same.headers


def _sent(case: Case, word: str) -> list[Outgoing]:
    """What an operation sends when every word that it is given is this one."""
    method = getattr(case.provider, case.operation)
    values = hostile_arguments(word)
    arguments = {}
    for name, parameter in inspect.signature(method).parameters.items():
        kind = str(parameter.annotation)
        if parameter.default is inspect.Parameter.empty:
            arguments[name] = values.get(kind, True if kind == "bool" else word)
            if "Sequence" in kind:
                arguments[name] = [word]
            if kind == "tuple[Role, ...]":
                arguments[name] = (values["Role"],)
    seen: list[Outgoing] = []

    def plan(accounts: Accounts) -> Steps[Any]:
        steps = run(accounts.call(None), method(**arguments))
        result: Any = None
        while True:
            try:
                step = steps.send(result)
            except StopIteration as done:
                return done.value
            if isinstance(step, Send):
                seen.append(step.outgoing)
            result = yield step

    act(case.provider, plan, repeated([Response(404, {}, b"{}")]))
    return seen


# ---------------------------------------------------------------------------- what verbs are given


@given(address=WORDS | st.emails() | st.builds("{}@{}".format, WORDS, WORDS))
def test_an_address_is_refused_or_sent_as_typed(address: str) -> None:
    try:
        typed = check_email(address)
    except InvalidArgument:
        return
    assert typed == address.strip()
    assert email_key(typed) == email_key(email_key(typed))
    assert not any(letter.isspace() or not letter.isprintable() for letter in typed)


@pytest.mark.parametrize("provider", providers().values(), ids=lambda one: one.name)
@given(word=WORDS, email=WORDS)
def test_verbs_take_any_word(provider: Provider, word: str, email: str) -> None:
    plans: list[Callable[[Accounts], Steps[Any]]] = [
        lambda a: verbs.invite(a, email, role=word),
        lambda a: verbs.invite(a, "ada@example.com", role=word),
        lambda a: verbs.invite(a, "ada@example.com", options={word: word}),
        lambda a: verbs.invite(a, "ada@example.com", if_exists=word),  # type: ignore[arg-type]
        lambda a: verbs.invite(a, "ada@example.com", account=word),
        lambda a: verbs.status(a, word),
        lambda a: verbs.assign_role(a, word, word),
    ]
    for plan in plans:
        told = act(provider, plan, repeated([Response(404, {}, b"{}")]))
        assert isinstance(told.error, GuestlistError) or told.value is not None
        if told.error is not None:
            assert len(str(told.error).splitlines()) == 1


@pytest.mark.parametrize("key", ["a\nb", "a\r\nX: 1", "a\x00b", "é", "\u202e"])
@pytest.mark.parametrize("name", [name for name, one in providers().items() if one.authorize()])
def test_a_key_cannot_make_a_header(name: str, key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        outgoing(with_secret(providers()[name], key), Request.get("v2"))
    assert key not in str(refused.value)


@given(url=WORDS | st.builds("https://{}/{}".format, WORDS, WORDS))
def test_a_base_url_is_an_origin_or_refused(url: str) -> None:
    kind = type(providers()["vultr"])
    try:
        made = kind(**dict(providers()["vultr"]) | {"base_url": url})
    except ConfigError:
        return
    parts = urlsplit(made.base_url)
    assert parts.scheme == "https"
    assert parts.hostname
    assume(parts.port is None or parts.port > 0)
    assert not parts.query
    assert not parts.fragment
    assert not parts.username


# ---------------------------------------------------------------------------- other origins


NEXT = "https://evil.example/v2/invitation?cursor=stolen"


def test_a_next_link_elsewhere_is_only_a_cursor() -> None:
    """It goes to the account's own origin, as one parameter."""
    seen: list[str] = []

    def answers(number: int) -> Response:
        following = NEXT if number == 0 else ""
        page = {"invites": [{"id": f"i{number}", "email_invited": "a@example.com"}]}
        return Response(
            200, {}, json.dumps({**page, "meta": {"links": {"next": following}}}).encode()
        )

    def plan(accounts: Accounts) -> Steps[Any]:
        walk = verbs.invitations(accounts)
        while True:
            steps, result = walk.more(), None
            while True:
                try:
                    step = steps.send(result)
                except StopIteration as done:
                    if done.value is None:
                        return None
                    break
                if isinstance(step, Send):
                    seen.append(step.outgoing.url)
                result = yield step

    act(providers()["vultr"], plan, answers)
    assert len(seen) == 2
    assert all(url.startswith(f"{BASE_URL}/v2/invitation?") for url in seen)
    assert parse_qs(urlsplit(seen[1]).query)["cursor"] == [NEXT]
