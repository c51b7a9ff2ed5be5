"""A service that lists its open invitations in short: details are read where they matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from guestlist import AsyncGuestlist, Guestlist
from guestlist.changes import Action
from guestlist.event import Event
from guestlist.models import State
from guestlist.roster.current_people import CurrentPeople
from guestlist.roster.diff import Note
from guestlist.roster.plan import make_plan
from guestlist.roster.planfile import read_plan
from guestlist.roster.staleness import iter_outdated_changes
from guestlist.roster.wanted import Wanted
from guestlist.sandbox import Sandbox
from pytest_guestlist.clock import VirtualClock

ACCOUNT = "aitronos"
Invite = Callable[[int], list[str]]


@pytest.fixture
def service(guestlist_sandbox: Sandbox) -> Any:
    return guestlist_sandbox.services[ACCOUNT].service


@pytest.fixture
def invite(service: Any) -> Invite:
    """Invites so many people as members, and returns their addresses."""

    def invited(count: int) -> list[str]:
        organization = service.organization
        role = organization.role_named("Member")
        emails = [f"p{number:04}@example.com" for number in range(count)]
        for email in emails:
            organization.invite(email, [role], send=False)
        return emails

    return invited


class Requests(list[str]):
    """The requests of a client, as `METHOD path`."""

    def watch(self, event: Event) -> None:
        if event.name == "answer":
            self.append(f"{event.method} {event.path}")

    @property
    def about_one(self) -> list[str]:
        return [one for one in self if one.endswith("/invitation")]


@pytest.fixture
def requests() -> Requests:
    return Requests()


@pytest.fixture
def watched(
    guestlist_accounts: dict[str, Any], guestlist_clock: VirtualClock, requests: Requests
) -> Iterator[Guestlist]:
    accounts = {ACCOUNT: guestlist_accounts[ACCOUNT]}
    with Guestlist(accounts, clock=guestlist_clock, watch=requests.watch) as guests:
        yield guests


def want(email: str, role: str = "Member") -> Wanted:
    return Wanted(ACCOUNT, email, email, (role,))


def test_a_thousand_open_invitations_that_fit_take_few_requests(
    watched: Guestlist, requests: Requests, invite: Invite
) -> None:
    roster = [want(email) for email in invite(1000)]
    with make_plan(watched, roster) as plan:
        assert not plan.errors
        assert plan.nothing
        assert plan.summary.notes[ACCOUNT][Note.INVITED] == 1000
    assert len(requests) <= 30


def test_only_people_who_may_differ_are_asked_about(
    watched: Guestlist, requests: Requests, invite: Invite
) -> None:
    """A replaced role needs the invitation itself: what the change rests on, and what is revoked.
    People who are not in the roster need nothing."""
    first, second, *_ = invite(50)
    with make_plan(watched, [want(first), want(second, "Admin")]) as plan:
        [change] = plan.changes()
        assert plan.summary.notes[ACCOUNT][Note.UNLISTED] == 48 + 3
    assert (change.action, change.email) == (Action.REPLACE, second)
    assert change.invitation is not None
    assert change.invitation.id is not None
    assert change.invitation.expires_at is not None
    assert len(requests.about_one) == 1


def test_pruning_asks_about_everyone_who_is_taken_out(
    watched: Guestlist, requests: Requests, invite: Invite
) -> None:
    first, *others = invite(5)
    with make_plan(watched, [want(first)], prune=True) as plan:
        revoked = [one for one in plan.changes() if one.action is Action.REVOKE]
    assert [one.email for one in revoked] == others
    assert all(one.invitation and one.invitation.id for one in revoked)
    assert len(requests.about_one) == 4


def test_an_expired_invitation_is_asked_about(
    watched: Guestlist, requests: Requests, invite: Invite, guestlist_clock: VirtualClock
) -> None:
    """The date of a row is the day of the first invitation. A resend may have moved the expiry."""
    first, second = invite(2)
    guestlist_clock.advance(timedelta(days=5))
    watched.resend(first)
    guestlist_clock.advance(timedelta(days=3))
    requests.clear()
    with make_plan(watched, [want(first), want(second)]) as plan:
        [change] = plan.changes()
        assert plan.summary.notes[ACCOUNT][Note.INVITED] == 1
    assert (change.action, change.email) == (Action.RESEND, second)
    assert len(requests.about_one) == 2


def test_a_person_listed_as_invited_without_an_invitation_is_invited(
    watched: Guestlist, service: Any, invite: Invite, guestlist_clock: VirtualClock
) -> None:
    [email] = invite(1)
    guestlist_clock.advance(timedelta(days=8))
    service.organization.invitations.clear()
    with make_plan(watched, [want(email)]) as plan:
        [change] = plan.changes()
    assert (change.action, change.state) == (Action.INVITE, State.UNKNOWN)
    assert change.reason == "was invited, but the invitation is not listed any more"


def test_a_saved_plan_is_checked_against_complete_invitations(
    watched: Guestlist, requests: Requests, invite: Invite, tmp_path: Path
) -> None:
    first, second, third = invite(3)
    roster = [want(first, "Admin"), want(second, "Admin"), want(third)]
    with make_plan(watched, roster) as plan:
        plan.write(tmp_path / "team.plan")
    written = read_plan(tmp_path / "team.plan")
    requests.clear()
    assert list(iter_outdated_changes(watched, written, roster)) == []
    assert len(requests.about_one) == 2
    watched.revoke(second)
    [(change, _)] = iter_outdated_changes(watched, written, roster)
    assert change.email == second


def test_everyone_is_named_without_asking_about_each(
    watched: Guestlist, requests: Requests, invite: Invite
) -> None:
    emails = invite(50)
    with CurrentPeople(watched, [ACCOUNT]) as everybody:
        roles = {email: roles for _, email, roles, *_ in everybody}
    assert {roles[email] for email in emails} == {("Member",)}
    assert requests.about_one == []


@pytest.mark.anyio
async def test_summaries_for_applications(
    guestlist_async_client: AsyncGuestlist, guests: Guestlist, invite: Invite
) -> None:
    emails = invite(3)
    short = [
        one async for one in guestlist_async_client.invitations(account=ACCOUNT, complete=False)
    ]
    assert [one.email for one in short] == emails
    assert {(one.id, one.state, one.raw_state) for one in short} == {
        (None, State.PENDING, "InvitationSent")
    }
    assert list(guests.invitations(account=ACCOUNT, complete=False)) == short
    for one in guests.invitations(account=ACCOUNT):
        assert one.id is not None
    complete = list(guests.invitations(account="betterauth"))
    assert list(guests.invitations(account="betterauth", complete=False)) == complete
