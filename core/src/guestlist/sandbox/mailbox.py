"""The mailbox: web pages on which a person acts as the invitees, and the control API.

`GET /`
    Emails, newest first, 50 on a page, with the services and the clock. `?to=` keeps addresses that
    contain a text, `?service=` one service, `?state=` one state; `?page=2` shows the next page.
`GET /emails/{id}`
    One email.
`POST /emails/{id}/accept`, `POST /emails/{id}/decline`
    Accepts or declines; redirects to the email, which then shows the outcome once.
`POST /clock?advance_seconds=3600`, `POST /reset`
    Moves the clock, starts over. `?back=` is the page of the mailbox to return to; `reset` always
    returns to the list.
`/api`
    The same for programs: see `guestlist.sandbox.api`.

`GET` changes nothing, and `Guard` keeps foreign web pages from sending a `POST`.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Mount, Route

from guestlist.sandbox.api import (
    ACTIONS,
    ControlApi,
    advance,
    click,
    email_in_path,
    hidden,
    masked_text,
)
from guestlist.sandbox.asgi import Guard
from guestlist.sandbox.service import Email, SandboxRefusal
from guestlist.sandbox.world import Hosted, World
from guestlist.web import LOOPBACK_NAMES, PAGE_HEADERS, page_numbers, page_templates

PAGE_SIZE = 50
"""Emails on one page of the list."""
FILTERS = ("to", "service", "state")
"""Query parameters of the list, each a filter of `World.delivered`."""
OWN_PAGE = re.compile(r"/(emails/[\w-]+)?(\?[^#\\]*)?")
"""Where moving the clock may return to: a page of this mailbox, never another site."""

STEPS = (("+1 hour", 3_600), ("+1 day", 86_400), ("+3 days", 259_200), ("+7 days", 604_800))

TONES = {
    "pending": "open",
    "awaiting_approval": "open",
    "accepted": "good",
    "active": "good",
    "declined": "over",
    "rejected": "over",
    "revoked": "over",
    "cancelled": "over",
    "canceled": "over",
    "expired": "over",
    "gone": "over",
}
"""Style of each state. Other states have a neutral style."""

FILES = {"look.css": "text/css", "mailbox.css": "text/css", "mailbox.js": "text/javascript"}


@dataclass(frozen=True)
class Flash:
    """The outcome of the last action, shown once."""

    tone: str
    text: str


def mailbox(world: World, *, hosts: Container[str] | None = LOOPBACK_NAMES) -> Starlette:
    """Returns the mailbox of a world as an ASGI application; `hosts` as in `Guard`."""
    pages = MailboxPages(world)
    return Starlette(
        routes=[
            Mount("/api", routes=ControlApi(world).routes()),
            Route("/", pages.index),
            Route("/emails/{id}", pages.email),
            *(Route(f"/emails/{{id}}/{action}", pages.act, methods=["POST"]) for action in ACTIONS),
            Route("/clock", pages.advance, methods=["POST"]),
            Route("/reset", pages.reset, methods=["POST"]),
            *(Route(f"/{name}", file) for name, file in pages.files.items()),
        ],
        middleware=[Middleware(Guard, hosts=hosts, refuse=forbidden_response)],
        exception_handlers={HTTPException: pages.on_error, Exception: pages.on_error},
    )


def is_api_request(request: Request) -> bool:
    """Returns whether a request is for the control API, whose answers are JSON."""
    return f"{request.scope['path']}/".startswith("/api/")


def forbidden_response(request: Request, text: str) -> Response:
    """Returns the answer to a refused request. It contains no data of the mailbox."""
    if is_api_request(request):
        return JSONResponse({"error": text}, 403)
    return PlainTextResponse(text, 403)


class MailboxPages:
    """The endpoints of the mailbox's web pages."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._flashes: dict[str, Flash] = {}
        self._templates = page_templates(
            "guestlist.sandbox",
            tone=lambda state: TONES.get(state.casefold(), "plain"),
            words=lambda state: state.replace("_", " ").casefold(),
            hidden=hidden,
            masked_text=masked_text,
        )
        folder = files("guestlist.sandbox").joinpath("static")
        self.files = {
            name: Response(folder.joinpath(name).read_bytes(), media_type=media_type)
            for name, media_type in FILES.items()
        }

    async def index(self, request: Request) -> Response:
        """Shows one page of the emails that match the filters, newest first."""
        everything = self._world.delivered()
        chosen = {name: request.query_params.get(name, "").strip() for name in FILTERS}
        found = self._world.delivered(**chosen) if any(chosen.values()) else everything
        number, last = page_numbers(request, len(found), PAGE_SIZE)
        start = (number - 1) * PAGE_SIZE

        def link(page: int) -> str:
            query = {name: value for name, value in chosen.items() if value}
            return "/?" + urlencode(query | {"page": page})

        return self._page(
            request,
            "list.html",
            rows=found[::-1][start : start + PAGE_SIZE],
            chosen=chosen,
            states=sorted({one.state for one in everything}),
            found=len(found),
            total=len(everything),
            first=start + 1,
            newer=link(number - 1) if number > 1 else "",
            older=link(number + 1) if number < last else "",
        )

    async def email(self, request: Request) -> Response:
        """Shows one email."""
        mail = email_in_path(self._world, request)
        hosted = self._sender(mail)
        return self._page(
            request,
            "mail.html",
            mail=mail,
            hosted=hosted,
            state=hosted.state(mail.invitation),
            next_steps=hosted.service.next_steps(mail.invitation, hosted.base_url),
        )

    async def act(self, request: Request) -> Response:
        """Accepts or declines, depending on the last segment of the path."""
        mail = email_in_path(self._world, request)
        action = request.scope["path"].rpartition("/")[2]
        done = ACTIONS[action]
        try:
            click(self._sender(mail), action, mail.invitation)
        except SandboxRefusal as refusal:
            return self._done(f"/emails/{mail.id}", Flash("over", f"Not {done}: {refusal}"))
        text = f"{done.capitalize()} on behalf of {mail.to}"
        return self._done(f"/emails/{mail.id}", Flash("good", text))

    async def advance(self, request: Request) -> Response:
        """Moves the clock forward."""
        wanted = request.query_params.get("advance_seconds", "")
        steps = {str(seconds): (label, seconds) for label, seconds in STEPS}
        if wanted not in steps:
            raise HTTPException(400, "The clock moves by one of the steps on the page")
        label, seconds = steps[wanted]
        back = request.query_params.get("back", "/")
        if not OWN_PAGE.fullmatch(back):
            raise HTTPException(400, "`back` has to be a page of this mailbox")
        advance(self._world, seconds)
        return self._done(back, Flash("good", f"The clock moved forward: {label}"))

    async def reset(self, request: Request) -> Response:
        """Deletes all emails and changes, and restarts the services."""
        self._world.reset()
        return self._done(
            "/", Flash("good", "Started over: no emails, fresh services, present time")
        )

    async def on_error(self, request: Request, error: Exception) -> Response:
        """Shows an error. For a bug, the traceback is in the log."""
        if not isinstance(error, HTTPException):
            text = f"The sandbox failed: {type(error).__name__}: {error}"
            answer = self._trouble(request, 500, text)
            # The server closes the connection after an unexpected exception.
            answer.headers["Connection"] = "close"
            return answer
        text = error.detail
        if text == HTTPStatus.NOT_FOUND.phrase:
            text = "There is no such page."
        answer = self._trouble(request, error.status_code, text)
        answer.headers.update(error.headers or {})  # a 405 names the allowed methods
        return answer

    def _trouble(self, request: Request, status: int, text: str) -> Response:
        if is_api_request(request):
            return JSONResponse({"error": text}, status)
        return self._page(request, "trouble.html", status, text=text, status=status)

    def _sender(self, mail: Email) -> Hosted:
        return self._world.services[mail.service]

    def _page(self, request: Request, template: str, code: int = 200, **context: Any) -> Response:
        flash = self._flashes.pop(request.query_params.get("flash", ""), None)
        query = [item for item in request.query_params.multi_items() if item[0] != "flash"]
        here = request.scope["path"] + (f"?{urlencode(query)}" if query else "")
        html = self._templates.get_template(template).render(
            flash=flash,
            services=list(self._world.services.values()),
            now=self._world.clock.now(),
            steps=STEPS,
            here=here if OWN_PAGE.fullmatch(here) else "/",
            **context,
        )
        return HTMLResponse(html, code, PAGE_HEADERS)

    def _done(self, path: str, flash: Flash) -> Response:
        token = token_urlsafe(6)
        self._flashes[token] = flash
        separator = "&" if "?" in path else "?"
        return RedirectResponse(f"{path}{separator}flash={token}", 303)
