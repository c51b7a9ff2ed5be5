"""Reasons for which an imitated service refuses a request.

`Organization` raises them. A service's table translates each into the status and the body that the
real service answers with. `SandboxRefusal` is their base class.
"""

from __future__ import annotations

from collections.abc import Mapping

from guestlist.sandbox.limits import RateLimitResult
from guestlist.sandbox.service import SandboxRefusal


class NotAuthenticated(SandboxRefusal):
    """The request has no valid credentials. `reason` is empty, or the service's own word, such as
    `API_KEY_EXPIRED`."""

    def __init__(self, message: str = "unknown credentials", reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class NotPermitted(SandboxRefusal):
    """The caller is known, but may not do this."""


class RecordNotFound(SandboxRefusal):
    """There is no such record. `kind` is `invitation`, `member`, `role` and so on."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"there is no such {kind}")
        self.kind = kind


class RoleNotFound(RecordNotFound):
    """There is no such role."""

    def __init__(self) -> None:
        super().__init__("role")


class PathNotFound(RecordNotFound):
    """The service has no such path."""

    def __init__(self) -> None:
        super().__init__("path")


class MethodNotAllowed(SandboxRefusal):
    """The path exists, but not with this method."""

    def __init__(self, allowed: str) -> None:
        super().__init__(f"allowed methods: {allowed}")
        self.allowed = allowed


class InvalidValue(SandboxRefusal):
    """A value in the request is invalid. `field` names it."""

    def __init__(self, field: str, message: str = "") -> None:
        super().__init__(message or f"{field} is invalid")
        self.field = field


class DuplicateMember(SandboxRefusal):
    """The person is a member."""


class DuplicateInvitation(SandboxRefusal):
    """The address has an open invitation: `invitation` is its id."""

    def __init__(self, invitation: str) -> None:
        super().__init__("the address has been invited already")
        self.invitation = invitation


class NotOpen(SandboxRefusal):
    """The invitation cannot be used, resent or withdrawn in its `state`."""

    def __init__(self, state: str) -> None:
        super().__init__(f"the invitation is {state}")
        self.state = state


class WrongAddress(SandboxRefusal):
    """The invitation is for another address."""


class NoSeatLeft(SandboxRefusal):
    """All seats of the organization are taken."""


class ProtectedMember(SandboxRefusal):
    """The owner, or the last one, cannot be removed, suspended or given another role. `action` is
    `remove`, `suspend` or `role`."""

    def __init__(self, action: str) -> None:
        super().__init__("the organization would have no owner")
        self.action = action


class RoleAlreadyHeld(SandboxRefusal):
    """The member holds the role."""


class RoleNotHeld(SandboxRefusal):
    """The member does not hold the role."""


class LastRole(SandboxRefusal):
    """A member has to hold at least one role."""


class TooManyRequests(SandboxRefusal):
    """The rate limit is reached."""

    def __init__(self, limit_result: RateLimitResult) -> None:
        super().__init__("too many requests")
        self.limit_result = limit_result


class HttpRefusal(SandboxRefusal):
    """A refusal that only this service has, with the status and the code to answer with."""

    def __init__(
        self, status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
