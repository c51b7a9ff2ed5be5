"""People whose accepted invitation the service has forgotten: only the ledger knows of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.hall import Base, HallService
from tests.in_process import InProcess

import guestlist
from guestlist import Conflict, Guestlist, Ledger, State
from guestlist.changes import Action
from guestlist.models import Member
from guestlist.provider import Flow, Page, Request, by_cursor, operation, parse_datetime
from guestlist.sandbox.organization import SWITCHES, MemberRecord
from guestlist.sandbox.world import World

from .conftest import START, SandboxClock

ADA, PRIVATE, EVE = "ada@example.com", "ada@home.example", "eve@example.com"


class ForgetfulService(HallService):
    """Forgets accepted and revoked invitations, and shows when members have joined."""

    name = "forgetful"
    switches: ClassVar = {
        name: SWITCHES[name] for name in ("accepted", "accept_address", "duplicates", "revoked")
    }

    def shown(self, record: Any) -> Any:
        fields = super().shown(record)
        if isinstance(record, MemberRecord):
            fields["joined_at"] = record.created_at.isoformat()
        return fields


class Forgetful(Base):
    name = "forgetful"
    sandbox = "tests.verbs.test_vanished_invitations:ForgetfulService"

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        def request(cursor: str | None) -> Request:
            return Request.get("members", query={"limit": 100, "after": cursor})

        return (yield from by_cursor(cursor, request, read_member, "items"))


def read_member(raw: Any) -> Member:
    joined = parse_datetime(raw["joined_at"])
    return Member(id=raw["id"], email=raw["email"], joined_at=joined, raw=raw)


@pytest.fixture
def sandbox() -> World:
    switches = {"forgetful": {"accepted": "vanish", "revoked": "vanish", "accept_address": "any"}}
    urls = {"forgetful": "http://127.0.0.1:8701"}
    return World([ForgetfulService], urls, time_source=lambda: START, switches=switches)


@pytest.fixture
def guests(sandbox: World, ledger: Ledger) -> Iterator[Guestlist]:
    """A client in whose ledger the invitation of Ada is."""
    settings = sandbox.services["forgetful"].settings
    clock = SandboxClock(sandbox)
    accounts = {"club": Forgetful(**settings)}
    with Guestlist(accounts, transport=InProcess(sandbox), clock=clock, ledger=ledger) as guests:
        guests.invite(ADA)
        sandbox.clock.advance(timedelta(hours=1))
        yield guests


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "guestlist.toml"
    path.write_text(
        f'[accounts.club]\nprovider = "forgetful"\n'
        f'[[people]]\nemail = "{ADA}"\naccounts.club = []\n'
    )
    return path


def organization(sandbox: World) -> Any:
    service: Any = sandbox.services["forgetful"].service
    return service.organization


def accept(sandbox: World, email: str) -> None:
    """Accepts Ada's invitation with an address."""
    (invitation,) = organization(sandbox).shown_invitations()
    organization(sandbox).accept(invitation, email=email)


def test_a_member_who_joined_since_may_be_the_person(
    sandbox: World, guests: Guestlist, ledger: Ledger, roster: Path
) -> None:
    accept(sandbox, PRIVATE)
    with guestlist.plan(roster, client=guests, ledger=ledger, prune=True) as plan:
        changes = {change.email: change for change in plan.changes()}
    cannot = changes[ADA]
    assert cannot.action is Action.CANNOT
    assert "the service does not show that invitation any more" in cannot.reason
    assert f"it could be {PRIVATE}" in cannot.reason
    assert "also = " in cannot.reason
    assert PRIVATE not in changes  # not pruned: it may be Ada
    guestlist.apply(roster, client=guests, ledger=ledger, prune=True)
    assert len(sandbox.outbox.emails) == 1
    assert PRIVATE in [one.email for one in guests.members()]
    roster.write_text(roster.read_text() + f'also = ["{PRIVATE}"]\n')
    with guestlist.plan(roster, client=guests, ledger=ledger) as plan:
        assert list(plan.changes()) == []


def test_a_person_whom_nobody_can_be_is_invited_again(
    sandbox: World, guests: Guestlist, ledger: Ledger, roster: Path
) -> None:
    """A new member who was invited under an address of their own is somebody else."""
    accept(sandbox, ADA)
    guests.invite(EVE)
    accept(sandbox, EVE)
    organization(sandbox).remove(organization(sandbox).member_with(ADA))
    guestlist.apply(roster, client=guests, ledger=ledger)
    assert len(list(sandbox.outbox.to(ADA))) == 2


def test_a_revoked_person_is_invited_again(
    sandbox: World, guests: Guestlist, ledger: Ledger, roster: Path
) -> None:
    guests.revoke(ADA)
    organization(sandbox).add_member(EVE)
    guestlist.apply(roster, client=guests, ledger=ledger)
    assert len(list(sandbox.outbox.to(ADA))) == 2


def test_a_login_on_a_service_without_logins_is_unknown(guests: Guestlist) -> None:
    guest = guests.status("@ada-l")
    assert guest.state is State.UNKNOWN
    assert "no member record of Hall shows a login" in (guest.unidentified or "")
    assert guests.status_many(["@ada-l"]) == {"@ada-l": guest}
    with pytest.raises(Conflict, match="no member record of Hall shows a login") as refused:
        guests.remove("@ada-l")
    assert refused.value.hint == "Use the address or the id."
