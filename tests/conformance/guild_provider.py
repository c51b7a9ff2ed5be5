"""A provider for a service where people hold several roles of two kinds and may have several
invitations at once. The sabotages in `sabotages.toml` change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import SecretStr

from guestlist.errors import Conflict, GuestlistError
from guestlist.models import Grant, Invitation, Member, NewInvitation, Role, State
from guestlist.provider import (
    Flow,
    Page,
    Provider,
    Request,
    Response,
    by_cursor,
    explain,
    operation,
    parse_datetime,
    setting,
)

STATES = {
    "sent": State.PENDING,
    "joined": State.ACCEPTED,
    "turned_down": State.DECLINED,
    "lapsed": State.EXPIRED,
    "withdrawn": State.REVOKED,
}
REFUSALS: Mapping[str | None, type[GuestlistError]] = {
    "already_invited": Conflict,
    "invite_closed": Conflict,
}


class Guild(Provider):
    """The one guild of a key."""

    name = "guild"
    title = "Guild"
    docs_url = "https://docs.guild.example/people"
    role_kinds = ("team", "badge")
    least_roles = 1
    most_roles = None
    lifetime = timedelta(days=14)
    keeps_revoked = True
    resend_moves_expiry = True
    secret_fields = frozenset({"join_token"})
    substitutes: ClassVar[Mapping[str, str]] = {"email": "Guild always sends the email."}

    base_url: str = setting("Where Guild is", default="https://api.guild.example")
    key: str = setting("A key that may invite", env="GUILD_KEY", secret=True)

    def authorize(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def explain(self, response: Response) -> GuestlistError:
        error = explain(response)
        kind = REFUSALS.get(error.code) if response.status == 400 else None
        return explain(response, kind)

    @operation
    def organization(self) -> Flow[str]:
        reply = yield Request.get("guild")
        return str(reply.mapping()["name"])

    # ------------------------------------------------------------------ invitations

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        grants = [role.id for role in new.roles]
        reply = yield Request.post("invites", json={"email": new.email, "grants": grants})
        return read_invitation(reply.mapping())

    @operation
    def resend(self, invitation: Invitation) -> Flow[Invitation]:
        reply = yield Request.post("invites", invitation.id or "", "resend")
        return read_invitation(reply.mapping())

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        yield Request.delete("invites", invitation.id or "")

    @operation
    def get_invitation(self, id: str) -> Flow[Invitation]:
        reply = yield Request.get("invites", id)
        return read_invitation(reply.mapping())

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        return (yield from by_cursor(cursor, page_of("invites"), read_invitation, "results"))

    # ------------------------------------------------------------------ members

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        return (yield from by_cursor(cursor, page_of("members"), read_member, "results"))

    @operation
    def get_member(self, id: str) -> Flow[Member]:
        reply = yield Request.get("members", id)
        return read_member(reply.mapping())

    @operation
    def remove(self, member: Member) -> Flow[None]:
        """Guild has no call for it: whoever holds nothing any more has left."""
        held = (yield from self.get_member(member.id)).roles or ()
        for role in held:
            yield Request.delete("members", member.id, "grants", role.id)

    # ------------------------------------------------------------------ roles

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        return (yield from by_cursor(cursor, page_of("grants"), read_role, "results"))

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        yield Request.put("members", member.id, "grants", role.id)

    @operation
    def unassign_role(self, member: Member, role: Role) -> Flow[None]:
        held = (yield from self.get_member(member.id)).roles or ()
        if [one.id for one in held] == [role.id]:
            raise Conflict("it is the member's last one, and Guild would remove the person")
        yield Request.delete("members", member.id, "grants", role.id)

    @operation
    def access(self, member: Member) -> Flow[tuple[Grant, ...]]:
        held = (yield from self.get_member(member.id)).roles or ()
        return tuple(Grant(role=role) for role in held)


def page_of(name: str) -> Any:
    return lambda cursor: Request.get(name, query={"limit": 100, "cursor": cursor})


def read_role(raw: Mapping[str, Any]) -> Role:
    return Role(id=raw["id"], name=raw["name"], kind=raw["type"])


def read_roles(raw: Mapping[str, Any]) -> Iterator[Role]:
    for kind in ("team", "badge"):
        for one in raw[f"{kind}s"]:
            yield Role(id=one["id"], name=one["name"], kind=kind)


def read_invitation(raw: Mapping[str, Any]) -> Invitation:
    return Invitation(
        id=raw["id"],
        email=raw["email"],
        state=STATES.get(raw["status"], State.UNKNOWN),
        raw_state=raw["status"],
        roles=tuple(read_roles(raw)),
        created_at=parse_datetime(raw["created"]),
        expires_at=parse_datetime(raw["expires"]),
        link=SecretStr(f"{raw['join']}?token={raw['join_token']}"),
        raw=raw,
    )


def read_member(raw: Mapping[str, Any]) -> Member:
    return Member(
        id=raw["id"],
        email=raw["email"],
        name=raw["name"],
        roles=tuple(read_roles(raw)),
        joined_at=parse_datetime(raw["joined"]),
        raw=raw,
    )
