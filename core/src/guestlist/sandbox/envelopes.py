"""The forms of error bodies that many services share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any


def nested(message: str, code: str = "", **more: Any) -> dict[str, Any]:
    """Returns `{"error": {"code": ..., "message": ...}}`."""
    return {"error": {**({"code": code} if code else {}), "message": message, **more}}


def list_of_errors(message: str, code: str = "", **more: Any) -> dict[str, Any]:
    """Returns `{"errors": [{"code": ..., "message": ...}]}`."""
    return {"errors": [nested(message, code, **more)["error"]]}


def json_api(status: int, detail: str) -> dict[str, Any]:
    """Returns an error document of JSON:API."""
    title = HTTPStatus(status).phrase
    return {"errors": [{"status": str(status), "title": title, "detail": detail}]}


def problem(status: int, detail: str, **more: Any) -> dict[str, Any]:
    """Returns a problem of RFC 9457. Its media type is `application/problem+json`."""
    return {"title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}


def scim(status: int, detail: str, kind: str = "") -> dict[str, Any]:
    """Returns an error of SCIM (RFC 7644, 3.12)."""
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        **({"scimType": kind} if kind else {}),
        "status": str(status),
        "detail": detail,
    }


def django(detail: str, fields: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """Returns an error of Django REST framework: the invalid fields, or `{"detail": ...}`."""
    return {name: list(texts) for name, texts in (fields or {}).items()} or {"detail": detail}
