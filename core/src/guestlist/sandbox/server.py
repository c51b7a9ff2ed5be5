"""Runs a whole sandbox in one event loop: the mailbox on one port, every service on its own."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Self

from starlette.types import ASGIApp

from guestlist.errors import MORE_FILES
from guestlist.exchange.clock import SystemClock
from guestlist.exchange.faults import TOO_MANY_FILES, too_many_open_files
from guestlist.sandbox.asgi import Dated
from guestlist.sandbox.errors import SandboxError, SandboxMistake
from guestlist.sandbox.mailbox import mailbox
from guestlist.sandbox.service import AdjustableClock, Outbox, Service
from guestlist.sandbox.world import Hosted, World
from guestlist.signals import handle_signals
from guestlist.web import LOOPBACK_NAMES, LocalServer, listen, port_problem

HIGHEST_PORT = 65_535


STOP_SECONDS = 10
"""How long to wait for the sandbox's thread to end."""


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that still runs if a test freezes `time.monotonic`."""

    def time(self) -> float:
        return SystemClock.monotonic()


class Sandbox:
    """Imitated services and the mailbox of the invitees, on local ports.

    Blocking, until Ctrl-C, SIGTERM or `stop`:

        Sandbox([VultrService], port=8700).run(lambda sandbox: print(sandbox.url))

    In the background, in a thread of its own:

        with Sandbox([VultrService]) as sandbox:
            sandbox.services["vultr"].base_url

    It can be started again after it has stopped, with fresh services.

    Args:
        kinds: the services' classes.
        host: where to listen: a loopback name or address.
        port: the mailbox's port; the services follow, in the order given. 0 takes free ports.
        seed, profiles, switches, time_source: as for `World`.
        allow_remote: permits a host that other machines can reach. The keys are known to
            everybody who reads the source, and anyone may open the mailbox.

    Raises:
        SandboxError: the host is not loopback, two services have one name, or (on starting) a
            port is taken or a profile or switch is not the service's.
    """

    def __init__(
        self,
        kinds: Iterable[type[Service]],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        profiles: Mapping[str, str] | None = None,
        switches: Mapping[str, Mapping[str, str]] | None = None,
        time_source: Callable[[], float] = time.time,
        allow_remote: bool = False,
    ) -> None:
        self._kinds = tuple(kinds)
        self._names = [kind.name for kind in self._kinds]
        for name in self._names:
            if self._names.count(name) > 1:
                raise SandboxMistake(f"two services are called {name!r}")
        self._port = port
        self._options: dict[str, Any] = {
            "seed": seed,
            "profiles": profiles,
            "switches": switches,
            "time_source": time_source,
        }
        self._family, self._host = _resolve(host)
        self._allow_remote = allow_remote
        if not (allow_remote or ipaddress.ip_address(self._host).is_loopback):
            raise SandboxMistake(
                f"{host} can be reached from other machines, and the keys are public",
                hint="Listen on 127.0.0.1, or allow remote access explicitly.",
            )
        self._world: World | None = None
        self._url: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event
        self._thread: threading.Thread | None = None

    @property
    def world(self) -> World:
        """The services, the clock and the outbox. Raises SandboxError if it is not running."""
        if self._world is None:
            raise SandboxError("the sandbox is not running")
        return self._world

    @property
    def url(self) -> str:
        """Address of the mailbox. Raises SandboxError if the sandbox is not running."""
        if self._url is None:
            raise SandboxError("the sandbox is not running")
        return self._url

    @property
    def services(self) -> dict[str, Hosted]:
        """The services by name, each with its `base_url` and `settings`."""
        return self.world.services

    @property
    def clock(self) -> AdjustableClock:
        """The clock of the sandbox. `reset` replaces it by a new object."""
        return self.world.clock

    @property
    def outbox(self) -> Outbox:
        """All emails. `reset` replaces it by a new object."""
        return self.world.outbox

    def run(self, on_ready: Callable[[Self], object] | None = None) -> None:
        """Serves until Ctrl-C, SIGTERM or `stop`, then returns.

        Args:
            on_ready: called once all ports answer.
        """
        with self._open() as apps, asyncio.Runner(loop_factory=_Loop) as runner:
            runner.run(self._serve(apps, on_ready))

    def stop(self) -> None:
        """Ends `run` from another thread or from a callback. Has no effect if it is not running."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)

    def reset(self) -> None:
        """Starts over with fresh services on the same ports, with the same seed.

        Waits until no request is being answered. Inside a request or `on_ready`, use `world.reset`.
        """
        if self._loop is None:
            raise SandboxError("the sandbox is not running")
        world = self.world

        async def start_over() -> None:
            world.reset()

        asyncio.run_coroutine_threadsafe(start_over(), self._loop).result()

    def __enter__(self) -> Self:
        ready = threading.Event()
        failures: list[BaseException] = []

        def work() -> None:
            try:
                self.run(lambda _: ready.set())
            except BaseException as error:
                failures.append(error)
            finally:
                ready.set()

        self._thread = threading.Thread(target=work, name="guestlist-sandbox", daemon=True)
        self._thread.start()
        ready.wait()
        if failures:
            self._thread.join(STOP_SECONDS)
            raise failures[0]
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
            if self._thread.is_alive():
                warnings.warn(
                    f"the sandbox at {self._url} did not stop within {STOP_SECONDS} s; its thread"
                    " ends with this process",
                    RuntimeWarning,
                    stacklevel=2,
                )
            self._thread = None

    @contextmanager
    def _open(self) -> Iterator[list[tuple[ASGIApp, socket.socket]]]:
        """Binds the ports and creates fresh services."""
        if self._world is not None:
            raise SandboxError("the sandbox is running already")
        with ExitStack() as closing:
            sockets = []
            for offset, name in enumerate(["the mailbox", *self._names]):
                port = self._port + offset if self._port else 0
                sockets.append(closing.enter_context(self._listen(port, name)))
            urls = [self._address(taken) for taken in sockets]
            base_urls = dict(zip(self._names, urls[1:], strict=True))
            world = World(self._kinds, base_urls, **self._options)
            hosts = None if self._allow_remote else LOOPBACK_NAMES | {self._host}
            self._world, self._url = world, urls[0]
            closing.callback(self._forget)
            apps: list[ASGIApp] = [mailbox(world, hosts=hosts), *world.services.values()]
            dated = [Dated(app, world) for app in apps]
            yield list(zip(dated, sockets, strict=True))

    def _forget(self) -> None:
        self._world = self._url = None

    def _listen(self, port: int, name: str) -> socket.socket:
        if port > HIGHEST_PORT:
            raise SandboxMistake(
                f"port {port}, for {name}, is above {HIGHEST_PORT}", hint="Choose a lower port."
            )
        try:
            return listen(self._host, port, self._family)
        except OSError as error:
            raise SandboxError(
                f"port {port} of {self._host}, for {name}, {port_problem(error)}",
                hint="Choose another port, or 0 for any free ones.",
            ) from error

    def _address(self, listening: socket.socket) -> str:
        address = ipaddress.ip_address(self._host)
        if address.is_unspecified:
            address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
        host = f"[{address}]" if address.version == 6 else str(address)
        return f"http://{host}:{listening.getsockname()[1]}"

    async def _serve(
        self,
        apps: list[tuple[ASGIApp, socket.socket]],
        on_ready: Callable[[Self], object] | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_warn_about_files)
        self._stopping = asyncio.Event()
        up = [self._loop.create_future() for _ in apps]
        servers = [
            LocalServer(app, partial(ready.set_result, None), date_header=False)
            for (app, _), ready in zip(apps, up, strict=True)
        ]
        tasks = [
            asyncio.create_task(server.serve(sockets=[listening]))
            for server, (_, listening) in zip(servers, apps, strict=True)
        ]
        try:
            for ready, task in zip(up, tasks, strict=True):
                await asyncio.wait([ready, task], return_when=asyncio.FIRST_COMPLETED)
                if task.done():
                    await task
            with handle_signals(lambda *_: self.stop()):
                if on_ready is not None:
                    on_ready(self)
                await self._stopping.wait()
        finally:
            self._loop = None
            for server in servers:
                server.should_exit = True
            await asyncio.gather(*tasks)


def _warn_about_files(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Warns in one line if a limit of open files keeps the sandbox from accepting connections."""
    if too_many_open_files(context.get("exception")):
        text = f"the sandbox cannot accept connections: {TOO_MANY_FILES}. {MORE_FILES}"
        warnings.warn(text, RuntimeWarning, stacklevel=1)
    else:
        loop.default_exception_handler(context)


def _resolve(host: str) -> tuple[socket.AddressFamily, str]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise SandboxMistake(f"{host!r} is not an address of this machine") from error
    return family, str(address[0])
