"""What a test plays on: the sandbox, a cassette, or (to record one) the real services."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.address import check_email, email_key
from guestlist.errors import ConfigError, InvalidOrder, NotFound
from guestlist.exchange.clock import Clock, SystemClock
from guestlist.plugins import installed
from guestlist.provider import Provider
from guestlist.testing.accounts import live_accounts, stand_in
from guestlist.testing.clock import VirtualClock

if TYPE_CHECKING:
    from guestlist.sandbox import Sandbox
    from guestlist.testing.cassettes import Cassette

INVITEE = "ada@example.com"
"""Whom tests invite, and whom a cassette shows in place of the address of a live recording."""


@dataclass(frozen=True)
class Stage:
    """What there is for one test.

    Attributes:
        accounts: named after the providers.
        sandbox: None where the services are recorded ones, or real.
        cassette: None where nothing is recorded or replayed.
        invitee: an address to invite.
        live: whether the services are real.
    """

    accounts: dict[str, Provider]
    clock: Clock
    sandbox: Sandbox | None = None
    cassette: Cassette | None = None
    invitee: str = INVITEE
    live: bool = False

    def accept(self, email: str, service: str | None) -> None:
        """Accepts the newest invitation of an address, on one service or on all that have one.

        In a replay that has happened already, and from a real service nobody can do it but the
        invitee.

        Raises:
            NotFound: nobody has invited the address.
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
            raise NotFound(f"nobody has invited {email}" + (f" on {service}" if service else ""))


def on_sandbox(sandbox: Sandbox) -> Stage:
    """A test without a cassette."""
    from guestlist.sandbox.connect import accounts_of

    return Stage(accounts_of(sandbox), VirtualClock(sandbox=sandbox), sandbox)


@contextmanager
def replayed(path: Path, start: datetime) -> Iterator[Stage]:
    """A test that replays a cassette; its time begins with the first recorded answer.

    Args:
        path: the file.
        start: when it begins otherwise.

    Raises:
        ConfigError: there is no such file.
    """
    from guestlist.testing.cassettes import Cassette

    accounts = {name: stand_in(kind) for name, kind in installed().providers.items()}
    if not path.is_file():
        raise ConfigError(
            f"there is no cassette {path}",
            hint="Record it: run this test with --guestlist-record.",
        )
    with Cassette(path, accounts.values()).running() as cassette:
        yield Stage(accounts, VirtualClock(cassette.began or start), cassette=cassette)


@contextmanager
def recorded(
    path: Path,
    sandbox: Sandbox,
    profiles: Mapping[str, str],
    switches: Mapping[str, Mapping[str, str]],
) -> Iterator[Stage]:
    """A test that records a cassette against the sandbox.

    Args:
        path: the file.
        sandbox: a fresh one.
        profiles, switches: by service, as for `guestlist.sandbox.World`.
    """
    from guestlist.testing.cassettes import Cassette

    for name in {*profiles, *switches}:
        service = sandbox.services[name].service
        service.configure(profile=profiles.get(name), **switches.get(name, {}))
    stage = on_sandbox(sandbox)
    source = "the sandbox of guestlist, not the service itself"
    with Cassette(path, stage.accounts.values(), source=source).running() as cassette:
        yield Stage(stage.accounts, stage.clock, sandbox, cassette)


@contextmanager
def recorded_live(path: Path, address: str) -> Iterator[Stage]:
    """A test that records a cassette against real services.

    Args:
        path: the file.
        address: whom to invite; the cassette shows `INVITEE` instead.

    Raises:
        ConfigError: no credentials are in the environment.
    """
    from guestlist.testing.cassettes import Cassette

    accounts, clock = live_accounts(), SystemClock()
    hosts = ", ".join(account.base_url for account in accounts.values())
    cassette = Cassette(
        path,
        accounts.values(),
        source=f"{hosts} on {clock.now():%Y-%m-%d}",
        people={address: INVITEE},
    )
    with cassette.running():
        yield Stage(accounts, clock, cassette=cassette, invitee=address, live=True)


def check_live(address: str) -> None:
    """Checks that an address can be that of a person who wants the mail of a live recording.

    Raises:
        InvalidOrder: it is no address, or nobody's.
    """
    from guestlist.testing.scrub import EXAMPLE

    check_email(address)
    if EXAMPLE.fullmatch(address.rpartition("@")[2]):
        raise InvalidOrder(f"{address} is nobody's", hint="Name a mailbox that you can read.")
