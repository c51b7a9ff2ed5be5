"""Who a person is: other addresses, logins, several invitations, members without an address."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.roster.services import ADMIN, EDITOR, READER, service

from guestlist import ConfigError, Guestlist
from guestlist.address import person_key
from guestlist.changes import Action, Change
from guestlist.models import Invitation, Member, MemberState, State
from guestlist.provider import setting
from guestlist.roster.diff import Note
from guestlist.roster.limits import Limits
from guestlist.roster.plan import Plan, make_plan
from guestlist.roster.wanted import Wanted

ADA, BEA = "ada@example.com", "bea@example.com"
NOW = datetime(2026, 11, 30, tzinfo=UTC)
HIDDEN: dict[str, Any] = {"members_show_emails": False}


def want(email: str = ADA, *roles: str, also: tuple[str, ...] = (), login: str = "") -> Wanted:
    key = person_key(email, login)
    name = login or None
    return Wanted("home", key, email, roles or None, place="a.toml:1", also=also, login=name)


def invited(email: str | None = ADA, *roles: Any, id: str = "i-1", **facts: Any) -> Invitation:
    facts = {"state": State.PENDING, "created_at": NOW - timedelta(days=2), **facts}
    return Invitation(id=id, email=email, roles=roles, **facts)


def accepted(email: str = ADA, **facts: Any) -> Invitation:
    when = NOW - timedelta(days=1)
    return invited(email, state=State.ACCEPTED, responded_at=when, **facts)


def member(email: str | None, *roles: Any, id: str = "m-1", **facts: Any) -> Member:
    return Member(id=id, email=email, roles=roles, **facts)


@contextmanager
def plan(
    wanted: Iterable[Wanted],
    records: Iterable[Invitation] = (),
    people: Iterable[Member] = (),
    *,
    protected: Iterable[str] = (),
    prune: bool = True,
    **facts: Any,
) -> Iterator[tuple[list[Change], dict[Note, int]]]:
    home = service(**facts)(records=tuple(records), people=tuple(people))
    limits = Limits(protected=frozenset(protected))
    with Guestlist({"home": home}) as guests:
        made: Plan = make_plan(
            guests, wanted, prune=prune, limits=limits, allow_empty=True, now=NOW
        )
        with made:
            assert not made.errors
            yield list(made.changes()), dict(made.summary.notes["home"])


# ---------------------------------------------------------------------------- several invitations


def test_an_open_invitation_that_offers_more_than_wanted_is_withdrawn() -> None:
    both = [invited(ADA, ADMIN, id="i-1"), invited(ADA, READER, id="i-2")]
    with plan([want(ADA, "r")], both, most_roles=1) as ([change], notes):
        assert (change.action, [one.id for one in change.invitations]) == (Action.REVOKE, ["i-1"])
        assert "it offers a, but the roster wants r" in change.reason
        assert notes == {Note.INVITED: 1}


def test_invitations_for_one_wanted_role_each_are_left_alone() -> None:
    both = [invited(ADA, ADMIN, id="i-1"), invited(ADA, READER, id="i-2")]
    with plan([want(ADA, "a", "r")], both, most_roles=None) as (changes, notes):
        assert (changes, notes) == ([], {Note.INVITED: 1})


def test_all_open_invitations_are_replaced_if_none_fits() -> None:
    both = [invited(ADA, ADMIN, id="i-1"), invited(ADA, READER, id="i-2")]
    with plan([want(ADA, "e")], both, most_roles=1) as ([change], _):
        assert (change.action, len(change.invitations)) == (Action.REPLACE, 2)


def test_pruning_withdraws_every_open_invitation() -> None:
    both = [invited(ADA, ADMIN, id="i-1"), invited(ADA, READER, id="i-2")]
    with plan([], both) as ([change], _):
        assert (change.action, len(change.invitations)) == (Action.REVOKE, 2)


def test_pruning_a_member_clears_a_leftover_invitation_too() -> None:
    with plan([], [invited(ADA, ADMIN)], [member(ADA, READER)]) as ([change], _):
        assert (change.action, len(change.invitations)) == (Action.REMOVE, 1)


def test_a_member_who_is_offered_more_than_wanted() -> None:
    people = [member(ADA, READER)]
    with plan([want(ADA, "r")], [invited(ADA, ADMIN)], people, most_roles=1) as ([change], notes):
        assert (change.action, change.state) == (Action.REVOKE, State.ACCEPTED)
        assert "a member has another open invitation: it offers a" in change.reason
        assert notes == {Note.FITS: 1}


# ---------------------------------------------------------------------------- several addresses

PRIVATE = "ada@home.example"


def test_accepted_under_another_address_is_neither_invited_again_nor_removed() -> None:
    with plan([want()], [accepted()], [member(PRIVATE)]) as ([change], notes):
        assert change.action is Action.CANNOT
        assert f"accepted on 2026-11-29, and no member has this address; it could be {PRIVATE}" in (
            change.reason
        )
        assert 'also = ["…"]' in change.reason
        assert notes == {Note.CANDIDATES: 1}


def test_another_address_in_the_roster_is_recognized() -> None:
    for also in (PRIVATE, PRIVATE.upper()):
        with plan([want(also=(also,))], [accepted()], [member(PRIVATE)]) as (changes, notes):
            assert (changes, notes) == ([], {Note.FITS: 1})
    with plan([want(also=(PRIVATE,))], [invited(PRIVATE)]) as (changes, notes):
        assert (changes, notes) == ([], {Note.INVITED: 1})


def test_the_service_names_the_member_who_accepted() -> None:
    people = [member(PRIVATE, id="m-1", user_id="u-7"), member(BEA, id="m-2")]
    with plan([want()], [accepted(user_id="u-7")], people) as (changes, _):
        [lost, other] = sorted(changes, key=lambda one: one.action != Action.CANNOT)
        assert f"it could be {PRIVATE}." in lost.reason
        assert (other.action, other.email) == (Action.REMOVE, BEA)


def test_who_cannot_have_accepted_is_no_candidate() -> None:
    """Members of the roster, members with an invitation of their own, and those who joined before
    the invitation."""
    early = NOW - timedelta(days=30)
    records = [accepted(), accepted(BEA, id="i-2")]
    people = [
        member(BEA, id="m-1"),
        member("cy@example.com", id="m-2"),
        member("di@example.com", id="m-3", joined_at=early),
    ]
    with plan([want(), want("cy@example.com")], records, people, prune=False) as ([change], _):
        assert (change.action, change.reason) == (Action.INVITE, "was a member and has left")


def test_an_address_of_two_people_is_refused() -> None:
    for other in (want(BEA, also=(PRIVATE,)), want(PRIVATE)):
        with (
            pytest.raises(ConfigError, match=f"a.toml:1: '{PRIVATE}' belongs to two people"),
            plan([want(also=(PRIVATE,)), other]),
        ):
            pass


# ---------------------------------------------------------------------------- logins


def test_an_address_without_a_login_is_unknown_where_members_have_no_address() -> None:
    people = [member(None, login="ada-l")]
    with plan([want()], (), people, **HIDDEN) as ([change], notes):
        assert change.action is Action.CANNOT
        assert "does not show the addresses of members, and no login is known" in change.reason
        assert 'Write logins.home = "…" into the roster.' in change.reason
        assert notes == {Note.CANDIDATES: 1}  # never removed: it may be her


def test_a_login_in_the_roster_is_recognized() -> None:
    people = [member(None, login="Ada-L")]
    with plan([want(login="ada-l")], (), people, **HIDDEN) as (changes, notes):
        assert (changes, notes) == ([], {Note.FITS: 1})


def test_a_known_login_that_is_no_member_is_invited() -> None:
    with plan([want(login="ada-l")], (), [member(None, login="bea")], **HIDDEN) as (changes, _):
        assert [(one.action, one.label) for one in changes] == [
            (Action.INVITE, ADA),
            (Action.REMOVE, "bea"),
        ]
        assert (changes[0].login, changes[1].login) == ("ada-l", "bea")


def test_a_person_with_a_login_only() -> None:
    with plan([want("", login="ada-l")], (), [member(None, login="ada-l")], **HIDDEN) as found:
        assert found == ([], {Note.FITS: 1})
    with plan([want("", login="ada-l")], **HIDDEN) as ([change], _):
        assert (change.action, change.label) == (Action.CANNOT, "ada-l")
        assert change.reason == "is not a member, and the roster has no email address to invite"


def test_an_open_invitation_by_login_is_recognized() -> None:
    records = [invited(None, login="Ada-L")]
    with plan([want(login="ada-l")], records, **HIDDEN) as (changes, notes):
        assert (changes, notes) == ([], {Note.INVITED: 1})


def test_an_open_invitation_by_login_may_be_of_a_person_without_a_known_login() -> None:
    records = [invited(None, login="ada-l")]
    with plan([want()], records, **HIDDEN) as ([change], notes):
        assert (change.action, change.email) == (Action.CANNOT, ADA)
        assert notes == {Note.CANDIDATES: 1}
    both = [*records, invited(ADA, id="i-2")]
    with plan([want()], both, **HIDDEN) as ([change], notes):  # the person is known to be invited
        assert (change.action, change.label) == (Action.REVOKE, "ada-l")
        assert notes == {Note.INVITED: 1}


@pytest.mark.parametrize("name", ["ada-l", "@Ada-L"])
def test_an_invited_person_is_protected_by_login(name: str) -> None:
    records = [invited(None, login="ada-l")]
    with plan([], records, protected=[name], **HIDDEN) as (changes, notes):
        assert (changes, notes) == ([], {Note.KEPT: 1})


@pytest.mark.parametrize(
    "bot", [member("ci-bot"), member(None, login="ci-bot"), member(None), member("")]
)
def test_a_member_whom_a_roster_cannot_name_is_left_alone(bot: Member) -> None:
    with plan([], (), [bot, member(BEA, id="m-2")]) as ([change], notes):
        assert (change.action, change.email) == (Action.REMOVE, BEA)
        assert notes == {Note.UNNAMED: 1}


@pytest.mark.parametrize("name", ["ci-bot", "@CI-Bot", "m-1"])
@pytest.mark.parametrize("prune", [True, False])
def test_a_member_is_protected_by_login_or_id(name: str, prune: bool) -> None:
    bot = member(None, login="ci-bot")
    with plan([], (), [bot], protected=[name], prune=prune, **HIDDEN) as (changes, notes):
        assert (changes, notes) == ([], {Note.KEPT: 1})


# ---------------------------------------------------------------------------- suspended


def test_a_suspended_member_is_not_as_wanted() -> None:
    people = [member(ADA, EDITOR, state=MemberState.SUSPENDED)]
    with plan([want(ADA, "e")], (), people) as (changes, notes):
        assert (changes, notes) == ([], {Note.SUSPENDED: 1})
    with plan([want(ADA, "r")], (), people) as (changes, notes):
        assert [one.action for one in changes] == [Action.ASSIGN_ROLE, Action.UNASSIGN_ROLE]
        assert notes == {Note.SUSPENDED: 1}


# ---------------------------------------------------------------------------- two accounts


def two(kind: Any, one: dict[str, Any], other: dict[str, Any]) -> Guestlist:
    return Guestlist({"home": kind(**one), "away": kind(**other)})


class Keyed(service()):  # type: ignore[misc]
    organization_settings = ("org",)
    key: str = setting("Key", secret=True)
    org: str | None = setting("Organization", default=None)


def test_two_accounts_with_the_same_key_are_refused() -> None:
    with (
        two(Keyed, {"key": "k-12345"}, {"key": "k-12345"}) as guests,
        pytest.raises(ConfigError, match="'away' and 'home' are the same organization") as refused,
    ):
        make_plan(guests, [want()])
    assert "k-12345" not in str(refused.value)


def test_two_accounts_with_the_same_organization_are_refused() -> None:
    one, other = {"key": "k-12345", "org": "acme"}, {"key": "k-67890", "org": "acme"}
    with two(Keyed, one, other) as guests, pytest.raises(ConfigError, match="address and org"):
        make_plan(guests, [want()])


def test_two_organizations_with_the_same_key_are_planned() -> None:
    one, other = {"key": "k-12345", "org": "acme"}, {"key": "k-12345", "org": "other"}
    with two(Keyed, one, other) as guests, make_plan(guests, [want()]) as made:
        assert not made.errors


def test_two_accounts_that_list_the_same_invitation_are_refused() -> None:
    both = (invited(BEA),)
    one, other = {"key": "k-12345", "records": both}, {"key": "k-67890", "records": both}
    with two(Keyed, one, other) as guests, make_plan(guests, [want()]) as made:
        assert set(made.errors) == {"home", "away"}
        assert "both list the same invitation" in str(made.errors["home"])
        assert not list(made.changes())
