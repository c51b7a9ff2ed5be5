"""The Vultr provider: facts about the service, settings of the account, and its operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import field_validator

from guestlist.errors import (
    ConfigError,
    Conflict,
    GuestlistError,
    InvalidArgument,
    NotFound,
    Unsupported,
)
from guestlist.models import Grant, Invitation, Member, MemberState, NewInvitation, Role
from guestlist.provider import (
    Effect,
    Flow,
    Limit,
    Options,
    Page,
    Provider,
    Request,
    Response,
    every,
    explain,
    operation,
    setting,
)
from guestlist_vultr import reading
from guestlist_vultr.grants import read_grants

PAGE_SIZE = 500
"""Records per page: the maximum that Vultr sends (govultr's README, the OpenAPI document)."""

LISTS = {"group": "groups", "role": "roles", "policy": "policies"}
"""The path segment of each kind's list. Roles come before policies, because policies may come from
roles."""

_NEXT_KIND = {"group": "role:", "role": "policy:", "policy": None}
"""The cursor of the first page of the kind that follows a kind; None after the last kind."""

INVITATIONS = ("invites", "invitations")
"""Names of the field with the list of invitations: in govultr and in the OpenAPI document."""

NOT_FOUND_TEXTS = (
    "Invite not found",
    "Invalid user",
    "Group not found",
    "Role not found",
    "Policy not found",
    "Organization not found.",
    "Invalid UUID format",
)
"""Texts that mean "not found" in a 400. Vultr's Terraform provider recognizes missing records by
all but the last text, whatever the status; that Vultr sends any of them with a 400, at least
`Invalid user`, is unverified. `Invalid UUID format` is known from other parts of Vultr's API: no
record can have such an id."""


class VultrOptions(Options):
    """The options of an invitation to Vultr."""

    api_enabled: bool = False
    """Whether the person may use the API. Fixed once the invitation is sent; `set_api_enabled`
    changes it for a member."""


class Vultr(Provider):
    """The Vultr IAM provider. The API key decides which organization an invitation is for."""

    name = "vultr"
    title = "Vultr IAM"
    docs_url = "https://docs.vultr.com/platform/iam/organizations/organization-invitations"
    Options = VultrOptions
    sandbox = "guestlist_vultr.sandbox:VultrService"
    judges = ("govultr", "Vultr's OpenAPI description")

    role_kinds = ("role", "group", "policy")
    # Vultr's guide describes a list of suspended people, but no field for it in the list of users.
    hides_suspension = True
    # admin_roles: unknown. According to Vultr's guides, the permission "Manage Users" makes a user
    # an administrator; no source names a role, group or policy that has it.
    organization_settings = ("organization_id",)
    # Only the console can attach roles to an invitation, not the API (Terraform provider, OpenAPI).
    most_roles = 0
    # No source describes a way to suppress the email.
    can_suppress_email = False
    # Vultr's guides to inviting and granting access and its support page on validity say 3 days.
    lifetime = timedelta(days=3)
    # According to Vultr's guide to resending, the expiry moves to 3 days after the resend.
    resend_moves_expiry = True
    # The OpenAPI document and Vultr's page on rate limits say "per source IP".
    limits_count_addresses = True
    # Nothing is known about late_effect, list_lag and refuses_duplicates: the defaults apply.
    no_access = (
        "Holds no group, role or policy and can access nothing. Vultr's console shows "
        '"No Active Organization". Assign a policy, or a group that has one.'
    )
    substitutes: ClassVar[Mapping[str, str]] = {
        "revoke": (
            "Let it expire, 3 days after its last email. If it is accepted before, `remove` the"
            " member."
        ),
        "role": (
            "Invite without a role, and use `assign_role` after acceptance: Vultr's API cannot"
            " assign roles before that."
        ),
        "email": "Let Vultr send its email, or invite later: Vultr emails every invitation.",
        "link": "The link is only in Vultr's email: `resend` sends it again.",
        "find_invitation": "Read `invitations` and compare addresses: Vultr has no search.",
        "find_member": "Read `members` and compare addresses: Vultr has no search.",
    }

    base_url: str = setting(
        "Where the service is, without the /v2 of its paths", default="https://api.vultr.com"
    )
    api_key: str = setting(
        "An API key of the root user, or of a user with the permission for iam.invitation.* and the"
        " other actions needed",
        env="VULTR_API_KEY",
        secret=True,
    )
    organization_id: str | None = setting(
        "The id of the organization, needed to remove or suspend members if the key reaches several"
        " organizations",
        env="VULTR_ORGANIZATION_ID",
        default=None,
    )
    boolean: Literal["words", "json"] = setting(
        'How an invitation encodes api_enabled: words ("yes", as in Vultr\'s guide) or json (true,'
        " as in Vultr's Go client)",
        default="words",
    )

    @field_validator("base_url")
    @classmethod
    def _without_version(cls, url: str) -> str:
        """Returns the URL without /v2. The server URL in the OpenAPI document ends in /v2, but its
        IAM paths start with /v2 again."""
        return url.removesuffix("/v2")

    @property
    def limits(self) -> tuple[Limit, ...]:
        """30 requests per second from one address (the OpenAPI document)."""
        return (Limit(30, 1.0),)

    def authorize(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}

    def explain(self, response: Response) -> GuestlistError:
        """Returns the error for an answer outside 2xx. Vultr's errors have a text but no code, and
        only some texts are known.

        It is an assumption that a 400 whose text contains "already" reports a conflict.
        """
        error = super().explain(response)
        if response.status == 400 and any(text in error.message for text in NOT_FOUND_TEXTS):
            return explain(response, NotFound)
        if response.status == 400 and "already" in error.message.lower():
            return explain(response, Conflict)
        if response.status == 405:
            return explain(response, Unsupported, "Vultr's API does not offer this here.")
        if response.status in _HINTS:
            error.hint = _HINTS[response.status]
        return error

    # ------------------------------------------------------------------ organization

    @operation
    def organization(self) -> Flow[str]:
        """Returns the name of the configured organization, or of the only one that the key reaches.

        Raises:
            ConfigError: no organization is configured, and the key does not reach exactly one.
        """
        if self.organization_id:
            reply = yield Request.get("v2", "organizations", self.organization_id)
            raw = reply.mapping("organization", "org")
        else:
            raw = yield from self._only_organization()
        return _name(raw)

    def _organization_id(self) -> Flow[str]:
        if self.organization_id:
            return self.organization_id
        return reading.identifier((yield from self._only_organization()), "id")

    def _only_organization(self) -> Flow[reading.Raw]:
        pages = yield from self._pages("organizations", names=("orgs", "organizations"))
        found = [raw for content in pages for raw in reading.records(content)]
        if len(found) == 1:
            return found[0]
        if found:
            named = ", ".join(f"{_name(raw)} ({raw['id']})" for raw in found)
            raise ConfigError(
                f"the API key reaches several organizations: {named}",
                hint="Set organization_id (or VULTR_ORGANIZATION_ID) to the id of one of them.",
            )
        raise ConfigError(
            "the API key reaches no organization",
            hint="Create one in Vultr's console, or use the API key of one of its users.",
        )

    # ------------------------------------------------------------------ invitations

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        """Creates an invitation. Vultr sends the email."""
        options = new.options if isinstance(new.options, VultrOptions) else VultrOptions()
        word = "yes" if options.api_enabled else "no"
        permissions = {"api_enabled": word if self.boolean == "words" else options.api_enabled}
        reply = yield Request.post(
            "v2", "invitation", json={"email_invited": new.email, "permissions": permissions}
        )
        return _invitation(reply)

    @operation
    def resend(self, invitation: Invitation) -> Flow[Invitation]:
        """Sends the email again. The invitation keeps its id, and can be accepted for 3 days from
        now.

        Vultr's guide allows this for pending invitations only, but recommends it for expired ones.
        If Vultr refuses, guestlist creates a new invitation.
        """
        return _invitation((yield Request.post("v2", "invitation", _id(invitation), "resend")))

    def copy_of(self, invitation: Invitation) -> NewInvitation:
        """Returns the arguments that create the same invitation again, with the same
        `api_enabled`."""
        options = VultrOptions(api_enabled=reading.api_enabled(invitation.raw or {}))
        return NewInvitation(email=invitation.email or "", options=options)

    @operation
    def get_invitation(self, id: str) -> Flow[Invitation]:
        return _invitation((yield Request.get("v2", "invitation", id)))

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """Returns one page of invitations. Vultr's guide shows invitations in all states in the
        list, the OpenAPI document mentions pending ones only. So an invitation that is missing here
        may have been accepted."""
        reply = yield _list("invitation", cursor=cursor)
        return reading.page(reply, *INVITATIONS, read=reading.invitation, email="email_invited")

    # ------------------------------------------------------------------ members

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        """Returns one page of the users, including service users: members who were never invited,
        marked by `service`. Leaves out users who were invited and have not accepted, and users
        whose account is closed."""
        reply = yield _list("users", cursor=cursor)
        return reading.page(reply, "users", read=reading.member_who_is_in)

    @operation
    def get_member(self, id: str) -> Flow[Member]:
        reply = yield Request.get("v2", "users", id)
        return reading.member(reply.mapping("user"))

    @operation
    def remove(self, member: Member) -> Flow[None]:
        """Removes a member from the organization. The person's Vultr account is not deleted."""
        organization = yield from self._organization_id()
        yield Request.delete("v2", "organizations", organization, "user", member.id)

    @operation
    def suspend(self, member: Member) -> Flow[None]:
        """Suspends a member until `unsuspend`."""
        organization = yield from self._organization_id()
        yield Request.put("v2", "organizations", organization, "user", member.id, "suspend")

    @operation
    def unsuspend(self, member: Member) -> Flow[None]:
        """Ends the suspension of a member."""
        organization = yield from self._organization_id()
        yield Request.put("v2", "organizations", organization, "user", member.id, "unsuspend")

    @operation
    def suspended(self, cursor: str | None = None) -> Flow[Page[Member]]:
        """Returns one page of the suspended members."""
        organization = yield from self._organization_id()
        reply = yield _list("organizations", organization, "suspended-users", cursor=cursor)
        suspended = partial(reading.member, state=MemberState.SUSPENDED)
        return reading.page(reply, "users", "members", read=suspended)

    @operation
    def set_api_enabled(self, member: Member, enabled: bool) -> Flow[None]:
        """Allows or forbids a member to use the API. The option of an invitation cannot be changed
        after sending."""
        yield Request.patch(
            "v2", "users", member.id, json={"api_enabled": enabled}, effect=Effect.REPEATABLE
        )

    # ------------------------------------------------------------------ grants

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        """Returns one page of the groups, then of the roles, then of the policies.

        A cursor consists of the kind and Vultr's own cursor in the list of that kind:
        `role:bmV4dF9fMg==`.
        """
        kind, _, rest = (cursor or "group:").partition(":")
        if kind not in LISTS:
            raise InvalidArgument(f"{cursor!r} is not a cursor of the roles of {self.title}")
        reply = yield _list(LISTS[kind], cursor=rest or None)
        read = partial(reading.role_that_exists, kind=kind)
        found = reading.page(reply, LISTS[kind], read=read, section=kind)
        return replace(found, next=f"{kind}:{found.next}" if found.next else _NEXT_KIND[kind])

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        """Adds a member to a group, or attaches a role or policy to the member. Vultr sends no
        email.

        According to Vultr's guide, only active members can be added to a group. It is not
        documented whether Vultr accepts a second assignment of the same role.
        """
        if role.kind == "group":
            # govultr and the guide use user_id. The OpenAPI document only has display_name, "the
            # user ID or display name". Both get the id, because several users may share a name.
            person = {"user_id": member.id, "display_name": member.id}
            request = Request.post(
                "v2", "groups", role.id, "members", json=person, effect=Effect.REPEATABLE
            )
        else:
            request = Request.post(*_attachment(member, role), effect=Effect.REPEATABLE)
        yield request

    @operation
    def unassign_role(self, member: Member, role: Role) -> Flow[None]:
        """Removes a member from a group, or detaches a role or policy. Inherited grants remain."""
        if role.kind == "group":
            yield Request.delete("v2", "groups", role.id, "members", member.id)
        else:
            yield Request.delete(*_attachment(member, role))

    @operation
    def restore_group_member(self, member: Member, group: Role) -> Flow[None]:
        """Undoes the removal of a member from a group. Only the OpenAPI document describes this
        request."""
        if group.kind != "group":
            raise InvalidArgument(f"{group.label} is not a group")
        yield Request.put("v2", "groups", group.id, "members", member.id)

    @operation
    def access(self, member: Member) -> Flow[tuple[Grant, ...]]:
        """Returns a member's groups, roles and policies, direct and inherited."""
        return (yield from self._grants(member.id))

    @operation
    def own_access(self) -> Flow[tuple[Grant, ...]]:
        """Returns the groups, roles and policies of the API key's owner. The key needs no
        permission for this."""
        return (yield from self._grants("me"))

    def explain_access(
        self, grants: Sequence[Grant], member: Member | None = None
    ) -> tuple[bool, str | None]:
        """Explains a list of grants by Vultr's guide to granting access.

        Without an attached policy, a user "cannot access any of its resources". The guide
        contradicts itself about users who are in no group: its list of checks says that a directly
        attached policy is enough, its last section says that the console shows "No Active
        Organization". A user with the ACL `manage_users` has full administrative control (guides to
        users).
        """
        if member is not None and reading.manages_users(member.raw):
            return True, (
                "Has the ACL manage_users: full administrative control, like the root user,"
                " whatever groups, roles and policies say."
            )
        if not grants:
            return False, self.no_access
        held = {kind: [g.role for g in grants if g.role.kind == kind] for kind in LISTS}
        if not held["policy"]:
            names = " and ".join(role.label for role in held["group"] + held["role"])
            return False, (
                f"Can access nothing: no policy is attached to {names}. Vultr's console may show"
                ' "No Active Organization". Attach a policy there, or to the person.'
            )
        if not held["group"]:
            return True, (
                "Is in no group. Vultr's guide says that a role or policy attached directly is"
                ' enough, and also that the console shows "No Active Organization" to a person in'
                " no group."
            )
        return True, None

    def _grants(self, who: str) -> Flow[tuple[Grant, ...]]:
        grants: list[Grant] = []
        for kind, path in LISTS.items():
            names = (path, "assignments", f"{kind}_user_relationships")
            contents = yield from self._pages("users", who, path, names=names)
            roles = {grant.role.id: grant.role for grant in grants if grant.role.kind == "role"}
            grants += read_grants(kind, contents, roles)
        return tuple(grants)

    def _pages(self, *path: str, names: tuple[str, ...]) -> Flow[list[Any]]:
        """Returns the contents of all pages of a list, without empty pages."""

        def page(cursor: str | None) -> Flow[Page[Any]]:
            body = (yield _list(*path, cursor=cursor)).json()
            content = reading.content(body, *names)
            return Page([] if content in (None, [], {}) else [content], reading.next_cursor(body))

        return (yield from every(page))


_HINTS = {
    # The status for a key that is limited to other addresses is not documented; 401 is likely.
    401: "Check the API key, and whether Vultr allows it from this machine's address.",
    403: (
        "Use the root user's API key, or one whose user has a policy that allows the action:"
        " iam.invitation.*, iam.group.*, iam.role.*, iam.policy.* or account.user.*."
    ),
}


def _list(*path: str, cursor: str | None) -> Request:
    return Request.get("v2", *path, query={"per_page": PAGE_SIZE, "cursor": cursor})


def _invitation(reply: Response) -> Invitation:
    """Reads an invitation: the body itself in govultr, or inside another object in the OpenAPI
    document."""
    return reading.invitation(reply.mapping("invitation", "invite"))


def _name(organization: reading.Raw) -> str:
    return reading.text(organization.get("name")) or reading.identifier(organization, "id")


def _id(invitation: Invitation) -> str:
    if invitation.id is None:
        raise InvalidArgument(f"the invitation of {invitation.email} has no id")
    return invitation.id


def _attachment(member: Member, role: Role) -> tuple[str, ...]:
    if role.kind not in LISTS:
        raise InvalidArgument(f"{role.label}: the kind has to be one of {', '.join(LISTS)}")
    return ("v2", LISTS[role.kind], role.id, "users", member.id)
