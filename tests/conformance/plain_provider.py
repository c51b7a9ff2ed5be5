"""A plain service, and how little a provider for one takes: the reference for authors.

The service creates, gets, lists and revokes invitations, and lists members; everybody has one role.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from guestlist.models import Invitation, Member, NewInvitation, Role, State
from guestlist.provider import (
    Flow,
    Page,
    Provider,
    Request,
    operation,
    parse_datetime,
    setting,
)

STATES = {
    "pending": State.PENDING,
    "accepted": State.ACCEPTED,
    "declined": State.DECLINED,
    "expired": State.EXPIRED,
    "revoked": State.REVOKED,
}


class Plain(Provider):
    """Organizations of the plain service."""

    name = "plain"
    title = "Plain"
    docs_url = "https://docs.plain.example/invitations"
    most_roles = 1
    lifetime = timedelta(days=7)
    substitutes: ClassVar[Mapping[str, str]] = {
        "remove": "Take the person out on the service's own pages.",
        "assign_role": "Invite with the role: it cannot be changed afterwards.",
        "unassign_role": "Revoke the invitation, or change the role on the service's own pages.",
        "access": "The member record names the role.",
        "email": "The service always sends it.",
    }

    base_url: str = setting("Where the service is", default="https://api.plain.example")
    api_key: str = setting("A key that may invite", env="PLAIN_API_KEY", secret=True)

    @property
    def refuses_duplicates(self) -> bool:
        return True

    def authorize(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        role = new.roles[0].id if new.roles else None
        reply = yield Request.post("invitations", json={"email": new.email, "role": role})
        return read_invitation(reply.mapping())

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        yield Request.delete("invitations", str(invitation.id))

    @operation
    def get_invitation(self, id: str) -> Flow[Invitation]:
        reply = yield Request.get("invitations", id)
        return read_invitation(reply.mapping())

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        reply = yield Request.get("invitations", query={"limit": 100, "cursor": cursor})
        return Page([read_invitation(raw) for raw in reply.items("items")], following(reply.json()))

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        reply = yield Request.get("members", query={"limit": 100, "cursor": cursor})
        return Page([read_member(raw) for raw in reply.items("items")], following(reply.json()))

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        reply = yield Request.get("roles")
        return Page([read_role(raw["id"]) for raw in reply.items("items")])


def following(body: Mapping[str, Any]) -> str | None:
    return body.get("next") or None


def read_role(name: str) -> Role:
    return Role(id=name, name=name)


def read_invitation(raw: Mapping[str, Any]) -> Invitation:
    return Invitation(
        id=raw["id"],
        email=raw["email"],
        state=STATES.get(raw["status"], State.UNKNOWN),
        raw_state=raw["status"],
        roles=(read_role(raw["role"]),) if raw.get("role") else (),
        created_at=parse_datetime(raw.get("created_at")),
        expires_at=parse_datetime(raw.get("expires_at")),
        raw=raw,
    )


def read_member(raw: Mapping[str, Any]) -> Member:
    return Member(
        id=raw["id"],
        email=raw["email"],
        name=raw.get("name"),
        roles=(read_role(raw["role"]),) if raw.get("role") else (),
        raw=raw,
    )
