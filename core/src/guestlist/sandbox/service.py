"""Parts of an imitated service: a clock, an outbox, and the base class `Service`.

A provider ships one `Service`: an in-memory imitation of the real service, as a plain ASGI
application. `guestlist sandbox` serves it on a port of its own without a path prefix, so that the
official clients work against it unchanged.

Endpoints are `async def` functions that never suspend, so that a test or the simulation can run a
request to its end without an event loop.
"""

from __future__ import annotations

import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from starlette.types import ASGIApp


class AdjustableClock:
    """The time in a sandbox: a source of seconds since 1970, plus an offset.

    `advance` increases the offset. Tests pass a source of their own, so that nothing depends on the
    machine's clock.
    """

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._offset = 0.0

    def seconds(self) -> float:
        """Seconds since 1970, UTC."""
        return self._source() + self._offset

    def now(self) -> datetime:
        """The current time, timezone-aware, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def advance(self, by: timedelta) -> None:
        """Moves the clock forward.

        Raises:
            ValueError: the step is negative; records would then lie in the future.
        """
        if by < timedelta(0):
            raise ValueError("the sandbox clock only moves forward")
        self._offset += by.total_seconds()


@dataclass(frozen=True)
class Email:
    """An email that a service would have sent."""

    id: str
    service: str
    """The name of the service that sent it, such as `vultr`."""
    invitation: str
    """Id of the invitation, for `Service.accept`."""
    to: str
    sender: str
    organization: str
    subject: str
    text: str
    link: str | None
    """The invitation link, if the service puts one into its emails. A secret."""
    sent_at: datetime
    expires_at: datetime | None
    roles: tuple[str, ...] = ()
    """Names of the roles that the invitation offers; empty if it offers none, or if the service
    does not grant roles by invitation."""


@dataclass
class Outbox:
    """All emails of all services of one sandbox, oldest first."""

    clock: AdjustableClock
    emails: list[Email] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def send(self, service: str, **mail: Any) -> Email:
        """Adds an email with the given fields of `Email`: all except `id`, `service`, `sent_at`."""
        with self._lock:
            sent = Email(
                id=f"mail-{len(self.emails) + 1}", service=service, sent_at=self.clock.now(), **mail
            )
            self.emails.append(sent)
        return sent

    def to(self, address: str) -> Iterator[Email]:
        """The emails to one address, compared without case, oldest first."""
        return (mail for mail in self.emails if mail.to.casefold() == address.casefold())


@dataclass(frozen=True)
class Switch:
    """A behavior of a service that can be chosen."""

    values: tuple[str, ...]
    """The possible values, the default first."""
    meaning: str
    """The behavior that it decides, for `guestlist sandbox --list`."""


class SandboxRefusal(Exception):
    """The service does not allow an action of the invitee. The message gives the reason."""


class Service(ABC):
    """One imitated service. All its records are in memory.

    Raises:
        ValueError: the service does not have the profile or a switch.
    """

    name: ClassVar[str]
    """The provider's name, such as `vultr`."""
    title: ClassVar[str]
    """The service's name for people, such as `Vultr IAM`."""
    profiles: ClassVar[tuple[str, ...]]
    """Forms of its answers, one for each source that describes a different form; the first is the
    default."""
    switches: ClassVar[Mapping[str, Switch]] = {}
    """Behaviors that its documents leave open, by name."""

    def __init__(
        self,
        *,
        clock: AdjustableClock | None = None,
        outbox: Outbox | None = None,
        profile: str | None = None,
        seed: int = 0,
        **switches: str,
    ) -> None:
        self.clock = clock or AdjustableClock()
        self.outbox = outbox or Outbox(self.clock)
        # Seeded, so that ids are the same each time and recordings can be repeated.
        self.random = random.Random(seed)
        self.configure(profile=profile or self.profiles[0], **switches)
        self.app: ASGIApp = self.build()

    def configure(self, *, profile: str | None = None, **switches: str) -> None:
        """Sets the profile and switches that are named, and leaves the others unchanged."""
        if profile is not None and profile not in self.profiles:
            known = ", ".join(self.profiles)
            raise ValueError(f"{self.name} has no profile {profile!r}; it has {known}")
        defaults = {name: switch.values[0] for name, switch in self.switches.items()}
        chosen = {**defaults, **getattr(self, "chosen", {})}
        for name, value in switches.items():
            if name not in self.switches:
                known = ", ".join(self.switches) or "none"
                raise ValueError(f"{self.name} has no switch {name!r}; it has {known}")
            if value not in self.switches[name].values:
                known = ", ".join(self.switches[name].values)
                raise ValueError(f"{name} of {self.name} cannot be {value!r}; it can be {known}")
            chosen[name] = value
        self.chosen: dict[str, str] = chosen
        self.profile: str = profile or self.profile

    @abstractmethod
    def build(self) -> ASGIApp:
        """Creates the ASGI application, with the paths of the real service and no prefix."""

    @abstractmethod
    def settings(self, base_url: str) -> dict[str, Any]:
        """Returns the account settings that reach this service with an owner's key."""

    @abstractmethod
    def read_only_settings(self, base_url: str) -> dict[str, Any]:
        """Returns the account settings that reach this service with a read-only key."""

    @abstractmethod
    def accept(self, invitation: str) -> None:
        """Accepts an invitation, as the invitee's click in the email does.

        Args:
            invitation: the id, as in `snapshot` and in `Email.invitation`. It is a string even if
                the service's own ids are numbers.

        Raises:
            SandboxRefusal: the invitation is unknown, expired, withdrawn or used.
        """

    def decline(self, invitation: str) -> None:
        """Declines an invitation, as the invitee's click does.

        Raises:
            SandboxRefusal: the service offers no way to decline, or the invitation is not open.
        """
        raise SandboxRefusal(f"The sandbox of {self.title} offers invitees no way to decline")

    @property
    def can_decline(self) -> bool:
        """Whether invitees can decline."""
        return type(self).decline is not Service.decline

    def next_steps(self, invitation: str, base_url: str) -> str | None:
        """Returns what the invitee can try with a key of their own, as shell commands for the page
        of the email. None if there is nothing to show.

        Args:
            invitation: the `id` of `snapshot`.
            base_url: where the service is reached.
        """
        return None

    def hide(self, invitations: Collection[str]) -> AbstractContextManager[None]:
        """Returns a context in which these invitations are missing from every answer.

        The simulation uses it to imitate lists that lag behind.

        Only reading requests are sent in this context. The default hides nothing.

        Args:
            invitations: ids, as in `snapshot`.
        """
        return nullcontext()

    @abstractmethod
    def snapshot(self) -> dict[str, Any]:
        """Returns the service's records for tests.

        They are `invitations` (each with `id`, `email`, `state`) and `members` (each with `id`,
        `email`), oldest first. Other keys are ignored.

        Ids are the strings that the provider reads, even if the service's own ids are numbers.
        States are values of `guestlist.models.State`, such as `pending`, at the current time:
        `expired` after the expiry.
        """
