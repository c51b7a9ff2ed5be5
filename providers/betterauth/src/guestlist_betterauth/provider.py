"""The provider: better-auth's facts, the account's settings, and what each operation calls.

better-auth is a library that people run in servers of their own. What is said here was seen from
a running 1.6.25 with its defaults, unless another source is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar

from guestlist.errors import Conflict, Forbidden, GuestlistError, NotFound
from guestlist.models import Grant, Invitation, Member, Order, Role, State, constructor
from guestlist.provider import (
    Effect,
    Flow,
    Limit,
    Offset,
    Page,
    Provider,
    Request,
    Response,
    explain,
    operation,
    setting,
)

_new_invitation = constructor(Invitation)
_new_member = constructor(Member)

PAGE = 500
"""Members of a page. The server knows no most."""

CUT_OFF = "Raise advanced.database.defaultFindManyLimit on the server, and list_limit here."

STATES = {
    "pending": State.PENDING,  # an expired one too, for ever
    "accepted": State.ACCEPTED,
    "rejected": State.DECLINED,
    "canceled": State.REVOKED,  # of an accepted one too, while the person stays a member
}
"""The server's words. Any other is `UNKNOWN`."""

_MEMBER = "Or the token's owner is no member: check organization_id with `guestlist check`."
_MEANINGS: dict[str, tuple[type[GuestlistError] | None, str]] = {
    "USER_IS_ALREADY_INVITED_TO_THIS_ORGANIZATION": (Conflict, ""),
    "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION": (Conflict, ""),
    "YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER": (Conflict, ""),
    "YOU_CANNOT_LEAVE_THE_ORGANIZATION_WITHOUT_AN_OWNER": (Conflict, ""),
    "INVITATION_LIMIT_REACHED": (None, "Revoke some, or raise the server's invitationLimit."),
    "INVITATION_NOT_FOUND": (NotFound, ""),
    "MEMBER_NOT_FOUND": (NotFound, _MEMBER),
    "ROLE_NOT_FOUND": (None, "List the roles that the server has in role_names."),
    # answered with 401, although the token is good
    "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_MEMBER": (Forbidden, "Use an owner's or admin's token."),
}
"""What the server's codes mean, where the status does not say it (None: it does), and what to do.
Nearly all come with 400."""


class BetterAuth(Provider):
    """One organization on a server that uses better-auth's organization and bearer plugins."""

    name = "betterauth"
    title = "better-auth"
    docs_url = "https://www.better-auth.com/docs/plugins/organization"
    sandbox = "guestlist_betterauth.sandbox:BetterAuthService"

    # Without `role` an invitation is refused; with an empty list, one is made that gives nothing.
    least_roles = 1
    most_roles = None  # the server knows no most
    # The default of invitationExpiresIn; every answer tells the date itself.
    lifetime = timedelta(hours=48)
    resend_moves_expiry = True
    # by the address and the path (source of 1.6.25)
    limits_count_addresses = True
    no_access = "The person is a member without a role, and may do nothing that asks for one."
    substitutes: ClassVar[Mapping[str, str]] = {
        "mail": "The server's own sendInvitationEmail decides: leave the mail out there.",
    }

    base_url: str = setting("Its URL with the path, such as /api/auth", env="BETTER_AUTH_BASE_URL")
    token: str = setting("Session token of an owner or admin", env="BETTER_AUTH_TOKEN", secret=True)
    organization_id: str = setting("The organization's id", env="BETTER_AUTH_ORGANIZATION_ID")
    role_names: tuple[str, ...] = setting(
        "The server's roles, which no call tells", default=("owner", "admin", "member")
    )
    reinvite_cancels: bool = setting(
        "Whether the server's cancelPendingInvitationsOnReInvite is on", default=False
    )
    list_limit: int = setting("How many invitations the server lists at most", default=100)

    @property
    def limits(self) -> tuple[Limit, ...]:
        """100 requests in 10 s to one path from one address: the default, on in production."""
        return (Limit(100, 10.0),)

    @property
    def refuses_duplicates(self) -> bool:
        """Not so with cancelPendingInvitationsOnReInvite (source of 1.6.25; off by default)."""
        return not self.reinvite_cancels

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
        names = {raw["id"]: str(raw["name"]) for raw in reply.items()}
        if self.organization_id not in names:
            known = ", ".join(f"{name} ({id})" for id, name in names.items()) or "none"
            who = f"the token's owner is in no organization with the id {self.organization_id}"
            raise NotFound(who, hint=f"Check organization_id. There are: {known}.")
        return names[self.organization_id]

    @operation
    def invite(self, order: Order) -> Flow[Invitation]:
        """Creates an invitation; the server sends the mail before it answers."""
        return (yield from self._invite(order))

    @operation
    def resend(self, invitation: Invitation) -> Flow[Invitation]:
        """Sends the mail again; the invitation lasts its whole time from now.

        The server looks for an open invitation of the address. It ignores the role of the request
        where it finds one. Where the last has expired, it makes a new one, and the old record
        stays `pending` for ever.
        """
        return (yield from self._invite(self.order_of(invitation), resend=True))

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        """Cancels an invitation, as often as it is asked: also an accepted one, which changes the
        record and leaves the person in. So callers look first."""
        yield self._post("cancel-invitation", Effect.REPEATABLE, invitationId=invitation.id)

    @operation
    def get_invitation(self, id: str) -> Flow[Invitation]:
        """One invitation, from the list: the server shows a single one to its invitee only."""
        return (yield from self.invitations()).with_id(id)

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """All invitations, whatever their state: the list has no pages, and is cut off silently
        at the server's advanced.database.defaultFindManyLimit."""
        reply = yield self._list("list-invitations")
        found = reply.records()
        cut_off = CUT_OFF if len(found) >= self.list_limit else None
        return Page.of(found, read_invitation, cut_off=cut_off)

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        """One page of the members, in the order in which they joined."""
        at = start = Offset.of(cursor)
        while True:
            reply = yield self._list("list-members", limit=PAGE, offset=at.skip, sortBy="createdAt")
            total = reply.mapping()["total"]
            if (earlier := at.before(total)) is None:
                break
            at = earlier
        found = reply.records("members")
        end = Offset(at.skip + len(found), total)
        more = str(end) if found and end.skip < total else None
        moved = at != start
        return Page.of(found, read_member, more, total, email=address_of_member, moved=moved)

    @operation
    def get_member(self, id: str) -> Flow[Member]:
        reply = yield self._list("list-members", filterField="id", filterValue=id)
        found = Page.of(reply.records("members"), read_member, email=address_of_member)
        return found.with_id(id)

    @operation
    def remove(self, member: Member) -> Flow[None]:
        """Takes a member out of the organization. The person's account on the server survives."""
        yield self._post("remove-member", Effect.REPEATABLE, memberIdOrEmail=member.id)

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        """The configured roles: the server has no call that tells them."""
        yield from ()
        return Page(read_roles(",".join(self.role_names)))

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        """Adds a role to those that the member has now: the server takes all of them at once."""
        yield from self._set_roles(member, role, held=True)

    @operation
    def unassign_role(self, member: Member, role: Role) -> Flow[None]:
        """Takes a role away.

        Raises:
            Conflict: it is the only one; the server takes no empty list.
        """
        yield from self._set_roles(member, role, held=False)

    @operation
    def access(self, member: Member) -> Flow[tuple[Grant, ...]]:
        """The member's roles, all of them direct."""
        now = yield from self.get_member(member.id)
        return tuple(Grant(role=role) for role in now.roles or ())

    def _invite(self, order: Order, **more: Any) -> Flow[Invitation]:
        names = [role.id for role in order.roles]
        reply = yield self._post("invite-member", email=order.email, role=names, **more)
        return read_invitation(reply.mapping())

    def _set_roles(self, member: Member, role: Role, *, held: bool) -> Flow[None]:
        now = yield from self.get_member(member.id)
        names = [one.id for one in now.roles or () if one.id != role.id] + [role.id] * held
        if not names:
            raise Conflict(
                f"{role.label} is the only role of {member.email}, and a member needs one",
                hint="Assign another role first; `remove` takes a member out.",
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
    """The roles of a member or invitation: their names, separated by commas. A role has no id."""
    names = (name.strip() for name in (text or "").split(","))
    return tuple(Role(id=name, name=name) for name in dict.fromkeys(names) if name)


def read_moment(text: str | None) -> datetime | None:
    """A date of the server; UTC where it does not say."""
    date = datetime.fromisoformat(text) if text else None
    return date.replace(tzinfo=date.tzinfo or UTC) if date else None


def read_invitation(raw: Mapping[str, Any]) -> Invitation:
    """An invitation. Its id is what the mail's link holds, and every member may list it."""
    return _new_invitation(
        id=raw["id"],
        email=raw["email"],
        state=STATES.get(raw["status"], State.UNKNOWN),
        raw_state=raw["status"],
        roles=read_roles(raw.get("role")),
        organization_id=raw.get("organizationId"),
        created_at=read_moment(raw.get("createdAt")),
        expires_at=read_moment(raw.get("expiresAt")),
        invited_by=raw.get("inviterId"),
        raw=raw,
    )


def address_of_member(raw: Mapping[str, Any]) -> Any:
    """The address that a member record is about."""
    return raw["user"]["email"]


def read_member(raw: Mapping[str, Any]) -> Member:
    """A member; the person is nested in `user`."""
    return _new_member(
        id=raw["id"],
        email=address_of_member(raw),
        name=raw["user"].get("name"),
        user_id=raw.get("userId"),
        roles=read_roles(raw.get("role")),
        joined_at=read_moment(raw.get("createdAt")),
        raw=raw,
    )
