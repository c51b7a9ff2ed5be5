"""The request that an endpoint receives, and the conversion of its answer to an HTTP response."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .access import may
from .refusal import Refused
from .shapes import Shapes
from .state import Key, Person, World


@dataclass(frozen=True)
class Call:
    """An authenticated request. Endpoints look records up before they read `body`."""

    world: World
    shapes: Shapes
    choices: Mapping[str, str]
    """The values of the service's switches."""
    caller: Person
    path: Mapping[str, str]
    query: Mapping[str, str]
    raw: bytes

    def body(self) -> dict[str, Any]:
        """Returns the JSON object in the request. Raises Refused (400) for anything else."""
        try:
            body = json.loads(self.raw)
            # json.loads accepts infinite numbers and lone surrogates, which no answer can contain.
            json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):
            raise Refused(400, "Bad request.") from None
        if not isinstance(body, dict):
            raise Refused(400, "Bad request.")
        return body


@dataclass(frozen=True)
class Answer:
    """A status and a JSON object; None for no body."""

    status: int
    body: Mapping[str, Any] | None = None


NO_CONTENT = Answer(204)


@dataclass(frozen=True)
class Endpoint:
    """One method of one path. `action` is the action that a policy must allow; None if no
    permission is needed.

    The names of the actions on groups, of attaching roles, and of `account.user` are documented
    (docs D-actions). Those on invitations, policies and organizations are formed like them
    (unverified). The documents have no action for reading the members of a group and for restoring
    a member; the actions for reading a group and for adding a member are used.
    """

    action: str | None
    handle: Callable[[Call], Answer]
    only_in_go: bool = False
    """Whether the Go client has this request and the OpenAPI document does not (C-10)."""


Endpoints = dict[str, dict[str, Endpoint]]
"""The endpoints by path and method."""


def routes(endpoints: Endpoints) -> list[Route]:
    """Returns one route per path, so that a 405 lists all methods of the path."""
    return [
        Route(path, _dispatcher(methods), methods=list(methods))
        for path, methods in endpoints.items()
    ]


def refusal(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Returns an error response in the service's format."""
    return JSONResponse({"error": text, "status": status}, status, headers)


def _dispatcher(methods: dict[str, Endpoint]) -> Callable[[Request], Any]:
    async def dispatch(request: Request) -> Response:
        endpoint = methods["GET" if request.method == "HEAD" else request.method]
        service = request.app.state.service
        if endpoint.only_in_go and service.profile == "openapi":
            offered = [method for method, one in methods.items() if not one.only_in_go]
            raise HTTPException(405, headers={"Allow": ", ".join(offered)})
        world: World = service.world
        key: Key
        caller: Person
        key, caller = request.state.key, request.state.caller
        reads = request.method in ("GET", "HEAD")
        if endpoint.action and not may(world, caller, key, endpoint.action, reads=reads):
            raise Refused(403, "Forbidden.")  # text unverified
        call = Call(
            world=world,
            shapes=Shapes(world, service.profile, service.chosen),
            choices=service.chosen,
            caller=caller,
            path=request.path_params,
            query=request.query_params,
            raw=await request.body(),
        )
        answer = endpoint.handle(call)
        if answer.body is None:
            return Response(status_code=answer.status)
        return JSONResponse(answer.body, answer.status)

    return dispatch
