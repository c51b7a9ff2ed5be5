"""The endpoints of users, their API keys and their effective grants (dossier 2.2 and 2.6)."""

from __future__ import annotations

from collections.abc import Callable

from . import fields
from .access import groups_of, policies_of, roles_of
from .call import NO_CONTENT, Answer, Call, Endpoint, Endpoints
from .refusal import Refused
from .state import Key, Membership, Person

PersonOf = Callable[[Call], Person]


def list_users(call: Call) -> Answer:
    """Lists regular, service and (unverified choice) suspended users together."""
    return Answer(200, call.shapes.many("users", _listed(call), call.shapes.user, call.query))


def create_user(call: Call) -> Answer:
    """Creates a user with a password, without an invitation. Only this answer contains the API
    key."""
    body = call.body()
    email = fields.address(body, "email")
    fields.text(body, "password")
    names = fields.names(body)
    if names is None:
        raise Refused(400, "Invalid name.")
    first, last, full = names
    api_enabled = fields.flag(body, "api_enabled", default=True)
    service_user = fields.flag(body, "service_user", default=False)
    acls = fields.acls(body, [])
    _refuse_taken(call, email)
    person = call.world.add_person(
        email=email,
        first_name=first,
        last_name=last,
        name=full,
        api_enabled=api_enabled,
        acls=acls,
        service_user=service_user,
    )
    call.world.home.members[person.id] = Membership()
    return Answer(201, {"user": {**call.shapes.user(person), "api_key": person.api_key}})


def get_user(call: Call) -> Answer:
    id = call.path["user"]
    person = next((one for one in _listed(call) if one.id == id), None)
    return Answer(200, {"user": call.shapes.user(person or _somebody(call))})


def update_user(call: Call) -> Answer:
    """Changes the fields in the body. If one value is invalid, nothing is changed.

    Vultr's guides of August 2026 expect 202 Accepted; the OpenAPI document describes 204.
    """
    person = _somebody(call)
    body = call.body()
    email = fields.address(body, "email") if body.get("email") is not None else person.email
    if body.get("password") is not None:
        fields.text(body, "password")
    name = fields.names({"name": body.get("name")})
    first, last, full = name or (person.first_name, person.last_name, person.name)
    api_enabled = fields.flag(body, "api_enabled", default=person.api_enabled)
    acls = fields.acls(body, person.acls)
    if email.casefold() != person.email.casefold():
        _refuse_taken(call, email)
    person.email, person.api_enabled, person.acls = email, api_enabled, acls
    person.first_name, person.last_name, person.name = first, last, full
    person.updated = call.world.clock.now()
    return NO_CONTENT if call.shapes.openapi else Answer(202)


def create_key(call: Call) -> Answer:
    """Creates another API key for a user, which only this answer contains (guides "Create New API
    Key" and "How to Create an API Key for a User").

    The guides describe the fields of the request, the OpenAPI schema `apikey` those of the answer.
    The status, the wrapping object and the default name are unverified.
    """
    person = _somebody(call)
    body = call.body()
    name = fields.text(body, "name", "")
    expires = fields.moment(body, "date_expire") if fields.flag(body, "expire", False) else None
    if expires is not None and expires <= call.world.clock.now():
        raise Refused(400, "Invalid date_expire.")
    key = call.world.new_key()
    call.world.keys[key] = Key(person.id, expires=expires)
    shown = {
        "id": call.world.identity()["id"],
        "api_key": key,
        "name": name,
        "expire": expires is not None,
    }
    if expires is not None:
        shown["date_expire"] = call.shapes.moment(expires)
    return Answer(201, {"apikey": shown})


def delete_user(call: Call) -> Answer:
    """Deletes a Vultr account with its memberships and API keys."""
    person = _somebody(call)
    for organization in call.world.organizations:
        if organization.owner == person.id:
            raise Refused(400, "The root user cannot be deleted.")  # unverified
    for organization in call.world.organizations:
        if person.id in organization.members:
            call.world.leave(person, organization)
    person.deleted = call.world.clock.now()
    return NO_CONTENT


def _groups(person_of: PersonOf) -> Callable[[Call], Answer]:
    def handle(call: Call) -> Answer:
        grants = groups_of(call.world, person_of(call))
        shape = call.shapes.granted_group
        return Answer(200, call.shapes.granted("groups", grants, shape, call.query))

    return handle


def _roles(person_of: PersonOf) -> Callable[[Call], Answer]:
    def handle(call: Call) -> Answer:
        person, shapes = person_of(call), call.shapes
        roles = roles_of(call.world, person)
        shape = shapes.granted_role
        return Answer(200, shapes.held("roles", person, roles, shapes.role_user, shape, call.query))

    return handle


def _policies(person_of: PersonOf) -> Callable[[Call], Answer]:
    def handle(call: Call) -> Answer:
        person, shapes = person_of(call), call.shapes
        held = policies_of(call.world, person)
        tied, shape = shapes.policy_user, shapes.granted_policy
        return Answer(200, shapes.held("policies", person, held, tied, shape, call.query))

    return handle


def _listed(call: Call) -> list[Person]:
    """Returns the members, and with the switch `pending_users` also the invited people."""
    pending = call.world.pending() if call.choices["pending_users"] == "listed" else []
    return [*call.world.members(), *pending]


def _somebody(call: Call) -> Person:
    return call.world.member(call.path["user"])


def _caller(call: Call) -> Person:
    return call.caller


def _refuse_taken(call: Call, email: str) -> None:
    if call.world.find_person(email) is not None:
        raise Refused(400, "This email is already in use.")  # unverified


ENDPOINTS: Endpoints = {
    "/v2/users": {
        "GET": Endpoint("account.user.List", list_users),
        "POST": Endpoint("account.user.Create", create_user),
    },
    # These need no permission: docs D-grant mentions none for reading one's own access.
    "/v2/users/me/groups": {"GET": Endpoint(None, _groups(_caller))},
    "/v2/users/me/roles": {"GET": Endpoint(None, _roles(_caller))},
    "/v2/users/me/policies": {"GET": Endpoint(None, _policies(_caller))},
    "/v2/users/{user}": {
        "GET": Endpoint("account.user.Read", get_user),
        "PATCH": Endpoint("account.user.Update", update_user),
        "DELETE": Endpoint("account.user.Delete", delete_user),
    },
    "/v2/users/{user}/apikeys": {
        # The documented action is "account.user.Create: Create user or API key" (docs D-actions).
        "POST": Endpoint("account.user.Create", create_key, only_in_go=True),
    },
    "/v2/users/{user}/groups": {"GET": Endpoint("iam.user.ListGroups", _groups(_somebody))},
    "/v2/users/{user}/roles": {"GET": Endpoint("iam.user.ListRoles", _roles(_somebody))},
    "/v2/users/{user}/policies": {"GET": Endpoint("iam.user.ListPolicies", _policies(_somebody))},
}
