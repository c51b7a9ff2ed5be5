"""The endpoints of groups, roles and policies (dossier 2.3 to 2.6), in both documented forms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from guestlist.sandbox.organization import Member, Record
from guestlist.sandbox.paging import by_cursor
from guestlist.sandbox.refusals import InvalidValue, NotFound, ServiceRefusal
from guestlist.sandbox.routing import Call, OrganizationService, Routes

from . import fields
from .access import ASSIGNABLE, ASSUMABLE, Access, Effective, Entity, Grant, Tie

Json = dict[str, Any]
T = TypeVar("T")

PLAIN = "%Y-%m-%d %H:%M:%S"
"""The format in which some objects outside IAM contain dates: in UTC, without a time zone (dossier
1)."""
SESSION_SECONDS = 3600
"""The default of `max_session_duration` (OpenAPI)."""
PLURALS = {"group": "groups", "role": "roles", "policy": "policies", "user": "users"}
RELATIONS = [
    ("role", "user"),
    ("role", "group"),
    ("role", "policy"),
    ("policy", "user"),
    ("policy", "group"),
]
"""What can be attached (left) to what (right)."""
HOLDERS = {
    "/v2/users/me": "",
    "/v2/users/{user}": "iam.user",
    "/v2/groups/{group}": "iam.group",
}
"""The paths of what holds groups, roles and policies, with the actions for reading them. Reading
one's own needs no permission: docs D-grant mentions none."""

routes = Routes()


class IamService(OrganizationService):
    """The part of the service that concerns groups, roles and policies.

    The names of the actions on groups, of attaching roles, and of `account.user` are documented
    (docs D-actions). Those on policies are formed like them (unverified). The documents have no
    action for reading the members of a group and for restoring a member; the actions for reading a
    group and for adding a member are used.
    """

    access: Access

    # ------------------------------------------------------------------ the two forms

    @property
    def openapi(self) -> bool:
        """Whether answers have the form of the OpenAPI document. The other form is that of the
        official Go client."""
        return self.profile == "openapi"

    def one(self, name: str, body: Json, *, wrapped: bool = False) -> Json:
        """Returns a single object. The OpenAPI document wraps all of them in another object, the Go
        client only some (C-8)."""
        return {name: body} if self.openapi or wrapped else body

    def many(
        self, call: Call, key: str, items: Iterable[Any], shape: Callable[[Any], Json]
    ) -> Json:
        """Returns one page of a list. The sizes are those of the govultr README and OpenAPI."""
        page = by_cursor(list(items), call.query, size="per_page", default=100, maximum=500)
        links = {"next": page.next, "prev": page.previous}
        return {
            key: [shape(one) for one in page.items],
            "meta": {"total": page.total, "links": links},
        }

    def moment(self, moment: Any) -> str:
        """Returns a date in ISO 8601 with an offset, in whole seconds. Empty if unset, as in the Go
        client."""
        if moment is None:
            return ""
        if self.chosen["timestamps"] == "plain":
            return str(moment.strftime(PLAIN))
        return str(moment.isoformat(timespec="seconds"))

    # ------------------------------------------------------------------ records

    def member(self, member: Member) -> Json:
        """Returns a member: `OrgUser` in the Go client, the group member's object in OpenAPI."""
        person = member.person
        if self.openapi:
            return self.group_member(member)
        return {
            "id": member.id,
            "name": person.name,
            **names_of(member),
            "email": person.email,
            "date_created": self.moment(person.created_at),
            "date_suspended": self.moment(member.suspended_at),
        }

    def group_member(self, member: Member) -> Json:
        person = member.person
        return {
            "id": member.id,
            "display_name": person.name,
            "email": person.email,
            **names_of(member),
            "active": member.suspended_at is None,
            "service_user": person.fields["service_user"],
            "date_created": self.moment(person.created_at),
            "date_updated": self.moment(person.updated_at),
        }

    def entity(self, entity: Entity) -> Json:
        """Returns a group, role or policy."""
        shape = {"group": self.group, "role": self.role, "policy": self.policy}
        return shape[entity.kind](entity)

    def group(self, group: Entity) -> Json:
        members = self.access.to(group, self.organization.members())
        body: Json = {
            "id": group.id,
            "display_name": group.name,
            "description": group.description,
            "members": [self.member(one.record) for one in members],
            "date_created": self.moment(group.created_at),
        }
        if self.openapi:
            body |= {"status": "active", "date_updated": self.moment(group.updated_at)}
        return body

    def role(self, role: Entity) -> Json:
        """Returns a role with its policies. In the OpenAPI document, these are relationships."""
        return {
            "id": role.id,
            "name": role.name,
            "description": role.description,
            "role_type": self.role_type(role),
            "max_session_duration": role.fields["max_session_duration"],
            "policies": [
                self.relationship(role, one) if self.openapi else self.policy(one.record)
                for one in self.access.policies_of_role(role)
            ],
            "date_created": self.moment(role.created_at),
        }

    def role_type(self, role: Entity) -> str:
        """Returns a role's type. The OpenAPI document only has `user` and `service` (C-15). It is
        not documented how they relate to the types in the guides, so every role is a `user`
        there."""
        return "user" if self.openapi else str(role.fields["role_type"])

    def policy(self, policy: Entity) -> Json:
        document = policy.fields["policy_document"]
        return {
            "id": policy.id,
            "name": policy.name,
            "description": policy.description,
            "policy_document": document,
            "version": document["Version"],
            "is_system_policy": policy.fields["system"],
            "date_created": self.moment(policy.created_at),
        }

    def relationship(self, left: Entity, right: Grant[Any]) -> Json:
        """Returns the attachment of a role or policy (left) to a member, group or policy. The
        fields depend on the pair, as in both documents (C-9)."""
        record = right.record
        body: Json = {"user_id": record.id}
        if isinstance(record, Entity):
            body = {f"{record.kind}_id": record.id, f"{record.kind}_name": record.name}
        to_policy = "policy_id" in body
        body |= {
            f"{left.kind}_id": left.id,
            f"{left.kind}_name": left.name,
            f"{left.kind}_description": left.description,
        }
        if left.kind == "role":
            body["role_type"] = self.role_type(left)
        body["date_assigned"] = self.moment(right.tie.since)
        if self.openapi or to_policy:
            body["assigned_by"] = right.tie.by
        if to_policy and not self.openapi:
            del body["role_name"]
        return body

    def holding(self, grant: Grant[Entity], of_group: bool) -> Json:
        """Returns a group, role or policy of a holder, for the Go client. Only in the roles of a
        group does that client read a role's name from `display_name`."""
        record = grant.record
        if record.kind == "group":
            assigned = {} if self.openapi else {"assigned_date": self.moment(grant.tie.since)}
            return {**self.group(record), **assigned}
        if record.kind == "policy":
            origin = {"from_role": grant.role} if grant.role else {}
            return {**self.policy(record), **origin, "source": grant.source}
        if not of_group:
            return self.role(record)
        return {
            "id": record.id,
            "display_name": record.name,
            "description": record.description,
            "role_type": self.role_type(record),
            "date_assigned": self.moment(grant.tie.since),
        }

    # ------------------------------------------------------------------ create, read, change

    def wanted(self, call: Call, kind: str, old: Entity | None = None) -> Json:
        """Returns the values in a body, with those of an existing record for what is missing."""
        body = call.json()
        name = "display_name" if kind == "group" else "name"
        values: Json = {
            "name": old.name if old and name not in body else call.text(name),
            "description": call.text("description", old.description if old else ""),
        }
        known = old.fields if old else {}
        if kind == "role":
            # The Go client sends an empty string for "not set". Refusing types other than those of
            # C-15 is an unverified choice.
            default = known.get("role_type", ASSUMABLE)
            values["role_type"] = call.text("role_type", "") or default
            if values["role_type"] not in (ASSUMABLE, ASSIGNABLE):
                raise InvalidValue("role_type")
            longest = known.get("max_session_duration", SESSION_SECONDS)
            values["max_session_duration"] = fields.count(body, "max_session_duration", longest)
        if kind == "policy":
            kept = old is not None and "policy_document" not in body
            document = known["policy_document"] if kept else fields.document(body)
            values |= {"policy_document": document, "system": False}
        return values

    def changeable(self, kind: str, id: str) -> Entity:
        """Returns a record that can be changed. System policies are read-only; status and text are
        unverified."""
        entity = self.access.get(kind, id)
        if entity.fields.get("system"):
            raise ServiceRefusal(403, "System policies cannot be changed.")
        return entity

    def refuse_attachment(self, left: Entity, right: Record) -> None:
        """Raises for an attachment that the switches `assumable` and `reattach` do not allow."""
        assumable = left.fields.get("role_type") == ASSUMABLE
        holds_roles = isinstance(right, Member) or (
            isinstance(right, Entity) and right.kind == "group"
        )
        if assumable and holds_roles and self.chosen["assumable"] == "refuse":
            raise ServiceRefusal(400, "Assumable roles cannot be attached.")  # text unverified
        if self.access.tie(left, right) and self.chosen["reattach"] == "refuse":
            raise ServiceRefusal(400, "Already attached.")

    def right(self, kind: str, id: str) -> Any:
        return self.organization.member(id) if kind == "user" else self.access.get(kind, id)

    def rights(self, kind: str) -> list[Any]:
        return self.organization.members() if kind == "user" else self.access.all(kind)

    def holder(self, call: Call) -> Record:
        """Returns the member or group of the path, or the caller."""
        if "group" in call.path:
            return self.access.get("group", call.path["group"])
        if "user" in call.path:
            return self.organization.member(call.path["user"])
        found = self.organization.record_of(call.caller)
        if found is None:
            raise NotFound("member")
        return found

    # ------------------------------------------------------------------ the members of a group

    @routes.get("/v2/groups/{group}/members", action="iam.group.Read")
    def list_group_members(self, call: Call) -> Any:
        group = self.access.get("group", call.path["group"])
        members = [one.record for one in self.access.to(group, self.organization.members())]
        return self.many(call, "members", members, self.group_member)

    @routes.post("/v2/groups/{group}/members", status=201, action="iam.group.AddMember")
    def add_group_member(self, call: Call) -> Any:
        """Adds an active user (docs D-grant). Adding one again changes nothing (unverified)."""
        group = self.access.get("group", call.path["group"])
        member = self.named(call)
        if member.suspended_at is not None:
            raise ServiceRefusal(400, "The user is not active.")  # text unverified
        self.access.attach(group, member, call.caller.id)
        return {"group_member": self.group_member(member)}

    @routes.get("/v2/groups/{group}/members/{user}", action="iam.group.Read")
    def get_group_member(self, call: Call) -> Any:
        member, _ = self.group_tie(call)
        return {"group_member": self.group_member(member)}

    @routes.delete("/v2/groups/{group}/members/{user}", action="iam.group.RemoveMember")
    def remove_group_member(self, call: Call) -> Any:
        self.group_tie(call)[1].ended = True

    @routes.put("/v2/groups/{group}/members/{user}", status=202, action="iam.group.AddMember")
    def restore_group_member(self, call: Call) -> Any:
        """Restores a removed member; answers 404 for a person who was never in the group."""
        member, tie = self.group_tie(call, even_ended=True)
        tie.ended = False
        return {"group_member": self.group_member(member)}

    def group_tie(self, call: Call, *, even_ended: bool = False) -> tuple[Member, Tie]:
        group = self.access.get("group", call.path["group"])
        member = self.organization.member(call.path["user"])
        tie = self.access.tie(group, member, even_ended=even_ended)
        if tie is None:
            raise NotFound("member")
        return member, tie

    def named(self, call: Call) -> Member:
        """Returns the user that a body names (C-11).

        The Go client and the guide put the user's id into `user_id`. The OpenAPI document does not
        have that field; its `display_name` is "the user ID or display name". If several users have
        the given address or name, the answer is 404 (unverified).
        """
        id = "" if self.openapi else call.text("user_id", "")
        name = call.text("display_name", "")
        if id:
            return self.organization.member(id)
        if not name:
            raise InvalidValue("user_id")
        readings: tuple[Callable[[Member], bool], ...] = (
            lambda member: member.id == name,
            lambda member: member.person.email.casefold() == name.casefold(),
            lambda member: member.person.name == name,
        )
        for reading in readings:
            fitting = [one for one in self.organization.members() if reading(one)]
            if len(fitting) == 1:
                return fitting[0]
        raise NotFound("member")


# ---------------------------------------------------------------------------- generated endpoints


def _kind(kind: str) -> None:
    """Registers the endpoints that create, read, change and delete records of a kind."""
    path, action = f"/v2/{PLURALS[kind]}", f"iam.{kind}"
    one = f"{path}/{{{kind}}}"
    changed = 202 if kind == "policy" else 200

    def listing(service: IamService, call: Call) -> Any:
        return service.many(call, PLURALS[kind], service.access.all(kind), service.entity)

    def create(service: IamService, call: Call) -> Any:
        entity = service.access.add(kind, **service.wanted(call, kind))
        return service.one(kind, service.entity(entity))

    def get(service: IamService, call: Call) -> Any:
        """`show_last_activity` of a group exists in OpenAPI only; here the last activity is the
        last change."""
        entity = service.access.get(kind, call.path[kind])
        body = service.entity(entity)
        shows = call.query.get("show_last_activity") in ("true", "1")
        if service.openapi and kind == "group" and shows:
            body["last_activity"] = service.moment(entity.updated_at)
        return service.one(kind, body, wrapped=True)

    def update(service: IamService, call: Call) -> Any:
        entity = service.changeable(kind, call.path[kind])
        values = service.wanted(call, kind, entity)
        entity.name, entity.description = values.pop("name"), values.pop("description")
        entity.fields |= values
        entity.updated_at = service.clock.now()
        return service.one(kind, service.entity(entity))

    def delete(service: IamService, call: Call) -> Any:
        service.changeable(kind, call.path[kind]).deleted = True

    def restore(service: IamService, call: Call) -> Any:
        """Restores a deleted record with everything attached to it. A record that is not deleted
        does not change."""
        entity = service.access.get(kind, call.path[kind], even_deleted=True)
        entity.deleted = False
        return service.one(kind, service.entity(entity))

    routes.get(path, action=f"{action}.List")(listing)
    routes.post(path, status=201, action=f"{action}.Create")(create)
    routes.get(one, action=f"{action}.Read")(get)
    routes.put(one, status=changed, action=f"{action}.Update")(update)
    routes.delete(one, action=f"{action}.Delete")(delete)
    if kind != "group":
        routes.patch(f"{one}/restore", status=changed, action=f"{action}.Restore")(restore)


def _relation(left: str, right: str) -> None:
    """Registers the endpoints that list, attach and detach a pair of kinds."""
    path = f"/v2/{PLURALS[left]}/{{left}}/{PLURALS[right]}"
    name, action = f"{left}_{right}_relationship", f"iam.{left}"
    keys = {"role": "assignments", "policy": PLURALS[right]}

    def listing(service: IamService, call: Call) -> Any:
        entity = service.access.get(left, call.path["left"])
        grants = service.access.to(entity, service.rights(right))

        def shape(grant: Grant[Any]) -> Json:
            if service.openapi or (left, right) in (("role", "user"), ("role", "group")):
                return service.relationship(entity, grant)
            if right == "user":  # The word `direct` is an unverified choice.
                assigned = service.moment(grant.tie.since)
                member = service.member(grant.record)
                return {**member, "assignment_type": "direct", "assigned_date": assigned}
            return (
                service.policy(grant.record) if right == "policy" else service.holding(grant, False)
            )

        key = "policies" if right == "policy" else keys[left]
        return service.many(call, f"{name}s" if service.openapi else key, grants, shape)

    def attach(service: IamService, call: Call) -> Any:
        """The id of the right record is in the path, or in the body: the deprecated form."""
        entity = service.access.get(left, call.path["left"])
        record = service.right(right, call.path.get("right") or call.text(f"{right}_id"))
        service.refuse_attachment(entity, record)
        tie = service.access.attach(entity, record, call.caller.id)
        return service.one(name, service.relationship(entity, Grant(record, tie)))

    def detach(service: IamService, call: Call) -> Any:
        entity = service.access.get(left, call.path["left"])
        tie = service.access.tie(entity, service.right(right, call.path["right"]))
        if tie is None:
            raise NotFound("member" if right == "user" else right)
        del service.access.ties[entity.id, call.path["right"]]

    routes.get(path, action=f"{action}.List{PLURALS[right].title()}")(listing)
    attaches, detaches = f"{action}.Attach{right.title()}", f"{action}.Detach{right.title()}"
    routes.post(f"{path}/{{right}}", status=201, action=attaches)(attach)
    routes.delete(f"{path}/{{right}}", action=detaches)(detach)
    if right == "policy":
        routes.post(path, status=201, action=attaches)(attach)


def _holder(path: str, action: str) -> None:
    """Registers the endpoints that list the groups, roles and policies of a member or group."""
    of_group = path.endswith("{group}")

    def listing(kind: str) -> Callable[[IamService, Call], Any]:
        def answer(service: IamService, call: Call) -> Any:
            holder, access = service.holder(call), service.access
            if kind == "group":
                grants = access.of(holder, "group")
                return service.many(call, "groups", grants, lambda one: service.holding(one, False))
            held = access.roles_of(holder) if kind == "role" else access.policies_of(holder)
            if service.openapi:
                key = f"{kind}_group_relationships" if of_group else PLURALS[kind]

                def tied(one: Grant[Entity]) -> Json:
                    return service.relationship(one.record, Grant(holder, one.tie))

                return service.many(call, key, held.all, tied)
            return effective(service, call, kind, held, of_group)

        return answer

    for kind in ("role", "policy") if of_group else ("group", "role", "policy"):
        plural = PLURALS[kind]
        may = f"{action}.List{plural.title()}" if action else ""
        routes.get(f"{path}/{plural}", action=may)(listing(kind))


def effective(service: IamService, call: Call, kind: str, held: Effective, of_group: bool) -> Json:
    """Returns one page of grants, divided into `all`, direct and inherited ones (G, C-9). The page
    contains a part of `all`; the other lists contain those of its records that belong to them."""

    def shape(grant: Grant[Entity]) -> Json:
        return service.holding(grant, of_group)

    inherited = "from_roles" if of_group and kind == "policy" else "inherited"
    page = service.many(call, "all", held.all, lambda grant: {"grant": grant})
    shown = [one["grant"] for one in page["all"]]
    ids = {grant.record.id for grant in shown}
    parts = {"all": shown, "direct": held.direct, inherited: held.inherited}
    lists = {
        part: [shape(grant) for grant in grants if grant.record.id in ids]
        for part, grants in parts.items()
    }
    return {PLURALS[kind]: lists, "meta": page["meta"]}


def names_of(member: Member) -> Json:
    """Returns the first and the last name of a member."""
    first, _, last = member.person.name.partition(" ")
    known = member.person.fields
    return {
        "first_name": known.get("first_name", first),
        "last_name": known.get("last_name", last),
    }


for _one in ("group", "role", "policy"):
    _kind(_one)
for _left, _right in RELATIONS:
    _relation(_left, _right)
for _path, _action in HOLDERS.items():
    _holder(_path, _action)
