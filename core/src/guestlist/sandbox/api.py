"""The control API of the mailbox: JSON over HTTP under `/api`. `docs/sandbox.md` is its reference.

Every answer is a JSON object; a refusal is `{"error": "..."}` with a status of 4xx.
`SandboxControl` is its client in Python.

`GET /api/services`
    `{"services": [...]}`, each with `name`, `title`, `base_url`, `profile`, `profiles` (what it
    could be), `switches` (name to `{"value", "values"}`), `settings` (account settings with the
    rights of an owner), `read_only_settings`, `can_decline`, and how many
    `invitations` and `members` it holds.

`GET /api/services/{name}/snapshot`
    What the service holds: at least `invitations` and `members`.

`POST /api/services/{name}/configure` with `{"profile": "...", "switches": {"name": "value"}}`
    Changes how the service behaves; both keys may be left out. Answers like one of the services
    above. 400 for a profile or switch that it does not have.

`POST /api/services/{name}/invitations/{id}/accept`, `.../decline`
    The invitee's click, without an email. Answers `{"service", "invitation", "state"}`, with the
    service's word for the state. Answers 409 with the reason if the service does not allow it.

`GET /api/emails`
    `{"emails": [...], "next": null}`, oldest first, each with the fields of `Email` and `state`,
    the present state of its invitation. Links are secrets, and are masked, also in the text.
    Parameters of the query:

    - `to`: only emails to this address, compared without case.
    - `service`, `state`: only emails of one service, or whose invitation is in one state.
    - `limit`: at most so many emails, 1 to 1,000. `next` is then the id to pass as `after` in the
      next request, or null if there are no more.
    - `after`: only emails sent after the one with this id.
    - `links=show`: shows the links.

`GET /api/emails/{id}`
    One email. `?links=show` as above.

`POST /api/emails/{id}/accept`, `POST /api/emails/{id}/decline`
    The same as for the invitation that the email is about.

`GET /api/clock`
    `{"now": "2026-05-04T09:15:00+00:00"}`, the sandbox's time.

`POST /api/clock` with `{"advance_seconds": 3600}`
    Moves it forward and answers like `GET`. 400 for a step back.

`POST /api/reset`
    Starts over with fresh services on the same ports, with the same seed, at the present time.
    Answers like `GET /api/services`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from guestlist.sandbox.service import Email, SandboxRefusal
from guestlist.sandbox.world import DeliveredEmail, Hosted, World

MAX_EMAILS_LISTED = 1_000
"""The largest `limit` of a list of emails."""
QUERY = frozenset({"to", "service", "state", "limit", "after", "links"})
"""Query parameters that a list of emails understands."""

ACTIONS = {"accept": "accepted", "decline": "declined"}
"""Actions of an invitee, each with its past participle."""


def hidden(link: str) -> str:
    """Returns a link with everything but its origin masked."""
    scheme, _, rest = link.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/••••••"


def masked_text(mail: Email) -> str:
    """Returns the text of an email with its link masked."""
    return mail.text.replace(mail.link, hidden(mail.link)) if mail.link else mail.text


def click(hosted: Hosted, action: str, invitation: str) -> None:
    """Accepts or declines an invitation. Raises SandboxRefusal, like `Service.accept`."""
    service = hosted.service
    answer = {"accept": service.accept, "decline": service.decline}[action]
    answer(invitation)


def advance(world: World, seconds: float) -> None:
    """Moves the clock of a world forward.

    Raises:
        HTTPException: 400 if the step is negative or leads beyond the year 9999.
    """
    try:
        step = timedelta(seconds=seconds)
        world.clock.now() + step
        world.clock.advance(step)
    except (OverflowError, ValueError) as error:
        raise HTTPException(400, f"The clock cannot move by {seconds} seconds: {error}") from error


def email_in_path(world: World, request: Request) -> Email:
    """Returns the email that a path names. Raises HTTPException (404) if there is none."""
    return _find(world, request.path_params["id"])


def _find(world: World, id: str) -> Email:
    mail = world.find_email(id)
    if mail is None:
        raise HTTPException(404, f"There is no email {id!r}")
    return mail


class ControlApi:
    """The endpoints under `/api` for one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """Returns the routes, without the prefix `/api`."""
        service = "/services/{name}"
        return [
            Route("/services", self.services),
            Route(f"{service}/snapshot", self.snapshot),
            Route(f"{service}/configure", self.configure, methods=["POST"]),
            *(
                Route(path, self.act, methods=["POST"])
                for action in ACTIONS
                for path in (f"{service}/invitations/{{id}}/{action}", f"/emails/{{id}}/{action}")
            ),
            Route("/emails", self.emails),
            Route("/emails/{id}", self.email),
            Route("/clock", self.clock, methods=["GET"]),
            Route("/clock", self.advance, methods=["POST"]),
            Route("/reset", self.reset, methods=["POST"]),
        ]

    async def services(self, request: Request) -> Response:
        """Answers with all services."""
        return self._services()

    async def snapshot(self, request: Request) -> Response:
        """Answers with the records of one service."""
        return _answer(self._hosted(request.path_params["name"]).service.snapshot())

    async def configure(self, request: Request) -> Response:
        """Sets the profile and switches of one service."""
        hosted = self._hosted(request.path_params["name"])
        wanted = await _body(request, {"profile", "switches"})
        switches = wanted.get("switches", {})
        if not isinstance(switches, dict):
            raise HTTPException(400, "`switches` has to be an object of names and values")
        try:
            hosted.service.configure(profile=wanted.get("profile"), **switches)
        except (TypeError, ValueError) as error:
            raise HTTPException(400, str(error)) from error
        return _answer(_described(hosted))

    async def emails(self, request: Request) -> Response:
        """Answers with the emails that match the query."""
        query = request.query_params
        if unknown := sorted(query.keys() - QUERY):
            raise HTTPException(
                400, f"There is no parameter {unknown[0]!r}; known: {', '.join(sorted(QUERY))}"
            )
        to = query.get("to", "").casefold()
        service = self._hosted(query["service"]).service.name if "service" in query else ""
        found = self._world.delivered(service=service, state=query.get("state", ""))
        if to:
            found = [one for one in found if one.email.to.casefold() == to]
        if after := query.get("after"):
            sent = self._world.outbox.emails.index(_find(self._world, after))
            later = {mail.id for mail in self._world.outbox.emails[sent + 1 :]}
            found = [one for one in found if one.email.id in later]
        limit = _limit(query.get("limit"))
        page = found if limit is None else found[:limit]
        return _answer(
            {
                "emails": [_described_email(one, request) for one in page],
                "next": page[-1].email.id if len(page) < len(found) else None,
            }
        )

    async def email(self, request: Request) -> Response:
        """Answers with one email."""
        mail = email_in_path(self._world, request)
        state = self._hosted(mail.service).state(mail.invitation)
        return _answer(_described_email(DeliveredEmail(mail, state), request))

    async def act(self, request: Request) -> Response:
        """Accepts or declines, depending on the last segment of the path."""
        name, invitation = request.path_params.get("name"), request.path_params["id"]
        if name is None:
            mail = email_in_path(self._world, request)
            name, invitation = mail.service, mail.invitation
        hosted = self._hosted(name)
        try:
            click(hosted, request.scope["path"].rpartition("/")[2], invitation)
        except SandboxRefusal as refusal:
            raise HTTPException(409, str(refusal)) from refusal
        state = hosted.state(invitation)
        return _answer({"service": name, "invitation": invitation, "state": state})

    async def clock(self, request: Request) -> Response:
        """Answers with the sandbox's time."""
        return _answer({"now": self._world.clock.now()})

    async def advance(self, request: Request) -> Response:
        """Moves the sandbox's time forward."""
        seconds = (await _body(request, {"advance_seconds"})).get("advance_seconds")
        if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
            raise HTTPException(400, "`advance_seconds` has to be a number of seconds")
        advance(self._world, seconds)
        return await self.clock(request)

    async def reset(self, request: Request) -> Response:
        """Deletes all emails and changes, and restarts the services."""
        self._world.reset()
        return self._services()

    def _services(self) -> Response:
        hosts = self._world.services.values()
        return _answer({"services": [_described(hosted) for hosted in hosts]})

    def _hosted(self, name: str) -> Hosted:
        if name not in self._world.services:
            known = ", ".join(self._world.services)
            raise HTTPException(404, f"There is no service {name!r}; known: {known}")
        return self._world.services[name]


def _limit(given: str | None) -> int | None:
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:5]) <= MAX_EMAILS_LISTED):
        raise HTTPException(400, f"`limit` has to be a number from 1 to {MAX_EMAILS_LISTED:,}")
    return int(given)


def _described_email(delivered: DeliveredEmail, request: Request) -> dict[str, Any]:
    mail = delivered.email
    described = asdict(mail) | {"state": delivered.state}
    if mail.link and request.query_params.get("links") != "show":
        described |= {"link": hidden(mail.link), "text": masked_text(mail)}
    return described


def _described(hosted: Hosted) -> dict[str, Any]:
    service = hosted.service
    snapshot = service.snapshot()
    return {
        "name": service.name,
        "title": service.title,
        "base_url": hosted.base_url,
        "profile": service.profile,
        "profiles": service.profiles,
        "switches": {
            name: {"value": service.chosen[name], "values": switch.values}
            for name, switch in service.switches.items()
        },
        "settings": hosted.settings,
        "read_only_settings": hosted.read_only_settings,
        "can_decline": hosted.can_decline,
        "invitations": len(snapshot["invitations"]),
        "members": len(snapshot["members"]),
    }


async def _body(request: Request, known: set[str]) -> dict[str, Any]:
    try:
        body = await request.json()
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"The body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise HTTPException(400, "The body has to be a JSON object")
    unknown = sorted(body.keys() - known)
    if unknown:
        raise HTTPException(400, f"Unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}")
    return body


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _answer(content: dict[str, Any]) -> Response:
    text = json.dumps(content, default=_plain, ensure_ascii=False)
    return Response(text, media_type="application/json")
