"""Records a backend once, and replays it without the service.

Requests and answers are stored in cassettes. The other results of the backend (the number of
emails, whether accepting was possible, skipped tests, addresses) are stored in `backend.json`
beside them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from guestlist.exchange.drive import Wire
from guestlist.exchange.step import Outgoing
from guestlist.models import Invitation
from guestlist.provider import Provider, Response
from pytest_guestlist.accounts import stand_in
from pytest_guestlist.cassettes import Cassette, ReplayMismatch
from pytest_guestlist.clock import VirtualClock
from pytest_guestlist.conformance.backend import Backend, Skipped
from pytest_guestlist.conformance.wires import Answer, UnrecordedRequest, close_wire

RESULTS_FILE = "backend.json"


@contextmanager
def recording(folder: Path, name: str, backend: Backend, source: str) -> Iterator[Backend]:
    """Yields a backend for one test that records its results.

    Args:
        folder: the folder of the suite's cassettes.
        name: the name of the test.
        backend: the real backend.
        source: the name of the recorded service, for the first line of the file.
    """
    path = folder / f"{name}.yaml"
    path.unlink(missing_ok=True)
    cassette = Cassette(path, [backend.provider()], source=source)
    recorder = _RecordingBackend(backend, cassette)
    with cassette.running(listening=False):
        yield recorder
        cassette.finish()
    known = _read_results(folder)
    known[name] = {"began": recorder.began.isoformat(), "results": recorder.results}
    if recorder.people:
        known[name]["people"] = recorder.people
    text = json.dumps(known, indent=1, sort_keys=True)
    (folder / RESULTS_FILE).write_text(f"{text}\n", "utf-8")


@contextmanager
def replaying(folder: Path, name: str, kind: type[Provider]) -> Iterator[Backend]:
    """Yields the recorded backend of one test.

    Args:
        folder: the folder of the suite's cassettes.
        name: the name of the test.
        kind: the provider class.
    """
    path, recorded = folder / f"{name}.yaml", _read_results(folder)
    if name not in recorded:
        pytest.fail(f"{path} was never recorded: run the suite with --guestlist-record")
    began = datetime.fromisoformat(recorded[name]["began"])
    results, people = list(recorded[name]["results"]), recorded[name].get("people", {})
    if not path.exists():  # nothing was sent
        yield _ReplayBackend(kind, None, began, results, people)
        return
    with Cassette(path, [stand_in(kind)]).running(listening=False) as cassette:
        yield _ReplayBackend(kind, cassette, began, results, people)
        cassette.finish()


def _read_results(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / RESULTS_FILE).read_text("utf-8")))
    except FileNotFoundError:
        return {}


class _RecordingBackend(Backend):
    """Calls the real backend, and records its results."""

    def __init__(self, backend: Backend, cassette: Cassette) -> None:
        self._backend = backend
        self._cassette = cassette
        self.clock = backend.clock
        self.began = backend.clock.now()
        self.results: list[dict[str, Any]] = []
        self.people: dict[str, str] = {}

    def provider(self) -> Provider:
        return self._backend.provider()

    def wire(self) -> Wire:
        return _RecordingWire(self._backend.wire(), self._cassette)

    def address(self, name: str) -> str:
        address = self._backend.address(name)
        if address != super().address(name):
            self.people[name] = self._cassette.shown(address)
        return address

    def read_only(self) -> Provider:
        provider: Provider = self._noted(self._backend.read_only, quiet=True)
        return provider

    def accept(self, invitation: Invitation) -> None:
        self._noted(lambda: self._backend.accept(invitation))

    def decline(self, invitation: Invitation) -> None:
        self._noted(lambda: self._backend.decline(invitation))

    def forward(self, by: timedelta) -> None:
        self._noted(lambda: self._backend.forward(by))

    def emails(self, address: str) -> int:
        return int(self._noted(lambda: self._backend.emails(address)))

    def is_link_of_email(self, invitation: Invitation) -> bool:
        return bool(self._noted(lambda: self._backend.is_link_of_email(invitation)))

    def close(self) -> None:
        self._backend.close()

    def _noted(self, ask: Callable[[], Any], *, quiet: bool = False) -> Any:
        before = self.clock.now()
        try:
            value = ask()
        except Skipped as reason:
            self.results.append({"skipped": str(reason)})
            raise
        except Exception as error:
            self.results.append({"refused": type(error).__name__})
            raise
        result = {"value": None if quiet else value}
        if self.clock.now() - before >= timedelta(seconds=5):
            result["forward"] = (self.clock.now() - before).total_seconds()
        self.results.append(result)
        return value


class _ReplayBackend(Backend):
    """Returns the recorded results."""

    def __init__(
        self,
        kind: type[Provider],
        cassette: Cassette | None,
        began: datetime,
        results: list[dict[str, Any]],
        people: dict[str, str],
    ) -> None:
        self._kind = kind
        self._cassette = cassette
        self._results = results
        self._people = people
        self._virtual = VirtualClock(began)
        self.clock = self._virtual

    def provider(self) -> Provider:
        return stand_in(self._kind)

    def wire(self) -> Wire:
        return _ReplayWire(self._cassette)

    def address(self, name: str) -> str:
        return self._people.get(name) or super().address(name)

    def read_only(self) -> Provider:
        self._next("read_only")
        return stand_in(self._kind)

    def accept(self, invitation: Invitation) -> None:
        self._next("accept")

    def decline(self, invitation: Invitation) -> None:
        self._next("decline")

    def forward(self, by: timedelta) -> None:
        self._next("forward")

    def emails(self, address: str) -> int:
        return int(self._next("emails"))

    def is_link_of_email(self, invitation: Invitation) -> bool:
        return bool(self._next("is_link_of_email"))

    def _next(self, method: str) -> Any:
        if not self._results:
            raise UnrecordedRequest(
                f"the test calls `{method}`, which it did not call when it was recorded"
            )
        result = self._results.pop(0)
        if "skipped" in result:
            pytest.skip(result["skipped"])
        if "refused" in result:
            raise RuntimeError(f"refused when it was recorded: {result['refused']}")
        self._virtual.advance(timedelta(seconds=result.get("forward", 0.0)))
        return result["value"]


class _RecordingWire:
    """Sends requests to the service, and records the answers."""

    def __init__(self, wire: Wire, cassette: Cassette) -> None:
        self._wire = wire
        self._cassette = cassette

    def send(self, outgoing: Outgoing) -> Answer:
        """Sends a request and returns the answer."""
        answer = self._wire.send(outgoing)
        if isinstance(answer, Response):
            self._cassette.note(outgoing, answer)
        return answer

    def close(self) -> None:
        """Closes the real wire."""
        close_wire(self._wire)


class _ReplayWire:
    """Answers requests from the cassette."""

    def __init__(self, cassette: Cassette | None) -> None:
        self._cassette = cassette

    def send(self, outgoing: Outgoing) -> Response:
        """Returns the recorded answer to a request."""
        if self._cassette is None:
            raise UnrecordedRequest(
                f"{outgoing.method} {outgoing.url} was not sent when it was recorded"
            )
        try:
            return self._cassette.play(outgoing)
        except ReplayMismatch as error:
            raise UnrecordedRequest(str(error)) from None
