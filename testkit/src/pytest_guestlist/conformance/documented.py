"""Rules about the example answers in a service's documentation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr

from guestlist.errors import GuestlistError
from guestlist.exchange.account import Call
from guestlist.exchange.drive import Driver
from guestlist.exchange.policy import run
from guestlist.exchange.step import Outgoing
from guestlist.models import Invitation, Member, NewInvitation, Role, State
from guestlist.provider import Page, Provider, Request, Response
from pytest_guestlist.accounts import stand_in
from pytest_guestlist.clock import VirtualClock
from pytest_guestlist.conformance.backend import START
from pytest_guestlist.conformance.base import ProviderRules
from pytest_guestlist.conformance.clients import PATIENT, keep_token, spy_on
from pytest_guestlist.conformance.finding import location_of, report_finding
from pytest_guestlist.conformance.wires import ScriptedWire


@dataclass(frozen=True)
class Example:
    """An answer that the documentation of a service shows, and what it means.

        Example("get_invitation", {"id": "7", "to": "a@b.example"}, {"state": "unknown"})
        Example("invite", {"code": "seats_taken"}, Conflict, status=400, error_contains="seat")

    Attributes:
        operation: the name of the operation that reads the answer.
        answers: the JSON body of the answer; with `several`, a list of bodies.
        means: the expected fields of the returned value, by name; a list of them for a list or a
            page; or the class of the expected error. A role is written as its id, a date in ISO
            8601.
        status: the HTTP status of the last answer.
        error_contains: a text that the error or its hint must contain.
        several: whether `answers` is a list of bodies, for an operation that sends several
            requests. The last one is repeated.
        sends: texts that a request must contain in its effect, method and URL, body or headers:
            `create POST https://`, for example.
        arguments: the arguments of the operation; by default an invented person.
        settings: settings of the account besides the invented ones; None omits a setting.
        headers: headers of every answer, such as `Retry-After`; or a list with the headers of each
            answer.
    """

    operation: str
    answers: Any
    means: Any
    status: int = 200
    error_contains: str = ""
    several: bool = False
    sends: Sequence[str] = ()
    arguments: tuple[Any, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] | Sequence[Mapping[str, str]] = field(default_factory=dict)

    def replies(self) -> list[Response]:
        """Returns the answers in their order."""
        bodies = self.answers if self.several else [self.answers]
        statuses = [200] * (len(bodies) - 1) + [self.status]
        given = self.headers
        headers = [given] * len(bodies) if isinstance(given, Mapping) else given
        return [
            Response(
                status,
                {"content-type": "application/json", **{n.lower(): v for n, v in more.items()}},
                json.dumps(body).encode(),
            )
            for status, more, body in zip(statuses, headers, bodies, strict=True)
        ]


INVITATION = Invitation(id="i-1", email="ada@example.com", state=State.PENDING, user_id="u-1")
MEMBER = Member(id="m-1", email="ada@example.com", user_id="u-1")
ROLE = Role(id="r-1")


def invented_arguments(kind: type[Provider], operation: str) -> tuple[Any, ...]:
    """Returns arguments for an operation of the contract, about an invented person."""
    roles = (ROLE,) if kind.least_roles else ()
    known: dict[str, tuple[Any, ...]] = {
        "invite": (NewInvitation(email="ada@example.com", roles=roles),),
        "resend": (INVITATION,),
        "revoke": (INVITATION,),
        "change_invitation": (INVITATION, (ROLE,)),
        "remove": (MEMBER,),
        "access": (MEMBER,),
        "assign_role": (MEMBER, ROLE),
        "unassign_role": (MEMBER, ROLE),
        "find_invitation": (INVITATION.email,),
        "find_member": (MEMBER.email,),
        "get_invitation": ("i-1",),
        "get_member": ("m-1",),
    }
    return known.get(operation, ())


class DocumentedRules(ProviderRules):
    """The answers in the documentation.

    Attributes:
        documented: the answers that the documentation shows, and what they mean: paste them here.
    """

    documented: ClassVar[Sequence[Example]] = ()

    @classmethod
    def choices(cls) -> dict[str, Sequence[Any]]:
        numbered = enumerate(cls.documented, 1)
        example = [pytest.param(one, id=f"{one.operation}-{number}") for number, one in numbered]
        return {**super().choices(), "example": example}

    def test_documented_answer_is_read(
        self, provider_kind: type[Provider], example: Example
    ) -> None:
        """An answer that the documentation shows is read as what it means.

        Likely cause: The code was written for another variant of the answer; or the sample or its
        meaning is wrong.
        """
        wire = ScriptedWire(*example.replies())
        given = example.arguments
        if given is None:
            given = invented_arguments(provider_kind, example.operation)
        settings = {**dict(stand_in(provider_kind)), **example.settings}
        clock = VirtualClock(START)
        requests: list[tuple[Request, Outgoing]] = []
        got: Any
        try:
            provider = provider_kind(**{k: v for k, v in settings.items() if v is not None})
            spy = spy_on(provider, clock)
            requests = spy.requests
            keep_token(spy)
            call = Call(spy, PATIENT, fetches_token=example.operation == "fetch_token")
            got = Driver(wire, clock).run(run(call, getattr(provider, example.operation)(*given)))
        except GuestlistError as error:
            got = error
        sent = [
            f"{request.effect} {one.method} {one.url} {(one.content or b'').decode()}"
            f" {dict(one.headers)}"
            for request, one in requests
        ]
        wrong = list(_differences(got, example.means))
        if isinstance(got, GuestlistError) and example.error_contains not in f"{got} {got.hint}":
            wrong.append(f"an error that contains {example.error_contains!r}")
        wrong += [f"{part!r} is sent" for part in example.sends if not any(part in o for o in sent)]
        if wrong:
            report_finding(
                expected="; ".join(wrong),
                got=f"{got!r}, after {'; '.join(sent) or 'no request'}",
                look_at=location_of(provider_kind, example.operation),
            )


def _differences(got: Any, means: Any, where: str = "") -> Iterator[str]:
    """Yields the differences between the expected and the returned value."""
    if isinstance(means, type):
        if not isinstance(got, means):
            yield means.__name__
    elif isinstance(means, Mapping):
        for name, wanted in means.items():
            one = getattr(got, name, "nothing of that name")
            yield from _differences(one, wanted, f"{where} {name}")
    elif isinstance(means, list | tuple):
        items = got.items if isinstance(got, Page) else got
        if not isinstance(items, list | tuple) or len(items) != len(means):
            yield f"{where or 'a list'} of {len(means)}"
            return
        for number, (one, wanted) in enumerate(zip(items, means, strict=True)):
            yield from _differences(one, wanted, f"{where}[{number}]")
    elif _plain(got) != means:
        yield f"{where.strip() or 'the value'} is {means!r}, not {_plain(got)!r}"


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Role):
        return value.id
    return value.isoformat() if isinstance(value, datetime) else value
