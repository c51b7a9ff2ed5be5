"""`invite`, which makes sure that a person has an open invitation or is a member."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from guestlist import errors
from guestlist.address import check_email
from guestlist.errors import Conflict, Forbidden, GuestlistError, InvalidArgument, SeatLimit
from guestlist.event import EventName
from guestlist.exchange.account import Call
from guestlist.exchange.recording import Intent
from guestlist.exchange.step import Steps
from guestlist.models import (
    MAY_BE_OPEN,
    OPEN_STATES,
    Basis,
    Guest,
    InviteResult,
    NewInvitation,
    Outcome,
    Role,
    State,
)
from guestlist.provider import Provider
from guestlist.verbs.accounts import Accounts
from guestlist.verbs.arguments import IfExists, as_role_list, check_possible, parse_options
from guestlist.verbs.create import create, recreate
from guestlist.verbs.earlier import settle_earlier
from guestlist.verbs.find import look, look_up_after_change
from guestlist.verbs.guest_lock import lock_guest
from guestlist.verbs.resend import renew
from guestlist.verbs.results import (
    already_invited_result,
    already_member_result,
    earlier_call_result,
    ledger_outcome,
)
from guestlist.verbs.roles import RoleRef, resolve_to_assign


def invite(
    accounts: Accounts,
    email: str,
    *,
    login: str | None = None,
    role: RoleRef | Iterable[RoleRef] | None = None,
    send_email: bool = True,
    if_exists: IfExists = "return",
    retry_unknown: bool = False,
    options: Mapping[str, Any] | BaseModel | None = None,
    account: str | None = None,
) -> Steps[InviteResult]:
    """Invites a person, unless they have an open invitation or are a member. Safe to repeat.

    Nothing is sent if the service cannot do everything that is requested. An expired, revoked or
    declined invitation does not prevent a new one.

    Args:
        email: the address. It is sent as written, and compared in its normalized form.
        login: the person's login at the service. Some services do not show the addresses of
            members; without a login, `invite` relies on the service to refuse a member there.
        role: the role or roles to give, each by id, name or `kind:name`. A role that the service
            takes only after acceptance needs a client with a ledger: it is deferred until
            `guestlist settle` grants it. Without a ledger it is an error.
        send_email: whether the service sends an email. False is an error if it cannot suppress it.
        if_exists: what to do if an invitation is open: `return` it, `resend` it, `replace` it
            (revoke it and send a new one), or raise an `error`, also for a member.
        retry_unknown: also send an email if it is unknown whether an earlier one was sent. By
            default that raises `OutcomeUnknown`, until the records show an invitation or member.
        options: the provider's own options, such as a message for the email.
        account: the name of the account. May be omitted if there is only one.

    Raises:
        InvalidArgument: the address or an option is invalid or not allowed.
        Unsupported: the service cannot do everything that is requested.
        UnknownRole: no role matches, or several do.
        AlreadyInvited, AlreadyMember: only with `if_exists="error"`.
        OutcomeUnknown: the person may have been invited, and a lookup gave no proof in time.
    """
    call = accounts.call(account, email.strip() if isinstance(email, str) else None)
    provider = call.provider
    try:
        call.email = check_email(email)
        call.login = login.removeprefix("@") if login else None
        accounts.check_domain(call.email)
        if if_exists not in ("return", "resend", "replace", "error"):
            raise InvalidArgument(
                f"if_exists cannot be {if_exists!r}",
                hint="It can be return, resend, replace or error.",
            )
        if not isinstance(send_email, bool):
            raise InvalidArgument(
                f"send_email cannot be {send_email!r}", hint="It can be True or False."
            )
        wanted = as_role_list(role)
        can_defer = call.strategy.can_defer_roles
        check_possible(provider, wanted, send_email, if_exists, can_defer=can_defer)
        chosen = parse_options(provider, options)
        roles: tuple[Role, ...] = ()
        for ref in wanted:
            roles += ((yield from resolve_to_assign(call, ref, by_invitation=True)),)
        check_possible(provider, roles, send_email, if_exists, can_defer=can_defer)
        now, deferred = provider.split_roles(roles)
        new = NewInvitation(
            email=call.email,
            login=call.login,
            roles=now,
            send_email=send_email,
            options=chosen,
        )
        accounts.check(new)
    except GuestlistError as error:
        raise call.about(error) from error.__cause__
    yield from lock_guest(call)
    action = if_exists if if_exists in ("resend", "replace") else "invite"
    known = found = yield from settle_earlier(call, action, retry_unknown=retry_unknown)
    if known is None and _looks_first(call, if_exists):
        known = yield from _look_if_allowed(call, if_exists)
    if known is not None and call.prepared:
        known = _disregarding_prepared(known)
    if found is None or (if_exists == "return" and found.state in (*OPEN_STATES, State.ACCEPTED)):
        steps = _invite(call, new, deferred, if_exists, known)
    else:
        outcome = Outcome.RESENT if action == "resend" else Outcome.INVITED
        steps = earlier_call_result(found, outcome)
    intent = Intent(action, known, new.roles, deferred)
    result = yield from call.strategy.record(call, intent, steps, ledger_outcome)
    if known is not None and known.incomplete is not None and call.sent is not None:
        warning = f"It was sent although {known.incomplete}."
        result = result.model_copy(update={"warnings": (*result.warnings, warning)})
    call.account.emit(EventName.OUTCOME, email=call.email, detail=result.outcome)
    return result


def _looks_first(call: Call, if_exists: IfExists) -> bool:
    """Returns whether the records are read before sending.

    That is unnecessary if the service refuses duplicates, unless a later call has to find out what
    this one has changed.
    """
    return (
        call.strategy.must_read_first
        or if_exists == "replace"
        or not call.provider.refuses_duplicates
    )


def _look_if_allowed(call: Call, if_exists: IfExists) -> Steps[Guest]:
    """Reads the records about the person, if the credentials permit it.

    Otherwise returns a guest in the state UNKNOWN, if the service itself refuses duplicates.

    Raises:
        Forbidden: the records cannot be read, and the service accepts duplicates.
    """
    try:
        return (yield from look(call, identify=True))
    except Forbidden:
        if if_exists == "replace" or not call.provider.refuses_duplicates:
            raise
        account = call.account.name
        return Guest(account=account, email=call.email, state=State.UNKNOWN, basis=Basis.INFERRED)


def _disregarding_prepared(guest: Guest) -> Guest:
    """Returns the guest without an open invitation that was only prepared."""
    if guest.state not in MAY_BE_OPEN or guest.invitation is None:
        return guest
    nothing = {"raw_state": None, "invitation": None, "invitations": ()}
    return guest.model_copy(update={"state": State.GONE, "basis": Basis.INFERRED, **nothing})


def _invite(
    call: Call,
    new: NewInvitation,
    deferred: tuple[Role, ...],
    if_exists: IfExists,
    known: Guest | None,
) -> Steps[InviteResult]:
    try:
        result = yield from _ensure(call, new, if_exists, known)
    except errors.OutcomeUnknown as unknown:
        unknown.invitation = new
        raise
    if not deferred:
        return result
    names = ", ".join(role.label for role in deferred)
    is_in = result.guest.state is State.ACCEPTED
    when = "not given yet" if is_in else "given once the invitation is accepted"
    later = f"{names}: {when}. `guestlist settle` does that."
    return result.model_copy(update={"deferred": deferred, "warnings": (*result.warnings, later)})


def _ensure(
    call: Call, new: NewInvitation, if_exists: IfExists, known: Guest | None
) -> Steps[InviteResult]:
    """Makes sure that the person is invited or a member, given the records that were read
    before."""
    if known is not None and known.state is State.ACCEPTED:
        return already_member_result(call, new, if_exists, known)
    is_unknown = known is not None and known.unidentified is not None and not known.candidates
    if known is not None and is_unknown:
        if not _handles_members(call.provider):
            instead = call.provider.substitutes.get("login", "")
            raise call.about(
                InvalidArgument(
                    f"it is unknown whether {new.who} is a member: {known.unidentified}",
                    hint=f"Nothing was sent. Pass the person's login. {instead}".strip(),
                )
            )
        if known.state is State.UNKNOWN:  # the service refuses a member
            known = known.model_copy(update={"state": State.GONE})
    if known is not None and known.state in MAY_BE_OPEN and known.invitation is not None:
        if if_exists == "resend":
            return (yield from renew(call, known, known.invitation, new))
        if if_exists != "replace":
            return already_invited_result(call, new, if_exists, known)
        return (yield from recreate(call, new, known, known.invitation))
    try:
        result = yield from create(call, new, known)
    except (Conflict, Forbidden) as refusal:
        may_be_known = known is None or isinstance(refusal, Conflict | SeatLimit)
        # If the invitation was created, the refused request was a later one of the same flow.
        if refusal.happened is not False or not may_be_known:
            raise
        return (yield from _after_refusal(call, new, if_exists, refusal))
    if is_unknown and result.outcome is Outcome.JOINED and not call.provider.refuses_members:
        warning = "If the person was a member before, the role is now the one asked for."
        result = result.model_copy(update={"warnings": (*result.warnings, warning)})
    return result


def _handles_members(provider: Provider) -> bool:
    """Returns whether an address may be invited that may be a member's."""
    return provider.refuses_members or provider.invites_unknown


def _after_refusal(
    call: Call, new: NewInvitation, if_exists: IfExists, refusal: Conflict | Forbidden
) -> Steps[InviteResult]:
    """Reads the records after the service refused an invitation: as a duplicate, or because the
    organization is full or the credentials may not invite. Does not send again.

    Only an expired invitation that blocks the address is revoked, once.
    """
    try:
        guest = yield from look(call, again=True)
    except Forbidden:
        if isinstance(refusal, Forbidden):
            raise refusal from None
        raise
    blocking = guest.invitation
    may_block = blocking is not None and blocking.state in (*MAY_BE_OPEN, State.EXPIRED)
    hides_member = (
        guest.unidentified is not None
        and isinstance(refusal, Conflict)
        and _handles_members(call.provider)
    )
    if hides_member and not may_block:
        return _hidden_member_result(call, new, if_exists, guest, refusal)
    is_invited = guest.state in MAY_BE_OPEN and may_block and not call.prepared
    if guest.state is State.ACCEPTED or is_invited:
        return (yield from _ensure(call, new, if_exists, guest))
    if guest.state is State.EXPIRED and blocking is not None:
        if not call.provider.supports("revoke"):
            return (yield from renew(call, guest, blocking, new))
        try:
            return (yield from recreate(call, new, guest, blocking))
        except Conflict as again:
            if not hides_member:
                raise
            return (yield from _after_second_refusal(call, new, if_exists, again))
    raise refusal


def _after_second_refusal(
    call: Call, new: NewInvitation, if_exists: IfExists, refusal: Conflict
) -> Steps[InviteResult]:
    """Reads the records after an expired invitation was revoked, and the service refused the new
    one: another program has invited the person, or the person is a member."""
    guest = yield from look_up_after_change(call, refusal.happened)
    try:
        if guest.state in MAY_BE_OPEN and guest.invitation is not None:
            return already_invited_result(call, new, if_exists, guest)
        return _hidden_member_result(call, new, if_exists, guest, refusal)
    except Conflict as error:
        error.happened, error.half_done = refusal.happened, refusal.half_done
        raise


def _hidden_member_result(
    call: Call,
    new: NewInvitation,
    if_exists: IfExists,
    guest: Guest,
    refusal: Conflict | Forbidden,
) -> InviteResult:
    """Returns the result for a person whom the service refuses, and who is not invited: a member
    whose record does not show the address."""
    guest = guest.model_copy(update={"state": State.ACCEPTED, "basis": Basis.INFERRED})
    result = already_member_result(call, new, if_exists, guest)
    why = f"{call.provider.title} refused the invitation: {refusal.message}"
    return result.model_copy(update={"warnings": (why, *result.warnings)})
