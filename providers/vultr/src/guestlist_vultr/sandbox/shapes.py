"""Converts records to JSON: as the official Go client decodes it, or as the OpenAPI document
describes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from .access import Effective, Grant, policies_of_role
from .paging import page
from .state import (
    Group,
    Invitation,
    Organization,
    Person,
    Policy,
    Record,
    RecordT,
    Role,
    Tie,
    World,
)

Json = dict[str, Any]

PLAIN = "%Y-%m-%d %H:%M:%S"
"""The format in which some objects outside IAM contain dates: in UTC, without a time zone (dossier
1)."""

HolderT = TypeVar("HolderT", Person, Group)


class Shapes:
    """Converts records to JSON for one profile and one choice of switches."""

    def __init__(self, world: World, profile: str, choices: Mapping[str, str]) -> None:
        self._world = world
        self._choices = choices
        self.openapi = profile == "openapi"

    # Envelopes

    def one(self, name: str, body: Json, *, wrapped: bool = False) -> Json:
        """Returns a single object. The OpenAPI document wraps all of them in another object, the Go
        client only some (C-8)."""
        return {name: body} if self.openapi or wrapped else body

    def many(
        self,
        key: str,
        records: Iterable[RecordT],
        shape: Callable[[RecordT], Json],
        query: Mapping[str, str],
    ) -> Json:
        """Returns one page of a list of records."""
        shown, meta = page(records, _number, query)
        return {key: [shape(record) for record in shown], "meta": meta}

    def granted(
        self,
        key: str,
        grants: Iterable[Grant[RecordT]],
        shape: Callable[[Grant[RecordT]], Json],
        query: Mapping[str, str],
    ) -> Json:
        """Returns one page of a flat list of grants."""
        shown, meta = page(grants, _granted_number, query)
        return {key: [shape(grant) for grant in shown], "meta": meta}

    def effective(
        self,
        key: str,
        effective: Effective[RecordT],
        shape: Callable[[Grant[RecordT]], Json],
        query: Mapping[str, str],
        inherited: str = "inherited",
    ) -> Json:
        """Returns one page of grants, divided into `all`, direct and inherited ones (G, C-9). The
        page contains a part of `all`; the other lists contain those of its records that belong to
        them."""
        shown, meta = page(effective.all, _granted_number, query)
        ids = {grant.record.id for grant in shown}
        parts = {"all": shown, "direct": effective.direct, inherited: effective.inherited}
        cut = {
            part: [shape(grant) for grant in grants if grant.record.id in ids]
            for part, grants in parts.items()
        }
        return {key: cut, "meta": meta}

    def held(
        self,
        key: str,
        holder: HolderT,
        held: Effective[RecordT],
        tied: Callable[[RecordT, HolderT, Tie], Json],
        shape: Callable[[Grant[RecordT]], Json],
        query: Mapping[str, str],
        *,
        relationships: str | None = None,
        inherited: str = "inherited",
    ) -> Json:
        """Returns one page of the grants of a person or group: a flat list of relationships in the
        OpenAPI document, lists of direct and inherited grants in the Go client.

        Args:
            key: the field with the list.
            holder: the person or group.
            held: the grants.
            tied: returns a relationship as JSON, for the OpenAPI document.
            shape: returns a grant as JSON, for the Go client.
            query: the query parameters of the request.
            relationships: the field with the list in the OpenAPI document, if it is not `key`.
            inherited: the field with the inherited grants.
        """
        if not self.openapi:
            return self.effective(key, held, shape, query, inherited)
        return self.granted(
            relationships or key,
            held.all,
            lambda grant: tied(grant.record, holder, grant.tie),
            query,
        )

    # Values

    def moment(self, moment: datetime | None) -> str:
        """Returns a date in ISO 8601 with an offset, in whole seconds. Empty if unset, as in the Go
        client."""
        if moment is None:
            return ""
        if self._choices["timestamps"] == "plain":
            return moment.strftime(PLAIN)
        return moment.isoformat(timespec="seconds")

    # Objects

    def invitation(self, invitation: Invitation) -> Json:
        """Returns an invitation. All its status fields contain the same text (C-6)."""
        status = self.status(invitation)
        others = {"status": status, "status_full": status}
        if self._choices["status_fields"] == "invite_status":
            others = {}
        permissions: Json | str = {"api_enabled": invitation.api_enabled}
        if self.openapi or self._choices["permissions"] == "string":
            permissions = json.dumps(permissions)
        body = {
            "id": invitation.id,
            "inviter_name": invitation.inviter_name,
            "inviter_email": invitation.inviter_email,
            "email_invited": invitation.email,
            "email_registered": invitation.registered,
            "permissions": permissions,
            "org_id": self._world.home.id,
            "org_name": self._world.home.name,
            **others,
            "invite_status": status,
            "date_created": self.moment(invitation.created),
            "date_responded": self.moment(invitation.responded),
            "expiration_date": self.moment(invitation.expires),
        }
        if self.openapi:
            # The document has no `status_full`, and an empty string is not a valid date-time.
            body.pop("status_full", None)
            if invitation.responded is None:
                del body["date_responded"]
        return body

    def status(self, invitation: Invitation) -> str:
        """Returns `Pending` or `Accepted` (docs D-invite). The word `Expired` is unverified
        (C-5)."""
        state = invitation.state(self._world.clock.now())
        if state == "expired" and self._choices["expired"] == "pending":
            state = "pending"
        return state.capitalize()

    def user(self, person: Person) -> Json:
        """Returns a user. By default without `status` and `active`, because the documents disagree
        (C-14).

        In the profile `openapi`, the user has the fields of the OpenAPI document, where `status` is
        pending, active, suspended or closed.
        """
        pending = person.id not in self._world.home.members
        suspended = self._suspended(person) is not None
        body: Json = {
            "id": person.id,
            "name": person.name,
            "email": person.email,
            "api_enabled": person.api_enabled,
            "acls": list(person.acls),
            "service_user": person.service_user,
        }
        status = "pending" if pending else "suspended" if suspended else "active"
        if self.openapi:
            names = {"first_name": person.first_name, "last_name": person.last_name}
            return {**body, **names, "invite_accepted": not pending, "status": status}
        if self._choices["user_status"] == "present":
            body |= {"status": status.capitalize(), "active": status == "active"}
        if self._choices["pending_users"] == "listed":
            body["invite_accepted"] = not pending
        return body

    def organization(self, organization: Organization) -> Json:
        return {
            "id": organization.id,
            "name": organization.name,
            "type": organization.type,
            "date_created": self.moment(organization.created),
        }

    def member(self, person: Person, suspended: datetime | None = None) -> Json:
        """Returns a member: `OrgUser` in the Go client, the group member's object in OpenAPI."""
        if self.openapi:
            return self.group_member(person)
        return {
            "id": person.id,
            "name": person.name,
            "first_name": person.first_name,
            "last_name": person.last_name,
            "email": person.email,
            "date_created": self.moment(person.created),
            "date_suspended": self.moment(suspended or self._suspended(person)),
        }

    def group_member(self, person: Person) -> Json:
        return {
            "id": person.id,
            "display_name": person.name,
            "email": person.email,
            "first_name": person.first_name,
            "last_name": person.last_name,
            "active": self._suspended(person) is None,
            "service_user": person.service_user,
            "date_created": self.moment(person.created),
            "date_updated": self.moment(person.updated),
        }

    def group(self, group: Group) -> Json:
        members = self._world.group_members
        body: Json = {
            "id": group.id,
            "display_name": group.name,
            "description": group.description,
            "members": [
                self.member(person)
                for person in self._world.members()
                if members.get(group.id, person.id)
            ],
            "date_created": self.moment(group.created),
        }
        if self.openapi:
            body |= {"status": "active", "date_updated": self.moment(group.updated)}
        return body

    def granted_group(self, grant: Grant[Group]) -> Json:
        """Returns a group with the date of its assignment, which the OpenAPI document does not
        have."""
        if self.openapi:
            return self.group(grant.record)
        return {**self.group(grant.record), "assigned_date": self.moment(grant.tie.since)}

    def role(self, role: Role) -> Json:
        """Returns a role with its policies. In the OpenAPI document, the policies are
        relationships."""
        policies = policies_of_role(self._world, role)
        return {
            "id": role.id,
            "name": role.name,
            "description": role.description,
            "role_type": self.role_type(role),
            "max_session_duration": role.max_session_duration,
            "policies": [
                self.role_policy(role, one.record, one.tie)
                if self.openapi
                else self.policy(one.record)
                for one in policies
            ],
            "date_created": self.moment(role.created),
        }

    def role_type(self, role: Role) -> str:
        """Returns a role's type. The OpenAPI document only has `user` and `service` (C-15). It is
        not documented how they relate to the types in the guides, so every role is a `user`
        there."""
        return "user" if self.openapi else role.role_type

    def granted_role(self, grant: Grant[Role]) -> Json:
        return self.role(grant.record)

    def role_in_group(self, grant: Grant[Role]) -> Json:
        """Returns a role of a group. Only here does the Go client read a role's name from
        `display_name`."""
        return {
            "id": grant.record.id,
            "display_name": grant.record.name,
            "description": grant.record.description,
            "role_type": self.role_type(grant.record),
            "date_assigned": self.moment(grant.tie.since),
        }

    def policy(self, policy: Policy) -> Json:
        return {
            "id": policy.id,
            "name": policy.name,
            "description": policy.description,
            "policy_document": policy.document,
            "version": policy.document["Version"],
            "is_system_policy": policy.system,
            "date_created": self.moment(policy.created),
        }

    def granted_policy(self, grant: Grant[Policy]) -> Json:
        origin = {"from_role": grant.role} if grant.role else {}
        return {**self.policy(grant.record), **origin, "source": grant.source}

    # Relationships

    def role_user(self, role: Role, person: Person, tie: Tie) -> Json:
        return {"user_id": person.id, **self._of_role(role, tie), **self._assigner(tie)}

    def role_group(self, role: Role, group: Group, tie: Tie) -> Json:
        return {**_of_group(group), **self._of_role(role, tie), **self._assigner(tie)}

    def role_policy(self, role: Role, policy: Policy, tie: Tie) -> Json:
        """Returns the relationship of a role and a policy. `assigned_by` is in both profiles, the
        role's name only in OpenAPI."""
        body = {
            "policy_id": policy.id,
            "policy_name": policy.name,
            **self._of_role(role, tie),
            "assigned_by": tie.by,
        }
        if not self.openapi:
            del body["role_name"]
        return body

    def policy_user(self, policy: Policy, person: Person, tie: Tie) -> Json:
        return {"user_id": person.id, **self._of_policy(policy, tie), **self._assigner(tie)}

    def policy_group(self, policy: Policy, group: Group, tie: Tie) -> Json:
        return {**_of_group(group), **self._of_policy(policy, tie), **self._assigner(tie)}

    def _of_role(self, role: Role, tie: Tie) -> Json:
        return {
            "role_id": role.id,
            "role_name": role.name,
            "role_description": role.description,
            "role_type": self.role_type(role),
            "date_assigned": self.moment(tie.since),
        }

    def _of_policy(self, policy: Policy, tie: Tie) -> Json:
        return {
            "policy_id": policy.id,
            "policy_name": policy.name,
            "policy_description": policy.description,
            "date_assigned": self.moment(tie.since),
        }

    def _assigner(self, tie: Tie) -> Json:
        return {"assigned_by": tie.by} if self.openapi else {}

    def _suspended(self, person: Person) -> datetime | None:
        membership = self._world.home.members.get(person.id)
        return membership.suspended if membership else None


def _of_group(group: Group) -> Json:
    return {"group_id": group.id, "group_name": group.name}


def _number(record: Record) -> int:
    return record.number


def _granted_number(grant: Grant[RecordT]) -> int:
    return grant.record.number
