"""The two clients: the same methods, accounts by name, budgets, closing, threads and tasks."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import pickle
import pydoc
import re
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_origin

import httpx
import pytest

from guestlist import AsyncGuestlist, Budget, Guestlist, verbs
from guestlist.errors import (
    ConfigError,
    InvalidArgument,
    NotFound,
    RateLimited,
    ServiceUnavailable,
    UnknownAccount,
    Unsupported,
)
from guestlist.event import Event
from guestlist.exchange.rate_limiter import RateLimiter
from guestlist.models import Guest, Invitation, InviteResult, Member, Role, State
from guestlist.provider import Flow, Limit, Page, Provider, Request, operation, setting
from guestlist.verbs.lists import AsyncItems, Items
from pytest_guestlist.clock import VirtualClock

VERBS = [
    "invite",
    "resend",
    "status",
    "assign_role",
    "unassign_role",
    "revoke",
    "remove",
    "access",
    "wait",
    "check",
]
LISTS = ["invitations", "members", "roles"]


class Club(Provider):
    """Knows invitations and members; `shout` is its own."""

    name = "club"
    title = "Club"
    base_url: str = setting("Where", default="https://club.example")
    api_key: str = setting("Key", secret=True, default="s3cr3t")

    @operation
    def organization(self) -> Flow[str]:
        reply = yield Request.get("club")
        return str(reply.mapping()["name"])

    @operation
    def invite(self, new: Any) -> Flow[Invitation | Member]:
        reply = yield Request.post("invites", json={"email": new.email})
        return self._read(reply.mapping())

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        reply = yield Request.get("invites", query={"page": cursor})
        body = reply.mapping()
        return Page([self._read(raw) for raw in body["items"]], body["next"])

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        yield Request.get("members")
        return Page([])

    @operation
    def shout(self, words: str, *, times: int = 1) -> Flow[str]:
        """Shouts."""
        reply = yield Request.post("shout", json={"words": words * times})
        return str(reply.json())

    def _read(self, raw: dict[str, Any]) -> Invitation:
        return Invitation(id=raw["id"], email=raw["email"], state=State.PENDING, raw=raw)


class Sect(Club):
    """Another kind of club."""

    name = "sect"

    @operation
    def whisper(self) -> Flow[None]:
        yield Request.post("whisper")


class House:
    """The service behind all clubs, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.invited: dict[str, list[dict[str, str]]] = {}
        self.lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            self.asked.append(f"{request.method} {request.url}")
            return self.answer(request)

    def answer(self, request: httpx.Request) -> httpx.Response:
        host, path = request.url.host, request.url.path
        invited = self.invited.setdefault(host, [])
        if path == "/club":
            return httpx.Response(200, json={"name": f"The club at {host}"})
        if path == "/members":
            return httpx.Response(200, json=[])
        if path == "/shout":
            return httpx.Response(200, json=json.loads(request.content)["words"].upper())
        if request.method == "POST":
            email = json.loads(request.content)["email"]
            invited.append({"id": f"i{len(invited)}", "email": email})
            return httpx.Response(201, json=invited[-1])
        page = int(request.url.params.get("page", 0))
        more = str(page + 1) if len(invited) > 2 * page + 2 else None
        return httpx.Response(200, json={"items": invited[2 * page : 2 * page + 2], "next": more})


@pytest.fixture
def house() -> House:
    return House()


def two_clubs() -> dict[str, Provider]:
    return {
        "chess": Club(base_url="https://chess.example"),
        "go": Sect(base_url="https://go.example"),
    }


Make = Callable[..., Any]


@pytest.fixture(params=[Guestlist, AsyncGuestlist])
def make(request: pytest.FixtureRequest, house: House, clock: Any) -> Make:
    """Makes a client of either kind."""

    def making(accounts: Any = None, **arguments: Any) -> Any:
        given = two_clubs() if accounts is None else accounts
        arguments = {"transport": httpx.MockTransport(house), "clock": clock, **arguments}
        return request.param(given, **arguments)

    return making


def do(result: Any, each: Callable[[Any], Any] = lambda one: one) -> Any:
    """What a method of either client gives; lists as lists of what is made of each item."""
    if inspect.iscoroutine(result):
        return asyncio.run(result)
    if isinstance(result, AsyncIterator):

        async def collect() -> list[Any]:
            return [each(item) async for item in result]

        return asyncio.run(collect())
    return [each(item) for item in result] if isinstance(result, Iterator) else result


# ---------------------------------------------------------------------------- one interface


def test_a_page_may_be_empty(make: Make) -> None:
    guests = make().account("chess")
    for name in "abc":
        do(guests.invite(f"{name}@example.com"))
    assert do(guests.members()) == []
    assert do(guests.invitations(state="revoked")) == []


def public(client: type) -> set[str]:
    return {name for name in dir(client) if not name.startswith("_")}


def test_both_have_the_same_methods() -> None:
    assert public(AsyncGuestlist) - {"aclose"} == public(Guestlist) - {"close"}
    assert {*VERBS, *LISTS, "call", "account", "with_budget", "from_file"} <= public(Guestlist)


@pytest.mark.parametrize("client", [Guestlist, AsyncGuestlist])
@pytest.mark.parametrize("name", [*VERBS, *LISTS])
def test_methods_have_the_verb_s_text_and_signature(client: type, name: str) -> None:
    verb, method = getattr(verbs, name), getattr(client, name)
    theirs = list(inspect.signature(verb).parameters.values())[1:]
    first, *ours = inspect.signature(method).parameters.values()
    assert first.name == "self"
    assert not any(isinstance(one.annotation, str) for one in ours)
    ours, theirs = ([one.replace(annotation="") for one in each] for each in (ours, theirs))
    assert ours == theirs
    assert method.__doc__ == verb.__doc__
    assert method.__name__ == name
    returned = inspect.signature(method).return_annotation
    items = AsyncItems if client is AsyncGuestlist else Items
    assert (get_origin(returned) is items) is (name in LISTS)


@pytest.mark.parametrize("client", [Guestlist, AsyncGuestlist])
def test_help_describes_the_arguments(client: type) -> None:
    # Python 3.13 gives a long signature a line for each argument
    text = " ".join(pydoc.plain(pydoc.render_doc(client)).replace("|", " ").split())
    text = text.replace("( ", "(")
    for told in ("allowed_domains:", "invite(self, email:", "if_exists:", "UnknownRole:"):
        assert told in text
    assert "accounts: Accounts" not in text
    assert inspect.iscoroutinefunction(AsyncGuestlist.invite)
    assert not inspect.iscoroutinefunction(Guestlist.invite)


# ---------------------------------------------------------------------------- which account


def test_by_name(make: Make, house: House) -> None:
    guests = make()
    assert do(guests.invite("ada@example.com", account="go")).guest.account == "go"
    assert house.invited["go.example"]
    assert not house.invited.get("chess.example")


def test_bound(make: Make, house: House) -> None:
    go = make().account("go")
    assert do(go.invite("ada@example.com")).guest.account == "go"
    assert do(go.check()) == "The club at go.example"
    assert do(go.check(account="chess")) == "The club at chess.example"
    assert do(go.account("chess").check()) == "The club at chess.example"
    assert [one.email for one in do(go.invitations())] == ["ada@example.com"]


def test_the_only_one_need_not_be_named(make: Make) -> None:
    guests = make({"chess": Club()})
    assert do(guests.check()) == "The club at club.example"


def test_a_guest_knows_its_account(make: Make) -> None:
    guests = make()
    guest = do(guests.invite("ada@example.com", account="go")).guest
    assert do(guests.status(guest)).account == "go"


@pytest.mark.parametrize(
    ("accounts", "name", "told"),
    [
        (None, "chest", "there is no account 'chest'. Did you mean 'chess'?"),
        (None, "bridge", "there is no account 'bridge'. The accounts are: chess, go."),
        (None, "hens", "there is no account 'hens'. The accounts are: chess, go."),
        (None, None, "no account is named. The accounts are: chess, go."),
        ({}, None, "no account is configured. Write a guestlist.toml"),
        ({}, "chess", "there is no account 'chess'. Write a guestlist.toml"),
    ],
)
@pytest.mark.parametrize("name_of_method", [*VERBS, *LISTS])
def test_an_unknown_account(
    make: Make, house: House, accounts: Any, name: str | None, told: str, name_of_method: str
) -> None:
    guests = make(accounts)
    arguments: dict[str, tuple[str, ...]] = {
        "assign_role": ("a@example.com", "r"),
        "unassign_role": ("a@example.com", "r"),
        **dict.fromkeys((*LISTS, "check"), ()),
    }
    method = getattr(guests, name_of_method)
    with pytest.raises(UnknownAccount) as caught:
        do(method(*arguments.get(name_of_method, ("a@example.com",)), account=name))
    assert str(caught.value).startswith(told)
    assert house.asked == []
    if name:
        with pytest.raises(UnknownAccount):
            guests.account(name)


@pytest.mark.parametrize("name", [5, [], b"chess", ""])
def test_what_names_no_account(make: Make, house: House, name: Any) -> None:
    told = re.escape(f"there is no account {name!r}. The accounts are: chess, go.")
    for guests in (make(), make().account("chess")):
        with pytest.raises(UnknownAccount, match=told):
            do(guests.status("ada@example.com", account=name))
        with pytest.raises(UnknownAccount, match=told):
            guests.account(name)
    assert house.asked == []


@pytest.mark.parametrize("verb", ["resend", "status", "revoke", "remove", "access", "wait"])
def test_a_guest_of_another_account(make: Make, house: House, verb: str) -> None:
    """What was meant of two contradicting accounts is not guessed."""
    guests = make({"chess": Club(), "go": Club()})
    guest = Guest(account="go", email="ada@example.com", state=State.PENDING)
    for method, named in (
        (getattr(guests.account("chess"), verb), {}),
        (getattr(guests, verb), {"account": "chess"}),
    ):
        with pytest.raises(
            InvalidArgument, match="is a guest of 'go', and the call is about 'chess'"
        ):
            do(method(guest, **named))
    assert house.asked == []
    house.invited["club.example"] = [{"id": "i0", "email": "ada@example.com"}]
    assert do(guests.account("chess").status(guest.email)).account == "chess"
    assert do(guests.account("go").status(guest, account="go")).account == "go"


@pytest.mark.parametrize(
    ("verb", "arguments", "told"),
    [
        ("invite", {"options": 5}, "chess: the options cannot be 5"),
        ("invite", {"options": ["x"]}, r"chess: the options cannot be \['x'\]"),
        ("invite", {"options": {5: 1}}, "chess: Club: option 5: Keys should be strings"),
        ("invite", {"role": 5}, "chess: 5 is not a role"),
        ("invite", {"role": [5]}, "chess: 5 is not a role"),
        ("invite", {"send_email": "no"}, "chess: send_email cannot be 'no'"),
        ("invite", {"if_exists": ["error"]}, r"chess: if_exists cannot be \['error'\]"),
        ("wait", {"until": 5}, "there is no state 5"),
        ("wait", {"until": [5]}, "there is no state 5"),
        ("wait", {"timeout": "5"}, "timeout cannot be '5'"),
        ("wait", {"timeout": float("nan")}, "timeout cannot be nan"),
    ],
)
def test_arguments_of_another_type(
    make: Make, house: House, verb: str, arguments: dict[str, Any], told: str
) -> None:
    class Grand(Club):
        name = "grand"
        most_roles = None

        @operation
        def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
            yield Request.get("roles")
            return Page([])

    guests = make({"chess": Grand()})
    with pytest.raises(InvalidArgument, match=told) as caught:
        do(getattr(guests, verb)("ada@example.com", **arguments))
    assert "\n" not in str(caught.value)
    with pytest.raises(InvalidArgument, match=r"has no roles of the kind 'team'\. It has"):
        guests.roles(kind="team")
    assert house.asked == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"accounts": 5}, "the accounts cannot be 5"),
        ({"accounts": {5: Club()}}, "5 is not a valid name of an account"),
        ({"accounts": {" ": Club()}}, "' ' is not a valid name of an account"),
        ({"accounts": {}, "allowed_domains": 5}, "allowed_domains: it has to be a list"),
        ({"accounts": {}, "allowed_domains": [5]}, "allowed_domains: it has to be a list"),
        ({"accounts": {}, "allowed_domains": ["*.a.example"]}, r"'\*\.a\.example' is not a domain"),
    ],
)
def test_what_no_client_can_be_made_of(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        Guestlist(**arguments)
    assert "\n" not in str(caught.value)


def test_what_is_no_provider() -> None:
    with pytest.raises(ConfigError, match="the account 'cloud' is a str, not a provider"):
        Guestlist({"cloud": "vultr"})  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match="is a ModelMetaclass, not a provider"):
        Guestlist({"cloud": Club})  # type: ignore[dict-item]


def test_accounts_can_be_seen_and_not_changed(make: Make) -> None:
    guests = make()
    assert {name: one.title for name, one in guests.accounts.items()} == {
        "chess": "Club",
        "go": "Club",
    }
    with pytest.raises(TypeError):
        guests.accounts["new"] = Club()
    assert repr(guests) == f"<{type(guests).__name__}: chess, go>"
    assert "s3cr3t" not in f"{guests!r} {guests.accounts!r}"


# ---------------------------------------------------------------------------- files


def test_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, house: House) -> None:
    (tmp_path / "my.toml").write_text(
        'allowed_domains = ["example.com"]\nbudget.attempts = 2\n'
        '[accounts.cloud]\nprovider = "vultr"\napi_key = "k"\n'
    )
    monkeypatch.setenv("GUESTLIST_CONFIG", str(tmp_path / "my.toml"))
    transport = httpx.MockTransport(house)
    for guests in (
        Guestlist(transport=transport),
        Guestlist.from_file(tmp_path / "my.toml", transport=transport),
        Guestlist.from_file(str(tmp_path / "my.toml"), transport=transport),
        Guestlist(transport=transport, allowed_domains=(), budget=None),
        Guestlist.from_file(
            tmp_path / "my.toml", transport=transport, allowed_domains=(), budget=None
        ),
    ):
        assert list(guests.accounts) == ["cloud"]
        with pytest.raises(InvalidArgument, match="not in an allowed domain"):
            guests.invite("ada@elsewhere.example")
        assert guests._accounts.budget.attempts == 2
    assert house.asked == []


# ---------------------------------------------------------------------------- allowed domains


DOMAINS: list[Any] = [
    ["example.com"],
    ("Example.COM",),
    "example.com",
    {"@example.com", "b.example"},
]


@pytest.mark.parametrize("domains", DOMAINS, ids=lambda domains: " ".join(sorted(domains)))
def test_nobody_else_is_invited(make: Make, house: House, domains: Any) -> None:
    guests = make({"chess": Club()}, allowed_domains=domains)
    assert do(guests.invite("Ada@EXAMPLE.com")).outcome == "invited"
    house.asked.clear()
    for email in ("ada@sub.example.com", "ada@example.com.evil.example", "ada@xample.com"):
        with pytest.raises(InvalidArgument, match="is not in an allowed domain") as caught:
            do(guests.invite(email))
        assert "example.com" in caught.value.hint
        assert caught.value.account == "chess"
    assert house.asked == []


def test_domains_are_compared_in_ascii(make: Make) -> None:
    guests = make({"chess": Club()}, allowed_domains=["bücher.example"])
    assert do(guests.invite("ada@xn--bcher-kva.example")).outcome == "invited"


def test_domains_from_code_hold_for_accounts_from_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, house: House
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VULTR_API_KEY", "k")
    guests = Guestlist(allowed_domains=["example.com"], transport=httpx.MockTransport(house))
    with pytest.raises(InvalidArgument, match="not in an allowed domain"):
        guests.invite("ada@elsewhere.example")
    assert house.asked == []


# ---------------------------------------------------------------------------- budgets


def test_another_budget(make: Make, house: House) -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        house.asked.append(request.method)
        return httpx.Response(503)

    guests = make({"chess": Club()}, transport=httpx.MockTransport(broken))
    hasty = guests.with_budget(attempts=2)
    with pytest.raises(ServiceUnavailable) as caught:
        do(hasty.check())
    assert caught.value.attempts == len(house.asked) == 2
    with pytest.raises(ServiceUnavailable):
        do(guests.check())  # the first one keeps its own
    assert len(house.asked) == 2 + Budget().attempts
    with pytest.raises(TypeError, match="attemps"):
        guests.with_budget(attemps=2)
    with pytest.raises(
        ConfigError, match=r"budget\.total: it has to be a number; budget\.attempts: it has"
    ):
        guests.with_budget(total="5", attempts=0)


@pytest.mark.parametrize(("pause", "attempts"), [(119, 2), (121, 1)])
def test_a_call_may_take_120_seconds_by_default(make: Make, pause: int, attempts: int) -> None:
    """A pause that the service asks for is waited for if it ends in time."""
    asked: list[str] = []

    def busy(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(429, headers={"Retry-After": str(pause)})

    guests = make(
        {"chess": Club()},
        transport=httpx.MockTransport(busy),
        clock=VirtualClock(datetime(2026, 11, 1, tzinfo=UTC)),
    )
    with pytest.raises(RateLimited):
        do(guests.check())
    assert len(asked) == attempts


def test_a_budget_without_end(make: Make) -> None:
    guests = make({"chess": Club()}, budget=Budget(total=float("inf")))
    assert do(guests.invite("ada@example.com")).outcome == "invited"


def test_a_budget_of_nothing(make: Make, house: House) -> None:
    guests = make({"chess": Club()}, budget=Budget(total=0))
    with pytest.raises(ServiceUnavailable):
        do(guests.check())
    assert house.asked == []


# ---------------------------------------------------------------------------- own operations


def test_an_operation_of_the_provider(make: Make) -> None:
    guests = make()
    assert do(guests.account("chess").call(Club.shout, "hey ", times=2)) == "HEY HEY "
    assert do(guests.account("go").call(Sect.shout, "hey")) == "HEY"


def test_an_operation_of_another_provider(make: Make, house: House) -> None:
    guests = make()
    with pytest.raises(Unsupported, match=r"Sect\.whisper is not an operation of Club") as caught:
        do(guests.account("chess").call(Sect.whisper))
    assert "invitations" in caught.value.hint
    for no_operation in (Club.secrets, print, Club._read):
        with pytest.raises(Unsupported):
            do(guests.account("chess").call(no_operation))
    assert house.asked == []


# ---------------------------------------------------------------------------- lists


def test_lists_are_read_page_by_page(make: Make, house: House) -> None:
    guests = make({"chess": Club()})
    for name in "abcde":
        do(guests.invite(f"{name}@example.com"))
    house.asked.clear()
    assert [one.email[0] for one in do(guests.invitations())] == list("abcde")
    assert len(house.asked) == 3


def test_pages_of_which_nothing_is_wanted_are_passed_over(make: Make, house: House) -> None:
    guests = make({"chess": Club()})
    for name in "abcde":
        do(guests.invite(f"{name}@example.com"))
    house.asked.clear()
    assert do(guests.invitations(state="declined")) == []
    assert len(house.asked) == 3


def test_a_page_is_gone_when_the_next_one_is_asked_for(make: Make, house: House) -> None:
    house.invited["club.example"] = [{"id": f"{n}", "email": f"{n}@e.example"} for n in range(9)]
    seen: list[weakref.ref[Invitation]] = []
    kept: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        kept.append(sum(one() is not None for one in seen))
        return house(request)

    guests = make({"chess": Club()}, transport=httpx.MockTransport(answer))
    do(guests.invitations(), lambda one: seen.append(weakref.ref(one)))
    assert len(seen) == 9
    assert max(kept) <= 1  # who was told last


def test_a_list_asks_for_no_more_than_is_used(house: House) -> None:
    house.invited["club.example"] = [{"id": f"{n}", "email": f"{n}@e.example"} for n in range(9)]
    guests = Guestlist({"chess": Club()}, transport=httpx.MockTransport(house))
    walk = guests.invitations()
    assert house.asked == []
    assert next(walk).id == "0"
    assert len(house.asked) == 1


def test_mistakes_in_the_arguments_of_a_list_raise_at_once(make: Make, house: House) -> None:
    guests = make()
    with pytest.raises(UnknownAccount):
        guests.members(account="bridge")
    with pytest.raises(Unsupported, match="Club offers no way to list roles") as caught:
        guests.roles(account="go")
    assert caught.value.account == "go"
    with pytest.raises(InvalidArgument, match="there is no state 'pendig'") as wrong:
        guests.invitations(state="pendig", account="go")
    assert "pending" in wrong.value.hint
    assert house.asked == []


# ---------------------------------------------------------------------------- events


def test_events_are_watched(make: Make) -> None:
    heard: list[Event] = []
    guests = make(watch=heard.append)
    do(guests.invite("ada@example.com", account="go"))
    assert [event.name for event in heard] == ["answer"] * 3 + ["outcome"]
    assert {event.account for event in heard} == {"go"}


# ---------------------------------------------------------------------------- closing


def test_closing_and_going_on(serving: str) -> None:
    with Guestlist({"chess": Club(base_url=serving)}) as guests:
        assert guests.check() == "real"
    assert guests.check() == "real"
    guests.close()

    async def both() -> None:
        async with AsyncGuestlist({"chess": Club(base_url=serving)}) as guests:
            assert await guests.check() == "real"
        assert await guests.check() == "real"
        await guests.aclose()

    asyncio.run(both())


@pytest.fixture
def serving() -> Iterator[str]:
    """A real server, so that there is something to close."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"name": "real"}')

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_is_brought_stays_open(house: House) -> None:
    with httpx.Client(transport=httpx.MockTransport(house)) as client:
        with Guestlist(two_clubs(), http_client=client) as guests:
            guests.check(account="go")
        assert not client.is_closed


def test_a_closed_client_sends_nothing_and_is_named(house: House) -> None:
    """A second attempt would not help, and the service is not to blame."""
    client = httpx.Client(transport=httpx.MockTransport(house))
    client.close()
    with (
        Guestlist(two_clubs(), http_client=client) as guests,
        pytest.raises(ConfigError, match="passed as http_client is closed") as caught,
    ):
        guests.check(account="go")
    assert caught.value.happened is False


def test_what_cannot_be_brought_is_refused_at_once(house: House) -> None:
    with pytest.raises(TypeError, match="not object"):
        Guestlist(two_clubs(), http_client=object())
    with pytest.raises(TypeError, match="AsyncGuestlist"):
        Guestlist(two_clubs(), http_client=httpx.AsyncClient())


# ---------------------------------------------------------------------------- at the same time


def test_many_threads_invite_each_person_once(house: House) -> None:
    guests = Guestlist({"chess": Club()}, transport=httpx.MockTransport(house))
    emails = [f"{n % 5}@example.com" for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(guests.invite, emails))
    assert sum(result.outcome == "invited" for result in results) == 5
    assert len(house.invited["club.example"]) == 5


def test_many_tasks_invite_each_person_once(house: House) -> None:
    async def invite_all() -> list[InviteResult]:
        transport = httpx.MockTransport(house)
        async with AsyncGuestlist({"chess": Club()}, transport=transport) as guests:
            calls = [guests.invite(f"{n % 5}@EXAMPLE.com".title()) for n in range(40)]
            return list(await asyncio.gather(*calls))

    results = asyncio.run(invite_all())
    assert sum(result.outcome == "invited" for result in results) == 5
    assert len(house.invited["club.example"]) == 5


def test_a_cancelled_call_says_what_may_have_happened() -> None:
    started = asyncio.Event()

    async def never(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"items": [], "next": None})
        started.set()
        await asyncio.sleep(60)
        raise AssertionError("nobody waits that long")

    async def cancel() -> BaseException:
        transport = httpx.MockTransport(never)
        async with AsyncGuestlist({"chess": Club()}, transport=transport) as guests:
            call = asyncio.ensure_future(guests.invite("ada@example.com"))
            await started.wait()
            call.cancel()
            try:
                await call
            except asyncio.CancelledError as cancelled:
                return cancelled
        raise AssertionError("it was not cancelled")

    (note,) = asyncio.run(cancel()).__notes__
    assert "POST /invites on chess for ada@example.com" in note
    assert "it may have happened" in note


def test_errors_say_which_account(make: Make) -> None:
    guests = make(transport=httpx.MockTransport(lambda request: httpx.Response(404)))
    with pytest.raises(NotFound) as caught:
        do(guests.check(account="go"))
    assert str(caught.value).startswith("go: ")


@pytest.mark.parametrize("ledger", ["guestlist.db", 3, Path("guestlist.db")])
def test_what_is_no_ledger_is_refused(make: Make, ledger: Any) -> None:
    with pytest.raises(ConfigError, match="the ledger cannot be a") as caught:
        make(ledger=ledger)
    assert 'Ledger("guestlist.db")' in caught.value.hint


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_client_is_not_copied(make: Make, how: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="cannot be copied or pickled: it holds connections"):
        how(make())


# ----------------------------------------------------------- one rate limiter for several accounts


class Counted(Club):
    """Its service counts what comes from one network address."""

    limits_count_addresses = True
    per_minute: int = 100

    @property
    def limits(self) -> tuple[Limit, ...]:
        return (Limit(self.per_minute, 60.0),)


class Elsewhere(Club):
    """Another service at the same address, which counts nothing."""


def rate_limiters_of(*providers: Provider) -> list[RateLimiter]:
    named = {f"account{number}": one for number, one in enumerate(providers)}
    return [account.rate_limiter for account in Guestlist(named)._accounts.by_name.values()]


def test_accounts_that_are_counted_together_keep_the_limits_of_all() -> None:
    for order in ([100, 10], [10, 100]):
        one, other = rate_limiters_of(*(Counted(per_minute=count) for count in order))
        assert one is other
        assert max(one.reserve(0.0).delay for _ in range(11)) > 50


def test_an_account_that_is_not_counted_together_has_its_own_rate_limiter() -> None:
    for providers in ([Counted(), Elsewhere()], [Elsewhere(), Counted()]):
        one, other = rate_limiters_of(*providers)
        assert one is not other
        assert len({bool(limiter._windows) for limiter in (one, other)}) == 2
