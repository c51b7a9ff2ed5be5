"""Plans against the imitations of all services, over real HTTP; nothing waits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest

from guestlist import ConfigError, Guestlist, UnknownAccount, email_key
from guestlist.changes import Action, Change, RoleRef, label
from guestlist.models import State
from guestlist.roster.limits import Limits
from guestlist.roster.plan import Plan, make_plan
from guestlist.roster.wanted import Wanted
from guestlist.sandbox import Sandbox
from pytest_guestlist.clock import VirtualClock

ADA, BEA = "ada@example.com", "bea@example.com"

Accept = Callable[..., None]


def want(account: str, email: str, *roles: str, **more: Any) -> Wanted:
    """Somebody of whom the roster says the roles, if there are any."""
    return Wanted(account, email_key(email), email, roles or None, **more)


def everybody(guests: Guestlist, account: str) -> list[Wanted]:
    """A roster of those who are there."""
    return [want(account, one.label) for one in guests.members(account=account)]


def short(changes: Iterable[Change]) -> list[tuple[Any, ...]]:
    return [(one.action.value, one.email, *map(label, one.roles)) for one in changes]


def names(roles: Iterable[RoleRef]) -> tuple[str, ...]:
    return tuple(map(label, roles))


def planned(guests: Guestlist, wanted: Iterable[Wanted], **how: Any) -> list[Change]:
    with make_plan(guests, wanted, **how) as plan:
        assert not plan.errors
        return list(plan.changes())


def notes(plan: Plan, account: str) -> dict[str, int]:
    return {note.value: count for note, count in plan.summary.notes[account].items()}


# ---------------------------------------------------------------------------- people come


def test_somebody_who_is_not_there_is_invited(guests: Guestlist) -> None:
    """With the roles that the service takes at once; the others are deferred."""
    wanted = [
        want("vultr", "Ada@Example.com", "Engineering"),
        want("aitronos", ADA, "Member"),
        want("betterauth", ADA, "member", "admin"),
    ]
    with make_plan(guests, wanted) as plan:
        found = {one.account: one for one in plan.changes()}
        assert not plan.nothing
        counts = {name: counted for name, counted in plan.summary.counts.items() if counted}
        assert counts == {name: {Action.INVITE: 1} for name in ("vultr", "aitronos", "betterauth")}
    assert found["vultr"].email == "Ada@Example.com"
    assert found["vultr"].key == ADA
    assert [names(found[name].roles) for name in sorted(found)] == [
        ("Member",),
        ("member", "admin"),
        (),
    ]
    assert [names(found[name].deferred) for name in sorted(found)] == [
        (),
        (),
        ("group:Engineering",),
    ]
    assert {one.state for one in found.values()} == {State.GONE}


@pytest.mark.parametrize("account", ["vultr", "aitronos", "betterauth"])
def test_a_member_who_matches_needs_no_change(guests: Guestlist, account: str) -> None:
    members = everybody(guests, account)
    with make_plan(guests, members, accounts=[account]) as plan:
        assert plan.nothing
        assert list(plan.changes()) == []
        assert notes(plan, account) == {"fits": len(members)}


def test_an_open_invitation_as_it_is_wanted(guests: Guestlist) -> None:
    guests.invite(ADA, account="aitronos", role="Member")
    guests.invite(ADA, account="vultr")
    wanted = [
        want("aitronos", ADA, "Member"),
        want("vultr", ADA, "Engineering", options={"api_enabled": False}),
    ]
    with make_plan(guests, wanted, deferred=[_deferred(ADA, "Engineering")]) as plan:
        assert plan.nothing
        assert notes(plan, "aitronos") == {"invited": 1, "unlisted": 3}
        assert notes(plan, "vultr") == {"invited": 1, "deferred": 1, "unlisted": 3}


def test_an_expired_invitation_is_resent(guests: Guestlist, guestlist_clock: VirtualClock) -> None:
    for account, role in (("vultr", None), ("aitronos", "Member"), ("betterauth", "member")):
        guests.invite(ADA, account=account, role=role)
    guestlist_clock.advance(timedelta(days=8))
    wanted = [
        want("vultr", ADA, "Engineering"),
        want("aitronos", ADA, "Member"),
        want("betterauth", ADA, "member"),
    ]
    found = planned(guests, wanted)
    assert {one.account: one.action for one in found} == {
        "aitronos": Action.RESEND,
        "betterauth": Action.RESEND,
        "vultr": Action.RESEND,
    }
    assert found[0].reason.startswith("the invitation expired on 20")
    assert names(found[-1].deferred) == ("group:Engineering",)


def test_an_expired_invitation_that_offers_something_else_is_made_anew(
    guests: Guestlist, guestlist_clock: VirtualClock
) -> None:
    guests.invite(ADA, account="aitronos", role="Member")
    guestlist_clock.advance(timedelta(days=8))
    assert short(planned(guests, [want("aitronos", ADA, "Admin")])) == [("invite", ADA, "Admin")]


def test_an_open_invitation_that_offers_something_else_is_replaced(guests: Guestlist) -> None:
    guests.invite(ADA, account="aitronos", role="Member")
    [change] = planned(guests, [want("aitronos", ADA, "Admin")])
    assert short([change]) == [("replace", ADA, "Admin")]
    assert change.reason == "the invitation offers Member, but the roster wants Admin"


def test_an_open_invitation_that_cannot_be_withdrawn(guests: Guestlist) -> None:
    """Vultr: what an invitation carries is read back from the service's own words."""
    guests.invite(ADA, account="vultr", options={"api_enabled": False})
    [change] = planned(guests, [want("vultr", ADA, options={"api_enabled": True})])
    assert change.action is Action.CANNOT
    assert change.reason.startswith(
        "the invitation has api_enabled = false, but the roster wants true."
        " Vultr IAM offers no way to revoke an invitation. Let it expire, 3 days"
    )


def test_someone_who_declined_is_left_in_peace(
    guests: Guestlist, guestlist_sandbox: Sandbox
) -> None:
    guests.invite(ADA, account="betterauth", role="member")
    service: Any = guestlist_sandbox.services["betterauth"].service
    service.decline(service.snapshot()["invitations"][-1]["id"])
    wanted = [want("betterauth", ADA, "member")]
    [change] = planned(guests, wanted)
    assert change.action is Action.CANNOT
    assert change.reason.startswith("declined")
    assert "`invite_declined=True`" in change.reason
    assert short(planned(guests, wanted, invite_declined=True)) == [("invite", ADA, "member")]


# ---------------------------------------------------------------------------- what members hold


def test_roles_of_members_are_requested_if_their_records_lack_them(guests: Guestlist) -> None:
    """Lena is in Engineering and has a policy of her own; what her group brings is not hers. Of
    Ines the roster says no roles, so nobody is asked, and nothing is taken."""
    told: list[tuple[str, str, int]] = []
    found = planned(
        guests,
        [
            want("vultr", "lena@example.org", "group:Engineering", "role:Support"),
            want("vultr", "ines@example.org"),
        ],
        accounts=["vultr"],
        progress=lambda *facts: told.append(facts),
    )
    assert short(found) == [
        ("assign_role", "lena@example.org", "Support"),
        ("unassign_role", "lena@example.org", "policy:Invoice Reading"),
    ]
    assert ("vultr", "access", 1) in told
    assert ("vultr", "members", 3) in told


def test_roles_that_are_as_wanted(guests: Guestlist) -> None:
    lena = want("vultr", "lena@example.org", "Engineering", "policy:Invoice Reading")
    assert planned(guests, [lena]) == []


def test_a_role_that_replaces_another(guests: Guestlist) -> None:
    """Aitronos: a member holds one."""
    [change] = planned(guests, [want("aitronos", "sam.support@works.example", "Admin")])
    assert short([change]) == [("assign_role", "sam.support@works.example", "Admin")]
    assert change.reason == "Support -> Admin"


def test_several_roles(guests: Guestlist, guestlist_accept: Accept) -> None:
    guests.invite(ADA, account="betterauth", role="member")
    guestlist_accept(ADA, service="betterauth")
    assert short(planned(guests, [want("betterauth", ADA, "admin")])) == [
        ("assign_role", ADA, "admin"),
        ("unassign_role", ADA, "member"),
    ]


def test_no_role_at_all(guests: Guestlist) -> None:
    """An empty list is something else than none."""
    lena = Wanted("vultr", "lena@example.org", "lena@example.org", ())
    assert short(planned(guests, [lena])) == [
        ("unassign_role", "lena@example.org", "group:Engineering"),
        ("unassign_role", "lena@example.org", "policy:Invoice Reading"),
    ]


def _deferred(email: str, role: str, *, single: bool = False) -> Change:
    return Change(
        action=Action.SETTLE,
        account="vultr",
        key=email,
        email=email,
        roles=(role,),
        single=single,
    )


def test_deferred_grants_are_completed(guests: Guestlist, guestlist_accept: Accept) -> None:
    guests.invite(ADA, account="vultr")
    wanted = [want("vultr", ADA, "Engineering", "Billing Viewer")]
    deferred = [_deferred(ADA, "Engineering")]
    (change,) = planned(guests, wanted, deferred=deferred)  # not accepted yet
    assert (change.action, [label(role) for role in change.deferred]) == (
        "defer",
        ["Billing Viewer"],
    )
    guestlist_accept(ADA, service="vultr")
    assert short(planned(guests, wanted, deferred=deferred)) == [
        ("assign_role", ADA, "Billing Viewer"),
        ("settle", ADA, "group:Engineering"),
    ]


def test_a_deferred_role_that_no_longer_exists_is_withdrawn(guests: Guestlist) -> None:
    guests.invite(ADA, account="vultr")
    deferred = [_deferred(ADA, "gone long since")]
    assert short(planned(guests, [want("vultr", ADA, "Engineering")], deferred=deferred)) == [
        ("withdraw", ADA, "gone long since")
    ]


def test_deferred_grants_in_accounts_that_the_roster_does_not_mention(guests: Guestlist) -> None:
    """What a roster has asked for before is withdrawn; what a single call has, is not."""
    deferred = [_deferred(ADA, "Engineering"), _deferred(BEA, "Engineering", single=True)]
    wanted = [want("aitronos", ADA, "Member")]
    with make_plan(guests, wanted, accounts=["aitronos"], deferred=deferred, prune=True) as plan:
        assert short(plan.changes("vultr")) == [("withdraw", ADA, "Engineering")]
        assert plan.summary.counts["vultr"] == {Action.WITHDRAW: 1}
    with make_plan(
        guests, [*wanted, want("vultr", ADA)], accounts=["aitronos"], deferred=deferred
    ) as plan:
        assert short(plan.changes()) == [("invite", ADA, "Member")], "another plan's"


# ---------------------------------------------------------------------------- people go


@pytest.mark.parametrize("account", ["vultr", "aitronos", "betterauth"])
def test_nobody_is_taken_out_unless_asked(guests: Guestlist, account: str) -> None:
    first, *others = everybody(guests, account)
    with make_plan(guests, [first], accounts=[account]) as plan:
        assert plan.nothing
        assert notes(plan, account)["unlisted"] == len(others)
    found = planned(guests, [first], accounts=[account], prune=True)
    assert short(found) == sorted(("remove", one.email) for one in others)
    kept = Limits(protected=frozenset({others[0].key}))
    found = planned(guests, [first], accounts=[account], prune=True, limits=kept)
    assert len(found) == len(others) - 1


def test_nothing_is_taken_from_the_protected(guests: Guestlist) -> None:
    """No role either, where a member has one and another would be in its place."""
    owner = next(one for one in guests.members(account="aitronos") if one.email)
    [held] = owner.roles or ()
    other = next(one for one in guests.roles(account="aitronos") if one.id != held.id)
    wanted = [want("aitronos", owner.label, other.label)]
    protected = Limits(protected=frozenset({email_key(owner.label)}))
    assert len(planned(guests, wanted, accounts=["aitronos"])) == 1
    assert not planned(guests, wanted, accounts=["aitronos"], limits=protected)


def test_invitations_that_nobody_wants(guests: Guestlist) -> None:
    for account, role in (("vultr", None), ("betterauth", "member")):
        guests.invite(ADA, account=account, role=role)
    wanted = [one for name in ("vultr", "betterauth") for one in everybody(guests, name)]
    found = planned(guests, wanted, accounts=["vultr", "betterauth"], prune=True)
    assert short(found) == [("revoke", ADA), ("cannot", ADA)]
    assert "Let it expire" in found[1].reason


def test_programs_are_no_people(guests: Guestlist, guestlist_sandbox: Sandbox) -> None:
    service: Any = guestlist_sandbox.services["vultr"].service
    service.add_user("robot@example.org", "R", service_user=True)
    people = [one for one in everybody(guests, "vultr") if not one.email.startswith("robot")]
    with make_plan(guests, people, accounts=["vultr"], prune=True) as plan:
        assert list(plan.changes()) == []
        assert notes(plan, "vultr") == {"fits": 3, "programs": 1}


def test_days(guests: Guestlist) -> None:
    """`ends` is the last day that counts, `starts` the first."""
    today = date(2027, 3, 1)
    now = datetime(2027, 3, 1, 12, tzinfo=UTC)
    day = timedelta(days=1)
    lena = want("vultr", "lena@example.org", ends=today)
    for wanted, expected in [
        ([lena], []),
        ([lena._replace(ends=today - day)], [("remove", "lena@example.org")]),
        ([lena._replace(ends=today - day), lena._replace(starts=today, ends=None)], []),
        ([lena._replace(ends=None, starts=today + day)], []),
        ([lena, want("vultr", ADA, starts=today)], [("invite", ADA)]),
        ([lena, want("vultr", ADA, starts=today + day)], []),
        ([lena, want("vultr", ADA, ends=today - day)], []),
    ]:
        others = [want("vultr", f"{name}@example.org") for name in ("ines", "omar")]
        how: dict[str, Any] = {"now": now, "accounts": ["vultr"], "prune": True}
        assert short(planned(guests, [*wanted, *others], **how)) == expected
    with make_plan(
        guests,
        [lena._replace(ends=today - day), want("vultr", ADA, starts=today + day)],
        now=now,
    ) as plan:
        assert notes(plan, "vultr") == {"not yet": 1, "unlisted": 2}
        [over] = plan.changes()
        assert (over.action, over.email) == (Action.CANNOT, "lena@example.org")
        assert over.reason.startswith("was wanted until 2027-02-28 and is still a member")


# ---------------------------------------------------------------------------- what cannot be done


def test_an_unknown_role_is_reported_once(guests: Guestlist) -> None:
    """And nobody is invited without it, and nothing is taken away for its sake."""
    wanted = [want("vultr", f"guest{n}@example.com", "Enginering") for n in range(50)]
    lena = want("vultr", "lena@example.org", "Enginering", "role:Support")
    with make_plan(guests, [*wanted, lena], accounts=["vultr"]) as plan:
        changes = list(plan.changes())
        assert short(changes) == [
            ("assign_role", "lena@example.org", "Support"),
            ("cannot", ""),
        ]
        assert notes(plan, "vultr")["held back"] == 50
    assert changes[1].reason == (
        "there is no role 'Enginering'. The nearest are: group:Engineering, Support Engineer."
        " The roster wants it for 51 people."
    )


def test_an_unknown_role_names_its_place(guests: Guestlist) -> None:
    """That of the role where a TOML file names it, or else the row about the person."""
    wanted = [
        want("vultr", ADA, "Engineering", place="people.csv:2"),
        want("vultr", ADA, "Enginering", place="people.csv:3"),
        want("vultr", BEA, "Enginering", place="people.csv:4"),
    ]
    [change] = planned(guests, wanted, accounts=["vultr"])
    assert change.reason.startswith("people.csv:3: there is no role 'Enginering'. The nearest")
    asked = []

    def place_of(account: str, role: str) -> str:
        asked.append((account, role))
        return "guestlist.toml:7"

    [change] = planned(guests, wanted, accounts=["vultr"], place_of=place_of)
    assert change.reason.startswith("guestlist.toml:7: there is no role 'Enginering'.")
    assert set(asked) == {("vultr", "Enginering")}


def test_an_option_that_there_is_not(guests: Guestlist) -> None:
    [change] = planned(guests, [want("vultr", ADA, options={"api": True})])
    assert change.reason == (
        "Vultr IAM: there is no option 'api'. The options are: api_enabled."
        " The roster wants it for ada@example.com."
    )


def test_a_role_that_the_service_needs(guests: Guestlist) -> None:
    [change] = planned(guests, [want("aitronos", ADA)])
    assert change.action is Action.CANNOT
    assert change.reason == ("Aitronos needs a role for an invitation, and the roster names none.")


def test_more_roles_than_a_member_can_hold(guests: Guestlist) -> None:
    [change] = planned(guests, [want("aitronos", ADA, "Admin", "Member")])
    assert change.reason.startswith(
        "A member of Aitronos has only one of Admin and Member, but the roster has both."
    )


def test_entries_about_one_person_are_taken_together(guests: Guestlist) -> None:
    """All roles; of an option, what comes last; and only what counts today."""
    one = want("vultr", ADA, "Engineering", options={"api_enabled": True})
    two = want("vultr", "ADA@example.com", "Support Engineer", "Engineering")
    [change] = planned(guests, [one, two, want("vultr", ADA)])
    assert names(change.deferred) == ("group:Engineering", "Support Engineer")
    assert change.options == {"api_enabled": True}
    [change] = planned(guests, [one, two._replace(options={"api_enabled": False})])
    assert change.options == {"api_enabled": False}
    over = two._replace(ends=date(2027, 2, 28), options={"api_enabled": False})
    [change] = planned(guests, [one, over], now=datetime(2027, 3, 1, tzinfo=UTC))
    assert names(change.deferred) == ("group:Engineering",)
    assert change.options == {"api_enabled": True}


def test_the_policy_holds(guestlist_accounts: Mapping[str, Any], guestlist_clock: Any) -> None:
    """The same as for `invite`; whoever is in already stays."""
    with Guestlist(
        guestlist_accounts, clock=guestlist_clock, allowed_domains=["example.net"]
    ) as guests:
        [change] = planned(guests, [want("vultr", ADA), want("vultr", "lena@example.org")])
    assert change.email == ADA
    assert "is not in an allowed domain" in change.reason


def test_no_person_gets_too_many_emails(guests: Guestlist) -> None:
    """From all accounts together, with those of the past days."""
    wanted = [want("vultr", ADA), want("betterauth", ADA, "member"), want("vultr", BEA)]
    past = {ADA: 1, BEA: 0}
    limits = Limits(emails_per_person=2)
    found = planned(guests, wanted, limits=limits, emails_sent=past.__getitem__)
    assert short(found) == [("invite", ADA, "member"), ("invite", BEA), ("cannot", ADA)]
    assert found[-1].reason == "had 2 emails in 7 days, and the limit is 2"


@pytest.mark.parametrize(
    ("period", "words"),
    [
        (timedelta(days=14), "14 days"),
        (timedelta(hours=12), "12 hours"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(days=1), "1 day"),
    ],
)
def test_the_period_is_shown_as_it_was_written(
    guests: Guestlist, period: timedelta, words: str
) -> None:
    limits = Limits(emails_per_person=1, period=period)
    [change] = planned(guests, [want("vultr", ADA)], limits=limits, emails_sent=lambda _key: 1)
    assert change.reason == f"had 1 email in {words}, and the limit is 1"


def test_ceilings(guests: Guestlist) -> None:
    wanted = [*everybody(guests, "vultr")[:1], want("vultr", ADA), want("vultr", BEA)]
    how: dict[str, Any] = {"accounts": ["vultr"], "prune": True}
    with make_plan(guests, wanted, limits=Limits(invitations=2, removals=2), **how) as plan:
        assert plan.summary.over == ()
    with make_plan(guests, wanted, limits=Limits(invitations=1, removals=1), **how) as plan:
        assert [str(one) for one in plan.summary.over] == [
            "2 invitations exceed the limit of 1 for one run",
            "2 removals (including revoked invitations) exceed the limit of 1 for one run",
        ]


def test_an_account_is_not_emptied_by_an_empty_roster(guests: Guestlist) -> None:
    over = want("vultr", "lena@example.org", ends=date(2020, 1, 1))
    for roster in ([], [over]):
        how: dict[str, Any] = {"prune": True, "allow_empty": True}
        with make_plan(guests, roster, accounts=["vultr"], **how) as plan:
            assert [str(one) for one in plan.summary.over] == [
                "vultr: the roster has no people for this account, so all 3 would be removed"
            ]


def test_a_roster_without_people_is_an_error_unless_allowed(guests: Guestlist) -> None:
    """It looks the same as one that was cut off."""
    told: list[Any] = []
    with pytest.raises(ConfigError, match="the roster has no people") as caught:
        make_plan(guests, [], progress=lambda *facts: told.append(facts))
    assert "allow_empty" in caught.value.hint
    assert told == []
    with make_plan(guests, [], allow_empty=True) as plan:
        assert plan.nothing


# ---------------------------------------------------------------------------- accounts


def test_an_account_that_cannot_be_read_stops_no_other(
    guestlist_accounts: dict[str, Any], guestlist_clock: Any
) -> None:
    key = {"api_key": "wrong"}
    accounts = {**guestlist_accounts, "bad": guestlist_accounts["vultr"].model_copy(update=key)}
    wanted = [want("bad", ADA), want("vultr", ADA), want("claud", ADA)]
    with (
        Guestlist(accounts, clock=guestlist_clock) as guests,
        make_plan(guests, wanted, prune=True) as plan,
    ):
        assert short(plan.changes("vultr"))[0] == ("invite", ADA)
        assert set(plan.errors) == {"bad", "claud"} == set(plan.summary.errors)
        assert plan.summary.errors["bad"].startswith("bad: ")
        assert "no account 'claud'" in plan.summary.errors["claud"]
        assert "bad" not in plan.summary.counts
        with pytest.raises(KeyError):
            plan.changes("claud")


def test_accounts_that_are_not_meant_are_not_read(guests: Guestlist) -> None:
    told = set()
    wanted = [want("vultr", ADA), want("aitronos", ADA, "no such role"), want("nowhere", ADA)]
    how: dict[str, Any] = {"progress": lambda *facts: told.add(facts[0])}
    assert short(planned(guests, wanted, accounts=["vultr"], **how)) == [("invite", ADA)]
    assert told == {"vultr"}
    with pytest.raises(UnknownAccount):
        make_plan(guests, wanted, accounts=["nowhere"])


def test_a_roster_that_cannot_be_read_asks_no_service(guests: Guestlist) -> None:
    def broken() -> Any:
        yield want("vultr", ADA)
        raise ConfigError("line 2")

    told: list[Any] = []
    with pytest.raises(ConfigError, match="line 2"):
        make_plan(guests, broken(), progress=lambda *facts: told.append(facts))
    assert told == []


def test_a_list_that_repeats_itself_is_no_basis(
    guestlist_accounts: dict[str, Any], guestlist_clock: Any, guestlist_sandbox: Sandbox
) -> None:
    """Who is missing from it would be invited again."""

    class FirstPage(httpx.BaseTransport):
        def __init__(self) -> None:
            self.real = httpx.HTTPTransport()
            self.number = count()
            self.first: dict[str, Any] = {}

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = self.real.handle_request(request)
            body = json.loads(answer.read())
            if "users" in body or "cursor" in request.url.params:
                self.first = self.first or body
                more = {"links": {"next": f"more-{next(self.number)}"}}
                return httpx.Response(200, json={**self.first, "meta": more})
            return httpx.Response(200, json=body)

    transport = FirstPage()
    with (
        transport.real,
        Guestlist(
            {"vultr": guestlist_accounts["vultr"]}, transport=transport, clock=guestlist_clock
        ) as guests,
        make_plan(guests, [want("vultr", ADA)]) as plan,
    ):
        assert "repeats itself" in plan.summary.errors["vultr"]
        assert list(plan.changes()) == []


# ---------------------------------------------------------------------------- order and content


def test_order_of_execution(guests: Guestlist) -> None:
    guests.invite(BEA, account="aitronos", role="Member")
    wanted = [
        want("aitronos", ADA, "Member"),
        want("aitronos", BEA, "Admin"),
        want("aitronos", "sam.support@works.example", "Admin"),
        want("vultr", ADA),
    ]
    found = planned(guests, wanted, prune=True, accounts=["aitronos", "vultr"])
    mine = [one.action.value for one in found if one.account == "aitronos"]
    assert mine[:3] == ["invite", "replace", "assign_role"]
    assert set(mine[3:]) == {"remove"}
    assert [one.account for one in found] == sorted(one.account for one in found)


def test_no_secret_and_nothing_raw_is_in_a_change(guests: Guestlist) -> None:
    result = guests.invite(ADA, account="aitronos", role="Member")
    [change] = planned(guests, [want("aitronos", ADA, "Admin")])
    assert change.invitation is not None
    assert change.invitation.id == result.guest.invitation.id  # type: ignore[union-attr]
    assert change.invitation.link is change.invitation.key is change.invitation.raw is None
