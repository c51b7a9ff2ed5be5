"""Reading who is there: what a plan sees is what `status` says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from tests.roster.services import ADMIN, People, service

from guestlist import Guestlist, GuestlistError, NotFound
from guestlist.exchange.account import Account
from guestlist.models import Guest, Invitation, Member, State
from guestlist.provider import Flow, Page, operation
from guestlist.roster.plan import make_plan
from guestlist.roster.reading import person_state, read_accounts
from guestlist.roster.store import Fact, Kind, PlanStore
from guestlist.roster.wanted import Wanted
from guestlist.sandbox import Sandbox
from pytest_guestlist.clock import VirtualClock

ADA, BEA = "ada@example.com", "bea@example.com"


@contextmanager
def scratch() -> Iterator[PlanStore]:
    space = PlanStore()
    try:
        yield space
    finally:
        space.close()


def everybody(guests: Guestlist, account: str) -> dict[str, Guest]:
    """Where everybody stands, by key."""
    with scratch() as space:
        [reading] = read_accounts(guests, [account], space, managed=()).values()
        assert reading.error is None
        exchange = Account(account, guests.accounts[account], guests.clock)
        return {
            facts[0].key: person_state(exchange, facts[0].key, facts).guest
            for facts in space.people()
        }


STORIES = ("invited", "accepted", "expired", "left", "declined", "revoked", "again")


@pytest.mark.parametrize("account", ["vultr", "aitronos", "betterauth"])
@pytest.mark.parametrize("story", STORIES)
def test_the_same_as_status(
    guests: Guestlist,
    guestlist_sandbox: Sandbox,
    guestlist_clock: VirtualClock,
    guestlist_accept: Callable[..., None],
    account: str,
    story: str,
) -> None:
    role = {"vultr": None, "aitronos": "Member", "betterauth": "member"}[account]
    provider = guests.accounts[account]
    service_there: Any = guestlist_sandbox.services[account].service
    guests.invite(ADA, account=account, role=role)
    if story in ("accepted", "left"):
        guestlist_accept(ADA, service=account)
    if story == "left":
        guests.remove(ADA, account=account)
        guestlist_clock.advance(timedelta(minutes=5))
    if story in ("expired", "again"):
        guestlist_clock.advance(timedelta(days=9))
    if story == "again":
        guests.invite(ADA, account=account, role=role)
    if story == "declined":
        if account != "betterauth":
            pytest.skip("nobody can decline there")
        service_there.decline(service_there.snapshot()["invitations"][-1]["id"])
    if story == "revoked":
        if not provider.supports("revoke"):
            pytest.skip("nobody can revoke there")
        guests.revoke(ADA, account=account)
    came = everybody(guests, account)
    for email in (ADA, next(one.label for one in guests.members(account=account))):
        told = guests.status(email, account=account)
        found = came.get(email, Guest(account=account, email=email, state=State.GONE))
        assert (found.state, found.key) == (told.state, told.key)
        if told.state is not State.ACCEPTED and told.state is not State.GONE:
            assert found.invitation is not None
            assert told.invitation is not None
            assert found.invitation.id == told.invitation.id


class Unlisted(People):
    """It has no lists, and finds people by their address."""

    @operation
    def find_invitation(self, email: str) -> Flow[Invitation | None]:
        yield from ()
        return next((one for one in self.records if one.email == email), None)

    @operation
    def find_member(self, email: str) -> Flow[Member | None]:
        yield from ()
        return next((one for one in self.people if one.email == email), None)

    @operation
    def invite(self, order: Any) -> Flow[Invitation]:
        yield from ()
        raise NotImplementedError


def test_a_service_without_lists() -> None:
    """Everybody in the roster is looked for."""
    provider = Unlisted(
        people=(Member(id="m", email=ADA), Member(id="n", email="other@example.com")),
        records=(Invitation(id="i", email=BEA, state=State.PENDING),),
    )
    roster = [Wanted("home", email, email) for email in (ADA, BEA, "cy@example.com")]
    told: list[Any] = []
    with (
        Guestlist({"home": provider}) as guests,
        make_plan(guests, roster, progress=lambda *facts: told.append(facts)) as plan,
    ):
        assert plan.errors == {}
        assert [(one.action, one.email) for one in plan.changes()] == [("invite", "cy@example.com")]
        assert plan.summary.notes["home"] == {"fits": 1, "invited": 1}
    assert told[-1] == ("home", "people", 3)


def test_accounts_are_read_at_the_same_time() -> None:
    """Each waits for the others: one after another, nobody would come to an end."""
    together = threading.Barrier(3, timeout=20)

    @operation
    def invitations(self: Any, cursor: str | None = None) -> Flow[Any]:
        together.wait()
        yield from ()
        return Page(())

    kind = service(invitations=invitations)
    accounts = {name: kind() for name in "abc"}
    with Guestlist(accounts) as guests, make_plan(guests, [], allow_empty=True) as plan:
        assert plan.errors == {}


def test_an_interruption_ends_the_reading() -> None:
    """Ctrl-C, which comes to whoever told about the progress or waits, is no error of an account;
    nobody reads on."""
    told: list[str] = []

    def interrupt(account: str, what: str, count: int) -> None:
        told.append(what)
        raise KeyboardInterrupt

    people = tuple(Member(id=str(n), email=f"p{n}@example.com") for n in range(5000))
    with (
        Guestlist({"home": service()(people=people)}) as guests,
        pytest.raises(KeyboardInterrupt),
    ):
        make_plan(guests, [], allow_empty=True, progress=interrupt)
    assert told == ["invitations"]


def test_a_fault_of_ours_is_no_error_of_an_account() -> None:
    def fault(*_: Any) -> None:
        raise RuntimeError("a bug")

    with Guestlist({"home": service()()}) as guests, pytest.raises(RuntimeError, match="a bug"):
        make_plan(guests, [], allow_empty=True, progress=fault)


def test_a_full_disk_raises_an_error() -> None:
    with scratch() as space:
        space._db.execute("PRAGMA max_page_count = 100")
        facts = (Fact(f"{n}@example.com", 0, Kind.WANTED, False, "", "x" * 99) for n in range(9999))
        with pytest.raises(GuestlistError, match="full") as caught:
            space.add(facts)
    assert "SQLITE_TMPDIR" in caught.value.hint


def test_access_of_somebody_who_has_just_left() -> None:
    """What they held is not known any more; the others are planned all the same."""

    @operation
    def access(self: Any, member: Member) -> Flow[Any]:
        yield from ()
        if member.email == BEA:
            raise NotFound("gone")
        return ()

    kind = service(access=access)
    people = (Member(id="1", email=ADA), Member(id="2", email=BEA))
    roster = [Wanted("home", email, email, (ADMIN.id,)) for email in (ADA, BEA)]
    with Guestlist({"home": kind(people=people)}) as guests, make_plan(guests, roster) as plan:
        assert plan.errors == {}
        assert [(one.action, one.email) for one in plan.changes()] == [("assign_role", ADA)]
        assert plan.summary.notes["home"] == {"unseen": 1}
