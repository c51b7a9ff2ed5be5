"""Invitations that never expire, as opposed to an expiry that is not known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.hall import Base, Endless, EndlessService

from guestlist import Guestlist
from guestlist.cli.commands.providers import describe
from guestlist.cli.formatting import RecordFormatter
from guestlist.models import Invitation, State
from guestlist.sandbox import Sandbox
from guestlist.verbs.states import current
from pytest_guestlist.clock import VirtualClock

ADA = "ada@example.com"
NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)


def test_an_invitation_of_such_a_service_stays_open() -> None:
    with (
        Sandbox([EndlessService], time_source=NOW.timestamp) as sandbox,
        Guestlist(
            {"hall": Endless(**sandbox.services["hall"].settings)},
            clock=VirtualClock(sandbox=sandbox),
        ) as guests,
    ):
        guests.invite(ADA)
        sandbox.clock.advance(timedelta(days=3650))
        guest = guests.status(ADA)
    assert guest.state is State.PENDING
    assert guest.invitation is not None
    assert (guest.invitation.never_expires, guest.invitation.expires_at) == (True, None)
    assert guest.invitation.estimated == {"never_expires"}


@pytest.mark.parametrize("kind", [Base, Endless])
def test_what_the_service_reports_counts(kind: type[Base]) -> None:
    """A reported expiry, and a report that there is none, are kept as they are."""
    provider = kind(api_key="k")
    day = timedelta(days=1)
    dated = Invitation(id="i", email=ADA, state=State.PENDING, expires_at=NOW + day)
    endless = Invitation(id="i", email=ADA, state=State.PENDING, never_expires=True)
    assert current(dated, provider, NOW) == dated
    assert current(endless, provider, NOW) == endless


def test_never_takes_precedence_over_the_usual_lifetime() -> None:
    class Weekly(Base):
        lifetime = timedelta(days=7)

    one = Invitation(id="i", email=ADA, state=State.PENDING, created_at=NOW, never_expires=True)
    later = current(one, Weekly(api_key="k"), NOW + timedelta(days=8))
    assert (later.state, later.expires_at) == (State.PENDING, None)


@pytest.mark.parametrize(("state", "text"), [("pending", "never expires"), ("revoked", "")])
def test_tables_show_it(state: str, text: str) -> None:
    one = Invitation(id="i", email=ADA, state=State(state), never_expires=True)
    assert RecordFormatter(NOW, lambda _, role: role.label).expiry(one) == text


def test_the_list_of_providers_shows_it() -> None:
    endless, unknown = (describe(kind, "hall 1") for kind in (Endless, Base))
    assert (endless.never_expires, endless.lifetime) == (True, None)
    assert (unknown.never_expires, unknown.lifetime) == (False, None)
