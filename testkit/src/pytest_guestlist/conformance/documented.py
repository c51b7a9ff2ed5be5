"""Rules about the answers that a service's documentation shows."""

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
from guestlist.models import Invitation, Member, NewInvitation, Role, State
from guestlist.provider import Page, Provider, Response
from pytest_guestlist.accounts import stand_in
from pytest_guestlist.clock import VirtualClock
from pytest_guestlist.conformance.base import Rules
from pytest_guestlist.conformance.clients import PATIENT, keep_token, spy_on
from pytest_guestlist.conformance.remark import place, remark
from pytest_guestlist.conformance.setting import START
from pytest_guestlist.conformance.wires import Reciting


@dataclass(frozen=True)
class Shown:
    """An answer that the documentation of a service shows, and what it means.

        Shown("get_invitation", {"id": "7", "mail": "a@b.example"}, {"id": "7", "state": "unknown"})
        Shown("invite", {"code": "seats_taken"}, Conflict, status=400, says="seat")

    Attributes:
        operation: the name of the operation that reads the answer.
        answers: the JSON body of the answer; with `several`, a list of bodies.
        means: the expected fields of the returned value, by name; a list of them for a list or a
            page; or the class of the expected error. A role is written as its id, a date in ISO
            8601.
        status: the HTTP status of the last answer.
        says: a text that the error or its hint must contain.
        several: whether `answers` is a list of bodies, for an operation that sends several
            requests. The last one is repeated.
        sends: texts that a request must contain in its method and URL, body or headers.
        arguments: the arguments of the operation; by default an invented person.
        settings: settings of the account besides the invented ones; None omits a setting.
        headers: headers of every answer, such as `Retry-After`; or a list with the headers of each
            answer.
    """

    operation: str
    answers: Any
    means: Any
    status: int = 200
    says: str = ""
    several: bool = False
    sends: Sequence[str] = ()
    arguments: tuple[Any, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] | Sequence[Mapping[str, str]] = field(default_factory=dict)

    def replies(self) -> list[Response]:
        """The answers as they come."""
        bodies = self.answers if self.several else [self.answers]
        statuses = [200] * (len(bodies) - 1) + [self.status]
        told = self.headers
        headers = [told] * len(bodies) if isinstance(told, Mapping) else told
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


def made_up(kind: type[Provider], operation: str) -> tuple[Any, ...]:
    """Arguments for an operation of the contract."""
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


class Documented(Rules):
    """What the documentation shows.

    Attributes:
        documented: the answers that the documentation shows, and what they mean: paste them here.
    """

    documented: ClassVar[Sequence[Shown]] = ()

    @classmethod
    def choices(cls) -> dict[str, Sequence[Any]]:
        numbered = enumerate(cls.documented, 1)
        shown = [pytest.param(one, id=f"{one.operation}-{number}") for number, one in numbered]
        return {**super().choices(), "shown": shown}

    def test_documented_answer_is_read(self, provider_kind: type[Provider], shown: Shown) -> None:
        """An answer that the documentation shows is read as what it means.

        Likely cause: The code was written for another variant of the answer; or the sample or its
        meaning is wrong.
        """
        wire = Reciting(*shown.replies())
        given = shown.arguments
        if given is None:
            given = made_up(provider_kind, shown.operation)
        settings = {**dict(stand_in(provider_kind)), **shown.settings}
        clock = VirtualClock(START)
        came: Any
        try:
            provider = provider_kind(**{k: v for k, v in settings.items() if v is not None})
            spy = spy_on(provider, clock)
            keep_token(spy)
            call = Call(spy, PATIENT, fetches_token=shown.operation == "fetch_token")
            came = Driver(wire, clock).run(run(call, getattr(provider, shown.operation)(*given)))
        except GuestlistError as error:
            came = error
        sent = [
            f"{one.method} {one.url} {(one.content or b'').decode()} {dict(one.headers)}"
            for one in wire.sent
        ]
        wrong = list(_differences(came, shown.means))
        if isinstance(came, GuestlistError) and shown.says not in f"{came} {came.hint}":
            wrong.append(f"an error that says {shown.says!r}")
        wrong += [f"{part!r} is sent" for part in shown.sends if not any(part in o for o in sent)]
        if wrong:
            remark(
                expected="; ".join(wrong),
                came=f"{came!r}, after {'; '.join(sent) or 'no request'}",
                look_at=place(provider_kind, shown.operation),
            )


def _differences(came: Any, means: Any, where: str = "") -> Iterator[str]:
    """What should have come and did not."""
    if isinstance(means, type):
        if not isinstance(came, means):
            yield means.__name__
    elif isinstance(means, Mapping):
        for name, wanted in means.items():
            one = getattr(came, name, "nothing of that name")
            yield from _differences(one, wanted, f"{where} {name}")
    elif isinstance(means, list | tuple):
        items = came.items if isinstance(came, Page) else came
        if not isinstance(items, list | tuple) or len(items) != len(means):
            yield f"{where or 'a list'} of {len(means)}"
            return
        for number, (one, wanted) in enumerate(zip(items, means, strict=True)):
            yield from _differences(one, wanted, f"{where}[{number}]")
    elif _plain(came) != means:
        yield f"{where.strip() or 'the value'} is {means!r}, not {_plain(came)!r}"


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Role):
        return value.id
    return value.isoformat() if isinstance(value, datetime) else value
