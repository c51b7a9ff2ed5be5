"""A request to an endpoint: the caller, the organization, the records in the path, and the body.

An endpoint checks a request in the service's order: the caller (401), the organization (403), the
caller's rights (403), the records in the path (404), conflicts with existing records (409), and
last whether the values are valid (422 or 400). Records that a body names can only be looked up
after reading the body, so an unreadable body is refused before them.
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
    """A caller, with the membership in the organization of the path."""

    user: User
    organization: Organization
    membership: Membership


class Call:
    """A request to one of the service's endpoints."""

    def __init__(self, service: ServiceState, request: Request) -> None:
        self.service = service
        self.request = request
        self.seated: Organization | None = None
        """The organization of the path; set after the caller's membership has been checked."""

    @property
    def records(self) -> Records:
        return self.service.records

    def path(self, name: str) -> str:
        """Returns a parameter of the path, decoded."""
        return str(self.request.path_params[name])

    def caller(self) -> User:
        """Returns the user who sends the request.

        If both a key and a token are sent, as the SDK does, the token decides (unverified choice):
        the SDK cannot be used without a key.
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
        """Returns the caller's membership in the organization. With `admin`, raises unless the
        caller is an Admin or Owner.

        An organization that does not exist has no members, so the answer is the same as for a
        foreign one (unverified choice).
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
        """Returns the membership of a caller who may invite: an Admin or Owner according to the
        pages, any member according to the SDK."""
        return self.seat(admin=self.service.chosen["who_may_invite"] == "admin")

    def member(self, seat: Seat, person: str | None = None) -> Membership:
        """Returns the row of the person in the path (or of `person`), by user id or membership
        id."""
        wanted = self.path("user") if person is None else person
        row = self.records.membership(seat.organization.id, wanted)
        if row is None or not self.service.shows(row):
            raise not_found("Member")
        return row

    def role(self, seat: Seat, id: str | None = None) -> Role:
        """Returns the role in the path (or with the given `id`)."""
        role = self.records.role(seat.organization.id, self.path("role") if id is None else id)
        if role is None:
            raise not_found("Role")
        return role

    def status(self, seat: Seat, id: str) -> Status:
        """Returns the organization's status with this id."""
        for status in self.records.statuses_of(seat.organization.id):
            if status.id == id:
                return status
        raise not_found("Status")

    async def body(self, kind: type[F]) -> F:
        """Returns the JSON body. Answers 422 if it is invalid."""
        raw = await self.request.body()
        try:
            read = kind.model_validate_json(raw)
        except ValidationError as error:
            raise unprocessable(problems(error, "body")) from error
        if read.refuses_unknown or self.service.chosen["extra_fields"] == "strict":
            _refuse_unknown(read)
        return read

    def query(self, kind: type[F]) -> F:
        """Returns the query. Answers 400 if it is invalid, as in CM-get."""
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
        return self._active_user(known.user_id, "INVALID_API_KEY")

    def _by_bearer(self, secret: str) -> User:
        if secret.startswith("ak_"):
            return self._by_key(secret)
        token = self.records.access_tokens.get(secret)
        if token is None:
            raise unauthenticated("TOKEN_INVALID", "Invalid token")
        if token.expires_at <= self.service.clock.now():
            raise unauthenticated("TOKEN_EXPIRED", "Token expired")
        return self._active_user(token.user_id, "TOKEN_INVALID")

    def _active_user(self, user_id: str, code: str) -> User:
        user = self.records.users[user_id]
        if not user.is_active:
            raise unauthenticated(code, "The account is not active")
        return user


def insufficient() -> ApiError:
    """Returns the 403 for a caller whose roles do not allow the action, with the text of
    OI-send."""
    error = forbidden(
        "INSUFFICIENT_PERMISSIONS", "You don't have permission to perform this action."
    )
    error.system_message = "Insufficient permissions for this operation"
    return error


def _refuse_unknown(read: Fields) -> None:
    wrong = {"msg": "Extra inputs are not permitted", "type": "extra_forbidden"}
    if read.unknown:
        raise unprocessable([{"loc": ["body", name], **wrong} for name in read.unknown])
