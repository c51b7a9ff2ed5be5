"""The faults of the matrix, and for each what has to be concluded."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_guestlist.faults import (
    LATE,
    RESET_UNREAD,
    TWICE,
    Door,
    End,
    Fault,
    Forward,
    Plan,
    answering,
    bomb,
    closing,
    cut_in_body,
    cut_in_headers,
    garbage,
    gzipped,
    on,
    unanswered,
    with_body,
)

if TYPE_CHECKING:
    from tests.sockets.matrix import Scene

INVITED = "invited"
FOUND = "invited, found by looking"
NOT = "did not happen"
UNKNOWN = "OutcomeUnknown: not known"
UNAVAILABLE = f"ServiceUnavailable: {NOT}"
REJECTED = f"Rejected: {NOT}"

SHORT = 0.2
"""Seconds of real time after which the client gives up on a service that stalls."""
LARGEST = 1 << 20
"""Octets of an answer that the client reads at most."""


@dataclass(frozen=True)
class Row:
    """One fault, and what follows.

    Attributes:
        name: what happens.
        set_up: puts the fault in place.
        told: what the caller has to be told.
        emails: how many emails the person has in the end.
        foreign: what is told with a transport whose word counts for nothing; None for the same.
        way: which way the client takes: `plain`, `tls` (a certificate that it does not trust) or
            `no tls` (something that speaks no TLS where TLS is expected).
        timeout: of the client, in seconds of real time.
    """

    name: str
    set_up: Callable[[Scene], None]
    told: str
    emails: int = 1
    foreign: str | None = None
    way: str = "plain"
    timeout: float = 10.0

    def told_by(self, *, foreign: bool) -> str:
        """What the caller has to be told."""
        return self.foreign if foreign and self.foreign is not None else self.told


def creating(fault: Fault) -> Callable[[Scene], None]:
    """Befalls the first request that creates the invitation."""

    def set_up(scene: Scene) -> None:
        scene.proxy.plan = on(scene.service.create, fault)

    return set_up


def looking(fault: Fault) -> Callable[[Scene], None]:
    """Befalls the last request before that one."""

    def set_up(scene: Scene) -> None:
        scene.proxy.plan = on(scene.service.last_look, fault)

    return set_up


def before_creating(fault: Fault, door: Door = Door.OPEN) -> Callable[[Scene], None]:
    """Befalls the last request before that one; the client has to connect anew for it."""

    def set_up(scene: Scene) -> None:
        look = on(scene.service.last_look, closing(fault))

        def plan(line: str, number: int) -> Fault | None:
            found = look(line, number)
            if found is not None:
                scene.proxy.door = door
            return found

        scene.proxy.plan = plan

    return set_up


def then(
    set_up: Callable[[Scene], None], seconds: float, action: Callable[[Scene], None]
) -> Callable[[Scene], None]:
    """And at that time, in virtual seconds from the beginning, something else happens."""

    def both(scene: Scene) -> None:
        set_up(scene)
        scene.clock.at(seconds, lambda: action(scene))

    return both


def both(*plans: Plan) -> Plan:
    """What the first plan that has anything to say says."""
    return lambda line, number: next((f for one in plans if (f := one(line, number))), None)


def lost_and_blind(scene: Scene) -> None:
    """The answer is lost, and the first looks are answered 503."""
    busy = answering(503)
    scene.proxy.plan = both(
        on(scene.service.create, unanswered(End.RESET)),
        on(scene.service.first_look, None, *[busy] * 6),
    )


def comes_back(scene: Scene) -> None:
    scene.proxy.start()


def opens(scene: Scene) -> None:
    scene.proxy.door = Door.OPEN


def lands(scene: Scene) -> None:
    scene.proxy.release()


def nothing(scene: Scene) -> None:
    """No fault at all."""


def redirected(
    status: int, befalling: Callable[[Fault], Callable[[Scene], None]] = creating
) -> Callable[[Scene], None]:
    """The service sends the client to another origin, which must not hear from it."""

    def set_up(scene: Scene) -> None:
        there = {"Location": f"{scene.elsewhere.url}/v2/invitation"}
        befalling(answering(status, headers=there))(scene)

    return set_up


def rows() -> Iterator[Row]:
    """All of them."""
    effect, none = Forward.NOW, Forward.NEVER
    dies = Fault(end=End.DIE)
    yield Row("no fault", nothing, INVITED)
    # -------------------------------------------------------------- no connection
    yield Row("refused, back after 1 s", then(before_creating(dies), 1, comes_back), INVITED)
    yield Row("refused for good", before_creating(dies), UNAVAILABLE, 0, foreign=UNKNOWN)
    yield Row(
        "new connections reset, for 1 s",
        then(before_creating(Fault(end=End.FIN), Door.RESET), 1, opens),
        INVITED,
    )
    yield Row("certificate not trusted", nothing, UNAVAILABLE, 0, way="tls")
    yield Row("garbage in place of TLS", nothing, UNAVAILABLE, 0, way="no tls")
    # -------------------------------------------------------------- without effect
    for name, fault in {
        "reset before it was read": RESET_UNREAD,
        "read, then reset": unanswered(End.RESET, none),
        "read, then closed": unanswered(End.FIN, none),
        "read, then half-closed": unanswered(End.HALF, none),
        "read, then garbage": garbage(none),
        **{f"{status}, no effect": answering(status) for status in (408, 500, 502, 503, 504)},
    }.items():
        yield Row(name, creating(fault), INVITED)
    stalls = unanswered(End.STALL, none)
    yield Row("read, then silence", creating(stalls), INVITED, timeout=SHORT)
    dies = unanswered(End.DIE, none)
    yield Row("died, back after 5 s", then(creating(dies), 5, comes_back), INVITED)
    limited = answering(429, headers={"Retry-After": "2"})
    yield Row("429, Retry-After 2", creating(limited), INVITED)
    yield Row("301 to another origin", redirected(301), REJECTED, 0)
    yield Row("302 to another origin", redirected(302), INVITED)
    yield Row("307 to another origin", redirected(307), REJECTED, 0)
    yield Row("look: 307 to another origin", redirected(307, looking), REJECTED, 0)
    # -------------------------------------------------------------- with effect, answer lost
    for name, fault in {
        "effect, then reset": unanswered(End.RESET),
        "effect, then closed": unanswered(End.FIN),
        "effect, then half-closed": unanswered(End.HALF),
        "effect, then garbage": garbage(),
        "headers cut, reset": cut_in_headers(End.RESET),
        "headers cut, closed": cut_in_headers(End.FIN),
        "body cut, reset": cut_in_body(End.RESET),
        "body cut, closed": cut_in_body(End.FIN),
        **{
            f"{status}, with effect": answering(status, forward=effect)
            for status in (408, 500, 502, 503, 504)
        },
    }.items():
        yield Row(name, creating(fault), FOUND)
    for name, fault in {
        "effect, then silence": unanswered(End.STALL),
        "headers cut, then silence": cut_in_headers(End.STALL),
        "body cut, then silence": cut_in_body(End.STALL),
    }.items():
        yield Row(name, creating(fault), FOUND, timeout=SHORT)
    yield Row("late effect, after 12 s", then(creating(LATE), 12, lands), FOUND, timeout=SHORT)
    yield Row("answer lost, 6 looks fail", lost_and_blind, FOUND)
    dies = unanswered(End.DIE)
    yield Row("effect, died, back after 5 s", then(creating(dies), 5, comes_back), FOUND)
    yield Row("effect, died for good", creating(dies), UNKNOWN)
    # -------------------------------------------------------------- 2xx with effect, no use
    for name, fault in {
        "2xx, empty": with_body(lambda _: b""),
        "2xx, HTML": with_body(lambda _: b"<html>Created</html>", {"Content-Type": "text/html"}),
        "2xx, JSON cut off": with_body(lambda body: body[: len(body) // 2]),
        "2xx, gzip in gzip": gzipped(lambda body: gzip.compress(gzip.compress(body))),
        "2xx, gzip cut off": gzipped(lambda body: gzip.compress(body)[:-12]),
        "2xx, gzip bomb": bomb(16 * LARGEST),
        "2xx, huge": with_body(lambda body: body + b" " * LARGEST),
    }.items():
        yield Row(name, creating(fault), FOUND)
    # -------------------------------------------------------------- strange, and answered
    for name, fault in {
        "delayed": Fault(delay=0.02),
        "byte by byte": Fault(drip=0.0),
        "compressed": gzipped(),
        "answered twice": TWICE,
        "answered twice, then closed": replace(TWICE, end=End.FIN),
    }.items():
        yield Row(name, creating(fault), INVITED)
    yield Row("look answered twice", looking(TWICE), INVITED)


ROWS = {row.name: row for row in rows()}
