"""Sending to an application in this process."""

from __future__ import annotations

from guestlist.exchange.step import Outgoing
from guestlist.provider import Response
from guestlist.sandbox.service import Service
from pytest_guestlist.calling import call


class ApplicationWire:
    """Hands requests to a service of the sandbox, which never suspends."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def send(self, outgoing: Outgoing) -> Response:
        """What the service answers."""
        return call(self._service, outgoing)

    def close(self) -> None:
        """Nothing was opened."""
