"""The outermost layer of the console: every request passes it before any other code sees it.

It refuses foreign host names, requests that another page sends through the visitor's browser, and
bodies that are too large. It finds out who the visitor is, checks the form token of every change,
and adds the security headers to every answer.
"""

from __future__ import annotations

import asyncio
import hmac
import inspect
import logging
import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_bytes
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guestlist.console.api import (
    is_api_path,
    log_bug,
    refusal_response,
    route_path,
    shutdown_response,
)
from guestlist.console.sessions import LoginSession, Sessions, form_token, is_form_token
from guestlist.exchange.clock import Stopped
from guestlist.web import LOOPBACK_NAMES, PAGE_HEADERS

CONSOLE_NAMES = LOOPBACK_NAMES | {"guestlist.localhost"}
"""The host names of a console on this machine."""
MAX_BODY_BYTES = 4 * 1024 * 1024
"""Maximum size of a form in bytes: enough for a pasted column of about 150,000 addresses."""
MAX_SIGN_IN_BYTES = 4 * 1024
MAX_FIELDS = 1_000
HOST = re.compile(
    r"(?P<name>[a-z0-9.-]+|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?", re.ASCII | re.IGNORECASE
)

PUBLIC_PATHS = frozenset({"/login", "/console.css", "/console.js"})
"""Paths that visitors who are not signed in may read."""
READING_POSTS = frozenset(
    {"/login", "/logout", "/refresh", "/plan/make", "/audit/make", "/accounts/check"}
)
"""Forms that change nothing at a service. They work with `read_only` too."""
SHOWING_POSTS = frozenset({"/add"})
"""Forms that only show their own content. They need no form token, because the token of an ended
session would be invalid."""
KEPT_FIELDS = ("people", "account", "role", "review")
"""Fields of the form that adds people. If the form is refused, the visitor gets them back, and also
the options, whose names begin with `option `."""

HEADERS = {
    **{name.lower(): value for name, value in PAGE_HEADERS.items()},
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

Fields = tuple[tuple[str, str], ...]
"""The names and values of a form, in order."""
Identify = Callable[[Request], "str | Awaitable[str | None] | None"]
"""Returns the name of the person who sends a request, or None to refuse."""

logger = logging.getLogger("guestlist.console")


@dataclass(frozen=True)
class Visit:
    """A request of a person who is signed in.

    Attributes:
        actor: the person, as the ledger names them.
        form: the fields of the posted form, in order.
        is_session: whether the person can sign out here.
    """

    actor: str
    secret: bytes = field(repr=False)
    form: Fields = ()
    is_session: bool = False

    def token(self) -> str:
        """Returns a token for the page's forms."""
        return form_token(self.secret)

    def value(self, name: str, default: str = "") -> str:
        """Returns the first value of a field of the form."""
        return next((value for key, value in self.form if key == name), default)

    def values(self, name: str) -> list[str]:
        """Returns all values of a field of the form."""
        return [value for key, value in self.form if key == name]


def visit_of(request: Request) -> Visit | None:
    """Returns the visit that the gate found; None on a page that everybody may read."""
    return request.scope.get("guestlist.visit")


def visitor(request: Request) -> Visit:
    """Returns the visit that the gate stored. Only for pages that require a person who is signed
    in."""
    visit: Visit = request.scope["guestlist.visit"]
    return visit


class GateRefusal(Exception):
    """The gate refuses a request.

    Attributes:
        answer: the answer to the visitor. It contains no data of the accounts.
    """

    def __init__(self, text: str, status: int = 403, answer: Response | None = None) -> None:
        super().__init__(text)
        self.answer = answer or PlainTextResponse(text + "\n", status)


class Gate:
    """Lets a request pass to the console, or refuses it.

    Args:
        identify: returns who acts; None to use `sessions`.
        sessions: the sessions of one-time links.
        hosts: the host names of the console; None to accept any, behind a server that checks them.
        read_only: refuse every change.
        signed_out: returns the answer to a visitor who is not signed in. Receives the fields of the
            form to give back.
        out_of_date: returns the answer to a form without a valid token.
        is_closing: returns whether the server is about to end.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        identify: Identify | None,
        sessions: Sessions,
        hosts: Collection[str] | None,
        read_only: bool,
        signed_out: Callable[[Request, Fields], Response],
        out_of_date: Callable[[Request, Fields], Response],
        is_closing: Callable[[], bool],
    ) -> None:
        self._app = app
        self._identify = identify
        self._sessions = sessions
        self._hosts = hosts
        self._read_only = read_only
        self._signed_out = signed_out
        self._out_of_date = out_of_date
        self._is_closing = is_closing
        self._secret = token_bytes(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                present = {name.lower() for name, _ in message.get("headers", ())}
                message["headers"] = [
                    *message.get("headers", ()),
                    *(
                        (name.encode(), value.encode())
                        for name, value in HEADERS.items()
                        if name.encode() not in present
                    ),
                ]
            await send(message)

        request = Request(scope, receive)
        try:
            app: ASGIApp = self._app
            try:
                receive = await self._admit(request, receive)
            except GateRefusal as refused:
                app = refused.answer
                if is_api_path(route_path(scope)):
                    app = refusal_response(request, refused.answer.status_code, str(refused))
            await app(scope, receive, send_with_headers)
        except asyncio.CancelledError:
            if not self._is_closing() or started:
                raise
            # The server is shutting down and cancels requests. Without an answer, it would print a
            # traceback for each.
            await shutdown_answer(request)(scope, receive, send_with_headers)
        except Stopped:  # the call was still queued when the console ended
            if started:
                raise
            await shutdown_answer(request)(scope, receive, send_with_headers)
        except OSError:
            raise
        except Exception as error:
            if scope.get("guestlist.answered") is error:
                return
            if started:
                raise
            await bug_answer(request, error)(scope, receive, send_with_headers)

    async def _admit(self, request: Request, receive: Receive) -> Receive:
        """Checks a request, and stores the visitor in the scope. Returns the function that reads
        the body.

        Raises:
            GateRefusal: the request may not pass.
        """
        path = route_path(request.scope)
        self._check_host(request)
        is_api = is_api_path(path)
        self._check_site(request, path, is_api=is_api)
        if is_api:
            return receive
        is_change = request.method not in ("GET", "HEAD")
        if is_change and request.method != "POST":
            text = "The console has only GET and POST.\n"
            raise GateRefusal(
                text, answer=PlainTextResponse(text, 405, {"Allow": "GET, HEAD, POST"})
            )
        visit = await self._visit(request, path)
        if visit is None and path not in PUBLIC_PATHS:
            typed: Fields = ()
            if is_change and _has_typed_text(path):
                typed = _kept(await _read_form(request, MAX_BODY_BYTES))
            raise GateRefusal("", answer=self._signed_out(request, typed))
        if not is_change:
            request.scope["guestlist.visit"] = visit
            return receive
        if self._read_only and not _only_reads(path):
            raise GateRefusal("This console is read-only: nothing was changed.")
        longest = MAX_SIGN_IN_BYTES if path == "/login" else MAX_BODY_BYTES
        form = await _read_form(request, longest)
        if visit is None or path == "/login":
            # Signing in needs no form token: the one-time link proves who sends the form.
            visit = Visit("", b"", form)
        else:
            visit = Visit(visit.actor, visit.secret, form, visit.is_session)
            if path not in SHOWING_POSTS and not is_form_token(visit.secret, visit.value("csrf")):
                request.scope["guestlist.visit"] = visit
                typed = _kept(form) if _has_typed_text(path) else ()
                raise GateRefusal("", answer=self._out_of_date(request, typed))
        request.scope["guestlist.visit"] = visit
        return receive

    def _check_host(self, request: Request) -> None:
        given = request.headers.getlist("host")
        if len(given) != 1:
            raise GateRefusal("A request needs one Host header.", 400)
        if self._hosts is None:
            return
        name, port = _host_and_port(given[0], request.scope["scheme"])
        server = request.scope.get("server")
        own_port = server[1] if server else None
        if name not in self._hosts or (own_port is not None and port != own_port):
            raise GateRefusal("This console does not have that address.")

    def _check_site(self, request: Request, path: str, *, is_api: bool) -> None:
        """Refuses a request that a foreign web page sends. Browsers name the page in `Origin`, with
        its port, and in `Sec-Fetch-Site`. Cookies ignore ports, so `SameSite` alone is not
        enough."""
        site = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        own = request.headers["host"]
        if origin is not None and _page_host(origin) != own:
            raise GateRefusal(
                "Another web page may not use this console. If a proxy is in front of it, the proxy"
                " must pass on the Host header."
            )
        if request.method in ("GET", "HEAD"):
            mode = request.headers.get("sec-fetch-mode")
            if site in ("same-site", "cross-site") and (
                is_api or mode != "navigate" or path.endswith(("/events", ".csv"))
            ):
                raise GateRefusal("Another web page may not read this console.")
            return
        if site not in (None, "same-origin", "none"):
            raise GateRefusal("Another web page may not act on this console.")
        if origin is None and site is None and not is_api:
            raise GateRefusal("A change needs an Origin header. Programs use the API with a token.")

    async def _visit(self, request: Request, path: str) -> Visit | None:
        if self._identify is not None:
            actor = self._identify(request)
            if inspect.isawaitable(actor):
                actor = await actor
            if not actor:
                return None
            secret = hmac.new(self._secret, str(actor).encode(), sha256).digest()
            return Visit(str(actor), secret)
        session = self._session(request, prolong=not path.endswith("/events"))
        if session is None:
            return None
        return Visit(session.actor, session.secret, is_session=True)

    def _session(self, request: Request, *, prolong: bool) -> LoginSession | None:
        id = session_id(request)
        return self._sessions.find(id, prolong=prolong) if id else None


def bug_answer(request: Request, error: Exception) -> Response:
    """Returns the answer to a request that failed because of a bug, and logs the bug's place. The
    text of an unexpected error may contain secrets, so it is neither logged nor shown."""
    request.scope["guestlist.answered"] = error
    text = (
        "The console itself failed. Whether the last step took effect is not known: look at the log"
        f" before you repeat it. Reference: {log_bug(error)}"
    )
    return PlainTextResponse(text + "\n", 500)


def shutdown_answer(request: Request) -> Response:
    """Returns the answer to a request that was still in progress when the server ended."""
    if is_api_path(route_path(request.scope)):
        return shutdown_response(request)
    text = (
        "The console has ended meanwhile. Whether the last step took effect is not known: look at"
        " the log before you repeat it."
    )
    return PlainTextResponse(text + "\n", 503)


def cookie_name(request: Request) -> str:
    """Returns the name of the session's cookie. It contains the port, because browsers send the
    cookies of one port to every other."""
    server = request.scope.get("server")
    return f"guestlist-{server[1] if server else 0}"


def session_id(request: Request) -> str:
    """Returns the session's id that the browser sent, or an empty text. Browsers also send the
    cookies of other ports, and those may have any form."""
    return request.cookies.get(cookie_name(request), "")


def redirect(request: Request, path: str) -> RedirectResponse:
    """Returns a redirect to a page of the console, after a form was posted."""
    return RedirectResponse(request.scope.get("root_path", "") + path, 303)


def _has_typed_text(path: str) -> bool:
    return path in ("/add", "/add/review") or (
        path.startswith("/reviews/") and path.endswith("/start")
    )


def _kept(form: Fields) -> Fields:
    """Returns the fields of a refused form that its visitor gets back."""
    return tuple(
        (name, value) for name, value in form if name in KEPT_FIELDS or name.startswith("option ")
    )


async def _read_form(request: Request, longest: int) -> Fields:
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind not in ("application/x-www-form-urlencoded", ""):
        raise GateRefusal("The console reads only its own forms.", 415)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > longest:
            raise GateRefusal(
                f"This form is larger than {longest // 1024} KiB: nothing was changed."
                " Send fewer lines at a time.",
                413,
            )
    try:
        pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise GateRefusal("This form has too many fields: nothing was changed.", 413) from None
    return tuple((_clean(name), _clean(value)) for name, value in pairs)


def _clean(text: str) -> str:
    """Returns a text that every database can store. NUL is replaced by a character that makes an
    address invalid. If it were removed, the email could go to another address than the visitor
    sees."""
    return text.replace("\0", "\ufffd").replace("\r\n", "\n").encode("utf-8", "replace").decode()


def _only_reads(path: str) -> bool:
    return path in READING_POSTS or (path.startswith("/people/") and path.endswith("/check"))


def _host_and_port(host: str, scheme: str) -> tuple[str | None, int | None]:
    """Returns the name and the port in a Host header; None for both if it contains more."""
    found = HOST.fullmatch(host)
    if found is None:
        return None, None
    port = int(found["port"]) if found["port"] else {"https": 443}.get(scheme, 80)
    return found["name"].strip("[]").lower(), port


def _page_host(origin: str) -> str:
    """Returns the host and port of the page that an Origin header names; empty if none."""
    return origin.partition("://")[2]
