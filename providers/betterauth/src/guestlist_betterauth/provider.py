"""The better-auth provider: facts about the server, settings of the account, and its operations.

better-auth is a library that people run in servers of their own. The facts were observed on a
running server with better-auth 1.6.25 and its defaults, unless another source is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any, ClassVar

from guestlist.errors import Conflict, Forbidden, GuestlistError, NotFound
from guestlist.models import Grant, Invitation, Member, NewInvitation, Role, State
from guestlist.provider import (
    Effect,
    Flow,
    Limit,
    Page,
    Provider,
    Request,
    Response,
    by_offset,
    explain,
    operation,
    parse_datetime,
    setting,
)

PAGE_SIZE = 500
"""Members per page. The server has no maximum."""

CUT_OFF = (
    "Raise advanced.database.defaultFindManyLimit on the server and list_limit in the account."
)

STATES = {
    "pending": State.PENDING,  # expired invitations stay pending for ever
    "accepted": State.ACCEPTED,
    "rejected": State.DECLINED,
    "canceled": State.REVOKED,  # canceling an accepted one does not end the membership
}
"""The server's words for the state of an invitation. Any other word is read as `UNKNOWN`."""

_MEMBER = (
    "If the member exists, the token's owner is not in this organization: check organization_id"
    " with `guestlist check`."
)
_OWNER_NEEDED = "Use an owner's or admin's token."

_MEANINGS: dict[str, tuple[type[GuestlistError] | None, str]] = {
    "USER_IS_ALREADY_INVITED_TO_THIS_ORGANIZATION": (Conflict, ""),
    "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION": (Conflict, ""),
    "YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER": (Conflict, ""),
    "YOU_CANNOT_LEAVE_THE_ORGANIZATION_WITHOUT_AN_OWNER": (Conflict, ""),
    "INVITATION_LIMIT_REACHED": (None, "Revoke some, or raise the server's invitationLimit."),
    "INVITATION_NOT_FOUND": (NotFound, ""),
    "MEMBER_NOT_FOUND": (NotFound, _MEMBER),
    "ROLE_NOT_FOUND": (None, "List the roles that the server has in role_names."),
    # The server answers 401 although the token is valid.
    "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_MEMBER": (Forbidden, _OWNER_NEEDED),
}
"""The error class and hint for the server's error codes. A class of None keeps the class that
follows from the status. Nearly all codes come with 400."""


class BetterAuth(Provider):
    """One organization on a server with better-auth's organization and bearer plugins."""

    name = "betterauth"
    title = "better-auth"
    docs_url = "https://www.better-auth.com/docs/plugins/organization"
    sandbox = "guestlist_betterauth.sandbox:BetterAuthService"
    judges = ("a real server, better-auth 1.6.25",)

    organization_settings = ("organization_id",)
    # Without `role` the server refuses; with an empty list it creates an invitation without roles.
    least_roles = 1
    # The roles that the server creates with an organization, besides member (its documentation).
    admin_roles = frozenset({"owner", "admin"})
    most_roles = None  # the server has no maximum
    # This is the default of invitationExpiresIn; every answer contains the actual date.
    lifetime = timedelta(hours=48)
    resend_moves_expiry = True
    keeps_revoked = True  # as canceled
    # The server counts requests per address and path (source of 1.6.25).
    limits_count_addresses = True
    no_access = "The person is a member without a role, and may do nothing that needs a role."
    substitutes: ClassVar[Mapping[str, str]] = {
        "email": "The server's own sendInvitationEmail decides: suppress the email there.",
    }

    base_url: str = setting(
        "The server's URL with better-auth's path, such as /api/auth", env="BETTER_AUTH_BASE_URL"
    )
    token: str = setting("Session token of an owner or admin", env="BETTER_AUTH_TOKEN", secret=True)
    organization_id: str = setting("The organization's id", env="BETTER_AUTH_ORGANIZATION_ID")
    role_names: tuple[str, ...] = setting(
        "The server's roles, which no request lists", default=("owner", "admin", "member")
    )
    reinvite_cancels: bool = setting(
        "Whether the server's cancelPendingInvitationsOnReInvite is on", default=False
    )
    list_limit: int = setting("How many invitations the server lists at most", default=100)

    @property
    def limits(self) -> tuple[Limit, ...]:
        """100 requests in 10 s to one path from one address: the default, enabled in production."""
        return (Limit(100, 10.0),)

    @property
    def refuses_duplicates(self) -> bool:
        """True unless cancelPendingInvitationsOnReInvite is on (source of 1.6.25; off by
        default)."""
        return not self.reinvite_cancels

    def authorize(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def explain(self, response: Response) -> GuestlistError:
        """Returns the error for the server's error code. For an unknown role there is no code; the
        code is the first word of the message instead."""
        error = super().explain(response)
        meaning = _MEANINGS.get(error.code or error.message.partition(":")[0])
        if meaning and response.status in (400, 401, 403):
            return explain(response, *meaning)
        if response.status == 401:
            error.hint = "Sign in again for a new token: a token expires with its session."
        if response.status == 404:  # the server never answers 404 for a missing record
            error.hint = "Check base_url: it has to end in the mount path, such as /api/auth."
        return error

    @operation
    def organization(self) -> Flow[str]:
        """Returns the name of the organization. The token's owner has to be a member of it.

        Raises:
            Forbidden: the token's owner may not invite: the server answers that.
        """
        reply = yield Request.get("organization", "list")
        names = {raw["id"]: str(raw["name"]) for raw in reply.items()}
        if self.organization_id not in names:
            known = ", ".join(f"{name} ({id})" for id, name in names.items()) or "none"
            raise NotFound(
                f"the token's owner is not in an organization with the id {self.organization_id}",
                hint=f"Check organization_id. The owner's organizations: {known}.",
            )
        permissions = {"invitation": ["create"]}
        reply = yield self._post("has-permission", Effect.READ, permissions=permissions)
        if not reply.mapping()["success"]:
            raise Forbidden("the token's owner may not invite", hint=_OWNER_NEEDED)
        return names[self.organization_id]

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        """Creates an invitation. The server sends the email before it answers."""
        return (yield from self._invite(new))

    @operation
    def resend(self, invitation: Invitation) -> Flow[Invitation]:
        """Sends the email again. The invitation can be accepted for its whole lifetime from now.

        If the address has an open invitation, the server renews that, and ignores the role in the
        request. If the last invitation has expired, the server creates a new one, and the old
        record stays `pending` for ever.
        """
        return (yield from self._invite(self.copy_of(invitation), resend=True))

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        """Cancels an invitation. Can be repeated. The server cancels an accepted invitation too:
        the record changes and the person remains a member. So guestlist checks the state first."""
        yield self._post("cancel-invitation", Effect.REPEATABLE, invitationId=invitation.id)

    @operation
    def get_invitation(self, id: str) -> Flow[Invitation]:
        """Returns an invitation by reading the list: the server shows a single invitation only to
        the invited person."""
        return (yield from self.invitations()).with_id(id)

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """Returns all invitations, in any state. The list has no pages, and the server cuts it off
        without notice at its advanced.database.defaultFindManyLimit."""
        reply = yield self._list("list-invitations")
        found = reply.records()
        cut_off = CUT_OFF if len(found) >= self.list_limit else None
        return Page.of(found, read_invitation, cut_off=cut_off)

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        """Returns one page of the members, in the order in which they joined."""

        def page(skip: int) -> Request:
            return self._list("list-members", limit=PAGE_SIZE, offset=skip, sortBy="createdAt")

        return (
            yield from by_offset(
                cursor,
                page,
                read_member,
                "members",
                size=PAGE_SIZE,
                total=lambda reply: int(reply.mapping()["total"]),
                email=address_of_member,
            )
        )

    @operation
    def get_member(self, id: str) -> Flow[Member]:
        reply = yield self._list("list-members", filterField="id", filterValue=id)
        found = Page.of(reply.records("members"), read_member, email=address_of_member)
        return found.with_id(id)

    @operation
    def remove(self, member: Member) -> Flow[None]:
        """Removes a member from the organization. The person's account on the server is not
        deleted."""
        yield self._post("remove-member", Effect.REPEATABLE, memberIdOrEmail=member.id)

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        """Returns the configured roles, because the server has no request that lists them."""
        yield from ()
        return Page(read_roles(",".join(self.role_names)))

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        """Adds a role to the member's present roles. The server only takes the complete list."""
        yield from self._set_roles(member, role, held=True)

    @operation
    def unassign_role(self, member: Member, role: Role) -> Flow[None]:
        """Takes a role away from a member.

        Raises:
            Conflict: it is the member's only role; the server accepts no empty list.
        """
        yield from self._set_roles(member, role, held=False)

    @operation
    def access(self, member: Member) -> Flow[tuple[Grant, ...]]:
        """Returns the member's roles. All of them are direct."""
        now = yield from self.get_member(member.id)
        return tuple(Grant(role=role) for role in now.roles or ())

    def _invite(self, new: NewInvitation, **more: Any) -> Flow[Invitation]:
        names = [role.id for role in new.roles]
        reply = yield self._post("invite-member", email=new.email, role=names, **more)
        return read_invitation(reply.mapping())

    def _set_roles(self, member: Member, role: Role, *, held: bool) -> Flow[None]:
        now = yield from self.get_member(member.id)
        names = [one.id for one in now.roles or () if one.id != role.id] + [role.id] * held
        if not names:
            raise Conflict(
                f"{role.label} is the only role of {member.email}, and a member needs one",
                hint="Assign another role first, or `remove` the member.",
            )
        yield self._post("update-member-role", Effect.REPEATABLE, memberId=member.id, role=names)

    def _list(self, what: str, **query: str | int) -> Request:
        query["organizationId"] = self.organization_id
        return Request.get("organization", what, query=query)

    def _post(self, what: str, effect: Effect = Effect.CREATE, **body: Any) -> Request:
        body["organizationId"] = self.organization_id
        return Request.post("organization", what, json=body, effect=effect)


@lru_cache(maxsize=1024)
def read_roles(text: str | None) -> tuple[Role, ...]:
    """Reads the roles of a member or invitation: names, separated by commas. The name serves as the
    id."""
    names = (name.strip() for name in (text or "").split(","))
    return tuple(Role(id=name, name=name) for name in dict.fromkeys(names) if name)


def read_invitation(raw: Mapping[str, Any]) -> Invitation:
    """Reads an invitation. The link in the email contains only its id, and every member can list
    the ids."""
    return Invitation(
        id=raw["id"],
        email=raw["email"],
        state=STATES.get(raw["status"], State.UNKNOWN),
        raw_state=raw["status"],
        roles=read_roles(raw.get("role")),
        organization_id=raw.get("organizationId"),
        created_at=parse_datetime(raw.get("createdAt")),
        expires_at=parse_datetime(raw.get("expiresAt")),
        invited_by=raw.get("inviterId"),
        raw=raw,
    )


def address_of_member(raw: Mapping[str, Any]) -> Any:
    """Returns the email address in a member record."""
    return raw["user"]["email"]


def read_member(raw: Mapping[str, Any]) -> Member:
    """Reads a member. The person's name and address are in the field `user`."""
    return Member(
        id=raw["id"],
        email=address_of_member(raw),
        name=raw["user"].get("name"),
        user_id=raw.get("userId"),
        roles=read_roles(raw.get("role")),
        joined_at=parse_datetime(raw.get("createdAt")),
        raw=raw,
    )
