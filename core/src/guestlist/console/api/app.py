"""The API as an ASGI application: reads requests, checks tokens, and writes answers.

Every answer is JSON, even for a path that does not exist. Cookies are ignored, so that no web page
can send requests in a visitor's name.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import anyio.to_thread
from anyio import CapacityLimiter
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from guestlist.client import Guestlist
from guestlist.console.api.description import openapi_description
from guestlist.console.api.jobs import Jobs
from guestlist.console.api.models import Problem
from guestlist.console.api.operations import OPERATIONS, ApiCall, Operation
from guestlist.console.api.pages import OpenLists
from guestlist.console.api.problems import (
    ApiRefusal,
    invalid_request,
    log_bug,
    problem_of,
    shutdown_problem,
    unexpected_problem,
)
from guestlist.console.api.written import dump, write
from guestlist.errors import GuestlistError, LedgerError
from guestlist.exchange.clock import Stopped, SystemClock
from guestlist.ledger import tokens
from guestlist.ledger.tokens import ApiToken, Right

if TYPE_CHECKING:
    from guestlist.ledger import Ledger
    from guestlist.roster.file import Roster

API_PREFIX = "/api"
VERSION = "/v1"
DESCRIPTION_PATH = "/openapi.json"
MAX_BODY_BYTES = 1024 * 1024
MAX_QUERY_FIELDS = 50
MAX_CALLS_AT_ONCE = 40
"""Operations that run at the same time, each in a thread. Further requests wait."""
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
ID = "(?P<id>[0-9a-f]{16})"

logger = logging.getLogger("guestlist.console")


@dataclass(frozen=True)
class _Route:
    pattern: re.Pattern[str]
    methods: Mapping[str, Operation]

    @property
    def allowed(self) -> str:
        """The value of the header `Allow`."""
        return ", ".join([*self.methods, *(["HEAD"] if "GET" in self.methods else [])])


class HttpApi:
    """The HTTP API as an ASGI application. Its arguments are those of `create_api`."""

    def __init__(
        self,
        client: Guestlist,
        *,
        ledger: Ledger,
        roster: Roster | str | Path | None = None,
        read_only: bool = False,
    ) -> None:
        self._client = client
        self._store = ledger.store
        self._clock = SystemClock()  # tokens expire by the real time, not by the time of a sandbox
        self._pages = OpenLists(self._clock)
        self._jobs = Jobs(ledger, Path(roster) if isinstance(roster, str) else roster)
        self._read_only = read_only
        self._routes = _routes()
        self._limiter = CapacityLimiter(MAX_CALLS_AT_ONCE)
        self._description = _description()

    def stop(self) -> None:
        """Stops the runs, without waiting for their ends."""
        self._jobs.stop()

    def close(self, seconds: float | None = None) -> None:
        """Stops the runs, and waits until their requests in flight are recorded.

        Args:
            seconds: the longest wait. By default as long as the slowest service takes.
        """
        self._pages.close()
        self._jobs.close(seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(self, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ApiRefusal as refused:
            answer = _problem(request, refused.problem, refused.headers)
        except GuestlistError as error:
            answer = _problem(request, problem_of(error))
        except ClientDisconnect:
            return
        except Stopped:
            answer = shutdown_response(request)
        except Exception as error:
            answer = _problem(request, unexpected_problem(log_bug(error)))
        if request.method == "HEAD":
            answer.body = b""
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = route_path(request.scope)
        if path == DESCRIPTION_PATH:
            if request.method not in ("GET", "HEAD"):
                raise _wrong_method("GET, HEAD")
            return _json_response(self._description)
        operation, job = self._find(request.method, path)
        token = await self._run(lambda: self._authenticated(request))
        self._check_right(operation, token)
        given = await _given(request, operation)
        call = ApiCall(
            client=self._client.acting_as(token.name),
            pages=self._pages,
            jobs=self._jobs,
            actor=token.name,
            token=token.id,
            base_path=request.scope.get("root_path", "") + VERSION,
            job=job,
            headers={},
        )
        body = await self._run(lambda: write(operation.run(call, given)))
        return _json_response(body, operation.status, call.headers)

    async def _run(self, work: Any) -> Any:
        """Runs blocking work in a thread. Finishes a request even if its caller has disconnected,
        so that the result is recorded."""
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)

    def _find(self, method: str, path: str) -> tuple[Operation, str]:
        """Returns the operation of a request, and the id in its path."""
        for route in self._routes:
            if match := route.pattern.fullmatch(path):
                found = route.methods.get("GET" if method == "HEAD" else method)
                if found is None:
                    raise _wrong_method(route.allowed)
                return found, match.groupdict().get("id", "")
        raise ApiRefusal(
            404, "UnknownPath", "there is no such path", hint="/api/openapi.json lists the paths."
        )

    def _authenticated(self, request: Request) -> ApiToken:
        """Returns the token of a request.

        Raises:
            ApiRefusal: there is no valid token. The answer does not show why a token is invalid.
        """
        given = request.headers.getlist("authorization")
        scheme, _, secret = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        token = None
        if scheme.lower() == "bearer":
            token = tokens.find(self._store, secret.strip())
        now = self._clock.now()
        if token is None or not token.is_valid(now):
            raise ApiRefusal(
                401,
                "InvalidToken" if given else "NoToken",
                "the request needs a valid token",
                hint="Send the header `Authorization: Bearer gl_...`. Tokens expire and can be"
                " revoked: `guestlist console token list` shows them, `create` makes one.",
                headers={"www-authenticate": 'Bearer realm="guestlist"'},
            )
        if self._read_only:
            return token
        try:
            tokens.record_use(self._store, token, now)
        # The request succeeds even if the time of the last use cannot be stored.
        except LedgerError:
            logger.warning("the use of the token %s could not be recorded", token.id)
        return token

    def _check_right(self, operation: Operation, token: ApiToken) -> None:
        if self._read_only and operation.right is Right.CHANGE:
            raise ApiRefusal(
                403, "ReadOnly", "this server is read-only", hint="Nothing can be changed here."
            )
        if not token.right.includes(operation.right):
            raise ApiRefusal(
                403,
                "NotPermitted",
                f"the token has the right `{token.right}`, and this needs `{operation.right}`",
                hint="Use a token with that right.",
            )


def create_api(
    client: Guestlist,
    *,
    ledger: Ledger,
    roster: Roster | str | Path | None = None,
    read_only: bool = False,
) -> HttpApi:
    """Returns the HTTP API as an ASGI application, to be mounted at `/api`.

        app = Starlette(routes=[Mount("/api", create_api(guests, ledger=ledger))])

    Call `close` on it when the server ends, unless it is served alone: then the server's lifespan
    does that.

    Args:
        client: the client to call. It must have the ledger.
        ledger: the ledger, which also stores the tokens.
        roster: the roster, or the path of its file. Without it nothing can be planned.
        read_only: refuse every change, whatever the token permits.
    """
    return HttpApi(client, ledger=ledger, roster=roster, read_only=read_only)


class ApiMount:
    """An ASGI application that serves the API below `/api`, and another application elsewhere.

    A `Mount` of Starlette does not match every path: its own answer to a path with a line break
    would not be JSON.
    """

    def __init__(self, api: HttpApi, app: ASGIApp) -> None:
        self._api = api
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_api_path(route_path(scope)):
            scope = {**scope, "root_path": f"{scope.get('root_path', '')}{API_PREFIX}"}
            await self._api(scope, receive, send)
        else:
            await self._app(scope, receive, send)


@cache
def _description() -> bytes:
    """Returns the description of the API as JSON."""
    return dump(openapi_description(OPERATIONS))


def _routes() -> list[_Route]:
    by_path: dict[str, dict[str, Operation]] = {}
    for one in OPERATIONS:
        by_path.setdefault(one.path, {})[one.method] = one
    return [
        _Route(re.compile(VERSION + path.replace("{id}", ID)), methods)
        for path, methods in by_path.items()
    ]


async def _given(request: Request, operation: Operation) -> BaseModel:
    """Returns the body of a request, or its query if the operation only reads.

    Raises:
        ApiRefusal: it does not have the described form.
    """
    query = _query(request)
    if operation.method == "GET":
        return _from_query(query, operation.given)
    if query:
        raise ApiRefusal(
            400, "InvalidRequest", "this path has no query parameters", hint="Use the body."
        )
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.replace(" ", "").lower()
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise ApiRefusal(
            415,
            "WrongMediaType",
            "the body has to be JSON in UTF-8",
            hint="Send the header `Content-Type: application/json`.",
        )
    body = await _body(request)
    try:
        from_json(body, allow_inf_nan=False)
        return operation.given.model_validate_json(body)
    except ValidationError as error:
        raise invalid_request(error, "body") from None
    except (ValueError, RecursionError):
        raise ApiRefusal(400, "InvalidRequest", "the body is not valid JSON") from None


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ApiRefusal(
                413,
                "TooLarge",
                f"the body is larger than {MAX_BODY_BYTES // 1024} KiB",
                headers={"connection": "close"},
            )
    return bytes(body)


def _query(request: Request) -> dict[str, list[str]]:
    """Returns the parameters of the query.

    Raises:
        ApiRefusal: it is not valid UTF-8, or has too many parameters.
    """
    found: dict[str, list[str]] = {}
    try:
        text = request.scope["query_string"].decode("ascii")
        pairs = parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS
        )
    except ValueError:
        raise ApiRefusal(400, "InvalidRequest", "the query is not valid") from None
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _from_query(query: Mapping[str, list[str]], model: type[BaseModel]) -> BaseModel:
    repeated = next((name for name, values in query.items() if len(values) > 1), None)
    if repeated is not None:
        raise ApiRefusal(400, "InvalidRequest", f"the parameter {repeated!r} is given twice")
    try:
        return model.model_validate_strings({name: one for name, (one,) in query.items()})
    except ValidationError as error:
        raise invalid_request(error, "query") from None


def route_path(scope: Scope) -> str:
    """Returns the path within the application, without the path under which it is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def is_api_path(path: str) -> bool:
    """Returns whether a path of the console belongs to the API."""
    return f"{path}/".startswith(f"{API_PREFIX}/")


def _wrong_method(allowed: str) -> ApiRefusal:
    return ApiRefusal(405, "WrongMethod", f"this path has {allowed}", headers={"allow": allowed})


def _json_response(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(body, status, {**HEADERS, **(headers or {})}, "application/json")


def _problem(
    request: Request, problem: Problem, headers: Mapping[str, str] | None = None
) -> Response:
    """Returns the answer for a problem. It names the path without the query."""
    named = problem.model_copy(update={"instance": request.scope["path"]})
    more = {**HEADERS, **(headers or {})}
    if problem.retry_after is not None:
        more["retry-after"] = str(max(1, round(problem.retry_after)))
    return Response(write(named), problem.status, more, "application/problem+json")


def refusal_response(request: Request, status: int, text: str) -> Response:
    """Returns the answer to a request that was refused before it reached the API."""
    return _problem(request, ApiRefusal(status, "ForeignRequest", text).problem)


def shutdown_response(request: Request) -> Response:
    """Returns the answer to a request that was interrupted because the server is shutting down."""
    return _problem(request, shutdown_problem())


async def _lifespan(api: HttpApi, receive: Receive, send: Send) -> None:
    """Closes the API when the server ends. Used only if the server serves nothing else."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await anyio.to_thread.run_sync(partial(api.close))
            await send({"type": "lifespan.shutdown.complete"})
            return
