"""The OpenAI provider: an organization on the API platform, by the Administration API.

The facts are from the official SDK (openai 3.57) and from OpenAI's description of the API.
`docs/providers/openai.md` names the source of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, TypeVar

from guestlist.errors import Conflict, Forbidden, GuestlistError
from guestlist.models import Grant, Invitation, Member, MemberState, NewInvitation, Role, State
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
    parse_timestamp,
    setting,
)

T = TypeVar("T")

Places = Mapping[str, Sequence[Role]]
"""The roles in projects, by user id."""

PAGE_SIZE = 100
"""Records per page: the maximum."""

STATES = {"pending": State.PENDING, "accepted": State.ACCEPTED, "expired": State.EXPIRED}
"""The service's words for the state of an invite. Any other word is read as `UNKNOWN`."""

ROLES = {
    "reader": "Can use the API and the projects that the person is in",
    "owner": "Can change the organization, and manage its members and projects",
}
"""The roles of members, by the service's name."""

MEMBER_OF_PROJECT = "member"
RANKS = (MEMBER_OF_PROJECT, "owner")
"""The roles that a person can be given in a project, the least one first."""

_HINTS = {
    401: "Use an Admin API key: platform.openai.com, Settings, Organization, Admin keys. A key of a"
    " project does not work.",
    403: "An owner of the organization has to create the Admin API key, with the permission to"
    " write under Organization Administration.",
}


class OpenAI(Provider):
    """One organization on OpenAI's API platform."""

    name = "openai"
    title = "OpenAI"
    docs_url = "https://developers.openai.com/api/docs/guides/admin-apis"
    sandbox = "guestlist_openai.sandbox:OpenAIService"
    judges = ("the official SDK openai 3.57", "OpenAI's OpenAPI description")

    least_roles = 1
    most_roles = None
    role_kinds = ("role", "project")
    exclusive_kinds = ("role",)
    mandatory_kinds = ("role",)
    admin_roles = frozenset({"owner"})
    no_access = "The person is a member without a role or project that this API shows."
    substitutes: ClassVar[Mapping[str, str]] = {
        "email": "OpenAI always sends it: invite later.",
    }

    base_url: str = setting("Where OpenAI's API is", default="https://api.openai.com/v1")
    admin_key: str = setting("An Admin API key", env="OPENAI_ADMIN_KEY", secret=True)
    projects: bool = setting(
        "Whether to read and assign projects, with a request for each", default=True
    )

    def authorize(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.admin_key}"}

    def explain(self, response: Response) -> GuestlistError:
        """Returns the error for an answer. A key that lacks a permission is refused with 403, or
        with 401 and no code, as users report. So the text decides."""
        error = explain(response, hint=_HINTS.get(response.status))
        if response.status == 401 and "Missing scopes" in error.message:
            return explain(response, Forbidden, _HINTS[403])
        return error

    @classmethod
    def replaced_by(cls, role: Role, held: Iterable[Role]) -> tuple[Role, ...]:
        """A person has one role in the organization, and one in each project."""
        if role.kind != "project":
            return super().replaced_by(role, held)
        project, _ = read_project_id(role)
        same = (one for one in held if one.kind == "project" and one.id != role.id)
        return tuple(one for one in same if read_project_id(one)[0] == project)

    @operation
    def organization(self) -> Flow[str]:
        """Returns the service's name of the organization, from a header of the answer: no request
        returns it."""
        reply = yield Request.get("organization", "users", query={"limit": 1})
        reply.records("data")
        return reply.headers.get("openai-organization") or f"an organization on {self.title}"

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        """Creates an invite. Without `projects`, OpenAI would also invite the person into the
        default project, so the list is always sent."""
        body: dict[str, Any] = {"email": new.email, "projects": []}
        for role in new.roles:
            if role.kind == "project":
                project, rank = read_project_id(role)
                body["projects"].append({"id": project, "role": rank})
            else:
                body["role"] = role.id
        reply = yield Request.post("organization", "invites", json=body)
        return named(read_invitation(reply.mapping()), new.roles)

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        """Deletes an invite. OpenAI does not delete an accepted one."""
        id = str(invitation.id)
        reply = yield Request.get("organization", "invites", id)
        if read_invitation(reply.mapping()).state is State.ACCEPTED:
            raise Conflict("the invite is accepted, and cannot be deleted")
        yield Request.delete("organization", "invites", id)

    @operation
    def get_invitation(self, id: str) -> Flow[Invitation]:
        reply = yield Request.get("organization", "invites", id)
        one = read_invitation(reply.mapping())
        return named(one, (yield from self._projects_in([one])))

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """Returns one page of all invites. There is no search by address."""
        page = yield from self._page(cursor, read_invitation, "invites")
        known = yield from self._projects_in(page.items)
        return replace(page, items=[named(one, known) for one in page.items])

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        """Returns one page of the members, service accounts included. Their projects are read from
        each project."""
        places = yield from self._places()
        return (yield from self._page(cursor, partial(read_member, places=places), "users"))

    @operation
    def get_member(self, id: str) -> Flow[Member]:
        reply = yield Request.get("organization", "users", id)
        places = yield from self._places()
        return read_member(reply.mapping(), places)

    @operation
    def find_member(self, email: str) -> Flow[Member | None]:
        read = partial(read_member, places={})
        found = yield from self._all(read, "users", **{"emails[]": email})
        for member in found:
            if (member.email or "").casefold() == email.casefold():
                places = yield from self._places()
                return read_member(member.raw, places)
        return None

    @operation
    def remove(self, member: Member) -> Flow[None]:
        """Removes a user from the organization."""
        yield Request.delete("organization", "users", member.id)

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        """Returns the organization's two roles, and the roles in each project."""
        projects = yield from self._projects()
        return Page([*map(read_role, ROLES), *roles_in(projects)])

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        """Replaces the member's role in the organization, or in a project."""
        path: tuple[str, ...] = ("users", member.id)
        body = {"role": role.id}
        if role.kind == "project":
            project, rank = read_project_id(role)
            path, body = ("projects", project, "users"), {"role": rank}
            if (yield from self._rank(project, member)) is None:
                body["user_id"] = member.id
            else:
                path = (*path, member.id)
        yield Request.post("organization", *path, json=body, effect=Effect.REPEATABLE)

    @operation
    def unassign_role(self, member: Member, role: Role) -> Flow[None]:
        """Takes a member out of a project, if the role is the member's role there."""
        project, rank = read_project_id(role)
        if (yield from self._rank(project, member)) == rank:
            yield Request.delete("organization", "projects", project, "users", member.id)

    @operation
    def access(self, member: Member) -> Flow[tuple[Grant, ...]]:
        """Returns the member's role and projects."""
        now = yield from self.get_member(member.id)
        return tuple(Grant(role=role) for role in now.roles or ())

    # ------------------------------------------------------------------ parts of operations

    def _page(
        self, cursor: str | None, read: Callable[[Any], T], *path: str, **query: Any
    ) -> Flow[Page[T]]:
        """Returns the page of a list after a cursor."""
        query["limit"] = PAGE_SIZE

        def page(after: str | None) -> Request:
            return Request.get("organization", *path, query={"after": after, **query})

        return (yield from by_cursor(cursor, page, read, "data", next=next_id))

    def _all(self, read: Callable[[Any], T], *path: str, **query: Any) -> Flow[list[T]]:
        """Returns all records of a list."""
        return (yield from every(lambda cursor: self._page(cursor, read, *path, **query)))

    def _projects(self) -> Flow[list[Role]]:
        """Returns the projects that are not archived, as the least role in each."""
        return (yield from self._all(read_project, "projects")) if self.projects else []

    def _projects_in(self, invitations: Sequence[Invitation]) -> Flow[list[Role]]:
        """Returns the roles in all projects, if an invitation offers one. Its record has only the
        ids."""
        if any(role.kind == "project" for one in invitations for role in one.roles):
            return roles_in((yield from self._projects()))
        return []

    def _ranks(self, project: str) -> Flow[dict[str, str]]:
        """Returns the roles of the members of a project, by user id."""
        return dict((yield from self._all(read_rank, "projects", project, "users")))

    def _rank(self, project: str, member: Member) -> Flow[str | None]:
        return (yield from self._ranks(project)).get(member.id)

    def _places(self) -> Flow[Places]:
        """Returns the roles in all projects, by user id."""
        places: dict[str, list[Role]] = {}
        for project in (yield from self._projects()):
            for user_id, rank in (yield from self._ranks(project.id)).items():
                places.setdefault(user_id, []).append(project_role(project, rank))
        return places


def next_id(response: Response) -> str | None:
    """Returns the cursor of the next page: the id of the page's last record."""
    body = response.mapping()
    return body["last_id"] if body["has_more"] else None


def read_role(id: str) -> Role:
    """Returns a role of the organization."""
    return Role(id=id, name=id, description=ROLES.get(id))


def read_project(raw: Mapping[str, Any]) -> Role:
    """Reads a project, as the least role in it."""
    return Role(id=raw["id"], name=raw.get("name"), kind="project", description="member", raw=raw)


def read_rank(raw: Mapping[str, Any]) -> tuple[str, str]:
    """Reads the user id and the role of a member of a project."""
    return str(raw["id"]), str(raw["role"])


def project_role(project: Role, rank: str) -> Role:
    """Returns a role in a project. The least role is called like the project, others `Web/owner`,
    with an id such as `proj_1/owner`."""
    if rank == MEMBER_OF_PROJECT:
        return project
    name = project.name and f"{project.name}/{rank}"
    reason = None if rank in RANKS else "the API assigns only member and owner"
    update = {"name": name, "description": rank, "not_assignable": reason}
    return project.model_copy(update={"id": f"{project.id}/{rank}", **update})


def roles_in(projects: Iterable[Role]) -> list[Role]:
    """Returns all roles that the API assigns in projects."""
    return [project_role(project, rank) for project in projects for rank in RANKS]


def read_project_id(role: Role) -> tuple[str, str]:
    """Returns the id of the project of a role, and the service's name for the role in it."""
    project, _, rank = role.id.partition("/")
    return project, rank or MEMBER_OF_PROJECT


def read_invitation(raw: Mapping[str, Any]) -> Invitation:
    """Reads an invite. The names of its projects are not in the record."""
    places = (
        project_role(Role(id=one["id"], kind="project"), one["role"]) for one in raw["projects"]
    )
    return Invitation(
        id=raw["id"],
        email=raw["email"],
        state=STATES.get(raw["status"], State.UNKNOWN),
        raw_state=raw["status"],
        roles=(read_role(raw["role"]), *places),
        # Older descriptions of the API call it invited_at.
        created_at=parse_timestamp(raw.get("created_at", raw.get("invited_at"))),
        expires_at=parse_timestamp(raw.get("expires_at")),
        responded_at=parse_timestamp(raw.get("accepted_at")),
        raw=raw,
    )


def named(invitation: Invitation, known: Iterable[Role]) -> Invitation:
    """Returns an invitation with the names of its projects, as far as they are known."""
    names = {(role.kind, role.id): role for role in known}
    roles = tuple(names.get((role.kind, role.id), role) for role in invitation.roles)
    return invitation.model_copy(update={"roles": roles})


def read_member(raw: Mapping[str, Any], places: Places) -> Member:
    """Reads a member. The address and the role may be null."""
    person = raw.get("user") or {}
    locked = person.get("banned") is True or person.get("enabled") is False
    role = raw.get("role")
    return Member(
        id=raw["id"],
        email=raw.get("email"),
        name=raw.get("name"),
        roles=(*([read_role(role)] if role else []), *places.get(raw["id"], ())),
        state=MemberState.SUSPENDED if locked else MemberState.ACTIVE,
        service=bool(raw.get("is_service_account")),
        joined_at=parse_timestamp(raw.get("added_at")),
        raw=raw,
    )
