"""`onboard`: from an address to effective access, in one call, in virtual time."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from guestlist import (
    Conflict,
    InvalidArgument,
    Outcome,
    RoleOutcome,
    State,
    UnknownRole,
    Unsupported,
    WaitTimeout,
)
from guestlist.ledger import Ledger

from .conftest import Kill, Killed

ADA = "ada@example.com"
DAY = 86_400.0
everywhere = pytest.mark.parametrize(
    ("case", "kind"),
    [("vultr", "sync"), ("aitronos", "async"), ("betterauth", "sync")],
    indirect=True,
)
on_vultr = pytest.mark.parametrize("case", ["vultr"], indirect=True)
on_aitronos = pytest.mark.parametrize("case", ["aitronos"], indirect=True)

ROLES = {
    "vultr": ["group:Engineering", "Support Engineer"],
    "aitronos": ["Admin"],
    "betterauth": ["admin", "member"],
}
"""By service: as many as a member can hold, with the invitation or after it."""


def debts(folder: Path) -> list[int]:
    """The states of the deferred roles in the ledger."""
    connection = sqlite3.connect(folder / "guestlist.db")
    found = connection.execute("SELECT state FROM orders WHERE action = 'settle'").fetchall()
    connection.close()
    return [state for (state,) in found]


@everywhere
@pytest.mark.parametrize("remembers", [False, True], ids=["", "ledger"])
def test_the_whole_way(
    make: Any, after: Any, ledger: Ledger, remembers: bool, tmp_path: Path
) -> None:
    guests = make(ledger=ledger if remembers else None)
    wanted = ROLES[guests.case.name]
    began = guests.sandbox.clock.seconds()
    after(7200, lambda: guests.accept(ADA))
    done = guests.onboard(ADA, role=wanted)
    assert guests.sandbox.clock.seconds() - began < 7200 + 300
    assert done.guest.state is State.ACCEPTED
    assert done.invited.outcome is Outcome.INVITED
    assert done.invited.email_sent is True
    assert {one.role.name for one in done.granted} == {
        one.partition(":")[2] or one for one in wanted
    }
    assert done.access
    assert done.missing == ()
    assert len(guests.emails(ADA)) == 1
    if remembers:
        assert set(debts(tmp_path)) <= {10}, "what is given is no longer deferred"


@everywhere
def test_repeated_it_does_nothing_more(make: Any, after: Any) -> None:
    guests = make()
    wanted = ROLES[guests.case.name]
    after(100, lambda: guests.accept(ADA))
    guests.onboard(ADA, role=wanted)
    guests.forget()
    again = guests.onboard(ADA, role=wanted)
    assert again.invited.outcome is Outcome.ALREADY_MEMBER
    assert {one.outcome for one in again.granted} == {RoleOutcome.ALREADY_ASSIGNED}
    assert again.missing == ()
    assert len(guests.emails(ADA)) == 1
    sent = [one for one in guests.writes if "assign" in one or one.startswith(("PUT", "PATCH"))]
    assert sent == []


@everywhere
def test_interrupted_while_it_waits_and_called_again(make: Any, after: Any) -> None:
    def interrupt() -> None:
        raise Killed

    guests = make()
    wanted = ROLES[guests.case.name]
    after(3600, interrupt)
    with pytest.raises(Killed):
        guests.onboard(ADA, role=wanted)
    guests.accept(ADA)
    done = make().onboard(ADA, role=wanted)
    assert done.invited.outcome is Outcome.ALREADY_MEMBER
    assert done.missing == ()
    assert len(guests.emails(ADA)) == 1


@everywhere
def test_killed_while_it_invites_and_called_again(
    make: Any, faulty: Any, after: Any, ledger: Ledger
) -> None:
    guests = make(ledger=ledger)
    wanted = ROLES[guests.case.name]
    with pytest.raises(Killed):
        faulty(Kill(before=False), ledger=ledger).onboard(ADA, role=wanted)
    after(100, lambda: guests.accept(ADA))
    assert guests.onboard(ADA, role=wanted).missing == ()
    assert len(guests.emails(ADA)) == 1


@everywhere
def test_who_does_not_answer_in_time(make: Any, ledger: Ledger, tmp_path: Path) -> None:
    guests = make(ledger=ledger)
    with pytest.raises(WaitTimeout, match="did not become accepted in 900 s: still pending"):
        guests.onboard(ADA, role=ROLES[guests.case.name], timeout=900)
    assert guests.status(ADA).state is State.PENDING
    assert set(debts(tmp_path)) <= {2}, "what could not be given yet is deferred"
    if guests.case.name == "vultr":
        assert len(debts(tmp_path)) == 2


@everywhere
def test_who_lets_it_lapse(make: Any, after: Any) -> None:
    guests = make()
    after(600, lambda: guests.later(days=30))
    with pytest.raises(Conflict, match="is expired and will not become accepted"):
        guests.onboard(ADA, role=ROLES[guests.case.name], timeout=40 * DAY)


@pytest.mark.parametrize("case", ["betterauth"], indirect=True)
def test_who_says_no(make: Any, after: Any) -> None:
    guests = make()
    after(100, lambda: guests.service.decline(guests.invitations_of(ADA)[-1]["id"]))
    with pytest.raises(Conflict, match="is declined"):
        guests.onboard(ADA, role=ROLES[guests.case.name], timeout=7200)
    assert not guests.is_member(ADA)


@everywhere
def test_a_member_gets_what_is_lacking(make: Any) -> None:
    guests = make()
    case = guests.case
    done = guests.onboard(case.member, role=case.role)
    assert done.invited.outcome is Outcome.ALREADY_MEMBER
    assert [one.outcome for one in done.granted] == [RoleOutcome.ASSIGNED]
    assert done.missing == ()
    assert guests.emails(case.member) == []


@on_vultr
def test_without_roles_it_says_that_nothing_can_be_done_yet(make: Any, after: Any) -> None:
    guests = make()
    after(100, lambda: guests.accept(ADA))
    done = guests.onboard(ADA)
    assert done.granted == ()
    assert (done.access.is_member, done.access.effective) == (True, False)
    assert done.access.explanation


# ---------------------------------------------------------------------------- refused before


@everywhere
@pytest.mark.parametrize("remembers", [False, True], ids=["", "ledger"])
def test_an_invalid_role_is_reported_before_anything_is_sent(
    make: Any, ledger: Ledger, remembers: bool
) -> None:
    guests = make(ledger=ledger if remembers else None)
    with pytest.raises(UnknownRole, match="there is no role 'Wizard'") as caught:
        guests.onboard(ADA, role=[guests.case.role, "Wizard"])
    assert str(caught.value).startswith("home: ")
    assert guests.writes == []


@everywhere
def test_what_names_no_role(make: Any) -> None:
    guests = make()
    with pytest.raises(InvalidArgument, match="5 is not a role"):
        guests.onboard(ADA, role=5)
    assert guests.writes == []


@on_aitronos
def test_more_roles_than_a_member_can_hold(guests: Any) -> None:
    with pytest.raises(Unsupported, match="has only one of Admin and Support") as caught:
        guests.onboard(ADA, role=["Admin", "Support"])
    assert str(caught.value).startswith("home: ")
    assert guests.writes == []


@on_vultr
@pytest.mark.parametrize("remembers", [False, True], ids=["", "ledger"])
def test_a_service_that_cannot_give_them(
    make: Any, ledger: Ledger, remembers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests = make(ledger=ledger if remembers else None)
    supports = guests.case.provider.supports
    fewer = classmethod(lambda _cls, name: name != "assign_role" and supports(name))
    monkeypatch.setattr(guests.case.provider, "supports", fewer)
    with pytest.raises(Unsupported, match="assign") as caught:
        guests.onboard(ADA, role=guests.case.role)
    assert str(caught.value).startswith("home: ")
    assert guests.writes == []


@on_vultr
def test_a_role_that_is_taken_away_again_meanwhile_is_missing(
    make: Any, after: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests = make()
    after(100, lambda: guests.accept(ADA))

    def nothing(self: Any, member: Any) -> Any:
        return ()
        yield

    monkeypatch.setattr(nothing, "__guestlist_operation__", True, raising=False)
    access = guests.case.provider.access
    asked: list[Any] = []

    def fading(self: Any, member: Any) -> Any:
        asked.append(member)
        return access(self, member) if len(asked) < 3 else nothing(self, member)

    fading.__guestlist_operation__ = True  # type: ignore[attr-defined]
    monkeypatch.setattr(guests.case.provider, "access", fading)
    done = guests.onboard(ADA, role="group:Engineering")
    assert [one.outcome for one in done.granted] == [RoleOutcome.ASSIGNED]
    assert [role.label for role in done.missing] == ["group:Engineering"]


@pytest.mark.parametrize("case", ["betterauth"], indirect=True)
@pytest.mark.parametrize("kind", ["sync"], indirect=True)
def test_others_may_change_the_person_while_it_waits(guests: Any, after: Any) -> None:
    """The same client, from another thread or the same program: the wait holds nobody up."""
    after(3600, lambda: guests.revoke(ADA))
    with pytest.raises(Conflict, match="revoked"):
        guests.onboard(ADA, role=["admin"])
