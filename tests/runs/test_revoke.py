"""A run that withdraws the open invitation of a member."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.durable.kit import START

import guestlist
from guestlist import Conflict, Guestlist
from guestlist.ledger import Ledger
from guestlist.models import Invitation, Member, Role, State
from guestlist.provider import Flow, Page, Provider, Request, operation
from pytest_guestlist.clock import VirtualClock

ADA = "ada@example.com"
ADMIN, READER = Role(id="admin"), Role(id="reader")
ROSTER = f"""
[accounts.club]
provider = "vultr"

[[people]]
email = "{ADA}"
accounts.club = ["reader"]
"""


class Club(Provider):
    """Ada is a member as a reader, and is invited as an admin. Revoking an accepted invitation
    takes the person out."""

    name = "club"
    title = "Club"
    base_url: str = "https://club.test"
    most_roles = 1

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        yield Request.get("roles")
        return Page([ADMIN, READER])

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        reply = yield Request.get("invitations")
        state = State(reply.mapping()["state"])
        return Page([Invitation(id="i-1", email=ADA, state=state, roles=(ADMIN,))])

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        yield Request.get("members")
        return Page([Member(id="m-1", email=ADA, roles=(READER,))])

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        yield Request.delete("invitations", str(invitation.id))


class Pending(Club):
    """Ada is invited, and a member only once she has accepted."""

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        reply = yield Request.get("members")
        inside = reply.mapping()["state"] == "accepted"
        return Page([Member(id="m-1", email=ADA)] if inside else [])


@pytest.mark.parametrize("status", [204, 404, 409])
def test_a_person_who_has_accepted_since_the_plan_stays_and_is_reported(
    tmp_path: Path, status: int
) -> None:
    """The service keeps the member, whatever it answers to the revocation, which is sent once. If
    it confirms the revocation, the run believes that, and the next plan shows the member."""
    roster = tmp_path / "guestlist.toml"
    roster.write_text(ROSTER.replace(ADA, "olga@example.org").replace('["reader"]', "[]"))
    state, deleted = "pending", list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            deleted.append(request.url.path)
            return httpx.Response(status, json={} if status > 204 else None)
        return httpx.Response(200, json={"state": state})

    def confirm(plan: Any) -> bool:
        nonlocal state
        assert plan.summary.counts["club"]["revoke"] == 1
        state = "accepted"
        return True

    clock = VirtualClock(START)
    client = Guestlist({"club": Pending()}, transport=httpx.MockTransport(answer), clock=clock)
    how: Any = {"client": client, "prune": True, "accounts": ["club"]}
    with Ledger(tmp_path / "guestlist.db", clock=clock) as ledger:
        done = guestlist.apply(roster, ledger=ledger, confirm=confirm, **how)
        errors = [type(one) for one in done.errors if one.email == ADA]
        assert errors == ([] if status == 204 else [Conflict])
        assert deleted == ["/invitations/i-1"]
        with guestlist.plan(roster, ledger=ledger, client=client, prune=True) as plan:
            assert [one.member and one.member.id for one in plan.changes() if one.email == ADA] == [
                "m-1"
            ]


@pytest.mark.parametrize("accepts", [False, True])
def test_an_invitation_that_was_accepted_since_the_plan_is_not_revoked(
    tmp_path: Path, accepts: bool
) -> None:
    roster = tmp_path / "guestlist.toml"
    roster.write_text(ROSTER)
    state, deleted = "pending", list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal state
        if request.method == "DELETE":
            deleted.append(request.url.path)
            state = "revoked"
        return httpx.Response(200, json={"state": state})

    def confirm(plan: Any) -> bool:
        nonlocal state
        assert plan.summary.counts == {"club": {"revoke": 1}}
        if accepts:
            state = "accepted"
        return True

    clock = VirtualClock(START)
    client = Guestlist({"club": Club()}, transport=httpx.MockTransport(answer), clock=clock)
    with Ledger(tmp_path / "guestlist.db", clock=clock) as ledger:
        done = guestlist.apply(roster, client=client, ledger=ledger, confirm=confirm)
    assert (done.errors, done.left) == ([], 0)
    assert deleted == ([] if accepts else ["/invitations/i-1"])
