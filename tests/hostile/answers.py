"""Every operation of every provider against answers that no service should give.

Nothing is known here about a provider beyond its contract: operations are found by walking the
class, their arguments are made from the types of their parameters, genuine answers are recorded
from the provider's own sandbox, and then mutated.
"""

from __future__ import annotations

import copy
import functools
import inspect
import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from hypothesis import strategies as st
from tests.pacing.traffic import BASE_URL, SimulatedTime

from guestlist.errors import GuestlistError
from guestlist.exchange.account import Account, Budget, Call
from guestlist.exchange.policy import Verdict, judge, run
from guestlist.exchange.step import Acquire, Block, Release, Send, SendFailure, Sleep, Steps
from guestlist.models import Invitation, Member, NewInvitation, Role, State
from guestlist.plugins import installed
from guestlist.provider import Effect, Flow, Provider, Request, Response, Token
from guestlist.provider.settings import is_secret
from guestlist.sandbox.service import Service
from guestlist.verbs import Accounts
from pytest_guestlist.calling import ServiceWire

ENDLESS = 2000
"""Requests after which an operation that goes on asking is taken to hang."""

T = TypeVar("T")
Answer = Response | SendFailure
Answers = Callable[[int], Answer]
"""What the request of that number, from 0, is answered with."""


class Hang(AssertionError):
    """An operation goes on and on."""


# ---------------------------------------------------------------------------- operations


@dataclass(frozen=True)
class Case:
    """One operation of one provider."""

    provider: Provider
    operation: str
    recorded: tuple[Response, ...] = field(default=(), repr=False)
    """What the provider's sandbox answers to it, where the case was made there."""
    arguments: Mapping[str, Any] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.provider.name}.{self.operation}"

    def flow(self) -> Any:
        method = getattr(self.provider, self.operation)
        return method(**(_arguments(method) if self.arguments is None else self.arguments))


def _arguments(method: Callable[..., Any]) -> dict[str, Any]:
    """Something of the type of each parameter that has no default."""
    made: dict[str, Any] = {}
    for name, parameter in inspect.signature(method).parameters.items():
        if parameter.default is inspect.Parameter.empty:
            made[name] = _value(name, str(parameter.annotation))
    return made


def _value(name: str, kind: str) -> Any:
    if kind in ("Invitation", "Member", "Role", "NewInvitation"):
        return VALUES[kind]
    if kind == "tuple[Role, ...]":
        return (VALUES["Role"],)
    if "Sequence" in kind:
        return ["usr_1", "usr_2"]
    if kind == "bool":
        return True
    if "email" in name:
        return "ada@example.com"
    if "str" in kind:
        return "id_1"
    raise TypeError(f"no value for {name}: {kind}")


ROLE = Role(id="role_1", name="Viewer", kind="group")
VALUES: dict[str, Any] = {
    "Role": ROLE,
    "NewInvitation": NewInvitation(email="ada@example.com", roles=(ROLE,)),
    "Invitation": Invitation(
        id="inv_1", email="ada@example.com", state=State.PENDING, roles=(ROLE,), user_id="usr_1"
    ),
    "Member": Member(id="usr_1", email="ada@example.com", roles=(ROLE,)),
}


@functools.cache
def providers() -> dict[str, Provider]:
    """One account of each installed provider; what a setting lacks is made up."""
    made = {}
    for name, kind in installed().providers.items():
        settings = {
            field: f"made-up-{field}"
            for field, info in kind.model_fields.items()
            if info.is_required() or field in {"api_key", *(one[0] for one in kind.one_of)}
        }
        made[name] = kind(**{**settings, "base_url": BASE_URL})
    return made


def with_secret(provider: Provider, secret: str) -> Provider:
    """Returns the account with another secret in the place of its own."""
    fields = type(provider).model_fields
    name = next(
        name
        for name, info in fields.items()
        if is_secret(info) and getattr(provider, name) is not None
    )
    return provider.model_copy(update={name: secret})


def cases() -> list[Case]:
    return [case for name in providers() for case in cases_of(name)]


def cases_of(name: str) -> list[Case]:
    """The operations of one provider."""
    provider = providers()[name]
    return [Case(provider, operation) for operation in provider.operations()]


# ---------------------------------------------------------------------------- running


def account_of(provider: Provider, time: SimulatedTime, **more: Any) -> Account:
    """Returns an account. If the provider fetches access tokens, the account has one, so that the
    answers of a case are to the requests of its operation."""
    account = Account("account", provider, time, random=random.Random(0), **more)
    if provider.supports("fetch_token"):
        account.keep_token(Token("made-up-token"), time.monotonic())
    return account


@dataclass
class Told:
    """What an operation or verb came to, and what had been answered to what.

    Attributes:
        value: what was returned; None where `error` was raised.
        answers: each request's effect with the answer that it got.
    """

    value: Any = None
    error: GuestlistError | None = None
    answers: list[tuple[Effect, Answer]] = field(default_factory=list)

    def check_honest(self) -> None:
        """An error never says "did not happen" of what may have happened, and can be shown."""
        if self.error is None:
            return
        str(self.error), repr(self.error), json.dumps(self.error.to_dict())
        for effect, answer in self.answers:
            if effect is not Effect.READ and judge(answer) in (Verdict.DONE, Verdict.UNKNOWN):
                assert self.error.happened is not False, (effect, answer, self.error)


def operate(case: Case, answers: Answers) -> Told:
    """Runs an operation to its end; the answers are given to its requests in turn.

    Raises:
        Hang: there is no end.
        Exception: anything but a GuestlistError is a bug of the provider or of the core.
    """
    told, requests = Told(), list[Request]()
    time = SimulatedTime()
    account = account_of(case.provider, time)
    fetched = account.fetch_token
    fetching = case.operation == "fetch_token"

    def fetch_token() -> Flow[Token]:
        nonlocal fetching
        fetching = True
        try:
            return (yield from fetched())
        finally:
            fetching = False

    def effect() -> Effect:
        """Returns the effect of the last request. That of a token does not concern a caller."""
        return Effect.READ if fetching else requests[-1].effect

    account.fetch_token = fetch_token  # type: ignore[method-assign]
    call = Call(account, Budget(total=1e9), fetches_token=case.operation == "fetch_token")
    _carry_out(time, run(call, _noting(case.flow(), requests)), answers, told, effect)
    return told


def _noting(flow: Flow[T], requests: list[Request]) -> Flow[T]:
    """The same flow; notes its requests."""
    resume: Callable[[], Request] = partial(next, flow)
    while True:
        try:
            request = resume()
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        requests.append(request)
        try:
            resume = partial(flow.send, (yield request))
        except GuestlistError as error:
            resume = partial(flow.throw, error)


def act(provider: Provider, plan: Callable[[Accounts], Steps[Any]], answers: Answers) -> Told:
    """Runs a verb in the same way."""
    told, time = Told(), SimulatedTime()
    account = account_of(provider, time)
    accounts = Accounts({"account": account}, budget=Budget(total=600.0))
    _carry_out(time, plan(accounts), answers, told, lambda: Effect.READ)
    return told


def carry_out(time: SimulatedTime, steps: Steps[Any], answers: Answers) -> Any:
    """What the steps return, with their requests answered so; raises what they raise."""
    told = Told()
    _carry_out(time, steps, answers, told, lambda: Effect.READ)
    if told.error is not None:
        raise told.error
    return told.value


def _carry_out(
    time: SimulatedTime,
    steps: Steps[Any],
    answers: Answers,
    told: Told,
    effect: Callable[[], Effect],
) -> None:
    result: Any = None
    while True:
        try:
            step = steps.send(result)
        except StopIteration as done:
            told.value = done.value
            return
        except GuestlistError as error:
            told.error = error
            return
        result = None
        if isinstance(step, Send):
            if len(told.answers) >= ENDLESS:
                raise Hang("it goes on asking")
            result = answers(len(told.answers))
            told.answers.append((effect(), result))
        elif isinstance(step, Acquire | Release):
            result = True
        elif isinstance(step, Block):
            result = step.function()
        else:
            assert isinstance(step, Sleep)
            time.at += step.seconds


# ---------------------------------------------------------------------------- hostile JSON

NAMES = st.sampled_from(
    [
        "id",
        "uuid",
        "email",
        "email_invited",
        "email_registered",
        "status",
        "invite_status",
        "status_full",
        "name",
        "meta",
        "links",
        "next",
        "total",
        "users",
        "invitations",
        "invites",
        "invitation",
        "invite",
        "user",
        "user_id",
        "invitation_id",
        "roles",
        "role",
        "role_id",
        "groups",
        "policies",
        "date_created",
        "expiration_date",
        "created_at",
        "expires_at",
        "joined_at",
        "error",
        "message",
        "code",
        "detail",
        "loc",
        "msg",
        "errors",
        "data",
        "members",
        "organizations",
        "orgs",
        "statuses",
        "all",
        "direct",
        "inherited",
        "permissions",
        "api_enabled",
        "raw",
        "kind",
        "total_users_count",
        "success_count",
        "failed_operations",
        "display_name",
        "role_name",
        "invitation_link",
        "invitation_key",
        "valid",
        "capabilities",
    ]
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 10**30, -(10**400), 1e308, 2**63])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(
        [
            "",
            " ",
            "..",
            "../../etc",
            "a/b",
            "%2e%2e",
            "?x=1",
            "a\r\nX-Injected: 1",
            "\u0000",
            "\u202e",
            "https://evil.example/next",
            "//evil.example",
            "9999-99-99T99:99:99Z",
            "2026-05-04T09:15:00+99:99",
            "0000-00-00",
            "{",
            '{"api_enabled":',
            "[" * 1000,
            "é" * 100,
        ]
    )
)

TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=25,
)

UNREADABLE = st.sampled_from(
    [
        b"",
        b"\x00",
        b"\xff\xfe",
        b"<html><body>Bad Gateway</body></html>",
        b'{"id": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"id": 1' + b"0" * 100_000 + b"}",
        b'{"code": 1' + b"0" * 5_000 + b"}",
        b'{"id": 1e999999}',
        b'{"id": NaN}',
        b'{"id": Infinity, "users": [-Infinity]}',
        b"\xef\xbb\xbf{}",
        b'{"users": [], "users": {}}',
        b"null",
        b'"text"',
        b"{}" + b" " * 100_000,
        b'{"error": {"message": {"message": []}, "code": {"x": 1}}}',
        b'{"detail": [{"loc": null, "msg": 1}]}',
        b'{"detail": [{"loc": 5}, null, [[]]]}',
        b'{"errors": [[{"message": "x"}]]}',
    ]
)

CONTENTS = TREES.map(lambda tree: json.dumps(tree).encode()) | UNREADABLE

HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "content-type",
            "date",
            "retry-after",
            "x-retry-after",
            "retry-after-ms",
            "ratelimit-remaining",
            "ratelimit-reset",
            "x-ratelimit-reset",
            "x-ratelimit-remaining",
            "x-request-id",
            "location",
        ]
    ),
    st.sampled_from(
        [
            "",
            "application/json",
            "text/html",
            "0",
            "-1",
            "1e999",
            "nan",
            "inf",
            "99999999999999999999",
            "1700000000000",
            "3",
            "Mon, 04 May 99999999999999 09:15:00 GMT",
            "Mon, 04 May 2026 09:15:00 +99999999",
            "Mon, 04 May 2026 09:15:00 GMT",
            "Mon, 04 May 0000 99:99:99 -0000",
            "https://evil.example/",
            "x" * 10_000,
            "\u0660",
        ]
    ),
    max_size=4,
)

STATUSES = st.sampled_from(
    [200] * 12
    + [201, 202, 204, 206, 299, 301, 302, 304, 307]
    + [
        400,
        401,
        403,
        404,
        405,
        408,
        409,
        410,
        418,
        422,
        425,
        429,
        451,
        499,
        500,
        502,
        503,
        504,
        599,
    ]
)

RESPONSES = st.builds(Response, STATUSES, HEADERS, CONTENTS)
FAILURES = st.builds(
    SendFailure,
    st.sampled_from(["broken", ""]),
    st.booleans(),
    st.sampled_from([None, 200, 204, 404, 500]),
    st.booleans(),
)
ANY_ANSWERS = st.lists(RESPONSES | RESPONSES | RESPONSES | FAILURES, min_size=1, max_size=5)


def repeated(answers: list[Any]) -> Answers:
    """These answers, over and over."""
    return lambda number: answers[number % len(answers)]


# ---------------------------------------------------------------------------- mutated answers


@functools.cache
def genuine(name: str) -> tuple[Case, ...]:
    """The operations of a provider with what its own sandbox answers to them.

    Where an argument names what is not there, the answers are refusals, and those are mutated too.
    """
    kind = installed().providers[name]
    made = []
    for operation in kind.operations():
        service = _service(kind)
        provider = kind(**service.settings(BASE_URL))
        wire, time, kept = ServiceWire(service), SimulatedTime(), list[Response]()
        account = account_of(provider, time)
        if provider.supports("fetch_token"):
            token = _record(account, provider.fetch_token(), wire, time, [])
            account.keep_token(token, time.monotonic())
        values = _planted(account, wire, time)
        method = getattr(provider, operation)
        arguments = {
            key: values.get(str(inspect.signature(method).parameters[key].annotation), value)
            for key, value in _arguments(method).items()
        }
        with suppress(GuestlistError):
            _record(account, method(**arguments), wire, time, kept)
        made.append(Case(provider, operation, tuple(kept), arguments))
    return tuple(made)


def recorded() -> list[Case]:
    """The operations that send anything, of all providers, as `genuine`."""
    return [case for name in providers() for case in recorded_of(name)]


def recorded_of(name: str) -> list[Case]:
    """The operations of one provider that send anything, as `genuine`."""
    return [case for case in genuine(name) if case.recorded]


def _service(kind: type[Provider]) -> Service:
    module, _, attribute = (kind.sandbox or "").partition(":")
    made = getattr(__import__(module, fromlist=[attribute]), attribute)()
    assert isinstance(made, Service)
    if "rate" in made.switches:
        made.configure(rate="off")
    return made


def _planted(account: Account, wire: ServiceWire, time: SimulatedTime) -> dict[str, Any]:
    """Real values from the sandbox: an invitation that is open, a member, a role."""
    provider, kept = account.provider, list[Response]()
    listed = _record(account, provider.roles(), wire, time, kept).items
    fitting = [
        one
        for one in listed
        if not one.not_assignable and provider.split_roles((one,))[0] and not provider.lacks((one,))
    ]
    role = (fitting or listed)[-1]
    roles = (role,) * provider.least_roles
    new = NewInvitation(email="grace@example.com", roles=roles)
    invitation = _record(account, provider.invite(new), wire, time, kept)
    member = _record(account, provider.members(), wire, time, kept).items[-1]
    again = NewInvitation(email="ada@example.com", roles=roles)
    return {
        "Role": role,
        "tuple[Role, ...]": (role,),
        "NewInvitation": again,
        "Invitation": invitation,
        "Member": member,
    }


def _record(
    account: Account, flow: Any, wire: ServiceWire, time: SimulatedTime, kept: list[Response]
) -> Any:
    wanted = run(Call(account), flow)
    result: Any = None
    while True:
        try:
            step = wanted.send(result)
        except StopIteration as done:
            return done.value
        result = None
        if isinstance(step, Send):
            result = wire.send(step.outgoing)
            kept.append(result)
        elif isinstance(step, Block):
            result = step.function()
        elif isinstance(step, Sleep):
            time.at += step.seconds


def mutated(response: Response, source: random.Random) -> Response:
    """The answer with one to three things about it changed."""
    try:
        tree = json.loads(response.content)
    except ValueError:
        tree = None
    for _ in range(source.randint(1, 3)):
        tree = _mutate(tree, source)
    content = json.dumps(tree).encode()
    if source.random() < 0.05:
        content = content[: source.randrange(len(content) + 1)]
    return Response(response.status, response.headers, content)


POISONS: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    10**30,
    1.5,
    "",
    "x",
    "..",
    "a/b?c#d",
    "\r\nX: 1",
    "\u0000",
    [],
    {},
    [None],
    [[]],
    {"id": None},
    [{"id": {}}],
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "2026-02-30",
    "https://evil.example/v2/x?cursor=1",
]


def _mutate(tree: Any, source: random.Random) -> Any:
    poison = copy.deepcopy(source.choice(POISONS))
    found = list(places(tree))
    if not found or source.random() < 0.05:
        return source.choice([poison, {"data": tree}, [tree]])
    parent, key = source.choice(found)
    kind = source.random()
    if kind < 0.3:
        del parent[key]
    elif kind < 0.7:
        parent[key] = poison
    elif kind < 0.8:
        parent[key] = {"value": parent[key]}
    elif kind < 0.9:
        parent[key] = [parent[key]]
    else:
        nested: Any = parent[key]
        for _ in range(source.choice([3, 60, 190])):
            nested = [nested]
        parent[key] = nested
    return tree


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON tree: what holds it, and its key or index there."""
    keys = range(len(tree)) if isinstance(tree, list) else tree if isinstance(tree, dict) else ()
    for key in list(keys):
        yield tree, key
        yield from places(tree[key])
