"""A program of a user, which mypy checks in strict mode along with the tests. It is never run.

Each `type: ignore` is a mistake that mypy has to report: an unused one is an error.
"""

from __future__ import annotations

from typing import assert_type

from guestlist import (
    Access,
    AsyncGuestlist,
    AsyncItems,
    Event,
    EventName,
    Guest,
    Guestlist,
    Invitation,
    InviteResult,
    Items,
    LimitUsage,
    Member,
    OnboardResult,
    OwnAccess,
    RemoveOutcome,
    RemoveResult,
    RevokeOutcome,
    RevokeResult,
    Role,
    RoleOutcome,
    RoleResult,
)

ADA = "ada@example.com"


def watch(event: Event) -> None:
    assert_type(event.name, EventName)
    if event.name is EventName.ANSWERED:  # type: ignore[attr-defined]
        print(event)


def program(guests: Guestlist) -> None:
    assert_type(guests.invite(ADA, role="admin", send_email=False), InviteResult)
    assert_type(guests.resend(ADA), InviteResult)
    assert_type(guests.status(ADA, account="cloud"), Guest)
    assert_type(guests.status_many([ADA]), dict[str, Guest])
    assert_type(guests.assign_role(ADA, "admin"), RoleResult)
    assert_type(guests.unassign_role(ADA, "admin").outcome, RoleOutcome)
    assert_type(guests.revoke(ADA), RevokeResult)
    assert_type(guests.revoke(ADA).outcome, RevokeOutcome)
    assert_type(guests.remove(ADA), RemoveResult)
    assert_type(guests.remove(ADA).outcome, RemoveOutcome)
    assert_type(guests.access(ADA), Access)
    assert_type(guests.own_access(), OwnAccess)
    assert_type(guests.wait(ADA, timeout=5), Guest)
    assert_type(guests.onboard(ADA, role=["admin"]), OnboardResult)
    assert_type(guests.check(), str)
    assert_type(guests.limits(), tuple[LimitUsage, ...])
    assert_type(guests.invitations(), Items[Invitation])
    assert_type(list(guests.members()), list[Member])
    assert_type(list(guests.roles(kind="group")), list[Role])
    assert_type(guests.account("cloud").with_budget(total=5), Guestlist)

    guests.invite(5)  # type: ignore[arg-type]
    guests.invite(ADA, mail=False)  # type: ignore[call-arg]
    guests.invite(ADA, if_exists="renew")  # type: ignore[arg-type]
    guests.with_budget(tries=5)  # type: ignore[call-arg]
    guests.of_run  # type: ignore[attr-defined]  # noqa: B018
    guests.revoke(ADA).outcome is RevokeOutcome.GONE  # type: ignore[attr-defined]  # noqa: B015


async def async_program(guests: AsyncGuestlist) -> None:
    assert_type(await guests.invite(ADA, role="admin", send_email=False), InviteResult)
    assert_type(await guests.resend(ADA), InviteResult)
    assert_type(await guests.status(ADA, account="cloud"), Guest)
    assert_type(await guests.status_many([ADA]), dict[str, Guest])
    assert_type(await guests.assign_role(ADA, "admin"), RoleResult)
    assert_type(await guests.unassign_role(ADA, "admin"), RoleResult)
    assert_type(await guests.revoke(ADA), RevokeResult)
    assert_type(await guests.remove(ADA), RemoveResult)
    assert_type(await guests.access(ADA), Access)
    assert_type(await guests.own_access(), OwnAccess)
    assert_type(await guests.wait(ADA, timeout=5), Guest)
    assert_type(await guests.onboard(ADA, role=["admin"]), OnboardResult)
    assert_type(await guests.check(), str)
    assert_type(await guests.limits(), tuple[LimitUsage, ...])
    assert_type(guests.invitations(), AsyncItems[Invitation])
    assert_type([one async for one in guests.members()], list[Member])
    assert_type([one async for one in guests.roles()], list[Role])
    assert_type(guests.account("cloud"), AsyncGuestlist)

    await guests.invite(ADA, mail=False)  # type: ignore[call-arg]
    guests.invite(ADA).outcome  # type: ignore[attr-defined]  # noqa: B018
