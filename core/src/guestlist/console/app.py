"""`create_app`: the console as an ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from functools import partial
from getpass import getuser
from importlib.resources import files
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, cast

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ExceptionHandler, Receive, Scope, Send

from guestlist.client import Guestlist
from guestlist.console.api import ApiMount, HttpApi
from guestlist.console.gate import (
    CONSOLE_NAMES,
    Fields,
    Gate,
    Identify,
    bug_answer,
    cookie_name,
    redirect,
    session_id,
    visit_of,
)
from guestlist.console.page_audit import AuditPages
from guestlist.console.page_invite import InvitePages
from guestlist.console.page_log import LogPages
from guestlist.console.page_people import PeoplePages
from guestlist.console.page_person import PersonPages
from guestlist.console.page_plan import PlanPages
from guestlist.console.page_work import WorkPages
from guestlist.console.sessions import Sessions
from guestlist.console.site import Site
from guestlist.console.words import failure_text
from guestlist.errors import ConfigError, GuestlistError, LedgerError

if TYPE_CHECKING:
    from guestlist.ledger.ledger import Ledger

MAX_WAITING = 40
"""Maximum number of requests that wait for services at the same time. Further requests are
queued."""


def create_app(
    client: Guestlist,
    *,
    ledger: Ledger | None = None,
    roster: str | Path | None = None,
    identify: Identify | None = None,
    hosts: Collection[str] | None = None,
    read_only: bool = False,
    actor: str | None = None,
    mailbox: str = "",
) -> Console:
    """Returns the console as an ASGI application.

        app.mount("/guestlist", create_app(
            guests, ledger=ledger, roster="guestlist.toml", identify=lambda request: request.user,
        ))

    Args:
        client: the client with the accounts. The caller closes it, and the ledger.
        ledger: the client's ledger. Without it there is no page of the log and no HTTP API, roles
            cannot be deferred, and nobody is named as the one who made a change.
        roster: the roster's file, for the page of the plan.
        identify: a function or coroutine function that gets the request and returns the name of the
            person who acts, or None to refuse. It is called for every request. Without it, one-time
            links sign in (`Console.new_link`), and only loopback addresses are answered.
        hosts: the host names that are answered. By default any with `identify`, else those of this
            machine.
        read_only: refuse every change.
        actor: the person whom a one-time link signs in; by default the user of the operating
            system.
        mailbox: the address of the sandbox's mailbox, if the accounts are in a sandbox.
    """
    if not isinstance(client, Guestlist):
        raise ConfigError(
            f"the console's client cannot be a {type(client).__name__}",
            hint="Pass a Guestlist; the console calls it in threads.",
        )
    if hosts is None and identify is None:
        hosts = CONSOLE_NAMES
    sessions = Sessions(actor or _user())
    site = Site(
        client,
        ledger,
        Path(roster) if roster is not None else None,
        read_only=read_only,
        mailbox=mailbox,
        sessions=sessions,
    )
    return Console(site, identify, hosts)


class Console:
    """The console, an ASGI application."""

    def __init__(
        self, site: Site, identify: Identify | None, hosts: Collection[str] | None
    ) -> None:
        self._site = site
        self._closing = False
        self._session_only = identify is None
        self._api = (
            HttpApi(site.client, ledger=site.ledger, roster=site.roster, read_only=site.read_only)
            if site.ledger is not None
            else None
        )
        app = Starlette(
            routes=self._routes(),
            # Starlette passes each handler only exceptions of its class.
            exception_handlers={
                HTTPException: cast(ExceptionHandler, self._on_http_error),
                GuestlistError: cast(ExceptionHandler, self._on_failure),
                Exception: bug_answer,
            },
        )
        app.router.redirect_slashes = False
        self._app = Gate(
            ApiMount(self._api, app) if self._api is not None else app,
            identify=identify,
            sessions=site.sessions,
            hosts=hosts,
            read_only=site.read_only,
            signed_out=self._signed_out,
            out_of_date=self._out_of_date,
            is_closing=lambda: self._closing,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def new_link(self) -> str:
        """Returns the path of a new one-time link: append it to the address of the console."""
        return f"/login?token={self._site.sessions.new_link_token()}"

    def refresh(self) -> None:
        """Reads all accounts, and returns afterwards. Without this call, the first visitor of the
        page of people starts the reading in the background."""
        self._site.people.refresh_now()

    def close(self) -> None:
        """Ends the live streams, and starts no further step of any work. Call it before the server
        ends, because servers wait for streams."""
        self._closing = True
        self._site.people.stop()
        for work in self._site.works:
            work.stop()
        if self._api is not None:
            self._api.stop()

    def finish(self, seconds: float | None = None) -> None:
        """Waits for the steps that have begun, and deletes what was read.

        Args:
            seconds: the longest wait. By default until each step has ended, which takes as long as
                the slowest service. A request that is given up is looked up by the next call about
                the same person, because the ledger has it.
        """
        self.close()
        end = None if seconds is None else monotonic() + seconds

        def left() -> float | None:
            return None if end is None else max(0.0, end - monotonic())

        for work in self._site.works:
            work.join(left())
        if self._api is not None:
            self._api.close(left())
        self._plan.close()
        self._site.people.close(left())

    def _routes(self) -> list[BaseRoute]:
        site = self._site
        people, person, invite = PeoplePages(site), PersonPages(site), InvitePages(site)
        self._plan = plan = PlanPages(site)
        log, audit = LogPages(site), AuditPages(site)
        work = WorkPages(site, lambda: self._closing)
        asks = partial(_in_other_thread, limiter=CapacityLimiter(MAX_WAITING))
        return [
            Route("/", people.index),
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            Route("/people", people.people),
            Route("/refresh", people.refresh, methods=["POST"]),
            Route("/people/{token}", person.show),
            Route("/people/{token}/check", asks(person.check), methods=["POST"]),
            Route("/people/{token}/review", asks(person.review), methods=["POST"]),
            Route("/add", invite.form, methods=["GET", "POST"]),
            Route("/add/review", asks(invite.review), methods=["POST"]),
            Route("/invitations", invite.invitations),
            Route("/invitations/review", invite.review_selection, methods=["POST"]),
            Route("/reviews/{id}", work.review),
            Route("/reviews/{id}/start", work.start, methods=["POST"]),
            Route("/work/{id}", work.show),
            Route("/work/{id}/events", work.events),
            Route("/work/{id}/stop", work.stop, methods=["POST"]),
            Route("/work/{id}/resume", work.resume, methods=["POST"]),
            Route("/work/{id}/again", work.again, methods=["POST"]),
            Route("/plan", plan.show),
            Route("/plan/make", plan.make, methods=["POST"]),
            Route("/plan/apply", plan.apply, methods=["POST"]),
            Route("/plan/resume", plan.resume, methods=["POST"]),
            Route("/plan/settle", plan.settle, methods=["POST"]),
            Route("/audit", audit.show),
            Route("/audit/make", audit.make, methods=["POST"]),
            Route("/audit.csv", audit.export),
            Route("/log", log.show),
            Route("/log.csv", log.export),
            Route("/accounts", people.accounts),
            Route("/accounts/check", asks(people.check), methods=["POST"]),
            *(Route(f"/{name}", answer) for name, answer in static_files().items()),
        ]

    # ------------------------------------------------------------------ signing in

    def _login(self, request: Request) -> Response:
        """GET shows a page with one button; POST ends the link and signs in.

        A redirect from the link itself would lose the cookie if the link was clicked on another
        site, and a preview of the link would use it up.
        """
        site = self._site
        if not self._session_only:
            return redirect(request, "/people")
        if request.method != "POST":
            return site.page(
                request,
                "login.html",
                token=request.query_params.get("token", ""),
                failed=False,
                typed=(),
            )
        visit = visit_of(request)
        id = site.sessions.sign_in(visit.value("token")) if visit else None
        if id is None:
            return site.page(request, "login.html", 403, token="", failed=True, typed=())
        answer = redirect(request, "/people")
        answer.set_cookie(
            cookie_name(request),
            id,
            path=request.scope.get("root_path", "") or "/",
            httponly=True,
            samesite="strict",
            secure=request.scope["scheme"] == "https",
        )
        return answer

    def _logout(self, request: Request) -> Response:
        self._site.sessions.end(session_id(request))
        answer = redirect(request, "/login")
        answer.delete_cookie(cookie_name(request), path=request.scope.get("root_path", "") or "/")
        return answer

    def _signed_out(self, request: Request, typed: Fields) -> Response:
        if not self._session_only:
            return self._site.trouble(
                request, 401, "Not signed in", "This site does not know who you are.", typed=typed
            )
        if request.method in ("GET", "HEAD"):
            root = request.scope.get("root_path", "")
            return RedirectResponse(f"{root}/login", 303)
        return self._site.page(request, "login.html", 401, token="", failed=False, typed=typed)

    def _out_of_date(self, request: Request, typed: Fields) -> Response:
        text = "Nothing was changed. You have signed in again since the page was opened, or the"
        text += " console was started again."
        return self._site.trouble(request, 403, "This page is out of date", text, typed=typed)

    # ------------------------------------------------------------------ errors

    def _on_http_error(self, request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            answer = self._site.trouble(
                request,
                404,
                "Not here",
                error.detail
                if error.detail != "Not Found"
                else "There is no such page, or what it showed is gone.",
            )
        else:
            answer = self._site.trouble(
                request, error.status_code, "That did not work", error.detail
            )
        answer.headers.update(error.headers or {})
        return answer

    def _on_failure(self, request: Request, error: GuestlistError) -> Response:
        failure = failure_text(error)
        status = 503 if isinstance(error, LedgerError) else 409
        answer = self._site.trouble(
            request,
            status,
            "That did not work",
            f"{failure.what}. {failure.happened}",
            hint=failure.hint,
        )
        if status == 503:
            answer.headers["Retry-After"] = "2"
        return answer


def _in_other_thread(
    endpoint: Callable[[Request], Response], *, limiter: CapacityLimiter
) -> Callable[[Request], Awaitable[Response]]:
    """Returns an endpoint that waits for services in threads of its own: however many requests a
    dead service holds up, threads are left for the other pages."""

    async def run(request: Request) -> Response:
        return await to_thread.run_sync(endpoint, request, limiter=limiter)

    return run


def static_files() -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """Returns the endpoints of the style sheet and the script.

    The style sheet begins with the one that the sandbox's mailbox uses, so that both look alike.
    """
    own = files("guestlist.console").joinpath("static")
    shared = files("guestlist.sandbox").joinpath("static", "look.css")
    style = shared.read_bytes() + own.joinpath("console.css").read_bytes()
    script = own.joinpath("console.js").read_bytes()

    def endpoint(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
        async def send(_: Request) -> Response:
            return Response(content, media_type=kind)

        return send

    return {
        "console.css": endpoint(style, "text/css"),
        "console.js": endpoint(script, "text/javascript"),
    }


def _user() -> str:
    try:
        return getuser()
    except (KeyError, OSError, ImportError):
        return "console"
