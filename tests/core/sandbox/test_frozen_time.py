"""A test may freeze the date. Nothing that guestlist waits for depends on the frozen clock."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest
from freezegun import freeze_time

from guestlist import Guestlist, WaitTimeout
from guestlist.sandbox import Sandbox, Service
from guestlist.sandbox.services import accounts_of, service_classes

# the alarm rings in real time: a wait for the frozen clock ends with the test's name
pytestmark = pytest.mark.timeout(60)

Kinds = list[type[Service]]

# freezegun reads every attribute of every loaded module. Aitronos' SDK, which other tests load,
# creates pydantic models when they are read, and that fails while the date is frozen.
frozen = partial(freeze_time, "2030-01-01", ignore=["aitronos"])


@pytest.mark.parametrize("real_asyncio", [False, True])
def test_a_sandbox_stops_after_time_was_frozen(kinds: Kinds, real_asyncio: bool) -> None:
    before = set(threading.enumerate())
    with Sandbox(kinds) as sandbox:
        [thread] = set(threading.enumerate()) - before
        with frozen(real_asyncio=real_asyncio):
            time.sleep(0.3)  # longer than the server's own pause between two looks
        assert sandbox.url
    assert not thread.is_alive()


def test_a_sandbox_starts_and_stops_while_time_is_frozen(kinds: Kinds) -> None:
    with frozen(), Sandbox(kinds) as sandbox:
        sandbox.reset()


def test_a_sandbox_that_does_not_stop_is_given_up(
    kinds: Kinds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guestlist.sandbox.server.STOP_SECONDS", 0.1)
    sandbox = Sandbox(kinds)
    stop = sandbox.stop
    monkeypatch.setattr(sandbox, "stop", lambda: None)
    with pytest.warns(RuntimeWarning, match="did not stop within"), sandbox:
        pass
    stop()


def test_waiting_ends_while_time_is_frozen() -> None:
    with Sandbox(service_classes()) as sandbox, Guestlist(accounts_of(sandbox)) as guests:
        guests.invite("ada@example.com", account="vultr")
        with frozen(), pytest.raises(WaitTimeout):
            guests.wait("ada@example.com", account="vultr", timeout=0.2)
