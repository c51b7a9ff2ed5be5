"""Local imitations of the services, for trying things out, developing, testing and recording.

A provider's sandbox subclasses `Service`; `Sandbox` runs any number of them together with a
mailbox, in which a person (or `SandboxControl`) plays the people who are invited.

Names are loaded on first use, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guestlist.sandbox.control import ReceivedEmail, RunningService, SandboxControl
    from guestlist.sandbox.errors import SandboxError, SandboxMistake
    from guestlist.sandbox.limits import (
        AllOf,
        RateLimit,
        RateLimitResult,
        SlidingWindow,
        TokenBucket,
        client_address,
    )
    from guestlist.sandbox.organization import (
        InvitationRecord,
        MemberRecord,
        Organization,
        PersonRecord,
        RoleRecord,
    )
    from guestlist.sandbox.routing import IncomingRequest, OrganizationService, Routes
    from guestlist.sandbox.server import Sandbox
    from guestlist.sandbox.service import (
        AdjustableClock,
        Email,
        Outbox,
        SandboxRefusal,
        Service,
        Switch,
    )
    from guestlist.sandbox.services import accounts_of, service_classes
    from guestlist.sandbox.world import Hosted, World

_HOMES = {
    "control": ("ReceivedEmail", "RunningService", "SandboxControl"),
    "errors": ("SandboxError", "SandboxMistake"),
    "limits": (
        "AllOf",
        "RateLimit",
        "SlidingWindow",
        "TokenBucket",
        "RateLimitResult",
        "client_address",
    ),
    "organization": (
        "InvitationRecord",
        "MemberRecord",
        "Organization",
        "PersonRecord",
        "RoleRecord",
    ),
    "routing": ("IncomingRequest", "OrganizationService", "Routes"),
    "server": ("Sandbox",),
    "service": ("AdjustableClock", "Email", "Outbox", "SandboxRefusal", "Service", "Switch"),
    "services": ("accounts_of", "service_classes"),
    "world": ("Hosted", "World"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
_EXTRA = frozenset({"jinja2", "starlette", "uvicorn"})

__all__ = [
    "AdjustableClock",
    "AllOf",
    "Email",
    "Hosted",
    "IncomingRequest",
    "InvitationRecord",
    "MemberRecord",
    "Organization",
    "OrganizationService",
    "Outbox",
    "PersonRecord",
    "RateLimit",
    "RateLimitResult",
    "ReceivedEmail",
    "RoleRecord",
    "Routes",
    "RunningService",
    "Sandbox",
    "SandboxControl",
    "SandboxError",
    "SandboxMistake",
    "SandboxRefusal",
    "Service",
    "SlidingWindow",
    "Switch",
    "TokenBucket",
    "World",
    "accounts_of",
    "client_address",
    "service_classes",
]


# There is no `__dir__`: freezegun reads every name that `dir` lists, and pydantic models cannot be
# imported while the date is frozen.
def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        raise ImportError(
            f'the sandbox needs {error.name}: pip install "guestlist[sandbox]"', name=error.name
        ) from error
    globals()[name] = value
    return value
