"""The state of one sandbox: a clock, an outbox, and the services that share them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from guestlist.sandbox.errors import SandboxMistake
from guestlist.sandbox.service import AdjustableClock, Email, Outbox, Service

GONE = "gone"
"""The state of an invitation that its service has no record of."""


@dataclass(frozen=True)
class DeliveredEmail:
    """An email of the outbox, with the present state of its invitation."""

    email: Email
    state: str


class Hosted:
    """A service at its address. `World.reset` replaces the service, not this object."""

    def __init__(self, service: Service, base_url: str) -> None:
        self.service = service
        self.base_url = base_url

    @property
    def settings(self) -> dict[str, Any]:
        """The account settings that reach this service with an owner's key."""
        return self.service.settings(self.base_url)

    @property
    def read_only_settings(self) -> dict[str, Any]:
        """The account settings that reach this service with a read-only key."""
        return self.service.read_only_settings(self.base_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request to the current service, as an ASGI application."""
        await self.service.app(scope, receive, send)

    @property
    def can_decline(self) -> bool:
        """Whether invitees of the service can decline."""
        return self.service.can_decline

    def states(self) -> dict[str, str]:
        """The state of every invitation that the service has a record of, by id."""
        records: list[dict[str, Any]] = self.service.snapshot()["invitations"]
        return {str(record["id"]): str(record["state"]) for record in records}

    def state(self, invitation: str) -> str:
        """The state of one invitation; `gone` if the service has no record of it."""
        return self.states().get(invitation, GONE)


class World:
    """The state of a sandbox, without a server.

    Args:
        kinds: the services' classes.
        base_urls: the address of each service, by name.
        seed: seed of the services' ids; the same seed gives the same ids.
        profiles: the initial profile, by service name.
        switches: the initial switches, by service name.
        time_source: returns seconds since 1970; the sandbox's clock is based on it.

    Raises:
        SandboxError: a service does not have the profile or a switch.
    """

    def __init__(
        self,
        kinds: Iterable[type[Service]],
        base_urls: Mapping[str, str],
        *,
        seed: int = 0,
        profiles: Mapping[str, str] | None = None,
        switches: Mapping[str, Mapping[str, str]] | None = None,
        time_source: Callable[[], float] = time.time,
    ) -> None:
        self._kinds = {kind.name: kind for kind in kinds}
        self._seed = seed
        self._profiles = profiles or {}
        self._switches = switches or {}
        self._time_source = time_source
        fresh = self._fresh()
        self.services = {
            service.name: Hosted(service, base_urls[service.name]) for service in fresh
        }

    def reset(self) -> None:
        """Starts over: the current time, no emails, and fresh services."""
        for service in self._fresh():
            self.services[service.name].service = service

    def find_email(self, id: str) -> Email | None:
        """Returns one email by its id, or None."""
        return next((mail for mail in self.outbox.emails if mail.id == id), None)

    def delivered(
        self, *, to: str = "", service: str = "", state: str = ""
    ) -> list[DeliveredEmail]:
        """The emails that match every given filter, oldest first.

        Reads each service's records once, so that thousands of emails are filtered quickly.

        Args:
            to: part of the recipient's address, compared without case.
            service: the name of the sending service.
            state: the present state of the invitation, such as `pending` or `gone`.
        """
        states = {name: hosted.states() for name, hosted in self.services.items()}
        found = []
        for mail in self.outbox.emails:
            current = states[mail.service].get(mail.invitation, GONE)
            if (
                to.casefold() in mail.to.casefold()
                and service in ("", mail.service)
                and state in ("", current)
            ):
                found.append(DeliveredEmail(mail, current))
        return found

    def _fresh(self) -> list[Service]:
        self.clock = AdjustableClock(self._time_source)
        self.outbox = Outbox(self.clock)
        try:
            return [
                kind(
                    clock=self.clock,
                    outbox=self.outbox,
                    seed=self._seed,
                    profile=self._profiles.get(kind.name),
                    **self._switches.get(kind.name, {}),
                )
                for kind in self._kinds.values()
            ]
        except ValueError as error:
            raise SandboxMistake(str(error)) from error
