"""What is particular about GitHub."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from tests.providers.github.kit import client, sandbox

from guestlist import Guestlist
from guestlist.errors import (
    Conflict,
    Forbidden,
    GuestlistError,
    InvalidArgument,
    MalformedResponse,
    NotFound,
    OutcomeUnknown,
    Rejected,
    SeatLimit,
    Unsupported,
)
from guestlist.exchange.account import Budget
from guestlist.exchange.step import Outgoing, SendFailure
from guestlist.models import Member, NewInvitation, Outcome, RemoveOutcome, Role, State
from guestlist.provider import Response
from guestlist_github import GitHub, GitHubOptions
from guestlist_github.sandbox import CLASSIC_TOKENS, OWNER_TOKEN, GitHubService
from pytest_guestlist.conformance import SandboxBackend
from pytest_guestlist.conformance.clients import WiredGuestlist

ADA, BOB = "ada@example.com", "bob@example.com"
DOCS = Role(id="docs", name="Docs", kind="team")
NOW = datetime(2026, 5, 4, 9, 15, tzinfo=UTC)


class Home:
    """An organization in this process, in virtual time."""

    def __init__(self, **switches: str) -> None:
        self.backend = SandboxBackend(GitHubService, GitHub, **switches)
        self.service: Any = self.backend.service
        self.wire = self.backend.wire()
        self.sent: list[tuple[str, str]] = []
        self.statuses: Counter[int] = Counter()
        self.guests = WiredGuestlist(
            {"github": self.backend.provider()},
            transport=self,
            clock=self.backend.clock,
            budget=Budget(total=4 * 86400.0),
        )

    def send(self, outgoing: Outgoing) -> Response | SendFailure:
        answer = self.wire.send(outgoing)
        self.sent.append((outgoing.method, httpx.URL(outgoing.url).path))
        if isinstance(answer, Response):
            self.statuses[answer.status] += 1
        return answer

    def changes(self) -> list[tuple[str, str]]:
        return [one for one in self.sent if one[0] != "GET"]

    def join(self, email: str, **more: Any) -> str:
        """Invites a person who accepts, and returns the login."""
        result = self.guests.invite(email, **more)
        assert result.guest.invitation is not None
        self.service.accept(str(result.guest.invitation.id))
        login: str = self.service.organization.person_with(email).login
        self.sent.clear()
        return login

    def emails(self, address: str) -> int:
        return self.backend.emails(address)


@pytest.fixture
def home() -> Home:
    return Home()


# ---------------------------------------------------------------------------- identity


@pytest.mark.parametrize("duplicates", ["refuse", "allow"])
@pytest.mark.parametrize("expired", ["free", "block"])
def test_nobody_is_invited_twice(duplicates: str, expired: str) -> None:
    home = Home(duplicates=duplicates, expired_invitations=expired)
    home.join(ADA)
    again = home.guests.invite(ADA)
    assert (again.outcome, again.email_sent) == (Outcome.ALREADY_MEMBER, False)
    assert "refused the invitation: A user with this email" in again.warnings[0]
    home.guests.invite(BOB)
    assert home.guests.invite(BOB).outcome is Outcome.ALREADY_INVITED
    home.backend.forward(timedelta(days=8))
    assert home.guests.status(BOB).state is State.EXPIRED
    assert home.guests.invite(BOB).outcome is Outcome.INVITED
    assert (home.emails(ADA), home.emails(BOB)) == (1, 2)


def test_an_address_that_no_list_shows_is_unknown_and_never_gone(home: Home) -> None:
    login = home.join(ADA)
    for address in (ADA, "nobody@example.com"):
        guest = home.guests.status(address)
        assert guest.state is State.UNKNOWN
        assert "GitHub does not show the addresses of members" in (guest.unidentified or "")
        for verb in (home.guests.remove, home.guests.access):
            with pytest.raises(Conflict, match=r"it is unknown whether .* no login is known"):
                verb(address)
        with pytest.raises(Conflict, match="it is unknown whether"):
            home.guests.assign_role(address, "team:Docs")
    assert home.changes() == []
    assert home.guests.status(ADA, login=login).state is State.ACCEPTED
    assert home.guests.status("@someone-else").state is State.GONE
    assert home.guests.remove(f"@{login}").outcome is RemoveOutcome.REMOVED


def test_an_expired_invitation_does_not_prove_that_a_person_is_no_member(home: Home) -> None:
    home.guests.invite(ADA)
    home.backend.forward(timedelta(days=8))
    assert home.guests.status(ADA).state is State.EXPIRED
    for verb in (home.guests.remove, home.guests.access):
        with pytest.raises(Conflict, match="it is unknown whether"):
            verb(ADA)


def test_errors_name_a_person_by_the_login(home: Home) -> None:
    with pytest.raises(Conflict, match=r"^github: someone-else is not a member: not invited"):
        home.guests.assign_role("@someone-else", "team:Docs")
    with pytest.raises(NotFound, match="no invitation shows the login someone-else"):
        home.guests.resend("@someone-else")


def test_a_login_is_looked_up_with_one_request(home: Home) -> None:
    login = home.join(ADA)
    guest = home.guests.status(f"@{login.upper()}")
    assert guest.state is State.ACCEPTED
    assert [path for _, path in home.sent if "members" in path] == [
        f"/orgs/octo-works/memberships/{login.upper()}"
    ]


@pytest.mark.parametrize("addresses", ["hidden", "shown"])
def test_a_person_is_invited_by_login(addresses: str) -> None:
    home = Home(addresses=addresses)
    result = home.guests.invite("nina@work.example", login="nina-dev", role="team:Docs")
    invitation = result.guest.invitation
    assert invitation is not None
    assert (result.outcome, invitation.login) == (Outcome.INVITED, "nina-dev")
    assert [role.label for role in invitation.roles] == ["team:Docs"]
    assert home.emails("nina@example.org") == 1  # GitHub writes to the account's own address
    again = home.guests.invite("nina@work.example", login="Nina-Dev")
    assert again.outcome is Outcome.ALREADY_INVITED
    assert home.guests.status("@nina-dev").state is State.PENDING
    assert home.guests.resend("@nina-dev").outcome is Outcome.RESENT
    assert home.emails("nina@example.org") == 2
    if addresses == "hidden":
        for verb in (home.guests.revoke, home.guests.resend):
            with pytest.raises(MalformedResponse, match="it shows only the login nina-dev") as one:
                verb("nina@example.org")
            assert "cannot be read" not in one.value.message
            assert one.value.hint == "Nothing was sent. Name the person by the login."
    home.guests.revoke("@nina-dev")
    assert home.guests.status("@nina-dev").state is State.GONE


def test_an_unresolved_call_about_a_login_does_not_concern_another(home: Home) -> None:
    def lose(outgoing: Outgoing) -> Response | SendFailure:
        return SendFailure("lost", sent=True) if outgoing.method == "POST" else wire.send(outgoing)

    for login in ("nina-dev", "oskar-out"):
        home.guests.invite(f"{login}@work.example", login=login)
    impatient = home.guests.with_budget(total=20)
    wire: Any = home.wire
    home.wire = cast(Any, SimpleNamespace(send=lose))
    with pytest.raises(OutcomeUnknown):
        impatient.resend("@nina-dev")
    home.wire = wire
    assert impatient.resend("@oskar-out").outcome is Outcome.RESENT


def test_the_last_owner_cannot_leave_and_the_hint_says_what_to_do(home: Home) -> None:
    for change in (home.guests.remove, partial(home.guests.unassign_role, role="admin")):
        with pytest.raises(Forbidden) as caught:
            change("@olga-octo")
        assert "make another member an owner first" in caught.value.hint


def test_an_unknown_login_is_refused_before_anything_is_sent(home: Home) -> None:
    with pytest.raises(NotFound):
        home.guests.invite(ADA, login="no-such-login")
    assert home.changes() == []


def test_a_billing_manager_whom_the_list_of_members_lacks_is_not_invited_again(home: Home) -> None:
    login = home.join(ADA, role="billing_manager")
    assert login not in [one.login for one in home.guests.members()]
    assert home.guests.invite(ADA, login=login).outcome is Outcome.ALREADY_MEMBER
    new = NewInvitation(email=ADA, login=login, roles=(Role(id="billing_manager"),))
    with pytest.raises(Conflict, match="is a member or invited already"):
        home.guests.call(GitHub.invite, new)
    assert home.changes() == []


# ---------------------------------------------------------------------------- roles


def test_members_have_their_role_and_direct_teams(home: Home) -> None:
    member = home.service.organization.record_of(home.service.person("omar-m"))
    home.service.organization.assign(member, home.service.organization.role("on-call"))
    found = {one.login: [role.label for role in one.roles or ()] for one in home.guests.members()}
    assert found == {
        "olga-octo": ["admin"],
        "lena-lead": ["team:Platform"],
        "omar-m": ["team:On-Call"],
    }
    grants = home.guests.access("@omar-m").grants
    assert {one.role.label: one.direct for one in grants} == {
        "team:Platform": False,
        "team:On-Call": True,
    }


def test_an_owner_becomes_a_plain_member_again(home: Home) -> None:
    home.guests.assign_role("@omar-m", "admin")
    assert [one.role.label for one in home.guests.access("@omar-m").grants] == ["admin"]
    home.guests.unassign_role("@omar-m", "admin")
    assert home.guests.access("@omar-m").grants == ()


@pytest.mark.parametrize(
    ("role", "why"),
    [("member", "everyone in the organization"), ("billing_manager", "by invitation only")],
)
def test_some_roles_cannot_be_assigned(home: Home, role: str, why: str) -> None:
    with pytest.raises(Unsupported, match=why):
        home.guests.assign_role("@omar-m", role)
    assert home.changes() == []


def test_a_former_member_is_reinstated(home: Home) -> None:
    home.guests.remove("@lena-lead")
    result = home.guests.invite("lena@example.org", options={"reinstate": True})
    assert result.outcome is Outcome.INVITED
    found = home.guests.status("lena@example.org").invitation
    assert found is not None
    assert [one.label for one in found.roles] == ["team:Platform"]
    with pytest.raises(InvalidArgument, match="gets the previous roles"):
        home.guests.invite(ADA, role="team:Docs", options={"reinstate": True})
    with pytest.raises(Rejected) as refused:
        home.guests.invite(ADA, options={"reinstate": True})
    assert "never a member" in (refused.value.hint or "")


def test_a_billing_manager_is_not_made_a_member(home: Home) -> None:
    login = home.join(ADA, role="billing_manager")
    with pytest.raises(InvalidArgument, match="cannot be taken away alone"):
        home.guests.unassign_role(f"@{login}", "billing_manager")
    assert home.changes() == []


def test_an_invitation_has_one_role_in_the_organization(home: Home) -> None:
    with pytest.raises(GuestlistError):
        home.guests.invite(ADA, role=["admin", "billing_manager"])
    assert home.changes() == []


def test_outside_collaborators_are_listed(home: Home) -> None:
    page = home.guests.call(GitHub.outside_collaborators, None)
    assert [(one.login, one.email) for one in page.items] == [("oskar-out", None)]
    assert GitHub.supports("outside_collaborators")


def provider(**settings: Any) -> GitHub:
    return GitHub(org="octo-works", token="t-1234567", **settings)


# ---------------------------------------------------------------------------- pages


@pytest.mark.parametrize("origin", ["https://api.github.com", "https://evil.example"])
def test_only_the_number_of_a_page_is_taken_from_a_link(origin: str) -> None:
    link = f'<{origin}/orgs/x/members?page=2&token=y>; rel="next", <{origin}/>; rel="last"'
    flow = GitHub.roles(provider(), "1")
    next(flow)
    with pytest.raises(StopIteration) as done:
        flow.send(Response(200, {"link": link}, b"[]"))
    assert done.value.value.next == "page:2"
    request = next(GitHub.roles(provider(), "page:2"))
    assert (request.path, request.origin) == (("orgs", "octo-works", "teams"), "base_url")


def test_an_enterprise_server_is_reached_by_its_url() -> None:
    server = provider(base_url="https://github.example.com/api/v3")
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(404, json={"message": "Not Found"})

    with (
        Guestlist({"ghes": server}, transport=httpx.MockTransport(answer)) as guests,
        pytest.raises(NotFound, match="GitHub Enterprise Server has no invitations"),
    ):
        guests.invite(ADA)
    assert str(sent[0].url).startswith("https://github.example.com/api/v3/orgs/octo-works/")


# ---------------------------------------------------------------------------- limits


@pytest.mark.parametrize("status", ["403", "429"])
@pytest.mark.parametrize("sent", ["sent", "left_out"])
def test_a_bulk_that_others_disturb_waits(status: str, sent: str) -> None:
    home = Home(rate="on", limit_status=status, retry_after=sent)
    for _ in range(80):  # others have used up the limit of this minute
        home.service.creations.take(OWNER_TOKEN, home.service.clock.seconds())
    assert home.guests.invite(ADA).outcome is Outcome.INVITED
    assert home.statuses[int(status)] == 1
    assert home.backend.clock.now() - NOW >= timedelta(seconds=59)
    assert home.emails(ADA) == 1


def test_a_bulk_of_500_meets_no_limit() -> None:
    home = Home(rate="on")
    for number in range(500):  # as a run does, which has read the lists before
        home.guests.call(GitHub.invite, NewInvitation(email=f"p{number}@example.com"))
    assert home.statuses == {201: 500}
    assert len(home.service.outbox.emails) == 500
    assert home.backend.clock.now() - NOW < timedelta(hours=25)


def test_a_young_organization_has_50_invitations_a_day() -> None:
    limits = {one.per: one.count for one in provider(invitations_per_day=50).limits if one.per > 60}
    assert limits[86400.0] == 50
    kinds = ["requests", "reading requests", "changes", *["invitations"] * 3]
    assert [one.what for one in provider().limits] == kinds


def test_check_refuses_a_classic_token_that_may_only_read() -> None:
    owner, reader = CLASSIC_TOKENS
    with sandbox() as (service, url):
        with client(service, url, token=owner) as guests:
            assert guests.check() == "Octo Works"
        with (
            client(service, url, token=reader) as guests,
            pytest.raises(Forbidden, match="only the scopes read:org, repo") as refused,
        ):
            guests.check()
    assert "admin:org" in refused.value.hint


def test_a_full_organization() -> None:
    home = Home(seats="5")
    home.guests.invite(ADA)
    home.guests.invite(BOB)
    with pytest.raises(SeatLimit, match="purchase at least one more seat"):
        home.guests.invite("cy@example.com")
    assert home.guests.invite(ADA).outcome is Outcome.ALREADY_INVITED


def test_a_record_without_a_login_is_looked_up() -> None:
    home = Home()
    id = home.service.person("omar-m").id
    home.guests.call(GitHub.remove, Member(id=id))
    assert home.changes() == [("DELETE", "/orgs/octo-works/memberships/omar-m")]
    assert GitHubOptions().reinstate is False
