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
}

_HINTS: dict[type[GuestlistError], str] = {
    errors.Unauthorized: "Check the account's credentials",
    errors.Forbidden: "Check what the account's credentials are allowed to do",
    errors.RateLimited: "Try again later",
    errors.ServiceUnavailable: "Try again later",
}

REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-correlation-id", "cf-ray")
"""The headers in which services send a request id, for questions to their support."""


def explain(
    response: Response, kind: type[GuestlistError] | None = None, hint: str | None = None
) -> GuestlistError:
    """Returns the error for an answer in which the service refused. For use in `Provider.explain`
    and `Provider.refusal`.

    Args:
        response: the answer.
        kind: the class of the error; by default it is chosen by the status.
        hint: what to do next; by default a general hint for the class.
    """
    message, code = read_error(response)
    kind = kind or _kind(response.status)
    return kind(
        message
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
    for part in _parts(response):
        for name in ("trace_id", "request_id", "requestId"):
            if isinstance(part.get(name), str) and part[name]:
                return str(part[name])
    return None


def read_error(response: Response) -> tuple[str, str | None]:
    """Returns the service's error message and error code.

    Reads `{"error": "..."}`, `{"error": {"message", "code"}}`, `{"message", "code"}`, `{"errors":
    [...]}`, `{"detail": [{"loc", "msg"}]}` and plain text.
    """
    message, code = "", None
    for part in _parts(response):
        for name in ("message", "error", "detail", "msg", "title", "error_description"):
            if not message and isinstance(part.get(name), str):
                message = part[name]
        if not message and isinstance(part.get("detail"), list):
            message = "; ".join(_detail(item) for item in part["detail"][:5])
        if code is None and isinstance(part.get("code"), str | int):
            code = str(part["code"])
    if not message and "html" not in response.headers.get("content-type", ""):
        message = code or _text(response)
    return shorten(message, 500), code


def _parts(response: Response) -> Iterator[dict[str, Any]]:
    """Yields the objects of an error body that may contain the message, the innermost first."""
    try:
        body = response.json()
    except MalformedResponse:
        return
    if not isinstance(body, dict):
        return
    inner = body.get("error")
    if isinstance(inner, dict):
        yield inner
    several = body.get("errors")
    if isinstance(several, list) and several:
        yield several[0] if isinstance(several[0], dict) else {"message": str(several[0])}
    yield body


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
        del words[-1:]  # the last word may be cut off
    text = shorten(" ".join(words), 500)
    return "" if text.startswith(("{", "[", "<")) else text
