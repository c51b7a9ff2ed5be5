"""An application that invites from a request handler, and learns of acceptance by an event.

    uvicorn --factory examples.onboarding.app:create_app

`POST /invitations` invites, `GET /invitations` shows who has not answered yet, `GET /events` tells
who has (an EventSource: server-sent events). Everything that has to last is in the ledger: on one
machine a SQLite file, on several a PostgreSQL database that `LEDGER` names.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from guestlist import (
    AsyncGuestlist,
    CallerMistake,
    Conflict,
    GuestlistError,
    Ledger,
    ServiceRefusal,
    follow_async,
)

PATIENCE = 25.0
"""Seconds after which an EventSource without news is sent to ask again."""


class Onboarding:
    """The endpoints, and the watch for answers.

    Args:
        every: seconds between two looks for answers. No service calls back.
    """

    def __init__(self, guests: AsyncGuestlist, ledger: Ledger, every: float) -> None:
        self._guests = guests
        self._ledger = ledger
        self._every = every
        self._news = asyncio.Event()

    async def invite(self, request: Request) -> Response:
        order = await request.json()
        result = await self._guests.invite(
            order["email"], role=order.get("role"), account=order.get("account")
        )
        body = {"outcome": result.outcome, "state": result.guest.state}
        return JSONResponse(body, 201 if result.email_sent else 200)

    async def waiting(self, request: Request) -> Response:
        people = await asyncio.to_thread(self._ledger.waiting)
        return JSONResponse([{"account": one.account, "email": one.email} for one in people])

    async def events(self, request: Request) -> Response:
        """What is new since the event that the browser has seen last, as soon as there is any. A
        browser asks again by itself, and says which was the last."""
        known = request.headers.get("last-event-id") or request.query_params.get("after")
        after = int(known) if known else await asyncio.to_thread(self._ledger.last_answer)
        lines = ["retry: 100", f"id: {after}", ""]
        try:
            async with asyncio.timeout(PATIENCE):
                while not (news := await asyncio.to_thread(self._ledger.answers, after)):
                    await self._news.wait()
        except TimeoutError:
            news = []
        for one in news:
            data = json.dumps({"account": one.account, "email": one.email})
            lines += [f"id: {one.id}", f"event: {one.state}", f"data: {data}", ""]
        return Response("\n".join(lines) + "\n", media_type="text/event-stream")

    async def watch(self) -> None:
        """Looks for answers for ever. Every machine may: the ledger takes each answer once."""
        while True:
            try:
                found = await follow_async(ledger=self._ledger, client=self._guests)
                for error in found.errors:  # a service is away: later, then
                    print(error, flush=True)
            except GuestlistError as error:  # the database is
                print(error, flush=True)
            news, self._news = self._news, asyncio.Event()
            news.set()  # also for what another machine has seen
            await asyncio.sleep(self._every)


async def explain(request: Request, error: Exception) -> Response:
    """What the caller is to do: `happened` decides."""
    assert isinstance(error, GuestlistError)
    if isinstance(error, CallerMistake):
        status = 422
    elif error.happened:
        status = 202  # it was done; what came back could not be read
    elif error.happened is None:
        status = 504  # Unknown. Repeating the request is safe: it looks before it sends.
    elif isinstance(error, Conflict):
        status = 409
    else:
        status = 502 if isinstance(error, ServiceRefusal) else 503  # nothing was done
    return JSONResponse(error.to_dict(), status)


def create_app(place: str | None = None, *, every: float = 15.0, **client: Any) -> Starlette:
    """The application.

    Args:
        place: of the ledger; without it what LEDGER says.
        every: seconds between two looks for answers.
        client: arguments of the client; without them the accounts of `guestlist.toml`.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        name = place or os.environ.get("LEDGER", "guestlist.db")
        with Ledger(name, clock=client.get("clock")) as ledger:
            async with AsyncGuestlist(ledger=ledger, **client) as guests:
                app.state.onboarding = onboarding = Onboarding(guests, ledger, every)
                watching = asyncio.create_task(onboarding.watch())
                yield
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    def route(path: str, name: str, method: str) -> Route:
        async def call(request: Request) -> Response:
            found: Response = await getattr(request.app.state.onboarding, name)(request)
            return found

        return Route(path, call, methods=[method])

    return Starlette(
        routes=[
            route("/invitations", "invite", "POST"),
            route("/invitations", "waiting", "GET"),
            route("/events", "events", "GET"),
        ],
        exception_handlers={GuestlistError: explain},
        lifespan=lifespan,
    )
