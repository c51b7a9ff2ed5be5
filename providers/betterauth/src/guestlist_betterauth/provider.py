"""The provider: better-auth's facts, the account's settings, and what each operation calls.

better-auth is a library that people run in servers of their own. What is said here was seen from
a running 1.6.25 with its defaults, unless another source is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import field_validator

from guestlist.errors import (
    Conflict,
    Forbidden,
    GuestlistError,
    MalformedResponse,
    NotFound,
    Rejected,
)
from guestlist.models import Grant, Invitation, Member, Order, Role
from guestlist.provider import (
    Effect,
    Flow,
    Limit,
    Page,
    Provider,
    Request,
    Response,
    explain,
    operation,
    setting,
)
from guestlist_betterauth import reading

PAGE_SIZE = 500
"""Members of a page. The server knows no most."""

_MEANINGS: dict[str, tuple[type[GuestlistError], str]] = {
    "USER_IS_ALREADY_INVITED_TO_THIS_ORGANIZATION": (Conflict, ""),
    "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION": (Conflict, ""),
    "YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER": (
        Conflict,
        "Make somebody else an owner first; only an owner can.",
    ),
    "YOU_CANNOT_LEAVE_THE_ORGANIZATION_WITHOUT_AN_OWNER": (
        Conflict,
        "Make somebody else an owner first.",
    ),
    # answered with 403
    "INVITATION_LIMIT_REACHED": (
        Conflict,
        "Revoke invitations, or raise invitationLimit of the server's organization plugin.",
    ),
    "INVITATION_NOT_FOUND": (NotFound, ""),
    "MEMBER_NOT_FOUND": (
        NotFound,
        "Either that, or the token's owner is no member of the organization: check"
        " organization_id with `guestlist check`.",
    ),
    "ORGANIZATION_NOT_FOUND": (NotFound, "Check organization_id."),
    "ROLE_NOT_FOUND": (Rejected, "List the roles that the server has in role_names."),
    # answered with 401, although the token is good
    "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_MEMBER": (
        Forbidden,
        "Use the token of an owner or admin.",
    ),
}
"""What the server's codes mean where the status says something else: nearly all come with 400."""


class BetterAuth(Provider):
    """One organization on a server that uses better-auth's organization and bearer plugins."""

    name = "betterauth"
    title = "better-auth"
    docs_url = "https://www.better-auth.com/docs/plugins/organization"
    sandbox = "guestlist_betterauth.sandbox:BetterAuthService"

    # Without `role` an invitation is refused; with an empty list, one is made that gives nothing.
    least_roles = 1
    # The server knows no most.
    most_roles = 100
    # Not so with its option cancelPendingInvitationsOnReInvite (source of 1.6.25; off by default).
    refuses_duplicates = True
    # The default of invitationExpiresIn; every answer tells the date itself.
    lifetime = timedelta(hours=48)
    resend_moves_expiry = True
    no_access = "The person is a member without a role, and may do nothing that asks for one."
    substitutes: ClassVar[Mapping[str, str]] = {
        "mail": "The server's own sendInvitationEmail decides: leave the mail out there.",
        "find_invitation": "Read `invitations` and compare addresses: there is no search.",
        "find_member": "Read `members` and compare addresses: there is no search.",
    }

    base_url: str = setting(
        "Where better-auth is mounted, such as https://app.example.com/api/auth",
        env="BETTER_AUTH_BASE_URL",
    )
    token: str = setting(
        "The session token (set-auth-token) of an owner or admin of the organization",
        env="BETTER_AUTH_TOKEN",
        secret=True,
    )
    organization_id: str = setting("The id of the organization", env="BETTER_AUTH_ORGANIZATION_ID")
    role_names: tuple[str, ...] = setting(
        "The names of the roles that the server has, which it does not tell",
        default=("owner", "admin", "member"),
    )
    list_limit: int = setting(
        "How many invitations the server lists at most: advanced.database.defaultFindManyLimit",
        default=100,
    )

    @field_validator("role_names")
    @classmethod
    def _check_role_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not name.strip() or name != name.strip() or "," in name:
                raise ValueError(f"{name!r} cannot be the name of a role")
        return names

    @property
    def limits(self) -> tuple[Limit, ...]:
        """100 requests in 10 s to one path from one address: the default, on in production."""
        return (Limit(100, 10.0),)

    def authorize(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def explain(self, response: Response) -> GuestlistError:
        """Goes by the code. An unknown role has none: there it is the message's first word."""
        error = super().explain(response)
        meaning = _MEANINGS.get(error.code or error.message.partition(":")[0])
        if meaning and response.status in (400, 401, 403):
            return explain(response, *meaning)
        if response.status == 401:
            error.hint = "Sign in again for a new token: it ends with its session."
        if response.status == 404:  # no record is ever missing with 404
            error.hint = "Check base_url: it has to end in the mount path, such as /api/auth."
        return error

    @operation
    def organization(self) -> Flow[str]:
        """The name of the organization, which the token's owner has to be a member of."""
        reply = yield Request.get("organization", "list")
        known = {raw["id"]: raw["name"] for raw in reply.items()}
        if self.organization_id in known:
            return str(known[self.organization_id])
        others = ", ".join(f"{name} ({id})" for id, name in known.items()) or "none"
        raise NotFound(
            f"the token's owner is in no organization with the id {self.organization_id}",
            hint=f"Check organization_id. The organizations are: {others}.",
        )

    @operation
    def invite(self, order: Order) -> Flow[Invitation]:
        """Creates an invitation; the server sends the mail before it answers."""
        reply = yield self._post("invite-member", email=order.email, role=_names(order.roles))
        return reading.invitation(reply.mapping())

    @operation
    def resend(self, invitation: Invitation) -> Flow[Invitation]:
        """Sends the mail again; the invitation lasts its whole time from now.

        The server looks for an open invitation of the address. It ignores the role of the request
        where it finds one. Where the last has expired, it makes a new one, and the old record
        stays `pending` for ever.
        """
        reply = yield self._post(
            "invite-member", email=invitation.email, role=_names(invitation.roles), resend=True
        )
        return reading.invitation(reply.mapping())

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        """Cancels an invitation, as often as it is asked: also an accepted one, which changes the
        record and leaves the person in. So callers look first."""
        request = {"invitationId": invitation.id}
        yield Request.post(
            "organization", "cancel-invitation", json=request, effect=Effect.REPEATABLE
        )

    @operation
    def get_invitation(self, id: str) -> Flow[Invitation]:
        """One invitation, from the list: the server shows a single one to its invitee only."""
        for found in (yield from self.invitations()).items:
            if found.id == id:
                return found
        raise NotFound(f"there is no invitation with the id {id!r}")

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """All invitations, whatever their state: the list has no pages.

        Raises:
            MalformedResponse: the server cuts its list off, and there may be later ones.
        """
        reply = yield self._list("list-invitations")
        found = [reading.invitation(raw) for raw in reply.items()]
        if len(found) >= self.list_limit:
            raise MalformedResponse(
                f"the server lists at most {self.list_limit} invitations, and so many there are:"
                " later ones may be missing",
                hint="Raise advanced.database.defaultFindManyLimit on the server, and list_limit"
                " of the account to the same.",
                status=reply.status,
            )
        return Page(found, total=len(found))

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        """One page of the members, in the order in which they joined."""
        start = int(cursor or 0)
        reply = yield self._list(
            "list-members", limit=PAGE_SIZE, offset=start, sortBy="createdAt", sortDirection="asc"
        )
        found = [reading.member(raw) for raw in reply.items("members")]
        total, end = reply.mapping().get("total"), start + len(found)
        more = end < total if total is not None else len(found) == PAGE_SIZE
        return Page(found, str(end) if found and more else None, total)

    @operation
    def get_member(self, id: str) -> Flow[Member]:
        reply = yield self._list("list-members", filterField="id", filterValue=id)
        for raw in reply.items("members"):
            if raw["id"] == id:
                return reading.member(raw)
        raise NotFound(f"there is no member with the id {id!r}")

    @operation
    def remove(self, member: Member) -> Flow[None]:
        """Takes a member out of the organization. The person's account on the server survives."""
        yield self._post("remove-member", memberIdOrEmail=member.id, effect=Effect.REPEATABLE)

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        """The configured roles: the server has no call that tells them."""
        yield from ()
        return Page(reading.roles(",".join(self.role_names)))

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        """Adds a role to those that the member has now: the server takes all of them at once."""
        held = yield from self._held(member)
        yield from self._set_roles(member, [name for name in held if name != role.id] + [role.id])

    @operation
    def unassign_role(self, member: Member, role: Role) -> Flow[None]:
        """Takes a role away.

        Raises:
            Conflict: it is the only one; the server takes no empty list.
        """
        left = [name for name in (yield from self._held(member)) if name != role.id]
        if not left:
            raise Conflict(
                f"{role.label} is the only role of {member.email}, and a member needs one",
                hint="Assign another role first; `remove` takes a member out.",
            )
        yield from self._set_roles(member, left)

    @operation
    def access(self, member: Member) -> Flow[tuple[Grant, ...]]:
        """The member's roles, all of them direct."""
        now = yield from self.get_member(member.id)
        return tuple(Grant(role=role) for role in now.roles or ())

    def _held(self, member: Member) -> Flow[list[str]]:
        return _names((yield from self.get_member(member.id)).roles or ())

    def _set_roles(self, member: Member, names: list[str]) -> Flow[None]:
        yield self._post(
            "update-member-role", memberId=member.id, role=names, effect=Effect.REPEATABLE
        )

    def _list(self, what: str, **query: str | int) -> Request:
        query["organizationId"] = self.organization_id
        return Request.get("organization", what, query=query)

    def _post(self, what: str, *, effect: Effect = Effect.CREATE, **body: Any) -> Request:
        body["organizationId"] = self.organization_id
        return Request.post("organization", what, json=body, effect=effect)


def _names(roles: tuple[Role, ...]) -> list[str]:
    return [role.id for role in roles]
