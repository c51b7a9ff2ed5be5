"""Cassettes: exchanges with services, recorded once and replayed in tests.

vcrpy intercepts the requests and knows the file format. This module decides what a file contains
(see `pytest_guestlist.scrub`), when it is written, and which recorded answer a request gets:

- A request has to match a recorded one in method, address, path, query and body.
- A request that changes something gets its recorded answers in their order, each of them once.
- A request that reads gets the next recorded answer that shows the changes made so far by calls
  about the same person (of a call about no person: by the same task or thread), and as few changes
  to come as possible. If it is sent more often than it was recorded, it gets the last of these
  answers again. So requests of several calls may come in any order, in any task or thread.
- At the end every recorded request must have been sent. Reads may be sent less often.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from vcr import matchers
from vcr.cassette import Cassette as VcrCassette
from vcr.filters import decode_response
from vcr.matchers import get_matchers_results, requests_match
from vcr.patch import PATCHER_NAMES
from vcr.persisters.filesystem import CassetteNotFoundError
from vcr.record_mode import RecordMode
from vcr.request import Request
from vcr.serialize import deserialize, serialize

from guestlist import __version__
from guestlist.errors import ConfigError
from guestlist.exchange.step import Outgoing, current_guest
from guestlist.plugins import installed
from guestlist.provider import Provider, Response
from pytest_guestlist.accounts import stand_in
from pytest_guestlist.scrub import Scrubber

if TYPE_CHECKING:
    import httpx

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The fast loader, if PyYAML was built with it. The slow dumper writes all files, because the fast
one formats them differently."""

MATCH_ON = (
    matchers.method,
    matchers.scheme,
    matchers.host,
    matchers.port,
    matchers.path,
    matchers.query,
    matchers.body,
)
READING_METHODS = frozenset({"GET", "HEAD"})
SHOWN_BODY_CHARACTERS = 300
current_task: ContextVar[int | None] = ContextVar("current_task", default=None)
"""The async task that sends a request, if an async client of the fixtures does."""
RECORD_AGAIN = "run this test with --guestlist-record"


class ReplayMismatch(AssertionError):
    """A replay and its cassette do not fit together.

    Attributes:
        change: the difference in one line, such as "not recorded: GET https://...".
    """

    def __init__(self, message: str, change: str) -> None:
        super().__init__(message)
        self.change = change


class Cassette:
    """One file of recorded exchanges, being recorded or replayed.

    Args:
        path: the file.
        accounts: the accounts whose exchanges are recorded or replayed.
        source: the service or sandbox that is recorded, written in the file's first line. None
            replays the file.
        people: addresses that the file must not show, and the addresses to show instead.
        again: how to record the file again, for messages.

    Attributes:
        path: the file.
        source: as given. A replay reads it from the file.
        recorded_with: packages and versions with which the file was recorded. Empty if the file
            does not name them.
        changes: the differences between this replay and the file, one line each.
        recording: held by a transport while it sends a request and records the answer.
    """

    def __init__(
        self,
        path: Path,
        accounts: Iterable[Provider],
        *,
        source: str | None = None,
        people: Mapping[str, str] | None = None,
        again: str = RECORD_AGAIN,
    ) -> None:
        self.path = path
        self.source = source
        self.recorded_with: list[str] = []
        self.changes: list[str] = []
        self.recording = threading.Lock()
        self._accounts = list(accounts)
        self._is_replay = source is None
        self._scrub = Scrubber(self._accounts, people)
        self._again = again
        self._tape: _Tape
        self._worth_keeping = False

    @contextmanager
    def running(self, *, listening: bool = True) -> Iterator[Cassette]:
        """Records or replays the requests that are sent within the block.

        Args:
            listening: intercept the requests of every HTTP library. If not, only requests passed to
                `note` and `play` count.

        Raises:
            ConfigError: the file cannot be read.
        """
        with _Tape.use(
            path=self.path,
            serializer=_Layout(self),
            persister=self,
            record_mode=RecordMode.NONE if self._is_replay else RecordMode.ALL,
            match_on=MATCH_ON,
            before_record_request=self._scrubbed_request,
            before_record_response=self._scrubbed_response,
            skip_patchers=() if listening else PATCHER_NAMES,
        ) as self._tape:
            self._tape.mismatch = self._mismatch
            yield self

    @property
    def is_replay(self) -> bool:
        """Whether recorded answers are played."""
        return self._is_replay

    def covers(self, url: str) -> bool:
        """Whether a URL belongs to one of the accounts."""
        return self._scrub.url(url) is not None

    def note(self, sent: Outgoing | httpx.Request, response: Response) -> None:
        """Records one exchange that did not pass through an HTTP library."""
        self._tape.append(
            _request_of(sent),
            {
                "status": _status(response.status),
                "headers": {name: [value] for name, value in response.headers.items()},
                "body": {"string": response.content},
            },
        )

    def play(self, sent: Outgoing | httpx.Request) -> Response:
        """Returns the recorded answer to a request.

        Raises:
            ReplayMismatch: the request is not recorded.
        """
        recorded = self._tape.play_response(_request_of(sent))
        headers = {name.lower(): values[0] for name, values in recorded["headers"].items()}
        return Response(recorded["status"]["code"], headers, recorded["body"]["string"])

    def shown(self, text: str) -> str:
        """Returns a text as the file shows it: without secrets and people's addresses."""
        return self._scrub.text(text)

    @property
    def began(self) -> datetime | None:
        """When the first recorded answer was given, if it has a date."""
        dates = [response["headers"].get("date") for response in self._tape.responses[:1]]
        return parsedate_to_datetime(dates[0][0]) if dates and dates[0] else None

    @property
    def repeated(self) -> list[str]:
        """The reads that a replay answered more often than they were recorded."""
        return sorted(self._tape.repeated)

    def digest(self) -> str:
        """A digest of the exchanges, by which recordings are compared."""
        exchanges = [
            (one.method, one.uri, one.body, sorted(one.headers.items()), response)
            for one, response in zip(self._tape.requests, self._tape.responses, strict=True)
        ]
        return hashlib.sha256(repr(exchanges).encode()).hexdigest()

    def finish(self) -> None:
        """Ends a test that passed: a recording is kept, a replay must be complete.

        Raises:
            ReplayMismatch: a recorded request was not sent, or the application has swallowed the
                error about one that is not recorded.
        """
        self._worth_keeping = True
        if not self._is_replay:
            return
        if self._tape.first_mismatch is not None:
            raise self._tape.first_mismatch
        missing = [f"{one.method} {one.uri}" for one in self._tape.not_sent()]
        if missing:
            self.changes += [f"no longer sent: {one}" for one in missing]
            count = "a request" if len(missing) == 1 else f"{len(missing)} requests"
            raise self._error(
                f"the cassette holds {count} that the test did not send:",
                *(f"  {one}" for one in missing),
                change=self.changes[-1],
            )

    def outdated(self) -> list[str]:
        """Returns the packages that now have another version than at the recording."""
        return [
            f"{old}, installed: {new.partition(' ')[2]}"
            for new in self._versions()
            for old in self.recorded_with
            if old != new and old.partition(" ")[0] == new.partition(" ")[0]
        ]

    # ------------------------------------------------------------------ messages

    def _mismatch(self, sent: Request, expected: Request | None, used_up: int) -> ReplayMismatch:
        """Returns the error about a request that has no recorded answer left.

        Args:
            sent: the request.
            expected: the recorded request, not sent yet, that is most like it.
            used_up: how often the request was recorded; all of these answers were played.
        """
        change = f"not recorded: {sent.method} {sent.uri}"
        problem = "the test sent a request that is not recorded"
        if used_up:
            times = "once" if used_up == 1 else f"{used_up} times"
            change = f"sent more than {times}: {sent.method} {sent.uri}"
            problem = f"the test sent a request again that is recorded {times}"
        lines = _described("sent:    ", sent)
        if expected is None:
            lines.append("  expected: nothing, every recorded request was sent already")
        else:
            lines += _described("expected:", expected)
            _, failed = get_matchers_results(sent, expected, MATCH_ON)
            if failed and not used_up:
                lines.append(f"  They differ in: {', '.join(name for name, _ in failed)}")
        self.changes.append(change)
        return self._error(f"{problem}:", *lines, change=change)

    def _error(self, problem: str, *lines: str, change: str) -> ReplayMismatch:
        source = f"Recorded against {self.source or 'an unknown source'}"
        versions = self.outdated()
        if not self.recorded_with:
            source += ", with unknown versions"
        elif versions:
            source += f", with other versions: {'; '.join(versions)}"
        again = f"If the new requests are right, record them: {self._again}"
        text = [f"replay of {self.path}: {problem}", *lines, f"{source}.", again]
        return ReplayMismatch("\n".join(text), change)

    # ------------------------------------------------------------------ called by vcrpy

    def load_cassette(self, path: Path, serializer: Any) -> Any:
        """Reads the file. A recording starts from nothing."""
        if not self._is_replay:
            raise CassetteNotFoundError
        try:
            text = self.path.read_text("utf-8")
            found = re.match(r"# Recorded against (.*)\.\n", text)
            self.source = found[1] if found else None
            return deserialize(text, serializer)
        except (yaml.YAMLError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self.path} is not a cassette ({type(error).__name__})",
                hint=f"Record it again: {self._again}",
            ) from error

    def save_cassette(self, path: Path, cassette_dict: Any, serializer: Any) -> None:
        """Writes the file if the test passed and anything but the versions has changed."""
        if not self._worth_keeping:
            return
        text = serialize(cassette_dict, serializer)
        if self.path.is_file() and unversioned(self.path.read_text("utf-8")) == unversioned(text):
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(text, "utf-8")

    def _versions(self) -> list[str]:
        """Returns the packages whose code decided which requests were sent, with their versions."""
        origins, uris = installed().origins, [request.uri for request in self._tape.requests]
        kinds = {type(account) for account in self._accounts if account.name in origins}
        bases = {kind.name: stand_in(kind).base_url for kind in kinds}
        used = {
            origins[name]
            for name, base in bases.items()
            if any(uri.startswith(base) for uri in uris)
        }
        return [f"guestlist {__version__}", *sorted(used)]

    def header(self) -> dict[str, Any]:
        """Returns the lines of the file about its recording."""
        return {"recorded_with": self.recorded_with if self._is_replay else self._versions()}

    def _scrubbed_request(self, request: Request) -> Request | None:
        """Returns a request in the form in which it is stored and compared. None if it belongs to
        no account."""
        url = self._scrub.url(request.uri)
        if url is None:
            return None
        request.headers = self._scrub.request_headers(request.headers)
        request.uri = url
        if request.body:
            media_type = request.headers.get("content-type", "")
            request.body = self._scrub.body(request.body, media_type)
        return request

    def _scrubbed_response(self, response: Any) -> Any:
        response = decode_response(response)
        headers = self._scrub.response_headers(response["headers"])
        body = {"string": self._scrub.body(response["body"]["string"])}
        status = _status(response["status"]["code"])
        return {"status": status, "headers": headers, "body": body}


class _Tape(VcrCassette):  # type: ignore[misc] # it has no types
    """The exchanges of one file. Chooses which recorded answer a request gets."""

    mismatch: Callable[[Request, Request | None, int], ReplayMismatch]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._choosing = threading.Lock()
        self._played: Counter[int] = Counter()
        self._last_change = -1
        self._changes_of: dict[Hashable, list[int]] = {}
        self.repeated: set[str] = set()
        self.first_mismatch: ReplayMismatch | None = None

    def can_play_response_for(self, request: Request) -> bool:
        """Whether `play_response` is to answer. In a replay it answers the accounts' requests, and
        raises if it cannot."""
        return self.record_mode is RecordMode.NONE and self.filter_request(request) is not None

    def play_response(self, request: Request) -> Any:
        """Returns the recorded answer to a request.

        Raises:
            ReplayMismatch: there is none left.
        """
        request = self.filter_request(request)
        with self._choosing:
            matching = [
                place
                for place, recorded in enumerate(self.requests)
                if requests_match(request, recorded, self._match_on)
            ]
            place = self._chosen(request, matching)
            if place is None:
                error = self.mismatch(request, self._nearest(request), len(matching))
                self.first_mismatch = self.first_mismatch or error
                raise error
            if self._played[place]:
                self.repeated.add(f"{request.method} {request.uri}")
            self._played[place] += 1
            if not _reads(request):
                self._last_change = place
                for sender in (current_guest.get(), _task_or_thread()):
                    self._changes_of.setdefault(sender, []).append(place)
            return self.responses[place]

    def _chosen(self, request: Request, matching: list[int]) -> int | None:
        """Returns the index of the recorded answer to play. `matching` contains the indexes of
        equal requests."""
        fresh = [place for place in matching if not self._played[place]]
        if not _reads(request):
            return fresh[0] if fresh else None
        own = self._changes_of.get(current_guest.get() or _task_or_thread(), ())
        unsent = list(self._open_changes())

        def misfit(place: int) -> tuple[int, int]:
            """Counts own changes that the answer lacks, and unsent ones it shows. The first count
            weighs more: a caller must see what it has changed itself."""
            return sum(one > place for one in own), sum(one < place for one in unsent)

        least = min(map(misfit, matching), default=None)
        fitting = [place for place in matching if misfit(place) == least]
        current = [place for place in fitting if place > self._last_change]
        choices = (
            [place for place in current if place in fresh]
            or current[-1:]
            or [place for place in fitting if place in fresh]
            or fitting[-1:]
        )
        return choices[0] if choices else None

    def _open_changes(self) -> Iterator[int]:
        """Returns the indexes of recorded changes that were not sent yet."""
        for place, recorded in enumerate(self.requests):
            if not self._played[place] and not _reads(recorded):
                yield place

    def _nearest(self, request: Request) -> Request | None:
        """Returns the recorded request, not sent yet, that has most in common with a request."""

        def likeness(recorded: Request) -> int:
            equal, _ = get_matchers_results(request, recorded, self._match_on)
            return len(equal)

        unsent = [one for place, one in enumerate(self.requests) if not self._played[place]]
        return max(unsent, key=likeness, default=None)

    def not_sent(self) -> list[Request]:
        """Returns the recorded requests that are missing in the replay."""
        requests = self.requests
        sent = [requests[place] for place in self._played]
        return [
            recorded
            for place, recorded in enumerate(requests)
            if not self._played[place]
            and not (
                _reads(recorded)
                and any(requests_match(recorded, other, self._match_on) for other in sent)
            )
        ]


def _task_or_thread() -> tuple[str, int]:
    """Returns the async task or thread that sends a request."""
    task = current_task.get()
    return ("task", task) if task is not None else ("thread", threading.get_ident())


def _reads(request: Request) -> bool:
    return request.method in READING_METHODS


def unversioned(text: str) -> str:
    """Returns the text of a cassette without the versions with which it was recorded."""
    return re.sub(r"(?m)^recorded_with:\n(?:- .*\n)+", "", text, count=1)


def _status(code: int) -> dict[str, Any]:
    """Returns a status without its phrase, which Python 3.13 has renamed for some codes."""
    return {"code": int(code), "message": ""}


def _request_of(sent: Outgoing | httpx.Request) -> Request:
    return Request(sent.method, str(sent.url), sent.content, dict(sent.headers))


def _described(label: str, request: Request) -> list[str]:
    """Returns the lines that show a request in a message."""
    lines = [f"  {label} {request.method} {request.uri}"]
    body = (request.body or b"").decode("utf-8", "replace")
    if body:
        try:
            body = json.dumps(json.loads(body))
        except ValueError:
            body = " ".join(body.split())
        if len(body) > SHOWN_BODY_CHARACTERS:
            body = body[:SHOWN_BODY_CHARACTERS] + "..."
        lines.append(" " * (len(label) + 3) + body)
    return lines


class _Layout:
    """YAML for people to read: bodies as blocks of text, fields in the order of an exchange."""

    def __init__(self, cassette: Cassette) -> None:
        self._cassette = cassette

    def serialize(self, data: Any) -> str:
        data = {**self._cassette.header(), **data}
        text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=1000)
        return f"# Recorded against {self._cassette.source}.\n{text}"

    def deserialize(self, text: str) -> Any:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - both are safe loaders
        if isinstance(data, dict):
            self._cassette.recorded_with = [str(one) for one in data.get("recorded_with") or ()]
        return data


class _Dumper(yaml.SafeDumper):  # type: ignore[misc] # it has no types
    """Writes texts of several lines as blocks."""


def _text(dumper: _Dumper, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
