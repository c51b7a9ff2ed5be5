"""`audit` as an application calls it: one test for each kind of finding."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.roster.services import ADMIN, READER, People, service

import guestlist
from guestlist import AsyncGuestlist, AuditResult, ConfigError, Guestlist, InvalidArgument
from guestlist.models import Grant, Invitation, Member, MemberState, State
from guestlist.provider import Flow, Page, operation
from pytest_guestlist.clock import VirtualClock

ADA, BEA = "ada@example.com", "bea@example.org"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)

Audit = Callable[..., AuditResult]


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    """Audits accounts against the people of a roster."""

    def run(people: str = "", head: str = "", options: Any = None, **accounts: Any) -> AuditResult:
        tables = (f'[accounts.{name}]\nprovider = "x"\n' for name in accounts)
        path = tmp_path / "guestlist.toml"
        path.write_text(f"{head}\n{''.join(tables)}\n{people}")
        with Guestlist(accounts, clock=VirtualClock(NOW)) as client:
            return guestlist.audit(path, client=client, **(options or {}))

    return run


def wants(email: str = ADA, account: str = "a", more: str = "") -> str:
    return f'[[people]]\nemail = "{email}"\naccounts.{account} = true\n{more}\n'


def member(email: str | None = ADA, *roles: Any, id: str = "m1", **facts: Any) -> Member:
    return Member(id=id, email=email, **{"roles": roles or (READER,), **facts})


def invited(email: str = ADA, *roles: Any, days: float = 1, **facts: Any) -> Invitation:
    created = NOW - timedelta(days=days)
    return Invitation(
        **{"id": "i1", "state": State.PENDING, **facts},
        email=email,
        roles=roles,
        created_at=created,
    )


def found(result: AuditResult) -> list[tuple[str, str, str, str]]:
    assert not result.errors
    return [(one.kind.value, one.account, one.person, one.detail) for one in result.findings]


def test_who_is_in_the_accounts_and_not_in_the_roster(audit: Audit) -> None:
    a = service()(people=(member(), member(BEA, id="m2")), records=(invited("c@x.org"),))
    b = service()(people=(member(),))
    assert found(audit(wants(), a=a, b=b)) == [
        ("not_in_roster", "a", BEA, "a member"),
        ("not_in_roster", "a", "c@x.org", "invited"),
        ("not_in_roster", "b", ADA, "a member: the roster does not want them here now"),
    ]


def test_a_last_day_that_is_over(audit: Audit) -> None:
    result = audit(wants(more="until = 2026-11-29"), a=service()(people=(member(),)))
    [(kind, _, person, detail)] = found(result)
    assert (kind, person) == ("not_in_roster", ADA)
    assert "does not want them here now" in detail


def test_protected_people_are_no_finding(audit: Audit) -> None:
    head = f'[limits]\nprotected = ["{BEA}", "bot"]'
    people = (member(BEA), member(None, id="m2", login="bot"))
    assert found(audit(head=head, a=service()(people=people))) == []


def test_who_is_in_the_roster_and_missing(audit: Audit) -> None:
    expired = invited("d@x.org", state=State.EXPIRED, days=30)
    roster = wants() + wants(BEA) + wants("d@x.org")
    assert found(audit(roster, a=service()(people=(member(),), records=(expired,)))) == [
        ("missing", "a", BEA, "neither a member nor invited"),
        ("missing", "a", "d@x.org", "the invitation is expired"),
    ]


def test_an_unknown_membership_is_unclear_and_not_missing(audit: Audit) -> None:
    a = service(members_show_emails=False)(people=(member(None, login="ada-l"),))
    assert found(audit(wants(), a=a)) == [
        (
            "not_in_roster",
            "a",
            "ada-l",
            "a member: may be a person of the roster whose login is not known",
        ),
        (
            "unclear",
            "a",
            ADA,
            "Service does not show the addresses of members, and no login is known",
        ),
    ]
    assert found(audit(wants(more='logins.a = "ada-l"'), a=a)) == []


@pytest.mark.parametrize("given", ["file", "argument"])
def test_addresses_outside_the_allowed_domains(audit: Audit, given: str, tmp_path: Path) -> None:
    people, records = (member(), member(BEA, id="m2")), (invited("c@Example.COM"),)
    a = service()(people=people, records=records)
    roster = wants() + wants(BEA) + wants("c@example.com")
    if given == "file":
        path = tmp_path / "guestlist.toml"
        path.write_text(f'allowed_domains = ["example.com"]\n[accounts.a]\nprovider="x"\n{roster}')
        with Guestlist({"a": a}, allowed_domains=["example.com"]) as client:
            result = guestlist.audit(path, client=client)
    else:
        result = audit(roster, options={"allowed_domains": ["example.com"]}, a=a)
    [finding] = result.of(["outside_domain"])
    assert result.of(["outside-domain"]) == [finding]
    with pytest.raises(InvalidArgument, match="no such kind of finding"):
        result.of(["outside"])
    assert (finding.person, finding.detail) == (BEA, f"the address is {BEA}")
    assert "outside_domain" not in [one.kind for one in result.unchecked]


def test_without_allowed_domains_that_is_not_checked(audit: Audit) -> None:
    result = audit(a=service()())
    assert ("outside_domain", "no allowed_domains are set") in [
        (one.kind, one.reason) for one in result.unchecked
    ]


def test_administrators_are_found_where_the_provider_names_their_roles(audit: Audit) -> None:
    facts: dict[str, Any] = {
        "people": (member(ADA, ADMIN, READER),),
        "records": (invited(BEA, ADMIN),),
    }
    known = service(admin_roles=frozenset({"a"}))(**facts)
    result = audit(wants() + wants(BEA), a=known)
    assert found(result) == [("admin", "a", ADA, "has a"), ("admin", "a", BEA, "is invited as a")]
    assert "admin" not in [one.kind for one in result.unchecked]
    result = audit(wants() + wants(BEA), a=service()(**facts))
    assert found(result) == []
    assert ("admin", "it is not known which roles administer Service") in [
        (one.kind, one.reason) for one in result.unchecked
    ]


def test_invitations_that_are_open_for_long(audit: Audit) -> None:
    a = service()(records=(invited(days=8), invited(BEA, id="i2", days=6)))
    roster = wants() + wants(BEA)
    detail = "invited on 2026-11-22, more than 7 days ago"
    assert found(audit(roster, a=a)) == [("pending", "a", ADA, detail)]
    longer = audit(roster, options={"pending_days": 2.5}, a=a)
    assert [one.person for one in longer.of(["pending"])] == [ADA, BEA]


def test_suspended_members(audit: Audit) -> None:
    people = (member(ADA, ADMIN, state=MemberState.SUSPENDED),)
    assert found(audit(wants(), a=service()(people=people))) == [
        ("suspended", "a", ADA, "locked out")
    ]
    hidden = audit(wants(), a=service(hides_suspension=True)(people=(member(),)))
    assert "suspended" in [one.kind for one in hidden.unchecked]


def test_members_without_access(audit: Audit) -> None:
    class Held(service(no_access="Holds nothing.")):  # type: ignore[misc]
        @operation
        def access(self, member: Member) -> Flow[tuple[Grant, ...]]:
            yield from ()
            return (Grant(role=READER),) if member.email == ADA else ()

    unlisted = Held(people=(member(ADA, roles=None), member(BEA, id="m2", roles=None)))
    listed = Held(people=(member(ADA), member(BEA, id="m2", roles=())))
    roster = "".join(wants(email, name) for email in (ADA, BEA) for name in ("a", "b"))
    result = audit(roster, a=unlisted, b=listed)
    assert found(result) == [
        ("no_access", "a", BEA, "Holds nothing."),
        ("no_access", "b", BEA, "Holds nothing."),
    ]
    quick = audit(roster, options={"quick": True}, a=unlisted, b=listed)
    assert [one.account for one in quick.of(["no_access"])] == ["b"]
    assert ("no_access", "a") in [(one.kind, one.account) for one in quick.unchecked]


def test_outside_collaborators(audit: Audit) -> None:
    class Hub(service(members_show_emails=False)):  # type: ignore[misc]
        @operation
        def outside_collaborators(self, cursor: str | None = None) -> Flow[Page[Member]]:
            yield from ()
            first, second = member(None, id="c1", login="eve"), member(BEA, id="c2", roles=())
            return Page((first,), next="2") if cursor is None else Page((second,))

    result = audit(options={"allowed_domains": ["example.com"]}, a=Hub())
    assert found(result) == [
        ("outside_domain", "a", BEA, f"the address is {BEA}"),
        ("outside_collaborator", "a", BEA, "has access without being a member"),
        ("outside_collaborator", "a", "eve", "has r"),
    ]


def test_an_account_that_cannot_be_read_stops_no_other(audit: Audit) -> None:
    class Locked(People):
        name = "locked"

        @operation
        def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
            yield from ()
            raise guestlist.Unauthorized("the key is wrong")

        @operation
        def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
            yield from ()
            return Page(())

    result = audit(wants() + wants(account="b"), a=Locked(), b=service()())
    assert list(result.errors) == ["a"]
    assert [(one.kind, one.account) for one in result.findings] == [("missing", "b")]
    assert {one.account for one in result.unchecked} == {"b"}


def test_an_invalid_domain(audit: Audit) -> None:
    with pytest.raises(ConfigError, match="is not a domain"):
        audit(options={"allowed_domains": ["no domain"]}, a=service()())


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_async(tmp_path: Path, anyio_backend: str) -> None:
    path = tmp_path / "guestlist.toml"
    path.write_text(f'[accounts.a]\nprovider = "x"\n{wants(BEA)}')
    async with AsyncGuestlist({"a": service()(people=(member(),))}) as client:
        result = await guestlist.audit_async(path, client=client)
    assert [(one.kind, one.person) for one in result.findings] == [
        ("not_in_roster", ADA),
        ("missing", BEA),
    ]
