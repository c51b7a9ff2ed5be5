"""The service's error answers, in the format of the error pages (ERR, ERRH).

These codes are documented: `VALIDATION_ERROR`, `INVALID_EMAIL_FORMAT`, and all codes of 401 and
403. `RESOURCE_NOT_FOUND`, `INVITATION_NOT_FOUND`, `RESOURCE_ALREADY_EXISTS`, `METHOD_NOT_ALLOWED`
and `RATE_LIMIT_EXCEEDED` are unverified choices: the stored copies of the pages end before them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError


@dataclass
class ApiError(Exception):
    """An error answer, raised by endpoints."""

    status: HTTPStatus
    code: str
    message: str
    problems: Sequence[Mapping[str, Any]] = ()
    """The invalid fields, in the framework's format: `loc`, `msg`, `type`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    system_message: str = ""
    """The text for logs. If empty, the code and the message are used (unverified)."""

    def envelope(self, trace_id: str, timestamp: str) -> dict[str, Any]:
        """Returns the body of the answer."""
        details = {
            "errors": [
                {
                    "field": ".".join(str(part) for part in problem["loc"][1:]),
                    "message": problem["msg"],
                    "type": problem["type"],
                }
                for problem in self.problems
            ]
        }
        return {
            "success": False,
            "error": {
                "code": self.code,
                "message": self.message,
                "system_message": self.system_message or f"{self.code}: {self.message}",
                "type": "client_error",
                "status": self.status.value,
                "details": details if self.problems else {},
                "trace_id": trace_id,
                "timestamp": timestamp,
            },
        }

    def detail(self) -> dict[str, Any]:
        """Returns the body of a 422 as the SDK types it: in the framework's own format."""
        plain = {"loc": ["body"], "msg": self.message, "type": "value_error"}
        return {"detail": list(self.problems) or [plain]}


def unauthenticated(code: str, message: str) -> ApiError:
    return ApiError(HTTPStatus.UNAUTHORIZED, code, message)


def forbidden(code: str, message: str) -> ApiError:
    return ApiError(HTTPStatus.FORBIDDEN, code, message)


def not_found(what: str, code: str = "RESOURCE_NOT_FOUND") -> ApiError:
    return ApiError(HTTPStatus.NOT_FOUND, code, f"{what} not found")


def no_invitation() -> ApiError:
    return not_found("Invitation", "INVITATION_NOT_FOUND")


def conflict(message: str) -> ApiError:
    return ApiError(HTTPStatus.CONFLICT, "RESOURCE_ALREADY_EXISTS", message)


def invalid(message: str) -> ApiError:
    """Returns the 400 for a well-formed request with values that the service does not accept.

    The pages use 400 in some places and 422 in others; the only sample with a body is a 400
    (CM-get).
    """
    return ApiError(HTTPStatus.BAD_REQUEST, "VALIDATION_ERROR", message)


def bad_email() -> ApiError:
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "INVALID_EMAIL_FORMAT",
        "Invalid email format",
        [{"loc": ["body", "email"], "msg": "not a valid email address", "type": "value_error"}],
    )


def unprocessable(problems: Sequence[Mapping[str, Any]]) -> ApiError:
    """Returns the 422 for a body that the endpoint does not accept."""
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY, "VALIDATION_ERROR", "Request validation failed", problems
    )


def problems(error: ValidationError, place: str) -> list[dict[str, Any]]:
    """Returns the problems of a validation error in the framework's format; `place` is `body` or
    `query`."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        {"loc": [place, *problem["loc"]], "msg": problem["msg"], "type": problem["type"]}
        for problem in found
    ]
