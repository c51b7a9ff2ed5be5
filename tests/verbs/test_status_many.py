"""`status_many`: many people at once, each list read once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from guestlist import Forbidden, InvalidArgument, MalformedResponse, State, email_key
from guestlist.verbs.many import MAX_LOOKUPS_BY_ADDRESS

ADA, GRACE, NOBODY = "ada@example.com", "Grace@Example.com", "nobody@example.com"
everywhere = pytest.mark.parametrize(
    ("case", "kind"),
    [("vultr", "sync"), ("aitronos", "async"), ("betterauth", "sync")],
    indirect=True,
)


def many(guests: Any) -> list[str]:
    """More than are asked for by address: one invited, one expired, one in, all others unknown."""
    guests.invite(GRACE)
    guests.later(days=8)
    guests.invite(ADA)
    crowd = [f"nobody-{number}@example.com" for number in range(MAX_LOOKUPS_BY_ADDRESS)]
    return [ADA, GRACE, guests.case.member, *crowd]


@everywhere
@pytest.mark.parametrize("crowd", [True, False], ids=["many", "few"])
def test_it_says_what_status_says(guests: Any, crowd: bool) -> None:
    people = many(guests)
    people = people if crowd else people[:4]
    found = guests.status_many(people)
    assert list(found) == [email_key(email) for email in people]
    assert {key: guest.email for key, guest in found.items()} == {
        email_key(email): email for email in people
    }
    for email in people[:4]:
        alone = guests.status(email)
        if alone.state is not State.ACCEPTED:  # a list may leave out whoever is not quite a member
            alone = alone.model_copy(update={"member": None})
        assert found[email_key(email)].model_copy(update={"member": alone.member}) == alone
        assert alone.member is None or found[email_key(email)].member == alone.member
    states = [found[email_key(email)].state for email in people[:4]]
    assert states == [State.PENDING, State.EXPIRED, State.ACCEPTED, State.GONE]


@everywhere
def test_each_list_is_read_once_for_many(guests: Any) -> None:
    people = many(guests)
    guests.forget()
    guests.status_many(people)
    assert 1 < len(guests.requests) <= 5  # Aitronos: two lists, and a request for each invitation
    assert guests.writes == []


@pytest.mark.parametrize("case", ["aitronos"], indirect=True)
def test_a_few_are_asked_for_by_address(guests: Any) -> None:
    guests.invite(ADA)
    guests.forget()
    found = guests.status_many([ADA, NOBODY])
    assert [guest.state for guest in found.values()] == [State.PENDING, State.GONE]
    listed = [event for event in guests.events if "filter" in (event.path or "")]
    assert listed == []


@pytest.mark.parametrize("case", ["aitronos"], indirect=True)
def test_a_few_are_looked_for_in_the_lists_where_members_are_in_lists_only(
    guests: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = guests.case.provider
    supports = provider.supports
    fewer = classmethod(lambda _cls, name: name != "find_member" and supports(name))
    monkeypatch.setattr(provider, "supports", fewer)
    guests.status_many([ADA, GRACE, NOBODY])
    assert [one for one in guests.requests if "invitation" in one] == []
    assert len(guests.requests) == 3  # the statuses, the invited, the members


def test_the_same_address_twice_and_nobody_at_all(guests: Any) -> None:
    assert guests.status_many([]) == {}
    assert guests.requests == []
    found = guests.status_many([GRACE, GRACE.lower()])
    assert list(found) == [email_key(GRACE)]


def test_an_address_that_cannot_be(guests: Any) -> None:
    with pytest.raises(InvalidArgument, match="'ada' is not an email address"):
        guests.status_many([ADA, "ada"])
    assert guests.requests == []


# ---------------------------------------------------------------------------- broken lists


def of_members(request: httpx.Request) -> bool:
    return request.url.path.endswith("/users")


def of_invitations(request: httpx.Request) -> bool:
    return request.url.path.endswith("/invitation")


class Fault:
    """Does something to the answers of one list, once it is to."""

    def __init__(self, which: Callable[[httpx.Request], bool]) -> None:
        self.which = which
        self.is_on = False
        self.first: dict[str, Any] = {}

    def __call__(self, request: httpx.Request, answer: httpx.Response | None) -> Any:
        wanted = self.is_on and request.method == "GET" and self.which(request)
        return self.instead(answer) if wanted and answer is not None else None

    def instead(self, answer: httpx.Response) -> httpx.Response:
        """The list says for ever that more is to come, and gives the same again."""
        self.first = self.first or answer.json()
        more = {"links": {"next": "again"}}
        return httpx.Response(200, json={**self.first, "meta": more})


class Hidden(Fault):
    def instead(self, answer: httpx.Response) -> httpx.Response:
        return httpx.Response(403, json={"error": "no"})


on_vultr = pytest.mark.parametrize("case", ["vultr"], indirect=True)


@on_vultr
def test_a_list_of_invitations_that_repeats_itself(faulty: Any) -> None:
    fault = Fault(of_invitations)
    guests = faulty(fault)
    guests.invite(ADA)
    fault.is_on = True
    assert guests.status_many([ADA])[ADA].state is State.PENDING
    with pytest.raises(MalformedResponse, match="repeats itself") as caught:
        guests.status_many([ADA, NOBODY])
    assert str(caught.value).startswith("home: ")


@on_vultr
@pytest.mark.parametrize("verb", ["status", "status_many"])
def test_one_that_has_expired_may_hide_another_in_a_list_that_repeats_itself(
    faulty: Any, verb: str
) -> None:
    """Also while the service still calls it pending."""
    fault = Fault(of_invitations)
    guests = faulty(fault)
    guests.service.configure(expired="pending")
    guests.invite(ADA)
    guests.later(days=4)
    fault.is_on = True
    with pytest.raises(MalformedResponse, match="repeats itself"):
        guests.status(ADA) if verb == "status" else guests.status_many([ADA])


@on_vultr
@pytest.mark.parametrize(("kind_of", "error"), [(Fault, MalformedResponse), (Hidden, Forbidden)])
def test_members_that_cannot_be_read(faulty: Any, kind_of: type[Fault], error: Any) -> None:
    """Who is invited is known to be, as `status` says it; of whoever is not, nobody can tell."""
    fault = kind_of(of_members)
    guests = faulty(fault)
    guests.invite(ADA)
    fault.is_on = True
    assert guests.status_many([ADA])[ADA] == guests.status(ADA)
    with pytest.raises(error) as caught:
        guests.status_many([ADA, NOBODY])
    assert str(caught.value).startswith("home: ")
