"""Two services that lag, behind proxies that do harm, and the accounts of a client beside them."""

from __future__ import annotations

import queue
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guestlist import Guestlist
from guestlist.changes import Action, Change
from guestlist.exchange.account import Budget
from guestlist.exchange.clock import Clock
from guestlist.provider import Limit
from guestlist.sandbox import Sandbox, Service
from guestlist_aitronos import Aitronos
from guestlist_aitronos.sandbox import AitronosService
from guestlist_vultr import Vultr
from guestlist_vultr.sandbox import VultrService
from pytest_guestlist.faults import End, Fault, Forward, answering, unanswered
from pytest_guestlist.proxy import FaultProxy

LATE = 3.0
"""Seconds after which what is late takes effect."""
STALL = 3.0
"""Seconds for which this machine may stop the proxy or the service between two steps."""
LAG = 0.5
"""Seconds for which lists miss what is new."""
BUDGET = Budget(total=5.0, timeout=1.0)
INVITING = r"POST \S*(/v2/invitation|/invite-user) "

SERVER_ERRORS = [
    answering(status, b"{}", forward=forward)
    for status in (500, 502, 503)
    for forward in (Forward.NOW, Forward.NEVER)
]
WITHOUT_ANSWER = [
    unanswered(End.RESET),
    unanswered(End.RESET, Forward.NEVER),
    unanswered(End.FIN),
    unanswered(End.STALL),
    unanswered(End.STALL, Forward.LATE),
]
FAULTS: list[Fault] = SERVER_ERRORS + WITHOUT_ANSWER


class QuickVultr(Vultr):
    """The same, with what is known of the service here, and without its limit."""

    late_effect = LATE + STALL
    list_lag = LAG + 0.5

    @property
    def limits(self) -> tuple[Limit, ...]:
        return ()


class QuickAitronos(Aitronos):
    """The same, with what is known of the service here, and without its limit."""

    late_effect = LATE + STALL
    list_lag = LAG + 0.5

    @property
    def limits(self) -> tuple[Limit, ...]:
        return ()


KINDS = {"vultr": QuickVultr, "aitronos": QuickAitronos}


class LaggingVultr(VultrService):
    """Its lists miss what is new."""

    def build(self) -> ASGIApp:
        return _lagging(self, super().build())


class LaggingAitronos(AitronosService):
    """Its lists miss what is new."""

    def build(self) -> ASGIApp:
        return _lagging(self, super().build())


def _lagging(service: Service, app: ASGIApp) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await app(scope, receive, send)
            return
        told: list[Message] = []

        async def keep(message: Message) -> None:
            told.append(message)

        with service.hide(_new(service)):
            await app(scope, receive, keep)
        for message in told:
            await send(message)

    return answer


def _new(service: Service) -> set[str]:
    since = service.clock.now().timestamp() - LAG
    new: set[str] = set()
    for mail in reversed(service.outbox.emails):
        if mail.sent_at.timestamp() < since:
            break
        new.add(mail.invitation)
    return new


class World:
    """The services and the proxies, to be used in a `with` block.

    Args:
        share: of the invitations that meet a fault.
        seed: decides which.
    """

    def __init__(self, share: float, seed: int) -> None:
        switches = {
            "vultr": {"duplicates": "allow", "rate": "off"},
            "aitronos": {"duplicates": "resend", "rate": "off"},
        }
        self._sandbox = Sandbox([LaggingVultr, LaggingAitronos], switches=switches)
        self._random = random.Random(seed)
        self._share = share
        self._closing = ExitStack()
        self._late: dict[FaultProxy, queue.SimpleQueue[float | None]] = {}
        self._releasing: list[threading.Thread] = []
        self._ended = threading.Event()
        self.faults = 0
        self.requests = 0
        self.proxies: dict[str, FaultProxy] = {}

    def __enter__(self) -> Self:
        self._closing.enter_context(self._sandbox)
        for name, hosted in self._sandbox.services.items():
            proxy = self._closing.enter_context(FaultProxy(hosted.base_url))
            proxy.plan = self._planned(proxy)
            self.proxies[name] = proxy
            self._late[proxy] = queue.SimpleQueue()
            thread = threading.Thread(target=self._release, args=(proxy,))
            thread.start()
            self._releasing.append(thread)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        for late in self._late.values():
            late.put(None)
        for thread in self._releasing:
            thread.join()
        self._closing.close()

    @property
    def settings(self) -> dict[str, dict[str, str]]:
        """By account, what its provider is configured with: the way leads through the proxy."""
        return {
            name: {**hosted.settings, "base_url": self.proxies[name].url}
            for name, hosted in self._sandbox.services.items()
        }

    def emails(self) -> Counter[tuple[str, str]]:
        """How many went out, by service and address."""
        return Counter((mail.service, mail.to) for mail in self._sandbox.outbox.emails)

    @property
    def sent(self) -> int:
        """How many emails went out."""
        return len(self._sandbox.outbox.emails)

    def _planned(self, proxy: FaultProxy) -> Any:
        def plan(line: str, _number: int) -> Fault | None:
            self.requests += 1
            if len(proxy.seen) > 1000:
                del proxy.seen[:500]
            if not re.match(INVITING, line) or self._random.random() >= self._share:
                return None
            self.faults += 1
            fault = self._random.choice(FAULTS)
            if fault.forward is Forward.LATE:
                self._late[proxy].put(time.monotonic() + LATE)
            return fault

        return plan

    def _release(self, proxy: FaultProxy) -> None:
        """Lets the held requests of one proxy take effect when they are due. Each proxy has a
        thread of its own, because `release` waits for a request that may never have been sent.

        Drops them if the machine has stalled for so long that they would take effect later than
        `late_effect` promises. Otherwise the test would blame the engine for a second email."""
        while (due := self._late[proxy].get()) is not None:
            self._ended.wait(due - time.monotonic())
            if time.monotonic() > due + STALL / 2:
                proxy.forget()
                continue
            with suppress(TimeoutError):  # the sender was killed before the request was complete
                proxy.release()


def client(settings: dict[str, dict[str, str]], clock: Clock) -> Guestlist:
    """A client of the world's services."""
    accounts = {name: KINDS[name](**own) for name, own in settings.items()}
    return Guestlist(accounts, clock=clock, budget=BUDGET)


def everybody(count: int) -> Iterable[Change]:
    """So many invitations, half of them on each service."""
    for number in range(count):
        account = "vultr" if number % 2 else "aitronos"
        roles = () if account == "vultr" else ("Member",)
        email = f"guest{number}@example.com"
        yield Change(action=Action.INVITE, account=account, email=email, key=email, roles=roles)
