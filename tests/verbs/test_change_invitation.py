"""Changing the roles of an open invitation in place: one call, a plan, a run, the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from tests.hall import Hall, HallService, OneRole

import guestlist
from guestlist import AsyncGuestlist, Guestlist, Ledger
from guestlist.errors import Conflict
from guestlist.models import RoleOutcome, State
from guestlist.sandbox import Sandbox

ADA = "ada@example.com"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox([HallService]) as running:
        yield running


def settings(sandbox: Sandbox) -> dict[str, str]:
    return sandbox.services["hall"].settings


def emails(sandbox: Sandbox) -> int:
    return len(sandbox.outbox.emails)


def offered(guests: Guestlist) -> list[str]:
    invitation = guests.status(ADA).invitation
    assert invitation is not None
    return [role.id for role in invitation.roles]


def test_roles_of_an_open_invitation_are_assigned_and_unassigned(sandbox: Sandbox) -> None:
    with Guestlist({"hall": Hall(**settings(sandbox))}) as guests:
        guests.invite(ADA, role="admin")
        result = guests.assign_role(ADA, "reader")
        assert (result.outcome, result.guest.state) == (RoleOutcome.ASSIGNED, State.PENDING)
        assert guests.assign_role(ADA, "reader").outcome is RoleOutcome.ALREADY_ASSIGNED
        assert offered(guests) == ["admin", "reader"]
        assert guests.unassign_role(ADA, "admin").outcome is RoleOutcome.UNASSIGNED
        assert guests.unassign_role(ADA, "admin").outcome is RoleOutcome.NOT_ASSIGNED
        assert offered(guests) == ["reader"]
    assert emails(sandbox) == 1


def test_a_role_of_an_open_invitation_is_assigned_by_an_async_client(sandbox: Sandbox) -> None:
    async def run() -> None:
        async with AsyncGuestlist({"hall": Hall(**settings(sandbox))}) as guests:
            await guests.invite(ADA, role="admin")
            assert (await guests.assign_role(ADA, "reader")).outcome is RoleOutcome.ASSIGNED
            invitation = (await guests.status(ADA)).invitation
            assert invitation is not None
            assert [role.id for role in invitation.roles] == ["admin", "reader"]

    anyio.run(run)


def test_the_only_role_of_an_invitation_is_replaced_and_never_taken_away(sandbox: Sandbox) -> None:
    with Guestlist({"hall": OneRole(**settings(sandbox))}) as guests:
        guests.invite(ADA, role="admin")
        guests.assign_role(ADA, "reader")
        assert offered(guests) == ["reader"]
        with pytest.raises(Conflict, match="needs a role"):
            guests.unassign_role(ADA, "reader")
        assert offered(guests) == ["reader"]


def test_roles_beyond_the_most_of_an_invitation_wait_for_acceptance(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hall, "most_roles", 1)
    with Guestlist({"hall": Hall(**settings(sandbox))}) as guests:
        guests.invite(ADA, role="admin")
        with pytest.raises(Conflict, match="pending"):
            guests.assign_role(ADA, "reader")
        assert offered(guests) == ["admin"]


@pytest.mark.parametrize(("kind", "wanted"), [(Hall, ["editor", "reader"]), (OneRole, ["reader"])])
def test_a_run_changes_an_invitation_without_a_second_email(
    sandbox: Sandbox, tmp_path: Path, kind: type[Hall], wanted: list[str]
) -> None:
    path = tmp_path / "guestlist.toml"
    path.write_text(
        '[accounts.hall]\nprovider = "hall"\n'
        f'[[people]]\nemail = "{ADA}"\naccounts.hall = {json.dumps(wanted)}\n'
    )
    with (
        Ledger(tmp_path / "guestlist.db") as ledger,
        Guestlist({"hall": kind(**settings(sandbox))}, ledger=ledger) as guests,
    ):
        guests.invite(ADA, role="admin")
        before = guests.status(ADA).invitation
        done = guestlist.apply(path, client=guests, ledger=ledger)
        assert done.errors == []
        assert offered(guests) == wanted
        after = guests.status(ADA).invitation
        assert before is not None
        assert after is not None
        assert after.id == before.id
        again = guestlist.plan(path, client=guests, ledger=ledger)
        assert list(again.changes()) == []
    assert emails(sandbox) == 1
