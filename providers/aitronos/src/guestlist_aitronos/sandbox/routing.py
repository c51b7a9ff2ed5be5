"""The decorators that register endpoints: functions of a `Call`, by method and path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from guestlist_aitronos.sandbox.call import Call

Endpoint = Callable[[Call], Awaitable[Response]]
Register = Callable[[Endpoint], Endpoint]


class Endpoints:
    """The endpoints of one module, in the order in which paths are matched."""

    def __init__(self) -> None:
        self.routes: list[tuple[str, str, Endpoint]] = []

    def get(self, *paths: str) -> Register:
        return self._register("GET", paths)

    def post(self, *paths: str) -> Register:
        return self._register("POST", paths)

    def put(self, *paths: str) -> Register:
        return self._register("PUT", paths)

    def patch(self, *paths: str) -> Register:
        return self._register("PATCH", paths)

    def delete(self, *paths: str) -> Register:
        return self._register("DELETE", paths)

    def _register(self, method: str, paths: tuple[str, ...]) -> Register:
        def register(endpoint: Endpoint) -> Endpoint:
            self.routes += [(method, path, endpoint) for path in paths]
            return endpoint

        return register
