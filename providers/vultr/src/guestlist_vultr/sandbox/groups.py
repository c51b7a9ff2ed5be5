"""The endpoints of groups and their members (dossier 2.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import fields
from .access import policies_of_group, roles_of_group
from .call import NO_CONTENT, Answer, Call, Endpoint, Endpoints
from .refusal import Refused
from .state import Group, Person, Tie


def list_groups(call: Call) -> Answer:
    shapes = call.shapes
    return Answer(200, shapes.many("groups", call.world.groups, shapes.group, call.query))


def create_group(call: Call) -> Answer:
    body = call.body()
    group = Group(
        **call.world.identity(),
        name=fields.text(body, "display_name"),
        description=fields.text(body, "description", ""),
    )
    call.world.groups.add(group)
    return Answer(201, call.shapes.one("group", call.shapes.group(group)))


def get_group(call: Call) -> Answer:
    """Returns a group. `show_last_activity` exists in OpenAPI only; here the last activity is the
    last change."""
    group = _group(call)
    body = call.shapes.group(group)
    if call.shapes.openapi and call.query.get("show_last_activity") in ("true", "1"):
        body["last_activity"] = call.shapes.moment(group.updated)
    return Answer(200, call.shapes.one("group", body, wrapped=True))


def update_group(call: Call) -> Answer:
    group = _group(call)
    body = call.body()
    name = fields.text(body, "display_name") if "display_name" in body else group.name
    description = fields.text(body, "description", group.description)
    group.name, group.description = name, description
    group.updated = call.world.clock.now()
    return Answer(200, call.shapes.one("group", call.shapes.group(group)))


def delete_group(call: Call) -> Answer:
    _group(call).deleted = call.world.clock.now()
    return NO_CONTENT


def list_members(call: Call) -> Answer:
    group, members = _group(call), call.world.group_members
    people = [p for p in call.world.members() if members.get(group.id, p.id)]
    return Answer(200, call.shapes.many("members", people, call.shapes.group_member, call.query))


def add_member(call: Call) -> Answer:
    """Adds an active user (docs D-grant). Adding a member again changes nothing (unverified)."""
    group = _group(call)
    person = _named(call, call.body())
    if call.world.home.members[person.id].suspended is not None:
        raise Refused(400, "The user is not active.")  # text unverified
    if call.world.group_members.get(group.id, person.id) is None:
        tie = Tie(call.world.clock.now(), call.caller.id)
        call.world.group_members.attach(group.id, person.id, tie)
    return _member(call, 201, person)


def get_member(call: Call) -> Answer:
    _, person, _ = _membership(call)
    return _member(call, 200, person)


def remove_member(call: Call) -> Answer:
    _, _, tie = _membership(call)
    tie.ended = True
    return NO_CONTENT


def restore_member(call: Call) -> Answer:
    """Restores a removed member; answers 404 for a person who was never in the group."""
    _, person, tie = _membership(call, even_ended=True)
    tie.ended = False
    return _member(call, 202, person)


def list_policies(call: Call) -> Answer:
    group, shapes = _group(call), call.shapes
    body = shapes.held(
        "policies",
        group,
        policies_of_group(call.world, group),
        shapes.policy_group,
        shapes.granted_policy,
        call.query,
        relationships="policy_group_relationships",
        inherited="from_roles",
    )
    return Answer(200, body)


def list_roles(call: Call) -> Answer:
    group, shapes = _group(call), call.shapes
    body = shapes.held(
        "roles",
        group,
        roles_of_group(call.world, group),
        shapes.role_group,
        shapes.role_in_group,
        call.query,
        relationships="role_group_relationships",
    )
    return Answer(200, body)


def _group(call: Call) -> Group:
    return call.world.groups.get(call.path["id"])


def _membership(call: Call, *, even_ended: bool = False) -> tuple[Group, Person, Tie]:
    group = _group(call)
    person = call.world.member(call.path["user"])
    members = call.world.group_members
    tie = (members.even_ended if even_ended else members.get)(group.id, person.id)
    if tie is None:
        raise Refused(404, call.world.people.missing)
    return group, person, tie


def _member(call: Call, status: int, person: Person) -> Answer:
    """Returns the answer for one group member. It is wrapped in both profiles: only OpenAPI
    describes it."""
    return Answer(status, {"group_member": call.shapes.group_member(person)})


def _named(call: Call, body: dict[str, Any]) -> Person:
    """Returns the user that a body names (C-11).

    The Go client and the guide put the user's id into `user_id`. The OpenAPI document does not have
    that field; its `display_name` is "the user ID or display name". If several users have the given
    address or name, the answer is 404 (unverified).
    """
    id = "" if call.shapes.openapi else fields.text(body, "user_id", "")
    name = fields.text(body, "display_name", "")
    if not id and not name:
        raise Refused(400, "Invalid user_id.")
    if id:
        return call.world.member(id)
    readings: tuple[Callable[[Person], bool], ...] = (
        lambda person: person.id == name,
        lambda person: person.email.casefold() == name.casefold(),
        lambda person: person.name == name,
    )
    for reading in readings:
        fitting = [person for person in call.world.members() if reading(person)]
        if len(fitting) == 1:
            return fitting[0]
    raise Refused(404, call.world.people.missing)


ENDPOINTS: Endpoints = {
    "/v2/groups": {
        "GET": Endpoint("iam.group.List", list_groups),
        "POST": Endpoint("iam.group.Create", create_group),
    },
    "/v2/groups/{id}": {
        "GET": Endpoint("iam.group.Read", get_group),
        "PUT": Endpoint("iam.group.Update", update_group),
        "DELETE": Endpoint("iam.group.Delete", delete_group),
    },
    "/v2/groups/{id}/members": {
        "GET": Endpoint("iam.group.Read", list_members),
        "POST": Endpoint("iam.group.AddMember", add_member),
    },
    "/v2/groups/{id}/members/{user}": {
        "GET": Endpoint("iam.group.Read", get_member),
        "PUT": Endpoint("iam.group.AddMember", restore_member),
        "DELETE": Endpoint("iam.group.RemoveMember", remove_member),
    },
    "/v2/groups/{id}/policies": {"GET": Endpoint("iam.group.ListPolicies", list_policies)},
    "/v2/groups/{id}/roles": {"GET": Endpoint("iam.group.ListRoles", list_roles)},
}
