"""Vultr IAM as a table: invitations, users and the organization. The rest is in `iam`."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid5

from starlette.responses import Response

from guestlist.sandbox.limits import Limit, SlidingWindow, TokenBucket, Verdict
from guestlist.sandbox.organization import INVITED, Invitation, Member, Person, is_address
from guestlist.sandbox.refusals import (
    AlreadyInvited,
    AlreadyMember,
    InvalidValue,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    ProtectedMember,
    ServiceRefusal,
    TooManyRequests,
    UnknownPath,
)
from guestlist.sandbox.routing import Call, Routes, bearer
from guestlist.sandbox.service import SandboxRefusal, Switch

from . import fields, iam
from .access import ASSIGNABLE, ASSUMABLE, Access
from .iam import SESSION_SECONDS, IamService, Json

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
INVITATION = "/v2/invitation"
USER = "/v2/users/{user}"
ORGANIZATION = "/v2/organizations/{organization}"


class VultrService(IamService):
    """Vultr IAM: organization, invitations, users, groups, roles, policies and their access.

    The profile `govultr` answers in the form that Vultr's own Go client decodes, `openapi` in the
    form that the OpenAPI document describes. Role trusts, assumed roles, SCIM and further
    organizations are not imitated: they answer 404.
    """

    name = "vultr"
    title = "Vultr IAM"
    profiles = ("govultr", "openapi")
    organization_id = "5a1d0b0c-0000-4000-8000-000000000001"
    lifetime = timedelta(hours=72)  # three days (docs D-valid)
    behavior: ClassVar[dict[str, str]] = {"member_ids": "person", "inviting_members": "allow"}
    switches: ClassVar[dict[str, Switch]] = {
        "expired": Switch(
            ("pending", "expired"),
            "whether an expired invitation is reported as Pending and can be resent (C-5)",
        ),
        "listing": Switch(("all", "pending"), "which invitations the list contains (C-4)"),
        # No source says that duplicates are refused, and Vultr's guide to Terraform relies on them:
        # changing an invitation there deletes nothing and sends a second one.
        "duplicates": Switch(
            ("allow", "refuse"),
            "whether an address can be invited that has an open invitation or is a member's",
        ),
        "rate": Switch(
            ("bucket", "window", "off"), "how the limit of 30 requests per second is counted"
        ),
        "retry_after": Switch(("sent", "absent"), "whether a 429 has a Retry-After header (C-18)"),
        "timestamps": Switch(("iso", "plain"), "the format of dates"),
        "permissions": Switch(
            ("object", "string"),
            "the form of an invitation's permissions in the profile govultr (C-7)",
        ),
        # The Go client 3.33.2 and later treats a string in `status` at the top of an answer as a
        # malformed error, and so fails on every unwrapped invitation that has one; older versions,
        # such as Terraform's, publish it.
        "status_fields": Switch(
            ("invite_status", "all"), "whether an invitation also has status and status_full (C-6)"
        ),
        "user_status": Switch(
            ("absent", "present"),
            "whether users have status and active in the profile govultr (C-14)",
        ),
        "pending_users": Switch(
            ("absent", "listed"),
            "whether the user list contains invited people, with invite_accepted: false",
        ),
        # The profile `openapi` does not distinguish the two types of roles (C-15).
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
        AlreadyMember: (400, "User is already a member of this organization."),
        AlreadyInvited: (400, "An invitation for this email is already pending."),
        InvalidValue: 400,
        # The text is from issue 103 of terraform-provider-vultr.
        TooManyRequests: (429, "rate limit exceeded"),
        ProtectedMember: (400, "The root user cannot be removed or suspended."),  # unverified
    }
    routes = Routes(iam.routes)

    def seed(self) -> None:
        """Adds the organization's three people, and what they hold.

        Omar is in the group Support, and inherits the role "Support Engineer" and its policy from
        it. Lena has one policy through her group Engineering and another one directly. The name
        "Support" belongs to a group and to a role. The role "Incident Response" is assumable, so it
        is not attached to users.
        """
        self.limits: dict[str, Limit] = {
            "bucket": TokenBucket(REQUESTS_PER_SECOND),
            "window": SlidingWindow(REQUESTS_PER_SECOND),
        }
        self.type = "Team"
        self.access = Access(self.organization)
        ines = self.add_user("ines@example.org", "Ines Admin", OWNER_KEY)
        lena = self.add_user("lena@example.org", "Lena Engineer", ENGINEER_KEY)
        omar = self.add_user("omar@example.org", "Omar Support", SUPPORTER_KEY)
        self.organization.add_key(ines.person, READ_ONLY_KEY, read_only=True)
        self.organization.owner = ines

        engineering = self.access.add("group", "Engineering", "Builds what we sell")
        support = self.access.add("group", "Support", "Answers customers")
        engineer = self.add_role("Support Engineer", "Works on tickets")
        billing = self.add_role("Billing Viewer", "Reads invoices")
        self.add_role("Support", "Has the same name as a group")
        everything = self.add_policy("Administrator Access", "All actions", "*", system=True)
        tickets = self.add_policy("Ticket Handling", "Reads and answers tickets", "support.*")
        invoices = self.add_policy("Invoice Reading", "Reads invoices", "billing.invoice.*")
        machines = self.add_policy("Compute", "Starts and stops machines", "compute.*")
        incidents = self.add_role("Incident Response", "Works on outages", ASSUMABLE)
        for left, right in [
            (engineering, lena),
            (support, omar),
            (engineer, support),
            (engineer, tickets),
            (billing, omar),
            (billing, invoices),
            (machines, engineering),
            (invoices, lena),
            (everything, ines),
            (incidents, machines),
        ]:
            self.access.attach(left, right, ines.id)

    def add_user(self, email: str, name: str, key: str = "", **more: Any) -> Member:
        """Makes a person a member, with an API key."""
        known = {"api_enabled": True, "acls": [], "service_user": False, **more}
        key = key or self.new_id("key")
        return self.organization.add_member(email, name, key=key, **known)

    def add_role(self, name: str, description: str, role_type: str = ASSIGNABLE) -> Any:
        return self.access.add(
            "role", name, description, role_type=role_type, max_session_duration=SESSION_SECONDS
        )

    def add_policy(self, name: str, description: str, action: str, *, system: bool = False) -> Any:
        # System policies use a string where other policies use a list: both occur (dossier 2.5).
        statement = {
            "Effect": "Allow",
            "Action": action if system else [action],
            "Resource": "*" if system else ["*"],
        }
        document = {"Version": "2012-10-17", "Statement": [statement]}
        return self.access.add("policy", name, description, policy_document=document, system=system)

    # ------------------------------------------------------------------ invitations (dossier 2.1)

    @routes.get(INVITATION, action="iam.invitation.List")
    def list_invitations(self, call: Call) -> Any:
        shown = self.organization.listed(self.organization.shown_invitations())
        if self.chosen["listing"] == "pending":
            shown = [one for one in shown if self.status(one) == "Pending"]
        key = "invitations" if self.openapi else "invites"
        return self.many(call, key, shown, self.invitation)

    @routes.post(INVITATION, status=201, action="iam.invitation.Create")
    def invite(self, call: Call) -> Any:
        """Invites an address. An older invitation of the same address does not change (C-17)."""
        email = call.text("email_invited").strip()
        if not is_address(email):
            raise InvalidValue("email_invited")
        permissions = call.json().get("permissions")
        if permissions is None:
            permissions = {}
        if not isinstance(permissions, dict):
            raise InvalidValue("permissions")
        enabled = fields.flag(permissions, "api_enabled", default=False)  # default unverified
        if self.chosen["duplicates"] == "refuse" and self.organization.member_with(email):
            raise AlreadyMember
        invitation = self.organization.invite(email, inviter=call.caller, api_enabled=enabled)
        return self.one("invitation", self.invitation(invitation))

    @routes.get(f"{INVITATION}/{{id}}", action="iam.invitation.Read")
    def get_invitation(self, call: Call) -> Any:
        return self.one(
            "invitation", self.invitation(self.organization.invitation(call.path["id"]))
        )

    @routes.post(f"{INVITATION}/{{id}}/resend", action="iam.invitation.Resend")
    def resend(self, call: Call) -> Any:
        """Sends the email of a `Pending` invitation again, and moves its expiry to three days from
        now (docs D-resend, C-5)."""
        invitation = self.organization.invitation(call.path["id"])
        if self.status(invitation) != "Pending":
            raise ServiceRefusal(400, "Only pending invitations can be resent.")  # text unverified
        return self.one("invitation", self.invitation(self.organization.resend(invitation)))

    def invitation(self, invitation: Invitation) -> Json:
        """Returns an invitation. All its status fields contain the same text (C-6)."""
        status, inviter, member = self.status(invitation), invitation.inviter, invitation.member
        permissions: Json | str = {"api_enabled": invitation.fields["api_enabled"]}
        if self.openapi or self.chosen["permissions"] == "string":
            permissions = json.dumps(permissions)
        both = self.chosen["status_fields"] == "all"
        body = {
            "id": invitation.id,
            "inviter_name": inviter.name if inviter else "",
            "inviter_email": inviter.email if inviter else "",
            "email_invited": invitation.email,
            "email_registered": member.person.email if member else "",
            "permissions": permissions,
            "org_id": self.organization.id,
            "org_name": self.organization.name,
            **({"status": status, "status_full": status} if both else {}),
            "invite_status": status,
            "date_created": self.moment(invitation.created_at),
            "date_responded": self.moment(invitation.ended_at),
            "expiration_date": self.moment(invitation.expires_at),
        }
        if self.openapi:
            # The document has no `status_full`, and an empty string is not a valid date-time.
            body.pop("status_full", None)
            if invitation.ended_at is None:
                del body["date_responded"]
        return body

    def status(self, invitation: Invitation) -> str:
        """Returns `Pending` or `Accepted` (docs D-invite). The word `Expired` is unverified
        (C-5)."""
        state = invitation.state(self.clock.now())
        if state == "expired" and self.chosen["expired"] == "pending":
            state = "pending"
        return state.capitalize()

    # ------------------------------------------------------------------ users (dossier 2.2)

    @routes.get("/v2/users", action="account.user.List")
    def list_users(self, call: Call) -> Any:
        """Lists regular, service and (unverified choice) suspended users together."""
        return self.many(call, "users", self.organization.listed(self.users()), self.user)

    @routes.post("/v2/users", status=201, action="account.user.Create")
    def create_user(self, call: Call) -> Any:
        """Creates a user with a password, without an invitation. Only this answer contains the API
        key."""
        body, email = call.json(), self.free_address(call)
        call.text("password")
        names = fields.names(body)
        if names is None:
            raise InvalidValue("name")
        first, last, full = names
        key = self.new_id("key")
        member = self.add_user(
            email,
            full,
            key,
            first_name=first,
            last_name=last,
            api_enabled=fields.flag(body, "api_enabled", default=True),
            service_user=fields.flag(body, "service_user", default=False),
            acls=fields.acls(body, []),
        )
        return {"user": {**self.user(member), "api_key": key}}

    @routes.get(USER, action="account.user.Read")
    def get_user(self, call: Call) -> Any:
        found = next((one for one in self.users() if one.id == call.path["user"]), None)
        return {"user": self.user(found or self.organization.member(call.path["user"]))}

    @routes.patch(USER, status=202, action="account.user.Update")
    def update_user(self, call: Call) -> Any:
        """Changes the fields in the body. If one value is invalid, nothing is changed.

        Vultr's guides of August 2026 expect 202 Accepted; the OpenAPI document describes 204.
        """
        person, body = self.organization.member(call.path["user"]).person, call.json()
        email = self.free_address(call, person.email)
        if body.get("password") is not None:
            call.text("password")
        names = fields.names({"name": body.get("name")})
        enabled = fields.flag(body, "api_enabled", default=person.fields["api_enabled"])
        person.fields |= {"acls": fields.acls(body, person.fields["acls"])}
        person.email, person.updated_at = email, self.clock.now()
        person.fields["api_enabled"] = enabled
        if names is not None:
            person.fields["first_name"], person.fields["last_name"], person.name = names
        return Response(status_code=204) if self.openapi else None

    @routes.delete(USER, action="account.user.Delete")
    def delete_user(self, call: Call) -> Any:
        """Deletes a Vultr account with its membership and API keys."""
        member = self.organization.member(call.path["user"])
        self.leave(member)
        del self.organization.people[member.person.id]

    @routes.post(f"{USER}/apikeys", status=201, action="account.user.Create")
    def create_key(self, call: Call) -> Any:
        """Creates another API key for a user, which only this answer contains (guides "Create New
        API Key" and "How to Create an API Key for a User").

        The documented action is "account.user.Create: Create user or API key" (docs D-actions). The
        guides describe the fields of the request, the OpenAPI schema `apikey` those of the answer.
        The status, the wrapping object and the default name are unverified.
        """
        if self.openapi:
            raise UnknownPath
        person, body = self.organization.member(call.path["user"]).person, call.json()
        name = call.text("name", "")
        expires = fields.moment(body, "date_expire") if fields.flag(body, "expire", False) else None
        if expires is not None and expires <= self.clock.now():
            raise InvalidValue("date_expire")
        key = self.organization.add_key(person, expires_at=expires)
        shown = {
            "id": self.new_id("apikey"),
            "api_key": key,
            "name": name,
            "expire": expires is not None,
        }
        if expires is not None:
            shown["date_expire"] = self.moment(expires)
        return {"apikey": shown}

    def user(self, member: Member) -> Json:
        """Returns a user. By default without `status` and `active`, because the documents disagree
        (C-14). In the profile `openapi`, `status` is pending, active, suspended or closed."""
        person, pending = member.person, member.status == INVITED
        status = "pending" if pending else member.status
        body: Json = {
            "id": member.id,
            "name": person.name,
            "email": person.email,
            "api_enabled": person.fields["api_enabled"],
            "acls": list(person.fields["acls"]),
            "service_user": person.fields["service_user"],
        }
        if self.openapi:
            names = iam.names_of(member)
            return {**body, **names, "invite_accepted": not pending, "status": status}
        if self.chosen["user_status"] == "present":
            body |= {"status": status.capitalize(), "active": status == "active"}
        if self.chosen["pending_users"] == "listed":
            body["invite_accepted"] = not pending
        return body

    def users(self) -> list[Member]:
        """Returns the members, and with the switch `pending_users` a record for each address that
        is only invited. No other request accepts such a user (unverified)."""
        members = self.organization.members()
        if self.chosen["pending_users"] == "absent":
            return members
        known, pending = {one.person.email.casefold() for one in members}, []
        for invitation in self.organization.shown_invitations():
            address = invitation.email.casefold()
            if address in known or not self.organization.is_open(invitation):
                continue
            known.add(address)
            pending.append(self.invited_user(invitation))
        return [*members, *pending]

    def invited_user(self, invitation: Invitation) -> Member:
        """Returns a record, which is not kept, of the person whom an invitation is for."""
        identity: dict[str, Any] = {
            "id": str(uuid5(UUID(invitation.id), "user")),
            "number": invitation.number,
            "created_at": invitation.created_at,
            "updated_at": invitation.created_at,
        }
        known = {**invitation.fields, "acls": [], "service_user": False}
        person = Person(**identity, email=invitation.email, fields=known)
        return Member(**identity, person=person, roles=[], status=INVITED)

    def free_address(self, call: Call, own: str = "") -> str:
        """Returns the address in a body, or `own`. Refuses one that another account has."""
        if own and call.json().get("email") is None:
            return own
        email = call.text("email").strip()
        if not is_address(email):
            raise InvalidValue("email")
        if email.casefold() != own.casefold() and self.organization.person_with(email):
            raise ServiceRefusal(400, "This email is already in use.")  # unverified
        return email

    def leave(self, member: Member) -> None:
        """Ends a membership. A person who joins again has no roles, groups or policies (dossier 8,
        item 9)."""
        self.organization.remove(member)
        self.access.forget(member)

    # ------------------------------------------------------------------ the organization (2.7)

    @routes.get("/v2/organizations", action="iam.organization.List")
    def list_organizations(self, call: Call) -> Any:
        key = "organizations" if self.openapi else "orgs"
        page = self.many(call, key, [], self.user)
        page["meta"]["total"] = 1
        return {**page, key: [self.shown_organization()]}

    @routes.get(ORGANIZATION, action="iam.organization.Read")
    def get_organization(self, call: Call) -> Any:
        self.refuse_foreign(call)
        return self.one("organization", self.shown_organization())

    @routes.put(ORGANIZATION, action="iam.organization.Update")
    def update_organization(self, call: Call) -> Any:
        self.refuse_foreign(call)
        name, type = call.text("name"), call.text("type", self.type)
        self.organization.name, self.type = name, type
        return self.one("organization", self.shown_organization())

    @routes.get(f"{ORGANIZATION}/suspended-users", action="iam.organization.ListSuspendedUsers")
    def list_suspended(self, call: Call) -> Any:
        self.refuse_foreign(call)
        suspended = [one for one in self.organization.members() if one.suspended_at]
        return self.many(call, "users", suspended, self.member)

    @routes.delete(f"{ORGANIZATION}/user/{{user}}", action="iam.organization.RemoveUser")
    def remove_user(self, call: Call) -> Any:
        """Ends a membership. The Vultr account is not deleted."""
        self.leave(self.own_member(call))

    @routes.put(
        f"{ORGANIZATION}/user/{{user}}/suspend", status=204, action="iam.organization.SuspendUser"
    )
    def suspend_user(self, call: Call) -> Any:
        self.organization.suspend(self.own_member(call))

    @routes.put(
        f"{ORGANIZATION}/user/{{user}}/unsuspend",
        status=204,
        action="iam.organization.UnsuspendUser",
    )
    def unsuspend_user(self, call: Call) -> Any:
        self.organization.unsuspend(self.own_member(call))

    def shown_organization(self) -> Json:
        return {
            "id": self.organization.id,
            "name": self.organization.name,
            "type": self.type,
            "date_created": self.moment(self.organization.created_at),
        }

    def refuse_foreign(self, call: Call) -> None:
        if call.path["organization"] != self.organization.id:
            raise NotFound("organization")

    def own_member(self, call: Call) -> Member:
        self.refuse_foreign(call)
        return self.organization.member(call.path["user"])

    # ------------------------------------------------------------------ requests and answers

    def credentials(self, call: Call) -> str:
        """Returns the API key. That the key of a suspended person gets a 401 instead of a 403 is
        unverified."""
        secret = bearer(call.headers)
        person = self.organization.key(secret).person
        member = self.organization.record_of(person)
        if member is None or member.suspended_at or not person.fields["api_enabled"]:
            raise NotAuthenticated
        return secret

    def permit(self, call: Call) -> None:
        action = call.endpoint.action if call.endpoint else ""
        if call.key and action and not self.access.may(call.key, action, reads=call.reads):
            raise NotPermitted

    def error(self, status: int, code: str, refusal: SandboxRefusal) -> Any:
        """Returns the body of a refusal (dossier 1.2). The texts for invalid values are
        unverified."""
        text = code or str(refusal)
        if isinstance(refusal, NotFound):
            text = MISSING[refusal.kind]
        elif isinstance(refusal, InvalidValue):
            text = "Bad request." if refusal.field == "body" else f"Invalid {refusal.field}."
        return {"error": text, "status": status}

    def limit(self, call: Call) -> Limit | None:
        return self.limits.get(self.chosen["rate"])

    def limit_headers(self, verdict: Verdict) -> dict[str, str]:
        return dict(super().limit_headers(verdict)) if self.chosen["retry_after"] == "sent" else {}

    def new_id(self, kind: str) -> str:
        """Returns a UUID (examples in T and S), or an API key."""
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
            known = {"acls": [], "service_user": False, **person.fields}
            person.fields = {**known, "api_enabled": found.fields["api_enabled"]}
            if person not in [key.person for key in self.organization.keys.values()]:
                self.organization.add_key(person)

    def key_of(self, email: str) -> str:
        """Returns the first API key of a person, as the person would create it in the console.

        Raises:
            LookupError: no person has this email address.
        """
        for secret, key in self.organization.keys.items():
            if key.person is self.organization.person_with(email):
                return secret
        raise LookupError(f"no person has the address {email}")

    def next_steps(self, invitation: str, base_url: str) -> str | None:
        """Returns commands that create an API key for the invited person and run the last step of
        Vultr's guide."""
        member = self.organization.any_invitation(invitation).member
        if member is None or member.id not in self.organization.records:
            return None
        return _NEXT_STEPS.format(url=base_url, key=OWNER_KEY, id=member.id)

    def email(self, invitation: Invitation) -> dict[str, Any]:
        """The real email contains a link in a form that is not public, so this one has no link."""
        name, inviter = self.organization.name, invitation.inviter
        who = f"{inviter.name} ({inviter.email})" if inviter else "An administrator"
        return {
            "sender": "no-reply@vultr.example",
            "subject": f"You have been invited to join {name} on Vultr",
            "text": f"{who} has invited you to join the organization {name} on Vultr.\n\n"
            "Sign in to the Vultr Console with this address, or create an account, to accept. "
            f"The invitation expires on {invitation.expires_at:%Y-%m-%d at %H:%M} UTC.\n",
            "link": None,
        }

    def settings(self, base_url: str) -> dict[str, str]:
        return {"api_key": OWNER_KEY, "base_url": base_url}

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {"api_key": READ_ONLY_KEY, "base_url": base_url}


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
