"""The endpoints of invitations (dossier 2.1), the email, and acceptance by the invited person."""

from __future__ import annotations

from guestlist.sandbox.service import SandboxRefusal

from . import fields
from .call import Answer, Call, Endpoint, Endpoints
from .refusal import Refused
from .state import VALIDITY, Invitation, Membership, Person, World


def list_invitations(call: Call) -> Answer:
    """Lists the invitations in all states, or only pending ones, by the switch `listing` (C-4)."""
    shown = list(call.world.invitations)
    if call.choices["listing"] == "pending":
        shown = [one for one in shown if call.shapes.status(one) == "Pending"]
    key = "invitations" if call.shapes.openapi else "invites"
    return Answer(200, call.shapes.many(key, shown, call.shapes.invitation, call.query))


def create_invitation(call: Call) -> Answer:
    """Invites an address. An older invitation of the same address does not change (C-17)."""
    body = call.body()
    email = fields.address(body, "email_invited")
    permissions = body.get("permissions")
    if permissions is None:
        permissions = {}
    if not isinstance(permissions, dict):
        raise Refused(400, "Invalid permissions.")
    api_enabled = fields.flag(permissions, "api_enabled", default=False)  # default unverified
    if call.choices["duplicates"] == "refuse":
        _refuse_duplicate(call.world, email)
    invitation = call.world.invitations.add(
        Invitation(
            **call.world.identity(),
            inviter_name=call.caller.name,
            inviter_email=call.caller.email,
            email=email,
            api_enabled=api_enabled,
            expires=call.world.clock.now() + VALIDITY,
        )
    )
    _send_email(call.world, invitation)
    return Answer(201, call.shapes.one("invitation", call.shapes.invitation(invitation)))


def get_invitation(call: Call) -> Answer:
    invitation = call.world.invitations.get(call.path["id"])
    return Answer(200, call.shapes.one("invitation", call.shapes.invitation(invitation)))


def resend_invitation(call: Call) -> Answer:
    """Sends the email of a `Pending` invitation again, and moves its expiry to three days from now
    (docs D-resend, C-5)."""
    invitation = call.world.invitations.get(call.path["id"])
    if call.shapes.status(invitation) != "Pending":
        raise Refused(400, "Only pending invitations can be resent.")  # text unverified
    invitation.expires = call.world.clock.now() + VALIDITY
    _send_email(call.world, invitation)
    return Answer(200, call.shapes.one("invitation", call.shapes.invitation(invitation)))


def accept(world: World, id: str) -> None:
    """Accepts an invitation, as the invited person does by email and console. The new member has no
    grants.

    Raises:
        SandboxRefusal: the invitation is unknown, expired or used.
    """
    try:
        invitation = world.invitations.get(id)
    except Refused as refused:
        raise SandboxRefusal(refused.text) from None
    now = world.clock.now()
    state = invitation.state(now)
    if state != "pending":
        raise SandboxRefusal(f"the invitation of {invitation.email} is {state}")
    person = world.find_person(invitation.email) or _register(world, invitation.email)
    if person.id not in world.home.members:
        world.home.members[person.id] = Membership()
        person.api_enabled = invitation.api_enabled
    invitation.registered = person.email
    invitation.responded = now


def _register(world: World, email: str) -> Person:
    name = email.partition("@")[0].replace(".", " ").title()
    first, _, last = name.partition(" ")
    return world.add_person(
        email=email, name=name, first_name=first, last_name=last, api_enabled=False
    )


def _refuse_duplicate(world: World, email: str) -> None:
    """Refuses to invite a member, or an address with a pending invitation. It is not documented
    what the service does in these cases; the dossier expects a 400."""
    person = world.find_person(email)
    if person is not None and person.id in world.home.members:
        raise Refused(400, "User is already a member of this organization.")
    now = world.clock.now()
    for other in world.invitations:
        if other.state(now) == "pending" and other.email.casefold() == email.casefold():
            raise Refused(400, "An invitation for this email is already pending.")


def _send_email(world: World, invitation: Invitation) -> None:
    """Sends the email. The real one contains a link in a form that is not public, so this one has
    no link."""
    organization = world.home.name
    text = (
        f"{invitation.inviter_name} ({invitation.inviter_email}) has invited you to join the "
        f"organization {organization} on Vultr.\n\n"
        "Sign in to the Vultr Console with this address, or create an account, to accept. "
        f"The invitation expires on {invitation.expires:%Y-%m-%d at %H:%M} UTC.\n"
    )
    world.outbox.send(
        "vultr",
        invitation=invitation.id,
        to=invitation.email,
        sender="no-reply@vultr.example",
        organization=organization,
        subject=f"You have been invited to join {organization} on Vultr",
        text=text,
        link=None,
        expires_at=invitation.expires,
    )


ENDPOINTS: Endpoints = {
    "/v2/invitation": {
        "GET": Endpoint("iam.invitation.List", list_invitations),
        "POST": Endpoint("iam.invitation.Create", create_invitation),
    },
    "/v2/invitation/{id}": {"GET": Endpoint("iam.invitation.Read", get_invitation)},
    "/v2/invitation/{id}/resend": {"POST": Endpoint("iam.invitation.Resend", resend_invitation)},
}
