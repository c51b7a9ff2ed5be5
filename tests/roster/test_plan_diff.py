"""What is to be done about one person: every state, on services of every ability."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.roster.services import ADMIN, EDITOR, READER, ROLES, Service, service

from guestlist import Guestlist, InvalidArgument
from guestlist.changes import Action, Change, label
from guestlist.models import (
    Basis,
    Guest,
    Invitation,
    Member,
    MemberState,
    NewInvitation,
    Role,
    State,
)
from guestlist.provider import Flow, Options, operation
from guestlist.roster.desired import AccessResolver, DesiredAccess
from guestlist.roster.diff import AccountRules, DesiredState, Note, differences, replacement_grants
from guestlist.roster.plan import make_plan
from guestlist.roster.wanted import Wanted

ADA = "ada@example.com"
WHEN = datetime(2027, 1, 31, tzinfo=UTC)


class Choice(Options):
    api: bool = False


def wish(kind: type[Service], roles: Sequence[str] | None, **options: Any) -> DesiredAccess:
    return AccessResolver(kind(), ROLES).resolve(json.dumps([roles, options]))


def guest(state: State, *roles: Role, told: bool = True, **more: Any) -> Guest:
    """Somebody in a state, with the record that goes with it, offering or holding the roles."""
    invitation = member = None
    if state is State.ACCEPTED:
        member = Member(id="m", email=ADA, roles=roles if told else None)
    elif state is not State.GONE:
        invitation = Invitation(
            id="i", email=ADA, state=state, roles=roles, expires_at=WHEN, responded_at=WHEN
        )
    facts = {"invitation": invitation, "member": member, **more}
    return Guest(account="home", email=ADA, state=state, **facts)


ANY = service(most_roles=None)
FACTS_OF_ONE: dict[str, Any] = {"most_roles": 1, "least_roles": 1, "exclusive_kinds": ("role",)}
ONE = service(**FACTS_OF_ONE)
LATER = service()
CHOICE = service(Options=Choice)


def no(*operations: str, **facts: Any) -> type[Service]:
    return service(frozenset(operations), **{"most_roles": None, **facts})


def changeable(*without: str, **facts: Any) -> type[Service]:
    """Returns a service that can change the roles of an open invitation."""
    return no(*without, change_invitation=operation(_never), **facts)


def _never(self: Service, invitation: Invitation, roles: tuple[Role, ...]) -> Flow[Invitation]:
    yield from ()
    raise AssertionError("a plan changes nothing")


G, P, X, D, R, U, M = (
    State.GONE,
    State.PENDING,
    State.EXPIRED,
    State.DECLINED,
    State.REVOKED,
    State.UNKNOWN,
    State.ACCEPTED,
)

ONE_CHANGE = ["assign_role e"]

# kind of service, roles wanted (None: not said), where the person stands, what is found
TABLE: list[tuple[Any, Any, Guest, list[str]]] = [
    # nobody there
    (ANY, None, guest(G), ["invite"]),
    (ANY, ["a", "e"], guest(G), ["invite a e"]),
    (ANY, ["a", "a", "r0"], guest(G), ["invite a"]),
    (ONE, ["e"], guest(G), ["invite e"]),
    (LATER, ["a", "e"], guest(G), ["invite, deferred a e"]),
    (service(most_roles=1), ["a", "e"], guest(G), ["invite a, deferred e"]),
    (ONE, None, guest(G), ["cannot: Service needs a role for an invitation"]),
    (ONE, [], guest(G), ["cannot: Service needs a role for an invitation"]),
    (no("invite"), None, guest(G), ["cannot: Service offers no way to invite people"]),
    # ended
    (ANY, ["a"], guest(R, ADMIN), ["invite a"]),
    (ANY, ["a"], guest(X, ADMIN), ["resend"]),
    (ANY, None, guest(X, ADMIN), ["resend"]),
    (ANY, ["a", "e"], guest(X, ADMIN), ["invite a e"]),
    (LATER, ["a"], guest(X), ["resend, deferred a"]),
    (no("resend"), ["a"], guest(X, ADMIN), ["resend"]),
    (no("resend", "revoke"), ["a"], guest(X, ADMIN), ["invite a"]),
    (no("resend", least_roles=1), ["a"], guest(X), ["invite a"]),
    (no("resend", least_roles=1), ["a"], guest(X, ADMIN), ["resend"]),
    (ANY, ["a"], guest(D, ADMIN), ["cannot: declined on 2027-01-31. `invite_declined=True`"]),
    (
        ANY,
        ["a"],
        guest(U, raw_state="Odd"),
        ["cannot: the service reports the invitation's state as 'Odd'"],
    ),
    (ANY, ["a"], guest(U, basis=Basis.INFERRED), ["invite a"]),
    # invited
    (ANY, ["a"], guest(P, ADMIN), ["invited"]),
    (ANY, None, guest(P, ADMIN), ["invited"]),
    (ANY, ["a"], guest(P), ["invited"]),  # it does not tell what it offers
    (ANY, ["a"], guest(State.AWAITING_APPROVAL, ADMIN), ["invited"]),
    (ANY, ["a", "e"], guest(P, ADMIN), ["replace a e"]),
    (ANY, ["a"], guest(P, ADMIN, EDITOR), ["replace a"]),
    (ANY, [], guest(P, ADMIN), ["replace"]),
    (
        no("revoke"),
        ["e"],
        guest(P, ADMIN),
        ["cannot: the invitation offers a, but the roster wants e."],
    ),
    (LATER, ["a", "e"], guest(P), ["invited", "deferred", "deferred", "defer, deferred a e"]),
    (
        service(most_roles=1),
        ["a", "e"],
        guest(P, EDITOR),
        ["invited", "deferred", "defer, deferred a"],
    ),
    (service(most_roles=1), ["a", "e"], guest(P), ["invited", "deferred", "defer, deferred e"]),
    (service(most_roles=1), ["a", "e"], guest(P, READER), ["replace a, deferred e"]),
    (ONE, [], guest(P, ADMIN), ["cannot: Service needs a role for an invitation"]),
    # invited, and the service can change an invitation
    (changeable(), ["a", "e"], guest(P, ADMIN), ["assign_role e"]),
    (changeable(), ["e"], guest(P, ADMIN), ["assign_role e", "unassign_role a"]),
    (changeable(), [], guest(P, ADMIN), ["unassign_role a"]),
    (changeable(), ["a"], guest(P), ["assign_role a"]),
    (changeable("revoke"), ["e"], guest(P, ADMIN), ["assign_role e", "unassign_role a"]),
    (changeable("assign_role"), ["e"], guest(P, ADMIN), ["replace e"]),
    (changeable("unassign_role"), ["e"], guest(P, ADMIN), ["replace e"]),
    (changeable("unassign_role"), ["a", "e"], guest(P, ADMIN), ["assign_role e"]),
    (changeable(most_roles=2), ["r"], guest(P, ADMIN, EDITOR), ["replace r"]),
    (changeable(**FACTS_OF_ONE), ["e"], guest(P, ADMIN), ONE_CHANGE),
    (changeable(**FACTS_OF_ONE), [], guest(P, ADMIN), ["cannot: "]),
    (
        changeable(most_roles=2),
        ["a", "e", "r"],
        guest(P, ADMIN),
        ["assign_role e", "defer, deferred r"],
    ),
    # in
    (ANY, None, guest(M, ADMIN), ["fits"]),
    (ANY, ["a"], guest(M, ADMIN), ["fits"]),
    (ANY, ["e"], guest(M, ADMIN), ["assign_role e", "unassign_role a"]),
    (ANY, ["a", "e"], guest(M, ADMIN), ["assign_role e"]),
    (ANY, [], guest(M, ADMIN, EDITOR), ["unassign_role a", "unassign_role e"]),
    (ANY, [], guest(M, Role(id="r0")), ["unassign_role a"]),  # told by its id alone
    (ANY, ["a"], guest(M, ADMIN, Role(id="own", name="own")), ["fits"]),  # nothing to grant
    (ANY, ["a"], guest(M, ADMIN, Role(id="r1", kind="group")), ["fits"]),
    (ANY, ["a"], guest(M, told=False), ["unseen"]),
    (ANY, ["a"], guest(M, member=None), ["fits"]),  # accepted just now
    (ONE, ["e"], guest(M, ADMIN), ["assign_role e"]),
    (ONE, [], guest(M, ADMIN), ["unassign_role a"]),
    (ONE, ["a", "e"], guest(M, ADMIN), ["held back"]),  # neither in place of the other
    (ONE, ["e", "zzz"], guest(M, ADMIN), ["held back"]),
    (no("assign_role"), ["e"], guest(M), ["cannot e: Service offers no way to assign a role"]),
    # nothing is taken away for what cannot be given
    (
        no("assign_role"),
        ["e"],
        guest(M, ADMIN),
        ["cannot e: Service offers no way to assign a role"],
    ),
    (no("assign_role"), ["e"], guest(M, EDITOR, ADMIN), ["unassign_role a"]),
    (no("assign_role"), [], guest(M, ADMIN), ["unassign_role a"]),
    (
        no("unassign_role"),
        [],
        guest(M, ADMIN),
        ["cannot a: Service offers no way to unassign a role"],
    ),
    (
        no("unassign_role"),
        ["e"],
        guest(M, ADMIN),
        ["assign_role e", "cannot a: Service offers no way"],
    ),
    # problems of the account
    (ANY, ["a", "zzz"], guest(G), ["held back"]),
    (ANY, ["a", "zzz"], guest(X, ADMIN), ["held back"]),
    (ANY, ["a", "zzz"], guest(P, ADMIN), ["held back"]),
    (ANY, ["a", "zzz"], guest(M, EDITOR), ["assign_role a"]),
    (ANY, ["zzz"], guest(M, EDITOR), ["held back"]),
    (ONE, ["a", "e"], guest(G), ["held back"]),
    (no("assign_role", most_roles=1), ["a", "e"], guest(G), ["held back"]),
]


def told(found: Change | Note) -> str:
    if isinstance(found, Note):
        return found.value
    words = " ".join((found.action.value, *map(label, found.roles)))
    if found.deferred:
        words += f", deferred {' '.join(map(label, found.deferred))}"
    return f"{words}: {found.reason}" if found.action is Action.CANNOT else words


def found(kind: type[Service], person: Guest, entry: DesiredState, **rules: Any) -> list[str]:
    carried = rules.pop("carried", None)
    provider = kind()
    facts: dict[str, Any] = {"roles": ROLES, **rules}
    return [
        *map(told, differences(AccountRules("home", provider, **facts), entry, person, carried))
    ]


@pytest.mark.parametrize(("kind", "roles", "person", "expected"), TABLE)
def test_wanted(kind: type[Service], roles: Any, person: Guest, expected: list[str]) -> None:
    came = found(kind, person, DesiredState(ADA, ADA, wish(kind, roles)))
    assert len(came) == len(expected)
    for line, start in zip(came, expected, strict=True):
        assert line.startswith(start) if start.startswith("cannot") else line == start


@pytest.mark.parametrize("state", State)
def test_no_state_is_forgotten(state: State) -> None:
    """Each leads to something that is told, wanted or not."""
    assert found(ANY, guest(state), DesiredState(ADA, ADA, wish(ANY, None)))
    for rules in ({"prune": True}, {}):
        there = state in (M, P, State.AWAITING_APPROVAL)
        assert bool(found(ANY, guest(state), DesiredState(ADA, ADA), **rules)) is there


@pytest.mark.parametrize(
    ("kind", "person", "expected"),
    [
        (ANY, guest(M), "remove"),
        (ANY, guest(P), "revoke"),
        (ANY, guest(State.AWAITING_APPROVAL), "revoke"),
        (no("remove"), guest(M), "cannot: Service offers no way to remove a member"),
        (no("revoke"), guest(P), "cannot: Service offers no way to revoke an invitation"),
        (no("revoke", substitutes={"revoke": "Wait."}), guest(P), "cannot: Service offers no way"),
    ],
)
def test_not_wanted(kind: type[Service], person: Guest, expected: str) -> None:
    entry, ended = DesiredState(ADA, ADA), DesiredState(ADA, ADA, ended="2027-01-31")
    [came] = found(kind, person, entry, prune=True)
    assert came.startswith(expected)
    assert found(kind, person, entry) == ["unlisted"]
    [over] = found(kind, person, ended)
    still = "a member" if person.state is M else "invited"
    assert over.startswith(
        f"cannot: was wanted until 2027-01-31 and is still {still}: only pruning"
    )
    kept = {"protected": frozenset({ADA}), "prune": True}
    assert found(kind, person, entry, **kept) == ["kept"]


def test_reasons_of_withdrawals() -> None:
    for ended, reason in (("", "not in the roster"), ("2027-01-31", "wanted until 2027-01-31")):
        rules = AccountRules("home", ANY(), prune=True)
        [change] = differences(rules, DesiredState(ADA, ADA, ended=ended), guest(M))
        assert isinstance(change, Change)
        assert change.reason == reason


def test_nothing_is_taken_from_those_who_are_kept() -> None:
    entry = DesiredState(ADA, ADA, wish(ANY, ["e"]))
    assert found(ANY, guest(M, ADMIN), entry, protected=frozenset({ADA})) == ["assign_role e"]


def test_declined_and_asked_again() -> None:
    entry = DesiredState(ADA, ADA, wish(ANY, ["e"]))
    assert found(ANY, guest(D), entry, invite_declined=True) == ["invite e"]


def test_deferred_roles() -> None:
    deferred = {("role", "r0"), ("role", "r2")}
    entry = DesiredState(ADA, ADA, wish(LATER, ["a", "e"]), deferred=deferred)
    assert found(LATER, guest(M), entry) == ["settle a", "assign_role e"]
    assert found(LATER, guest(M, told=False), entry) == ["settle a", "unseen"]
    assert found(LATER, guest(M, ADMIN, EDITOR), entry) == ["fits"]
    assert found(LATER, guest(P), entry) == ["invited", "deferred", "deferred", "defer, deferred e"]
    both = replace(entry, deferred={("role", "r0"), ("role", "r1")})
    assert found(LATER, guest(P), both) == ["invited", "deferred", "deferred"]


@pytest.mark.parametrize(
    ("person", "wanted", "expected"),
    [
        # members: only if nobody can see what they hold, roles are deferred instead
        (guest(M), ["e"], []),
        (guest(M, ADMIN), ["e", "r"], []),
        (guest(M, told=False), ["e"], ["e"]),
        # invited: what the invitation does not bring
        (guest(P), ["a", "e"], ["a", "e"]),
        (guest(P, EDITOR), ["a", "e"], ["a"]),
        # nobody there: a new invitation says what is deferred
        (guest(G), ["e"], []),
        (guest(X, ADMIN), ["e"], []),
        # nothing is known of what is wanted
        (guest(P), None, []),
        (guest(P), ["zzz"], []),
    ],
)
def test_what_is_deferred_instead_of_a_withdrawn_grant(
    person: Guest, wanted: Sequence[str] | None, expected: list[str]
) -> None:
    entry = DesiredState(ADA, ADA, wish(LATER, wanted))
    assert [
        role.name for role in replacement_grants(AccountRules("home", LATER()), entry, person)
    ] == expected


def test_an_accepted_member_with_visible_roles_and_a_withdrawn_grant() -> None:
    """What the member lacks is given once, not deferred as well."""
    kind = service(most_roles=0)
    people = (Member(id="m", email=ADA, roles=()),)
    deferred = [Change(action=Action.SETTLE, account="home", key=ADA, email=ADA, roles=(ADMIN,))]
    wanted = [Wanted("home", ADA, ADA, ("e",))]
    with (
        Guestlist({"home": kind(people=people)}) as client,
        make_plan(client, wanted, deferred=deferred) as plan,
    ):
        found = [
            (one.action, [*map(label, one.roles)], [*map(label, one.deferred)])
            for one in plan.changes()
        ]
    assert found == [(Action.ASSIGN_ROLE, ["e"], []), (Action.WITHDRAW, ["a"], [])]


@pytest.mark.parametrize(
    ("state", "options", "carried", "expected"),
    [
        (P, {"api": True}, {"api": True}, "invited"),
        (P, {}, {"api": True}, "invited"),  # the roster does not say
        (P, {"api": True}, None, "invited"),  # nobody can tell
        (P, {"api": True}, {"api": False}, "replace"),
        (X, {"api": True}, {"api": False}, "invite"),
        (X, {"api": False}, {"api": False}, "resend"),
    ],
)
def test_options(state: State, options: Any, carried: Any, expected: str) -> None:
    entry = DesiredState(ADA, ADA, wish(CHOICE, None, **options))
    assert found(CHOICE, guest(state), entry, carried=carried) == [expected]


def test_the_policy_sees_the_order() -> None:
    asked: list[NewInvitation] = []

    def check(new: NewInvitation) -> None:
        asked.append(new)
        raise InvalidArgument("no")

    entry = DesiredState(ADA, "Ada@Example.com", wish(CHOICE, ["a"], api=True))
    assert found(CHOICE, guest(G), entry, check=check) == ["cannot: no."]
    assert asked == [NewInvitation(email="Ada@Example.com", options=Choice(api=True))]
    entry = DesiredState(ADA, ADA, wish(ANY, ["a"]))
    found(ANY, guest(P, EDITOR), entry, check=check)
    assert asked[1].roles == (ADMIN,)
    found(ANY, guest(M), entry, check=check)
    assert len(asked) == 2  # no invitation is made


def test_no_secret_in_a_change() -> None:
    link, key = SecretStr("https://x/k"), SecretStr("k")
    invitation = Invitation(id="i", email=ADA, state=P, roles=(EDITOR,), link=link, key=key)
    person = guest(P, invitation=invitation)
    [change] = differences(
        AccountRules("home", ANY()), DesiredState(ADA, ADA, wish(ANY, ["a"])), person
    )
    assert isinstance(change, Change)
    assert change.invitation == invitation.model_copy(update={"link": None, "key": None})


# ---------------------------------------------------------------------------- the short cut

roles_held = st.sets(st.sampled_from(ROLES)).map(lambda some: tuple(sorted(some, key=str)))
wanted = st.builds(
    Wanted,
    st.just("home"),
    st.just(ADA),
    st.just(ADA),
    st.none() | st.sets(st.sampled_from(["a", "e", "r", "zzz"])).map(lambda s: tuple(sorted(s))),
    st.sampled_from([{}, {"api": True}, {"api": False}]),
    st.sampled_from([None, WHEN.date(), datetime(2027, 6, 1, tzinfo=UTC).date()]),
    st.sampled_from([None, datetime(2027, 6, 1, tzinfo=UTC).date()]),
)
records = st.builds(
    Invitation,
    id=st.sampled_from(["i1", "i2"]),
    email=st.just(ADA),
    state=st.sampled_from(State),
    roles=roles_held,
    raw=st.booleans(),
)
members = st.builds(
    Member,
    id=st.just("m"),
    email=st.just(ADA),
    roles=st.none() | roles_held,
    state=st.sampled_from(MemberState),
)


def copy_of(self: Service, invitation: Invitation) -> NewInvitation:
    """The option is in the service's own answer only."""
    return NewInvitation(email=invitation.email or "", options=Choice(api=invitation.raw))


@pytest.mark.long
@settings(max_examples=40)
@given(
    st.lists(wanted, max_size=2),
    st.lists(records, max_size=2),
    st.lists(members, max_size=1),
    st.sampled_from([0, 1, None]),
    st.booleans(),
)
def test_the_short_cut_says_the_same(
    roster: list[Wanted], there: list[Invitation], inside: list[Member], most: int | None, one: bool
) -> None:
    """People about whom both sides plainly agree are not looked into; to do it would make no
    difference."""
    facts = {
        "Options": Choice,
        "most_roles": most,
        "exclusive_kinds": ("role",) * one,
        "copy_of": copy_of,
    }
    kind = service(frozenset({"access"}), **facts)
    provider = kind(records=tuple(there), people=tuple(inside))
    with Guestlist({"home": provider}) as guests, pytest.MonkeyPatch.context() as patch:
        came = []
        for _ in range(2):
            now = datetime(2027, 3, 1, tzinfo=UTC)
            with make_plan(guests, roster, now=now, allow_empty=True) as plan:
                assert not plan.errors
                came.append((Counter(plan.summary.notes["home"]), list(plan.changes())))
            patch.setattr("guestlist.roster.compare._quick_notes", lambda *_: None)
        assert came[0] == came[1]


TEAM, OTHER = Role(id="t", name="t", kind="team"), Role(id="o", name="o", kind="team")
TEAMS = {
    **FACTS_OF_ONE,
    "mandatory_kinds": ("role",),
    "role_kinds": ("role", "team"),
    "invitation_kinds": ("role",),
}


@pytest.mark.parametrize(
    ("facts", "roles", "where", "expected"),
    [
        ({}, ["e", "team:t"], guest(G), ["invite e, deferred team:t"]),
        ({}, ["team:t", "e"], guest(G), ["invite e, deferred team:t"]),
        (
            {"most_roles": None, "invitation_kinds": None},
            ["e", "team:t"],
            guest(G),
            ["invite e team:t"],
        ),
        ({}, ["team:t"], guest(G), ["cannot: Service needs a role for an invitation"]),
        (
            {"most_roles": None, "invitation_kinds": None},
            ["team:t"],
            guest(G),
            ["cannot: Service needs a role besides team:t for an invitation"],
        ),
        ({}, ["a", "e"], guest(G), ["held back"]),
        ({}, ["e", "team:t"], guest(M, ADMIN, TEAM), ["assign_role e"]),
        (
            {},
            ["e", "team:t"],
            guest(M, ADMIN, OTHER),
            ["assign_role e", "assign_role team:t", "unassign_role team:o"],
        ),
        ({}, ["a"], guest(M, ADMIN, TEAM), ["unassign_role team:t"]),
        (
            {},
            ["team:t"],
            guest(M, ADMIN, TEAM),
            [
                "cannot a: a member of Service always has one role. Assign another one, or remove"
                " the member."
            ],
        ),
    ],
)
def test_a_member_has_one_role_of_an_exclusive_kind(
    facts: dict[str, Any], roles: list[str], where: Guest, expected: list[str]
) -> None:
    """A role of an exclusive kind takes the place of the other, and roles of other kinds stay. Only
    `invitation_kinds` are sent with an invitation."""
    kind = service(**{**TEAMS, **facts})
    resolver = AccessResolver(kind(), (*ROLES, TEAM, OTHER))
    entry = DesiredState(ADA, ADA, resolver.resolve(json.dumps([roles, {}])))
    came = found(kind, where, entry, roles=(*ROLES, TEAM, OTHER))
    assert [line.partition(", and")[0] for line in came] == expected


def test_a_name_that_fits_two_things_is_not_used() -> None:
    """Where a role and a group have one name, the role is taken by its id."""
    both = (Role(id="r", name="Support"), Role(id="g", name="Support", kind="group"))
    wishes = AccessResolver(ANY(), both)
    assert [wishes.word(role) for role in both] == ["r", "group:Support"]


# ---------------------------------------------------------------------------- deferred instead


@pytest.mark.parametrize(
    ("kind", "roles", "person", "expected"),
    [
        (ANY, None, guest(M, told=False), ""),
        (ANY, ["zzz", "a"], guest(M, told=False), ""),
        (ANY, ["a", "e"], guest(M, ADMIN), ""),  # it can be seen what the member lacks
        (ANY, ["a", "e"], guest(M), ""),
        (ANY, ["a", "e"], guest(M, member=None), ""),
        (ANY, ["a", "e"], guest(M, told=False), "a"),
        (ANY, ["a", "e"], guest(P, ADMIN), ""),
        (ANY, ["a", "e", "r"], guest(P, ADMIN), "r"),
        (ANY, ["a", "e"], guest(P), ""),  # it may offer them without saying so
        (LATER, ["a", "e"], guest(P), "a"),
        (LATER, ["a", "e"], guest(X), ""),
        (LATER, ["a", "e"], guest(G), ""),
    ],
)
def test_roles_that_are_deferred_instead_of_withdrawn_ones(
    kind: type[Service], roles: Any, person: Guest, expected: str
) -> None:
    """`e` is deferred already."""
    entry = DesiredState(ADA, ADA, wish(kind, roles), deferred={("role", "r1")})
    rules = AccountRules("home", kind(), roles=ROLES)
    instead = replacement_grants(rules, entry, person)
    assert [role.label for role in instead] == expected.split()
    assert replacement_grants(rules, DesiredState(ADA, ADA), person) == ()


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        (guest(G), "is not there"),
        (guest(X, ADMIN), "the invitation expired on 2027-01-31"),
        (guest(R), "the invitation was revoked"),
        (guest(D), "the invitation was declined"),
        (guest(U, basis=Basis.INFERRED), "was invited, but the invitation is not listed any more"),
        (
            guest(G, invitation=Invitation(id="i", email=ADA, state=State.ACCEPTED)),
            "was a member and has left",
        ),
    ],
)
def test_reasons_of_invitations(person: Guest, reason: str) -> None:
    """Also where an invitation that ended offered something else."""
    rules = AccountRules("home", ANY(), roles=ROLES, invite_declined=True)
    entry = DesiredState(ADA, ADA, wish(ANY, ["e", "r"]))
    [change] = differences(rules, entry, person)
    assert isinstance(change, Change)
    assert (change.action, change.reason) == (Action.INVITE, reason)


def test_reasons_of_replacements_name_roles_and_options() -> None:
    entry = DesiredState(ADA, ADA, wish(service(Options=Choice, most_roles=None), ["e"], api=True))
    rules = AccountRules("home", service(Options=Choice, most_roles=None)(), roles=ROLES)
    [change] = differences(rules, entry, guest(P, Role(id="r0")), {"api": False})
    assert isinstance(change, Change)
    assert change.reason == (
        "the invitation has api = false, but the roster wants true;"
        " it offers a, but the roster wants e"
    )
    none = DesiredState(ADA, ADA, wish(ANY, []))
    [change] = differences(AccountRules("home", ANY(), roles=ROLES), none, guest(P, ADMIN))
    assert isinstance(change, Change)
    assert change.reason == "the invitation offers a, but the roster wants no role"


def test_a_protected_member_keeps_a_role_that_would_be_replaced() -> None:
    kept = {"protected": frozenset({ADA})}
    entry = DesiredState(ADA, ADA, wish(ONE, ["e"]))
    assert found(ONE, guest(M, ADMIN), entry, **kept) == ["kept"]
    assert found(ONE, guest(M, EDITOR), entry, **kept) == ["fits"]
    assert found(ONE, guest(M), entry, **kept) == ["assign_role e"]
