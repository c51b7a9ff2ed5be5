"""The endpoints of roles (dossier 2.4). Attaching them is in `relations`."""

from __future__ import annotations

from typing import Any

from . import fields
from .call import NO_CONTENT, Answer, Call, Endpoint, Endpoints
from .refusal import Refused
from .state import ASSIGNABLE, ASSUMABLE, Role

TYPES = (ASSUMABLE, ASSIGNABLE)
"""The types of roles (C-15); the first is the default. Refusing other types is an unverified
choice."""

SESSION_SECONDS = 3600
"""The default of `max_session_duration` (OpenAPI)."""


def list_roles(call: Call) -> Answer:
    shapes = call.shapes
    return Answer(200, shapes.many("roles", call.world.roles, shapes.role, call.query))


def create_role(call: Call) -> Answer:
    body = call.body()
    role = Role(
        **call.world.identity(),
        name=fields.text(body, "name"),
        description=fields.text(body, "description", ""),
        role_type=_type(body, TYPES[0]),
        max_session_duration=fields.count(body, "max_session_duration", SESSION_SECONDS),
    )
    call.world.roles.add(role)
    return Answer(201, call.shapes.one("role", call.shapes.role(role)))


def get_role(call: Call) -> Answer:
    role = call.world.roles.get(call.path["id"])
    return Answer(200, call.shapes.one("role", call.shapes.role(role), wrapped=True))


def update_role(call: Call) -> Answer:
    role = call.world.roles.get(call.path["id"])
    body = call.body()
    name = fields.text(body, "name") if "name" in body else role.name
    description = fields.text(body, "description", role.description)
    role_type = _type(body, role.role_type)
    duration = fields.count(body, "max_session_duration", role.max_session_duration)
    role.name, role.description = name, description
    role.role_type, role.max_session_duration = role_type, duration
    role.updated = call.world.clock.now()
    return Answer(200, call.shapes.one("role", call.shapes.role(role)))


def delete_role(call: Call) -> Answer:
    call.world.roles.get(call.path["id"]).deleted = call.world.clock.now()
    return NO_CONTENT


def restore_role(call: Call) -> Answer:
    """Restores a deleted role with everything attached to it. A role that is not deleted does not
    change."""
    role = call.world.roles.even_deleted(call.path["id"])
    role.deleted = None
    return Answer(200, call.shapes.one("role", call.shapes.role(role)))


def _type(body: dict[str, Any], default: str) -> str:
    # The Go client sends an empty string for "not set".
    value = fields.text(body, "role_type", "") or default
    if value not in TYPES:
        raise Refused(400, "Invalid role_type.")
    return value


ENDPOINTS: Endpoints = {
    "/v2/roles": {
        "GET": Endpoint("iam.role.List", list_roles),
        "POST": Endpoint("iam.role.Create", create_role),
    },
    "/v2/roles/{id}": {
        "GET": Endpoint("iam.role.Read", get_role),
        "PUT": Endpoint("iam.role.Update", update_role),
        "DELETE": Endpoint("iam.role.Delete", delete_role),
    },
    "/v2/roles/{id}/restore": {"PATCH": Endpoint("iam.role.Restore", restore_role)},
}
