"""The endpoints of user accounts, independent of organizations."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import JSONResponse, Response

from guestlist_aitronos.sandbox import lifecycle, shapes
from guestlist_aitronos.sandbox.bodies import ActivePage, Bulk, CreateUser, Page, is_email
from guestlist_aitronos.sandbox.call import Call, insufficient
from guestlist_aitronos.sandbox.errors import (
    bad_email,
    conflict,
    forbidden,
    not_found,
    unprocessable,
)
from guestlist_aitronos.sandbox.records import ACTIVE, ADMIN, DELETED, OWNER, User
from guestlist_aitronos.sandbox.routing import Endpoints
from guestlist_aitronos.sandbox.seed import add_user

endpoints = Endpoints()


@endpoints.get("/v1/user", "/v1/user/")
async def list_users(call: Call) -> Response:
    """Lists users (U-list, SDK). That inactive users are only listed on request is unverified."""
    call.caller()
    page = call.query(ActivePage)
    users = [u for u in _living(call) if u.is_active or not page.active_only]
    return JSONResponse([shapes.user(u) for u in users[page.skip : page.skip + page.limit]])


@endpoints.post("/v1/user", "/v1/user/")
async def create_user(call: Call) -> Response:
    """Creates a user (SDK). The 201 is unverified."""
    call.caller()
    body = await call.body(CreateUser)
    if call.records.user_by_email(body.email):
        raise conflict("A user with this email exists")
    if not is_email(body.email):
        raise bad_email()
    user = add_user(call.records, body.email, None, None, call.service.clock.now())
    user.full_name = f"{body.first_name} {body.last_name}".strip() or None
    user.password = body.password
    return JSONResponse(shapes.user(user), HTTPStatus.CREATED)


@endpoints.get("/v1/user/me", "/v1/user/profile")
async def my_profile(call: Call) -> Response:
    """Returns the caller's profile (SDK). Two paths have the same answer."""
    return JSONResponse(_profile(call, call.caller()))


@endpoints.get("/v1/user/current")
async def current_user(call: Call) -> Response:
    """Returns the caller (SDK)."""
    return JSONResponse(shapes.user(call.caller()))


@endpoints.get("/v1/user/deleted")
async def deleted_users(call: Call) -> Response:
    """Lists deleted users (SDK). The caller has to be Owner or Admin of any organization."""
    caller = call.caller()
    rows = [row for row in call.records.memberships.values() if row.user_id == caller.id]
    if not any(row.status == ACTIVE and call.records.has_role(row, (OWNER, ADMIN)) for row in rows):
        raise insufficient()
    page = call.query(Page)
    users = [user for user in call.records.users.values() if user.deleted_at]
    return JSONResponse([shapes.user(u) for u in users[page.skip : page.skip + page.limit]])


@endpoints.post("/v1/user/batch")
async def users_batch(call: Call) -> Response:
    """Returns several users (SDK). The names of the three fields are unverified."""
    call.caller()
    ids = (await call.body(Bulk)).user_ids
    users = [shapes.user(user) for user in _living(call) if user.id in ids]
    return JSONResponse({"users": users, "total": len(users), "requested_ids": ids})


@endpoints.get("/v1/user/email/{email}")
async def user_by_email(call: Call) -> Response:
    """Returns a user by email address, independent of organizations (GUIDE, SDK)."""
    call.caller()
    user = call.records.user_by_email(call.path("email"))
    if user is None:
        raise not_found("User")
    return JSONResponse(shapes.user(user))


@endpoints.get("/v1/user/{user}")
async def user_by_id(call: Call) -> Response:
    """Returns a user by id (GUIDE, SDK)."""
    call.caller()
    id = call.path("user")
    if not id.startswith("usr_"):
        raise unprocessable(
            [{"loc": ["path", "user_id"], "msg": "must start with usr_", "type": "value_error"}]
        )
    user = call.records.users.get(id)
    if user is None or user.deleted_at:
        raise not_found("User")
    return JSONResponse(_profile(call, user))


@endpoints.delete("/v1/user/{user}")
async def delete_user(call: Call) -> Response:
    """Deletes the caller's own account (SDK). That an owner cannot be deleted is unverified."""
    user = call.caller()
    if call.path("user") != user.id:
        raise forbidden("OPERATION_NOT_ALLOWED", "Only your own account can be deleted")
    owned = (o for o in call.records.organizations.values() if o.owner_id == user.id)
    if any(not organization.deleted_at for organization in owned):
        raise forbidden("CANNOT_REMOVE_LAST_OWNER", "The last owner cannot be removed")
    for row in call.records.memberships.values():
        if row.user_id == user.id and row.status != DELETED:
            lifecycle.delete(call.service, row, user)
    user.deleted_at = user.updated_at = call.service.clock.now()
    return JSONResponse({"success": True, "message": "User deleted", "user_id": user.id})


def _living(call: Call) -> list[User]:
    return [user for user in call.records.users.values() if not user.deleted_at]


def _profile(call: Call, user: User) -> dict[str, object]:
    """Returns a user's profile. The current organization is the first one that the user is a member
    of."""
    rows = call.records.memberships.values()
    current = (r.organization_id for r in rows if r.user_id == user.id and r.status == ACTIVE)
    return shapes.profile(user, next(current, None))
