"""A setting that is recorded once and replayed ever after, without the service.

The exchanges go into cassettes, as those of applications do. What else a setting tells (how many
emails came, whether somebody could accept, what it lacks, which addresses it gave) goes into
`asides.json` beside them.
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
from pytest_guestlist.conformance.setting import Lacking, Setting
from pytest_guestlist.conformance.wires import Answer, Astray, close_wire

ASIDES = "asides.json"


@contextmanager
def recording(folder: Path, name: str, setting: Setting, source: str) -> Iterator[Setting]:
    """The setting of one test, recorded.

    Args:
        folder: where the cassettes of the suite are.
        name: of the test.
        setting: the true one.
        source: what is recorded against, for the first line of the file.
    """
    path = folder / f"{name}.yaml"
    path.unlink(missing_ok=True)
    cassette = Cassette(path, [setting.provider()], source=source)
    recorder = _Recorder(setting, cassette)
    with cassette.running(listening=False):
        yield recorder
        cassette.finish()
    known = _asides(folder)
    known[name] = {"began": recorder.began.isoformat(), "told": recorder.told}
    if recorder.people:
        known[name]["people"] = recorder.people
    text = json.dumps(known, indent=1, sort_keys=True)
    (folder / ASIDES).write_text(f"{text}\n", "utf-8")


@contextmanager
def replaying(folder: Path, name: str, kind: type[Provider]) -> Iterator[Setting]:
    """The setting of one test, replayed.

    Args:
        folder: where the cassettes of the suite are.
        name: of the test.
        kind: the provider.
    """
    path, asides = folder / f"{name}.yaml", _asides(folder)
    if name not in asides:
        pytest.fail(f"{path} was never recorded: run the suite with --guestlist-record")
    began = datetime.fromisoformat(asides[name]["began"])
    told, people = list(asides[name]["told"]), asides[name].get("people", {})
    if not path.exists():  # nothing was sent
        yield _Replayer(kind, None, began, told, people)
        return
    with Cassette(path, [stand_in(kind)]).running(listening=False) as cassette:
        yield _Replayer(kind, cassette, began, told, people)
        cassette.finish()


def _asides(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / ASIDES).read_text("utf-8")))
    except FileNotFoundError:
        return {}


class _Recorder(Setting):
    """Passes on to the true setting, and notes what it tells."""

    def __init__(self, setting: Setting, cassette: Cassette) -> None:
        self._setting = setting
        self._cassette = cassette
        self.clock = setting.clock
        self.began = setting.clock.now()
        self.told: list[dict[str, Any]] = []
        self.people: dict[str, str] = {}

    def provider(self) -> Provider:
        return self._setting.provider()

    def wire(self) -> Wire:
        return _Taping(self._setting.wire(), self._cassette)

    def address(self, name: str) -> str:
        address = self._setting.address(name)
        if address != super().address(name):
            self.people[name] = self._cassette.shown(address)
        return address

    def read_only(self) -> Provider:
        provider: Provider = self._noted(self._setting.read_only, quiet=True)
        return provider

    def accept(self, invitation: Invitation) -> None:
        self._noted(lambda: self._setting.accept(invitation))

    def decline(self, invitation: Invitation) -> None:
        self._noted(lambda: self._setting.decline(invitation))

    def forward(self, by: timedelta) -> None:
        self._noted(lambda: self._setting.forward(by))

    def emails(self, address: str) -> int:
        return int(self._noted(lambda: self._setting.emails(address)))

    def is_link_of_email(self, invitation: Invitation) -> bool:
        return bool(self._noted(lambda: self._setting.is_link_of_email(invitation)))

    def close(self) -> None:
        self._setting.close()

    def _noted(self, ask: Callable[[], Any], *, quiet: bool = False) -> Any:
        before = self.clock.now()
        try:
            value = ask()
        except Lacking as reason:
            self.told.append({"lacks": str(reason)})
            raise
        except Exception as error:
            self.told.append({"refused": type(error).__name__})
            raise
        aside = {"value": None if quiet else value}
        if self.clock.now() - before >= timedelta(seconds=5):
            aside["forward"] = (self.clock.now() - before).total_seconds()
        self.told.append(aside)
        return value


class _Replayer(Setting):
    """Tells what was told when the test was recorded."""

    def __init__(
        self,
        kind: type[Provider],
        cassette: Cassette | None,
        began: datetime,
        told: list[dict[str, Any]],
        people: dict[str, str],
    ) -> None:
        self._kind = kind
        self._cassette = cassette
        self._told = told
        self._people = people
        self._virtual = VirtualClock(began)
        self.clock = self._virtual

    def provider(self) -> Provider:
        return stand_in(self._kind)

    def wire(self) -> Wire:
        return _Playing(self._cassette)

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
        return int(self._next("mails"))

    def is_link_of_email(self, invitation: Invitation) -> bool:
        return bool(self._next("is_link_of_email"))

    def _next(self, what: str) -> Any:
        if not self._told:
            raise Astray(f"the test asks for {what}, which it did not when it was recorded")
        aside = self._told.pop(0)
        if "lacks" in aside:
            pytest.skip(aside["lacks"])
        if "refused" in aside:
            raise RuntimeError(f"refused when it was recorded: {aside['refused']}")
        self._virtual.advance(timedelta(seconds=aside.get("forward", 0.0)))
        return aside["value"]


class _Taping:
    """Passes on, and records."""

    def __init__(self, wire: Wire, cassette: Cassette) -> None:
        self._wire = wire
        self._cassette = cassette

    def send(self, outgoing: Outgoing) -> Answer:
        """What the service answers."""
        answer = self._wire.send(outgoing)
        if isinstance(answer, Response):
            self._cassette.note(outgoing, answer)
        return answer

    def close(self) -> None:
        """Closes the true wire."""
        close_wire(self._wire)


class _Playing:
    """Answers from the cassette."""

    def __init__(self, cassette: Cassette | None) -> None:
        self._cassette = cassette

    def send(self, outgoing: Outgoing) -> Response:
        """The recorded answer."""
        if self._cassette is None:
            raise Astray(f"{outgoing.method} {outgoing.url} was not sent when it was recorded")
        try:
            return self._cassette.play(outgoing)
        except ReplayMismatch as error:
            raise Astray(str(error)) from None
