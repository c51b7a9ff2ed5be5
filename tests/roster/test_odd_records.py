"""A plan takes nobody for absent whom a record that cannot be read may be about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.roster.services import service

from guestlist import Guestlist, email_key
from guestlist.changes import Action, Change
from guestlist.models import Invitation, Member, State
from guestlist.provider import Flow, Page, RecordProblem, operation
from guestlist.roster.current_people import CurrentPeople
from guestlist.roster.plan import make_plan
from guestlist.roster.planfile import read_plan
from guestlist.roster.staleness import iter_outdated_changes
from guestlist.roster.wanted import Wanted

ADA, BEA, CAM, DAN = (f"{name}@example.com" for name in ("ada", "bea", "cam", "dan"))
ALL = [Wanted("club", email_key(one), one, None) for one in (ADA, BEA, CAM, DAN)]


def club(*problems: RecordProblem) -> Guestlist:
    """Bea is a member and Cam is invited; the members hold records that cannot be read."""

    def members(self: Any, cursor: str | None = None) -> Flow[Page[Member]]:
        yield from ()
        left_out = len(problems)
        return Page(self.people, total=1 + left_out, left_out=left_out, problems=problems)

    provider = service(members=operation(members))(
        people=(Member(id="m1", email=BEA, roles=()),),
        records=(Invitation(id="i1", email=CAM, state=State.PENDING),),
    )
    return Guestlist({"club": provider})


def planned(guests: Guestlist, **how: Any) -> list[tuple[Action, str]]:
    with guests, make_plan(guests, ALL, **how) as plan:
        assert not plan.errors
        return [(change.action, change.email) for change in plan.changes()]


def test_only_the_person_of_the_record_is_left_out() -> None:
    ada = RecordProblem(2, "it has no id", email=ADA.upper())
    assert sorted(planned(club(ada))) == [(Action.CANNOT, ADA), (Action.INVITE, DAN)]


def test_everybody_absent_is_left_out_if_the_record_has_no_address() -> None:
    assert sorted(planned(club(RecordProblem(2, "its email is a number", "m2")), prune=True)) == [
        (Action.CANNOT, ADA),
        (Action.CANNOT, DAN),
    ]


def test_a_record_that_is_kept_hides_nobody() -> None:
    kept = RecordProblem(1, "it contains text that is not valid Unicode", "m1", BEA, kept=True)
    assert sorted(planned(club(kept))) == [(Action.INVITE, ADA), (Action.INVITE, DAN)]


def test_a_plan_in_a_file_does_not_hold_for_a_person_who_is_hidden_now(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    with club() as guests, make_plan(guests, ALL) as plan:
        plan.write(path)
    with club(RecordProblem(2, "it has no id", email=ADA)) as guests:
        found: list[tuple[Change, str]] = list(iter_outdated_changes(guests, read_plan(path), ALL))
    assert [(change.email, why) for change, why in found] == [
        (ADA, "was not invited, and is now unknown")
    ]


def test_a_roster_is_not_pulled_without_the_person_of_the_record() -> None:
    with (
        club(RecordProblem(2, "it has no id", "m2")) as guests,
        CurrentPeople(guests, ["club"]) as all,
    ):
        assert "record 2 (id m2)" in str(all.read["club"].error)


def test_a_short_list_is_an_error_of_the_account() -> None:
    def members(self: Any, cursor: str | None = None) -> Flow[Page[Member]]:
        yield from ()
        return Page(self.people, total=3)

    guests = Guestlist({"club": service(members=operation(members))()})
    with guests, make_plan(guests, ALL) as plan:
        assert list(plan.changes()) == []
        assert "reports 3 records and sent 0" in str(plan.errors["club"])
