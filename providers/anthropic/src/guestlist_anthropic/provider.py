"""The Anthropic provider: an organization, by the Admin API.

The facts are from the official SDK (anthropic 2.11, which is made from Anthropic's description of
the API) and from Anthropic's documents. `docs/providers/anthropic.md` names the source of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, Literal, TypeVar

from guestlist.errors import (
    Conflict,
    Forbidden,
    GuestlistError,
    MalformedResponse,
    RateLimited,
    SeatLimit,
)
from guestlist.models import Grant, Invitation, Member, NewInvitation, Role, State
from guestlist.provider import (
    Effect,
    Flow,
    Page,
    Provider,
    Request,
    Response,
    by_cursor,
    every,
    explain,
    operation,
    parse_datetime,
    setting,
)

T = TypeVar("T")

Places = Mapping[str, Sequence[Role]]
"""The roles in workspaces, by user id."""

PAGE_SIZE = 1000
"""Records per page: the maximum."""

STATES = {
    "pending": State.PENDING,
    "accepted": State.ACCEPTED,
    "expired": State.EXPIRED,
    "deleted": State.REVOKED,
}
"""The service's words for the state of an invite. Any other word is read as `UNKNOWN`."""

NOT_BY_API = "the API does not grant it; an admin can do so in the Claude Console"
ROLES = {
    "user": "Can use the Workbench; on Claude Enterprise, can use Claude",
    "claude_code_user": "Can use the Workbench and Claude Code",
    "billing": "Can use the Workbench and manage billing details",
    "developer": "Can use the Workbench and manage API keys",
    "managed": "Claude Enterprise: what the person may do is defined by groups",
    "admin": "Can do what the others can, and manage users",
    "membership_admin": "Claude Enterprise",
    "owner": "Claude Enterprise",
    "primary_owner": "Claude Enterprise",
}
"""The roles of members, by the service's name. No request lists them."""
GRANTED = {
    "console": ("user", "claude_code_user", "developer", "billing"),
    "enterprise": ("user", "managed"),
}
"""The roles that the API grants, by the type of the organization."""

MEMBER_OF_WORKSPACE = "workspace_user"
RANKS = (
    MEMBER_OF_WORKSPACE,
    "workspace_developer",
    "workspace_restricted_developer",
    "workspace_admin",
)
"""The roles that a person can be given in a workspace, the least one first."""
EVERYWHERE = {"admin": "workspace_admin", "billing": "workspace_billing"}
"""The role that the holders of an organization's role have in every workspace."""

_MEANINGS: dict[str, tuple[type[GuestlistError] | None, str]] = {
    "already_member": (Conflict, ""),
    "invite_already_exists": (Conflict, ""),
    "org_member_limit_exceeded": (
        SeatLimit,
        "Pending invites count toward the member limit that Anthropic set for the organization:"
        " revoke some, remove members, or have the limit raised.",
    ),
    "workspace_member_limit_exceeded": (
        Forbidden,
        "Remove members from the workspace, or have Anthropic raise its limit.",
    ),
    "cannot_remove_last_member": (Conflict, "Add another member first."),
    "concurrent_membership_change": (RateLimited, "Try again later."),
    "email_domain_not_allowed": (
        Forbidden,
        "Add the address's domain to the organization's allowed email domains.",
    ),
    "cannot_invite_emails_with_unverified_domains": (
        Forbidden,
        "Verify the address's domain in the parent organization.",
    ),
    "organization_type_not_supported": (
        Forbidden,
        "The plan of the organization does not have this. Set workspaces = false if it has no"
        " workspaces.",
    ),
    "organization_on_hold": (Forbidden, "Anthropic has disabled the organization: appeal there."),
}
"""The error class and hint for `details.error_code`. Nearly all codes come with 400."""

_HINTS = {
    401: "Use an Admin API key: Claude Console, Settings, Admin keys. A key of a"
    " single workspace does not work.",
    403: "The key needs the scope write:members to invite, change and remove people, and"
    " write:rbac_groups for the role managed.",
}


class Anthropic(Provider):
    """One organization of the Claude Console or of Claude Enterprise."""

    name = "anthropic"
    title = "Anthropic"
    docs_url = "https://platform.claude.com/docs/en/manage-claude/admin-api"
    sandbox = "guestlist_anthropic.sandbox:AnthropicService"
    judges = ("the official SDK anthropic 2.11",)

    least_roles = 1
    most_roles = 1
    role_kinds = ("role", "workspace")
    exclusive_kinds = ("role",)
    admin_roles = frozenset({"admin", "owner", "primary_owner"})  # may use the Admin API (cookbook)
    mandatory_kinds = ("role",)
    invitation_kinds = ("role",)
    lifetime = timedelta(days=21)
    counts_seats = True
    substitutes: ClassVar[Mapping[str, str]] = {
        "email": "Anthropic always sends it: invite later.",
        "role": "Assign the workspaces after the person has accepted.",
    }

    # The SDK reads ANTHROPIC_BASE_URL, which often names a gateway for models only.
    base_url: str = setting("Where Anthropic's API is", default="https://api.anthropic.com")
    admin_api_key: str = setting(
        "An Admin API key (sk-ant-admin...)", env="ANTHROPIC_ADMIN_API_KEY", secret=True
    )
    plan: Literal["console", "enterprise"] = setting(
        "console or enterprise, which decides about the roles", default="console"
    )
    workspaces: bool = setting(
        "Whether to read and assign workspaces, with a request for each", default=True
    )

    @property
    def refuses_duplicates(self) -> bool:
        """True: already_member and invite_already_exists (SDK)."""
        return True

    @property
    def headers(self) -> Mapping[str, str]:
        return {"anthropic-version": "2026-10-21"}

    def authorize(self) -> Mapping[str, str]:
        return {"x-api-key": self.admin_api_key}

    def explain(self, response: Response) -> GuestlistError:
        """Returns the error for the error code, or else for the status."""
        code = error_code(response)
        kind, hint = _MEANINGS.get(code or "", (None, _HINTS.get(response.status)))
        error = explain(response, kind, hint)
        error.code = code or error.code
        return error

    @classmethod
    def replaced_by(cls, role: Role, held: Iterable[Role]) -> tuple[Role, ...]:
        """A person has one role in the organization, and one in each workspace."""
        if role.kind != "workspace":
            return super().replaced_by(role, held)
        workspace, _ = read_workspace_id(role)
        same = (one for one in held if one.kind == "workspace" and one.id != role.id)
        return tuple(one for one in same if read_workspace_id(one)[0] == workspace)

    @operation
    def organization(self) -> Flow[str]:
        """Returns the name of the organization that the key belongs to."""
        reply = yield self._get("me")
        return str(reply.mapping()["name"])

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        """Creates an invite. Anthropic sends the email."""
        body = {"email": new.email, "role": new.roles[0].id}
        reply = yield Request.post("v1", "organizations", "invites", json=body)
        return read_invitation(reply.mapping())

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        """Deletes a pending invite. Anthropic refuses to delete another one with 400 and no code,
        so its state is checked before."""
        now = yield from self.get_invitation(str(invitation.id))
        if now.state in (State.ACCEPTED, State.EXPIRED, State.REVOKED):
            raise Conflict(f"the invite is {now.state}, and only a pending one can be deleted")
        yield Request.delete("v1", "organizations", "invites", str(invitation.id))

    @operation
    def get_invitation(self, id: str) -> Flow[Invitation]:
        reply = yield self._get("invites", id)
        return read_invitation(reply.mapping())

    @operation
    def find_invitation(self, email: str) -> Flow[Invitation | None]:
        """Returns the pending invite of an address, or else the latest one."""
        found = yield from self._all(read_invitation, "invites", email=email)
        ranked = sorted(
            (one for one in found if (one.email or "").casefold() == email.casefold()),
            key=lambda one: (one.state is State.PENDING, str(one.created_at)),
        )
        return ranked[-1] if ranked else None

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """Returns one page of the pending, accepted and expired invites."""
        return (yield from self._page(cursor, read_invitation, "invites"))

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        """Returns one page of the members. Their workspaces are read from each workspace."""
        places = yield from self._places()
        return (yield from self._page(cursor, partial(read_member, places=places), "users"))

    @operation
    def get_member(self, id: str) -> Flow[Member]:
        reply = yield self._get("users", id)
        places = yield from self._places()
        return read_member(reply.mapping(), places)

    @operation
    def find_member(self, email: str) -> Flow[Member | None]:
        found = yield from self._all(partial(read_member, places={}), "users", email=email)
        for member in found:
            if (member.email or "").casefold() == email.casefold():
                places = yield from self._places()
                return read_member(member.raw, places)
        return None

    @operation
    def remove(self, member: Member) -> Flow[None]:
        """Removes a member. Their API keys stay, because those belong to the organization."""
        yield Request.delete("v1", "organizations", "users", member.id)

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        """Returns the organization's roles, and the roles in each workspace."""
        granted = GRANTED[self.plan]
        reasons = {id: None if id in granted else NOT_BY_API for id in ROLES}
        roles = [
            read_role(id).model_copy(update={"not_assignable": reason})
            for id, reason in reasons.items()
        ]
        workspaces = yield from self._workspaces()
        return Page([*roles, *(workspace_role(one, rank) for one in workspaces for rank in RANKS)])

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        """Replaces the member's role in the organization, or in a workspace."""
        path: tuple[str, ...] = ("users", member.id)
        body = {"role": role.id}
        if role.kind == "workspace":
            workspace, rank = read_workspace_id(role)
            path, body = ("workspaces", workspace, "members"), {"workspace_role": rank}
            if (yield from self._rank(workspace, member)) is None:
                body = {"user_id": member.id, **body}
            else:
                path = (*path, member.id)
        yield Request.post("v1", "organizations", *path, json=body, effect=Effect.REPEATABLE)

    @operation
    def unassign_role(self, member: Member, role: Role) -> Flow[None]:
        """Takes a member out of a workspace, if the role is the member's role there."""
        workspace, rank = read_workspace_id(role)
        if (yield from self._rank(workspace, member)) == rank:
            yield Request.delete(
                "v1", "organizations", "workspaces", workspace, "members", member.id
            )

    @operation
    def access(self, member: Member) -> Flow[tuple[Grant, ...]]:
        """Returns the member's role and workspaces. An admin and a billing member have access to
        every workspace through that role."""
        now = yield from self.get_member(member.id)
        direct = now.roles or ()
        grants = [Grant(role=role) for role in direct]
        for role in direct:
            if role.kind == "role" and role.id in EVERYWHERE:
                places = yield from self._workspaces()
                through = (workspace_role(one, EVERYWHERE[role.id]) for one in places)
                grants += [Grant(role=one, direct=False, via=(role,)) for one in through]
        return tuple(grants)

    # ------------------------------------------------------------------ parts of operations

    def _get(self, *path: str, **query: Any) -> Request:
        return Request.get("v1", "organizations", *path, query=query)

    def _page(
        self, cursor: str | None, read: Callable[[Any], T], *path: str, email: str | None = None
    ) -> Flow[Page[T]]:
        """Returns the page of a list after a cursor."""

        def page(after: str | None) -> Request:
            return self._get(*path, after_id=after, limit=PAGE_SIZE, email=email)

        return (yield from by_cursor(cursor, page, read, "data", next=next_id))

    def _all(self, read: Callable[[Any], T], *path: str, email: str | None = None) -> Flow[list[T]]:
        """Returns all records of a list."""
        return (yield from every(lambda cursor: self._page(cursor, read, *path, email=email)))

    def _workspaces(self) -> Flow[list[Role]]:
        """Returns the workspaces that are not archived, as the least role in each."""
        return (yield from self._all(read_workspace, "workspaces")) if self.workspaces else []

    def _ranks(self, workspace: str) -> Flow[dict[str, str]]:
        """Returns the roles of the members in a workspace, by user id. Admins and billing members,
        who are in every workspace, are not among them."""
        return dict((yield from self._all(read_rank, "workspaces", workspace, "members")))

    def _rank(self, workspace: str, member: Member) -> Flow[str | None]:
        return (yield from self._ranks(workspace)).get(member.id)

    def _places(self) -> Flow[Places]:
        """Returns the roles in all workspaces, by user id."""
        places: dict[str, list[Role]] = {}
        for workspace in (yield from self._workspaces()):
            for user_id, rank in (yield from self._ranks(workspace.id)).items():
                places.setdefault(user_id, []).append(workspace_role(workspace, rank))
        return places


def error_code(response: Response) -> str | None:
    """Returns the stable code of an error, `error.details.error_code`; None if it has none."""
    try:
        details = response.mapping("error").get("details")
    except MalformedResponse:
        return None
    code = details.get("error_code") if isinstance(details, dict) else None
    return code if isinstance(code, str) else None


def next_id(response: Response) -> str | None:
    """Returns the cursor of the next page: the id of the page's last record."""
    body = response.mapping()
    return body["last_id"] if body["has_more"] else None


def read_role(id: str) -> Role:
    """Returns a role of the organization."""
    return Role(id=id, name=id, description=ROLES.get(id))


def read_rank(raw: Mapping[str, Any]) -> tuple[str, str]:
    """Reads the user id and the role of a member of a workspace."""
    return str(raw["user_id"]), str(raw["workspace_role"])


def read_workspace(raw: Mapping[str, Any]) -> Role:
    """Reads a workspace, as the least role in it."""
    return Role(
        id=raw["id"], name=raw["name"], kind="workspace", description=MEMBER_OF_WORKSPACE, raw=raw
    )


def workspace_role(workspace: Role, rank: str) -> Role:
    """Returns a role in a workspace. The least role is called like the workspace, others
    `Research/admin`, with an id such as `wrkspc_1/workspace_admin`."""
    if rank == MEMBER_OF_WORKSPACE:
        return workspace
    name = f"{workspace.name}/{rank.removeprefix('workspace_')}"
    inherited = None if rank in RANKS else "it comes with a role in the organization"
    update = {"name": name, "description": rank, "not_assignable": inherited}
    return workspace.model_copy(update={"id": f"{workspace.id}/{rank}", **update})


def read_workspace_id(role: Role) -> tuple[str, str]:
    """Returns the id of the workspace of a role, and the service's name for the role in it."""
    workspace, _, rank = role.id.partition("/")
    return workspace, rank or MEMBER_OF_WORKSPACE


def read_invitation(raw: Mapping[str, Any]) -> Invitation:
    """Reads an invite."""
    return Invitation(
        id=raw["id"],
        email=raw["email"],
        state=STATES.get(raw["status"], State.UNKNOWN),
        raw_state=raw["status"],
        roles=(read_role(raw["role"]),),
        created_at=parse_datetime(raw.get("invited_at")),
        expires_at=parse_datetime(raw.get("expires_at")),
        responded_at=parse_datetime(raw.get("accepted_at")),
        raw=raw,
    )


def read_member(raw: Mapping[str, Any], places: Places) -> Member:
    """Reads a member. The record does not contain the workspaces."""
    return Member(
        id=raw["id"],
        email=raw["email"],
        name=raw.get("name"),
        roles=(read_role(raw["role"]), *places.get(raw["id"], ())),
        joined_at=parse_datetime(raw.get("added_at")),
        raw=raw,
    )
