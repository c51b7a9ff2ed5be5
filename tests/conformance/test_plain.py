"""What the suite promises to an author: few lines for a provider, fewer for its tests."""

from __future__ import annotations

import ast
import base64
import importlib.util
import io
import sys
import tokenize
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as HTTPRequest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.polite import polite, refused

from guestlist.errors import Conflict, GuestlistError
from guestlist.models import Invitation, Member, Role
from guestlist.provider import Flow, Page, Request, Response, operation
from pytest_guestlist.conformance import Example, ProviderSuite
from pytest_guestlist.conformance.finding import CAUSE, under_rule
from pytest_guestlist.conformance.listing import ListingRules
from pytest_guestlist.conformance.sending import SendingRules

HERE = Path(__file__).parent
PROVIDERS = HERE.parents[1] / "providers"


def load(name: str) -> ModuleType:
    """A module beside this one: the folders of tests are no packages."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


class TestPlain(ProviderSuite):
    kind = load("plain_provider").Plain
    service = load("plain_service").PlainService


class Polite(load("plain_provider").Plain):  # type: ignore[misc]
    """A provider for the plain service, where that refuses within a 200, wants user and password,
    and its version with every request."""

    @property
    def headers(self) -> Mapping[str, str]:
        return {"X-Plain-Version": "2"}

    def authorize(self) -> Mapping[str, str]:
        pair = base64.b64encode(f"me:{self.api_key}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def refusal(self, response: Response) -> GuestlistError | None:
        return refused(self, response)


class PoliteService(load("plain_service").PlainService):  # type: ignore[misc]
    """The plain service, which says every no with a 200, and knows user and password only."""

    def build(self) -> ASGIApp:
        app = polite(super().build())

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            headers = dict(scope["headers"])
            assert headers[b"x-plain-version"] == b"2"
            pair = base64.b64decode(headers[b"authorization"].removeprefix(b"Basic "))
            headers[b"authorization"] = b"Bearer " + pair.removeprefix(b"me:")
            await app({**scope, "headers": [*headers.items()]}, receive, send)

        return answer


IN = {"error": "in"}


class TestPolite(ProviderSuite):
    kind = Polite
    service = PoliteService
    documented = (
        Example(
            "invite",
            {"ok": False, "status": 409, "refused": {"error": "in"}},
            Conflict,
            error_contains="in",
        ),
        Example("members", {"items": []}, [], headers={"Link": "<https://plain.example/2>"}),
    )


class Slashed(load("plain_provider").Plain):  # type: ignore[misc]
    """A provider for the plain service with a slash at the end of each path."""

    trailing_slash = True


class SlashedService(load("plain_service").PlainService):  # type: ignore[misc]
    """The plain service, whose paths end with a slash."""

    def build(self) -> ASGIApp:
        app = super().build()

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            assert scope["path"].endswith("/")
            await app({**scope, "path": scope["path"].removesuffix("/")}, receive, send)

        return answer


class TestSlashed(SendingRules):
    kind = Slashed
    service = SlashedService


class Together(load("plain_provider").Plain):  # type: ignore[misc]
    """A provider for the plain service, where one answer has the people and the roles."""

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        reply = yield Request.get("people")
        return Page.of(reply.records("people"), self.read_invited)

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        reply = yield Request.get("people")
        return Page.of(reply.records("people"), self.read_joined)

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        reply = yield Request.get("people")
        read_role = load("plain_provider").read_role
        return Page.of(reply.records("roles"), lambda raw: read_role(raw["id"]))

    def read_invited(self, raw: Mapping[str, Any]) -> Invitation | None:
        return load("plain_provider").read_invitation(raw) if "status" in raw else None

    def read_joined(self, raw: Mapping[str, Any]) -> Member | None:
        return None if "status" in raw else load("plain_provider").read_member(raw)


class TogetherService(load("plain_service").PlainService):  # type: ignore[misc]
    """The plain service, with many roles beside its people."""

    def build(self) -> ASGIApp:
        app: Starlette = super().build()
        app.add_route("/people", self._guarded(self.together))
        return app

    async def together(self, request: HTTPRequest) -> JSONResponse:
        people = [*self.people, *map(self._shown, self.records)]
        names = ("admin", "reader", *map("role-{}".format, range(20)))
        return JSONResponse({"people": people, "roles": [{"id": name} for name in names]})


class TestTogether(ListingRules):
    kind = Together
    service = TogetherService


def test_documented_headers_come_with_the_answers() -> None:
    link = {"Link": "<https://plain.example/2>"}
    last, first = {"retry-after": "7"}, {"content-type": "application/scim+json"}
    assert [reply.headers["link"] for reply in Example("x", [1], [], headers=link).replies()] == [
        link["Link"]
    ]
    replies = Example("x", [1, 2], [], 429, several=True, headers=[first, last]).replies()
    assert [reply.status for reply in replies] == [200, 429]
    assert replies[0].headers == first
    assert replies[1].headers == {"content-type": "application/json", **last}


@pytest.mark.parametrize("sent", ["2", "Bearer of-no-setting"])
def test_credentials_that_hold_no_secret_setting_are_found(sent: str) -> None:
    class Wrong(Polite):
        def authorize(self) -> Mapping[str, str]:
            return {**super().authorize(), "X-Other": sent}

    suite, setting = TestPolite(), SimpleNamespace(provider=Wrong(api_key="k-1"))
    told = pytest.raises(pytest.fail.Exception, match="X-Other; if it is the same for everybody")
    with under_rule("credentials"), told:
        suite.test_credentials_are_secret_settings(setting)  # type: ignore[arg-type]
    setting.provider = Polite(api_key="k-1")
    suite.test_credentials_are_secret_settings(setting)  # type: ignore[arg-type]


def lines_of_code(text: str) -> int:
    """Lines with code on them: without docstrings, comments and empty lines."""
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT)
        and token.type not in (tokenize.DEDENT, tokenize.ENDMARKER)
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


@pytest.mark.parametrize(
    ("file", "most"),
    [
        (HERE / "plain_provider.py", 90),
        (PROVIDERS / "betterauth/src/guestlist_betterauth/provider.py", 213),
    ],
    ids=["plain", "betterauth"],
)
def test_provider_is_short(file: Path, most: int) -> None:
    assert lines_of_code(file.read_text(encoding="utf-8")) <= most


def test_suite_is_worth_its_set_up() -> None:
    tests = [name for name in dir(ProviderSuite) if name.startswith("test_")]
    assert len(tests) >= 60
    docstrings = [str(getattr(ProviderSuite, name).__doc__) for name in tests]
    assert all(CAUSE in one for one in docstrings)  # a failure shows the rule and the cause
