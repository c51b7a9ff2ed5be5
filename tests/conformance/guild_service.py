"""A service where people hold several roles of two kinds. It refuses an invitation only if an open
one offers one of the same roles, invites members too, and drops a member with the last role."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from guestlist.sandbox import (
    Call,
    Invitation,
    Member,
    OrganizationService,
    Role,
    Routes,
    SandboxRefusal,
)
from guestlist.sandbox.envelopes import nested
from guestlist.sandbox.paging import by_cursor
from guestlist.sandbox.refusals import (
    AlreadyInvited,
    InvalidValue,
    NotOpen,
    RoleNotHeld,
    UnknownRole,
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
        AlreadyInvited: (400, "already_invited"),
        NotOpen: (400, "invite_closed"),
        InvalidValue: (400, "invalid"),
        UnknownRole: (400, "no_such_grant"),
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
    def guild(self, call: Call) -> Any:
        return {"name": self.organization.name}

    @routes.post("/invites", status=201)
    def invite(self, call: Call) -> Any:
        roles = [self.organization.role(id) for id in call.json().get("grants") or ()]
        return self.shown_invitation(self.organization.invite(call.text("email"), roles))

    @routes.get("/invites")
    def invites(self, call: Call) -> Any:
        return page(call, self.organization.shown_invitations(), self.shown_invitation)

    @routes.get("/invites/{id}")
    def get_invite(self, call: Call) -> Any:
        return self.shown_invitation(self.organization.invitation(call.path["id"]))

    @routes.post("/invites/{id}/resend")
    def resend(self, call: Call) -> Any:
        invitation = self.organization.invitation(call.path["id"])
        return self.shown_invitation(self.organization.resend(invitation))

    @routes.delete("/invites/{id}")
    def withdraw(self, call: Call) -> Any:
        invitation = self.organization.invitation(call.path["id"])
        if invitation.ended != "revoked":
            self.organization.revoke(invitation)

    @routes.get("/members")
    def members(self, call: Call) -> Any:
        return page(call, self.organization.members(), shown_member)

    @routes.get("/members/{id}")
    def member(self, call: Call) -> Any:
        return shown_member(self.organization.member(call.path["id"]))

    @routes.put("/members/{id}/grants/{grant}", status=204)
    def assign(self, call: Call) -> Any:
        member = self.organization.member(call.path["id"])
        self.organization.assign(member, self.organization.role(call.path["grant"]))

    @routes.delete("/members/{id}/grants/{grant}")
    def unassign(self, call: Call) -> Any:
        member = self.organization.member(call.path["id"])
        self.organization.unassign(member, self.organization.role(call.path["grant"]))

    @routes.get("/grants")
    def grants(self, call: Call) -> Any:
        return page(call, list(self.organization.roles.values()), shown_role)

    def shown_invitation(self, one: Invitation) -> dict[str, Any]:
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

    def email(self, invitation: Invitation) -> dict[str, Any]:
        link = f"https://guild.example/join?token={invitation.secret}"
        return {**super().email(invitation), "link": link}

    def error(self, status: int, code: str, refusal: SandboxRefusal) -> Any:
        return nested(str(refusal), code)

    def settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": base_url, "key": OWNER_KEY}

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": base_url, "key": READER_KEY}


def page(call: Call, records: list[Any], shown: Any) -> dict[str, Any]:
    """Returns a page with an empty list before that of the records, as careless services have."""
    found = by_cursor(records, call.query)
    return {
        "notices": [],
        "results": [shown(one) for one in found.items],
        "total": found.total,
        "next": found.next or None,
    }


def shown_role(role: Role) -> dict[str, Any]:
    return {"id": role.id, "name": role.name, "type": role.kind}


def shown_roles(roles: list[Role]) -> dict[str, Any]:
    return {
        f"{kind}s": [{"id": one.id, "name": one.name} for one in roles if one.kind == kind]
        for kind in ("team", "badge")
    }


def shown_member(member: Member) -> dict[str, Any]:
    return {
        "id": member.id,
        "email": member.person.email,
        "name": member.person.name,
        "joined": member.created_at.isoformat(),
        **shown_roles(member.roles),
    }
