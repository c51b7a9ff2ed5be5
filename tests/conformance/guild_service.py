"""A service where people hold several roles of two kinds. It refuses an invitation only if an open
one offers one of the same roles, invites members too, and drops a member with the last role."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from guestlist.sandbox import (
    IncomingRequest,
    InvitationRecord,
    MemberRecord,
    OrganizationService,
    RoleRecord,
    Routes,
    SandboxRefusal,
)
from guestlist.sandbox.envelopes import nested
from guestlist.sandbox.paging import page_by_cursor
from guestlist.sandbox.refusals import (
    DuplicateInvitation,
    InvalidValue,
    NotOpen,
    RoleNotFound,
    RoleNotHeld,
)

WORDS = {
    "pending": "sent",
    "accepted": "joined",
    "declined": "turned_down",
    "expired": "lapsed",
    "revoked": "withdrawn",
}
OWNER_KEY, READER_KEY = "GUILD-SANDBOX-OWNER-KEY", "GUILD-SANDBOX-READER-KEY"


class GuildService(OrganizationService):
    name = "guild"
    title = "Guild"
    organization_name = "Guild of Clockmakers"
    lifetime = timedelta(days=14)
    invitees_can_decline = True
    routes = Routes()
    behavior: ClassVar[dict[str, str]] = {
        "duplicates": "per_role",
        "inviting_members": "allow",
        "last_role": "leave",
    }
    errors: ClassVar[dict[Any, Any]] = {
        DuplicateInvitation: (400, "already_invited"),
        NotOpen: (400, "invite_closed"),
        InvalidValue: (400, "invalid"),
        RoleNotFound: (400, "no_such_grant"),
        RoleNotHeld: (404, "not_held"),
    }

    def seed(self) -> None:
        for id, name, kind in (
            ("t-1", "Wardens", "team"),
            ("t-2", "Makers", "team"),
            ("b-1", "Master", "badge"),
            ("b-2", "Apprentice", "badge"),
        ):
            self.organization.add_role(name, kind, id=id)
        wardens = [self.organization.role("t-1")]
        owner = self.organization.add_member("wren@example.org", "Wren", wardens, key=OWNER_KEY)
        self.organization.add_key(owner.person, READER_KEY, read_only=True)
        self.organization.owner = owner

    @routes.get("/guild")
    def guild(self, request: IncomingRequest) -> Any:
        return {"name": self.organization.name}

    @routes.post("/invites", status=201)
    def invite(self, request: IncomingRequest) -> Any:
        roles = [self.organization.role(id) for id in request.json().get("grants") or ()]
        return self.shown_invitation(self.organization.invite(request.text("email"), roles))

    @routes.get("/invites")
    def invites(self, request: IncomingRequest) -> Any:
        return page(request, self.organization.shown_invitations(), self.shown_invitation)

    @routes.get("/invites/{id}")
    def get_invite(self, request: IncomingRequest) -> Any:
        return self.shown_invitation(self.organization.invitation(request.path["id"]))

    @routes.post("/invites/{id}/resend")
    def resend(self, request: IncomingRequest) -> Any:
        invitation = self.organization.invitation(request.path["id"])
        return self.shown_invitation(self.organization.resend(invitation))

    @routes.delete("/invites/{id}")
    def withdraw(self, request: IncomingRequest) -> Any:
        invitation = self.organization.invitation(request.path["id"])
        if invitation.ended != "revoked":
            self.organization.revoke(invitation)

    @routes.get("/members")
    def members(self, request: IncomingRequest) -> Any:
        return page(request, self.organization.members(), shown_member)

    @routes.get("/members/{id}")
    def member(self, request: IncomingRequest) -> Any:
        return shown_member(self.organization.member(request.path["id"]))

    @routes.put("/members/{id}/grants/{grant}", status=204)
    def assign(self, request: IncomingRequest) -> Any:
        member = self.organization.member(request.path["id"])
        self.organization.assign(member, self.organization.role(request.path["grant"]))

    @routes.delete("/members/{id}/grants/{grant}")
    def unassign(self, request: IncomingRequest) -> Any:
        member = self.organization.member(request.path["id"])
        self.organization.unassign(member, self.organization.role(request.path["grant"]))

    @routes.get("/grants")
    def grants(self, request: IncomingRequest) -> Any:
        return page(request, list(self.organization.roles.values()), shown_role)

    def shown_invitation(self, one: InvitationRecord) -> dict[str, Any]:
        return {
            "id": one.id,
            "email": one.email,
            "status": WORDS[one.state(self.clock.now())],
            "created": one.created_at.isoformat(),
            "expires": one.expires_at and one.expires_at.isoformat(),
            "join": "https://guild.example/join",
            "join_token": one.secret,
            **shown_roles(one.roles),
        }

    def email(self, invitation: InvitationRecord) -> dict[str, Any]:
        link = f"https://guild.example/join?token={invitation.secret}"
        return {**super().email(invitation), "link": link}

    def error(self, status: int, code: str, refusal: SandboxRefusal) -> Any:
        return nested(str(refusal), code)

    def settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": base_url, "key": OWNER_KEY}

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": base_url, "key": READER_KEY}


def page(request: IncomingRequest, records: list[Any], shown: Any) -> dict[str, Any]:
    """Returns a page with an empty list before that of the records, as careless services have."""
    found = page_by_cursor(records, request.query)
    return {
        "notices": [],
        "results": [shown(one) for one in found.items],
        "total": found.total,
        "next": found.next or None,
    }


def shown_role(role: RoleRecord) -> dict[str, Any]:
    return {"id": role.id, "name": role.name, "type": role.kind}


def shown_roles(roles: list[RoleRecord]) -> dict[str, Any]:
    return {
        f"{kind}s": [{"id": one.id, "name": one.name} for one in roles if one.kind == kind]
        for kind in ("team", "badge")
    }


def shown_member(member: MemberRecord) -> dict[str, Any]:
    return {
        "id": member.id,
        "email": member.person.email,
        "name": member.person.name,
        "joined": member.created_at.isoformat(),
        **shown_roles(member.roles),
    }
