"""What the suite promises to an author: few lines for a provider, fewer for its tests."""

from __future__ import annotations

import ast
import importlib.util
import io
import json
import sys
import tokenize
from pathlib import Path
from types import ModuleType

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guestlist.errors import GuestlistError
from guestlist.provider import Response
from guestlist.testing.conformance import ProviderSuite

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
    """A provider for the plain service, where that refuses within a 200."""

    def refusal(self, response: Response) -> GuestlistError | None:
        told = response.mapping()
        if told.get("ok") is not False:
            return None
        error: GuestlistError = self.explain(Response(told["status"], {}, response.content))
        return error


class PoliteService(load("plain_service").PlainService):  # type: ignore[misc]
    """The plain service, which says every no with a 200."""

    def build(self) -> ASGIApp:
        app = super().build()

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            said: list[Message] = []

            async def listen(message: Message) -> None:
                said.append(message)

            await app(scope, receive, listen)
            start, body = said
            if start["status"] >= 400:
                told = {"ok": False, "status": start["status"], **json.loads(body["body"])}
                start = {"type": start["type"], "status": 200, "headers": []}
                body = {"type": body["type"], "body": json.dumps(told).encode()}
            await send(start)
            await send(body)

        return answer


class TestRefusalsWithinA200(ProviderSuite):
    kind = Polite
    service = PoliteService


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
        (PROVIDERS / "betterauth/src/guestlist_betterauth/provider.py", 200),
    ],
    ids=["plain", "betterauth"],
)
def test_provider_is_short(file: Path, most: int) -> None:
    assert lines_of_code(file.read_text(encoding="utf-8")) <= most


def test_suite_is_worth_its_set_up() -> None:
    tests = [name for name in dir(ProviderSuite) if name.startswith("test_")]
    assert len(tests) >= 60
    assert all(getattr(ProviderSuite, name).__doc__ for name in tests)  # the docstring is the rule
