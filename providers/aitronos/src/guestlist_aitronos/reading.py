"""Converts Aitronos' answers to normalized values. Every documented variant becomes the same value.

Two families of the documentation describe the same requests with different answers, and the
official SDK (5.0.0) agrees with one of them. So a field that one of them leaves out is optional
here. Ids are opaque: their prefixes differ between the sources too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

from guestlist.models import Basis, Invitation, Member, MemberState, Role, State
from guestlist.provider import Response, parse_datetime
from guestlist_aitronos.results import BulkResend, ResendFailure, Status

Raw = Mapping[str, Any]

INVITED = frozenset({"invitationsent", "invited", "pending", "invitationpending"})
"""Statuses of people who were invited and have not accepted, as `plain` writes them.
`InvitationSent` is on the status object's page, `Pending` in the list of statuses; the others are
unverified."""

MEMBER_STATES = {
    "inactive": MemberState.SUSPENDED,
    "deactivated": MemberState.SUSPENDED,  # used by the users v2 pages
    "deleted": MemberState.REMOVED,
}
"""Statuses of members who are not active. An organization may define more statuses; a member with
one of those is ACTIVE."""


@lru_cache(maxsize=1024)  # few statuses repeat in a page of members
def plain(name: str) -> str:
    """Returns a status name for comparison: in lower case, without spaces and underscores."""
    return name.lower().replace(" ", "").replace("_", "")


def named(raw: Raw, what: str) -> tuple[str | None, str | None]:
    """Returns the id and name of a member's `role` or `status`. They are in a nested object, or in
    flat fields such as `role_id` and `role_name`."""
    nested = raw.get(what)
    if isinstance(nested, dict):
        return nested.get("id"), nested.get("name")
    return raw.get(f"{what}_id"), raw.get(f"{what}_name")


def is_invited(raw: Raw) -> bool:
    """Returns whether a row of the member list is a person who has not accepted yet."""
    status = named(raw, "status")[1]
    return status is not None and plain(status) in INVITED


def is_listed_as_invited(raw: Raw, status: str) -> bool:
    """Returns whether a row is a person who has not accepted yet.

    Args:
        raw: a row of the member list.
        status: the id of the status that the list was filtered by; empty if it was not filtered. A
            row without a status is assumed to have this status.
    """
    return is_invited(raw) or (bool(status) and named(raw, "status")[1] is None)


_INVITE = re.compile(r"[^?#]*\?(?:[^#]*&)?invite=([^&#]+)").match


def key_in(link: str | None) -> str | None:
    """Returns the invitation key in the `invite` parameter of a link, or None."""
    found = _INVITE(link or "")
    return unquote_plus(found[1]) if found else None


def read_invitation(
    raw: Raw, *, email: str | None = None, roles: Sequence[Role] = (), organization_id: str
) -> Invitation:
    """Reads an invitation from the answer to any request that returns one.

    No answer contains a state. An invitation that the service returns is pending or expired:
    callers compare `expires_at`.

    Args:
        raw: the answer.
        email: the address in the request; used if the answer has none.
        roles: the roles in the request. The answer may have no roles, and never has their names.
        organization_id: the organization in the request.
    """
    link, role_id = raw.get("invitation_link"), raw.get("role_id")
    key: Any = raw.get("invitation_key") or key_in(link)  # `Invitation` rejects other types
    if role_id is not None:
        asked = [role for role in roles if role.id == role_id]
        roles = asked or [Role(id=role_id, name=raw.get("role_name"))]
    usable = raw.get("valid", True)  # only the answer of `validate_key` has this field
    is_new = raw.get("is_new_user")
    return Invitation(
        id=raw.get("invitation_id") if raw.get("user_id") else raw["invitation_id"],
        email=raw.get("email") or email or raw["email"],
        state=State.PENDING if usable else State.UNKNOWN,
        raw_state=None if usable else "not valid",
        roles=tuple(roles),
        organization_id=raw.get("organization_id") or organization_id,
        organization=raw.get("organization_name"),
        created_at=parse_datetime(raw.get("created_at")),
        expires_at=parse_datetime(raw.get("expires_at")),
        user_id=raw.get("user_id"),
        link=link or None,
        key=key or None,
        is_new_user=is_new if isinstance(is_new, bool) else None,
        raw=raw,
    )


def read_missing_invitation(raw: Raw, *, organization_id: str) -> Invitation:
    """Reads a person whom the member list shows as invited, but who has no invitation.

    The invitation has probably expired. No source says so, and so the state is UNKNOWN.
    """
    return Invitation(
        id=None,
        email=raw["email"],
        state=State.UNKNOWN,
        raw_state=named(raw, "status")[1],
        basis=Basis.INFERRED,
        roles=_roles(raw) or (),
        organization_id=organization_id,
        created_at=parse_datetime(raw.get("created_at")),
        user_id=raw.get("user_id"),
        raw=raw,
    )


def read_summary(raw: Raw, *, organization_id: str) -> Invitation:
    """Reads the parts of an invitation that the member list shows.

    Without a role or date, the state is UNKNOWN, so that callers request the invitation itself.
    """
    summary = read_missing_invitation(raw, organization_id=organization_id)
    if summary.roles and summary.created_at:
        open_one = {"state": State.PENDING, "basis": Basis.REPORTED}
        return summary.model_copy(update=open_one)
    return summary


def read_member(raw: Raw) -> Member:
    """Reads a member. `joined_at` is unreliable: in some samples it is the date of the
    invitation."""
    status = plain(named(raw, "status")[1] or "")
    user_id = raw.get("user_id")
    return Member(
        id=raw.get("id") or raw["user_id"],
        email=raw["email"],
        name=raw.get("full_name") or raw.get("username"),
        user_id=user_id,
        roles=_roles(raw),
        state=MemberState.INVITED
        if status in INVITED
        else MEMBER_STATES.get(status, MemberState.ACTIVE),
        joined_at=parse_datetime(raw.get("joined_at")),
        raw=raw,
    )


def read_member_who_is_in(raw: Raw) -> Member | None:
    """Reads a member. Returns None for a row of a person who is only invited."""
    return None if is_invited(raw) else read_member(raw)


def _roles(raw: Raw) -> tuple[Role, ...] | None:
    id, name = named(raw, "role")
    return None if id is None else (_role(id, name),)


@lru_cache(maxsize=1024)  # few roles repeat in a page of members
def _role(id: str, name: str | None) -> Role:
    return Role(id=id, name=name)


def read_role(raw: Raw) -> Role:
    """Reads a role. What it allows becomes a part of the description, because nothing else shows
    it."""
    allows = ", ".join(capabilities(raw))
    description = raw.get("description") or ""
    if allows:
        description = f"{description} (allows: {allows})".strip()
    return Role(id=raw["id"], name=raw["name"], description=description or None, raw=raw)


def capabilities(raw: Raw) -> list[str]:
    """Returns what a role allows, from `capabilities` or, as in the SDK, from `permissions`: an
    object or a list."""
    allowed = raw.get("capabilities") or raw.get("permissions") or ()
    if isinstance(allowed, dict):
        return [name for name, granted in allowed.items() if granted]
    return [str(name) for name in allowed]


def read_status(raw: Raw) -> Status:
    """Reads a status of the organization."""
    return Status(id=raw["id"], name=raw["name"], description=raw.get("description"), raw=raw)


def read_bulk(raw: Raw) -> BulkResend:
    """Reads the result of a bulk resend."""
    failures = tuple(
        ResendFailure(id=failure["id"], reason=failure["error"])
        for failure in raw.get("failed_operations") or ()
    )
    return BulkResend(
        sent=raw["success_count"],
        failed=raw.get("failure_count", len(failures)),
        failures=failures,
        raw=raw,
    )


def read_total(reply: Response) -> int | None:
    """Reads the number of rows in the whole member list."""
    body = reply.mapping()
    total = body.get("total_users_count", body.get("total"))
    return None if total is None else int(total)
