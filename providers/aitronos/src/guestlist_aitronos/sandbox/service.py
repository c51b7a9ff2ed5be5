"""The service: its switches, its seed, and the application over both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from random import Random
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guestlist.sandbox.limits import RateLimited, Verdict
from guestlist.sandbox.service import SandboxRefusal
from guestlist_aitronos.sandbox import (
    invitations,
    lifecycle,
    login,
    members,
    organizations,
    pacing,
    roles,
    seed,
    shapes,
    users,
)
from guestlist_aitronos.sandbox.call import Call
from guestlist_aitronos.sandbox.errors import ApiError
from guestlist_aitronos.sandbox.records import INVITED, random_uuid
from guestlist_aitronos.sandbox.routing import Endpoint
from guestlist_aitronos.sandbox.state import ServiceState

# The order matters for fixed paths that also match a path with an id.
ROUTES = [
    *invitations.endpoints.routes,
    *members.endpoints.routes,
    *roles.endpoints.routes,
    *organizations.endpoints.routes,
    *users.endpoints.routes,
    *login.endpoints.routes,
]


class AitronosService(ServiceState):
    """The imitated service: Aitronos' organizations API in memory."""

    def build(self) -> ASGIApp:
        self.records = seed.seed(self.random, self.clock.now())
        # A separate source, so that the ids of records do not depend on the number of requests.
        self._traces = Random(self.random.getrandbits(64))
        app = Starlette(exception_handlers={HTTPException: self._no_endpoint})
        app.router = Router(
            [Route(path, self._adapt(end), methods=[verb]) for verb, path, end in ROUTES],
            redirect_slashes=False,
        )
        limited = RateLimited(
            app,
            limit=pacing.PlanLimit(lambda: self.chosen),
            clock=self.clock,
            refuse=self._too_many,
            key=pacing.credential,
            headers=pacing.headers,
        )
        return self._traced(limited)

    def settings(self, base_url: str) -> dict[str, str]:
        return self._settings(base_url, seed.OWNER_KEY)

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return self._settings(base_url, seed.READ_ONLY_KEY)

    def accept(self, invitation: str) -> None:
        """Accepts an invitation. A new person is registered under a name derived from the email
        address."""
        found = self.records.invitations.get(invitation)
        if found is None:
            raise SandboxRefusal("The invitation does not exist.")
        state = found.state(self.clock.now())
        if state == "cancelled":
            raise SandboxRefusal("The invitation was cancelled.")
        refusal = invitations.unusable(state)
        if refusal:
            raise SandboxRefusal(f"{refusal.message}.")
        user = self.records.users[found.user_id]
        if not user.is_registered:
            local = user.email.partition("@")[0]
            user.full_name = user.full_name or local.replace(".", " ").title()
            user.password = seed.PASSWORD
        lifecycle.accept(self, found, user)

    @contextmanager
    def hide(self, invitations: Collection[str]) -> Iterator[None]:
        """Hides invitations during the `with` block, together with the rows of the people who are
        only invited."""
        records = self.records
        everything, rows = records.invitations, records.memberships
        people = {everything[id].user_id for id in invitations if id in everything}
        records.invitations = {id: one for id, one in everything.items() if id not in invitations}
        records.memberships = {
            id: row
            for id, row in rows.items()
            if row.status != INVITED or row.user_id not in people
        }
        try:
            yield
        finally:
            records.invitations, records.memberships = everything, rows

    def snapshot(self) -> dict[str, Any]:
        now = self.clock.now()
        people = self.records.users
        return {
            "invitations": [
                {
                    "id": one.id,
                    "email": one.email,
                    "state": one.state(now),
                    "organization": one.organization_id,
                }
                for one in self.records.invitations.values()
            ],
            "members": [
                {
                    "id": row.id,
                    "email": people[row.user_id].email,
                    "status": row.status,
                    "organization": row.organization_id,
                }
                for row in self.records.memberships.values()
                if row.is_in
            ],
        }

    def _settings(self, base_url: str, key: str) -> dict[str, str]:
        return {"api_key": key, "organization_id": seed.ORGANIZATION, "base_url": base_url}

    def _adapt(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            call = Call(self, request)
            try:
                response = await endpoint(call)
            except ApiError as error:
                response = self._write(error)
            if call.seated is not None:
                response.headers["aitronos-organization"] = call.seated.id
            return response

        return answer

    def _traced(self, app: ASGIApp) -> ASGIApp:
        """Adds the trace headers (DBG) to every answer."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            async def send_with_headers(message: Message) -> None:
                if message["type"] == "http.response.start":
                    MutableHeaders(scope=message).update(
                        {
                            "x-request-id": random_uuid(self._traces),
                            "freddy-processing-ms": "0",
                            "freddy-api-version": "v1",
                        }
                    )
                await send(message)

            await app(scope, receive, send_with_headers)

        return traced

    async def _no_endpoint(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        status = HTTPStatus(error.status_code)
        code = "METHOD_NOT_ALLOWED" if status == 405 else "RESOURCE_NOT_FOUND"
        return self._write(ApiError(status, code, status.phrase, headers=error.headers or {}))

    def _too_many(self, verdict: Verdict) -> Response:
        return self._write(
            ApiError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "RATE_LIMIT_EXCEEDED",
                "Too many requests",
                headers={"retry-after": verdict.retry_after_header},
            )
        )

    def _write(self, error: ApiError) -> Response:
        is_detail = (
            error.status == HTTPStatus.UNPROCESSABLE_ENTITY
            and self.chosen["validation_body"] == "detail"
        )
        trace_id = random_uuid(self._traces)
        body = error.detail() if is_detail else error.envelope(trace_id, self._now())
        return JSONResponse(body, error.status, headers=dict(error.headers))

    def _now(self) -> str:
        return shapes.stamp(self.clock.now())
