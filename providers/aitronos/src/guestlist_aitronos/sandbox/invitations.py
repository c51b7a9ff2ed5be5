"""The endpoints of invitations."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import JSONResponse, Response

from guestlist_aitronos.sandbox import lifecycle, login, shapes
from guestlist_aitronos.sandbox.bodies import (
    Bulk,
    Complete,
    EmailKey,
    Invite,
    InviteV2,
    LenientInvite,
    Selector,
    is_email,
)
from guestlist_aitronos.sandbox.call import Call, Seat
from guestlist_aitronos.sandbox.errors import (
    ApiError,
    bad_email,
    conflict,
    forbidden,
    invalid,
    no_invitation,
    not_found,
)
from guestlist_aitronos.sandbox.members import bulk_result
from guestlist_aitronos.sandbox.records import MEMBER, Invitation, Membership
from guestlist_aitronos.sandbox.routing import Endpoints

endpoints = Endpoints()
ORGANIZATION = "/v1/organizations/{organization}"


@endpoints.post(f"{ORGANIZATION}/invite-user")
async def invite_user(call: Call) -> Response:
    """Invites an address (OI-send, CM-invite, SDK)."""
    seat = call.inviter()
    email, role_id, send = await _requested(call, seat)
    invitation = _invite(call, seat, email, [role_id], send)
    shape = shapes.invitation_created(call.service, invitation)
    return JSONResponse(shape, HTTPStatus.CREATED)


@endpoints.post(f"{ORGANIZATION}/users/invite/v2")
async def invite_v2(call: Call) -> Response:
    """Invites an address with several roles (U-invite-v2). Departments are not checked: this
    sandbox has none."""
    seat = call.inviter()
    body = await call.body(InviteV2)
    roles = [call.role(seat, id) for id in body.role_ids] or [call.records.system_role(MEMBER)]
    role_ids = list(dict.fromkeys(role.id for role in roles))
    invitation = _invite(
        call, seat, body.email, role_ids, body.send_invitation, body.custom_message
    )
    user = call.records.users[invitation.user_id]
    if body.full_name and not user.is_registered:
        user.full_name = body.full_name
    row = next(r for r in call.records.memberships_of(seat.organization.id) if r.user_id == user.id)
    shape = shapes.account(call.service, row, body.department_ids)
    return JSONResponse(shape, HTTPStatus.CREATED)


@endpoints.get(f"{ORGANIZATION}/invitation")
async def get_invitation(call: Call) -> Response:
    """Returns an invitation by exactly one selector (CM-get, SDK). A switch decides whether an
    expired invitation is found."""
    seat = call.seat()
    selector = call.query(Selector)
    given = [x for x in (selector.email, selector.user_id, selector.invitation_id) if x]
    if len(given) != 1:
        raise invalid("Provide exactly one of: email, user_id, invitation_id")
    invitation = _selected(call, seat, selector)
    if invitation is None:
        raise no_invitation()
    now = call.service.clock.now()
    if invitation.state(now) == "expired" and call.service.chosen["expired_lookup"] == "missing":
        raise no_invitation()
    return JSONResponse(shapes.invitation_details(invitation))


@endpoints.post(f"{ORGANIZATION}/users/{{user}}/resend-invitation")
async def resend_invitation(call: Call) -> Response:
    """Sends an invitation again. Answers 204 (CM-resend, SDK), or in the profile `organizations`
    200 with a message (OI-resend)."""
    seat = call.inviter()
    lifecycle.resend(call.service, _resendable(call, seat, call.path("user")))
    if call.service.profile == "organizations":
        return JSONResponse({"success": True, "message": "Invitation sent again"})
    return Response(status_code=HTTPStatus.NO_CONTENT)


@endpoints.post(f"{ORGANIZATION}/users/resend-invitation-bulk")
async def resend_invitations_bulk(call: Call) -> Response:
    """Sends many invitations again (CM-bulk, SDK). Reports the failures per person in a 200."""
    seat = call.inviter()
    body = await call.body(Bulk)

    def resend(person: str) -> None:
        lifecycle.resend(call.service, _resendable(call, seat, person))

    return bulk_result(body.user_ids, resend)


@endpoints.delete(f"{ORGANIZATION}/invitations/{{invitation}}")
async def cancel_invitation(call: Call) -> Response:
    """Cancels an invitation (SDK). The 204 is unverified, and also that the answer for an accepted
    invitation is 404."""
    seat = call.inviter()
    invitation = call.records.invitations.get(call.path("invitation"))
    if (
        invitation is None
        or invitation.is_closed
        or invitation.organization_id != seat.organization.id
    ):
        raise no_invitation()
    lifecycle.cancel(call.service, invitation, seat.user)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@endpoints.get("/v1/invitations/validate/{email_key}")
async def validate_invitation(call: Call) -> Response:
    """Returns the invitation of a key (OI-validate). Needs no credentials."""
    invitation = _by_key(call, call.path("email_key"))
    _check_usable(call, invitation)
    return JSONResponse(
        {
            "valid": True,
            "invitation_id": invitation.id,
            "email": invitation.email,
            **_joined(call, invitation),
            "expires_at": shapes.stamp(invitation.expires_at),
        }
    )


@endpoints.post("/v1/invitations/accept")
async def accept_invitation(call: Call) -> Response:
    """Accepts an invitation. The key is in the query (SDK) or in the body (CM-accept). The 200 is
    unverified."""
    user = call.caller()
    key = call.request.query_params.get("email_key") or (await call.body(EmailKey)).email_key
    invitation = _by_key(call, key)
    is_other = invitation.user_id != user.id
    if is_other and call.service.chosen["accept_address"] == "must_match":
        raise forbidden("ACCESS_DENIED", "This invitation is for another address")
    row = call.records.membership(invitation.organization_id, user.id)
    if row is not None and row.is_in:
        raise conflict("User is already a member of this organization")
    _check_usable(call, invitation)
    lifecycle.accept(call.service, invitation, user)
    return JSONResponse({"success": True, **_joined(call, invitation)})


@endpoints.post("/v1/invitations/complete")
async def complete_invitation(call: Call) -> Response:
    """Registers the invited person and accepts the invitation (CM-complete, SDK). Needs no
    credentials.

    Refusing people who already have an account is a choice: a person who has only the key must not
    be able to change their password.
    """
    body = await call.body(Complete)
    invitation = _by_key(call, body.email_key)
    _check_usable(call, invitation)
    user = call.records.users[invitation.user_id]
    if user.is_registered:
        raise invalid("The account exists: sign in and accept the invitation")
    user.full_name, user.password = body.full_name, body.password
    user.updated_at = call.service.clock.now()
    lifecycle.accept(call.service, invitation, user)
    session = login.sign_in(call.service, user)
    return JSONResponse(
        {
            "success": True,
            "user_id": user.id,
            "email": user.email,
            "organization_id": invitation.organization_id,
            "token": session.access_token,
            "refresh_token": {
                "token": session.refresh_token,
                "expires_at": shapes.stamp(session.refresh_expires_at),
            },
            "device_id": None,
            "recommended_username": user.email.partition("@")[0].lower(),
        }
    )


async def _requested(call: Call, seat: Seat) -> tuple[str, str, bool]:
    """Returns the address, the role id and whether to send an email, from either family of field
    names."""
    if call.service.chosen["extra_fields"] == "strict":
        body = await call.body(Invite)
        return body.email, call.role(seat, body.role_id).id, body.send_invitation
    lenient = await call.body(LenientInvite)
    if lenient.role_id:
        role = call.role(seat, lenient.role_id)
    else:
        named = call.records.role_named(seat.organization.id, lenient.role_name)
        if named is None:
            raise not_found("Role")
        role = named
    send = lenient.send_email if lenient.send_invitation is None else lenient.send_invitation
    return lenient.email, role.id, send


def _invite(
    call: Call,
    seat: Seat,
    email: str,
    role_ids: list[str],
    send: bool,
    custom_message: str | None = None,
) -> Invitation:
    user = call.records.user_by_email(email)
    row = user and call.records.membership(seat.organization.id, user.id)
    if row and row.is_in:
        raise conflict("User is already a member of this organization")
    pending = _unexpired(call, row) if row else None
    if row and pending:
        if call.service.chosen["duplicates"] == "refuse":
            raise conflict("User has already been invited to this organization")
        pending.role_ids = row.role_ids = role_ids
        lifecycle.resend(call.service, pending, send=send)
        return pending
    if not is_email(email):
        raise bad_email()
    return lifecycle.invite(
        call.service,
        seat.user,
        seat.organization,
        email,
        role_ids,
        send=send,
        custom_message=custom_message,
    )


def _unexpired(call: Call, row: Membership) -> Invitation | None:
    """Returns the open invitation that prevents another one. That an expired one does not is
    unverified."""
    invitation = call.records.open_invitation(row)
    if invitation and invitation.state(call.service.clock.now()) == "pending":
        return invitation
    return None


def _selected(call: Call, seat: Seat, selector: Selector) -> Invitation | None:
    if selector.invitation_id:
        found = call.records.invitations.get(selector.invitation_id)
        is_here = found and found.organization_id == seat.organization.id
        return found if found and is_here and not found.is_closed else None
    user_id = selector.user_id
    if selector.email:
        user = call.records.user_by_email(selector.email)
        user_id = user.id if user else None
    row = user_id and call.records.membership(seat.organization.id, user_id)
    return call.records.open_invitation(row) if row else None


def _resendable(call: Call, seat: Seat, person: str) -> Invitation:
    row = call.records.membership(seat.organization.id, person)
    newest = next(call.records.invitations_to(row), None) if row else None
    if newest is None or newest.cancelled_at is not None:
        raise no_invitation()
    if newest.used_at is not None:
        raise invalid("Invitation already accepted")
    return newest


def _by_key(call: Call, key: str) -> Invitation:
    invitation = call.records.invitation_by_key(key)
    if invitation is None or invitation.cancelled_at is not None:
        raise no_invitation()
    if call.records.organization(invitation.organization_id) is None:
        raise no_invitation()
    return invitation


def _check_usable(call: Call, invitation: Invitation) -> None:
    refusal = unusable(invitation.state(call.service.clock.now()))
    if refusal:
        raise refusal


def unusable(state: str) -> ApiError | None:
    """Returns the error for an invitation in a state in which it cannot be accepted, or None."""
    if state == "pending":
        return None
    return invalid(
        "Invitation has expired" if state == "expired" else "Invitation has already been used"
    )


def _joined(call: Call, invitation: Invitation) -> dict[str, str]:
    """Returns the organization and role of an invitation, by id and name."""
    return {
        "organization_id": invitation.organization_id,
        "organization_name": call.records.organizations[invitation.organization_id].name,
        "role_id": invitation.role_ids[0],
        "role_name": call.records.roles[invitation.role_ids[0]].name,
    }
