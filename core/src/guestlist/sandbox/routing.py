"""A service as a table: its paths, its records, its errors and its switches.

`OrganizationService` is the base class of a service with one `Organization`. A subclass registers
an endpoint for each method and path, and says how records and errors look:

    class ClubService(OrganizationService):
        name, title = "club", "Club"
        routes = Routes()

        @routes.get("/members")
        def list_members(self, request: IncomingRequest) -> Any:
            return [shape(one) for one in self.organization.members()]

A request passes these checks: the rate limit (429), path and method (404, 405), credentials (401),
permission (403), and then those of the endpoint.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from guestlist.sandbox.limits import RateLimit, RateLimitResult, client_address
from guestlist.sandbox.organization import (
    InvitationRecord,
    Key,
    MemberRecord,
    Organization,
    PersonRecord,
)
from guestlist.sandbox.refusals import (
    HttpRefusal,
    InvalidValue,
    MethodNotAllowed,
    NotAuthenticated,
    NotPermitted,
    PathNotFound,
    RecordNotFound,
    TooManyRequests,
)
from guestlist.sandbox.service import SandboxRefusal, Service

Handler = Callable[[Any, "IncomingRequest"], Any]
"""An endpoint: a function of the service and the request that returns the JSON to answer with.
None answers without a body; a `Response` is sent as it is."""
HandlerT = TypeVar("HandlerT", bound=Handler)


@dataclass(frozen=True)
class Endpoint:
    """The handler of one HTTP method on one path."""

    handle: Handler
    status: int
    needs_key: bool
    action: str
    """The permission that the caller needs, in the service's word; may be empty."""


class Routes:
    """The endpoints of a service, by path and method. The first path that fits is used."""

    def __init__(self, *others: Routes) -> None:
        self._paths: dict[str, tuple[re.Pattern[str], dict[str, Endpoint]]] = {}
        for other in others:  # copied, so that an endpoint that replaces another does not change it
            self._paths |= {path: (one[0], {**one[1]}) for path, one in other._paths.items()}

    def get(self, path: str, **how: Any) -> Callable[[HandlerT], HandlerT]:
        return self.add("GET", path, **how)

    def post(self, path: str, **how: Any) -> Callable[[HandlerT], HandlerT]:
        return self.add("POST", path, **how)

    def put(self, path: str, **how: Any) -> Callable[[HandlerT], HandlerT]:
        return self.add("PUT", path, **how)

    def patch(self, path: str, **how: Any) -> Callable[[HandlerT], HandlerT]:
        return self.add("PATCH", path, **how)

    def delete(self, path: str, *, status: int = 204, **how: Any) -> Callable[[HandlerT], HandlerT]:
        return self.add("DELETE", path, status=status, **how)

    def add(
        self,
        method: str,
        path: str,
        *,
        status: int = 200,
        needs_key: bool = True,
        action: str = "",
    ) -> Callable[[HandlerT], HandlerT]:
        """Returns a decorator that registers an endpoint.

        Args:
            method: such as `GET`, which also answers `HEAD`.
            path: such as `/members/{id}`; a name in braces stands for one segment.
            status: the status of a success.
            needs_key: whether the caller has to authenticate.
            action: see `Endpoint.action`.
        """

        def register(handle: HandlerT) -> HandlerT:
            pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))
            _, methods = self._paths.setdefault(path, (re.compile(pattern), {}))
            methods[method] = Endpoint(handle, status, needs_key, action)
            return handle

        return register

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yields the method and the path of every endpoint."""
        return ((method, path) for path, (_, methods) in self._paths.items() for method in methods)

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
        """Returns the endpoint of a request, and the segments that the path names.

        Raises:
            PathNotFound: no path fits.
            MethodNotAllowed: only other methods fit.
        """
        method = "GET" if method == "HEAD" else method
        allowed: list[str] = []
        for pattern, methods in self._paths.values():
            match = pattern.fullmatch(path)
            if match and method in methods:
                return methods[method], match.groupdict()
            if match:
                allowed += [*methods, "HEAD"] if "GET" in methods else methods
        if allowed:
            raise MethodNotAllowed(", ".join(dict.fromkeys(allowed)))
        raise PathNotFound


@dataclass
class IncomingRequest:
    """A request to an endpoint."""

    http: Request
    content: bytes
    endpoint: Endpoint | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    key: Key | None = None
    """The caller's credentials, once they have been checked."""
    body: Any = None
    """The body as `OrganizationService.validate` has read it."""

    @property
    def caller(self) -> PersonRecord:
        """The person who sends the request."""
        if self.key is None:
            raise NotAuthenticated
        return self.key.person

    @property
    def query(self) -> Mapping[str, str]:
        return self.http.query_params

    @property
    def headers(self) -> Mapping[str, str]:
        return self.http.headers

    @property
    def reads(self) -> bool:
        """Whether the method only reads."""
        return self.http.method in ("GET", "HEAD")

    def json(self) -> dict[str, Any]:
        """Returns the JSON object in the body. Raises InvalidValue for anything else."""
        try:
            body = json.loads(self.content)
            # json.loads accepts infinite numbers and lone surrogates, which no answer can contain.
            json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):
            raise InvalidValue("body", "the body is not valid JSON") from None
        if not isinstance(body, dict):
            raise InvalidValue("body", "the body is not a JSON object")
        return body

    def text(self, name: str, default: str | None = None) -> str:
        """Returns a string of the body. Without a default it must be there and not be empty."""
        value = self.json().get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise InvalidValue(name)
        return value


ERRORS: Mapping[type[SandboxRefusal], int] = {
    NotAuthenticated: 401,
    NotPermitted: 403,
    RecordNotFound: 404,
    MethodNotAllowed: 405,
    InvalidValue: 422,
    TooManyRequests: 429,
    SandboxRefusal: 409,
}
"""The default of `OrganizationService.errors`. The entry of the nearest base class counts."""


class OrganizationService(Service):
    """A service with one organization. A subclass defines the initial records, the paths and the
    error bodies."""

    profiles: ClassVar[tuple[str, ...]] = ("default",)
    routes: ClassVar[Routes]
    """The endpoints."""
    organization_id: ClassVar[str] = "o-1"
    organization_name: ClassVar[str] = "Example Works"
    lifetime: ClassVar[timedelta | None] = timedelta(days=7)
    """How long an invitation can be accepted; None for ever."""
    behavior: ClassVar[Mapping[str, str]] = {}
    """Values of `guestlist.sandbox.organization.SWITCHES` that the service's documents fix. Those
    in `switches` can be changed."""
    errors: ClassVar[Mapping[type[SandboxRefusal], int | tuple[int, str]]] = {}
    """The status of each refusal, and the service's code if it has one. A refusal that is not here
    has the entry of its nearest base class. The defaults are 401 for `NotAuthenticated`, 403 for
    `NotPermitted`, 404 for `RecordNotFound`, 405 for `MethodNotAllowed`, 422 for `InvalidValue`,
    429 for `TooManyRequests`, and 409 for the others. `HttpRefusal` has its own status."""
    people_have_logins: ClassVar[bool] = False
    """Whether every account has a login. It is made from the address if none is given."""
    invitees_can_decline: ClassVar[bool] = False
    """Whether the emails offer a way to decline."""

    organization: Organization
    """The records. `seed` adds the first ones."""

    def build(self) -> ASGIApp:
        self.organization = Organization(
            id=self.organization_id,
            name=self.organization_name,
            clock=self.clock,
            lifetime=self.lifetime,
            new_id=self.new_id,
            send=self.send_email,
            behavior=_Behavior(self),
            logins=self.people_have_logins,
        )
        self.seed()
        return self._serve

    # ------------------------------------------------------------------ what a service defines

    @abstractmethod
    def seed(self) -> None:
        """Adds the first people, roles and keys to `organization`."""

    @abstractmethod
    def error(self, status: int, code: str, refusal: SandboxRefusal) -> Any:
        """Returns the body of an error answer. `code` is from `errors`, or empty."""

    def new_id(self, kind: str) -> str:
        """Returns a new id, as for `Organization`."""
        return f"{kind[0]}_{self.random.getrandbits(64):016x}"

    def link(self, invitation: InvitationRecord) -> str:
        """Returns the link that an invitee opens to accept. If the service's records show it, use
        this method for them too: the suite compares them with the email. By default
        `https://NAME.example/join/SECRET`, with the `secret` of the invitation."""
        return f"https://{self.name}.example/join/{invitation.secret}"

    def email(self, invitation: InvitationRecord) -> dict[str, Any]:
        """Returns the `sender`, `subject`, `text` and `link` of an invitation's email. The text
        contains the link. `link` is None if the emails have no link."""
        name, link = self.organization.name, self.link(invitation)
        return {
            "sender": f"no-reply@{self.name}.example",
            "subject": f"Join {name} on {self.title}",
            "text": f"You are invited to join {name} on {self.title}.\n\nAccept: {link}\n",
            "link": link,
        }

    def credentials(self, request: IncomingRequest) -> str:
        """Returns the secret with which a request was sent; empty if there is none."""
        return bearer(request.headers)

    def validate(self, request: IncomingRequest) -> None:
        """Checks a request before its credentials, if the service does so."""

    def permit(self, request: IncomingRequest) -> None:
        """Raises NotPermitted if the caller may not use the endpoint. By default a read-only key
        (`Key.read_only`) may send `GET` and `HEAD` only."""
        if request.key is not None and request.key.read_only and not request.reads:
            raise NotPermitted("these credentials may only read")

    def limit(self, request: IncomingRequest) -> RateLimit | None:
        """Returns the rate limit for a request, which may depend on its kind; None for no limit."""
        return None

    def limit_key(self, request: IncomingRequest) -> str:
        """Returns the key under which the rate limit counts a request; by default the network
        address."""
        return client_address(request.http.scope)

    def limit_headers(self, limit_result: RateLimitResult) -> Mapping[str, str]:
        """Returns the headers of a refusal by the rate limit."""
        return {"Retry-After": limit_result.retry_after_header}

    def finish(
        self, response: Response, request: IncomingRequest, limit_result: RateLimitResult | None
    ) -> None:
        """Adds headers to an answer. `limit_result` is that of the rate limit, if there is one."""

    # ------------------------------------------------------------------ serving

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = Request(scope, receive)
        response = self.answer(IncomingRequest(http, await http.body()))
        await response(scope, receive, send)

    def answer(self, request: IncomingRequest) -> Response:
        """Returns the answer to a request."""
        limit_result = None
        try:
            limit = self.limit(request)
            if limit is not None:
                limit_result = limit.take(self.limit_key(request), self.clock.seconds())
                if not limit_result.allowed:
                    raise TooManyRequests(limit_result)
            found = self.routes.find(request.http.method, request.http.scope["path"])
            request.endpoint, request.path = found
            self.validate(request)
            if request.endpoint.needs_key:
                request.key = self.organization.key(self.credentials(request))
            self.permit(request)
            result = request.endpoint.handle(self, request)
            response = self.response(result, request.endpoint.status)
        except SandboxRefusal as refusal:
            response = self.refused(refusal)
        self.finish(response, request, limit_result)
        return response

    def response(self, result: Any, status: int) -> Response:
        """Returns the response for what an endpoint returned."""
        if isinstance(result, Response):
            return result
        return Response(status_code=status) if result is None else JSONResponse(result, status)

    def refused(self, refusal: SandboxRefusal) -> Response:
        """Returns the response for a refusal."""
        headers: Mapping[str, str] = {}
        if isinstance(refusal, HttpRefusal):
            status, code, headers = refusal.status, refusal.code, refusal.headers
        else:
            status, code = self._status_of(type(refusal))
        if isinstance(refusal, TooManyRequests):
            headers = self.limit_headers(refusal.limit_result)
        if isinstance(refusal, MethodNotAllowed) and status == 405:
            headers = {"Allow": refusal.allowed}
        response = self.response(self.error(status, code, refusal), status)
        response.headers.update(headers)
        return response

    def _status_of(self, kind: type[SandboxRefusal]) -> tuple[int, str]:
        for table in (self.errors, ERRORS):
            for base in kind.__mro__:
                if base in table:
                    found = table[base]
                    return found if isinstance(found, tuple) else (found, "")
        raise LookupError(kind)

    # ------------------------------------------------------------------ what every sandbox has

    def send_email(self, invitation: InvitationRecord) -> None:
        """Puts an invitation's email into the outbox."""
        self.outbox.send(
            self.name,
            invitation=invitation.id,
            to=invitation.email,
            organization=self.organization.name,
            expires_at=invitation.expires_at,
            roles=tuple(role.name for role in invitation.roles),
            **self.email(invitation),
        )

    def accept(self, invitation: str, *, email: str = "") -> None:
        """Accepts an invitation as the invitee, or as the person with another address."""
        self.organization.accept(self.organization.any_invitation(invitation), email=email)

    def decline(self, invitation: str) -> None:
        if not self.invitees_can_decline:
            super().decline(invitation)
        self.organization.decline(self.organization.any_invitation(invitation))

    @property
    def can_decline(self) -> bool:
        return self.invitees_can_decline

    def hide(self, invitations: Collection[str]) -> AbstractContextManager[None]:
        return self.organization.hidden(invitations)

    def snapshot(self) -> dict[str, Any]:
        """Returns all invitations, even if the service does not show them, and the members."""
        now = self.clock.now()
        return {
            "invitations": [
                {"id": one.id, "email": one.email, "state": one.state(now)}
                for one in self.organization.invitations.values()
            ],
            "members": [self.described(one) for one in self.organization.members()],
        }

    def described(self, member: MemberRecord) -> dict[str, Any]:
        """Returns a member as `snapshot` lists it."""
        return {"id": member.id, "email": member.person.email}


class _Behavior(Mapping[str, str]):
    """The values that a service fixes, overridden by its present switches."""

    def __init__(self, service: OrganizationService) -> None:
        self._service = service

    def __getitem__(self, name: str) -> str:
        chosen = self._service.chosen
        return chosen[name] if name in chosen else self._service.behavior[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._service.behavior, **self._service.chosen})

    def __len__(self) -> int:
        return len({**self._service.behavior, **self._service.chosen})


def bearer(headers: Mapping[str, str]) -> str:
    """Returns the token of an `Authorization: Bearer` header; empty if there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
