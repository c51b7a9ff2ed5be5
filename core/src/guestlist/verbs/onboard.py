"""`onboard`: invites a person, waits, and gives the roles, in one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from guestlist.errors import GuestlistError, Unsupported
from guestlist.exchange.step import Steps
from guestlist.models import (
    Access,
    InviteResult,
    OnboardOutcome,
    OnboardResult,
    Outcome,
    Role,
    RoleOutcome,
    RoleResult,
    State,
)
from guestlist.verbs.accounts import Accounts
from guestlist.verbs.arguments import as_role_list
from guestlist.verbs.find import support_check
from guestlist.verbs.guest_lock import unlock_guest
from guestlist.verbs.invite import invite
from guestlist.verbs.roles import RoleRef, access, assign_role, holds, resolve_to_assign
from guestlist.verbs.wait import wait

ONE_WEEK_SECONDS = 7 * 86_400.0
"""The longest lifetime of an invitation at the built-in services."""


def onboard(
    accounts: Accounts,
    email: str,
    *,
    login: str | None = None,
    role: RoleRef | Iterable[RoleRef] | None = None,
    retry_unknown: bool = False,
    options: Mapping[str, Any] | BaseModel | None = None,
    timeout: float = ONE_WEEK_SECONDS,
    account: str | None = None,
) -> Steps[OnboardResult]:
    """Invites a person, waits for acceptance, gives the roles and returns the effective access.

    Safe to repeat: a program that was interrupted while it waited can call it again, and nothing is
    done twice. With a ledger the roles are recorded as deferred, so that `guestlist settle` can
    grant them instead.

    Args:
        email: the address. It is sent as written.
        login: the person's login at the service. Some services do not show the addresses of
            members; without a login, it cannot be seen there that the person has joined.
        role: the role or roles to give, each by id, name or `kind:name`. Those that the service
            takes with an invitation are sent with it; the others are given after acceptance.
        retry_unknown: also send an email if it is unknown whether an earlier one was sent.
        options: the provider's own options, such as a message for the email.
        timeout: seconds to wait for acceptance. By default a week.
        account: the name of the account. May be omitted if there is only one.

    Raises:
        WaitTimeout: the person did not accept in time. The invitation stays open.
        Conflict: the invitation was declined or revoked, or has expired.
        UnknownRole: no role matches, or several do. No invitation was sent.
        Unsupported: the service cannot give the roles. No invitation was sent.
        GuestlistError: any error of `invite`, `assign_role` and `access`.
    """
    provider = accounts.pick(account).provider
    wanted = yield from _resolved(accounts, role, account)
    can_defer = accounts.call(account).strategy.can_defer_roles
    with_it = wanted if can_defer else provider.split_roles(wanted)[0]
    invited: InviteResult = yield from invite(
        accounts,
        email,
        login=login,
        role=with_it,
        retry_unknown=retry_unknown,
        options=options,
        account=account,
    )
    guest = invited.guest
    if login and guest.login is None:
        guest = guest.model_copy(update={"login": login})
    yield from unlock_guest(accounts.call(account, email))  # a wait takes days
    if guest.state is not State.ACCEPTED:
        guest = yield from wait(accounts, guest, timeout=timeout, account=account)
    granted: tuple[RoleResult, ...] = ()
    for role in wanted if provider.supports("assign_role") else ():
        granted += ((yield from assign_role(accounts, guest, role, account=account)),)
    seen: Access | None = None
    missing: tuple[Role, ...] = ()
    if provider.supports("access"):
        seen = yield from access(accounts, guest, account=account)
        held = [grant.role for grant in seen.grants]
        missing = tuple(role for role in wanted if not holds(held, role))
    unchanged = invited.outcome is Outcome.ALREADY_MEMBER and all(
        one.outcome is RoleOutcome.ALREADY_ASSIGNED for one in granted
    )
    if missing:
        outcome = OnboardOutcome.INCOMPLETE
    else:
        outcome = OnboardOutcome.ALREADY_ONBOARDED if unchanged else OnboardOutcome.ONBOARDED
    return OnboardResult(
        outcome=outcome,
        guest=guest,
        warnings=tuple(warning for one in (invited, *granted) for warning in one.warnings),
        invited=invited,
        granted=granted,
        access=seen,
        missing=missing,
    )


def _resolved(
    accounts: Accounts, role: RoleRef | Iterable[RoleRef] | None, account: str | None
) -> Steps[list[Role]]:
    """Looks up the requested roles, and returns them.

    It raises all errors now, because days may pass until the roles are given.
    """
    call = accounts.call(account)
    provider = call.provider
    wanted: list[Role] = []
    try:
        for ref in as_role_list(role):
            wanted += ((yield from resolve_to_assign(call, ref)),)
        if provider.split_roles(wanted)[1]:
            support_check("assign_role")(provider)
        if contradiction := provider.excludes(wanted):
            raise Unsupported(contradiction, hint="Name only one of them.")
    except GuestlistError as error:
        raise call.about(error) from error.__cause__
    return wanted
