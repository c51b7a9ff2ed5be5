"""Cassettes: exchanges with services, recorded once and replayed in tests.

vcrpy does the recording. What is its configuration here: a request has to match in everything,
body included; nothing is written but what `guestlist.testing.scrub` leaves; a file is written only
by a test that passed; and a replay in which something was not asked for is a failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import yaml
from vcr import VCR
from vcr.patch import PATCHER_NAMES
from vcr.persisters.filesystem import CassetteNotFoundError
from vcr.record_mode import RecordMode
from vcr.request import Request
from vcr.serialize import deserialize, serialize

from guestlist.exchange.step import Outgoing
from guestlist.provider import Provider, Response
from guestlist.testing.scrub import Scrubber

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The fast one where PyYAML was built with it. Files are written by the other, always alike."""

MATCH = ("method", "scheme", "host", "port", "path", "query", "body")


class Cassette:
    """One file of recorded exchanges, being recorded or replayed.

    Attributes:
        path: the file.
        source: what is recorded against, told in the file's first line; None for a replay.
    """

    def __init__(
        self,
        path: Path,
        accounts: Iterable[Provider],
        *,
        source: str | None = None,
        people: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self.source = source
        self._scrub = Scrubber(accounts, people)
        self._tape: Any = None
        self._worth_keeping = False

    @contextmanager
    def running(self, *, listening: bool = True) -> Iterator[Cassette]:
        """Records or replays what is sent meanwhile.

        Args:
            listening: whether whatever is sent is meant; otherwise only what is passed to `note`
                and `play`.
        """
        vcr = VCR(
            skip_patchers=() if listening else PATCHER_NAMES,
            record_mode=RecordMode.ALL if self.source else RecordMode.NONE,
            match_on=MATCH,
            decode_compressed_response=True,
            before_record_request=self._request,
            before_record_response=self._response,
            serializer="guestlist",
        )
        vcr.register_serializer("guestlist", _Layout(self.source))
        vcr.register_persister(self)
        with vcr.use_cassette(self.path) as self._tape:
            yield self

    def note(self, outgoing: Outgoing, response: Response) -> None:
        """Records one exchange that went another way than through an HTTP library."""
        self._tape.append(
            _asked(outgoing),
            {
                "status": _status(response.status),
                "headers": {name: [value] for name, value in response.headers.items()},
                "body": {"string": response.content},
            },
        )

    def play(self, outgoing: Outgoing) -> Response | None:
        """The recorded answer to a request, which is used up; None if there is none."""
        request = _asked(outgoing)
        if not self._tape.can_play_response_for(request):
            return None
        told = self._tape.play_response(request)
        headers = {name.lower(): values[0] for name, values in told["headers"].items()}
        return Response(told["status"]["code"], headers, told["body"]["string"])

    def shown(self, text: str) -> str:
        """A text as it would stand in the file: without secrets and people's addresses."""
        return self._scrub.text(text)

    @property
    def began(self) -> datetime | None:
        """When the first recorded answer was given, if it says so."""
        dates = [response["headers"].get("date") for response in self._tape.responses[:1]]
        return parsedate_to_datetime(dates[0][0]) if dates and dates[0] else None

    def finish(self) -> None:
        """Ends a test that went well: what was recorded is kept.

        Raises:
            AssertionError: something in the file was not asked for.
        """
        self._worth_keeping = True
        left = [
            f"{request.method} {request.uri}"
            for place, request in enumerate(self._tape.requests)
            if not self.source and not self._tape.play_counts[place]
        ]
        if left:
            raise AssertionError(
                f"{self.path} holds {len(left)} requests that the test did not send:\n  "
                + "\n  ".join(left)
            )

    # ------------------------------------------------------------------ called by vcrpy

    def load_cassette(self, path: Path, serializer: Any) -> Any:
        """Reads the file; a recording starts from nothing."""
        if self.source:
            raise CassetteNotFoundError
        return deserialize(self.path.read_text("utf-8"), serializer)

    def save_cassette(self, path: Path, cassette_dict: Any, serializer: Any) -> None:
        """Writes the file, unless the test failed."""
        if self._worth_keeping:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(serialize(cassette_dict, serializer), "utf-8")

    def _request(self, request: Any) -> Any:
        """The request as it is written and compared; None for one that is no account's affair."""
        url = self._scrub.url(request.uri)
        if url is None:
            return None
        request.headers = self._scrub.request_headers(request.headers)
        request.uri = url
        if request.body:
            request.body = self._scrub.body(request.body)
        return request

    def _response(self, response: Any) -> Any:
        headers = self._scrub.response_headers(response["headers"])
        body = {"string": self._scrub.body(response["body"]["string"])}
        status = _status(response["status"]["code"])
        return {"status": status, "headers": headers, "body": body}


def _status(code: int) -> dict[str, Any]:
    """Without the phrase, which nobody reads: Python 3.13 has renamed some of them."""
    return {"code": int(code), "message": ""}


def _asked(outgoing: Outgoing) -> Request:
    return Request(outgoing.method, outgoing.url, outgoing.content, dict(outgoing.headers))


class _Layout:
    """YAML that people can read: bodies as blocks of text, fields in the order of an exchange."""

    def __init__(self, source: str | None) -> None:
        self._source = source

    def serialize(self, cassette: Any) -> str:
        text: str = yaml.dump(cassette, Dumper=_Dumper, sort_keys=False, width=1000)
        return f"# Recorded against {self._source}.\n{text}"

    def deserialize(self, text: str) -> Any:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - both are safe loaders


class _Dumper(yaml.SafeDumper):  # type: ignore[misc] # it has no types
    """Writes texts of several lines as blocks."""


def _text(dumper: _Dumper, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
