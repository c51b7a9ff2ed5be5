"""What a client has made itself, while the service's lists do not show it yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from guestlist.errors import GuestlistError
from guestlist.exchange.recent_writes import RecentWrites
from guestlist.exchange.step import Outgoing, Send, Sleep
from guestlist.models import Guest, Invitation, NewInvitation, Outcome, RevokeOutcome, State
from guestlist.provider import Flow, Page, Provider, Request, Response, operation
from guestlist.verbs import Accounts, invite, resend, revoke, status, status_many

LAG = 10.0
ADA = "ada@example.com"


class Lagging(Provider):
    """A service whose lists show what is new only after a while."""

    name = "lagging"
    title = "Lagging"
    base_url: str = "https://lagging.example"
    list_lag: ClassVar[float] = LAG

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        reply = yield Request.post("invites", json={"email": new.email})
        return self._read(reply.mapping(), new.email)

    @operation
    def find_invitation(self, email: str) -> Flow[Invitation | None]:
        reply = yield Request.get("invites", query={"email": email})
        return self._read(reply.mapping(), email) if reply.mapping() else None

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        yield Request.delete("invites", invitation.id or "")

    def _read(self, raw: dict[str, Any], email: str) -> Invitation:
        return Invitation(id=raw["id"], email=email, state=State(raw["state"]), raw=raw)


class Listing(Lagging):
    """The same, which is not asked by address."""

    name = "listing"

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        reply = yield Request.get("invites")
        return Page([self._read(raw, ADA) for raw in [reply.mapping()] if raw])

    @classmethod
    def supports(cls, operation: str) -> bool:
        return operation != "find_invitation" and super().supports(operation)


class Replacing(Lagging):
    """The same, where a resend makes another record."""

    name = "replacing"

    @operation
    def resend(self, invitation: Invitation) -> Flow[Invitation]:
        reply = yield Request.post("invites", json={"email": invitation.email})
        return self._read(reply.mapping(), str(invitation.email))


class Silent(Replacing):
    """The same, where the answer to a resend does not contain the new id."""

    name = "silent"

    @operation
    def resend(self, invitation: Invitation) -> Flow[Invitation]:
        yield Request.post("invites", json={"email": invitation.email})
        return Invitation(id=None, email=str(invitation.email), state=State.PENDING)


class Prompt(Lagging):
    """The same without a lag."""

    name = "prompt"
    list_lag: ClassVar[float] = 0.0


class Service:
    """One invitation at most, which the list shows after the lag."""

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        self.posts = 0
        self.made: tuple[float, str] | None = None
        self.state = "pending"
        self.refuses = 0

    def __call__(self, outgoing: Outgoing) -> Response:
        now = self.scene.clock.elapsed
        if outgoing.method == "POST":
            self.posts += 1
            self.made = (now, f"i{self.posts}")
        elif outgoing.method == "DELETE" and self.refuses:
            return Response(self.refuses)
        elif outgoing.method == "DELETE":
            assert self.made is not None
            assert outgoing.url.endswith(self.made[1])
            self.made = None
            return Response(204)
        elif self.made is None or now - self.made[0] <= LAG:
            return Response(200, {}, b"{}")
        assert self.made is not None
        return Response(200, {}, f'{{"id": "{self.made[1]}", "state": "{self.state}"}}'.encode())


@pytest.fixture
def play(stage: Any) -> Callable[..., Any]:
    """A client of the service: the scene, the service, and a way to make one call after another."""

    def make(provider: Provider | None = None) -> Any:
        scene = stage(provider or Lagging())
        service = Service(scene)
        accounts = Accounts({"acme": scene.account})

        def do(verb: Callable[..., Any], **options: Any) -> Any:
            return scene.serve(verb(accounts, ADA, **options), service)

        return scene, service, do

    return make


def test_who_was_just_invited_is_not_invited_again(play: Any) -> None:
    _, service, do = play()
    do(invite)
    again = do(invite)
    assert (again.outcome, again.email_sent, again.guest.invitation.id) == (
        Outcome.ALREADY_INVITED,
        False,
        "i1",
    )
    assert service.posts == 1


def test_their_status_is_known_at_once(play: Any) -> None:
    _, _, do = play()
    do(invite)
    guest = do(status)
    assert (guest.state, guest.invitation.id) == (State.PENDING, "i1")


def test_what_the_list_shows_counts_for_more(play: Any) -> None:
    scene, service, do = play()
    do(invite)
    scene.clock.sleep(LAG / 2)
    service.made, service.state = (-LAG, "i1"), "declined"
    assert do(status).state is State.DECLINED


def test_after_the_lag_the_list_alone_counts(play: Any) -> None:
    scene, service, do = play()
    do(invite)
    service.made = None  # somebody else has withdrawn it
    assert do(status).state is State.PENDING
    scene.clock.sleep(LAG + 0.1)
    assert do(status).state is State.GONE
    assert do(invite).outcome is Outcome.INVITED


def test_what_the_client_withdraws_is_gone_at_once(play: Any) -> None:
    _, service, do = play()
    do(invite)
    assert do(revoke).guest.state is State.GONE
    assert do(status).state is State.GONE
    assert do(invite).outcome is Outcome.INVITED
    assert service.posts == 2


def test_a_renewed_invitation_whose_new_id_is_unknown_yet(play: Any) -> None:
    scene, service, do = play(Silent())
    do(invite)
    scene.clock.sleep(LAG + 0.1)
    result = do(resend)
    assert (result.replaced.id, result.guest.invitation.id) == ("i1", None)
    guest = do(status)
    assert (guest.state, guest.invitation.id) == (State.PENDING, None)
    assert do(invite).outcome is Outcome.ALREADY_INVITED
    service.made = (-LAG, "i2")  # the list shows it earlier than it has to
    assert [one.id for one in do(status).invitations] == ["i2"]
    assert service.posts == 2


def test_it_can_be_replaced_at_once(play: Any) -> None:
    _, service, do = play()
    do(invite)
    result = do(invite, if_exists="replace")
    assert (result.outcome, result.replaced.id) == (Outcome.INVITED, "i1")
    assert do(status).invitation.id == "i2"
    assert service.posts == 2


@pytest.mark.parametrize("refusal", [400, 403, 409])
def test_what_the_service_refuses_to_withdraw_is_still_there(play: Any, refusal: int) -> None:
    _, service, do = play()
    do(invite)
    service.refuses = refusal
    with pytest.raises(GuestlistError):
        do(revoke)
    with pytest.raises(GuestlistError):
        do(invite, if_exists="replace")
    assert do(invite).outcome is Outcome.ALREADY_INVITED
    assert service.posts == 1


@pytest.mark.parametrize("sent", [False, True])
def test_a_withdrawal_that_is_interrupted(play: Any, sent: bool) -> None:
    """What was not sent has withdrawn nothing; of what was, nobody knows."""
    scene, service, do = play()
    do(invite)
    steps = revoke(Accounts({"acme": scene.account}), ADA)
    step: Any = next(steps)
    while not (isinstance(step, Send) and step.outgoing.method == "DELETE"):
        if isinstance(step, Send) and not sent:
            scene.account.back_off(5.0)  # what is sent next has to wait
        if isinstance(step, Sleep):
            break
        step = steps.send(service(step.outgoing) if isinstance(step, Send) else True)
    assert isinstance(step, Send if sent else Sleep)
    with pytest.raises(KeyboardInterrupt):
        steps.throw(KeyboardInterrupt())
    scene.clock.sleep(6.0)
    assert do(invite).outcome is (Outcome.INVITED if sent else Outcome.ALREADY_INVITED)
    assert service.posts == 1 + sent


def test_many_are_told_the_same(play: Any) -> None:
    scene, service, do = play(Listing())
    do(invite)
    accounts = Accounts({"acme": scene.account})
    found = scene.serve(status_many(accounts, [ADA]), service)
    assert found == {ADA: do(status)}
    assert found[ADA].state is State.PENDING


def test_what_a_resend_has_made_takes_the_place_of_the_first(play: Any) -> None:
    _, _, do = play(Replacing())
    do(invite)
    assert do(resend).replaced.id == "i1"
    assert do(status).invitation.id == "i2"


def test_without_a_lag_nothing_is_kept(play: Any) -> None:
    _, service, do = play(Prompt())
    do(invite)
    service.made = None
    assert do(status).state is State.GONE
    assert do(revoke).outcome is RevokeOutcome.ALREADY_REVOKED


def test_nobody_is_kept_for_longer_than_the_lag() -> None:
    recent = RecentWrites(LAG)
    for number in range(1000):
        recent.add(
            Guest(account="acme", email=f"{number}@example.com", state=State.PENDING), number
        )
    assert len(recent) <= LAG + 1
    assert recent.of("999@Example.com", 1005.0) is not None
    assert recent.of("980@example.com", 1000.0) is None
