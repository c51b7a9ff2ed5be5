"""Operations: the generators of a provider, and the decorator that marks them."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Generator
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from guestlist.provider.messages import Request, Response, building

T = TypeVar("T")
P = ParamSpec("P")
S = TypeVar("S")

Flow = Generator[Request, Response, T]
"""The generator of an operation: yields requests, receives responses, returns a normalized
value."""

PHRASES = {
    "fetch_token": "fetch an access token",
    "organization": "describe the organization",
    "invite": "invite people",
    "resend": "resend an invitation",
    "revoke": "revoke an invitation",
    "change_invitation": "change the roles of an open invitation",
    "get_invitation": "look up an invitation by its id",
    "find_invitation": "look up an invitation by its address",
    "invitations": "list invitations",
    "invitation_summaries": "list summaries of invitations",
    "get_member": "look up a member by id",
    "find_member": "look up a member by address",
    "members": "list members",
    "remove": "remove a member",
    "roles": "list roles",
    "assign_role": "assign a role",
    "unassign_role": "unassign a role",
    "access": "list what a member has access to",
    "own_access": "list what an API key has access to",
}
"""The name of each operation in messages, after "offers no way to"."""


class _Operation(Generator[Request, Response, T]):
    """A flow that detects two bugs which a type checker does not find, and warns: a request that
    was created but not yielded, and a flow that was created but not run."""

    __slots__ = ("_built", "_flow", "_name", "_started")

    def __init__(self, flow: Flow[T], name: str) -> None:
        self._flow = flow
        self._name = name
        self._built: list[Request] = []
        self._started = False

    def send(self, value: Response) -> Request:
        return self._resume(self._flow.send, value)

    def throw(self, *error: Any) -> Request:
        return self._resume(self._flow.throw, *error)

    def close(self) -> None:
        self._started = True
        self._flow.close()

    def _resume(self, step: Callable[..., Request], *args: Any) -> Request:
        self._started = True
        outer = getattr(building, "witness", None), getattr(building, "flow", None)
        building.witness, building.flow = self._built, self._name
        try:
            request = step(*args)
        except StopIteration:
            for unsent in self._built:
                warnings.warn(f"{self._name} built {unsent} and never yielded it", stacklevel=3)
            raise
        finally:
            building.witness, building.flow = outer
        if self._built and self._built[-1] is request:
            self._built.pop()  # the common case: the request that was built last is yielded
        else:
            self._built[:] = [built for built in self._built if built is not request]
        return request

    def __del__(self) -> None:
        if not self._started:
            self._flow.close()
            warnings.warn(
                f"{self._name} was called and never run: `yield from` is missing", stacklevel=2
            )


def operation(
    method: Callable[Concatenate[S, P], Flow[T]],
) -> Callable[Concatenate[S, P], Flow[T]]:
    """Marks a method of a provider as an operation that the service supports.

    The marked methods define the provider's capabilities: `supports("revoke")` returns True if
    `revoke` is defined and marked. There is no second list to maintain.
    """

    @functools.wraps(method)
    def start(self: S, *args: P.args, **kwargs: P.kwargs) -> Flow[T]:
        flow = method(self, *args, **kwargs)
        if not isinstance(flow, Generator):
            raise TypeError(f"{method.__qualname__} is not a generator: an operation has to yield")
        return _Operation(flow, method.__qualname__)

    start.__guestlist_operation__ = True  # type: ignore[attr-defined]
    return cast(Callable[Concatenate[S, P], Flow[T]], start)
