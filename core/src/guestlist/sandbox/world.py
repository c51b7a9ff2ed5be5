"""Everything that one sandbox holds: one clock, one outbox, and the services that share them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from guestlist.sandbox.errors import SandboxMistake
from guestlist.sandbox.service import Clock, Mail, Outbox, Service

GONE = "gone"
"""The state of an invitation that its service has no record of."""


@dataclass(frozen=True)
class Delivered:
    """An email of the outbox, with the present state of its invitation."""

    mail: Mail
    state: str


class Hosted:
    """A service at its address. It stays the same object when the world starts over."""

    def __init__(self, service: Service, base_url: str) -> None:
        self.service = service
        self.base_url = base_url

    @property
    def settings(self) -> dict[str, str]:
        """The account settings that reach this service with the seed key's owner rights."""
        return self.service.settings(self.base_url)

    @property
    def read_only_settings(self) -> dict[str, str]:
        """The same with the key that may read and nothing else."""
        return self.service.read_only_settings(self.base_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers as an ASGI application: as the present service does."""
        await self.service.app(scope, receive, send)

    @property
    def can_decline(self) -> bool:
        """Whether the service offers its invitees a way to say no."""
        return type(self.service).decline is not Service.decline

    def states(self) -> dict[str, str]:
        """The state of every invitation that the service has a record of, by id."""
        records: list[dict[str, Any]] = self.service.snapshot()["invitations"]
        return {str(record["id"]): str(record["state"]) for record in records}

    def state(self, invitation: str) -> str:
        """The state of one invitation; `gone` if the service has no record of it."""
        return self.states().get(invitation, GONE)


class World:
    """The state behind a sandbox, without any server.

    Args:
        kinds: the services' classes.
        base_urls: where each of them is reached, by name.
        seed: where the services' ids come from; the same seed gives the same ids.
        profiles: the profile to start with, by service name.
        switches: the switches to start with, by service name.
        time_source: seconds since 1970; the sandbox's clock starts from it.

    Raises:
        SandboxError: a profile or switch is not the service's.
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
        """Starts over: present time, no mails, every service as it was in the beginning."""
        for service in self._fresh():
            self.services[service.name].service = service

    def find_mail(self, id: str) -> Mail | None:
        """One mail by its id."""
        return next((mail for mail in self.outbox.mails if mail.id == id), None)

    def delivered(self, *, to: str = "", service: str = "", state: str = "") -> list[Delivered]:
        """The emails that match every given filter, oldest first.

        Reads each service's records once, so that thousands of emails are filtered quickly.

        Args:
            to: part of the recipient's address, compared without case.
            service: the name of the sending service.
            state: the present state of the invitation, such as `pending` or `gone`.
        """
        states = {name: hosted.states() for name, hosted in self.services.items()}
        found = []
        for mail in self.outbox.mails:
            current = states[mail.service].get(mail.invitation, GONE)
            if (
                to.casefold() in mail.to.casefold()
                and service in ("", mail.service)
                and state in ("", current)
            ):
                found.append(Delivered(mail, current))
        return found

    def _fresh(self) -> list[Service]:
        self.clock = Clock(self._time_source)
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
