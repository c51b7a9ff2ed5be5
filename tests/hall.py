"""A small service and providers for it: changeable invitations, and ids that are missing or change.

`Hall` can change the roles of an open invitation. `OneRole` allows one role at a time. `ByAddress`
has no ids of invitations, like GitLab. `Changing` gives an invitation another id with each resend
and answers its creation without content, like Keycloak. The invitations of `Endless` never expire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from guestlist.errors import MalformedResponse
from guestlist.models import Invitation, Member, NewInvitation, Role, State
from guestlist.provider import (
    NEVER,
    Flow,
    Page,
    Provider,
    Request,
    by_cursor,
    operation,
    parse_datetime,
    setting,
)
from guestlist.sandbox import (
    IncomingRequest,
    OrganizationService,
    Routes,
    SandboxRefusal,
    organization,
    paging,
)
from guestlist.sandbox.envelopes import nested
from guestlist.sandbox.organization import SWITCHES

OWNER, READER = "HALL-OWNER-KEY", "HALL-READER-KEY"
ROLES = ("admin", "editor", "reader")
STATES = {
    word: State(word)
    for word in ("pending", "awaiting_approval", "accepted", "declined", "expired", "revoked")
}
INVITATION, MEMBER = "/invitations/{id}", "/members/{id}"
MEMBER_ROLE = "/members/{id}/roles/{role}"


class HallService(OrganizationService):
    name = "hall"
    title = "Hall"
    switches: ClassVar = {
        name: SWITCHES[name]
        for name in (
            "accepted",
            "duplicates",
            "expired_invitations",
            "invitation_ids",
            "resend_id",
            "revoked",
        )
    }
    routes = Routes()

    def seed(self) -> None:
        for name in ROLES:
            self.organization.add_role(name, id=name)
        owner = self.organization.add_member(
            "olga@example.org", "Olga", [self.organization.role("admin")], key=OWNER
        )
        self.organization.add_key(owner.person, READER, read_only=True)

    @routes.post("/invitations", status=201)
    def invite(self, request: IncomingRequest) -> Any:
        made = self.organization.invite(request.text("email"), self.named(request))
        return None if self.chosen["resend_id"] == "change" else self.shown(made)

    @routes.get("/invitations")
    def list_invitations(self, request: IncomingRequest) -> Any:
        email = request.query.get("email")
        if email is not None:
            return self.page(request, self.organization.invitations_to(email))
        return self.page(request, self.organization.shown_invitations())

    @routes.get(INVITATION)
    def get_invitation(self, request: IncomingRequest) -> Any:
        return self.shown(self.organization.invitation(request.path["id"]))

    @routes.put(INVITATION)
    def change_invitation(self, request: IncomingRequest) -> Any:
        found = self.organization.invitation(request.path["id"])
        self.organization.change_invitation(found, self.named(request))
        return self.shown(found)

    @routes.post(f"{INVITATION}/resend")
    def resend(self, request: IncomingRequest) -> Any:
        return self.shown(
            self.organization.resend(self.organization.invitation(request.path["id"]))
        )

    @routes.delete(INVITATION)
    def revoke(self, request: IncomingRequest) -> Any:
        self.organization.revoke(self.organization.invitation(request.path["id"]))

    @routes.get("/members")
    def list_members(self, request: IncomingRequest) -> Any:
        return self.page(request, self.organization.members())

    @routes.delete(MEMBER)
    def remove(self, request: IncomingRequest) -> Any:
        self.organization.remove(self.organization.member(request.path["id"]))

    @routes.put(MEMBER_ROLE, status=204)
    def assign(self, request: IncomingRequest) -> Any:
        member = self.organization.member(request.path["id"])
        self.organization.assign(member, self.organization.role(request.path["role"]))

    @routes.delete(MEMBER_ROLE)
    def unassign(self, request: IncomingRequest) -> Any:
        member = self.organization.member(request.path["id"])
        self.organization.unassign(member, self.organization.role(request.path["role"]))

    @routes.put(f"{MEMBER}/role", status=204)
    def set_role(self, request: IncomingRequest) -> Any:
        self.organization.set_roles(
            self.organization.member(request.path["id"]), self.named(request)
        )

    @routes.get("/roles")
    def list_roles(self, request: IncomingRequest) -> Any:
        return {"items": [{"id": name} for name in ROLES]}

    def named(self, request: IncomingRequest) -> list[organization.RoleRecord]:
        return [self.organization.role(id) for id in request.json()["roles"]]

    def page(self, request: IncomingRequest, records: list[Any]) -> Any:
        page = paging.page_by_cursor(
            self.organization.listed(records), request.query, cursor="after"
        )
        return {"items": [self.shown(one) for one in page.items], "next": page.next or None}

    def shown(self, record: organization.InvitationRecord | organization.MemberRecord) -> Any:
        common = {"id": record.id, "roles": [role.id for role in record.roles]}
        if isinstance(record, organization.MemberRecord):
            return {**common, "email": record.person.email}
        expires = record.expires_at
        return {
            **common,
            "email": record.email,
            "status": record.state(self.clock.now()),
            "created_at": record.created_at.isoformat(),
            "expires_at": expires and expires.isoformat(),
        }

    def error(self, status: int, code: str, refusal: SandboxRefusal) -> Any:
        return nested(str(refusal), code)

    def settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": base_url, "api_key": OWNER}

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": base_url, "api_key": READER}


class EndlessService(HallService):
    lifetime = None


class Base(Provider):
    """Organizations of the hall, whose invitations have ids and any roles."""

    name = "hall"
    title = "Hall"
    docs_url = "https://docs.hall.example/invitations"
    most_roles: ClassVar[int | None] = None
    resend_moves_expiry = True
    sandbox = "tests.hall:HallService"
    substitutes: ClassVar[Mapping[str, str]] = {
        "access": "The member record names the roles.",
        "email": "The service always sends it.",
    }

    base_url: str = setting("Where the service is", default="https://api.hall.example")
    api_key: str = setting("A key that may invite", env="HALL_API_KEY", secret=True)

    @property
    def refuses_duplicates(self) -> bool:
        return True

    def authorize(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}

    def read_invitation(self, raw: Any) -> Invitation:
        return Invitation(
            id=raw["id"],
            email=raw["email"],
            state=STATES.get(raw["status"], State.UNKNOWN),
            raw_state=raw["status"],
            roles=tuple(Role(id=id, name=id) for id in raw["roles"]),
            created_at=parse_datetime(raw["created_at"]),
            expires_at=parse_datetime(raw["expires_at"]),
            raw=raw,
        )

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        body = {"email": new.email, "roles": [role.id for role in new.roles]}
        reply = yield Request.post("invitations", json=body)
        return self.read_invitation(reply.mapping())

    @operation
    def resend(self, invitation: Invitation) -> Flow[Invitation]:
        reply = yield Request.post("invitations", invitation.id or invitation.email or "", "resend")
        return self.read_invitation(reply.mapping())

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        yield Request.delete("invitations", invitation.id or invitation.email or "")

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        return (yield from by_cursor(cursor, _page("invitations"), self.read_invitation, "items"))

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        return (yield from by_cursor(cursor, _page("members"), _member, "items"))

    @operation
    def remove(self, member: Member) -> Flow[None]:
        yield Request.delete("members", member.id)

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        reply = yield Request.get("roles")
        return Page([Role(id=raw["id"], name=raw["id"]) for raw in reply.items("items")])

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        yield Request.put("members", member.id, "roles", role.id)

    @operation
    def unassign_role(self, member: Member, role: Role) -> Flow[None]:
        yield Request.delete("members", member.id, "roles", role.id)


def _page(what: str) -> Any:
    return lambda cursor: Request.get(what, query={"limit": 100, "after": cursor})


def _member(raw: Any) -> Member:
    roles = tuple(Role(id=id, name=id) for id in raw["roles"])
    return Member(id=raw["id"], email=raw["email"], roles=roles, raw=raw)


class Hall(Base):
    """The roles of an open invitation can be changed."""

    @operation
    def change_invitation(
        self, invitation: Invitation, roles: tuple[Role, ...]
    ) -> Flow[Invitation]:
        body = {"roles": [role.id for role in roles]}
        reply = yield Request.put("invitations", invitation.id or invitation.email or "", json=body)
        return self.read_invitation(reply.mapping())


class OneRole(Hall):
    """Everybody has exactly one role."""

    least_roles = 1
    most_roles = 1
    exclusive_kinds = ("role",)

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        yield Request.put("members", member.id, "role", json={"roles": [role.id]})


class ByAddress(Base):
    """The address is the handle of an invitation, and no record has an id. Nothing can change it
    in place."""

    resend_moves_expiry = False

    def read_invitation(self, raw: Any) -> Invitation:
        return super().read_invitation({**raw, "id": None, "expires_at": None})


class Endless(Base):
    """Invitations never expire."""

    lifetime = NEVER
    resend_moves_expiry = False


class Changing(Base):
    """An invitation has another id after each email. Its creation is answered without content."""

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        body = {"email": new.email, "roles": [role.id for role in new.roles]}
        yield Request.post("invitations", json=body)
        found = yield from self.find_invitation(new.email)
        if found is None:
            raise MalformedResponse("the new invitation is not listed")
        return found

    @operation
    def find_invitation(self, email: str) -> Flow[Invitation | None]:
        reply = yield Request.get("invitations", query={"email": email})
        found = map(self.read_invitation, reply.items("items"))  # the newest comes first
        return next((one for one in found if (one.email or "").lower() == email.lower()), None)
