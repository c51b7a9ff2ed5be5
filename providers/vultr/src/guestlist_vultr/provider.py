"""The provider: Vultr's facts, the account's settings, and the calls that each operation makes."""

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
    InvalidOrder,
    NotFound,
    Unsupported,
)
from guestlist.models import Grant, Invitation, Member, MemberState, Order, Role
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
"""Records of a page: the most that Vultr sends (govultr's README, the OpenAPI document)."""

LISTS = {"group": "groups", "role": "roles", "policy": "policies"}
"""Where each kind of grant is listed. Roles come before policies, which may come from roles."""

_AFTER = {"group": "role:", "role": "policy:", "policy": None}
"""The cursor at which the list after that of a kind starts."""

INVITATIONS = ("invites", "invitations")
"""What the list of invitations is called: in govultr, in the OpenAPI document."""

MISSING = (
    "Invite not found",
    "Invalid user",
    "Group not found",
    "Role not found",
    "Policy not found",
    "Organization not found.",
    "Invalid UUID format",
)
"""What a 400 says that is about something that does not exist. The last is seen from other parts
of Vultr's API, and nothing can have such an id; by the others Vultr's Terraform provider
recognizes what is missing, whatever the status. At least `Invalid user` may come with 400
(unverified)."""


class VultrOptions(Options):
    """What an invitation to Vultr may say besides the address."""

    api_enabled: bool = False
    """Whether the person may use the API. Fixed once sent; `set_api_enabled` changes it for a
    member."""


class Vultr(Provider):
    """Organizations of Vultr IAM. The API key decides which organization an invitation is for."""

    name = "vultr"
    title = "Vultr IAM"
    docs_url = "https://docs.vultr.com/platform/iam/organizations/organization-invitations"
    Options = VultrOptions
    sandbox = "guestlist_vultr.sandbox:VultrService"

    # The console can attach roles to an invitation, the API cannot (Terraform provider, OpenAPI).
    most_roles = 0
    # No source knows of a way to leave the mail out.
    can_suppress_mail = False
    # "3 days": Vultr's guides to inviting and granting access, and its support page on validity.
    lifetime = timedelta(days=3)
    # Vultr's guide to resending: the expiry moves to three days after the resend.
    resend_moves_expiry = True
    # "Per source IP": the OpenAPI document and Vultr's page on rate limits.
    limits_count_addresses = True
    # late_effect, list_lag, refuses_duplicates: nothing is known about either, the defaults stand.
    no_access = (
        "Holds no group, role or policy and can access nothing. Vultr's console shows "
        '"No Active Organization". Assign a policy, or a group that has one.'
    )
    substitutes: ClassVar[Mapping[str, str]] = {
        "revoke": (
            "Let it expire, 3 days after its last mail; until then it can be accepted, and `remove`"
            " takes the person out again."
        ),
        "role": (
            "Invite without a role and use `assign_role` once the person has accepted: Vultr's API"
            " gives nobody a role before."
        ),
        "mail": "Let Vultr send its mail, or invite later: an invitation is nothing but that mail.",
        "link": "The link is only in Vultr's mail: `resend` sends that again.",
        "find_invitation": "Read `invitations` and compare addresses: Vultr has no search.",
        "find_member": "Read `members` and compare addresses: Vultr has no search.",
    }

    base_url: str = setting(
        "Where the service is, without the /v2 of its paths", default="https://api.vultr.com"
    )
    api_key: str = setting(
        "An API key of the root user, or of a user with iam.invitation.* and what else is needed",
        env="VULTR_API_KEY",
        secret=True,
    )
    organization_id: str | None = setting(
        "The id of the organization, needed to remove or suspend somebody where the key reaches"
        " several",
        env="VULTR_ORGANIZATION_ID",
        default=None,
    )
    boolean: Literal["words", "json"] = setting(
        'How an invitation says api_enabled: words ("yes", as in Vultr\'s guide) or json (true, as'
        " in Vultr's Go client)",
        default="words",
    )

    @field_validator("base_url")
    @classmethod
    def _without_version(cls, url: str) -> str:
        """The OpenAPI document's server URL ends in /v2, and its IAM paths begin with it again."""
        return url.removesuffix("/v2")

    @property
    def limits(self) -> tuple[Limit, ...]:
        """30 requests in a second from one address (the OpenAPI document)."""
        return (Limit(30, 1.0),)

    def authorize(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}

    def explain(self, response: Response) -> GuestlistError:
        """Vultr's errors have a text and no code; the texts are known in part only.

        That a 400 with "already" in it is about the present state is an assumption.
        """
        error = super().explain(response)
        if response.status == 400 and any(known in error.message for known in MISSING):
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
        """The name of the organization: the configured one, or the only one.

        Raises:
            ConfigError: the key reaches several organizations, or none, and none is configured.
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
            "Vultr names no organization that the API key reaches",
            hint="Create one in Vultr's console, or use the API key of one of its users.",
        )

    # ------------------------------------------------------------------ invitations

    @operation
    def invite(self, order: Order) -> Flow[Invitation]:
        """Creates an invitation; Vultr sends the mail."""
        options = order.options if isinstance(order.options, VultrOptions) else VultrOptions()
        word = "yes" if options.api_enabled else "no"
        permissions = {"api_enabled": word if self.boolean == "words" else options.api_enabled}
        reply = yield Request.post(
            "v2", "invitation", json={"email_invited": order.email, "permissions": permissions}
        )
        return _invitation(reply)

    @operation
    def resend(self, invitation: Invitation) -> Flow[Invitation]:
        """Sends the mail again; the invitation keeps its id and lasts 3 days from now.

        Vultr's guide allows it for pending invitations only, and recommends it for expired ones. A
        refusal is the caller's to settle: `resend` of guestlist then invites anew.
        """
        return _invitation((yield Request.post("v2", "invitation", _id(invitation), "resend")))

    def order_of(self, invitation: Invitation) -> Order:
        """The same order once more, with the permission that the invitation carries."""
        options = VultrOptions(api_enabled=reading.api_enabled(invitation.raw))
        return Order(email=invitation.email, options=options)

    @operation
    def get_invitation(self, id: str) -> Flow[Invitation]:
        return _invitation((yield Request.get("v2", "invitation", id)))

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """One page of invitations. Vultr's guide shows all of them in the list, the OpenAPI
        document speaks of pending ones: to be absent here says nothing about acceptance."""
        reply = yield _list("invitation", cursor=cursor)
        return reading.page(reply, *INVITATIONS, read=reading.invitation, email="email_invited")

    # ------------------------------------------------------------------ members

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        """Returns one page of the users. Service users are among them: members who were never
        invited, marked by `service`. Users who were invited and have not accepted, or whose account
        is closed, are left out."""
        reply = yield _list("users", cursor=cursor)
        return reading.page(reply, "users", read=reading.member_who_is_in)

    @operation
    def get_member(self, id: str) -> Flow[Member]:
        reply = yield Request.get("v2", "users", id)
        return reading.member(reply.mapping("user"))

    @operation
    def remove(self, member: Member) -> Flow[None]:
        """Takes a member out of the organization. The person's Vultr account survives."""
        organization = yield from self._organization_id()
        yield Request.delete("v2", "organizations", organization, "user", member.id)

    @operation
    def suspend(self, member: Member) -> Flow[None]:
        """Shuts a member out until `unsuspend`."""
        organization = yield from self._organization_id()
        yield Request.put("v2", "organizations", organization, "user", member.id, "suspend")

    @operation
    def unsuspend(self, member: Member) -> Flow[None]:
        """Lets a suspended member in again."""
        organization = yield from self._organization_id()
        yield Request.put("v2", "organizations", organization, "user", member.id, "unsuspend")

    @operation
    def suspended(self, cursor: str | None = None) -> Flow[Page[Member]]:
        """One page of the suspended members."""
        organization = yield from self._organization_id()
        reply = yield _list("organizations", organization, "suspended-users", cursor=cursor)
        suspended = partial(reading.member, state=MemberState.SUSPENDED)
        return reading.page(reply, "users", "members", read=suspended)

    @operation
    def set_api_enabled(self, member: Member, enabled: bool) -> Flow[None]:
        """Allows or forbids a member the API: what an invitation cannot change once it is sent."""
        yield Request.patch(
            "v2", "users", member.id, json={"api_enabled": enabled}, effect=Effect.REPEATABLE
        )

    # ------------------------------------------------------------------ grants

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        """One page of the groups, then of the roles, then of the policies.

        A cursor is the kind and Vultr's own cursor in that kind's list: `role:bmV4dF9fMg==`.
        """
        kind, _, rest = (cursor or "group:").partition(":")
        if kind not in LISTS:
            raise InvalidOrder(f"{cursor!r} is no cursor of the roles of {self.title}")
        reply = yield _list(LISTS[kind], cursor=rest or None)
        read = partial(reading.role_that_exists, kind=kind)
        found = reading.page(reply, LISTS[kind], read=read, section=kind)
        return replace(found, next=f"{kind}:{found.next}" if found.next else _AFTER[kind])

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        """Adds a member to a group, or attaches a role or policy. No email is sent.

        Vultr's guide wants the member of a group to be active. Whether anything is accepted a
        second time is not documented.
        """
        if role.kind == "group":
            # govultr and the guide name the user in user_id. The OpenAPI document has display_name
            # alone, "the user ID or display name": several users may have the same name.
            named = {"user_id": member.id, "display_name": member.id}
            request = Request.post(
                "v2", "groups", role.id, "members", json=named, effect=Effect.REPEATABLE
            )
        else:
            request = Request.post(*_attachment(member, role), effect=Effect.REPEATABLE)
        yield request

    @operation
    def unassign_role(self, member: Member, role: Role) -> Flow[None]:
        """Takes a member out of a group, or detaches a role or policy. What is inherited stays."""
        if role.kind == "group":
            yield Request.delete("v2", "groups", role.id, "members", member.id)
        else:
            yield Request.delete(*_attachment(member, role))

    @operation
    def restore_group_member(self, member: Member, group: Role) -> Flow[None]:
        """Undoes the removal of a member from a group. Only the OpenAPI document has this."""
        if group.kind != "group":
            raise InvalidOrder(f"{group.label} is no group")
        yield Request.put("v2", "groups", group.id, "members", member.id)

    @operation
    def access(self, member: Member) -> Flow[tuple[Grant, ...]]:
        """A member's groups, roles and policies, direct and inherited."""
        return (yield from self._grants(member.id))

    @operation
    def own_access(self) -> Flow[tuple[Grant, ...]]:
        """The groups, roles and policies of the API key's owner, who needs no permission for it."""
        return (yield from self._grants("me"))

    def explain_access(
        self, grants: Sequence[Grant], member: Member | None = None
    ) -> tuple[bool, str | None]:
        """Applies Vultr's guide to granting access.

        Without an attached policy a user "cannot access any of its resources". About the console's
        "No Active Organization" the guide contradicts itself: a policy attached directly is enough
        in its list of checks, and an empty list of groups shows the screen in its last section.
        A user with the ACL `manage_users` has full administrative control (guides to users).
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
                ' enough, and also that the console shows "No Active Organization" to somebody in'
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
        """What all pages of a list hold; pages that hold nothing are left out."""

        def page(cursor: str | None) -> Flow[Page[Any]]:
            body = (yield _list(*path, cursor=cursor)).json()
            content = reading.content(body, *names)
            return Page([] if content in (None, [], {}) else [content], reading.next_cursor(body))

        return (yield from every(page))


_HINTS = {
    # What a key that is limited to other addresses gets is not documented; 401 is likely.
    401: "Check the API key, and whether Vultr lets it be used from this machine's address.",
    403: (
        "Use the root user's API key, or one whose user has a policy that allows the action:"
        " iam.invitation.*, iam.group.*, iam.role.*, iam.policy.* or account.user.*."
    ),
}


def _list(*path: str, cursor: str | None) -> Request:
    return Request.get("v2", *path, query={"per_page": PAGE_SIZE, "cursor": cursor})


def _invitation(reply: Response) -> Invitation:
    """Bare in govultr, in an envelope in the OpenAPI document."""
    return reading.invitation(reply.mapping("invitation", "invite"))


def _name(organization: reading.Raw) -> str:
    return reading.text(organization.get("name")) or reading.identifier(organization, "id")


def _id(invitation: Invitation) -> str:
    if invitation.id is None:
        raise InvalidOrder(f"the invitation of {invitation.email} has no id")
    return invitation.id


def _attachment(member: Member, role: Role) -> tuple[str, ...]:
    if role.kind not in LISTS:
        raise InvalidOrder(f"{role.label}: Vultr knows the kinds {', '.join(LISTS)}")
    return ("v2", LISTS[role.kind], role.id, "users", member.id)
