"""What every imitated service is made of: a clock, an outbox, and a `Service` to subclass.

A provider ships one `Service`: a faithful, in-memory imitation of the service it speaks to,
reachable as a plain ASGI application. `guestlist sandbox` serves it on a port of its own,
without any path prefix, so that official clients work against it unchanged.

Nothing in here waits: endpoints are `async def` functions that never suspend, so that a test or
the simulator may run a request to its end without an event loop.
"""

from __future__ import annotations

import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from starlette.types import ASGIApp


class Clock:
    """The time a sandbox lives in: a source of seconds since 1970 plus an offset.

    The offset is what "move the clock forward" changes. Tests hand in a source of their own, so
    that nothing depends on the machine's clock.
    """

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._offset = 0.0

    def seconds(self) -> float:
        """Seconds since 1970, UTC."""
        return self._source() + self._offset

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def advance(self, by: timedelta) -> None:
        """Moves the clock forward. A step back is a ValueError: records would be in the future."""
        if by < timedelta(0):
            raise ValueError("the sandbox clock only moves forward")
        self._offset += by.total_seconds()


@dataclass(frozen=True)
class Mail:
    """A mail that a service would have sent."""

    id: str
    service: str
    """The name of the service that sent it, such as `vultr`."""
    invitation: str
    """The service's id of the invitation it is about: what `Service.accept` takes."""
    to: str
    sender: str
    organization: str
    subject: str
    text: str
    link: str | None
    """The invitation link, where the service puts one into its mail. A secret."""
    sent_at: datetime
    expires_at: datetime | None
    roles: tuple[str, ...] = ()
    """Names of the roles that the invitation offers; empty if it offers none, or if the service
    does not grant roles by invitation."""


@dataclass
class Outbox:
    """All mails of all services of one sandbox, oldest first."""

    clock: Clock
    mails: list[Mail] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def send(self, service: str, **mail: Any) -> Mail:
        """Adds an email; `mail` holds the fields of `Mail` except `id`, `service` and `sent_at`."""
        with self._lock:
            sent = Mail(
                id=f"mail-{len(self.mails) + 1}", service=service, sent_at=self.clock.now(), **mail
            )
            self.mails.append(sent)
        return sent

    def to(self, address: str) -> Iterator[Mail]:
        """The mails to one address, compared without case, oldest first."""
        return (mail for mail in self.mails if mail.to.casefold() == address.casefold())


class SandboxRefusal(Exception):
    """An invitee's action that the service would not allow; the text says why."""


class Service(ABC):
    """One imitated service. Everything it holds is in memory and gone when it is dropped.

    Raises:
        ValueError: for a profile or switch that the service does not have.
    """

    name: ClassVar[str]
    """The provider's name, such as `vultr`."""
    title: ClassVar[str]
    """What people call the service, such as `Vultr IAM`."""
    profiles: ClassVar[tuple[str, ...]]
    """The document shapes it can answer with; the first is the default."""
    switches: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Behaviours that its documents leave open: name to possible values, the default first."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        outbox: Outbox | None = None,
        profile: str | None = None,
        seed: int = 0,
        **switches: str,
    ) -> None:
        self.clock = clock or Clock()
        self.outbox = outbox or Outbox(self.clock)
        self.random = random.Random(seed)  # ids come from here, so that a recording can be repeated
        self.configure(profile=profile or self.profiles[0], **switches)
        self.app: ASGIApp = self.build()

    def configure(self, *, profile: str | None = None, **switches: str) -> None:
        """Chooses the profile and the switches; what is not named stays as it is."""
        if profile is not None and profile not in self.profiles:
            known = ", ".join(self.profiles)
            raise ValueError(f"{self.name} has no profile {profile!r}; it has {known}")
        defaults = {name: values[0] for name, values in self.switches.items()}
        chosen = {**defaults, **getattr(self, "chosen", {})}
        for name, value in switches.items():
            if name not in self.switches:
                known = ", ".join(self.switches) or "none"
                raise ValueError(f"{self.name} has no switch {name!r}; it has {known}")
            if value not in self.switches[name]:
                known = ", ".join(self.switches[name])
                raise ValueError(f"{name} of {self.name} cannot be {value!r}; it can be {known}")
            chosen[name] = value
        self.chosen: dict[str, str] = chosen
        self.profile: str = profile or self.profile

    @abstractmethod
    def build(self) -> ASGIApp:
        """The ASGI application, serving the service's own paths with no prefix."""

    @abstractmethod
    def settings(self, base_url: str) -> dict[str, str]:
        """The provider's account settings that reach this service with the owner's key."""

    @abstractmethod
    def read_only_settings(self, base_url: str) -> dict[str, str]:
        """The same with the key that may read and nothing else."""

    @abstractmethod
    def accept(self, invitation: str) -> None:
        """Does what the invitee's click on "accept" does.

        Args:
            invitation: the `id` of `snapshot`, which is what the mail is sent with: a text, also
                where the service's own ids are numbers.

        Raises:
            SandboxRefusal: the invitation is unknown, expired, withdrawn or used.
        """

    def decline(self, invitation: str) -> None:
        """Does what the invitee's click on "decline" does.

        Raises:
            SandboxRefusal: the service offers no such thing, or the invitation is not open.
        """
        raise SandboxRefusal(f"{self.title} offers invitees no way to decline")

    def next_steps(self, invitation: str, base_url: str) -> str | None:
        """Returns what the invitee can try with a key of their own, as shell commands for the page
        of the email. None if there is nothing to show.

        Args:
            invitation: the `id` of `snapshot`.
            base_url: where the service is reached.
        """
        return None

    def hide(self, invitations: Collection[str]) -> AbstractContextManager[None]:
        """Leaves invitations out of every answer meanwhile, by their ids: so lists are that lag.

        Only reading requests come meanwhile. The default hides nothing.
        """
        return nullcontext()

    @abstractmethod
    def snapshot(self) -> dict[str, Any]:
        """What the service holds, for tests: `invitations` (each with `id`, `email`, `state`) and
        `members` (each with `id`, `email`), oldest first; other keys are nobody's concern.

        Ids are texts, also where the service's own are numbers: those that the provider's records
        have. States are the words of `guestlist.models.State`, such as `pending`, not those of the
        service, and as of now: `expired` once the time is over.
        """
