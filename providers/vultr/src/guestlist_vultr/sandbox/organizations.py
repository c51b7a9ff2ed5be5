"""The endpoints of organizations and their members (dossier 2.2 and 2.7)."""

from __future__ import annotations

from collections.abc import Callable

from . import fields
from .call import NO_CONTENT, Answer, Call, Endpoint, Endpoints
from .refusal import Refused
from .state import Membership, Organization, Person


def list_organizations(call: Call) -> Answer:
    """Lists the organizations of the caller."""
    mine = [one for one in call.world.organizations if call.caller.id in one.members]
    key = "organizations" if call.shapes.openapi else "orgs"
    return Answer(200, call.shapes.many(key, mine, call.shapes.organization, call.query))


def create_organization(call: Call) -> Answer:
    """Creates another organization for the caller. The API key still belongs to the first one."""
    body = call.body()
    organization = Organization(
        **call.world.identity(),
        name=fields.text(body, "name"),
        type=fields.text(body, "type", ""),
        owner=call.caller.id,
        members={call.caller.id: Membership()},
    )
    call.world.organizations.add(organization)
    return Answer(201, _shown(call, organization))


def get_organization(call: Call) -> Answer:
    return Answer(200, _shown(call, _mine(call)))


def update_organization(call: Call) -> Answer:
    organization = _mine(call)
    body = call.body()
    name, type = fields.text(body, "name"), fields.text(body, "type", organization.type)
    organization.name, organization.type = name, type
    organization.updated = call.world.clock.now()
    return Answer(200, _shown(call, organization))


def delete_organization(call: Call) -> Answer:
    organization = _mine(call)
    if organization is call.world.home:
        # After this, no key would work. The behavior of the service is not documented.
        raise Refused(400, "The organization of the API key cannot be deleted.")
    organization.deleted = call.world.clock.now()
    return NO_CONTENT


def restore_organization(call: Call) -> Answer:
    """Restores a deleted organization. The status is unverified: the Go client accepts any 2xx and
    ignores the body."""
    organization = _of_caller(call, call.world.organizations.even_deleted(call.path["id"]))
    organization.deleted = None
    return NO_CONTENT


def remove_user(call: Call) -> Answer:
    """Ends a membership. The Vultr account is not deleted."""
    organization, person, _ = _membership(call)
    _refuse_owner(organization, person)
    call.world.leave(person, organization)
    return NO_CONTENT


def suspend_user(call: Call) -> Answer:
    organization, person, membership = _membership(call)
    _refuse_owner(organization, person)
    membership.suspended = membership.suspended or call.world.clock.now()
    return NO_CONTENT


def unsuspend_user(call: Call) -> Answer:
    _, _, membership = _membership(call)
    membership.suspended = None
    return NO_CONTENT


def list_suspended(call: Call) -> Answer:
    members = _mine(call).members
    suspended = [p for p in call.world.people if p.id in members and members[p.id].suspended]

    def shape(person: Person) -> dict[str, object]:
        return call.shapes.member(person, members[person.id].suspended)

    return Answer(200, call.shapes.many("users", suspended, shape, call.query))


def _shown(call: Call, organization: Organization) -> dict[str, object]:
    return call.shapes.one("organization", call.shapes.organization(organization))


def _mine(call: Call) -> Organization:
    return _of_caller(call, call.world.organizations.get(call.path["id"]))


def _of_caller(call: Call, organization: Organization) -> Organization:
    if call.caller.id not in organization.members:
        raise Refused(404, call.world.organizations.missing)
    return organization


def _membership(call: Call) -> tuple[Organization, Person, Membership]:
    organization = _mine(call)
    person = call.world.people.get(call.path["user"])
    if person.id not in organization.members:
        raise Refused(404, call.world.people.missing)
    return organization, person, organization.members[person.id]


def _refuse_owner(organization: Organization, person: Person) -> None:
    if person.id == organization.owner:
        raise Refused(400, "The root user cannot be removed or suspended.")  # unverified


def _endpoint(
    operation: str, handle: Callable[[Call], Answer], *, only_in_go: bool = False
) -> Endpoint:
    return Endpoint(f"iam.organization.{operation}", handle, only_in_go)


_ONE = "/v2/organizations/{id}"

ENDPOINTS: Endpoints = {
    "/v2/organizations": {
        "GET": _endpoint("List", list_organizations),
        "POST": _endpoint("Create", create_organization, only_in_go=True),
    },
    _ONE: {
        "GET": _endpoint("Read", get_organization),
        "PUT": _endpoint("Update", update_organization),
        "DELETE": _endpoint("Delete", delete_organization, only_in_go=True),
    },
    f"{_ONE}/restore": {"PATCH": _endpoint("Restore", restore_organization, only_in_go=True)},
    f"{_ONE}/suspended-users": {"GET": _endpoint("ListSuspendedUsers", list_suspended)},
    f"{_ONE}/user/{{user}}": {"DELETE": _endpoint("RemoveUser", remove_user)},
    f"{_ONE}/user/{{user}}/suspend": {"PUT": _endpoint("SuspendUser", suspend_user)},
    f"{_ONE}/user/{{user}}/unsuspend": {"PUT": _endpoint("UnsuspendUser", unsuspend_user)},
}
