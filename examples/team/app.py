"""A small web application: invite a colleague, and see who stands where.

    uvicorn --factory examples.team.app:configured

`GET /` is a page with a form, `GET /guests` and `POST /guests` are the same as JSON. Whoever
reaches it may invite, so put it behind the login that you have.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict
from urllib.parse import parse_qsl, urlencode

import jinja2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from guestlist import (
    AsyncGuestlist,
    CallerMistake,
    Conflict,
    GuestlistError,
    InviteResult,
    ServiceRefusal,
    State,
    email_key,
)

PAGE = jinja2.Environment(autoescape=True).from_string(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Our team</title>
<h1>Our team</h1>
{% if notice %}<p role="status">{{ notice }}</p>{% endif %}
<form method="post">
  <input type="email" name="email" aria-label="Email address" required>
  <select name="account" aria-label="Service">
    {% for account in accounts %}<option>{{ account }}</option>{% endfor %}
  </select>
  <button>Invite</button>
</form>
<table>
  <tr><th>Person</th><th>Service</th><th>State</th></tr>
  {% for guest in guests %}
  <tr><td>{{ guest.email }}</td><td>{{ guest.account }}</td><td>{{ guest.state }}</td></tr>
  {% endfor %}
</table>
"""
)

ROLES = {"aitronos": "Member"}
"""By provider, where an invitation has to name one."""


class Row(TypedDict):
    """One person in one account."""

    account: str
    email: str
    state: str


class Team:
    """The endpoints, over one client."""

    def __init__(self, guests: AsyncGuestlist) -> None:
        self._guests = guests

    async def page(self, request: Request) -> Response:
        html = PAGE.render(
            notice=request.query_params.get("notice"),
            accounts=self._guests.accounts,
            guests=await self._everybody(),
        )
        return HTMLResponse(html)

    async def invite_by_form(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        email = form.get("email", "")
        try:
            result = await self._invite(email, form.get("account", ""))
        except GuestlistError as error:
            notice = str(error)
        else:
            notice = f"{email}: {result.outcome.replace('_', ' ')}"
        return RedirectResponse("/?" + urlencode({"notice": notice}), 303)

    async def guests(self, request: Request) -> Response:
        return JSONResponse({"guests": await self._everybody()})

    async def invite(self, request: Request) -> Response:
        order = await request.json()
        result = await self._invite(order.get("email", ""), order.get("account", ""))
        guest = result.guest
        row = Row(account=guest.account, email=guest.label, state=guest.state)
        return JSONResponse({"outcome": result.outcome, "guest": row}, 201)

    async def _invite(self, email: str, account: str) -> InviteResult:
        """People who are invited or members already stay so: the button may be pressed twice."""
        account_guests = self._guests.account(account)
        role = ROLES.get(self._guests.accounts[account].name)
        return await account_guests.invite(email, role=role)

    async def _everybody(self) -> list[Row]:
        """The people of all accounts, which are asked at the same time."""
        lists = await asyncio.gather(*map(self._people, self._guests.accounts))
        return [row for rows in lists for row in rows]

    async def _people(self, account: str) -> list[Row]:
        guests = self._guests.account(account)
        found: dict[str, Row] = {}
        async for member in guests.members():
            row = Row(account=account, email=member.label, state=State.ACCEPTED)
            found[email_key(member.label)] = row
        async for invitation in guests.invitations():
            if invitation.state != State.ACCEPTED:
                row = Row(account=account, email=invitation.label, state=invitation.state)
                found.setdefault(email_key(invitation.label), row)
        return list(found.values())


async def explain(request: Request, error: Exception) -> Response:
    """Maps errors to HTTP statuses: 4xx if the caller can correct them, 5xx if the service
    failed."""
    assert isinstance(error, GuestlistError)
    if isinstance(error, CallerMistake):
        status = 422
    elif isinstance(error, Conflict):
        status = 409
    else:
        status = 502 if isinstance(error, ServiceRefusal) else 503
    return JSONResponse(error.to_dict(), status)


def create_app(guests: AsyncGuestlist) -> Starlette:
    """The application; it closes the client when it ends."""
    team = Team(guests)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with guests:
            yield

    return Starlette(
        routes=[
            Route("/", team.page),
            Route("/", team.invite_by_form, methods=["POST"]),
            Route("/guests", team.guests),
            Route("/guests", team.invite, methods=["POST"]),
        ],
        exception_handlers={GuestlistError: explain},
        lifespan=lifespan,
    )


def configured() -> Starlette:
    """The application with the accounts of a `guestlist.toml`, or of the environment."""
    return create_app(AsyncGuestlist())
