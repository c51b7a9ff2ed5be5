"""Wires between the exchange and a service that record, alter or invent answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sized
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from guestlist.exchange.drive import Wire
from guestlist.exchange.step import Outgoing, SendFailure
from guestlist.provider import Response
from pytest_guestlist.conformance.finding import note_exchange

Answer = Response | SendFailure
Mutation = Callable[[Response], Answer]
"""Returns another answer in place of a real one."""

MAX_REQUESTS = 1000
"""The number of requests after which a call counts as endless."""


class EndlessCall(Exception):
    """A call sends too many requests, and probably never ends."""


class UnrecordedRequest(Exception):
    """A call sends a request that was not recorded, so there is no answer to it."""


def _check_count(sent: Sized, outgoing: Outgoing) -> None:
    """Raises EndlessCall if a call has sent too many requests before this one."""
    if len(sent) >= MAX_REQUESTS:
        raise EndlessCall(f"{MAX_REQUESTS} requests, the last one {outgoing.method} {outgoing.url}")


@dataclass
class RecordingWire:
    """Sends requests and records them. `before` may alter a request, `after` an answer."""

    wire: Wire
    before: Callable[[Outgoing], Outgoing] | None = None
    after: Callable[[Outgoing, Answer], Answer] | None = None

    def __post_init__(self) -> None:
        self.exchanges: list[tuple[Outgoing, Answer]] = []

    def send(self, outgoing: Outgoing) -> Answer:
        """Sends a request and returns the answer."""
        _check_count(self.exchanges, outgoing)
        sent = self.before(outgoing) if self.before else outgoing
        answer = self.wire.send(sent)
        if self.after:
            answer = self.after(outgoing, answer)
        self.exchanges.append((outgoing, answer))
        note_exchange(sent, answer)
        return answer

    def close(self) -> None:
        """Closes the inner wire."""
        close_wire(self.wire)


class LosingWire:
    """Loses the first request that changes something before it reaches the service.

    Args:
        wire: sends all other requests.
        reads: returns whether the current request only reads.
        meanwhile: what happens at the service before the request is repeated.
    """

    def __init__(
        self, wire: Wire, reads: Callable[[], bool], meanwhile: Callable[[], object]
    ) -> None:
        self._wire = wire
        self._reads = reads
        self._meanwhile = meanwhile
        self.lost = False

    def send(self, outgoing: Outgoing) -> Answer:
        """Returns the service's answer, or none for the request that is lost."""
        if self.lost or self._reads():
            return self._wire.send(outgoing)
        self.lost = True
        lost = SendFailure("no answer in time")
        note_exchange(outgoing, lost)
        self._meanwhile()
        return lost


def close_wire(wire: Wire) -> None:
    """Closes a wire if it has a method `close`."""
    close = getattr(wire, "close", None)
    if close is not None:
        close()


class ReplayWire:
    """Answers from a recorded run, with a mutation of one of its answers.

    Args:
        played: the requests of the run, with their answers.
        nth: the index of the request whose answer is altered.
        mutation: returns the altered answer.
        times: how often to alter it. After that, a retried request gets the real answer.
    """

    def __init__(
        self,
        played: list[tuple[Outgoing, Response]],
        nth: int = 0,
        mutation: Mutation | None = None,
        times: int = MAX_REQUESTS,
    ) -> None:
        self._played = played
        self._nth = nth
        self._trick = mutation
        self._times = times
        self.sent: list[Outgoing] = []

    def send(self, outgoing: Outgoing) -> Answer:
        """Returns the recorded answer to the same request, or the altered one."""
        _check_count(self.sent, outgoing)
        self.sent.append(outgoing)
        asked = request_key(outgoing)
        matching = [n for n, (one, _) in enumerate(self._played) if request_key(one) == asked]
        if not matching and outgoing.method == "PUT":  # it may write an altered record back
            played = enumerate(self._played)
            matching = [n for n, (one, _) in played if request_key(one)[:2] == asked[:2]]
        if not matching:
            raise UnrecordedRequest(f"{outgoing.method} {outgoing.url}")
        answer: Answer
        if self._trick and self._times > 0 and self._nth in matching:
            self._times -= 1
            answer = self._trick(self._played[self._nth][1])
        else:
            answer = self._played[matching[0]][1]
        note_exchange(outgoing, answer)
        return answer


def request_key(outgoing: Outgoing) -> tuple[str, str, bytes | None]:
    """Returns the parts by which requests are compared."""
    return outgoing.method, outgoing.url, outgoing.content


class ScriptedWire:
    """Gives these answers in order to any request, and then repeats the last one."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = answers
        self.sent: list[Outgoing] = []

    def send(self, outgoing: Outgoing) -> Answer:
        """Returns the next answer."""
        _check_count(self.sent, outgoing)
        self.sent.append(outgoing)
        answer = self._answers[min(len(self.sent), len(self._answers)) - 1]
        note_exchange(outgoing, answer)
        return answer


class RefusingWire:
    """Sends reading requests to the service, and answers 403 to requests that change something.

    Args:
        wire: the wire to the service.
        reads: returns whether the current request only reads.
        passes: the number of changing requests that are sent to the service before that.
    """

    def __init__(self, wire: Wire, reads: Callable[[], bool], *, passes: int = 0) -> None:
        self._wire = wire
        self._reads = reads
        self._passes = passes
        self.refused: list[Outgoing] = []

    def send(self, outgoing: Outgoing) -> Answer:
        """Returns the service's answer, or 403."""
        if self._reads():
            return self._wire.send(outgoing)
        if self._passes:
            self._passes -= 1
            return self._wire.send(outgoing)
        self.refused.append(outgoing)
        answer = Response(403)
        note_exchange(outgoing, answer)
        return answer


class AsyncWireAdapter:
    """An async wire for async clients that sends through a sync one."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def send(self, outgoing: Outgoing) -> Answer:
        """Sends a request and returns the answer."""
        return self._wire.send(outgoing)

    async def close(self) -> None:
        """Does nothing, because the sync wire is closed by its owner."""


# ---------------------------------------------------------------------------- page sizes


def page_size(outgoing: Outgoing) -> int | None:
    """Returns the page size that a request asks for: the largest number among its parameters."""
    numbers = [number for number in _numbers(outgoing).values() if number > 1]
    return max(numbers, default=None)


def with_page_size(outgoing: Outgoing, size: int) -> Outgoing:
    """Returns the request with another page size."""
    numbers = _numbers(outgoing)
    asked = page_size(outgoing)
    names = {name for name, number in numbers.items() if number == asked}
    if asked is None:
        return outgoing
    parts = urlsplit(outgoing.url)
    query = [
        (name, str(size) if name in names else value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    body = _body(outgoing)
    changed = {name: size if name in names else value for name, value in body.items()}
    content = json.dumps(changed).encode() if body else outgoing.content
    url = urlunsplit(parts._replace(query=urlencode(query)))
    return replace(outgoing, url=url, content=content)


def filters(outgoing: Outgoing) -> frozenset[tuple[str, str]]:
    """Returns the parameters of a list without page size and cursor."""
    parameters = {**dict(parse_qsl(urlsplit(outgoing.url).query)), **_body(outgoing)}
    size = page_size(outgoing)
    return frozenset(
        (name, str(value))
        for name, value in parameters.items()
        if str(value) != str(size) and not _CURSOR.search(name)
    )


_CURSOR = re.compile(r"(?i)skip|offset|start|page|after|before|first|cursor|continu|next")
"""Names of parameters for the start of a page."""


def _numbers(outgoing: Outgoing) -> dict[str, int]:
    query = dict(parse_qsl(urlsplit(outgoing.url).query))
    numbers = {name: int(value) for name, value in query.items() if value.isdecimal()}
    body = {
        name: value
        for name, value in _body(outgoing).items()
        if isinstance(value, int) and not isinstance(value, bool)
    }
    return {
        name: number
        for name, number in {**numbers, **body}.items()
        if not _CURSOR.search(name) or _SIZE.search(name)
    }


_SIZE = re.compile(r"(?i)size|limit|per_?page|count|take|max")
"""Names of parameters for the page size. They take precedence over `_CURSOR`."""


def _body(outgoing: Outgoing) -> dict[str, Any]:
    if not outgoing.content:
        return {}
    body = json.loads(outgoing.content)
    return body if isinstance(body, dict) else {}
