"""What a `FaultProxy` can do to a request: the faults by name, and the parts they are made of."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from pytest_guestlist.framing import answer_of, split


class Forward(Enum):
    """Whether, and when, the service gets the request."""

    NOW = auto()
    """At once, so that it has acted before anything goes wrong."""
    NEVER = auto()
    LATE = auto()
    """Only after the client has given up, once the test calls `FaultProxy.release`."""


class End(Enum):
    """What becomes of the connection afterwards."""

    KEEP = auto()
    """It stays open for the next request."""
    FIN = auto()
    """It is closed in an orderly way."""
    RESET = auto()
    """It is reset (RST)."""
    HALF = auto()
    """The proxy says that it will send no more, and goes on reading until the client leaves."""
    STALL = auto()
    """It stays open, nothing more comes, and the client has to give up."""
    DIE = auto()
    """It is closed as when a process is killed: so are all others, and nobody listens any more
    until `FaultProxy.start`."""


class Door(Enum):
    """What happens to new connections."""

    OPEN = auto()
    RESET = auto()
    """They are accepted and reset."""
    SILENT = auto()
    """They are accepted, and nothing is ever said."""
    GARBAGE = auto()
    """Their first bytes are answered with bytes that are neither HTTP nor TLS."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request. The default is that nothing does.

    Attributes:
        forward: whether, and when, the service gets the request.
        reshape: makes what the client gets from the answer of the service; of an empty one where
            the service was not asked.
        head_only: the rest of the request is not read once its first line is there.
        delay: seconds before the answer begins.
        drip: seconds after every single byte of the answer.
        end: what becomes of the connection.
    """

    forward: Forward = Forward.NOW
    reshape: Callable[[bytes], bytes] | None = None
    head_only: bool = False
    delay: float = 0.0
    drip: float | None = None
    end: End = End.KEEP


# ---------------------------------------------------------------------------- nothing is answered


RESET_UNREAD = Fault(Forward.NEVER, head_only=True, end=End.RESET)
"""Reset before the request is read."""


def unanswered(end: End, forward: Forward = Forward.NOW) -> Fault:
    """No byte of an answer comes, and the connection ends so."""
    return Fault(forward, lambda _: b"", end=end)


LATE = unanswered(End.STALL, Forward.LATE)
"""The request takes effect only after the client has given up: at `FaultProxy.release`."""


# ---------------------------------------------------------------------------- answers that are cut


def cut_in_headers(end: End) -> Fault:
    """Half of the status line and headers come."""
    return Fault(reshape=lambda answer: answer[: answer.index(b"\r\n\r\n") // 2], end=end)


def cut_in_body(end: End) -> Fault:
    """The headers and half of the body come."""

    def cut(answer: bytes) -> bytes:
        head, body = split(answer)
        return head + body[: len(body) // 2]

    return Fault(reshape=cut, end=end)


# ---------------------------------------------------------------------------- other answers


TWICE = Fault(reshape=lambda answer: answer * 2)
"""The answer comes twice."""


def garbage(forward: Forward = Forward.NOW) -> Fault:
    """Bytes that are not HTTP come."""
    return Fault(forward, lambda _: b"\x00\xff\x16SSH-2.0-nothing you know\r\n\r\n", end=End.FIN)


def answering(
    status: int,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    forward: Forward = Forward.NEVER,
    end: End = End.KEEP,
) -> Fault:
    """Another answer comes in place of the service's."""
    content = answer_of(status, body, headers or {})
    return Fault(forward, lambda _: content, end=end)


def with_body(change: Callable[[bytes], bytes], headers: Mapping[str, str] | None = None) -> Fault:
    """The service acts and its status comes, with a body made from its own."""

    def reshape(answer: bytes) -> bytes:
        head, body = split(answer)
        kept = {"Content-Type": "application/json", **(headers or {})}
        return answer_of(int(head.split(b" ", 2)[1]), change(body), kept)

    return Fault(reshape=reshape)


def gzipped(change: Callable[[bytes], bytes] = gzip.compress) -> Fault:
    """The service acts, and its answer comes compressed; `change` compresses."""
    return with_body(change, {"Content-Encoding": "gzip"})


def bomb(size: int) -> Fault:
    """The service acts, and the answer is small until it is decompressed: then it has `size`
    octets."""
    packed = gzip.compress(b"[" + b" " * size)
    return gzipped(lambda _: packed)


# ---------------------------------------------------------------------------- whom they befall


Plan = Callable[[str, int], Fault | None]
"""Decides by the request line (`POST /v2/invitation HTTP/1.1`) and the number of the request,
counted from 1. None lets the request pass."""


def scripted(faults: Iterable[Fault | None]) -> Plan:
    """The next requests meet these faults, in that order; those after them pass."""
    following = iter(tuple(faults))

    def plan(*_: object) -> Fault | None:
        return next(following, None)

    return plan


def on(pattern: str, *faults: Fault | None) -> Plan:
    """The requests whose line begins like the regular expression meet these faults in turn."""
    script = scripted(faults)
    return lambda line, number: script(line, number) if re.match(pattern, line) else None


def closing(fault: Fault) -> Fault:
    """The same, and the answer tells the client not to use the connection again."""
    before = fault.reshape

    def reshape(answer: bytes) -> bytes:
        answer = before(answer) if before else answer
        return answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)

    return replace(fault, reshape=reshape)
