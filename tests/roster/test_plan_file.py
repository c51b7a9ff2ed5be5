"""A plan in a file, and whether it still holds."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.roster.services import Service, service

from guestlist import ConfigError, Guestlist, Unauthorized, email_key
from guestlist.changes import Action, Change
from guestlist.models import Role
from guestlist.provider import Flow, Page, operation
from guestlist.roster.plan import make_plan
from guestlist.roster.planfile import PlanFile, read_plan, write_plan
from guestlist.roster.staleness import iter_outdated_changes
from guestlist.roster.wanted import Wanted
from pytest_guestlist.clock import VirtualClock

ADA, BEA = "ada@example.com", "bea@example.com"
LENA = "lena@example.org"
SAM = "sam.support@works.example"

Accept = Callable[..., None]


def want(account: str, email: str, *roles: str) -> Wanted:
    return Wanted(account, email_key(email), email, roles or None)


ROSTER = [
    want("vultr", ADA),
    want("vultr", LENA, "group:Engineering", "role:Support"),
    want("vultr", "ines@example.org"),
    want("betterauth", ADA, "member"),
    want("aitronos", SAM, "Admin"),
]


def written(
    guests: Guestlist, path: Path, roster: Iterable[Wanted] = ROSTER, **how: Any
) -> PlanFile:
    with make_plan(guests, roster, **how) as plan:
        plan.write(path)
        read = read_plan(path)
        assert read.summary == plan.summary
        assert list(read.changes()) == list(plan.changes())
        for name in plan.summary.accounts:
            assert list(read.changes(name)) == list(plan.changes(name))
    return read


def different(
    guests: Guestlist, plan: PlanFile, roster: Iterable[Wanted] = ROSTER, **how: Any
) -> dict[tuple[str, str, str], str]:
    return {
        (change.account, change.email, change.action.value): what
        for change, what in iter_outdated_changes(guests, plan, roster, **how)
    }


def test_what_is_written_is_read(guests: Guestlist, tmp_path: Path) -> None:
    """All of it: a change that is read equals the one that was planned."""
    path = tmp_path / "plan.jsonl"
    guests.invite(BEA, account="betterauth", role="admin")
    plan = written(guests, path, [*ROSTER, want("betterauth", BEA, "member")], prune=True)
    assert len(list(plan.changes())) == plan.summary.changes > 8
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["plan.jsonl"]
    header = json.loads(path.read_text().splitlines()[0])
    assert header["version"] == 4
    for secret in ("API_KEY", "SANDBOX", "token", "link"):
        assert secret not in path.read_text()


def test_the_digest_distinguishes_rosters(guests: Guestlist, tmp_path: Path) -> None:
    one = written(guests, tmp_path / "one", ROSTER)
    same = written(guests, tmp_path / "two", iter(ROSTER))
    other = written(guests, tmp_path / "three", ROSTER[1:])
    assert one.summary.digest == same.summary.digest != other.summary.digest


def test_files_that_are_no_plan(guests: Guestlist, tmp_path: Path) -> None:
    path = tmp_path / "plan.jsonl"
    plan = written(guests, path)
    lines = path.read_text().splitlines(keepends=True)
    for content in ("", "{}\n", "x", lines[0].replace('"version":4', '"version":3'), "\xff"):
        path.write_text(content, encoding="latin-1")
        with pytest.raises(ConfigError, match="plan"):
            read_plan(path)
    path.write_text("".join(lines[:-1]))  # cut off
    with pytest.raises(ConfigError, match="has changed since it was opened"):
        list(plan.changes())
    for other in (lines[:-1], [*lines[:-1], lines[-1][:40]], [*lines, lines[-1]]):
        path.write_text("".join(other))
        with pytest.raises(ConfigError, match="is incomplete, or was changed after it was made"):
            read_plan(path)
    path.unlink()
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_plan(path)
    with make_plan(guests, ROSTER) as made, pytest.raises(ConfigError, match="cannot be written"):
        made.write(tmp_path / "no" / "such" / "folder")


def test_an_earlier_plan_survives_a_failure(guests: Guestlist, tmp_path: Path) -> None:
    path = tmp_path / "plan.jsonl"
    written(guests, path)
    before = path.read_text()
    with make_plan(guests, ROSTER) as plan:
        pass
    with pytest.raises(Exception, match="closed"):
        plan.write(path)
    assert path.read_text() == before
    assert len(list(tmp_path.iterdir())) == 1


# ---------------------------------------------------------------------------- the world


def test_a_world_that_stands_still(guests: Guestlist, tmp_path: Path) -> None:
    plan = written(guests, tmp_path / "plan", prune=True)
    assert different(guests, plan) == {}


def test_a_world_that_moves(guests: Guestlist, tmp_path: Path, guestlist_accept: Accept) -> None:
    plan = written(guests, tmp_path / "plan")
    guests.invite(ADA, account="vultr")
    guests.invite(ADA, account="betterauth", role="member")
    guestlist_accept(ADA, service="betterauth")
    guests.assign_role(LENA, "Billing Viewer", account="vultr")
    guests.assign_role(SAM, "Member", account="aitronos")
    guests.remove("omar@example.org", account="vultr")  # nothing rests on him
    assert different(guests, plan) == {
        ("vultr", ADA, "invite"): "was not invited, and is now pending",
        ("betterauth", ADA, "invite"): "was not invited, and is now accepted",
        ("vultr", LENA, "assign_role"): "now holds other roles",
        ("vultr", LENA, "unassign_role"): "now holds other roles",
        ("aitronos", SAM, "assign_role"): "now holds other roles",
    }


def test_invitations_that_move(
    guests: Guestlist, tmp_path: Path, guestlist_clock: VirtualClock
) -> None:
    guests.invite(ADA, account="betterauth", role="admin")
    guests.invite(ADA, account="aitronos", role="Member")
    roster = [want("betterauth", ADA, "member"), want("aitronos", ADA, "Admin")]
    plan = written(guests, tmp_path / "plan", roster)
    assert different(guests, plan, roster) == {}
    guestlist_clock.advance(timedelta(minutes=5))
    guests.resend(ADA, account="betterauth")
    renewed = {("betterauth", ADA, "replace"): "the invitation was replaced or renewed"}
    assert different(guests, plan, roster) == renewed
    guestlist_clock.advance(timedelta(days=30))
    assert set(different(guests, plan, roster).values()) == {"was pending, and is now expired"}


def test_somebody_who_left_and_came_back(
    guests: Guestlist, tmp_path: Path, guestlist_accept: Accept
) -> None:
    guests.invite(ADA, account="betterauth", role="member")
    guestlist_accept(ADA, service="betterauth")
    roster = [want("betterauth", ADA, "admin")]
    plan = written(guests, tmp_path / "plan", roster)
    guests.remove(ADA, account="betterauth")
    assert set(different(guests, plan, roster).values()) == {"was accepted, and is now not invited"}
    guests.invite(ADA, account="betterauth", role="member")
    guestlist_accept(ADA, service="betterauth")
    assert len(different(guests, plan, roster)) == 2


def test_another_account_under_the_same_name(
    guests: Guestlist, guestlist_accounts: dict[str, Any], tmp_path: Path
) -> None:
    plan = written(guests, tmp_path / "plan")
    other = guestlist_accounts["betterauth"].model_copy(update={"organization_id": "another"})
    with (
        Guestlist({**guestlist_accounts, "betterauth": other}) as others,
        pytest.raises(ConfigError, match="another account 'betterauth'"),
    ):
        list(iter_outdated_changes(others, plan, ROSTER))


def test_an_account_that_cannot_be_read_again(
    guests: Guestlist, guestlist_accounts: dict[str, Any], tmp_path: Path
) -> None:
    """Nobody can say that nothing has moved. Another key is no other account."""
    plan = written(guests, tmp_path / "plan")
    other = guestlist_accounts["betterauth"].model_copy(update={"token": "wrong"})
    with Guestlist({**guestlist_accounts, "betterauth": other}) as others:
        with pytest.raises(Unauthorized) as caught:
            list(iter_outdated_changes(others, plan, ROSTER))
        assert caught.value.account == "betterauth"


def test_what_cannot_be_done_rests_on_nothing(guests: Guestlist, tmp_path: Path) -> None:
    plan = written(guests, tmp_path / "plan", [want("aitronos", ADA)])
    [change] = plan.changes()
    assert isinstance(change, Change)
    guests.invite(ADA, account="aitronos", role="Member")
    assert different(guests, plan) == {}


def test_a_file_that_is_replaced_by_one_with_as_many_changes_is_noticed(
    guests: Guestlist, tmp_path: Path
) -> None:
    plan = written(guests, tmp_path / "plan", [want("vultr", ADA)])
    other = written(guests, tmp_path / "other", [want("vultr", BEA)])
    assert plan.summary.counts == other.summary.counts
    other.path.replace(plan.path)
    with pytest.raises(ConfigError, match="has changed since it was opened"):
        list(plan.changes())
    with pytest.raises(ConfigError, match="has changed since it was opened"):
        list(iter_outdated_changes(guests, plan, ROSTER))


# ---------------------------------------------------------------------------- edited files


def edited(plan: PlanFile, **changed: Any) -> PlanFile:
    """Edits the first change of a plan that has these fields, and saves a plan with a new digest,
    as somebody can who wants to deceive."""
    done = False

    def changes() -> Iterator[str]:
        nonlocal done
        done = False
        for change in plan.changes():
            some = {} if done or not changed.keys() <= change.model_fields_set else changed
            done = done or bool(some)
            yield change.model_copy(update=some).model_dump_json(exclude_defaults=True)

    path = plan.path.with_name("edited")
    write_plan(path, plan.summary, changes)
    assert done
    return read_plan(path)


def test_an_edited_file_is_noticed(guests: Guestlist, tmp_path: Path) -> None:
    plan = written(guests, tmp_path / "plan")
    text = plan.path.read_text()
    for old, new in ((ADA, BEA), ('"reason":"', '"reason":"x'), ('"over":[]', '"over":null')):
        assert old in text
        plan.path.write_text(text.replace(old, new))
        with pytest.raises(ConfigError, match=r"was changed after it was made|is not a plan"):
            read_plan(plan.path)


def test_a_change_for_somebody_else_than_the_roster_names_is_refused(
    guests: Guestlist, tmp_path: Path
) -> None:
    """Also if the digest was computed again."""
    roster = [want("vultr", ADA)]
    plan = written(guests, tmp_path / "plan", roster)
    assert different(guests, plan, roster) == {}
    assert different(guests, edited(plan, email=BEA), roster) == {
        ("vultr", BEA, "invite"): "is not the person for whom the plan was made"
    }
    assert different(guests, edited(plan, email=BEA, key=BEA), roster) == {
        ("vultr", BEA, "invite"): "is not in the roster now"
    }
    assert different(guests, plan, [want("betterauth", ADA, "member")]) == {
        ("vultr", ADA, "invite"): "is not in the roster now"
    }
    other = plan.summary.model_copy(update={"counts": {"vultr": {Action.REMOVE: 1}}})
    bodies = [change.model_dump_json() for change in plan.changes()]
    write_plan(plan.path, other, lambda: bodies)
    with pytest.raises(ConfigError, match=":2: this line is not a change of this plan"):
        different(guests, read_plan(plan.path), roster)


def test_only_people_outside_the_roster_are_removed(guests: Guestlist, tmp_path: Path) -> None:
    roster = [want("vultr", ADA)]
    plan = written(guests, tmp_path / "plan", roster, accounts=["vultr"], prune=True)
    assert different(guests, plan, roster) == {}
    removal = ("vultr", LENA, "remove")
    assert different(guests, plan, [*roster, want("vultr", LENA)]) == {
        removal: "is in the roster now"
    }
    protected = frozenset({LENA})
    assert different(guests, plan, roster, protected=protected) == {
        removal: "is protected by the roster now"
    }
    [(found, what)] = different(guests, edited(plan, email=BEA, member=None), roster).items()
    assert (found[1:], what) == ((BEA, "remove"), "the member record was replaced")


def test_a_plan_for_a_person_with_another_address_or_login_is_valid(
    guests: Guestlist, tmp_path: Path
) -> None:
    [first, *_] = guests.members(account="vultr")
    assert first.email
    roster = [want("vultr", ADA, "role:Support")._replace(also=(first.email,))]
    plan = written(guests, tmp_path / "plan", roster)
    assert {change.email for change in plan.changes()} == {ADA}
    assert different(guests, plan, roster) == {}


# ---------------------------------------------------------------------------- roles and days


LISTED: list[Role] = []


def _listed(self: Service, cursor: str | None = None) -> Flow[Page[Role]]:
    yield from ()
    return Page(tuple(LISTED))


@pytest.fixture
def renaming() -> Iterator[Guestlist]:
    """A service whose roles can be renamed and deleted."""
    LISTED[:] = [Role(id="r1", name="superuser"), Role(id="r3", name="reader")]
    kind = service(roles=operation(_listed), most_roles=None)
    with Guestlist({"home": kind()}) as client:
        yield client


def test_a_plan_holds_the_ids_of_roles(renaming: Guestlist, tmp_path: Path) -> None:
    plan = written(renaming, tmp_path / "plan", [want("home", ADA, "reader")])
    assert json.loads(plan.path.read_text().splitlines()[1])["roles"] == [
        {"id": "r3", "name": "reader"}
    ]
    assert different(renaming, plan, [want("home", ADA, "reader")]) == {}


@pytest.mark.parametrize(
    ("roles", "what"),
    [
        (
            [Role(id="r1", name="reader"), Role(id="r3", name="reader (old)")],
            "is about the role reader, which is now called reader (old)",
        ),
        ([Role(id="r1", name="reader")], "is about the role reader, which no longer exists"),
    ],
)
def test_a_role_that_was_renamed_or_deleted_refutes_a_plan(
    renaming: Guestlist, tmp_path: Path, roles: list[Role], what: str
) -> None:
    plan = written(renaming, tmp_path / "plan", [want("home", ADA, "reader")])
    LISTED[:] = roles
    assert different(renaming, plan) == {("home", ADA, "invite"): what}


def test_a_change_holds_until_the_last_day(guests: Guestlist, tmp_path: Path) -> None:
    today = guests.clock.now().date()
    tomorrow = today + timedelta(days=1)
    midnight = datetime(today.year, today.month, today.day, tzinfo=UTC)
    roster = [
        want("vultr", ADA)._replace(ends=tomorrow),
        want("vultr", BEA),
        want("vultr", LENA, "role:Support"),
        want("vultr", LENA, "group:Engineering")._replace(starts=today + timedelta(days=3)),
    ]
    plan = written(guests, tmp_path / "plan", roster)
    assert {one.email: one.until for one in plan.changes()} == {
        ADA: midnight + timedelta(days=2),
        BEA: None,
        LENA: midnight + timedelta(days=3),
    }
    last = midnight + timedelta(days=2, seconds=-1)
    assert list(iter_outdated_changes(guests, plan, roster, now=last)) == []
    [(change, _)] = iter_outdated_changes(guests, plan, roster, now=midnight + timedelta(days=2))
    assert change.email == ADA
    found = iter_outdated_changes(guests, plan, roster, now=LATER)
    later = {change.email: what for change, what in found}
    assert later == {
        ADA: f"was valid only until {today + timedelta(days=2)} 00:00 UTC",
        LENA: f"was valid only until {today + timedelta(days=3)} 00:00 UTC",
    }


LATER = datetime(2999, 1, 1, tzinfo=UTC)
