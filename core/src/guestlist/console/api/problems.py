"""Errors as problem details (RFC 9457): one form for every status of the API."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from secrets import token_hex

from pydantic import ValidationError

from guestlist import errors
from guestlist.console.api.models import Detail, Problem
from guestlist.errors import GuestlistError

TYPE_PREFIX = "urn:problem-type:guestlist:"

LEDGER_RETRY_SECONDS = 5.0
"""After this time, a request that the ledger could not record may be repeated."""

STATUSES: tuple[tuple[type[GuestlistError], int], ...] = (
    (errors.UnknownAccount, 404),
    (errors.NotFound, 404),
    (errors.PluginError, 500),
    (errors.InvalidArgument, 422),
    (errors.UnknownRole, 422),
    (errors.Unsupported, 422),
    (errors.ConfigError, 500),
    (errors.Conflict, 409),
    (errors.SeatLimit, 409),
    (errors.Forbidden, 403),
    (errors.Rejected, 422),
    (errors.RateLimited, 429),
    (errors.ServiceUnavailable, 503),
    (errors.LedgerError, 503),
    (errors.ServiceRefusal, 502),
    (errors.ServiceTrouble, 502),
    (errors.OutcomeUnknown, 504),
    (errors.WaitTimeout, 504),
)
"""The status for each class of errors. The first match counts."""

Pointer = tuple[str | int, ...]

logger = logging.getLogger("guestlist.console")


class ApiRefusal(Exception):
    """The API refuses a request before it calls the library. Nothing was changed.

    Args:
        error: the name of the error, for programs.
        parts: the invalid parts of the request, each with a place and an explanation.
        headers: headers of the answer.
    """

    def __init__(
        self,
        status: int,
        error: str,
        detail: str,
        *,
        hint: str | None = None,
        parts: Iterable[Detail] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.headers = headers or {}
        self.problem = Problem(
            type=type_of(error),
            title=HTTPStatus(status).phrase,
            status=status,
            detail=detail,
            error=error,
            happened=False,
            hint=hint,
            errors=tuple(parts) or None,
        )


def problem_of(error: GuestlistError) -> Problem:
    """Returns the problem details of an error of the library."""
    status = next((one for kind, one in STATUSES if isinstance(error, kind)), 500)
    retry_after = error.retry_after
    if retry_after is None and isinstance(error, errors.LedgerError):
        retry_after = LEDGER_RETRY_SECONDS
    name = type(error).__name__
    return Problem(
        type=type_of(name),
        title=HTTPStatus(status).phrase,
        status=status,
        detail=error.message,
        error=name,
        happened=error.happened,
        hint=error.hint or None,
        account=error.account,
        email=error.email,
        retry_after=retry_after,
        service_status=error.status,
        service_code=error.code,
        service_request_id=error.request_id,
    )


def log_bug(error: BaseException) -> str:
    """Logs where an unexpected error was raised, without its text, which may contain secrets.
    Returns the reference of the line in the log."""
    reference = token_hex(4)
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = " < ".join(f"{Path(one.filename).name}:{one.lineno}" for one in reversed(frames))
    logger.error("%s: %s in %s", reference, type(error).__name__, places)
    return reference


def unexpected_problem(reference: str) -> Problem:
    """Returns the problem details of a bug. They contain no text of the exception, which may
    contain secrets."""
    return Problem(
        type=type_of("Bug"),
        title=HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
        status=500,
        detail="guestlist itself failed.",
        error="Bug",
        happened=None,
        hint=f"Look at the log of the ledger before you repeat the request. Report {reference},"
        " which the server's log explains.",
    )


def shutdown_problem() -> Problem:
    """Returns the problem details for a call that was interrupted because the server is shutting
    down."""
    return Problem(
        type=type_of("Stopping"),
        title=HTTPStatus.SERVICE_UNAVAILABLE.phrase,
        status=503,
        detail="the server is ending",
        error="Stopping",
        happened=None,
        hint="Repeat the request when the server is back: it looks up first what happened.",
    )


def invalid_request(error: ValidationError, where: str) -> ApiRefusal:
    """Returns the refusal of a body or query that does not have the described form.

    The answer names the invalid parts, and never repeats their values: a key that was typed into
    the wrong field would be shown.

    Args:
        where: `body` or `query`.
    """
    parts = [
        Detail(
            pointer=_pointer(problem["loc"], where),
            detail=problem["msg"] if problem["type"] != "json_invalid" else "this is not JSON",
        )
        for problem in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    return ApiRefusal(
        400,
        "InvalidRequest",
        f"the {where} does not have the described form",
        hint="/api/openapi.json describes it.",
        parts=parts,
    )


def type_of(error: str) -> str:
    """Returns the URI of a kind of error: `urn:problem-type:guestlist:unknown-role`."""
    return TYPE_PREFIX + re.sub(r"(?<!^)(?=[A-Z])", "-", error).lower()


def _pointer(place: Pointer, where: str) -> str:
    if where == "query":
        return str(place[0]) if place else ""
    return "".join(f"/{str(one).replace('~', '~0').replace('/', '~1')}" for one in place)
