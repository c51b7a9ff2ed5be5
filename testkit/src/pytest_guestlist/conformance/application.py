"""A wire to an application in this process."""

from __future__ import annotations

from guestlist.exchange.step import Outgoing
from guestlist.provider import Response
from guestlist.sandbox.service import Service
from pytest_guestlist.calling import call_service


class ApplicationWire:
    """Sends requests to a service of the sandbox in this process."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def send(self, outgoing: Outgoing) -> Response:
        """Returns the answer of the service."""
        return call_service(self._service, outgoing)

    def close(self) -> None:
        """Does nothing, because nothing was opened."""
