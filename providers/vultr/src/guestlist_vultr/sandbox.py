"""A local imitation of Vultr IAM, with one organization and its groups, roles and policies.

Vultr's documents contradict each other (docs/providers/vultr.md). The profile `govultr` answers in
the form that Vultr's Go client decodes, `openapi` in the form of the OpenAPI document. Requests
that are not imitated (changes of roles and policies, role trusts, SCIM and more) get a 404.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, ClassVar
from uuid import UUID, uuid5

from starlette.responses import Response

from guestlist.sandbox.limits import RateLimit, SlidingWindow, TokenBucket
from guestlist.sandbox.organization import (
    InvitationRecord,
    MemberRecord,
    PersonRecord,
    Record,
    RoleRecord,
    is_address,
)
from guestlist.sandbox.paging import page_by_cursor
from guestlist.sandbox.refusals import (
    DuplicateInvitation,
    DuplicateMember,
    HttpRefusal,
    InvalidValue,
    MethodNotAllowed,
    NotAuthenticated,
    NotPermitted,
    ProtectedMember,
    RecordNotFound,
    TooManyRequests,
)
from guestlist.sandbox.routing import IncomingRequest, OrganizationService, Routes, bearer
from guestlist.sandbox.service import SandboxRefusal, Switch

Json = dict[str, Any]

OWNER_KEY = "VULTR-SANDBOX-OWNER-KEY"
READ_ONLY_KEY = "VULTR-SANDBOX-READONLY-KEY"
ENGINEER_KEY = "VULTR-SANDBOX-ENGINEER-KEY"
SUPPORTER_KEY = "VULTR-SANDBOX-SUPPORTER-KEY"
REQUESTS_PER_SECOND = 30
"""Per network address (OpenAPI, "rate limit"). How the service counts requests is not known."""
MISSING = {
    "member": "Invalid user",
    "organization": "Organization not found.",
    "group": "Group not found",
    "role": "Role not found",
    "policy": "Policy not found",
    "invitation": "Invite not found",
    "path": "Not found.",
}
"""The texts of a 404, which the Terraform provider looks for."""
VERSION = {"Version": "2012-10-17"}
"""The default of policy documents."""
FLAGS = {"yes": True, "true": True, "no": False, "false": False}
KINDS = {"group": "groups", "role": "roles", "policy": "policies"}
INVITATION, USER = "/v2/invitation", "/v2/users/{user}"
ORGANIZATION = "/v2/organizations/{organization}"
GROUP_MEMBER = "/v2/groups/{group}/members/{user}"


@dataclass(frozen=True)
class Grant:
    """A group, role or policy that a person holds, or a holder of it."""

    record: Any
    since: datetime
    source: str = "direct"
    """`direct`, `group` or `role`. The service's words are not known (unverified choice)."""
    role: str = ""
    """The id of the role that a policy comes from; empty if it comes from none."""

    @property
    def number(self) -> int:
        return int(self.record.number)


class VultrService(OrganizationService):
    """Vultr IAM. Groups, roles and policies are roles of the `Organization`.

    The names of the actions on groups, of attaching roles, and of `account.user` are documented
    (guide "IAM actions"). Those on policies are formed like them (unverified). The documents have
    no action for restoring the member of a group; that for adding one is used.
    """

    name = "vultr"
    title = "Vultr IAM"
    profiles = ("govultr", "openapi")
    organization_id = "5a1d0b0c-0000-4000-8000-000000000001"
    lifetime = timedelta(hours=72)
    behavior: ClassVar[dict[str, str]] = {"member_ids": "person", "inviting_members": "allow"}
    switches: ClassVar[dict[str, Switch]] = {
        "expired": Switch(
            ("pending", "expired"),
            "whether an expired invitation is reported as Pending and can be resent",
        ),
        "listing": Switch(("all", "pending"), "which invitations the list contains"),
        # No source says that duplicates are refused, and Vultr's guide to Terraform relies on them:
        # changing an invitation there deletes nothing and sends a second one.
        "duplicates": Switch(
            ("allow", "refuse"),
            "whether an address can be invited that has an open invitation or is a member's",
        ),
        "rate": Switch(
            ("bucket", "window", "off"), "how the limit of 30 requests per second is counted"
        ),
        # The Go client 3.33.2 and later treats a string in `status` at the top of an answer as a
        # malformed error, and so fails on every unwrapped invitation that has one; older versions,
        # such as Terraform's, publish it.
        "status_fields": Switch(
            ("invite_status", "all"), "whether an invitation also has status and status_full"
        ),
        "pending_users": Switch(
            ("absent", "listed"),
            "whether the user list contains invited people, with invite_accepted: false",
        ),
        # The profile `openapi` does not distinguish the two types of roles.
        "assumable": Switch(
            ("refuse", "accept"), "whether an assumable role can be attached to users and groups"
        ),
        "reattach": Switch(
            ("accept", "refuse"), "whether a role or policy can be attached a second time"
        ),
    }
    errors: ClassVar[dict[type[SandboxRefusal], int | tuple[int, str]]] = {
        NotAuthenticated: (401, "Invalid API token."),  # text unverified
        NotPermitted: (403, "Forbidden."),  # text unverified
        MethodNotAllowed: (405, "Method not allowed."),
        DuplicateMember: (400, "User is already a member of this organization."),
        DuplicateInvitation: (400, "An invitation for this email is already pending."),
        InvalidValue: 400,
        # The text is from issue 103 of terraform-provider-vultr.
        TooManyRequests: (429, "rate limit exceeded"),
        ProtectedMember: (400, "The root user cannot be removed or suspended."),  # unverified
    }
    routes = Routes()

    def seed(self) -> None:
        """Adds three people, and what they hold.

        Omar is in the group Support, and inherits the role "Support Engineer" and its policy from
        it. Lena has one policy through her group Engineering and another one directly. The name
        "Support" belongs to a group and to a role. The role "Incident Response" is assumable, so it
        is not attached to users.
        """
        self.limits: dict[str, RateLimit] = {
            "bucket": TokenBucket(REQUESTS_PER_SECOND),
            "window": SlidingWindow(REQUESTS_PER_SECOND),
        }
        self.attached: dict[tuple[str, str], datetime] = {}
        """Since when a group, role or policy is held, by its id and that of the holder: a member,
        group or role."""
        self.former: dict[tuple[str, str], datetime] = {}
        """Like `attached`, for people who were removed from a group."""
        ines = self.add_user("ines@example.org", "Ines Admin", OWNER_KEY)
        lena = self.add_user("lena@example.org", "Lena Engineer", ENGINEER_KEY)
        omar = self.add_user("omar@example.org", "Omar Support", SUPPORTER_KEY)
        self.organization.add_key(ines.person, READ_ONLY_KEY, read_only=True)
        self.organization.owner = ines

        def add(
            kind: str, name: str, description: str, *holders: Record, **more: Any
        ) -> RoleRecord:
            role = self.organization.add_role(name, kind, description=description, **more)
            for one in holders:
                self.attached[role.id, one.id] = self.clock.now()
            return role

        def role(
            name: str, description: str, *holders: Record, type: str = "assignable"
        ) -> RoleRecord:
            return add("role", name, description, *holders, role_type=type)

        def policy(
            name: str, description: str, action: Any, *holders: Record, **more: Any
        ) -> RoleRecord:
            statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
            document = {**VERSION, "Statement": [statement]}
            return add("policy", name, description, *holders, policy_document=document, **more)

        engineering = add("group", "Engineering", "Builds what we sell", lena)
        support = add("group", "Support", "Answers customers", omar)
        engineer = role("Support Engineer", "Works on tickets", support)
        billing = role("Billing Viewer", "Reads invoices", omar)
        role("Support", "Has the same name as a group")
        incidents = role("Incident Response", "Works on outages", type="assumable")
        policy("Administrator Access", "All actions", "*", ines, system=True)
        policy("Ticket Handling", "Reads and answers tickets", ["support.*"], engineer)
        policy("Invoice Reading", "Reads invoices", ["billing.invoice.*"], billing, lena)
        policy("Compute", "Starts and stops machines", ["compute.*"], engineering, incidents)

    def add_user(self, email: str, name: str, key: str = "", **more: Any) -> MemberRecord:
        """Makes a person a member, with an API key."""
        key = key or self.new_id("key")
        return self.organization.add_member(email, name, key=key, api_enabled=True, **more)

    # ------------------------------------------------------------------ invitations

    @routes.get(INVITATION, action="iam.invitation.List")
    def list_invitations(self, request: IncomingRequest) -> Any:
        shown = self.organization.listed(self.organization.shown_invitations())
        if self.chosen["listing"] == "pending":
            shown = [one for one in shown if self.status(one) == "Pending"]
        key = "invitations" if self.openapi else "invites"
        return self.many(request, key, shown, self.invitation)

    @routes.post(INVITATION, status=201, action="iam.invitation.Create")
    def invite(self, request: IncomingRequest) -> Any:
        """Invites an address. An older invitation of the same address does not change."""
        email, permissions = (
            request.text("email_invited").strip(),
            request.json().get("permissions"),
        )
        if not is_address(email):
            raise InvalidValue("email_invited")
        if not isinstance(permissions, dict | None):
            raise InvalidValue("permissions")
        enabled = flag(permissions or {}, "api_enabled", default=False)  # default unverified
        if self.chosen["duplicates"] == "refuse" and self.organization.member_with(email):
            raise DuplicateMember
        invitation = self.organization.invite(email, inviter=request.caller, api_enabled=enabled)
        return self.one("invitation", self.invitation(invitation))

    @routes.get(f"{INVITATION}/{{id}}", action="iam.invitation.Read")
    def get_invitation(self, request: IncomingRequest) -> Any:
        invitation = self.organization.invitation(request.path["id"])
        return self.one("invitation", self.invitation(invitation))

    @routes.post(f"{INVITATION}/{{id}}/resend", action="iam.invitation.Resend")
    def resend(self, request: IncomingRequest) -> Any:
        """Sends the email of a `Pending` invitation again, and moves its expiry."""
        invitation = self.organization.invitation(request.path["id"])
        if self.status(invitation) != "Pending":
            raise HttpRefusal(400, "Only pending invitations can be resent.")  # text unverified
        return self.one("invitation", self.invitation(self.organization.resend(invitation)))

    def invitation(self, invitation: InvitationRecord) -> Json:
        """Returns an invitation. All its status fields contain the same text."""
        status, inviter, member = self.status(invitation), invitation.inviter, invitation.member
        permissions = {"api_enabled": invitation.fields["api_enabled"]}
        both = {"status": status, **({} if self.openapi else {"status_full": status})}
        body = {
            "id": invitation.id,
            "inviter_name": inviter.name if inviter else "",
            "inviter_email": inviter.email if inviter else "",
            "email_invited": invitation.email,
            "email_registered": member.person.email if member else "",
            "permissions": json.dumps(permissions) if self.openapi else permissions,
            "org_id": self.organization.id,
            "org_name": self.organization.name,
            **(both if self.chosen["status_fields"] == "all" else {}),
            "invite_status": status,
            "date_created": written(invitation.created_at),
            "date_responded": written(invitation.ended_at),
            "expiration_date": written(invitation.expires_at),
        }
        if self.openapi and invitation.ended_at is None:
            del body["date_responded"]  # an empty string is not a valid date-time
        return body

    def status(self, invitation: InvitationRecord) -> str:
        """Returns `Pending` or `Accepted`. The word `Expired` is unverified."""
        state = invitation.state(self.clock.now())
        renamed = state == "expired" and self.chosen["expired"] == "pending"
        return "Pending" if renamed else state.capitalize()

    # ------------------------------------------------------------------ users, the organization

    @routes.get("/v2/users", action="account.user.List")
    def list_users(self, request: IncomingRequest) -> Any:
        return self.many(request, "users", self.organization.listed(self.users()), self.user)

    @routes.get(USER, action="account.user.Read")
    def get_user(self, request: IncomingRequest) -> Any:
        shown = map(self.user, self.users())
        found = next((one for one in shown if one["id"] == request.path["user"]), None)
        return {"user": found or self.user(self.organization.member(request.path["user"]))}

    @routes.patch(USER, status=202, action="account.user.Update")
    def update_user(self, request: IncomingRequest) -> Any:
        """Changes `api_enabled` and `acls`. Vultr's guides of August 2026 expect 202 Accepted; the
        OpenAPI document describes 204."""
        known, body = self.organization.member(request.path["user"]).person.fields, request.json()
        known["api_enabled"] = flag(body, "api_enabled", default=known["api_enabled"])
        known["acls"] = [str(one) for one in listed(body.get("acls", known.get("acls", [])))]
        return Response(status_code=204) if self.openapi else None

    @routes.post(f"{USER}/apikeys", status=201, action="account.user.Create")
    def create_key(self, request: IncomingRequest) -> Any:
        """Creates another API key, which only this answer contains (guide "How to Create an API Key
        for a User"). The status and the wrapping object are unverified. No key expires here."""
        person = self.organization.member(request.path["user"]).person
        if flag(request.json(), "expire", default=False):
            raise InvalidValue("expire")
        key = {"id": self.new_id("apikey"), "api_key": self.organization.add_key(person)}
        return {"apikey": {**key, "name": request.text("name", ""), "expire": False}}

    @routes.get("/v2/organizations", action="iam.organization.List")
    def list_organizations(self, request: IncomingRequest) -> Any:
        key = "organizations" if self.openapi else "orgs"
        meta = {"total": 1, "links": {"next": "", "prev": ""}}
        return {key: [self.shown_organization()], "meta": meta}

    @routes.get(ORGANIZATION, action="iam.organization.Read")
    def get_organization(self, request: IncomingRequest) -> Any:
        self.refuse_foreign(request)
        return self.one("organization", self.shown_organization())

    @routes.get(f"{ORGANIZATION}/suspended-users", action="iam.organization.ListSuspendedUsers")
    def list_suspended(self, request: IncomingRequest) -> Any:
        self.refuse_foreign(request)
        suspended = [one for one in self.organization.members() if one.suspended_at]
        return self.many(request, "users", suspended, self.member)

    @routes.delete(f"{ORGANIZATION}/user/{{user}}", action="iam.organization.RemoveUser")
    def remove_user(self, request: IncomingRequest) -> Any:
        """Ends a membership. A person who joins again holds nothing."""
        member = self.own_member(request)
        self.organization.remove(member)
        self.attached = {pair: one for pair, one in self.attached.items() if pair[1] != member.id}

    @routes.put(
        f"{ORGANIZATION}/user/{{user}}/suspend", status=204, action="iam.organization.SuspendUser"
    )
    def suspend_user(self, request: IncomingRequest) -> Any:
        self.organization.suspend(self.own_member(request))

    @routes.put(
        f"{ORGANIZATION}/user/{{user}}/unsuspend",
        status=204,
        action="iam.organization.UnsuspendUser",
    )
    def unsuspend_user(self, request: IncomingRequest) -> Any:
        self.organization.unsuspend(self.own_member(request))

    def refuse_foreign(self, request: IncomingRequest) -> None:
        if request.path["organization"] != self.organization.id:
            raise RecordNotFound("organization")

    def own_member(self, request: IncomingRequest) -> MemberRecord:
        self.refuse_foreign(request)
        return self.organization.member(request.path["user"])

    def users(self) -> list[MemberRecord | InvitationRecord]:
        """Returns the members, and with the switch `pending_users` an invitation of each address
        that is only invited. No other request accepts such a user (unverified)."""
        found: dict[str, MemberRecord | InvitationRecord] = {
            one.person.email.casefold(): one for one in self.organization.members()
        }
        if self.chosen["pending_users"] == "listed":
            for one in self.organization.shown_invitations():
                if self.organization.is_open(one):
                    found.setdefault(one.email.casefold(), one)
        return list(found.values())

    def user(self, one: MemberRecord | InvitationRecord) -> Json:
        pending = isinstance(one, InvitationRecord)
        person = one if isinstance(one, InvitationRecord) else one.person
        name = person.name if isinstance(person, PersonRecord) else ""
        body: Json = {
            "id": str(uuid5(UUID(one.id), "user")) if pending else one.id,
            "name": name,
            "email": person.email,
            "api_enabled": person.fields["api_enabled"],
            "acls": person.fields.get("acls", []),
            "service_user": person.fields.get("service_user", False),
        }
        if self.openapi:
            status = "pending" if isinstance(one, InvitationRecord) else one.status
            body |= {**names_of(name), "status": status}
        if self.openapi or self.chosen["pending_users"] == "listed":
            body["invite_accepted"] = not pending
        return body

    def member(self, member: MemberRecord) -> Json:
        """Returns a member with the fields of both documents, which the Go client allows."""
        person = member.person
        body = {
            "id": member.id,
            "name": person.name,
            "display_name": person.name,
            **names_of(person.name),
            "email": person.email,
            "active": member.suspended_at is None,
            "service_user": person.fields.get("service_user", False),
            "date_created": written(person.created_at),
            "date_updated": written(person.updated_at),
            "date_suspended": written(member.suspended_at),
        }
        if self.openapi:
            del body["name"], body["date_suspended"]
        return body

    def shown_organization(self) -> Json:
        return {
            "id": self.organization.id,
            "name": self.organization.name,
            "type": "Team",
            "date_created": written(self.organization.created_at),
        }

    # ------------------------------------------------------------------ groups, roles, policies

    def all_of(self, kind: str) -> list[Any]:
        """Returns the members, or the groups, roles or policies."""
        if kind == "user":
            return self.organization.members()
        return self.organization.roles_of_kind(kind)

    def entity(self, kind: str, id: str) -> Any:
        """Returns a member, group, role or policy."""
        if kind == "user":
            return self.organization.member(id)
        return self.organization.role_of_kind(kind, id)

    def of(self, holder: Record, kind: str, source: str = "direct", role: str = "") -> list[Grant]:
        """Returns the groups, roles or policies that are attached to a member, group or role."""
        pairs = ((one, self.attached.get((one.id, holder.id))) for one in self.all_of(kind))
        return [Grant(one, since, source, role) for one, since in pairs if since]

    def to(self, role: RoleRecord, kind: str) -> list[Grant]:
        """Returns the members or groups that a group or policy is attached to."""
        pairs = ((one, self.attached.get((role.id, one.id))) for one in self.all_of(kind))
        return [Grant(one, since) for one, since in pairs if since]

    def held(self, member: Record, kind: str) -> dict[str, list[Grant]]:
        """Returns the roles or policies of a member, without repetitions: `direct`, `inherited`
        from groups (policies also from roles), and `all`."""
        groups = [group.record for group in self.of(member, "group")]
        inherited = [one for group in groups for one in self.of(group, kind, "group")]
        if kind == "policy":
            for role in self.held(member, "role")["all"]:
                inherited += self.of(role.record, kind, "role", role.record.id)
        direct, inherited = self.of(member, kind), once(inherited)
        every = sorted(once([*direct, *inherited]), key=lambda one: one.number)
        return {"all": every, "direct": direct, "inherited": inherited}

    @routes.post("/v2/groups", status=201, action="iam.group.Create")
    def create_group(self, request: IncomingRequest) -> Any:
        name, description = request.text("display_name"), request.text("description", "")
        group = self.organization.add_role(name, "group", description=description)
        return self.one("group", self.shown(group))

    @routes.post("/v2/policies", status=201, action="iam.policy.Create")
    def create_policy(self, request: IncomingRequest) -> Any:
        name, document = request.text("name"), request.json().get("policy_document") or {}
        try:
            for one in document["Statement"]:
                one["Effect"], one["Action"], one["Resource"]
        except (KeyError, TypeError):  # the Go client cannot decode such a statement
            raise InvalidValue("policy_document") from None
        description = request.text("description", "")
        policy = self.organization.add_role(
            name, "policy", description=description, policy_document={**VERSION, **document}
        )
        return self.one("policy", self.shown(policy))

    @routes.get("/v2/groups/{group}", action="iam.group.Read")
    def get_group(self, request: IncomingRequest) -> Any:
        return {"group": self.shown(self.entity("group", request.path["group"]))}

    @routes.post("/v2/groups/{group}/members", status=201, action="iam.group.AddMember")
    def add_group_member(self, request: IncomingRequest) -> Any:
        """Adds an active user. The Go client and the guide put the user's id into `user_id`, the
        OpenAPI document into `display_name`. Adding one again changes nothing (unverified)."""
        group = self.entity("group", request.path["group"])
        id = request.text("user_id", "") or request.text("display_name")
        member = self.organization.member(id)
        if member.suspended_at is not None:
            raise HttpRefusal(400, "The user is not active.")  # text unverified
        self.attached.setdefault((group.id, member.id), self.clock.now())
        return {"group_member": self.member(member)}

    @routes.delete(GROUP_MEMBER, action="iam.group.RemoveMember")
    def remove_group_member(self, request: IncomingRequest) -> Any:
        pair, _ = self.in_group(request, self.attached)
        self.former[pair] = self.attached.pop(pair)

    @routes.put(GROUP_MEMBER, status=202, action="iam.group.AddMember")
    def restore_group_member(self, request: IncomingRequest) -> Any:
        """Restores a removed member; answers 404 for a person who was never in the group."""
        pair, member = self.in_group(request, self.former)
        self.attached[pair] = self.former.pop(pair)
        return {"group_member": self.member(member)}

    def in_group(
        self, request: IncomingRequest, pairs: Iterable[tuple[str, str]]
    ) -> tuple[Any, MemberRecord]:
        """Returns the ids in a path if they are one of the pairs, and the member."""
        group, member = (
            self.entity("group", request.path["group"]),
            self.entity("user", request.path["user"]),
        )
        if (group.id, member.id) not in pairs:
            raise RecordNotFound("member")
        return (group.id, member.id), member

    def shown(self, role: RoleRecord) -> Json:
        """Returns a group, role or policy. In the OpenAPI document the policies of a role are
        relationships."""
        known, policies = role.fields, self.of(role, "policy")
        body: Json = {"id": role.id, "name": role.name, "description": known["description"]}
        if role.kind == "group":
            body["display_name"] = body.pop("name")
            body["members"] = [self.member(one.record) for one in self.to(role, "user")]
            if self.openapi:
                body |= {"status": "active", "date_updated": written(role.updated_at)}
        elif role.kind == "role":
            body |= {"role_type": self.role_type(role), "max_session_duration": 3600}
            body["policies"] = [
                self.relationship(role, one) if self.openapi else self.shown(one.record)
                for one in policies
            ]
        else:
            document, system = known["policy_document"], known.get("system", False)
            body |= {"policy_document": document, "version": document["Version"]}
            body["is_system_policy"] = system
        return {**body, "date_created": written(role.created_at)}

    def role_type(self, role: RoleRecord) -> str:
        """Returns a role's type. The OpenAPI document only has `user` and `service`. It is not
        documented how they relate to the types in the guides, so every role is a `user` there."""
        return "user" if self.openapi else str(role.fields["role_type"])

    def relationship(self, role: RoleRecord, to: Grant) -> Json:
        """Returns the attachment of a role or policy to a member or group, or of a policy to a
        role."""
        kind, record = role.kind, to.record
        body: Json = {f"{kind}_id": role.id, f"{kind}_name": role.name, "user_id": record.id}
        if isinstance(record, RoleRecord):
            del body["user_id"]
            body |= {f"{record.kind}_id": record.id, f"{record.kind}_name": record.name}
        if kind == "role":
            body["role_type"] = self.role_type(role)
        return {**body, "date_assigned": written(to.since)}

    def holding(self, grant: Grant) -> Json:
        """Returns a group, role or policy of a member, for the Go client."""
        body, kind = self.shown(grant.record), grant.record.kind
        if kind == "group" and not self.openapi:
            body["assigned_date"] = written(grant.since)
        if kind == "policy":
            body |= {"source": grant.source, **({"from_role": grant.role} if grant.role else {})}
        return body

    # ------------------------------------------------------------------ requests and answers

    @property
    def openapi(self) -> bool:
        return self.profile == "openapi"

    def one(self, name: str, body: Json) -> Json:
        """Returns a created object, which the OpenAPI document wraps and the Go client does not."""
        return {name: body} if self.openapi else body

    def many(
        self, request: IncomingRequest, key: str, items: Iterable[Any], shape: Callable[[Any], Any]
    ) -> Json:
        """Returns one page of a list. The sizes are those of the govultr README and OpenAPI."""
        page = page_by_cursor(list(items), request.query, size="per_page", default=100, maximum=500)
        links = {"next": page.next, "prev": page.previous}
        shown = [shape(one) for one in page.items]
        return {key: shown, "meta": {"total": page.total, "links": links}}

    def credentials(self, request: IncomingRequest) -> str:
        """Returns the API key. That the key of a suspended person gets a 401 instead of a 403 is
        unverified."""
        secret = bearer(request.headers)
        person = self.organization.key(secret).person
        member = self.organization.record_of(person)
        if member is None or member.suspended_at or not person.fields["api_enabled"]:
            raise NotAuthenticated
        return secret

    def permit(self, request: IncomingRequest) -> None:
        """Checks the permission for an action, such as `iam.role.AttachUser`.

        The root user may do everything, and so may a user with the ACL `manage_users` (guides to
        users). All others need a policy that allows the action, and none that denies it. The
        resources in policies are ignored.
        """
        super().permit(request)
        action = request.endpoint.action if request.endpoint else ""
        if not action or "manage_users" in request.caller.fields.get("acls", []):
            return
        member = self.organization.member(request.caller.id)
        effects = {
            statement["Effect"]
            for grant in self.held(member, "policy")["all"]
            for statement in grant.record.fields["policy_document"]["Statement"]
            if any(fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
        }
        if member is not self.organization.owner and effects != {"Allow"}:
            raise NotPermitted

    def error(self, status: int, code: str, refusal: SandboxRefusal) -> Any:
        """Returns the body of a refusal. The texts for invalid values are unverified."""
        text = code or str(refusal)
        if isinstance(refusal, RecordNotFound):
            text = MISSING[refusal.kind]
        elif isinstance(refusal, InvalidValue):
            text = "Bad request." if refusal.field == "body" else f"Invalid {refusal.field}."
        return {"error": text, "status": status}

    def limit(self, request: IncomingRequest) -> RateLimit | None:
        return self.limits.get(self.chosen["rate"])

    def new_id(self, kind: str) -> str:
        """Returns a UUID, or an API key."""
        if kind == "key":
            return f"VULTR-SANDBOX-{self.random.getrandbits(128):032X}"
        return str(UUID(int=self.random.getrandbits(128), version=4))

    # ------------------------------------------------------------------ the invitee

    def accept(self, invitation: str, *, email: str = "") -> None:
        """Accepts an invitation, as the invited person does by email and console. A new member has
        no grants."""
        found = self.organization.any_invitation(invitation)
        joins = self.organization.member_with(email or found.email) is None
        person = self.organization.accept(found, email=email).person
        if joins:
            person.fields["api_enabled"] = found.fields["api_enabled"]

    def next_steps(self, invitation: str, base_url: str) -> str | None:
        """Returns commands that create an API key for the invited person and run the last step of
        Vultr's guide."""
        member = self.organization.any_invitation(invitation).member
        if member is None or member.id not in self.organization.records:
            return None
        return _NEXT_STEPS.format(url=base_url, key=OWNER_KEY, id=member.id)

    def email(self, invitation: InvitationRecord) -> dict[str, Any]:
        """The real email contains a link in a form that is not public, so this one has no link."""
        inviter = invitation.inviter
        who = f"{inviter.name} ({inviter.email})" if inviter else "An administrator"
        text = (
            f"{who} has invited you to join the organization {self.organization.name} on Vultr.\n\n"
            "Sign in to the Vultr Console with this address, or create an account, to accept. "
            f"The invitation expires on {invitation.expires_at:%Y-%m-%d at %H:%M} UTC.\n"
        )
        return {**super().email(invitation), "text": text, "link": None}

    def settings(self, base_url: str) -> dict[str, str]:
        return {"api_key": OWNER_KEY, "base_url": base_url}

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {"api_key": READ_ONLY_KEY, "base_url": base_url}


# ---------------------------------------------------------------------------- generated endpoints


def _kind(kind: str, plural: str, routes: Routes) -> None:
    """Registers the endpoints that list groups, roles or policies: all, those of the caller (no
    document mentions a permission for it), and those of a member."""

    @routes.get(f"/v2/{plural}", action=f"iam.{kind}.List")
    def listing(service: VultrService, request: IncomingRequest) -> Any:
        return service.many(request, plural, service.all_of(kind), service.shown)

    @routes.get(f"{USER}/{plural}", action=f"iam.user.List{plural.title()}")
    @routes.get(f"/v2/users/me/{plural}")  # registered first, so that `me` is not taken for an id
    def held(service: VultrService, request: IncomingRequest) -> Any:
        member = service.organization.member(request.path.get("user", request.caller.id))
        if kind == "group":
            return service.many(request, plural, service.of(member, "group"), service.holding)
        lists = service.held(member, kind)

        def relationship(one: Grant) -> Json:
            return service.relationship(one.record, replace(one, record=member))

        shape = relationship if service.openapi else service.holding
        page = service.many(request, plural, lists["all"], shape)
        if not service.openapi:  # each part contains only the records of this page
            ids = [one["id"] for one in page[plural]]
            page[plural] = {
                name: [service.holding(one) for one in grants if one.record.id in ids]
                for name, grants in lists.items()
            }
        return page


def _relation(kind: str, plural: str, to: str, routes: Routes) -> None:
    """Registers the endpoints that attach a role or policy to a member or group, and detach it."""
    path, action = f"/v2/{plural}/{{{kind}}}/{to}s", f"iam.{kind}"

    def found(service: VultrService, request: IncomingRequest) -> tuple[Any, Any]:
        return service.entity(kind, request.path[kind]), service.entity(to, request.path[to])

    @routes.get(path, action=f"{action}.List{to.title()}s")
    def listing(service: VultrService, request: IncomingRequest) -> Any:
        role = service.entity(kind, request.path[kind])
        grants = service.to(role, to)
        if service.openapi or kind == "role":
            key = f"{kind}_{to}_relationships" if service.openapi else "assignments"
            return service.many(request, key, grants, lambda one: service.relationship(role, one))
        shape = service.shown if to == "group" else service.member
        return service.many(
            request,
            f"{to}s",
            grants,
            lambda one: {**shape(one.record), "assigned_date": written(one.since)},
        )

    @routes.post(f"{path}/{{{to}}}", status=201, action=f"{action}.Attach{to.title()}")
    def attach(service: VultrService, request: IncomingRequest) -> Any:
        role, holder = found(service, request)
        assumable = role.fields.get("role_type") == "assumable"
        if assumable and service.chosen["assumable"] == "refuse":
            raise HttpRefusal(400, "Assumable roles cannot be attached.")  # text unverified
        if service.chosen["reattach"] == "refuse" and (role.id, holder.id) in service.attached:
            raise HttpRefusal(400, "Already attached.")
        since = service.attached.setdefault((role.id, holder.id), service.clock.now())
        relationship = service.relationship(role, Grant(holder, since))
        return service.one(f"{kind}_{to}_relationship", relationship)

    @routes.delete(f"{path}/{{{to}}}", action=f"{action}.Detach{to.title()}")
    def detach(service: VultrService, request: IncomingRequest) -> Any:
        role, holder = found(service, request)
        if service.attached.pop((role.id, holder.id), None) is None:
            raise RecordNotFound("member" if to == "user" else to)


for _name, _plural in KINDS.items():
    _kind(_name, _plural, VultrService.routes)
for _name, _to in (("role", "user"), ("role", "group"), ("policy", "user"), ("policy", "group")):
    _relation(_name, KINDS[_name], _to, VultrService.routes)


# ---------------------------------------------------------------------------- values


def flag(body: Json, name: str, default: bool) -> bool:
    """Returns a boolean, from `true`, `"yes"`, `"true"`, `1` or their opposites."""
    value = body.get(name)
    if isinstance(value, str):
        value = FLAGS.get(value.lower(), value)
    if not isinstance(value, int | None) or value not in (None, 0, 1):
        raise InvalidValue(name)
    return default if value is None else bool(value)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def once(grants: Iterable[Grant]) -> list[Grant]:
    """Returns the first grant of each record."""
    first: dict[str, Grant] = {}
    for grant in grants:
        first.setdefault(grant.record.id, grant)
    return list(first.values())


def names_of(name: str) -> Json:
    first, _, last = name.partition(" ")
    return {"first_name": first, "last_name": last}


def written(moment: datetime | None) -> str:
    """Returns a date in ISO 8601 with an offset, in whole seconds. Empty if unset, as in the Go
    client."""
    return "" if moment is None else moment.isoformat(timespec="seconds")


_NEXT_STEPS = """\
# A key for the invitee, made with the owner's key. It works if the user is api_enabled.
curl -X PATCH {url}/v2/users/{id} \\
    -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
    -d '{{"api_enabled": true}}'
curl -X POST {url}/v2/users/{id}/apikeys \\
    -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
    -d '{{"name": "invitee", "expire": false}}'

# Show the invitee's groups. Set VULTR_API_KEY to the "api_key" of the last answer first.
curl {url}/v2/users/me/groups -H "Authorization: Bearer ${{VULTR_API_KEY}}"
printf '[accounts.invitee]\\nprovider = "vultr"\\napi_key = "%s"\\nbase_url = "%s"\\n' \\
    "${{VULTR_API_KEY}}" {url} > invitee.toml
guestlist --config invitee.toml own-access
"""
