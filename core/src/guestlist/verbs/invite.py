"""`invite`, which makes sure that a person has an open invitation or is in, and `resend`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from guestlist import errors
from guestlist.address import check_email
from guestlist.errors import Conflict, GuestlistError, InvalidOrder, Unsupported
from guestlist.exchange.account import Call
from guestlist.exchange.policy import run, sleep
from guestlist.exchange.recovery import Settled, once
from guestlist.exchange.step import Steps
from guestlist.models import (
    MAY_BE_OPEN,
    OPEN_STATES,
    Basis,
    Guest,
    Invitation,
    InviteResult,
    Member,
    Order,
    Outcome,
    Role,
    State,
)
from guestlist.provider import Provider
from guestlist.provider.settings import in_words
from guestlist.verbs.accounts import Accounts
from guestlist.verbs.find import Who, begin, can_look, find_invitation, look, look_after
from guestlist.verbs.hold import hold
from guestlist.verbs.journal import settle_earlier, written
from guestlist.verbs.roles import RoleRef, holds, no_role, resolve, word
from guestlist.verbs.states import conclude, current

IfExists = Literal["return", "resend", "replace", "error"]

ENDED = frozenset({State.EXPIRED, State.REVOKED, State.DECLINED, State.ACCEPTED})
"""The states of an invitation that nobody can accept any more."""

GRAIN = 1.1
"""Seconds between reading an expiry of whole seconds and renewing it. Within the same second as the
last renewal it would not be seen to move, and a resend that got no answer would be repeated."""

FOUND_BY_LOOKING = (
    "No answer came; it was found by looking. Whether the mail went out is not known."
)
DONE_EARLIER = "An earlier call has done it, and was interrupted. Nothing was sent now."


def invite(
    accounts: Accounts,
    email: str,
    *,
    role: RoleRef | Iterable[RoleRef] | None = None,
    mail: bool = True,
    if_exists: IfExists = "return",
    options: Mapping[str, Any] | BaseModel | None = None,
    account: str | None = None,
) -> Steps[InviteResult]:
    """Makes sure that a person has an open invitation or is in. Safe to repeat.

    Nothing is sent when the order cannot be honoured in full. A record that has ended (expired,
    revoked, declined) counts as absent.

    Args:
        email: sent as typed, compared by key.
        role: what the person shall be, by id, name or `kind:name`; several where the service
            takes several. What it takes only after acceptance is refused, unless the client has
            a ledger: there it is owed, until `guestlist settle` gives it.
        mail: False suppresses the service's mail, where the service can.
        if_exists: what to do about an open invitation: `return` it, `resend` it, `replace` it
            (revoke and invite anew), or raise an `error` (also for a member).
        options: the provider's own options.
        account: which account; may be left out when there is only one.

    Raises:
        InvalidOrder: the address or an option cannot be, or the policy refuses it.
        Unsupported: the service cannot do all that is asked.
        UnknownRole: a role fits nothing, or more than one thing.
        AlreadyInvited, AlreadyMember: with `if_exists="error"`.
        OutcomeUnknown: it may have happened, and looking could not tell within the budget.
    """
    call = accounts.call(account, email.strip() if isinstance(email, str) else None)
    provider = call.provider
    try:
        call.email = check_email(email)
        accounts.check_domain(call.email)
        if if_exists not in ("return", "resend", "replace", "error"):
            raise InvalidOrder(
                f"if_exists cannot be {if_exists!r}",
                hint="It can be return, resend, replace or error.",
            )
        if not isinstance(mail, bool):
            raise InvalidOrder(f"mail cannot be {mail!r}", hint="It can be True or False.")
        wanted = refs_of(role)
        _check_possible(provider, wanted, mail, if_exists, can_owe=call.journal is not None)
        chosen = options_of(provider, options)
        roles: tuple[Role, ...] = ()
        for ref in wanted:
            roles += ((yield from resolve(call, ref)),)
        taken = len(roles) if provider.most_roles is None else provider.most_roles
        owed = roles[taken:]
        order = Order(email=call.email, roles=roles[:taken], mail=mail, options=chosen)
        accounts.check(order)
    except GuestlistError as error:
        raise call.about(error) from error.__cause__
    yield from hold(call, call.email)
    action = if_exists if if_exists in ("resend", "replace") else "invite"
    known = found = yield from settle_earlier(call, action)
    if known is None and _looks_first(call, if_exists):
        known = yield from look(call, call.email)
    if found is None or (if_exists == "return" and found.state in (*OPEN_STATES, State.ACCEPTED)):
        steps = _invite(call, order, owed, if_exists, known)
    else:
        steps = _done_earlier(found, Outcome.RESENT if action == "resend" else Outcome.INVITED)
    words = [word(provider, ref) for ref in wanted]
    result = yield from _written(call, known, action, steps, words[:taken], words[taken:])
    call.account.tell("outcome", email=call.email, detail=result.outcome)
    return result


def _looks_first(call: Call, if_exists: IfExists) -> bool:
    """Whether one looks before sending. Where the service refuses duplicates that can be spared,
    unless a later call shall be able to tell what this one has changed."""
    remembers = call.known is not None or call.journal is not None
    return remembers or if_exists == "replace" or not call.provider.refuses_duplicates


def _written(
    call: Call,
    known: Guest | None,
    action: str,
    steps: Steps[InviteResult],
    roles: Sequence[str] = (),
    owed: Sequence[str] = (),
) -> Steps[InviteResult]:
    if known is None:  # nobody looked, and nothing is written down
        return (yield from steps)
    return (
        yield from written(
            call,
            known,
            action,
            steps,
            lambda result: result.outcome,
            roles=roles,
            owed=owed,
            mail=lambda result: result.mail_sent,
        )
    )


def _done_earlier(guest: Guest, outcome: Outcome) -> Steps[InviteResult]:
    """An earlier call has done it, and was interrupted before it could say so."""
    if guest.state is State.ACCEPTED:
        outcome = Outcome.ALREADY_MEMBER
    return InviteResult(outcome=outcome, guest=guest, warnings=(DONE_EARLIER,))
    yield  # no steps


def _invite(
    call: Call,
    order: Order,
    owed: tuple[Role, ...],
    if_exists: IfExists,
    known: Guest | None,
) -> Steps[InviteResult]:
    try:
        result = yield from _ensure(call, order, if_exists, known)
    except errors.OutcomeUnknown as unknown:
        unknown.order = order
        raise
    if not owed:
        return result
    names = ", ".join(role.label for role in owed)
    later = f"{names}: given once the invitation is accepted, by `guestlist settle`."
    return result.model_copy(update={"owed": owed, "warnings": (*result.warnings, later)})


def resend(accounts: Accounts, who: Who, *, account: str | None = None) -> Steps[InviteResult]:
    """Sends the mail of an invitation again, and so renews it where the service renews.

    Keeps the invitation where the service can. Where it cannot, the invitation is revoked and made
    anew: `replaced` then holds the old one, whose link is dead.

    Args:
        who: an address, the id of an invitation, or a value that guestlist returned.
        account: which account; may be left out when there is only one.

    Raises:
        NotFound: there is no invitation.
        Conflict: it was accepted, declined or revoked.
        Unsupported: the service has no way to do it.
        OutcomeUnknown: the mail may have gone out again, and looking could not tell.
    """
    call, email = yield from begin(accounts, who, account, _check_resendable)
    yield from hold(call, email)
    found = yield from settle_earlier(call, "resend")
    if found is not None:
        return (yield from _written(call, found, "resend", _done_earlier(found, Outcome.RESENT)))
    guest = yield from look(call, email)
    if guest.invitation is None or guest.state not in (*MAY_BE_OPEN, State.EXPIRED):
        raise call.about(_not_resendable(guest))
    steps = _resend(call, guest, guest.invitation)
    result = yield from _written(call, guest, "resend", steps)
    call.account.tell("outcome", email=email, detail=result.outcome)
    return result


# ---------------------------------------------------------------------------- before sending


def refs_of(role: RoleRef | Iterable[RoleRef] | None) -> list[RoleRef]:
    """What was given, as a list.

    Raises:
        InvalidOrder: it is nothing that can name roles.
    """
    if role is None:
        return []
    if isinstance(role, str | Role):
        return [role]
    if isinstance(role, Iterable):
        return list(role)
    raise no_role(role)


def _check_possible(
    provider: Provider, roles: list[RoleRef], mail: bool, if_exists: str, *, can_owe: bool
) -> None:
    """Refuses what the service cannot do, before anything is sent.

    Args:
        can_owe: roles can be given later: there is a ledger that remembers them.
    """
    title = provider.title
    can_owe = can_owe and provider.supports("assign_role")
    if not provider.supports("invite"):
        raise provider.unsupported("invite")
    if roles and provider.most_roles == 0 and not can_owe:
        raise Unsupported(
            f"{title} takes no role at invitation time",
            hint=provider.substitutes.get("role", "Assign it once the invitation is accepted.")
            + " A client with a ledger remembers it until then.",
        )
    if provider.most_roles is not None and len(roles) > provider.most_roles and not can_owe:
        raise Unsupported(
            f"{title} takes {provider.most_roles} role at invitation time, not {len(roles)}",
            hint="Assign the others once the invitation is accepted.",
        )
    if len(roles) < provider.least_roles:
        raise InvalidOrder(
            f"{title} needs a role for an invitation", hint="`guestlist roles` shows them."
        )
    if not mail and not provider.can_suppress_mail:
        raise Unsupported(
            f"{title} always sends the mail itself", hint=provider.substitutes.get("mail", "")
        )
    if if_exists == "replace" and not provider.supports("revoke"):
        raise provider.unsupported("revoke")
    if if_exists == "resend":
        _check_resendable(provider)


def _check_resendable(provider: Provider) -> None:
    emulated = provider.supports("revoke") and provider.supports("invite")
    if not provider.supports("resend") and not emulated:
        raise provider.unsupported("resend")


def options_of(provider: Provider, given: Mapping[str, Any] | BaseModel | None) -> BaseModel:
    """What was given, as the provider's own options.

    Raises:
        InvalidOrder: there is no such option, or it cannot have that value.
    """
    kind = provider.Options
    if isinstance(given, BaseModel) and type(given) is not kind:  # the base has many subclasses
        raise InvalidOrder(
            f"{type(given).__name__} are not the options of {provider.title}",
            hint=f"Use {kind.__name__}.",
        )
    if isinstance(given, BaseModel):
        return given
    if not isinstance(given, Mapping | None):
        raise InvalidOrder(
            f"the options cannot be {given!r}", hint="Give them by name, as a dictionary."
        )
    try:
        return kind.model_validate(dict(given or {}))
    except ValidationError as error:
        known = ", ".join(kind.model_fields) or "none"
        wrong = "; ".join(
            f"there is no option {problem['loc'][0]!r}"
            if problem["type"] == "extra_forbidden"
            else f"option {'.'.join(map(str, problem['loc']))}: {in_words(problem)}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise InvalidOrder(
            f"{provider.title}: {wrong}", hint=f"The options are: {known}."
        ) from None


# ---------------------------------------------------------------------------- inviting


def _ensure(
    call: Call, order: Order, if_exists: IfExists, known: Guest | None
) -> Steps[InviteResult]:
    """Brings it about that the person is invited or in, starting from what is known."""
    if known is not None and known.state is State.ACCEPTED:
        return _already_member(call, order, if_exists, known)
    if known is not None and known.state in MAY_BE_OPEN and known.invitation is not None:
        if if_exists == "resend":
            return (yield from _resend(call, known, known.invitation, order))
        if if_exists != "replace":
            return _already_invited(call, order, if_exists, known)
        return (yield from _anew(call, order, known, known.invitation))
    try:
        return (yield from _create(call, order, known))
    except Conflict as conflict:
        return (yield from _after_conflict(call, order, if_exists, conflict))


def _create(call: Call, order: Order, known: Guest | None) -> Steps[InviteResult]:
    before = known.invitation if known is not None else None
    conclusive = (
        before is None or _has_ended(call, before) or (yield from _would_show(call, before))
    )
    settled = yield from once(
        call,
        partial(call.provider.invite, order),
        partial(_appeared, call, order.email, known) if can_look(call) else None,
        conclusive=conclusive,
    )
    return _created(call, order, settled)


def _has_ended(call: Call, invitation: Invitation) -> bool:
    """Whether an invitation is certainly over. Where it might still be open, a service may answer
    another order for the address by renewing it in place."""
    if invitation.basis is not Basis.DERIVED:
        return invitation.state in ENDED
    told = _told_expiry(invitation)
    return told is not None and call.account.is_dated and told <= call.account.now()


def _would_show(call: Call, invitation: Invitation) -> Steps[bool]:
    """Whether one sees if an invitation is renewed, by an expiry that moves; waits until it would.
    Where none shows, finding no change proves nothing."""
    told = _told_expiry(invitation)
    if not shows_renewal(call.provider, invitation):
        return False
    if told is not None and told.microsecond == 0 and call.known is None:
        yield from sleep(call, min(GRAIN, call.remaining))
    return True


def shows_renewal(provider: Provider, invitation: Invitation) -> bool:
    """Whether an invitation that is renewed in place has another expiry then."""
    return provider.resend_moves_expiry and _told_expiry(invitation) is not None


def _told_expiry(invitation: Invitation) -> datetime | None:
    """When an invitation expires, if the service says so."""
    return None if "expires_at" in invitation.estimated else invitation.expires_at


def _anew(call: Call, order: Order, guest: Guest, old: Invitation) -> Steps[InviteResult]:
    """Revokes an invitation and makes another."""
    revoked: bool | None = True
    over = old.model_copy(update={"state": State.REVOKED, "basis": Basis.INFERRED})
    try:
        yield from run(call, call.provider.revoke(old))
    except (errors.NotFound, Conflict, errors.Rejected) as refusal:
        # an earlier try has done it, it was accepted just now, or it is over and nothing to revoke
        revoked = refusal.happened
        now = yield from look_after(call, order.email, revoked)
        if now.state is State.ACCEPTED:
            return _already_member(call, order, "replace", now)
        if not isinstance(refusal, errors.NotFound):
            if now.state in OPEN_STATES or revoked is not False:
                raise
            over = old
    try:
        result = yield from _create(call, order, guest.model_copy(update={"invitation": over}))
    except GuestlistError as error:
        if error.happened is False:
            error.happened = revoked  # not all of it, but not nothing either
        if over is not old:
            error.hint = f"The earlier invitation is revoked already. {error.hint}"
        raise
    return result.model_copy(update={"replaced": old})


def _appeared(
    call: Call, email: str, known: Guest | None, _happened: bool
) -> Steps[Invitation | Member | None]:
    """What a create has made: a record or a membership that was not there before.

    Raises:
        MalformedResponse: nobody looked before, and whether it is new cannot be told.
    """
    guest = yield from look(call, email, members=False)  # a new invitation is proof enough
    try:
        return appeared(guest, known)
    except GuestlistError as error:
        raise call.about(error) from None


def appeared(guest: Guest, known: Guest | None) -> Invitation | Member | None:
    """What is there now and was not before. The invitee may have answered already: a new
    invitation that was declined was made all the same.

    Args:
        guest: where the person stands now.
        known: where the person stood before; None when nobody looked.

    Raises:
        MalformedResponse: nobody looked before, and whether it is new cannot be told.
    """
    one = guest.invitation
    if guest.state is State.ACCEPTED:
        return guest.member or one
    if one is None:
        return None
    if known is None and guest.state in OPEN_STATES:
        return one
    if known is None:  # no date tells: this machine's clock may have been set meanwhile
        raise errors.MalformedResponse(
            f"an invitation of {guest.email} is {one.state} and may be new"
        )
    before = known.invitation
    if before is None or (one.id, one.expires_at) != (before.id, before.expires_at):
        return one
    reopened = before.basis is Basis.REPORTED and before.state in ENDED
    return one if reopened and one.state in OPEN_STATES else None


def _after_conflict(
    call: Call, order: Order, if_exists: IfExists, conflict: Conflict
) -> Steps[InviteResult]:
    """The service says that somebody is invited or a member already: look, never send again.

    Only an expired invitation that still blocks the address is cleared out of the way, once.
    """
    guest = yield from look(call, order.email, again=True)
    blocking = guest.invitation
    if guest.state is State.ACCEPTED or guest.state in MAY_BE_OPEN:
        return (yield from _ensure(call, order, if_exists, guest))
    if guest.state is State.EXPIRED and blocking is not None:
        if call.provider.supports("revoke"):
            return (yield from _anew(call, order, guest, blocking))
        return (yield from _resend(call, guest, blocking, order))
    raise conflict


def _created(call: Call, order: Order, settled: Settled[Invitation | Member]) -> InviteResult:
    value = settled.value
    mail = None if order.mail and not settled.answered else order.mail
    if isinstance(value, Member):
        guest = conclude(call.account, order.email, None, value)
        outcome, mail, held = Outcome.JOINED, None, value.roles
    else:
        now = call.account.now()
        value = current(value, call.provider, now, fresh=settled.answered)
        guest = conclude(call.account, order.email, value, None)
        if value.state is State.ACCEPTED:  # the service says so; the members were not asked
            told = {"state": State.ACCEPTED, "basis": value.basis}
            guest = guest.model_copy(update=told)
        held = value.roles or None
        outcome = {
            State.AWAITING_APPROVAL: Outcome.AWAITING_APPROVAL,
            State.ACCEPTED: Outcome.JOINED,
        }.get(value.state, Outcome.INVITED)
    applied = _applied(order.roles, held)
    warnings = [] if settled.answered else [FOUND_BY_LOOKING]
    warnings += _role_warning(applied)
    return InviteResult(
        outcome=outcome,
        guest=guest,
        mail_sent=mail,
        role_applied=applied,
        warnings=tuple(warnings),
    )


def _already_member(call: Call, order: Order, if_exists: IfExists, guest: Guest) -> InviteResult:
    if if_exists == "error":
        raise call.about(
            errors.AlreadyMember(
                f"{order.email} is a member already", hint="`assign_role` changes what they may do."
            )
        )
    applied = _applied(order.roles, guest.member.roles if guest.member else None)
    return InviteResult(
        outcome=Outcome.ALREADY_MEMBER,
        guest=guest,
        mail_sent=False,
        role_applied=applied,
        warnings=tuple(_role_warning(applied)),
    )


def _already_invited(call: Call, order: Order, if_exists: IfExists, guest: Guest) -> InviteResult:
    invitation = guest.invitation
    if if_exists == "error":
        raise call.about(
            errors.AlreadyInvited(
                f"{order.email} has {_which(guest)} already"
                + (f" ({invitation.id})" if invitation and invitation.id else ""),
                hint='if_exists="resend" sends the mail again, "replace" makes a new one.',
            )
        )
    waiting = guest.state is State.AWAITING_APPROVAL
    applied = _applied(order.roles, invitation.roles or None if invitation else None)
    return InviteResult(
        outcome=Outcome.AWAITING_APPROVAL if waiting else Outcome.ALREADY_INVITED,
        guest=guest,
        mail_sent=False,
        role_applied=applied,
        warnings=(*_word_warning(guest), *_role_warning(applied)),
    )


def _which(guest: Guest) -> str:
    if guest.state is State.UNKNOWN:
        return f"an invitation that the service calls {guest.raw_state!r}"
    return "an open invitation"


def _word_warning(guest: Guest) -> list[str]:
    return [
        f"The service calls the invitation {guest.raw_state or 'nothing'!r}, and what that means is"
        ' not known: it may still be open. "resend" and "replace" send again.'
    ] * (guest.state is State.UNKNOWN)


def _applied(wanted: Iterable[Role], held: Iterable[Role] | None) -> bool | None:
    wanted = tuple(wanted)
    if not wanted or held is None:
        return None
    held = tuple(held)
    return all(holds(held, role) for role in wanted)


def _role_warning(applied: bool | None) -> list[str]:
    return ["What the person has or is offered differs from the role asked for."] * (
        applied is False
    )


# ---------------------------------------------------------------------------- resending


def _resend(
    call: Call, guest: Guest, invitation: Invitation, order: Order | None = None
) -> Steps[InviteResult]:
    provider = call.provider
    again = order or provider.order_of(invitation)
    if not provider.supports("resend"):
        return (yield from _replace(call, again, guest, invitation))
    conclusive = yield from _would_show(call, invitation)
    try:
        settled = yield from once(
            call,
            partial(provider.resend, invitation),
            partial(_renewed, call, invitation, conclusive),
            conclusive=conclusive,
        )
    except (errors.Rejected, Conflict, errors.NotFound) as refusal:
        if guest.state is not State.EXPIRED or refusal.happened is not False:
            raise
        return (yield from _replace(call, again, guest, invitation))
    now = call.account.now()
    renewed = current(settled.value, provider, now)
    applied = _applied(again.roles, renewed.roles or None) if order else None
    changed = None not in (renewed.id, invitation.id) and renewed.id != invitation.id
    warnings = [] if settled.answered else [FOUND_BY_LOOKING]
    if renewed.state is State.EXPIRED:
        warnings.append(
            'The mail went out, and the invitation is past its expiry still: "replace" it.'
        )
    return InviteResult(
        outcome=Outcome.RESENT,
        guest=conclude(call.account, guest.email, renewed, None),
        mail_sent=True if settled.answered else None,
        role_applied=applied,
        replaced=invitation if changed else None,
        warnings=(*warnings, *_role_warning(applied)),
    )


def _renewed(
    call: Call, before: Invitation, shows: bool, happened: bool
) -> Steps[Invitation | None]:
    """The invitation, if it was renewed since: its expiry has moved, or it has another id. The old
    record alone cannot tell: some services leave it as it is and make another one beside it.

    Args:
        shows: whether a renewal shows by an expiry that moves.
        happened: whether it was surely renewed. Where that does not show, waiting shows no more,
            and the invitation as it is will do.

    Raises:
        MalformedResponse: it is gone, perhaps accepted: nobody can tell whether it was renewed.
    """
    if call.provider.supports("get_invitation") and before.id is not None:
        with suppress(errors.NotFound):
            same = yield from run(call, call.provider.get_invitation(before.id))
            if moved(before, same):
                return same
    now = yield from find_invitation(call, before.email)
    if now is None:
        raise call.about(errors.MalformedResponse(f"the invitation of {before.email} is gone"))
    as_it_is = happened and not shows and now.state in (*OPEN_STATES, State.EXPIRED)
    return now if as_it_is or moved(before, now) else None


def moved(before: Invitation, now: Invitation) -> bool:
    """Whether an invitation was renewed: its expiry is later, or it has another id."""
    if now.expires_at is None or before.expires_at is None:
        return False
    return now.expires_at > before.expires_at or now.id != before.id


def _replace(call: Call, order: Order, guest: Guest, old: Invitation) -> Steps[InviteResult]:
    """Resending where the service cannot: revoke, if it can, and invite anew.

    Raises:
        Conflict: what the old one offered is not known; nothing was revoked.
    """
    if len(order.roles) < call.provider.least_roles:
        raise call.about(
            Conflict(
                f"the invitation of {guest.email} is {guest.state}, cannot be resent, and does not"
                " tell its role",
                hint="Invite the person anew, with a role.",
            )
        )
    warnings = ["The invitation was made anew: it has another id"]
    if call.provider.supports("revoke"):
        warnings[0] += ", and the old link is dead."
        result = yield from _anew(call, order, guest, old)
    else:
        warnings[0] += "; the old one stays until it expires."
        result = yield from _create(call, order, guest)
    return result.model_copy(
        update={
            "outcome": Outcome.RESENT if result.outcome is Outcome.INVITED else result.outcome,
            "replaced": old,
            "warnings": (*warnings, *result.warnings),
        }
    )


def _not_resendable(guest: Guest) -> GuestlistError:
    if guest.state is State.ACCEPTED:
        return Conflict(f"{guest.email} has accepted already", hint="There is nothing to resend.")
    if guest.invitation is None:
        return errors.NotFound(
            f"there is no invitation of {guest.email}", hint="Invite the person first."
        )
    return Conflict(
        f"the invitation of {guest.email} is {guest.state}", hint="Invite the person anew."
    )
