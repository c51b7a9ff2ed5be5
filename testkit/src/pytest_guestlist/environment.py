"""The environments of tests: the sandbox, a cassette, or (to record one) the real services."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guestlist import AsyncGuestlist, Guestlist
from guestlist.address import check_email, email_key
from guestlist.errors import ConfigError, InvalidArgument, NotFound
from guestlist.exchange.clock import Clock, SystemClock
from guestlist.plugins import installed
from guestlist.provider import Provider
from pytest_guestlist.accounts import live_accounts, stand_in
from pytest_guestlist.clock import VirtualClock
from pytest_guestlist.transports import CassetteTransport, LoopbackTransport, live_transport

if TYPE_CHECKING:
    from guestlist.sandbox import Sandbox
    from pytest_guestlist.cassettes import Cassette

INVITEE = "ada@example.com"
"""The address that tests invite. A cassette of a live recording shows it, too."""


@dataclass(frozen=True)
class Environment:
    """Accounts, time and services of one test, or of the tests of a module or session.

    Attributes:
        accounts: one account for each installed provider, under the provider's name.
        clock: the time of clients and sandbox. Virtual, unless the services are real.
        sandbox: None if the services are recorded or real.
        cassette: None if nothing is recorded or replayed.
        invitee: an address to invite.
        live: whether the services are real.
    """

    accounts: dict[str, Provider]
    clock: Clock
    sandbox: Sandbox | None = None
    cassette: Cassette | None = None
    invitee: str = INVITEE
    live: bool = False

    @cached_property
    def client(self) -> Guestlist:
        """A client of these accounts. It need not be closed."""
        return self.client_of(self.accounts)

    @cached_property
    def async_client(self) -> AsyncGuestlist:
        """An async client of these accounts. It need not be closed."""
        return self.async_client_of(self.accounts)

    def client_of(self, accounts: Mapping[str, Provider]) -> Guestlist:
        """Makes a client of other accounts."""
        transport = None if self.live else self._transport()
        return Guestlist(accounts, transport=transport, clock=self.clock)

    def async_client_of(self, accounts: Mapping[str, Provider]) -> AsyncGuestlist:
        """Makes an async client of other accounts."""
        transport = live_transport() if self.live else self._transport()
        return AsyncGuestlist(accounts, transport=transport, clock=self.clock)

    def _transport(self) -> Any:
        """A transport that mocks of HTTP libraries do not intercept. It keeps nothing open."""
        loopback = LoopbackTransport()
        return CassetteTransport(self.cassette, loopback) if self.cassette else loopback

    def accept(self, email: str, service: str | None = None) -> None:
        """Accepts the newest invitation of an address, on one service or on all that have one.

        In a replay the recorded answers contain the acceptance, and with real services only the
        invitee can accept; then this method does nothing.

        Raises:
            NotFound: the address is not invited.
            SandboxRefusal: the invitation has expired, or was withdrawn or used.
        """
        if self.sandbox is None:
            return
        found = False
        for name, hosted in self.sandbox.services.items():
            ids = [
                record["id"]
                for record in hosted.service.snapshot()["invitations"]
                if email_key(record["email"]) == email_key(email)
            ]
            if ids and service in (None, name):
                hosted.service.accept(ids[-1])
                found = True
        if not found:
            raise NotFound(f"{email} is not invited" + (f" on {service}" if service else ""))


def on_sandbox(sandbox: Sandbox) -> Environment:
    """Returns the environment of tests without a cassette."""
    from guestlist.sandbox.services import accounts_of

    return Environment(accounts_of(sandbox), VirtualClock(sandbox=sandbox), sandbox)


@contextmanager
def replayed(path: Path, start: datetime, again: str | None = None) -> Iterator[Environment]:
    """Returns the environment of a test that replays a cassette. Its time begins with the first
    recorded answer.

    Args:
        path: the file.
        start: when time begins if that answer has no date.
        again: how to record the file again, for messages.

    Raises:
        ConfigError: the file is missing or unreadable.
    """
    from pytest_guestlist.cassettes import RECORD_AGAIN, Cassette

    again = again or RECORD_AGAIN
    accounts = {name: stand_in(kind) for name, kind in installed().providers.items()}
    if not path.is_file():
        raise ConfigError(f"there is no cassette {path}", hint=f"Record it: {again}")
    with Cassette(path, accounts.values(), again=again).running() as cassette:
        yield Environment(accounts, VirtualClock(cassette.began or start), cassette=cassette)


@contextmanager
def recorded(
    path: Path,
    sandbox: Sandbox,
    profiles: Mapping[str, str],
    switches: Mapping[str, Mapping[str, str]],
) -> Iterator[Environment]:
    """Returns the environment of a test that records a cassette against the sandbox.

    Args:
        path: the file.
        sandbox: a fresh one.
        profiles, switches: by service, as for `guestlist.sandbox.World`.
    """
    from pytest_guestlist.cassettes import Cassette

    for name in {*profiles, *switches}:
        service = sandbox.services[name].service
        service.configure(profile=profiles.get(name), **switches.get(name, {}))
    fresh = on_sandbox(sandbox)
    source = "the sandbox of guestlist, not the service itself"
    with Cassette(path, fresh.accounts.values(), source=source).running() as cassette:
        yield Environment(fresh.accounts, fresh.clock, sandbox, cassette)


@contextmanager
def recorded_live(path: Path, address: str) -> Iterator[Environment]:
    """Returns the environment of a test that records a cassette against real services.

    Args:
        path: the file.
        address: the address to invite. The cassette shows `INVITEE` instead.

    Raises:
        ConfigError: the environment variables hold no credentials.
    """
    from pytest_guestlist.cassettes import Cassette

    # Seeded, because the pauses of a replay must be those of the recording.
    accounts, clock = live_accounts(), SystemClock(seed=0)
    hosts = ", ".join(account.base_url for account in accounts.values())
    cassette = Cassette(
        path,
        accounts.values(),
        source=f"{hosts} on {clock.now():%Y-%m-%d}",
        people={address: INVITEE},
    )
    with cassette.running():
        yield Environment(accounts, clock, cassette=cassette, invitee=address, live=True)


def check_live(address: str) -> None:
    """Checks that an address can receive the email of a live recording.

    Raises:
        InvalidArgument: it is not an email address, or belongs to an example domain.
    """
    from pytest_guestlist.scrub import EXAMPLE

    check_email(address)
    if EXAMPLE.fullmatch(address.rpartition("@")[2]):
        raise InvalidArgument(
            f"{address} belongs to an example domain", hint="Name a mailbox that you can read."
        )
