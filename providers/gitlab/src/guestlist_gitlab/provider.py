"""The GitLab provider: facts about the service, settings of the account, and its operations.

The facts are from docs.gitlab.com and from GitLab's published source code, which the comments name
as the source where the documentation says nothing or something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, ClassVar

from guestlist.errors import Conflict, Forbidden, GuestlistError, NotFound, Rejected, SeatLimit
from guestlist.models import (
    Basis,
    Grant,
    Invitation,
    Member,
    MemberState,
    NewInvitation,
    Role,
    State,
    email_key,
)
from guestlist.provider import (
    Effect,
    Flow,
    Limit,
    Options,
    Page,
    Provider,
    Request,
    Response,
    by_link,
    every,
    explain,
    operation,
    parse_datetime,
    setting,
)

PAGE_SIZE = 100
"""Records per page, the largest number that GitLab allows."""

LEVELS = {
    0: "No access",
    5: "Minimal access",
    10: "Guest",
    15: "Planner",
    20: "Reporter",
    25: "Security manager",
    30: "Developer",
    40: "Maintainer",
    50: "Owner",
}
"""GitLab's access levels. Which of them an instance has depends on its version and plan."""

CUSTOM = "custom_role"
"""The kind of a custom role, which consists of an access level and additional permissions."""

LOCKED_OUT = ("blocked", "ldap_blocked", "banned", "blocked_pending_approval")
"""The states of an account that cannot sign in. A `deactivated` account is active again as soon as
its owner signs in."""

QUEUED = "queued for administrator approval"

_PROGRAM = re.compile(r"(project|group)_\d+_bot(_\w+)?|service_account_\w+")
"""User names that GitLab gives to the users of access tokens and to service accounts."""

_SCOPE_NEEDED = "Create a token with the scope api."

_REFUSALS: tuple[tuple[str, type[GuestlistError], str], ...] = (
    ("already been taken", Conflict, ""),
    ("already exists in source", Conflict, ""),
    # The person is a member of a parent group, with a higher role.
    ("should be greater than or equal to", Conflict, "Give the person a higher role here."),
    ("not enough available seats", SeatLimit, "Buy seats, or remove a billable member."),
    (
        "MembershipLockedError",
        Forbidden,
        'Turn off "Users cannot be added to projects in this group" in the parent group.',
    ),
    ("not authorized to", Forbidden, "The token's owner needs the role Owner in the group."),
    ("Invite limit of", Rejected, "GitLab counts the invitations of a day. Go on tomorrow."),
)
"""The error class and hint for the words of a refusal, which has no code."""


class _Setting:
    """A fact that follows from a setting of the account. The class itself has False."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, account: Provider | None, _kind: type[Provider]) -> bool:
        return account is not None and bool(getattr(account, self.name))


class GitLabOptions(Options):
    """The options of an invitation."""

    expires_at: date | None = None
    """The day on which the membership ends. It does not limit the invitation itself."""


class GitLab(Provider):
    """One group or project, on gitlab.com or on a server of your own."""

    name = "gitlab"
    title = "GitLab"
    docs_url = "https://docs.gitlab.com/api/invitations/"
    Options = GitLabOptions
    sandbox = "guestlist_gitlab.sandbox:GitLabService"
    judges = ("python-gitlab 8.6.0",)

    organization_settings = ("group", "project")
    one_of = (("group", "project"),)
    least_roles = 1
    most_roles = 1
    role_kinds = ("role", CUSTOM)
    admin_roles = frozenset({"Owner"})  # manages the members of a group, as a token must
    # Administrators see all addresses, owners of a group those of its enterprise users.
    members_show_emails: ClassVar[bool] = _Setting("sees_addresses")  # type: ignore[assignment]
    # "Unaccepted invites are automatically deleted after 90 days."
    lifetime = timedelta(days=90)
    counts_seats = True
    no_access = "The person is a member without an access level."
    substitutes: ClassVar[Mapping[str, str]] = {
        "email": "GitLab always sends it.",
        "login": "Or set invite_unknown in the account: GitLab then gives a member the role.",
        "unassign_role": "A member has exactly one role: assign another, or remove the member.",
    }
    # The digest of the token in the link (source).
    secret_fields: ClassVar[frozenset[str]] = frozenset({"invite_token"})

    base_url: str = setting(
        "Where GitLab is, without /api/v4", env="GITLAB_URL", default="https://gitlab.com"
    )
    token: str = setting(
        "An access token with the scope api, of an owner", env="GITLAB_TOKEN", secret=True
    )
    group: str | None = setting("The group's id or path", env="GITLAB_GROUP", default=None)
    project: str | None = setting(
        "The project's id or path, instead of a group", env="GITLAB_PROJECT", default=None
    )
    inherited: bool = setting(
        "Whether people who are members through a parent or invited group count as members",
        default=False,
    )
    custom_roles: str | None = setting(
        "The top-level group whose custom roles to offer, or `instance` for those of a server",
        default=None,
    )
    sees_addresses: bool = setting(
        "Whether the token shows the address of every member, as an administrator's does",
        default=False,
    )
    invite_unknown: bool = setting(
        "Whether to invite an address that may be a member's: GitLab then sets the member's role",
        default=False,
    )

    @property
    def limits(self) -> tuple[Limit, ...]:
        """2,000 requests a minute for a user on gitlab.com, and less for some requests."""
        return (
            Limit(2000, 60.0),
            Limit(200, 60.0, applies_to=_lists_members, what="lists of members"),
            Limit(60, 60.0, applies_to=_removes_member, what="removals"),
        )

    @property
    def invites_unknown(self) -> bool:
        """The setting. GitLab does not refuse to invite somebody again: it sends no second
        invitation, and changes the role of the open one or of the member (source)."""
        return self.invite_unknown

    def authorize(self) -> Mapping[str, str]:
        return {"PRIVATE-TOKEN": self.token}

    def explain(self, response: Response) -> GuestlistError:
        """Returns the error for GitLab's words, with the permission or setting that is missing."""
        error = super().explain(response)
        if response.status in (400, 409, 422) or not error.message.strip("{}"):
            error = explain(response, message=_words(response) or None)
        if response.status == 401:
            error.hint = "Create a new token: this one is wrong, expired or revoked."
        if response.status == 403:
            error.hint = (
                _SCOPE_NEEDED
                if "insufficient_scope" in (error.code or "")
                else f"The token's owner needs the role {self._role_needed}."
            )
        if response.status == 404 and "User" in error.message:
            error.hint = "Check the login. If the person has no account yet, leave the login out."
        elif response.status == 404 and self._kind in error.message.lower():
            error.hint = (
                f"Check {self._kind}. GitLab also answers 404 if the token's owner may not see it."
            )
        return error

    def refusal(self, response: Response) -> GuestlistError | None:
        """Returns the error in a 201 with `"status": "error"`. Its message is a text, or a map from
        addresses and user names to texts."""
        body = response.json() if response.content else None
        if not isinstance(body, dict) or body.get("status") != "error":
            return None
        words = _words(response)
        for part, kind, hint in _REFUSALS:
            if part in words:
                return explain(response, kind, hint or None, words)
        return explain(response, Rejected, message=words or None)

    @operation
    def organization(self) -> Flow[str]:
        """Returns the name of the group or project.

        Raises:
            Forbidden: GitLab shows that the token may only read. It shows the scopes of personal
                access tokens (docs.gitlab.com, "Personal access tokens API").
        """
        query = {"with_projects": False} if self.group is not None else {}
        reply = yield Request.get(*self._path(), query=query)
        raw = reply.mapping()
        name = str(raw.get("full_name") or raw.get("name_with_namespace") or raw["name"])
        try:
            reply = yield Request.get("api", "v4", "personal_access_tokens", "self")
        except NotFound:  # another kind of token, or an old server
            return name
        scopes = reply.mapping()["scopes"]
        if scopes and all(one.startswith("read_") for one in scopes):
            listed = ", ".join(scopes)
            raise Forbidden(f"the token has only the scopes {listed}", hint=_SCOPE_NEEDED)
        return name

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation | Member]:
        """Invites an address, or adds the user with a login.

        GitLab adds the owner of an account at once, also if only the address is given. Its answer
        says only that it succeeded, so the invitation is looked up afterwards.
        """
        terms = yield from self._terms(new.roles[0])
        if isinstance(new.options, GitLabOptions) and new.options.expires_at is not None:
            terms["expires_at"] = new.options.expires_at.isoformat()
        if new.login is not None:
            return (yield from self._add(new, terms))
        reply = yield Request.post(*self._path("invitations"), json={"email": new.email, **terms})
        answer = reply.mapping()
        if answer["status"] != "success":
            raise ValueError(f"the status {answer['status']!r} is not known")
        if answer.get("queued_users"):
            return _queued(new)
        found = yield from self._find(new.email)
        if found is not None:
            return found
        if self.list_lag:
            raise ValueError("GitLab reports success, and does not list the invitation yet")
        # No invitation is open, so the address belongs to an account, which is a member now.
        return Invitation(id=None, email=new.email, state=State.ACCEPTED, basis=Basis.INFERRED)

    def _add(self, new: NewInvitation, terms: Mapping[str, Any]) -> Flow[Invitation | Member]:
        """Adds a user at once. GitLab refuses one who is a member, with 409."""
        body = {"username": str(new.login).removeprefix("@"), **terms}
        reply = yield Request.post(*self._path("members"), json=body)
        return _queued(new) if _is_queued(reply) else read_member(reply.mapping())

    @operation
    def change_invitation(
        self, invitation: Invitation, roles: tuple[Role, ...]
    ) -> Flow[Invitation]:
        """Replaces the role of an open invitation.

        Raises:
            Conflict: it is a custom role, which GitLab does not take here.
        """
        [role] = roles
        if role.kind == CUSTOM:
            raise Conflict(
                "GitLab cannot give a custom role to an open invitation",
                hint="Revoke the invitation, and invite again.",
            )
        path = self._path("invitations", invitation.email or "")
        yield Request.put(*path, json={"access_level": _number(role.id)})
        return invitation.model_copy(update={"roles": roles})

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        """Withdraws the invitation of an address. Never sent twice: the second time, it could
        withdraw a newer invitation of the same address."""
        yield Request.delete(
            *self._path("invitations", invitation.email or ""), effect=Effect.CREATE
        )

    @operation
    def find_invitation(self, email: str) -> Flow[Invitation | None]:
        return (yield from self._find(email))

    def _find(self, email: str) -> Flow[Invitation | None]:
        """Returns the open invitation of an address. GitLab compares the whole address, and keeps
        it in lower case (source). Older invitations keep their spelling."""
        for query in dict.fromkeys((email.lower(), email)):
            reply = yield Request.get(*self._path("invitations"), query={"query": query})
            for raw in reply.items():
                if email_key(raw["invite_email"]) == email_key(email):
                    return self.read_invitation(raw)
        return None

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """Returns one page of the open invitations."""
        return (
            yield from by_link(
                cursor,
                lambda page: self._list("invitations", page=page),
                self.read_invitation,
                total=_total,
                email=lambda raw: raw["invite_email"],
            )
        )

    def read_invitation(self, raw: Mapping[str, Any]) -> Invitation:
        """Reads an invitation. GitLab lists open ones only, without the custom role."""
        return Invitation(
            id=None,  # the address is the handle; the `id` in the record is in no request
            email=raw["invite_email"],
            state=State.PENDING,
            basis=Basis.INFERRED,
            roles=() if self.custom_roles else (level(raw["access_level"]),),
            created_at=parse_datetime(raw.get("created_at")),
            invited_by=raw.get("created_by_name"),
            raw=raw,
        )

    def copy_of(self, invitation: Invitation) -> NewInvitation:
        """Returns the arguments that create the invitation again, with the same end of the
        membership."""
        end = parse_datetime((invitation.raw or {}).get("expires_at"))
        options = GitLabOptions(expires_at=end.date() if end else None)
        return super().copy_of(invitation).model_copy(update={"options": options})

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        """Returns one page of the members: the direct ones, unless `inherited` is set."""
        return (
            yield from by_link(
                cursor,
                lambda page: self._list(*self._members, page=page),
                read_member,
                total=_total,
            )
        )

    @operation
    def get_member(self, id: str) -> Flow[Member]:
        return read_member((yield Request.get(*self._path(*self._members, id))).mapping())

    @operation
    def remove(self, member: Member) -> Flow[None]:
        """Removes a direct member, also from the subgroups and projects of a group.

        Raises:
            Conflict: the person is a member only through another group.
        """
        try:
            yield Request.delete(*self._path("members", member.id))
        except NotFound:
            if self.inherited:
                yield from self.get_member(member.id)  # raises NotFound if the person has left
                raise Conflict(
                    f"{member.label} is a member through a parent group or an invited group",
                    hint="Remove the person there.",
                ) from None
            raise

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        """Returns GitLab's access levels, and the custom roles if the account names their group."""
        roles = [level(number) for number in LEVELS]
        if self.custom_roles is None:
            yield from ()
            return Page(roles)
        path = () if self.custom_roles == "instance" else ("groups", self.custom_roles)
        try:
            reply = yield Request.get("api", "v4", *path, "member_roles")
        except (Forbidden, NotFound, Rejected) as error:
            error.hint = (
                "Custom roles need GitLab Ultimate, and an owner of the top-level group, or an"
                " administrator for `instance`. Or leave custom_roles out."
            )
            raise
        return Page.of([*roles, *reply.records()], lambda raw: raw if raw in roles else custom(raw))

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        """Replaces the role of a direct member.

        Raises:
            Conflict: an administrator has to approve it first.
        """
        terms = yield from self._terms(role)
        if role.kind != CUSTOM and any(held.kind == CUSTOM for held in member.roles or ()):
            terms["member_role_id"] = None
        reply = yield Request.put(*self._path("members", member.id), json=terms)
        if _is_queued(reply):
            raise Conflict(
                f"an administrator has to approve that {member.label} gets {role.label}",
                hint='The request is in the Admin area, under "Role promotions".',
            )

    @operation
    def access(self, member: Member) -> Flow[tuple[Grant, ...]]:
        """Returns the member's effective role, which may come from another group."""
        reply = yield Request.get(*self._path("members", "all", member.id))
        effective = read_member(reply.mapping()).roles or ()
        try:
            reply = yield Request.get(*self._path("members", member.id))
            own = read_member(reply.mapping()).roles or ()
        except NotFound:
            own = ()
        return (
            *(Grant(role=role) for role in own),
            *(Grant(role=role, direct=False) for role in effective if role not in own),
        )

    def explain_access(
        self, grants: Sequence[Grant], member: Member | None = None
    ) -> tuple[bool, str | None]:
        """Returns whether one of the roles gives access to anything."""
        names = [grant.role.label for grant in grants if grant.role.id in ("0", "5")]
        if names and len(names) == len(grants):
            return False, f"{names[0]} shows nothing of the group's content: assign another role."
        return super().explain_access(grants, member)

    @classmethod
    def replaced_by(cls, role: Role, held: Iterable[Role]) -> tuple[Role, ...]:
        """Returns all roles held: a member has one access level or one custom role."""
        return tuple(one for one in held if (one.kind, one.id) != (role.kind, role.id))

    @property
    def _kind(self) -> str:
        return "group" if self.group is not None else "project"

    @property
    def _role_needed(self) -> str:
        return "Owner in the group" if self.group is not None else "Maintainer or Owner"

    @property
    def _members(self) -> tuple[str, ...]:
        return ("members", "all") if self.inherited else ("members",)

    def _path(self, *rest: str) -> tuple[str, ...]:
        return ("api", "v4", f"{self._kind}s", str(self.group or self.project), *rest)

    def _list(self, *what: str, page: str | None) -> Request:
        return Request.get(*self._path(*what), query={"per_page": PAGE_SIZE, "page": page})

    def _terms(self, role: Role) -> Flow[dict[str, Any]]:
        """Returns the fields of a request that grant a role. A custom role needs its level too."""
        if role.kind != CUSTOM:
            return {"access_level": _number(role.id)}
        base = (role.raw or {}).get("base_access_level")
        if base is None:
            for one in (yield from every(self.roles)):
                if (one.kind, one.id) == (CUSTOM, role.id):
                    base = one.raw["base_access_level"]
        return {"access_level": base, "member_role_id": _number(role.id)}


def level(number: Any) -> Role:
    """Returns the role for an access level."""
    return Role(id=number, name=LEVELS.get(number))


def custom(raw: Mapping[str, Any]) -> Role:
    """Reads a custom role."""
    return Role(
        id=raw["id"], name=raw["name"], kind=CUSTOM, description=raw.get("description"), raw=raw
    )


def read_member(raw: Mapping[str, Any]) -> Member:
    """Reads a member. The date in the record is that of the invitation if there was one."""
    role = custom(raw["member_role"]) if raw.get("member_role") else level(raw["access_level"])
    waits = raw.get("membership_state") == "awaiting"  # over the limit of the free plan
    locked_out = waits or raw.get("state") in LOCKED_OUT
    return Member(
        id=raw["id"],
        email=raw.get("email"),
        login=raw["username"],
        name=raw.get("name"),
        roles=(role,),
        state=MemberState.SUSPENDED if locked_out else MemberState.ACTIVE,
        service=_PROGRAM.fullmatch(raw["username"]) is not None,
        raw=raw,
    )


def _queued(new: NewInvitation) -> Invitation:
    return Invitation(id=None, email=new.email, state=State.AWAITING_APPROVAL, roles=new.roles)


def _is_queued(reply: Response) -> bool:
    """Returns whether GitLab has put the change into the queue of the administrators."""
    return "id" not in reply.mapping() and QUEUED in _words(reply)


def _words(response: Response) -> str:
    """Returns the text of GitLab's message: a text, or a map from names to texts or lists."""
    body = response.json()
    message = body.get("message") or body.get("error") if isinstance(body, dict) else None
    if not isinstance(message, dict):
        return message if isinstance(message, str) else ""
    texts = (
        f"{name}: {', '.join(map(str, text)) if isinstance(text, list) else text}"
        for name, text in message.items()
    )
    return "; ".join(texts)


def _number(id: str) -> int | str:
    return int(id) if id.isdecimal() else id


def _total(reply: Response) -> int | None:
    """Returns the number of records on all pages. GitLab omits it above 10,000."""
    count = reply.headers.get("x-total")
    return int(count) if count else None


def _lists_members(request: Request) -> bool:
    return request.method == "GET" and request.path[-1] in ("members", "all")


def _removes_member(request: Request) -> bool:
    return request.method == "DELETE" and request.path[-2] == "members"
