"""`who` as an application calls it: people over all accounts, merged as the roster says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.roster.services import ADMIN, READER, People, service

import guestlist
from guestlist import AsyncGuestlist, ConfigError, Guestlist, Person, UnknownAccount
from guestlist.models import Invitation, Member, MemberState, Role, State
from guestlist.provider import Flow, Page, Provider, operation
from guestlist.runs.progress import ReadingAccount, RunEvent

ADA, BEA, CAL = "ada@example.com", "Bea@example.com", "cal@example.com"
ROSTER = """
[accounts.a]
provider = "x"
[accounts.b]
provider = "x"
[accounts.c]
provider = "x"

[[people]]
email = "ada@example.com"
also = ["ada@old.example"]
logins.b = "Ada-L"
accounts.a = true
accounts.b = true

[[people]]
logins.b = "lola"
logins.c = "lo"
accounts.b = true
accounts.c = true
"""


def member(id: str, email: str | None = None, **facts: Any) -> Member:
    return Member(id=id, email=email, **{"roles": (), **facts})


class Locked(People):
    """A service that lists nobody, because it refuses the key."""

    name = "locked"
    title = "Locked"

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        yield from ()
        raise guestlist.Unauthorized("the key is wrong")

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        yield from ()
        raise guestlist.Unauthorized("the key is wrong")


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "guestlist.toml"
    path.write_text(ROSTER)
    return path


@pytest.fixture
def accounts() -> dict[str, Provider]:
    open_one = Invitation(id="i1", email=BEA, state=State.PENDING, roles=(ADMIN,))
    closed = Invitation(id="i2", email=CAL, state=State.REVOKED)
    plain, logins = service(), service(members_show_emails=False)
    people = (member("m1", ADA, roles=(READER,)), member("m2", CAL, state=MemberState.SUSPENDED))
    return {
        "a": plain(records=(open_one, closed), people=people),
        "b": logins(people=(member("h1", login="ada-l"), member("h2", login="bob"))),
        "c": logins(people=(member("h1", login="bob"), member("h9", login="lo"))),
    }


@pytest.fixture
def client(accounts: dict[str, Provider]) -> Iterator[Guestlist]:
    with Guestlist(accounts) as client:
        yield client


def states(person: Person) -> dict[str, str]:
    return {one.account: one.state.value for one in person.guests}


def test_people_are_merged_by_address_and_as_the_roster_says(
    roster: Path, client: Guestlist
) -> None:
    with guestlist.who(roster, client=client) as people:
        found = {person.label: person for person in people}
        assert [person.key for person in people] == [
            *("@bob", "@bob", "@lola", "ada@example.com", "bea@example.com", "cal@example.com"),
        ]
    ada = found[ADA]
    assert (ada.also, ada.logins, ada.in_roster) == (("ada@old.example",), {"b": "Ada-L"}, True)
    assert states(ada) == {"a": "accepted", "b": "accepted"}
    assert (ada.wanted, ada.unclear) == (("a", "b"), ("c",))
    guest = ada.guest("a")
    assert guest is not None
    assert guest.member is not None
    assert guest.member.roles == (READER,)
    assert states(found["lola"]) == {"c": "accepted"}
    assert found["lola"].logins == {"b": "lola", "c": "lo"}
    assert states(found[BEA]) == {"a": "pending"}
    suspended = found[CAL].guest("a")
    assert suspended is not None
    assert suspended.suspended
    assert not found[BEA].in_roster


def test_equal_logins_of_two_accounts_stay_two_people(client: Guestlist) -> None:
    with guestlist.who(client=client) as people:
        bobs = people.find("@bob")
        assert [states(one) for one in bobs] == [{"b": "accepted"}, {"c": "accepted"}]
        assert [one.label for one in people.find("@ADA-L")] == ["ada-l"]


def test_a_person_is_found_by_every_name(roster: Path, client: Guestlist) -> None:
    with guestlist.who(roster, client=client) as people:
        for name in (ADA, "ADA@old.example", "@ada-l"):
            assert [one.email for one in people.find(name)] == [ADA]
        assert [one.label for one in people.find("@lo")] == ["lola"]
        assert people.find("nobody@example.com") == []


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [("ADA", True), ("old.ex", True), ("ada-?", True), ("*.example", True), ("ada*x", False)],
)
def test_a_pattern_is_a_part_or_has_wildcards(
    pattern: str, matches: bool, roster: Path, client: Guestlist
) -> None:
    with guestlist.who(roster, client=client) as people:
        (ada,) = people.find(ADA)
        assert ada.matches(pattern) is matches


def test_an_account_that_cannot_be_read_stops_no_other(
    roster: Path, accounts: dict[str, Provider]
) -> None:
    events: list[RunEvent] = []
    with (
        Guestlist({**accounts, "b": Locked()}) as client,
        guestlist.who(roster, client=client, on_progress=events.append) as people,
    ):
        assert set(people.errors) == {"b"}
        assert "the key is wrong" in str(people.errors["b"])
        (ada,) = people.find(ADA)
        assert (states(ada), ada.unclear) == ({"a": "accepted"}, ("c",))
    assert {one.account for one in events if isinstance(one, ReadingAccount)} == {"a", "b", "c"}


def test_only_some_accounts(roster: Path, client: Guestlist) -> None:
    with guestlist.who(roster, client=client, accounts=["a"]) as people:
        assert people.accounts == ("a",)
        assert {one.label for one in people if one.guests} == {ADA, BEA, CAL}
    with pytest.raises(UnknownAccount):
        guestlist.who(roster, client=client, accounts=["z"])


def test_roles_are_requested_only_if_asked_for() -> None:
    class Held(service()):  # type: ignore[misc]
        @operation
        def access(self, member: Member) -> Flow[tuple[guestlist.Grant, ...]]:
            yield from ()
            return (guestlist.Grant(role=Role(id="r1")),)

    people = (member("m1", ADA, roles=None),)
    with Guestlist({"a": Held(people=people)}) as client:
        for roles, expected in ((False, None), (True, ["r1"])):
            with guestlist.who(client=client, roles=roles) as found:
                (ada,) = found
                record = ada.guests[0].member
                assert record is not None
                held = record.roles
                assert (held and [one.id for one in held]) == expected


def test_two_people_with_the_same_login_are_an_error(roster: Path, client: Guestlist) -> None:
    roster.write_text(
        ROSTER + '[[people]]\nemail="x@example.com"\nlogins.b="ada-l"\naccounts.b=true'
    )
    with pytest.raises(ConfigError, match="belongs to two people"):
        guestlist.who(roster, client=client)


def test_the_roster_finds_all_names_of_a_person(roster: Path) -> None:
    read = guestlist.Roster.from_file(roster)
    for name in (ADA, "ada@old.example", "@ada-l"):
        found = read.identify(name)
        assert (found.email, found.also, found.logins) == (
            ADA,
            ("ada@old.example",),
            {"b": "Ada-L"},
        )
    assert read.identify("@lo").logins == {"b": "lola", "c": "lo"}
    assert read.identify("new@example.com").email == "new@example.com"
    with pytest.raises(ConfigError, match="no person in the roster has the login @nobody"):
        read.identify("@nobody")


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_async(roster: Path, accounts: dict[str, Provider], anyio_backend: str) -> None:
    events: list[RunEvent] = []

    async def on_progress(event: RunEvent) -> None:
        events.append(event)

    async with AsyncGuestlist(accounts) as client:
        found = await guestlist.who_async(roster, client=client, on_progress=on_progress)
        with found as people:
            assert [states(one) for one in people.find(ADA)] == [{"a": "accepted", "b": "accepted"}]
    assert events
