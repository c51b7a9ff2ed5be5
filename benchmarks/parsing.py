"""One page of 500 records, parsed and normalized."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import cycle
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

from benchmarks.aitronos import ORGANIZATION
from benchmarks.aitronos import provider as aitronos
from benchmarks.measure import Block, in_turns
from benchmarks.report import Chart, Report, Table, Target
from guestlist.provider import Page, Response
from guestlist_vultr import Vultr

SIZE, PAGES, ROUNDS = 500, 4, 21
DIFFERENT = 40
"""So many pages take turns, with more different texts than a parser's cache remembers."""

TEXT = f"""
Measures how long it takes to parse one page of {SIZE} records, from the bytes that the service
sends to objects. {DIFFERENT} pages with different people take turns. guestlist also keeps the
service's own record in `raw`, translates states and dates, and accepts records with fewer or more
fields than documented. `validate_json` does none of that. Aitronos has no list of invitations, so
the comparison with its SDK's parser uses a page of members.
"""


class _Permissions(BaseModel):
    api_enabled: bool


class _Invite(BaseModel):
    id: str
    org_id: str
    org_name: str
    inviter_name: str
    inviter_email: str
    email_invited: str
    email_registered: str
    permissions: _Permissions
    status: Literal["Pending", "Accepted"]
    date_created: datetime
    expiration_date: datetime
    date_responded: str


class _Invites(BaseModel):
    invites: list[_Invite]


def invite(number: int) -> dict[str, Any]:
    """A record of Vultr's list of invitations, as govultr describes it."""
    return {
        "id": f"cb676a46-66fd-4dfb-b839-{number:012d}",
        "org_id": "f1d5ab0c-1a2b-4dfb-b839-443f2e6c0b60",
        "org_name": "Example Works",
        "inviter_name": "Olga Owner",
        "inviter_email": "olga.owner@works.example",
        "email_invited": f"guest.{number:07d}@example.com",
        "email_registered": "",
        "permissions": {"api_enabled": False},
        "status": "Pending",
        "date_created": "2026-11-20T09:00:00+00:00",
        "expiration_date": "2099-11-23T09:00:00+00:00",
        "date_responded": "",
    }


def _member(number: int) -> dict[str, Any]:
    return {
        "id": f"orgusr_{number:032x}",
        "user_id": f"usr_{number:032x}",
        "email": f"member.{number:07d}@example.com",
        "full_name": f"Member {number}",
        "username": f"member{number}",
        "role": {"id": "role_eb1167b367a9c378", "name": "Member", "is_system_role": True},
        "status": {"id": "st_04a9", "name": "Active", "selectable_in_ui": True},
        "organization_id": ORGANIZATION,
        "joined_at": "2026-11-01T09:00:00Z",
        "created_at": "2026-11-01T09:00:00Z",
        "last_modified_at": "2026-11-01T09:00:00Z",
    }


def read(flow: Any, content: bytes) -> Page[Any]:
    """Runs an operation that asks once."""
    next(flow)
    try:
        flow.send(Response(200, {"content-type": "application/json"}, content))
    except StopIteration as done:
        page: Page[Any] = done.value
        return page
    raise AssertionError("a second request")


def invitation_readers() -> dict[str, Callable[[], object]]:
    """How a page of invitations is read."""
    vultr = Vultr(api_key="made-up", organization_id=None)
    meta = {"total": SIZE, "links": {"next": "", "prev": ""}}
    pages = _pages(lambda numbers: {"invites": [invite(n) for n in numbers], "meta": meta})
    adapter = TypeAdapter(_Invites)
    return {
        "guestlist": lambda: read(vultr.invitations(), next(pages)),
        "pydantic": lambda: adapter.validate_json(next(pages)),
        "json": lambda: json.loads(next(pages)),
    }


def _pages(body: Callable[[range], dict[str, Any]]) -> Iterator[bytes]:
    """The pages of a list, from its first one again after the last."""
    return cycle(
        [json.dumps(body(range(n * SIZE, (n + 1) * SIZE))).encode() for n in range(DIFFERENT)]
    )


def _member_readers() -> dict[str, Callable[[], object]]:
    from aitronos.core.pydantic_utilities import parse_obj_as
    from aitronos.types.member_list_response import MemberListResponse

    about = {"total_users_count": SIZE, "skip": 0, "take": SIZE}
    pages = _pages(lambda numbers: {"users": [_member(n) for n in numbers], **about})
    account = aitronos("http://127.0.0.1:1")
    return {
        "guestlist, members": lambda: read(account.members(), next(pages)),
        "aitronos-sdk, members": lambda: parse_obj_as(MemberListResponse, json.loads(next(pages))),
    }


def measure() -> Report:
    """Measures the row."""
    measured = in_turns(
        {
            name: _block(reader)
            for name, reader in (invitation_readers() | _member_readers()).items()
        },
        calls=PAGES * SIZE,
        rounds=ROUNDS,
    )
    pydantic, sdk = measured["pydantic"], measured["aitronos-sdk, members"]
    ours, members = measured["guestlist"], measured["guestlist, members"]
    return Report(
        title="One page of 500 records",
        text=TEXT,
        targets=[
            Target(
                "a page of invitations compared with `validate_json`: at most 2",
                ours.cpu_against(pydantic).median,
                2,
            ),
            Target(
                "a page of members compared with the SDK's parser: at most 1/20",
                members.cpu_against(sdk).median,
                1 / 20,
            ),
        ],
        tables=[
            Table(
                "Per record",
                ("with", "CPU, µs", "against `validate_json` of invitations"),
                [(name, one.cpu_us, one.cpu_against(pydantic)) for name, one in measured.items()],
            )
        ],
        charts=[
            Chart(
                "parsing",
                "CPU per record, µs",
                [(name, one.cpu_us) for name, one in measured.items()],
                ours=("guestlist", "guestlist, members"),
            )
        ],
    )


def _block(reader: Callable[[], object]) -> Block:
    def block() -> None:
        for _ in range(PAGES):
            reader()

    return block
