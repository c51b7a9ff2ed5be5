"""The endpoints of members, and the answer of bulk operations."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse, Response

from guestlist_aitronos.sandbox import lifecycle, shapes
from guestlist_aitronos.sandbox.bodies import (
    Bulk,
    BulkStatus,
    Deactivate,
    Export,
    IncludeDeleted,
    ListMembers,
    Remove,
    UpdateMember,
)
from guestlist_aitronos.sandbox.call import Call, Seat, insufficient
from guestlist_aitronos.sandbox.errors import ApiError, forbidden, invalid, not_found
from guestlist_aitronos.sandbox.records import (
    ACTIVE,
    ADMIN,
    DELETED,
    INACTIVE,
    INVITED,
    OWNER,
    Change,
    Membership,
)
from guestlist_aitronos.sandbox.routing import Endpoints

endpoints = Endpoints()
USERS = "/v1/organizations/{organization}/users"
EXPORT_LIMIT = 10_000


@endpoints.post(USERS)
async def list_members(call: Call) -> Response:
    """Lists members (CM-list, SDK; in the profile `organizations` OM-list)."""
    seat = call.seat()
    body = await call.body(ListMembers)
    rows = _filtered(call, seat, body)
    rows.sort(key=_order(call, body.sort_field), reverse=body.sort_direction == "desc")
    page = [shapes.member(call.service, row) for row in rows[body.skip : body.skip + body.take]]
    if call.service.profile == "organizations":
        return JSONResponse(
            {"members": page, "total": len(rows), "skip": body.skip, "limit": body.take}
        )
    return JSONResponse(
        {"users": page, "total_users_count": len(rows), "skip": body.skip, "take": body.take}
    )


@endpoints.post(f"{USERS}/ids")
async def member_ids(call: Call) -> Response:
    """Returns the user ids of the members (SDK)."""
    seat = call.seat()
    rows = _visible(call, seat, call.query(IncludeDeleted).include_deleted)
    return JSONResponse([row.user_id for row in rows])


@endpoints.post(f"{USERS}/by-ids")
async def members_by_ids(call: Call) -> Response:
    """Returns several members (SDK). The names of the three fields are unverified."""
    seat = call.seat()
    body = await call.body(Bulk)
    rows = [row for row in _visible(call, seat) if {row.user_id, row.id} & set(body.user_ids)]
    return JSONResponse(
        {
            "users": [shapes.member(call.service, row) for row in rows],
            "total": len(rows),
            "requested_ids": body.user_ids,
        }
    )


@endpoints.get(f"{USERS}/status-summary")
async def status_summary(call: Call) -> Response:
    """Counts members by status (SDK). That unused statuses are reported with 0 is unverified."""
    seat = call.seat()
    rows = _visible(call, seat, include_deleted=True)
    counts = [
        {
            "status_id": status.id,
            "status_name": shapes.shown_status_name(call.service, status.name),
            "count": sum(row.status == status.name for row in rows),
        }
        for status in call.records.statuses_of(seat.organization.id)
    ]
    return JSONResponse({"status_counts": counts})


@endpoints.post(f"{USERS}/export-csv")
async def export_csv(call: Call) -> Response:
    """Returns the members as CSV (SDK). The columns are unverified."""
    seat = call.seat(admin=True)
    body = await call.body(Export)
    rows = _filtered(call, seat, body)
    if len(rows) > EXPORT_LIMIT:
        raise invalid(f"An export holds at most {EXPORT_LIMIT} records")
    field = {"role_name": "role", "status_name": "status"}.get(body.sort_by, body.sort_by)
    rows.sort(key=_order(call, field), reverse=body.sort_order == "desc")
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["full_name", "email", "role_name", "status_name", "joined_at"])
    for row in rows:
        user = call.records.users[row.user_id]
        role = call.records.roles[row.role_ids[0]].name
        status = shapes.status_name(call.service, row)
        table.writerow([user.full_name, user.email, role, status, shapes.stamp(row.joined_at)])
    return Response(
        text.getvalue(),
        media_type="text/csv",
        headers={"content-disposition": 'attachment; filename="members.csv"'},
    )


@endpoints.get(f"{USERS}/{{user}}")
async def get_member(call: Call) -> Response:
    """Returns a member (CM, SDK). That deleted members are not found is unverified."""
    seat = call.seat()
    return JSONResponse(shapes.member(call.service, _present(call, seat)))


@endpoints.put(f"{USERS}/{{user}}")
async def update_member(call: Call) -> Response:
    """Changes the role or status of a member (CM-update, SDK, OM-update). Any member may change
    statuses; only Admin and Owner may change roles."""
    seat = call.seat()
    body = await call.body(UpdateMember)
    if body.role_id and not call.records.has_role(seat.membership, (OWNER, ADMIN)):
        raise insufficient()
    row = _present(call, seat)
    role = call.role(seat, body.role_id) if body.role_id else None
    status = call.status(seat, body.status_id) if body.status_id else None
    if role and _is_owner(seat, row) and role.id != row.role_ids[0]:
        raise _owner_refusal(call, "OPERATION_NOT_ALLOWED", "The owner's role cannot be changed")
    if status:
        _check_status(call, seat, row, status.name)
    if role:
        _set_role(call, seat, row, role.id)
    if status:
        _set_status(call, seat, row, status.name)
    if call.service.profile == "organizations":
        held = call.records.roles[row.role_ids[0]]
        return JSONResponse(
            {
                "success": True,
                "message": "Member updated",
                "id": row.id,
                "user_id": row.user_id,
                "role_id": held.id,
                "role_name": held.name,
            }
        )
    return JSONResponse(shapes.member(call.service, row))


@endpoints.delete(f"{USERS}/{{user}}/delete")
async def delete_member(call: Call) -> Response:
    """Deletes a member (CM-delete, OM-remove, SDK)."""
    seat = call.seat(admin=True)
    _delete(call, seat, _present(call, seat))
    return Response(status_code=HTTPStatus.NO_CONTENT)


@endpoints.delete(f"{USERS}/{{user}}")
async def remove_member(call: Call) -> Response:
    """Deletes a member, with a confirmation in the body (U-remove)."""
    seat = call.seat(admin=True)
    row = _present(call, seat)
    await call.body(Remove)
    _delete(call, seat, row)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@endpoints.post(f"{USERS}/delete-bulk")
async def delete_members_bulk(call: Call) -> Response:
    """Deletes several members (CM-bulkdel, SDK). The owner is not deleted, and reported as a
    failure."""
    seat = call.seat(admin=True)
    body = await call.body(Bulk)
    return bulk_result(body.user_ids, lambda id: _delete(call, seat, _present(call, seat, id)))


@endpoints.post(f"{USERS}/{{user}}/restore")
async def restore_member(call: Call) -> Response:
    """Restores a member (CM-restore, SDK). That a person who never was a member becomes invited
    again is unverified."""
    seat = call.seat(admin=True)
    row = call.member(seat)
    if row.status != DELETED:
        raise invalid("Member is not deleted")
    _set_status(call, seat, row, ACTIVE if row.was_active else INVITED)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@endpoints.post(f"{USERS}/change-status-bulk")
async def change_status_bulk(call: Call) -> Response:
    """Changes the status of several members (SDK). Needs Admin or Owner, unlike the change of one
    status."""
    seat = call.seat(admin=True)
    body = await call.body(BulkStatus)
    status = call.status(seat, body.status_id).name

    def change(person: str) -> None:
        row = _present(call, seat, person)
        _check_status(call, seat, row, status)
        _set_status(call, seat, row, status)

    return bulk_result(body.user_ids, change)


@endpoints.post(f"{USERS}/{{user}}/deactivate")
async def deactivate_member(call: Call) -> Response:
    """Deactivates a member (U-deactivate). The 200 is unverified."""
    seat = call.seat(admin=True)
    row = _present(call, seat)
    await call.body(Deactivate)
    return _change_account(call, seat, row, INACTIVE)


@endpoints.post(f"{USERS}/{{user}}/reactivate")
async def reactivate_member(call: Call) -> Response:
    """Reactivates a member (U-reactivate). The 200 is unverified."""
    seat = call.seat(admin=True)
    return _change_account(call, seat, _present(call, seat), ACTIVE)


def bulk_result(ids: Iterable[str], act: Callable[[str], object]) -> Response:
    """Calls `act` for each id. Returns a 200 with the numbers of successes and failures, and the
    errors."""
    done, failed = 0, []
    for id in ids:
        try:
            act(id)
        except ApiError as error:
            failed.append({"id": id, "error": error.message})
        else:
            done += 1
    return JSONResponse(
        {"success_count": done, "failure_count": len(failed), "failed_operations": failed}
    )


def _visible(call: Call, seat: Seat, include_deleted: bool = False) -> list[Membership]:
    return [
        row
        for row in call.records.memberships_of(seat.organization.id)
        if call.service.shows(row) and (include_deleted or row.status != DELETED)
    ]


def _filtered(call: Call, seat: Seat, wanted: ListMembers | Export) -> list[Membership]:
    term = wanted.search_term.strip().casefold()

    def matches(row: Membership) -> bool:
        user = call.records.users[row.user_id]
        texts = (user.full_name, user.email, user.username)
        return (
            (not term or any(term in text.casefold() for text in texts if text))
            and (wanted.role_id is None or wanted.role_id in row.role_ids)
            and (wanted.status_id is None or wanted.status_id == call.records.status_of(row).id)
        )

    return [row for row in _visible(call, seat, wanted.include_deleted) if matches(row)]


def _order(call: Call, field: str) -> Callable[[Membership], Any]:
    """Returns the sort key for a field by which lists and exports can be sorted."""

    def key(row: Membership) -> Any:
        user = call.records.users[row.user_id]
        match field:
            case "full_name":
                return (user.full_name or "").casefold()
            case "email":
                return user.email.casefold()
            case "role":
                return call.records.roles[row.role_ids[0]].name.casefold()
            case "status":
                return shapes.status_name(call.service, row).casefold()
            case _:
                return getattr(row, field)

    return key


def _present(call: Call, seat: Seat, person: str | None = None) -> Membership:
    row = call.member(seat, person)
    if row.status == DELETED:
        raise not_found("Member")
    return row


def _is_owner(seat: Seat, row: Membership) -> bool:
    return row.user_id == seat.organization.owner_id


def _owner_refusal(call: Call, code: str, message: str) -> ApiError:
    """Returns the error for a change of the owner: the error list has codes with 403, the members'
    pages say that validation fails."""
    if call.service.chosen["owner_refusal"] == "forbidden":
        return forbidden(code, message)
    return invalid(message)


def _delete(call: Call, seat: Seat, row: Membership) -> None:
    if _is_owner(seat, row):
        raise _owner_refusal(call, "CANNOT_DELETE_OWNER", "The owner cannot be deleted")
    lifecycle.delete(call.service, row, seat.user)


def _check_status(call: Call, seat: Seat, row: Membership, name: str) -> None:
    """Raises unless the status can be set. Apart from the owner's protection, the rules are
    unverified: only Active and Inactive can be set, and only for members."""
    if name not in (ACTIVE, INACTIVE):
        raise invalid(f"The status {name} cannot be set")
    if row.status == INVITED:
        raise invalid("The invitation has not been accepted yet")
    if name == INACTIVE and _is_owner(seat, row):
        raise _owner_refusal(call, "OPERATION_NOT_ALLOWED", "The owner cannot be made inactive")


def _set_status(call: Call, seat: Seat, row: Membership, name: str) -> None:
    now = call.service.clock.now()
    call.records.log(seat.user, "updated", row, now, Change("status", row.status, name))
    row.status, row.last_modified_at = name, now


def _set_role(call: Call, seat: Seat, row: Membership, role_id: str) -> None:
    """Replaces the first role. The role of a pending invitation changes with it, so that acceptance
    keeps the role."""
    now = call.service.clock.now()
    change = Change("role_id", row.role_ids[0], role_id)
    call.records.log(seat.user, "updated", row, now, change)
    row.role_ids = [role_id, *(id for id in row.role_ids[1:] if id != role_id)]
    row.last_modified_at = now
    invitation = call.records.open_invitation(row)
    if invitation is not None:
        invitation.role_ids = row.role_ids


def _change_account(call: Call, seat: Seat, row: Membership, status: str) -> Response:
    _check_status(call, seat, row, status)
    _set_status(call, seat, row, status)
    return JSONResponse(shapes.account(call.service, row, []))
