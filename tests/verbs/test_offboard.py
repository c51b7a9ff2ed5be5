"""`offboard`: one person or several out of every account."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import anyio
import httpx
import pytest
from tests.in_process import InProcess
from tests.roster.services import ADMIN, service
from tests.verbs.conftest import CASES, Make, Party, SandboxClock

import guestlist
from guestlist import (
    AccountOffboarding,
    AsyncGuestlist,
    Guestlist,
    Identity,
    InvalidArgument,
    Ledger,
    OffboardResult,
    UnknownAccount,
)
from guestlist.models import Invitation, Member, State
from guestlist.provider import Flow, Page, operation
from guestlist.sandbox.world import World

ADA, BEA = "ada@example.com", "bea@example.com"


def outcomes(result: OffboardResult) -> dict[str, str]:
    return {one.account: one.outcome.value for one in result.accounts}


def only(results: list[OffboardResult]) -> AccountOffboarding:
    ((found,),) = (one.accounts for one in results)
    return found


# ---------------------------------------------------------------------------- on the sandboxes


def test_a_member_is_removed(guests: Party) -> None:
    member = guests.case.member
    [result] = guests.offboard(member)
    assert (result.person.email, result.access_remains) == (member, False)
    found = only([result])
    assert (found.account, found.outcome) == ("home", "removed")
    assert [one.email for one in found.members] == [member]
    assert not guests.is_member(member)

    guests.forget()
    again = only(guests.offboard(member))
    assert (again.outcome, guests.writes) == ("not_there", [])


@pytest.mark.parametrize("case", ["aitronos", "betterauth"], indirect=True)
def test_an_open_invitation_is_withdrawn(guests: Party) -> None:
    guests.invite(ADA)
    found = only(guests.offboard(ADA))
    assert (found.outcome, len(found.invitations), found.members) == ("removed", 1, ())
    assert guests.status(ADA).state not in (State.PENDING, State.ACCEPTED)


@pytest.mark.parametrize("case", ["vultr"], indirect=True)
def test_what_cannot_be_withdrawn_remains_and_says_why(guests: Party) -> None:
    guests.invite(ADA)
    for dry_run in (True, False):
        [result] = guests.offboard(ADA, dry_run=dry_run)
        found = only([result])
        assert (found.outcome, found.error, result.access_remains) == (
            "remains",
            "Unsupported",
            True,
        )
        assert found.reason == "Vultr IAM offers no way to revoke an invitation"
        assert found.hint is not None
        assert "Let it expire" in found.hint


@pytest.mark.parametrize("case", ["betterauth"], indirect=True)
def test_what_the_service_refuses_remains(guests: Party) -> None:
    [owner] = [one.email for one in guests.members() if "owner" in [r.id for r in one.roles]]
    found = only(guests.offboard(owner))
    assert (found.outcome, found.members) == ("remains", ())
    assert found.reason


def test_a_dry_run_changes_nothing(guests: Party) -> None:
    member = guests.case.member
    found = only(guests.offboard(member, dry_run=True))
    assert (found.outcome, [one.email for one in found.members]) == ("would_remove", [member])
    assert guests.writes == []
    assert guests.is_member(member)


def test_several_people_and_a_result_for_each(guests: Party) -> None:
    done: list[tuple[str | None, str]] = []
    results = guests.offboard(
        [guests.case.member, BEA],
        on_result=lambda person, part: done.append((person.email, part.outcome)),
    )
    expected = [(guests.case.member, "removed"), (BEA, "not_there")]
    assert [(one.person.email, only([one]).outcome) for one in results] == expected
    assert done == expected


@pytest.mark.parametrize("case", ["vultr"], indirect=True)
def test_deferred_roles_are_canceled(make: Make, ledger: Ledger) -> None:
    guests = make(ledger=ledger)
    guests.invite(ADA, role=guests.case.role)
    guests.later(days=4)  # the invitation expires, the deferred role stays
    planned = only(guests.offboard(ADA, dry_run=True))
    assert (planned.outcome, planned.deferred) == ("would_remove", (guests.case.role,))
    found = only(guests.offboard(ADA))
    assert (found.outcome, found.deferred) == ("removed", (guests.case.role,))
    assert ledger.deferred_roles("home", [ADA]) == []
    assert only(guests.offboard(ADA)).outcome == "not_there"


@pytest.mark.parametrize("case", ["aitronos"], indirect=True)
def test_the_ledger_records_what_is_taken_away(make: Make, ledger: Ledger) -> None:
    guests = make(ledger=ledger)
    guests.offboard(guests.case.member)
    from guestlist.ledger import history

    [line] = history.log_lines(ledger.store, history.Search())
    assert (line.action, line.email, line.outcome) == ("remove", guests.case.member, "removed")


@pytest.mark.parametrize("case", ["aitronos"], indirect=True)
def test_a_service_that_does_not_answer_is_unknown_and_a_repetition_continues(
    faulty: Callable[..., Party],
) -> None:
    broken = [True]

    def fault(request: httpx.Request, answer: httpx.Response | None) -> Any:
        return httpx.Response(500) if broken[0] else None

    guests = faulty(fault)
    found = only(guests.budgeted(attempts=1).offboard(guests.case.member))
    assert (found.outcome, found.error) == ("unknown", "ServiceUnavailable")
    broken[0] = False
    assert only(guests.offboard(guests.case.member)).outcome == "removed"


@pytest.mark.parametrize("case", ["aitronos"], indirect=True)
def test_an_invitation_that_may_still_take_effect_is_not_called_gone(
    faulty: Callable[..., Party], ledger: Ledger
) -> None:
    lost = [True]

    def fault(request: httpx.Request, answer: httpx.Response | None) -> Any:
        invites = request.method == "POST" and "invit" in request.url.path
        return httpx.ReadError("reset") if invites and lost[0] and answer is None else None

    guests = faulty(fault, ledger=ledger)
    with pytest.raises(guestlist.OutcomeUnknown):
        guests.budgeted(total=5).invite(ADA)
    lost[0] = False
    found = only(guests.offboard(ADA))
    assert (found.outcome, found.error) == ("unknown", None)
    assert "may still take effect" in (found.reason or "")
    guests.later(minutes=5)
    assert only(guests.offboard(ADA)).outcome == "not_there"


# ---------------------------------------------------------------------------- several accounts


class Place(service()):  # type: ignore[misc]
    """A service that removes and revokes, and counts how many work at the same time."""

    name = "place"

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        yield from ()
        return Page(tuple(one for one in self.people if one.id not in GONE))

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        yield from ()
        return Page(tuple(one for one in self.records if one.id not in GONE))

    @operation
    def remove(self, member: Member) -> Flow[None]:
        yield from ()
        if TOGETHER:
            TOGETHER[0].wait(10)  # until all accounts are here
        GONE.add(member.id)

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        yield from ()
        GONE.add(str(invitation.id))


class Logins(Place):
    members_show_emails = False


GONE: set[str] = set()
TOGETHER: list[threading.Barrier] = []


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    GONE.clear()
    TOGETHER.clear()
    yield
    TOGETHER.clear()


def place(kind: type[Any], id: str, *members: Member, invited: str = "") -> Any:
    records = (
        (Invitation(id=f"{id}-i", email=invited, state=State.PENDING, roles=(ADMIN,)),)
        if invited
        else ()
    )
    return kind(base_url=f"http://127.0.0.1:{id}", people=members, records=records)


def person(id: str, email: str | None = None, login: str | None = None) -> Member:
    return Member(id=id, email=email, login=login, roles=())


Run = Callable[..., list[OffboardResult]]


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    """Offboards from accounts, with either client."""

    def sync(accounts: dict[str, Any], *args: Any, **how: Any) -> list[OffboardResult]:
        with Guestlist(accounts) as guests:
            return guests.offboard(*args, **how)

    def by_task(accounts: dict[str, Any], *args: Any, **how: Any) -> list[OffboardResult]:
        async def work() -> list[OffboardResult]:
            async with AsyncGuestlist(accounts) as guests:
                return await guests.offboard(*args, **how)

        return anyio.run(work)

    return sync if request.param == "sync" else by_task


def test_every_account_is_left(run: Run) -> None:
    accounts = {
        "a": place(Place, "1", person("m1", ADA)),
        "b": place(Place, "2", invited=ADA),
        "c": place(Place, "3", person("m3", BEA)),
    }
    [result] = run(accounts, ADA)
    assert outcomes(result) == {"a": "removed", "b": "removed", "c": "not_there"}
    assert {"m1", "2-i"} == GONE


def test_all_names_of_a_person(run: Run) -> None:
    accounts = {
        "a": place(Place, "1", person("m1", ADA), person("m2", "ada@old.example")),
        "hub": place(Logins, "2", person("m3", login="Ada-L"), person("m4", login="bea")),
    }
    [result] = run(
        accounts, Identity(email=ADA, also=("ADA@old.example",), logins={"hub": "ada-l"})
    )
    assert outcomes(result) == {"a": "removed", "hub": "removed"}
    assert {"m1", "m2", "m3"} == GONE


def test_without_a_login_the_outcome_is_unknown(run: Run) -> None:
    accounts = {"hub": place(Logins, "1", person("m1", login="ada-l"), invited=ADA)}
    [planned] = run(accounts, ADA, dry_run=True)
    assert (len(only([planned]).invitations), planned.access_remains) == (1, False)
    [result] = run(accounts, ADA)
    found = only([result])
    assert (len(found.invitations), result.access_remains) == (1, True)
    assert {"1-i"} == GONE
    assert found.outcome == "unknown"
    assert "does not show the addresses of members, and no login is known" in (found.reason or "")
    assert "login" in (found.hint or "")
    assert only(run(accounts, "@ada-l")).outcome == "removed"


def test_a_login_needs_its_account(run: Run) -> None:
    accounts = {
        "a": place(Logins, "1", person("m1", login="ada")),
        "b": place(Logins, "2", person("m2", login="ada")),
    }
    with pytest.raises(InvalidArgument, match="different people"):
        run(accounts, "@ada")
    assert outcomes(run(accounts, "@ada", account="b")[0]) == {"b": "removed"}
    assert {"m2"} == GONE


def test_only_some_accounts(run: Run) -> None:
    accounts = {name: place(Place, name, person(name, ADA)) for name in ("1", "2", "3")}
    [result] = run(accounts, ADA, account=["3", "1"])
    assert outcomes(result) == {"3": "removed", "1": "removed"}
    with pytest.raises(UnknownAccount):
        run(accounts, ADA, account="z")


def test_a_bound_client_leaves_its_account() -> None:
    accounts = {name: place(Place, name, person(name, ADA)) for name in ("1", "2")}
    with Guestlist(accounts) as guests:
        assert outcomes(guests.account("2").offboard(ADA)[0]) == {"2": "removed"}


@pytest.mark.parametrize("bad", ["", "ada", Identity(), [ADA, "x y@example.com"]])
def test_invalid_names_are_refused_before_anything_is_sent(run: Run, bad: Any) -> None:
    with pytest.raises(InvalidArgument):
        run({"a": place(Place, "1", person("m1", ADA))}, bad)
    assert not GONE


def test_the_accounts_are_left_at_the_same_time() -> None:
    """Each removal waits until that of the other account has begun."""
    TOGETHER.append(threading.Barrier(2))
    accounts = {name: place(Place, name, person(name, ADA)) for name in ("1", "2")}
    with Guestlist(accounts) as guests:
        assert outcomes(guests.offboard(ADA)[0]) == {"1": "removed", "2": "removed"}


def test_without_a_list_of_members_the_outcome_is_unknown(run: Run) -> None:
    from tests.roster.services import People

    class Blind(People):
        name = "blind"
        title = "Blind"

        @operation
        def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
            yield from ()
            return Page(())

    found = only(run({"a": Blind()}, ADA))
    assert (found.outcome, found.error) == ("unknown", "Unsupported")


def test_a_person_of_the_roster_across_sandboxes(sandbox: World) -> None:
    with ExitStack() as closing:
        accounts = {
            name: CASES[name].provider(**sandbox.services[name].settings)
            for name in ("vultr", "aitronos", "betterauth")
        }
        transport, clock = InProcess(sandbox), SandboxClock(sandbox)
        guests = closing.enter_context(Guestlist(accounts, transport=transport, clock=clock))
        people = closing.enter_context(guestlist.who(client=guests))
        [lena] = people.find(CASES["vultr"].member)
        [result] = guests.offboard(lena)
    assert outcomes(result)["vultr"] == "removed"
    assert not result.access_remains
