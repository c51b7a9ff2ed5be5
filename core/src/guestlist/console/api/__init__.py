"""The HTTP API: the client's verbs and lists, plans and runs as JSON, for programs in any language.

`create_api` returns it as an ASGI application. The console serves it below `/api`. It has no logic
of its own: each operation calls a method of the client, `plan` or `apply`.
"""

from guestlist.console.api.app import (
    ApiMount,
    HttpApi,
    create_api,
    is_api_path,
    refusal_response,
    route_path,
    shutdown_response,
)
from guestlist.console.api.problems import log_bug

__all__ = [
    "ApiMount",
    "HttpApi",
    "create_api",
    "is_api_path",
    "log_bug",
    "refusal_response",
    "route_path",
    "shutdown_response",
]
