"""Where days begin and end, and moments instead of days."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.roster.conftest import ACCOUNTS
from tests.roster.services import service

from guestlist import ConfigError, Guestlist
from guestlist.changes import Action
from guestlist.models import Member
from guestlist.roster.file import Roster, read_roster
from guestlist.roster.plan import make_plan
from guestlist.roster.wanted import Wanted

ADA = "ada@example.com"
PERSON = f'[[people]]\nemail = "{ADA}"\naccounts.chat = true\n'


def reads(text: str, **files: str) -> Roster:
    for name, content in files.items():
        Path(name.replace("_", ".")).write_text(content)
    Path("guestlist.toml").write_text(text)
    return read_roster(Path("guestlist.toml"))


def removes(now: datetime, zone: Any = UTC, **days: Any) -> bool:
    """Whether a plan takes a member out."""
    home = service()(people=(Member(id="1", email=ADA),))
    wanted = [Wanted("home", ADA, ADA, **days)]
    with (
        Guestlist({"home": home}) as guests,
        make_plan(guests, wanted, now=now, zone=zone, prune=True) as plan,
    ):
        actions = [change.action for change in plan.changes()]
    assert actions in ([], [Action.REMOVE])
    return bool(actions)


@pytest.mark.parametrize(
    ("zone", "last", "over"),
    [
        ("UTC", "2026-11-29T23:59:59Z", "2026-11-30T00:00:00Z"),
        ("Pacific/Pago_Pago", "2026-11-30T10:59:59Z", "2026-11-30T11:00:00Z"),
        ("Pacific/Kiritimati", "2026-11-29T09:59:59Z", "2026-11-29T10:00:00Z"),
    ],
)
def test_a_last_day_ends_at_midnight_of_the_roster_s_time_zone(
    zone: str, last: str, over: str
) -> None:
    roster = reads(f'timezone = "{zone}"\n{ACCOUNTS}{PERSON}until = 2026-11-29\n')
    day = {"zone": roster.zone, "ends": date(2026, 11, 29)}
    assert not removes(datetime.fromisoformat(last), **day)
    assert removes(datetime.fromisoformat(over), **day)


def test_a_first_day_begins_at_midnight_of_the_roster_s_time_zone() -> None:
    zone = reads(f'timezone = "Europe/Berlin"\n{ACCOUNTS}{PERSON}').zone
    home = service(most_roles=None)()
    wanted = [Wanted("home", ADA, ADA, starts=date(2026, 7, 1))]
    found = []
    for second in (59, 60):
        now = datetime(2026, 6, 30, 21, 59, tzinfo=UTC).replace(second=0)
        now = datetime.fromtimestamp(now.timestamp() + second, UTC)
        with (
            Guestlist({"home": home}) as guests,
            make_plan(guests, wanted, now=now, zone=zone) as plan,
        ):
            found.append([change.action for change in plan.changes()])
    assert found == [[], [Action.INVITE]]


def test_a_moment_with_an_offset() -> None:
    toml = f"{PERSON}from = 2026-01-31T08:00:00+01:00\nuntil = 2026-01-31T18:00:00+01:00\n"
    rows = f"email,from,until\n{ADA},2026-01-31T08:00:00+01:00,2026-01-31 18:00+01:00\n"
    table = '[[people_from]]\nfile = "people.csv"\naccounts.chat = true\n'
    [one, other] = reads(ACCOUNTS + toml + table, people_csv=rows).wanted()
    assert one.starts == other.starts == datetime(2026, 1, 31, 7, tzinfo=UTC)
    assert one.ends == other.ends == datetime(2026, 1, 31, 17, tzinfo=UTC)
    assert not removes(datetime(2026, 1, 31, 16, 59, tzinfo=UTC), ends=one.ends)
    assert removes(datetime(2026, 1, 31, 17, tzinfo=UTC), ends=one.ends)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f'timezone = "Berlin"\n{ACCOUNTS}',
            "1: timezone: 'Berlin' is not a time zone: write it as",
        ),
        (f"timezone = 1\n{ACCOUNTS}", "1: timezone: 1 is not a time zone"),
        (f'timezone = "../UTC"\n{ACCOUNTS}', "1: timezone: '../UTC' is not a time zone"),
        (
            f"{ACCOUNTS}{PERSON}until = 2026-01-31T18:00:00\n",
            "8: people.1.until: 2026-01-31 18:00:00 is not a day: write a day as 2026-01-31, or a"
            " moment as 2026-01-31T18:00:00+01:00",
        ),
        (
            f"{ACCOUNTS}{PERSON}from = 2026-01-31T18:00:00Z\nuntil = 2026-01-31T17:00:00Z\n",
            "5: people.1: until 2026-01-31 17:00:00+00:00 is before from 2026-01-31 18:00:00+00:00",
        ),
        (
            f"{ACCOUNTS}{PERSON}from = 2026-02-01\nuntil = 2026-01-31T17:00:00Z\n",
            "5: people.1: until 2026-01-31 17:00:00+00:00 is before from 2026-02-01",
        ),
    ],
)
def test_what_is_invalid(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        reads(text)
    assert f"guestlist.toml:{told}" in str(caught.value)


def test_the_last_day_there_is() -> None:
    assert not removes(datetime(2026, 1, 31, tzinfo=UTC), ends=date.max)
