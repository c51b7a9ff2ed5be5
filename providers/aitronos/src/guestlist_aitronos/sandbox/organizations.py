"""The endpoints of organizations and their change logs."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import JSONResponse, Response

from guestlist_aitronos.sandbox import shapes
from guestlist_aitronos.sandbox.bodies import (
    ActivePage,
    ChangeLogs,
    CreateOrganization,
    UpdateOrganization,
)
from guestlist_aitronos.sandbox.call import Call, Seat, insufficient
from guestlist_aitronos.sandbox.records import (
    ACTIVE,
    MEMBER,
    OWNER,
    Log,
    Membership,
    Organization,
    User,
)
from guestlist_aitronos.sandbox.routing import Endpoints
from guestlist_aitronos.sandbox.seed import add_membership, add_organization

endpoints = Endpoints()
ORGANIZATION = "/v1/organizations/{organization}"


@endpoints.get("/v1/organizations")
async def list_organizations(call: Call) -> Response:
    """Lists the caller's organizations (SDK). First adds the caller to organizations that have the
    domain of the caller's address. Not cached in this sandbox."""
    user = call.caller()
    page = call.query(ActivePage)
    _join_by_domain(call, user)
    found = [
        organization
        for organization in call.records.organizations.values()
        if call.records.organization(organization.id)
        and (organization.is_active or not page.active_only)
        and (row := call.records.membership(organization.id, user.id))
        and row.status == ACTIVE
    ]
    shown = found[page.skip : page.skip + page.limit]
    return JSONResponse(
        {
            "organizations": [shapes.organization(organization) for organization in shown],
            "total": len(found),
            "skip": page.skip,
            "limit": page.limit,
        }
    )


@endpoints.post("/v1/organizations")
async def create_organization(call: Call) -> Response:
    """Creates an organization (SDK). The 201 is unverified."""
    user = call.caller()
    body = await call.body(CreateOrganization)
    now = call.service.clock.now()
    organization = add_organization(call.records, user, body.name, body.type, now)
    _set(organization, body)
    return JSONResponse(shapes.organization(organization), HTTPStatus.CREATED)


@endpoints.get(ORGANIZATION)
async def get_organization(call: Call) -> Response:
    """Returns an organization (SDK)."""
    return JSONResponse(shapes.organization(call.seat().organization))


@endpoints.patch(ORGANIZATION)
async def update_organization(call: Call) -> Response:
    """Changes an organization (SDK)."""
    organization = call.seat(admin=True).organization
    _set(organization, await call.body(UpdateOrganization))
    organization.updated_at = call.service.clock.now()
    return JSONResponse(shapes.organization(organization))


@endpoints.delete(ORGANIZATION)
async def delete_organization(call: Call) -> Response:
    """Marks an organization as deleted (SDK). Only the Owner may do this. The 204 is unverified."""
    seat = call.seat()
    if not call.records.has_role(seat.membership, (OWNER,)):
        raise insufficient()
    seat.organization.deleted_at = call.service.clock.now()
    return Response(status_code=HTTPStatus.NO_CONTENT)


@endpoints.post(f"{ORGANIZATION}/dashboard/change-logs")
async def organization_change_logs(call: Call) -> Response:
    """Returns the change log of an organization (SDK). This sandbox only logs changes of
    memberships."""
    seat = call.seat(admin=True)
    return _logs(call, seat, await call.body(ChangeLogs), None)


@endpoints.post(f"{ORGANIZATION}/users/{{user}}/change-logs")
async def member_change_logs(call: Call) -> Response:
    """Returns the changes of one member (SDK)."""
    seat = call.seat(admin=True)
    row = call.member(seat)
    return _logs(call, seat, await call.body(ChangeLogs), row)


def _logs(call: Call, seat: Seat, wanted: ChangeLogs, row: Membership | None) -> Response:
    def matches(log: Log) -> bool:
        return (
            log.organization_id == seat.organization.id
            and (row is None or log.membership_id == row.id)
            and (wanted.start_date is None or log.at >= wanted.start_date)
            and (wanted.end_date is None or log.at <= wanted.end_date)
            and wanted.resource_type in (None, "organization_user")
            and wanted.action in (None, log.action)
        )

    logs = [log for log in reversed(call.records.logs) if matches(log)]
    shown = logs[wanted.skip : wanted.skip + wanted.take]
    return JSONResponse(
        {
            "logs": [shapes.log(log) for log in shown],
            "total_count": len(logs),
            "skip": wanted.skip,
            "take": wanted.take,
        }
    )


def _set(organization: Organization, body: CreateOrganization | UpdateOrganization) -> None:
    for name in body.model_fields_set & set(vars(organization)):
        setattr(organization, name, getattr(body, name))


def _join_by_domain(call: Call, user: User) -> None:
    domain = user.email.rpartition("@")[2].casefold()
    now, role = call.service.clock.now(), call.records.system_role(MEMBER)
    for organization in call.records.organizations.values():
        domains = {name.casefold() for name in organization.domains}
        if domain not in domains or organization.deleted_at:
            continue
        if call.records.membership(organization.id, user.id) is None:
            row = add_membership(call.records, organization.id, user, [role.id], ACTIVE, now)
            organization.users_added_from_domains += 1
            call.records.log(user, "added", row, now)
