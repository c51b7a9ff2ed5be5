"""People with several invitations, logins, or another address than they were invited with.

The service is a small one of its own: it allows several open invitations of an address.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from guestlist import (
    AsyncGuestlist,
    Guestlist,
    OnboardOutcome,
    Outcome,
    RevokeOutcome,
    State,
    errors,
)
from guestlist.event import Event, EventName
from guestlist.models import Basis, Invitation, Member, MemberState, NewInvitation, Role
from guestlist.provider import Flow, Page, Provider, Request, Response, operation, setting
from pytest_guestlist.clock import VirtualClock

ADA, PRIVATE = "ada@example.com", "ada@home.example"
START = datetime(2026, 11, 30, 12, 30, tzinfo=UTC)


class Club(Provider):
    name = "club"
    title = "Club"
    most_roles = 1
    base_url: str = setting("Where it is", default="https://club.example")

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        roles = [role.id for role in new.roles]
        body = {"email": new.email, "login": new.login, "roles": roles}
        reply = yield Request.post("invitations", json=body)
        return read(reply.mapping())

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        yield Request.delete("invitations", str(invitation.id))

    @operation
    def resend(self, invitation: Invitation) -> Flow[Invitation]:
        reply = yield Request.post("invitations", str(invitation.id), "resend")
        return read(reply.mapping())

    @operation
    def get_invitation(self, id: str) -> Flow[Invitation]:
        reply = yield Request.get("invitations", id)
        return read(reply.mapping())

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        reply = yield Request.get("invitations")
        return Page([read(raw) for raw in reply.items("items")])

    @operation
    def get_member(self, id: str) -> Flow[Member]:
        reply = yield Request.get("members", id)
        return read_member(reply.mapping())

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        reply = yield Request.get("members")
        return Page([read_member(raw) for raw in reply.items("items")])

    @operation
    def remove(self, member: Member) -> Flow[None]:
        yield Request.delete("members", member.id)


class Logins(Club):
    """Members have logins and no addresses."""

    members_show_emails = False


class Refusing(Logins):
    """It refuses to invite a member."""

    @property
    def refuses_members(self) -> bool:
        return True

    def explain(self, response: Response) -> errors.GuestlistError:
        if response.status == 402:
            return errors.SeatLimit("no seat is left")
        return super().explain(response)


class ByLogin(Refusing):
    """The record of an invitation by login does not show the address."""

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        made = yield from super().invite(new.model_copy(update={"email": ""} if new.login else {}))
        return made.model_copy(update={"email": new.email})


class Merging(Logins):
    """It gives a member the role of an invitation, and adds a person with an account at once."""

    @property
    def invites_unknown(self) -> bool:
        return True

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        invitation = yield from super().invite(new)
        if new.email != ADA:
            return invitation
        return invitation.model_copy(update={"state": State.ACCEPTED, "basis": Basis.INFERRED})


def read(raw: Any) -> Invitation:
    return Invitation(
        id=raw["id"],
        email=raw["email"],
        login=raw.get("login"),
        state=raw["state"],
        roles=tuple(Role(id=role) for role in raw["roles"]),
        created_at=START - timedelta(hours=2),
        responded_at=START if raw["state"] == "accepted" else None,
    )


def read_member(raw: Any) -> Member:
    return Member(
        id=raw["id"],
        email=raw.get("email"),
        login=raw.get("login"),
        state=raw.get("state", MemberState.ACTIVE),
        joined_at=raw.get("joined_at"),
    )


@dataclass
class Service:
    """The records, and what was sent."""

    invitations: list[dict[str, Any]] = field(default_factory=list)
    members: list[dict[str, Any]] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    """Ids of invitations that it does not revoke, although it answers 204."""
    refused: set[str] = field(default_factory=set)
    revoked_meanwhile: set[str] = field(default_factory=set)
    """Ids of invitations that another client revokes just before."""
    log: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    emails: int = 0
    full: bool = False
    blocking: bool = False
    """Whether an invitation prevents another one to its address."""
    invited_after_revoking: bool = False
    """Whether another program invites a person immediately after an invitation is revoked."""

    def invited(self, id: str, email: str, *roles: str, state: str = "pending") -> None:
        self.invitations.append({"id": id, "email": email, "roles": roles, "state": state})

    def invited_by_login(self, id: str, login: str, state: str = "pending") -> None:
        self.invitations.append(
            {"id": id, "email": None, "login": login, "roles": [], "state": state}
        )

    @property
    def open(self) -> list[str]:
        return [one["id"] for one in self.invitations if one["state"] == "pending"]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        _, kind, *rest = request.url.path.split("/")
        records = getattr(self, kind)
        if request.method != "GET":
            self.log.append(f"{request.method} {request.url.path}")
        if not rest and request.method == "GET":
            return httpx.Response(200, json={"items": records})
        if not rest:
            import json

            body = json.loads(request.content)
            self.bodies.append(body)
            if self.full:
                return httpx.Response(402, json={"error": "full"})
            if body["email"] and any(
                body["email"] in one.get("invited_as", "") for one in self.members
            ):
                return httpx.Response(409, json={"error": "is a member"})
            if self.blocking and any(one["email"] == body["email"] for one in self.invitations):
                return httpx.Response(409, json={"error": "is invited"})
            self.emails += 1
            self.invited(f"n-{self.emails}", body["email"], *body["roles"])
            self.invitations[-1] |= {one: body[one] or None for one in ("email", "login")}
            return httpx.Response(201, json=self.invitations[-1])
        found = next((one for one in records if one["id"] == rest[0]), None)
        if found is None:
            return httpx.Response(404, json={"error": "not found"})
        if request.method == "DELETE" and rest[0] in self.revoked_meanwhile:
            records.remove(found)
            return httpx.Response(404, json={"error": "not found"})
        if request.method == "DELETE" and rest[0] in self.refused:
            return httpx.Response(403, json={"error": "not yours"})
        if request.method == "DELETE":
            if rest[0] not in self.kept:
                records.remove(found)
            if self.invited_after_revoking:
                self.invited("other", found["email"])
            return httpx.Response(204)
        if request.method == "POST":
            self.emails += 1
        return httpx.Response(200, json=found)


Call = Callable[..., Any]


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest, service: Service) -> Iterator[Callable[..., Call]]:
    """Makes a client of either kind, which is called in one way: `call("revoke", ADA)`."""
    loop = asyncio.new_event_loop()

    def made(kind: type[Provider] = Club, watch: Callable[[Event], None] | None = None) -> Call:
        transport, clock = httpx.MockTransport(service), VirtualClock(START)
        client: Any
        if request.param == "sync":
            client = Guestlist({"club": kind()}, transport=transport, clock=clock, watch=watch)
        else:
            client = AsyncGuestlist({"club": kind()}, transport=transport, clock=clock, watch=watch)

        def call(name: str, *args: Any, **more: Any) -> Any:
            result = getattr(client, name)(*args, **more)
            return loop.run_until_complete(result) if inspect.iscoroutine(result) else result

        return call

    yield made
    loop.close()


@pytest.fixture
def guests(make: Callable[..., Call]) -> Call:
    return make()


# ---------------------------------------------------------------------------- several invitations


@pytest.fixture
def two(service: Service) -> Service:
    service.invited("i-1", "Ada@Example.com", "admin")
    service.invited("i-2", ADA, "reader")
    return service


def test_status_has_all_open_invitations(guests: Call, two: Service) -> None:
    guest = guests("status", ADA)
    assert guest.state is State.PENDING
    assert {one.id for one in guest.invitations} == {"i-1", "i-2"}
    assert guest.invitation in guest.invitations


def test_revoke_withdraws_all_open_invitations(guests: Call, two: Service) -> None:
    guest = guests("revoke", ADA).guest
    assert (two.open, guest.invitations) == ([], ())
    assert guest.state in (State.REVOKED, State.GONE)


def test_revoke_by_id_withdraws_that_one(guests: Call, two: Service) -> None:
    guest = guests("revoke", "i-1").guest
    assert (two.open, guest.state) == (["i-2"], State.PENDING)
    assert [one.id for one in guest.invitations] == ["i-2"]


def test_a_withdrawal_that_is_refused_halfway_says_what_remains(guests: Call, two: Service) -> None:
    two.refused = {"i-2", "i-1"} - {guests("status", ADA).invitations[0].id}
    [left] = two.refused
    with pytest.raises(errors.Forbidden) as refused:
        guests("revoke", ADA)
    assert two.open == [left]
    assert f"{left}" in refused.value.hint
    assert refused.value.hint.startswith("Still open: ")
    assert refused.value.half_done


def test_a_refusal_after_others_were_gone_already_changed_nothing(
    guests: Call, two: Service
) -> None:
    two.revoked_meanwhile = {guests("status", ADA).invitations[0].id}
    two.refused = {"i-2", "i-1"} - two.revoked_meanwhile
    [left] = two.refused
    with pytest.raises(errors.Forbidden) as refused:
        guests("revoke", ADA)
    assert (refused.value.happened, refused.value.half_done) == (False, False)
    assert refused.value.hint.startswith("Still open: ")
    assert left in refused.value.hint


def test_remove_clears_the_member_and_leftover_invitations(guests: Call, two: Service) -> None:
    two.members.append({"id": "m-1", "email": ADA})
    guest = guests("remove", ADA).guest
    assert (two.open, two.members, guest.invitations) == ([], [], ())
    assert guest.state in (State.REVOKED, State.GONE)


def test_remove_without_revoke_says_which_invitation_is_open(
    make: Callable[..., Call], two: Service
) -> None:
    class Unable(Club):
        def revoke(self, invitation: Invitation) -> Flow[None]:
            raise self.unsupported("revoke")

    two.members.append({"id": "m-1", "email": ADA})
    with pytest.raises(errors.Conflict, match=r"was removed, but an invitation is still open") as e:
        make(Unable)("remove", ADA)
    assert "admin: i-1" in e.value.message
    assert e.value.happened
    assert two.members == []


def test_replace_withdraws_all_open_invitations(guests: Call, two: Service) -> None:
    guests("invite", ADA, role="editor", if_exists="replace")
    assert (two.open, two.emails) == (["n-1"], 1)


# ---------------------------------------------------------------------------- member and invited


@pytest.fixture
def both(service: Service) -> Service:
    service.invited("i-1", ADA, "admin")
    service.members.append({"id": "m-1", "email": ADA})
    return service


def test_a_member_with_an_open_invitation_is_both(guests: Call, both: Service) -> None:
    guest = guests("status", ADA)
    assert (guest.state, [one.id for one in guest.invitations]) == (State.ACCEPTED, ["i-1"])
    assert guest.member is not None


@pytest.mark.parametrize("who", [ADA, "i-1"])
def test_revoke_leaves_the_member_in(guests: Call, both: Service, who: str) -> None:
    guest = guests("revoke", who).guest
    assert (both.open, guest.state, guest.invitations) == ([], State.ACCEPTED, ())
    assert both.log == ["DELETE /invitations/i-1"]


def test_resend_of_a_member_needs_the_id(guests: Call, both: Service) -> None:
    with pytest.raises(errors.Conflict, match="is a member, and has an open invitation besides"):
        guests("resend", ADA)
    assert both.emails == 0
    assert guests("resend", "i-1").outcome is Outcome.RESENT
    assert both.emails == 1


# ---------------------------------------------------------------------------- another address


def test_accepted_under_another_address(guests: Call, service: Service) -> None:
    service.invited("i-1", ADA, state="accepted")
    service.members.append({"id": "m-1", "email": PRIVATE, "joined_at": START.isoformat()})
    guest = guests("status", ADA)
    assert (guest.state, [one.email for one in guest.candidates]) == (State.UNKNOWN, [PRIVATE])
    assert "the invitation was accepted" in (guest.unidentified or "")
    assert guests("status_many", [ADA])[ADA] == guest
    result = guests("invite", ADA)
    assert (service.emails, result.email_sent) == (0, False)
    assert PRIVATE in result.warnings[0]
    assert guests("invite", ADA, if_exists="replace").outcome is Outcome.INVITED
    assert service.log == ["POST /invitations"]  # the accepted invitation is not revoked


def test_nobody_could_have_accepted_under_another_address(guests: Call, service: Service) -> None:
    service.invited("i-1", ADA, state="accepted")
    service.invited("i-2", "bea@example.com", state="accepted")
    service.members.append(
        {"id": "m-1", "email": "bea@example.com", "joined_at": START.isoformat()}
    )
    early = (START - timedelta(days=9)).isoformat()
    service.members.append({"id": "m-2", "email": "cy@example.com", "joined_at": early})
    guest = guests("status", ADA)
    assert (guest.state, guest.unidentified) == (State.GONE, None)


# ---------------------------------------------------------------------------- logins


@pytest.fixture
def logins(service: Service) -> Service:
    service.members.append({"id": "m-1", "login": "Ada-L", "invited_as": ADA})
    return service


def test_a_login_identifies_a_member(make: Callable[..., Call], logins: Service) -> None:
    guests = make(Logins)
    for guest in (guests("status", login="ada-l"), guests("status", "@ada-l")):
        assert (guest.state, guest.email, guest.login) == (State.ACCEPTED, None, "Ada-L")
        assert guest.key == "@ada-l"
    assert guests("status", ADA, login="ada-l").state is State.ACCEPTED
    assert guests("status", "m-1").state is State.ACCEPTED
    assert guests("invite", ADA, login="ada-l").outcome is Outcome.ALREADY_MEMBER
    assert logins.emails == 0


def test_an_address_without_a_login_is_unknown(make: Callable[..., Call], logins: Service) -> None:
    guests = make(Logins)
    guest = guests("status", ADA)
    assert guest.state is State.UNKNOWN
    assert "Club does not show the addresses of members" in (guest.unidentified or "")
    with pytest.raises(errors.InvalidArgument, match="unknown whether ada@"):
        guests("invite", ADA)
    assert logins.emails == 0
    assert guests("status", ADA, login="other").state is State.GONE
    assert guests("invite", "bea@example.com", login="bea").outcome is Outcome.INVITED
    assert guests("status", "bea@example.com").state is State.PENDING


def test_the_refusal_of_the_service_decides(make: Callable[..., Call], logins: Service) -> None:
    guests = make(Refusing)
    result = guests("invite", ADA)
    assert (result.outcome, result.email_sent) == (Outcome.ALREADY_MEMBER, False)
    assert result.warnings == ("Club refused the invitation: is a member",)
    assert guests("invite", "bea@example.com").outcome is Outcome.INVITED


def test_an_address_that_may_be_a_member_s_is_invited_if_the_account_accepts_that(
    make: Callable[..., Call], service: Service
) -> None:
    service.members.append({"id": "m-1", "login": "ada-l"})
    guests = make(Merging)
    result = guests("invite", ADA, role="r")
    assert (result.outcome, result.email_sent) == (Outcome.JOINED, None)
    assert result.warnings == (
        "If the person was a member before, the role is now the one asked for.",
    )
    result = guests("invite", "bea@example.com", role="r")
    assert (result.outcome, result.email_sent, result.warnings) == (Outcome.INVITED, True, ())
    assert guests("invite", "bea@example.com", role="r").outcome is Outcome.ALREADY_INVITED
    assert len(service.log) == 2


def test_a_refusal_shows_that_an_unknown_address_is_a_member_s(
    make: Callable[..., Call], logins: Service
) -> None:
    assert make(Merging)("invite", ADA).outcome is Outcome.ALREADY_MEMBER


@pytest.mark.parametrize("state", ["accepted", "revoked", "declined", "expired"])
def test_an_ended_invitation_does_not_hide_a_refused_member(
    make: Callable[..., Call], logins: Service, state: str
) -> None:
    logins.invited("i-1", ADA, state=state)
    result = make(Refusing)("invite", ADA)
    assert (result.outcome, logins.emails) == (Outcome.ALREADY_MEMBER, 0)
    assert logins.log.count("POST /invitations") == (2 if state == "expired" else 1)


def test_a_full_organization_does_not_make_a_member(
    make: Callable[..., Call], logins: Service
) -> None:
    logins.full = True
    guests = make(Refusing)
    with pytest.raises(errors.SeatLimit):
        guests("invite", "bea@example.com")
    assert logins.emails == 0


def test_a_member_without_an_address_is_removed_by_login(
    make: Callable[..., Call], logins: Service
) -> None:
    make(Logins)("remove", "@ada-l")
    assert logins.members == []


def test_a_removed_member_whom_the_list_still_shows_keeps_the_login(
    make: Callable[..., Call], logins: Service
) -> None:
    class Lagging(Logins):
        @operation
        def remove(self, member: Member) -> Flow[None]:
            yield Request.get("members")

    guest = make(Lagging)("remove", "@ada-l").guest
    assert (guest.state, guest.email, guest.login) == (State.GONE, None, "Ada-L")


def test_an_invitation_that_shows_only_an_address_is_not_denied_to_a_login(
    make: Callable[..., Call], logins: Service
) -> None:
    logins.invited("i-1", "bea@example.com")
    guests = make(Logins)
    with pytest.raises(errors.NotFound, match="no invitation shows the login") as caught:
        guests("resend", "@bea")
    assert "Invite" not in (caught.value.hint or "").replace("Invitations", "")
    result = guests("revoke", "@bea")
    assert any("shows only the address" in warning for warning in result.warnings)
    assert (logins.emails, logins.invitations[-1]["state"]) == (0, "pending")


def test_status_many_takes_logins(make: Callable[..., Call], logins: Service) -> None:
    logins.members.append({"id": "m-2", "login": "eve"})
    guests, bob = make(Logins), "bob@example.com"
    found = guests("status_many", [ADA, bob, "@Eve", "@gone"], logins={ADA.upper(): "ada-l"})
    assert {key: guest.state for key, guest in found.items()} == {
        ADA: State.ACCEPTED,
        bob: State.UNKNOWN,
        "@eve": State.ACCEPTED,
        "@gone": State.GONE,
    }
    assert (found[ADA].email, found[ADA].login) == (ADA, "Ada-L")
    assert (found["@eve"].email, found["@eve"].key) == (None, "@eve")
    for key, guest in found.items():
        login = {ADA: "ada-l"}.get(key)
        assert guests("status", bob if key == bob else key, login=login) == guest
    with pytest.raises(errors.InvalidArgument, match="not an email address"):
        guests("status_many", ["@"])


def test_an_invitation_by_login_is_found_by_the_login(
    make: Callable[..., Call], service: Service
) -> None:
    guests = make(Refusing)
    service.invited_by_login("i-1", "Ada-L")
    for guest in (guests("status", "@ada-l"), guests("status", "i-1")):
        assert (guest.state, guest.email, guest.login) == (State.PENDING, None, "Ada-L")
    known = guests("status", ADA, login="ada-l")
    assert (known.state, known.email, known.invitation.label) == (State.PENDING, ADA, "Ada-L")
    assert guests("invite", ADA, login="ada-l").outcome is Outcome.ALREADY_INVITED
    found = guests("status_many", [ADA, "@ada-l"], logins={ADA: "ada-l"})
    assert {guest.state for guest in found.values()} == {State.PENDING}
    assert guests("status", ADA).state is State.UNKNOWN
    assert service.emails == 0


def test_a_client_remembers_the_login_with_which_it_has_invited_an_address(
    make: Callable[..., Call], service: Service
) -> None:
    guests = make(ByLogin)
    assert guests("invite", ADA, login="ada-l").outcome is Outcome.INVITED
    assert service.invitations[0]["email"] is None
    assert guests("status", ADA).state is State.PENDING
    assert guests("invite", ADA).outcome is Outcome.ALREADY_INVITED
    with pytest.raises(errors.AlreadyInvited):
        guests("invite", ADA.upper(), if_exists="error")
    assert service.emails == 1


def test_a_new_invitation_by_another_program_is_not_taken_for_a_member(
    make: Callable[..., Call], service: Service
) -> None:
    service.invited("i-1", ADA, state="expired")
    service.blocking, service.invited_after_revoking = True, True
    with pytest.raises(errors.AlreadyInvited) as caught:
        make(Refusing)("invite", ADA, if_exists="error")
    assert caught.value.happened is True
    assert service.log == ["POST /invitations", "DELETE /invitations/i-1", "POST /invitations"]


def test_a_member_who_hides_behind_an_expired_invitation_reports_the_revocation(
    make: Callable[..., Call], service: Service
) -> None:
    service.invited("i-1", ADA, state="expired")
    service.members.append({"id": "m-1", "login": "ada-l", "invited_as": ADA})
    with pytest.raises(errors.AlreadyMember) as caught:
        make(Refusing)("invite", ADA, if_exists="error")
    assert caught.value.happened is True


def test_an_invitation_by_login_is_revoked_by_the_login(
    make: Callable[..., Call], service: Service
) -> None:
    service.invited_by_login("i-1", "ada-l")
    assert make(Logins)("revoke", "@Ada-L").outcome is RevokeOutcome.REVOKED
    assert service.open == []


def test_an_address_may_be_invited_by_a_login_that_is_not_known(
    make: Callable[..., Call], service: Service
) -> None:
    class Searching(Refusing):
        @operation
        def find_invitation(self, email: str) -> Flow[Invitation | None]:
            found = (yield from self.invitations()).items
            return next((one for one in found if one.email in (email, None)), None)

    service.invited_by_login("i-1", "ada-l")
    guests = make(Searching)
    guest = guests("status", ADA)
    assert (guest.state, guest.invitations) == (State.UNKNOWN, ())
    assert "(id i-1): it shows only the login ada-l" in (guest.incomplete or "")
    for verb in ("revoke", "resend"):
        with pytest.raises(errors.MalformedResponse, match="shows only the login ada-l"):
            guests(verb, ADA)
    assert (service.log, service.open) == ([], ["i-1"])
    result = guests("invite", "bob@example.com")
    assert result.outcome is Outcome.INVITED
    assert "It was sent although" in result.warnings[-1]


def test_an_invitation_by_login_is_made_anew_with_the_login(
    make: Callable[..., Call], service: Service
) -> None:
    class Replacing(Refusing):
        def resend(self, invitation: Invitation) -> Flow[Invitation]:
            raise self.unsupported("resend")

    service.invited_by_login("i-1", "ada-l")
    result = make(Replacing)("resend", "@ada-l")
    assert (result.outcome, service.open) == (Outcome.RESENT, ["n-1"])
    assert service.bodies == [{"email": "", "login": "ada-l", "roles": []}]


def test_the_login_in_an_invitation_identifies_the_member(
    make: Callable[..., Call], service: Service
) -> None:
    service.invited("i-1", ADA, state="expired")
    service.invitations[0]["login"] = "ada-l"
    service.members.append({"id": "m-1", "login": "ada-l"})
    guests = make(Refusing)
    assert guests("status", ADA).state is State.ACCEPTED
    assert guests("invite", ADA).outcome is Outcome.ALREADY_MEMBER
    assert service.emails == 0


@pytest.mark.parametrize("login", ["ada-l", "@ada-l"])
@pytest.mark.parametrize("who", [ADA, "@ada-l"])
def test_a_service_can_be_searched_for_logins(
    make: Callable[..., Call], service: Service, who: str, login: str
) -> None:
    asked: list[str] = []

    class Searching(Refusing):
        finds_logins = True

        @operation
        def find_member(self, email: str) -> Flow[Member | None]:
            asked.append(email)
            if not email.startswith("@"):
                return None
            reply = yield Request.get("members", "m-1")
            return read_member(reply.mapping())

        def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
            raise self.unsupported("members")

    service.members.append({"id": "m-1", "login": "ada-l"})
    guest = make(Searching)("status", who, login=login)
    assert (guest.state, guest.login) == (State.ACCEPTED, "ada-l")
    assert asked == [*([who] if who == ADA else []), "@ada-l"]


def test_onboard_recognizes_the_member_by_login(
    make: Callable[..., Call], service: Service
) -> None:
    def watch(event: Event) -> None:
        if event.name is EventName.WAIT:  # accepts, and is listed with the login only
            service.invitations.clear()
            service.members[:] = [{"id": "m-1", "login": "ada-l"}]

    guests = make(Logins, watch)
    done = guests("onboard", ADA, login="ada-l")
    assert (done.outcome, done.guest.state) == (OnboardOutcome.ONBOARDED, State.ACCEPTED)
    assert (done.guest.email, done.guest.login) == (ADA, "ada-l")
    again = guests("onboard", ADA, login="ada-l")
    assert again.outcome is OnboardOutcome.ALREADY_ONBOARDED
    assert service.emails == 1


def test_suspended_members_are_reported(make: Callable[..., Call], service: Service) -> None:
    class Hiding(Club):
        hides_suspension = True

    service.members += [
        {"id": "m-1", "email": ADA, "state": "suspended"},
        {"id": "m-2", "email": "bea@example.com"},
    ]
    assert [make()("status", one).suspended for one in ("m-1", "m-2")] == [True, False]
    assert make(Hiding)("status", "m-2").suspended is None
    assert "suspended" in make()("invite", ADA).warnings[0]
