"""The faults that a `FaultProxy` can cause, and the parts that they are made of."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from pytest_guestlist.framing import answer_of, split_message


class Forward(Enum):
    """Whether and when the service gets the request."""

    NOW = auto()
    """At once, so that the service has acted before the fault."""
    NEVER = auto()
    LATE = auto()
    """Only after the client has given up, once the test calls `FaultProxy.release`."""


class End(Enum):
    """The fate of the connection after the fault."""

    KEEP = auto()
    """It stays open for the next request."""
    FIN = auto()
    """It is closed normally (FIN)."""
    RESET = auto()
    """It is reset (RST)."""
    HALF = auto()
    """The proxy closes its sending side, and reads until the client closes the connection."""
    STALL = auto()
    """It stays open without further bytes, so the client has to time out."""
    DIE = auto()
    """All connections are closed as if the process was killed. New ones are refused until
    `FaultProxy.start`."""


class Door(Enum):
    """The treatment of new connections."""

    OPEN = auto()
    RESET = auto()
    """They are accepted and reset."""
    SILENT = auto()
    """They are accepted, and no byte is ever sent."""
    GARBAGE = auto()
    """Their first bytes are answered with bytes that are neither HTTP nor TLS."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request. By default nothing does.

    Attributes:
        forward: whether and when the service gets the request.
        reshape: returns the bytes for the client, made from the service's answer. The answer is
            empty if the service did not get the request.
        head_only: whether only the first line of the request is read.
        delay: seconds before the answer begins.
        drip: seconds after every single byte of the answer.
        end: what happens to the connection.
    """

    forward: Forward = Forward.NOW
    reshape: Callable[[bytes], bytes] | None = None
    head_only: bool = False
    delay: float = 0.0
    drip: float | None = None
    end: End = End.KEEP


# ---------------------------------------------------------------------------- no answer


RESET_UNREAD = Fault(Forward.NEVER, head_only=True, end=End.RESET)
"""Reset before the request is read."""


def unanswered(end: End, forward: Forward = Forward.NOW) -> Fault:
    """Returns a fault without any answer, after which the connection ends in this way."""
    return Fault(forward, lambda _: b"", end=end)


LATE = unanswered(End.STALL, Forward.LATE)
"""The request takes effect only after the client has given up: at `FaultProxy.release`."""


# ---------------------------------------------------------------------------- answers that are cut


def cut_in_headers(end: End) -> Fault:
    """Returns a fault that sends only half of the status line and headers."""
    return Fault(reshape=lambda answer: answer[: answer.index(b"\r\n\r\n") // 2], end=end)


def cut_in_body(end: End) -> Fault:
    """Returns a fault that sends the headers and half of the body."""

    def cut(answer: bytes) -> bytes:
        head, body = split_message(answer)
        return head + body[: len(body) // 2]

    return Fault(reshape=cut, end=end)


# ---------------------------------------------------------------------------- other answers


TWICE = Fault(reshape=lambda answer: answer * 2)
"""Sends the answer twice."""


def garbage(forward: Forward = Forward.NOW) -> Fault:
    """Returns a fault that sends bytes that are not HTTP."""
    return Fault(forward, lambda _: b"\x00\xff\x16SSH-2.0-nothing you know\r\n\r\n", end=End.FIN)


def answering(
    status: int,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    forward: Forward = Forward.NEVER,
    end: End = End.KEEP,
) -> Fault:
    """Returns a fault that replaces the answer of the service."""
    content = answer_of(status, body, headers or {})
    return Fault(forward, lambda _: content, end=end)


def with_body(change: Callable[[bytes], bytes], headers: Mapping[str, str] | None = None) -> Fault:
    """Returns a fault that keeps the status of the service's answer and changes its body."""

    def reshape(answer: bytes) -> bytes:
        head, body = split_message(answer)
        kept = {"Content-Type": "application/json", **(headers or {})}
        return answer_of(int(head.split(b" ", 2)[1]), change(body), kept)

    return Fault(reshape=reshape)


def gzipped(change: Callable[[bytes], bytes] = gzip.compress) -> Fault:
    """Returns a fault that compresses the answer of the service. `change` compresses."""
    return with_body(change, {"Content-Encoding": "gzip"})


def bomb(size: int) -> Fault:
    """Returns a fault that sends a small body which has `size` bytes after decompression."""
    packed = gzip.compress(b"[" + b" " * size)
    return gzipped(lambda _: packed)


# ---------------------------------------------------------------------------- which requests


Plan = Callable[[str, int], Fault | None]
"""Returns the fault for a request, given its request line (`POST /v2/invitation HTTP/1.1`) and its
number, from 1. None forwards the request unchanged."""


def scripted(faults: Iterable[Fault | None]) -> Plan:
    """Returns a plan that gives these faults to the next requests, in order. Later requests
    pass."""
    following = iter(tuple(faults))

    def plan(*_: object) -> Fault | None:
        return next(following, None)

    return plan


def on(pattern: str, *faults: Fault | None) -> Plan:
    """Returns a plan that gives these faults, in order, to requests whose line matches a regular
    expression at its start."""
    script = scripted(faults)
    return lambda line, number: script(line, number) if re.match(pattern, line) else None


def closing(fault: Fault) -> Fault:
    """Returns the fault with an additional `Connection: close` header in its answer."""
    before = fault.reshape

    def reshape(answer: bytes) -> bytes:
        answer = before(answer) if before else answer
        return answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)

    return replace(fault, reshape=reshape)
