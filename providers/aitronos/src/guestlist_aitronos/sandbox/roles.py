"""The endpoints of roles and statuses."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import JSONResponse, Response

from guestlist_aitronos.sandbox import shapes
from guestlist_aitronos.sandbox.bodies import (
    ActiveOnly,
    AssignRole,
    CreateRole,
    IncludeGlobal,
    RoleMembersPage,
)
from guestlist_aitronos.sandbox.call import Call, Seat, insufficient
from guestlist_aitronos.sandbox.errors import conflict, forbidden, not_found
from guestlist_aitronos.sandbox.records import MEMBER, OWNER, Change, Membership, Role
from guestlist_aitronos.sandbox.routing import Endpoints
from guestlist_aitronos.sandbox.seed import add_role

endpoints = Endpoints()
ORGANIZATION = "/v1/organizations/{organization}"
MEMBERS = f"{ORGANIZATION}/roles/{{role}}/members"


@endpoints.get(f"{ORGANIZATION}/roles")
async def list_roles(call: Call) -> Response:
    """Lists roles as an array (OR-list-roles, SDK). Global roles are the system roles."""
    seat = call.seat()
    include_global = call.query(IncludeGlobal).include_global
    roles = call.records.roles_of(seat.organization.id)
    wanted = [role for role in roles if include_global or not role.is_system]
    return JSONResponse([shapes.role(role, len(_holders(call, seat, role))) for role in wanted])


@endpoints.post(f"{ORGANIZATION}/roles")
async def create_role(call: Call) -> Response:
    """Creates a role (OR-create-role). Callers can only grant capabilities that they have. The 201
    is unverified."""
    seat = call.seat()
    held = call.records.capabilities(seat.membership)
    if "manage_roles" not in held:
        raise insufficient()
    body = await call.body(CreateRole)
    if not held.issuperset(body.capabilities):
        raise insufficient()
    if call.records.role_named(seat.organization.id, body.name):
        raise conflict("A role with this name exists")
    role = add_role(
        call.records,
        body.name,
        body.description,
        tuple(body.capabilities),
        seat.organization.id,
        call.service.clock.now(),
    )
    return JSONResponse(shapes.role(role, 0), HTTPStatus.CREATED)


@endpoints.get(MEMBERS)
async def list_role_members(call: Call) -> Response:
    """Lists the members of a role (OR-list-members)."""
    seat = call.seat()
    page = call.query(RoleMembersPage)
    rows = _holders(call, seat, call.role(seat))
    shown = rows[page.skip : page.skip + page.limit]
    members = [shapes.role_member(call.service, row) for row in shown]
    return JSONResponse({"members": members, "total": len(rows)})


@endpoints.post(MEMBERS)
async def assign_role(call: Call) -> Response:
    """Assigns a role (OR-assign-member). Unverified: the 201, the form of `id`, and the 409 if the
    member already has the role."""
    seat = call.seat(admin=True)
    role = call.role(seat)
    row = _member(call, seat, (await call.body(AssignRole)).user_id)
    if role.id in row.role_ids:
        raise conflict("The member has this role")
    now = call.service.clock.now()
    call.records.log(seat.user, "added", row, now, Change("role_id", None, role.id))
    row.role_ids, row.last_modified_at = [*row.role_ids, role.id], now
    return JSONResponse(
        {
            "id": call.records.new_id("orgusrrole"),
            "user_id": row.user_id,
            "role_id": role.id,
            "organization_id": seat.organization.id,
            "assigned_at": shapes.stamp(now),
        },
        HTTPStatus.CREATED,
    )


@endpoints.delete(f"{MEMBERS}/{{user}}")
async def unassign_role(call: Call) -> Response:
    """Takes a role away (OR-remove-member). That a member who loses the only role becomes a plain
    Member is unverified."""
    seat = call.seat(admin=True)
    role = call.role(seat)
    row = _member(call, seat, call.path("user"))
    if role.id not in row.role_ids:
        raise not_found("Role assignment")
    if role.is_system and role.name == OWNER and len(_holders(call, seat, role)) == 1:
        raise forbidden("CANNOT_REMOVE_LAST_OWNER", "The last owner cannot be removed")
    now = call.service.clock.now()
    call.records.log(seat.user, "removed", row, now, Change("role_id", role.id, None))
    left = [id for id in row.role_ids if id != role.id]
    row.role_ids, row.last_modified_at = left or [call.records.system_role(MEMBER).id], now
    return Response(status_code=HTTPStatus.NO_CONTENT)


@endpoints.get(f"{ORGANIZATION}/statuses")
async def list_statuses(call: Call) -> Response:
    """Lists statuses as an array (OS-list, SDK). Every status of this sandbox is active."""
    seat = call.seat()
    call.query(ActiveOnly)
    statuses = call.records.statuses_of(seat.organization.id)
    return JSONResponse([shapes.status(call.service, status) for status in statuses])


def _holders(call: Call, seat: Seat, role: Role) -> list[Membership]:
    """Returns the members with a role, without invited people."""
    rows = call.records.memberships_of(seat.organization.id)
    return [row for row in rows if row.is_in and role.id in row.role_ids]


def _member(call: Call, seat: Seat, person: str) -> Membership:
    row = call.member(seat, person)
    if not row.is_in:
        raise not_found("Member")
    return row
