"""Turns an error answer into an exception: a table from status to class, and a reader of error
bodies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from guestlist import errors
from guestlist.errors import GuestlistError, MalformedResponse
from guestlist.provider.messages import Response
from guestlist.provider.shapes import shorten

_BY_STATUS: dict[int, type[GuestlistError]] = {
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.NotFound,
    429: errors.RateLimited,
    501: errors.Rejected,  # the service has no such function
}

_HINTS: dict[type[GuestlistError], str] = {
    errors.Unauthorized: "Check the account's credentials.",
    errors.Forbidden: "Check what the account's credentials are allowed to do.",
    errors.SeatLimit: "Free a seat, or raise the organization's limit at the service.",
    errors.RateLimited: "Try again later.",
    errors.ServiceUnavailable: "Try again later.",
}

REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-correlation-id", "cf-ray")
"""The headers in which services send a request id, for questions to their support."""


def explain(
    response: Response,
    kind: type[GuestlistError] | None = None,
    hint: str | None = None,
    message: str | None = None,
) -> GuestlistError:
    """Returns the error for an answer in which the service refused. For use in `Provider.explain`
    and `Provider.refusal`.

    Reads the usual error bodies: `{"error": {"message", "code"}}`, OAuth 2.0, RFC 9457 (problem
    details), JSON:API, SCIM, the lists and field maps of Django REST framework, and plain text.

    Args:
        response: the answer.
        kind: the class of the error; by default it is chosen by the status.
        hint: what to do next; by default a general hint for the class.
        message: what is wrong; by default the service's own text.
    """
    text, code = read_error(response)
    kind = kind or _kind(response.status)
    return kind(
        message
        or text
        or f"the service answered {response.status}{' and refused' * (response.status < 300)}",
        hint=_HINTS.get(kind, "") if hint is None else hint,
        status=response.status,
        code=code,
        request_id=request_id(response) or _id_in_body(response),
    )


def _kind(status: int) -> type[GuestlistError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status == 408 or status >= 500:
        return errors.ServiceUnavailable
    return errors.Rejected


def request_id(response: Response) -> str | None:
    """Returns the request id to quote to the service's support, from the headers or the error
    body."""
    for name in REQUEST_ID_HEADERS:
        if response.headers.get(name):
            return response.headers[name]
    return _id_in_body(response) if response.status >= 400 else None


def _id_in_body(response: Response) -> str | None:
    try:
        body = response.json()
    except MalformedResponse:
        return None
    for part in _parts(body):
        for name in ("trace_id", "request_id", "requestId"):
            if isinstance(part.get(name), str) and part[name]:
                return str(part[name])
    return None


MESSAGES = (
    "message",
    "error_description",  # OAuth 2.0 (RFC 6749, 5.2)
    "errorMessage",
    "detail",  # RFC 9457, JSON:API, SCIM, Django REST framework
    "msg",
    "error",
    "title",
)
"""The fields of error bodies that contain a text for people, the most specific first."""

CODES = ("code", "errorCode", "error_code", "scimType")
"""The fields of error bodies that contain the service's error code."""

WHOLE = ("non_field_errors", "nonFieldErrors", "__all__")
"""Keys of a field map for errors that concern no single field (Django REST framework)."""

MAX_MESSAGES = 5
"""The number of messages that are shown if an error body has several."""


def read_error(response: Response) -> tuple[str, str | None]:
    """Returns the service's error message and error code. `explain` lists the forms of error bodies
    that it knows."""
    try:
        body = response.json()
    except MalformedResponse:
        body = None
    message, code = "", None
    for part in _parts(body):
        for name in MESSAGES:
            if not message and isinstance(part.get(name), str):
                message = part[name]
        if not message and isinstance(part.get("detail"), list):
            message = "; ".join(_detail(item) for item in part["detail"][:MAX_MESSAGES])
        for name in CODES:
            if code is None and isinstance(part.get(name), str | int):
                code = str(part[name])
        if code is None and isinstance(part.get("error_description"), str):
            code = str(part["error"]) if isinstance(part.get("error"), str) else None
    message = message or "; ".join(_field_errors(body)[:MAX_MESSAGES])
    if not message and "html" not in response.headers.get("content-type", ""):
        message = code or _text(response)
    return shorten(message, 500), code


def _parts(body: Any) -> Iterator[dict[str, Any]]:
    """Yields the objects of an error body that may contain the message, the innermost first."""
    if not isinstance(body, dict):
        return
    inner = body.get("error")
    if isinstance(inner, dict):
        yield inner
    several = body.get("errors")
    if isinstance(several, list) and several:
        yield several[0] if isinstance(several[0], dict) else {"message": str(several[0])}
    yield body


def _field_errors(body: Any) -> list[str]:
    """Returns the messages of a list of texts, or of a map from fields to lists of texts."""
    if isinstance(body, list):
        return [text for text in body if isinstance(text, str)]
    found = []
    for field, texts in body.items() if isinstance(body, dict) else ():
        if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
            where = "" if field in WHOLE else f"{field}: "
            found += [f"{where}{text}" for text in texts]
    return found


def _detail(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    loc = item.get("loc")
    steps = loc if isinstance(loc, list) else ()
    where = ".".join(str(step) for step in steps if step != "body")
    message = str(item.get("msg", "is not valid"))
    return f"{where}: {message}" if where else message


def _text(response: Response) -> str:
    words = response.content[:2000].decode("utf-8", "replace").split()
    if len(response.content) > 2000:
        del words[-1:]  # a secret in the last word may be cut off
    text = shorten(" ".join(words), 500)
    return "" if text.startswith(("{", "[", "<")) else text
