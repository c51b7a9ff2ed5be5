"""A local imitation of a better-auth server with one organization.

The answers were copied from a running better-auth 1.6.25. The tests send the same requests to both
and compare the answers. Requests that are not imitated (sessions, teams, hooks, roles created at
run time) get a 404.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from guestlist.sandbox.limits import SlidingWindow, client_address
from guestlist.sandbox.service import SandboxRefusal, Service

MOUNT = "/api/auth"
NAME = "Example Works"
OWNER_TOKEN = "BETTER-AUTH-SANDBOX-OWNER-TOKEN"
READ_ONLY_TOKEN = "BETTER-AUTH-SANDBOX-MEMBER-TOKEN"
ORGANIZATION_ID = "zJ4vU8sQm2Wn6Lc0RkTy1HbX9dPfGe7A"
"""The same in every sandbox, like the tokens, so that the settings of one sandbox work with the
next."""
PEOPLE = {
    "ines@example.org": ("Ines Owner", "owner"),
    "lena@example.org": ("Lena Admin", "admin"),
    "omar@example.org": ("Omar Member", "member"),
}
"""The members at the start: by email address, the name and the role."""
ROLES = ("owner", "admin", "member")
MANAGERS = frozenset({"owner", "admin"})
"""The roles that may invite, cancel invitations and change members."""
LIFETIME = timedelta(hours=48)
LIST_LIMIT = 100
"""The maximum number of records in a list without a `limit`. The server cuts the list off without
notice."""

BODY_TYPES = {
    "invite-member": {
        "email": "string",
        "role": "",
        "organizationId": "string?",
        "resend": "boolean?",
    },
    "cancel-invitation": {"invitationId": "string"},
    "update-member-role": {"role": "", "memberId": "string", "organizationId": "string?"},
    "remove-member": {"memberIdOrEmail": "string", "organizationId": "string?"},
}
"""The fields of each request body and their types; `?` marks an optional field. The field `role`
has no type: it is a string or a list of strings. The server reports errors in this order."""

TYPES: dict[type, str] = {
    type(...): "undefined",
    type(None): "null",
    bool: "boolean",
    str: "string",
    list: "array",
    dict: "object",
}
"""JavaScript's names of the types."""

Body = dict[str, Any]


class Refused(Exception):
    """An answer outside 2xx. Some have a message and a code, some only a message, some no body."""

    def __init__(self, status: int, message: str = "", code: str = "", **headers: str) -> None:
        body = {"message": message, "code": code}
        given = {name: value for name, value in body.items() if value}
        self.response = (
            JSONResponse(given, status, {name.replace("_", "-"): headers[name] for name in headers})
            if given
            else Response(status_code=status, media_type="application/json")
        )


def coded(message: str, status: int = 400) -> Refused:
    """Returns the usual error answer, whose code is its message in capitals."""
    return Refused(status, message, message.upper().replace(" ", "_"))


def parsed(content: bytes, path: str) -> Body:
    """Returns the body of a request. Validates it, as the server does before it checks the
    token."""
    try:
        body: Any = json.loads(content) if content else ...
    except (ValueError, RecursionError):
        raise Refused(400, "Invalid JSON in request body", "BAD_REQUEST") from None
    wrong = [expected("body", "object", body)]
    if isinstance(body, dict):
        fields = BODY_TYPES[path].items()
        wrong = [expected(f"body.{name}", kind, body.get(name, ...)) for name, kind in fields]
    if any(wrong):
        raise Refused(400, "; ".join(filter(None, wrong)), "VALIDATION_ERROR")
    return dict(body)


def expected(where: str, kind: str, value: Any) -> str:
    """Returns the error message for a value; empty if the value is valid. `...` stands for a
    missing value."""
    if not kind:
        several = value if isinstance(value, list) else [value]
        good = all(isinstance(one, str) for one in several)
        return "" if good else f"[{where}] Invalid input"
    received = TYPES.get(type(value), "number")
    if received == kind.removesuffix("?") or (received == "undefined" and kind.endswith("?")):
        return ""
    return f"[{where}] Invalid input: expected {kind.removesuffix('?')}, received {received}"


def number(text: str, default: int) -> int:
    """Parses a number of the query. Returns the default if it is not a number, or less than one."""
    return int(text) if text.isdecimal() and int(text) else default


def listed(roles: str | list[str]) -> list[str]:
    """Returns the names in a role: a string with commas, or a list."""
    text = roles if isinstance(roles, str) else ",".join(roles)
    return [name.strip() for name in text.split(",") if name.strip()]


def written(moment: datetime) -> str:
    """Formats a date and time as JavaScript does: with milliseconds and `Z`."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


async def nothing(_: Request, _error: Any) -> Response:
    """Answers 404 without a body, for an unknown path or method."""
    return Response(status_code=404)


@dataclass
class World:
    """The records by id, in the shape in which the server sends them."""

    organization: Body
    users: dict[str, Body] = field(default_factory=dict)
    members: dict[str, Body] = field(default_factory=dict)
    invitations: dict[str, Body] = field(default_factory=dict)


class BetterAuthService(Service):
    """better-auth with its organization and bearer plugins, and their defaults.

    The switch `rate`: `window` limits requests to 100 in 10 s per path and address, as in
    production; `off` does not limit them, as in other environments.
    """

    name = "betterauth"
    title = "better-auth"
    profiles = ("1.6",)
    switches: ClassVar[dict[str, tuple[str, ...]]] = {"rate": ("off", "window")}

    world: World

    def build(self) -> ASGIApp:
        now = written(self.clock.now())
        self.window = SlidingWindow(100, 10.0)
        self.world = World({"name": NAME, "slug": "example-works", "logo": None, "createdAt": now})
        self.world.organization |= {"metadata": None, "id": ORGANIZATION_ID}
        for email, (name, role) in PEOPLE.items():
            self.join(self.user(email, name), role)
        endpoints: Mapping[str, tuple[str, Callable[[Body, Body], Any]]] = {
            "list": ("GET", lambda _caller, _query: [self.world.organization]),
            "list-invitations": ("GET", self.list_invitations),
            "list-members": ("GET", self.list_members),
            "invite-member": ("POST", self.invite),
            "cancel-invitation": ("POST", self.cancel),
            "update-member-role": ("POST", self.update_roles),
            "remove-member": ("POST", self.remove),
        }
        routes = [
            Route(f"{MOUNT}/organization/{path}", self.endpoint(path, answer), methods=[method])
            for path, (method, answer) in endpoints.items()
        ]
        return Starlette(routes=routes, exception_handlers={404: nothing, 405: nothing})

    def endpoint(self, path: str, answer: Callable[[Body, Body], Any]) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            try:
                self.count(request)
                posted = request.method == "POST"
                body = parsed(await request.body(), path) if posted else dict(request.query_params)
                return JSONResponse(answer(self.caller(request), body))
            except Refused as refused:
                return refused.response

        return handle

    def count(self, request: Request) -> None:
        if self.chosen["rate"] == "window":
            key = f"{client_address(request.scope)}|{request.url.path}"
            verdict = self.window.take(key, self.clock.seconds())
            if not verdict.allowed:
                wait = verdict.retry_after_header
                message = "Too many requests. Please try again later."
                raise Refused(429, message, x_retry_after=wait)

    def caller(self, request: Request) -> Body:
        """Returns the member who owns the token."""
        owners = {f"Bearer {OWNER_TOKEN}": "owner", f"Bearer {READ_ONLY_TOKEN}": "member"}
        role = owners.get(request.headers.get("authorization", ""))
        for email, (_, seeded) in PEOPLE.items():
            found = self.member_of(email)
            if seeded == role and found:
                return found
        raise coded("Unauthorized", 401)

    # ------------------------------------------------------------------ the endpoints

    def list_invitations(self, caller: Body, query: Body) -> list[Body]:
        if self.is_foreign(query):
            raise Refused(403, "You are not a member of this organization")
        return list(self.world.invitations.values())[:LIST_LIMIT]

    def list_members(self, caller: Body, query: Body) -> Body:
        if self.is_foreign(query):
            raise coded("You are not a member of this organization", 403)
        wanted = [
            {**member, "user": self.world.users[member["userId"]]}
            for member in self.world.members.values()
            if query.get("filterField") != "id" or member["id"] == query.get("filterValue")
        ]
        start = number(query.get("offset", ""), 0)
        end = start + number(query.get("limit", ""), LIST_LIMIT)
        return {"members": wanted[start:end], "total": len(wanted)}

    def invite(self, caller: Body, body: Body) -> Body:
        email, roles = body["email"].lower(), listed(body["role"])
        if "@" not in email:
            raise coded("Invalid email")
        self.check(caller, body, "You are not allowed to invite users to this organization")
        self.check_roles(roles, code="")
        if "owner" in roles and "owner" not in listed(caller["role"]):
            raise coded("You are not allowed to invite a user with this role", 403)
        if self.member_of(email):
            raise coded("User is already a member of this organization")
        now = self.clock.now()
        expires = written(now + LIFETIME)
        waiting = [one for one in self.world.invitations.values() if self.is_open(one)]
        invited = [one for one in waiting if one["email"] == email]
        if invited and not body.get("resend"):
            raise coded("User is already invited to this organization")
        if invited:
            invited[0]["expiresAt"] = expires  # the role in this request is ignored
            self.mail(invited[0])
            return invited[0]
        if len(waiting) >= LIST_LIMIT:
            raise coded("Invitation limit reached", 403)
        invitation = {
            "organizationId": self.world.organization["id"],
            "email": email,
            "role": ",".join(roles),
            "status": "pending",
            "expiresAt": expires,
            "createdAt": written(now),
            "inviterId": caller["userId"],
            "id": self.new_id(),
        }
        self.world.invitations[invitation["id"]] = invitation
        self.mail(invitation)
        return invitation

    def cancel(self, caller: Body, body: Body) -> Body:
        """Cancels an invitation in any state. If it was accepted, the person remains a member."""
        invitation = self.world.invitations.get(body["invitationId"])
        if invitation is None:
            raise coded("Invitation not found")
        self.check(caller, {}, "You are not allowed to cancel this invitation")
        invitation["status"] = "canceled"
        return invitation

    def update_roles(self, caller: Body, body: Body) -> Body:
        roles = listed(body["role"])
        if not roles:
            raise Refused(400)
        self.check_roles(roles, code="ROLE_NOT_FOUND")
        member = self.existing(body, body["memberId"])
        touches_owner = "owner" in roles or "owner" in listed(member["role"])
        refusal = "You are not allowed to update this member"
        if touches_owner and "owner" not in listed(caller["role"]):
            raise coded(refusal, 403)
        if member is caller and "owner" not in roles and self.owners() == [member]:
            raise coded("You cannot leave the organization without an owner")
        self.check(caller, body, refusal)
        member["role"] = ",".join(roles)
        return member

    def remove(self, caller: Body, body: Body) -> Body:
        who = body["memberIdOrEmail"]
        found = self.member_of(who) if "@" in who else None
        member = self.existing(body, found["id"] if found else who)
        if "owner" in listed(member["role"]) and (
            "owner" not in listed(caller["role"]) or self.owners() == [member]
        ):
            raise coded("You cannot leave the organization as the only owner")
        # The server answers 401 here, not 403.
        self.check(caller, body, "You are not allowed to delete this member", status=401)
        del self.world.members[member["id"]]
        shown = {"user": self.world.users[member["userId"]]} if found else {}
        return {"member": member | shown}

    # ------------------------------------------------------------------ helpers of the endpoints

    def is_foreign(self, body: Body) -> bool:
        own = self.world.organization["id"]
        return bool((body.get("organizationId") or own) != own)

    def check(self, caller: Body, body: Body, refusal: str, *, status: int = 403) -> None:
        if self.is_foreign(body):
            raise coded("Member not found")
        if MANAGERS.isdisjoint(listed(caller["role"])):
            raise coded(refusal, status)

    def check_roles(self, names: list[str], *, code: str) -> None:
        unknown = [name for name in names if name not in ROLES]
        if unknown:
            raise Refused(400, f"ROLE_NOT_FOUND: {', '.join(unknown)}", code)

    def existing(self, body: Body, id: str) -> Body:
        member = self.world.members.get(id)
        if member is None or self.is_foreign(body):
            raise coded("Member not found")
        return member

    def owners(self) -> list[Body]:
        return [one for one in self.world.members.values() if "owner" in listed(one["role"])]

    def member_of(self, email: str) -> Body | None:
        for member in self.world.members.values():
            if self.world.users[member["userId"]]["email"] == email.lower():
                return member
        return None

    def user(self, email: str, name: str) -> Body:
        """Returns the account of a person; creates it if there is none."""
        for user in self.world.users.values():
            if user["email"] == email:
                return user
        user = {"id": self.new_id(), "name": name, "email": email, "image": None}
        self.world.users[user["id"]] = user
        return user

    def join(self, user: Body, role: str) -> None:
        member = {
            "organizationId": self.world.organization["id"],
            "userId": user["id"],
            "role": role,
            "createdAt": written(self.clock.now()),
            "id": self.new_id(),
        }
        self.world.members[member["id"]] = member

    def state_of(self, invitation: Body) -> str:
        lapsed = invitation["status"] == "pending" and not self.is_open(invitation)
        return "expired" if lapsed else str(invitation["status"])

    def is_open(self, invitation: Body) -> bool:
        expires = datetime.fromisoformat(invitation["expiresAt"])
        return invitation["status"] == "pending" and expires > self.clock.now()

    def new_id(self) -> str:
        return "".join(self.random.choices(string.ascii_letters + string.digits, k=32))

    def mail(self, invitation: Body) -> None:
        link = f"https://app.example.org/accept-invitation/{invitation['id']}"
        self.outbox.send(
            self.name,
            invitation=invitation["id"],
            to=invitation["email"],
            sender="auth@app.example.org",
            organization=NAME,
            subject=f"Join {NAME}",
            text=f"You are invited to {NAME} as {invitation['role']}.\n\nAccept: {link}\n",
            link=link,
            expires_at=datetime.fromisoformat(invitation["expiresAt"]),
            roles=tuple(invitation["role"].split(",")),
        )

    # ------------------------------------------------------------------ methods of every sandbox

    def settings(self, base_url: str) -> dict[str, str]:
        return {
            "base_url": base_url + MOUNT,
            "token": OWNER_TOKEN,
            "organization_id": self.world.organization["id"],
        }

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {**self.settings(base_url), "token": READ_ONLY_TOKEN}

    def accept(self, invitation: str) -> None:
        record = self.world.invitations.get(invitation)
        if record is None or not self.is_open(record):
            raise SandboxRefusal("Invitation not found")
        record["status"] = "accepted"
        name = record["email"].partition("@")[0].capitalize()
        self.join(self.user(record["email"], name), record["role"])

    def decline(self, invitation: str) -> None:
        """Declines a pending invitation, even if it has expired."""
        record = self.world.invitations.get(invitation)
        if record is None or record["status"] != "pending":
            raise SandboxRefusal("Invitation not found")
        record["status"] = "rejected"

    @contextmanager
    def hide(self, invitations: Collection[str]) -> Iterator[None]:
        everything = self.world.invitations
        self.world.invitations = {
            id: one for id, one in everything.items() if id not in invitations
        }
        try:
            yield
        finally:
            self.world.invitations = everything

    def snapshot(self) -> dict[str, Any]:
        """Returns the real states: an expired invitation, which the server reports as pending for
        ever, is expired here."""
        return {
            "invitations": [
                {"id": one["id"], "email": one["email"], "state": self.state_of(one)}
                for one in self.world.invitations.values()
            ],
            "members": [
                {"id": one["id"], "email": self.world.users[one["userId"]]["email"]}
                for one in self.world.members.values()
            ],
        }
