"""The effects of inviting, resending, cancelling, accepting and deleting. No HTTP in this module.

Documented: an invitation is valid for seven days (OBJ-inv, OI-validate); the user exists before the
email is sent; a key works once; resending sends the email again. Unverified choices: resending
moves `expires_at` and keeps the key; cancelling removes the row of a person who never was a member;
an invitation is withdrawn if the invited person is deleted, or invited again after it has expired.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from guestlist_aitronos.sandbox.records import (
    ACTIVE,
    DELETED,
    INVITED,
    Change,
    Invitation,
    Membership,
    Organization,
    User,
)
from guestlist_aitronos.sandbox.seed import add_membership, add_user
from guestlist_aitronos.sandbox.state import ServiceState


def invite(
    service: ServiceState,
    inviter: User,
    organization: Organization,
    email: str,
    role_ids: list[str],
    *,
    send: bool,
    custom_message: str | None = None,
) -> Invitation:
    """Creates an invitation, and for a new person also the user and the membership row."""
    records, now = service.records, service.clock.now()
    user = records.user_by_email(email) or add_user(records, email, None, None, now)
    row = records.membership(organization.id, user.id)
    if row is None:
        row = add_membership(records, organization.id, user, role_ids, INVITED, now)
    else:
        _withdraw(service, row)
        row.role_ids, row.status, row.last_modified_at = role_ids, INVITED, now
    invitation = Invitation(
        id=records.new_id("inv"),
        key=records.new_id("invkey"),
        organization_id=organization.id,
        user_id=user.id,
        email=email,
        inviter_id=inviter.id,
        is_new_user=not user.is_registered,
        created_at=now,
        expires_at=expiry(service),
        role_ids=role_ids,
        custom_message=custom_message,
    )
    records.invitations[invitation.id] = invitation
    records.log(inviter, "created", row, now, Change("status", None, INVITED))
    if send:
        send_email(service, invitation)
    return invitation


def expiry(service: ServiceState) -> datetime:
    """Returns the expiry of an invitation that is sent now."""
    return service.clock.now() + timedelta(days=int(service.chosen["validity_days"]))


def resend(service: ServiceState, invitation: Invitation, *, send: bool = True) -> None:
    """Sends an open invitation again, and moves its expiry if the switch says so."""
    if service.chosen["resend_moves_expiry"] == "yes":
        invitation.expires_at = expiry(service)
    if send:
        send_email(service, invitation)


def cancel(service: ServiceState, invitation: Invitation, actor: User) -> None:
    """Withdraws an invitation."""
    records, now = service.records, service.clock.now()
    invitation.cancelled_at = now
    row = row_of(service, invitation)
    if row is not None and row.status == INVITED:
        records.log(actor, "deleted", row, now, Change("status", INVITED, None))
        _remove_invited_row(service, row)


def accept(service: ServiceState, invitation: Invitation, user: User) -> None:
    """Marks an invitation as used and makes a user a member: the invited person, or another one who
    has the key."""
    records, now = service.records, service.clock.now()
    row = row_of(service, invitation)
    own = records.membership(invitation.organization_id, user.id)
    if own is None:
        if row is not None:
            _remove_invited_row(service, row)
        own = add_membership(
            records, invitation.organization_id, user, invitation.role_ids, INVITED, now
        )
    invitation.used_at = now
    records.log(user, "updated", own, now, Change("status", own.status, ACTIVE))
    own.role_ids, own.status, own.was_active = invitation.role_ids, ACTIVE, True
    own.joined_at = own.last_modified_at = now


def delete(service: ServiceState, row: Membership, actor: User) -> None:
    """Marks a membership as deleted, and withdraws an open invitation."""
    records, now = service.records, service.clock.now()
    _withdraw(service, row)
    records.log(actor, "deleted", row, now, Change("status", row.status, DELETED))
    row.status, row.last_modified_at = DELETED, now


def row_of(service: ServiceState, invitation: Invitation) -> Membership | None:
    """Returns the membership row of the invited person."""
    return service.records.membership(invitation.organization_id, invitation.user_id)


def _withdraw(service: ServiceState, row: Membership) -> None:
    invitation = service.records.open_invitation(row)
    if invitation is not None:
        invitation.cancelled_at = service.clock.now()


def _remove_invited_row(service: ServiceState, row: Membership) -> None:
    """Removes the row of an invited person; the row of a former member becomes deleted again."""
    if row.was_active:
        row.status, row.last_modified_at = DELETED, service.clock.now()
    else:
        del service.records.memberships[row.id]


def send_email(service: ServiceState, invitation: Invitation) -> None:
    """Sends the invitation's email."""
    records = service.records
    organization = records.organizations[invitation.organization_id].name
    inviter = records.users[invitation.inviter_id]
    lines = [
        f"{inviter.full_name or inviter.email} invites you to join {organization} on Aitronos.",
        invitation.custom_message or "",
        f"The link in this email works once, until {invitation.expires_at:%d %b %Y, %H:%M} UTC.",
    ]
    service.outbox.send(
        service.name,
        invitation=invitation.id,
        to=invitation.email,
        sender="no-reply@aitronos.com",
        organization=organization,
        subject=f"Join {organization} on Aitronos",
        text="\n\n".join(line for line in lines if line),
        link=invitation.link,
        expires_at=invitation.expires_at,
        roles=tuple(
            role.name
            for role in records.roles_of(invitation.organization_id)
            if role.id in invitation.role_ids
        ),
    )
