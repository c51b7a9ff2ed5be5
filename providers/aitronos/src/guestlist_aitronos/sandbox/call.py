"""One request: who sends it, where to, and what it says, each checked when it is asked for.

An endpoint asks in the service's order: who (401), into which organization (403), with which
rights (403), about what (404), against what is there (409), and last whether it makes sense
(422 or 400). What a body names cannot be looked up before the body can be read, so a body that
is not what the endpoint takes is refused ahead of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError
from starlette.requests import Request

from guestlist_aitronos.sandbox.bodies import Fields
from guestlist_aitronos.sandbox.errors import (
    ApiError,
    forbidden,
    invalid,
    not_found,
    problems,
    unauthenticated,
    unprocessable,
)
from guestlist_aitronos.sandbox.records import (
    ACTIVE,
    ADMIN,
    OWNER,
    Membership,
    Organization,
    Records,
    Role,
    Status,
    User,
)
from guestlist_aitronos.sandbox.state import ServiceState

F = TypeVar("F", bound=Fields)


@dataclass(frozen=True)
class Seat:
    """A caller's place in the organization of the path."""

    user: User
    organization: Organization
    membership: Membership


class Call:
    """A request to one of the service's endpoints."""

    def __init__(self, service: ServiceState, request: Request) -> None:
        self.service = service
        self.request = request
        self.seated: Organization | None = None
        """The organization of the path, once the caller has been let into it."""

    @property
    def records(self) -> Records:
        return self.service.records

    def path(self, name: str) -> str:
        """A decoded part of the path."""
        return str(self.request.path_params[name])

    def caller(self) -> User:
        """Who sends the request.

        Where both a key and a token are sent, as the SDK does, the token says who it is
        (unverified choice): the SDK cannot be built without a key.
        """
        headers = self.request.headers
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and bearer.strip():
            return self._by_bearer(bearer.strip())
        key = headers.get("x-api-key") or headers.get("api-key")
        if not key:
            raise unauthenticated("AUTHENTICATION_REQUIRED", "Authentication required")
        return self._by_key(key)

    def seat(self, *, admin: bool = False) -> Seat:
        """The caller's place in the organization; with `admin`, one of an Admin or Owner.

        An organization that does not exist has no members, so it is refused like a foreign one
        (unverified choice).
        """
        user = self.caller()
        organization = self.records.organization(self.path("organization"))
        row = organization and self.records.membership(organization.id, user.id)
        if not organization or not row or row.status != ACTIVE:
            raise forbidden("ORGANIZATION_ACCESS_DENIED", "No access to this organization")
        if admin and not self.records.has_role(row, (OWNER, ADMIN)):
            raise insufficient()
        self.seated = organization
        return Seat(user, organization, row)

    def inviter(self) -> Seat:
        """The place of one who may invite: pages say Admin or Owner, the SDK says any member."""
        return self.seat(admin=self.service.chosen["who_may_invite"] == "admin")

    def member(self, seat: Seat, person: str | None = None) -> Membership:
        """The row that a path (or `person`) names, by user or membership id."""
        wanted = self.path("user") if person is None else person
        row = self.records.membership(seat.organization.id, wanted)
        if row is None or not self.service.shows(row):
            raise not_found("Member")
        return row

    def role(self, seat: Seat, id: str | None = None) -> Role:
        """The role that a path (or `id`) names."""
        role = self.records.role(seat.organization.id, self.path("role") if id is None else id)
        if role is None:
            raise not_found("Role")
        return role

    def status(self, seat: Seat, id: str) -> Status:
        """An organization's status by id."""
        for status in self.records.statuses_of(seat.organization.id):
            if status.id == id:
                return status
        raise not_found("Status")

    async def body(self, kind: type[F]) -> F:
        """The JSON body. Anything that is not one is a 422."""
        raw = await self.request.body()
        try:
            read = kind.model_validate_json(raw)
        except ValidationError as error:
            raise unprocessable(problems(error, "body")) from error
        if read.refuses_unknown or self.service.chosen["extra_fields"] == "strict":
            _refuse_unknown(read)
        return read

    def query(self, kind: type[F]) -> F:
        """The query. Misuse is a 400, as in CM-get."""
        try:
            return kind.model_validate(dict(self.request.query_params))
        except ValidationError as error:
            refusal = invalid("Invalid query parameters")
            refusal.problems = problems(error, "query")
            raise refusal from error

    def _by_key(self, key: str) -> User:
        known = self.records.api_keys.get(key)
        if known is None:
            raise unauthenticated("INVALID_API_KEY", "Invalid API key")
        if known.refusal:
            raise unauthenticated(known.refusal, "This API key cannot be used")
        return self._living(known.user_id, "INVALID_API_KEY")

    def _by_bearer(self, secret: str) -> User:
        if secret.startswith("ak_"):
            return self._by_key(secret)
        token = self.records.access_tokens.get(secret)
        if token is None:
            raise unauthenticated("TOKEN_INVALID", "Invalid token")
        if token.expires_at <= self.service.clock.now():
            raise unauthenticated("TOKEN_EXPIRED", "Token expired")
        return self._living(token.user_id, "TOKEN_INVALID")

    def _living(self, user_id: str, code: str) -> User:
        user = self.records.users[user_id]
        if not user.is_active:
            raise unauthenticated(code, "The account is not active")
        return user


def insufficient() -> ApiError:
    """Returns the error for a caller whose roles do not allow it, in the words of OI-send."""
    error = forbidden(
        "INSUFFICIENT_PERMISSIONS", "You don't have permission to perform this action."
    )
    error.system_message = "Insufficient permissions for this operation"
    return error


def _refuse_unknown(read: Fields) -> None:
    wrong = {"msg": "Extra inputs are not permitted", "type": "extra_forbidden"}
    if read.unknown:
        raise unprocessable([{"loc": ["body", name], **wrong} for name in read.unknown])
