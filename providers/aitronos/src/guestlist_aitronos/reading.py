"""Reading Aitronos' answers: every variant that a source shows becomes the same value.

Two families of the documentation describe the same calls with different answers, and the official
SDK (5.0.0) sides with one of them. So no field is relied on that one of them leaves out, and ids
are opaque: their prefixes differ between the sources too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

from pydantic import SecretStr

from guestlist.errors import MalformedResponse
from guestlist.models import Basis, Invitation, Member, MemberState, Role, State, constructor
from guestlist.provider import Offset, Response
from guestlist_aitronos.results import BulkResend, ResendFailure, Status

Raw = Mapping[str, Any]

_new_member = constructor(Member)

INVITED = frozenset({"invitationsent", "invited", "pending", "invitationpending"})
"""Statuses of people who were invited and have not accepted. `InvitationSent` is in the status
object's page, `Pending` in the list of statuses; the others are unverified."""

MEMBER_STATES = {
    "inactive": MemberState.SUSPENDED,
    "deactivated": MemberState.SUSPENDED,  # the word of the users v2 pages
    "deleted": MemberState.REMOVED,
}
"""Statuses of members who are not active. An organization may have its own besides; whoever has
one of those is a member as with `Active`."""


@lru_cache(maxsize=1024)  # a page of members holds few statuses many times
def plain(name: str) -> str:
    """A status name as it is compared: without case, spaces and underscores."""
    return name.lower().replace(" ", "").replace("_", "")


def named(raw: Raw, what: str) -> tuple[str | None, str | None]:
    """Id and name of a member's `role` or `status`: nested, or flat as `role_id`, `role_name`."""
    nested = raw.get(what)
    if isinstance(nested, dict):
        return nested.get("id"), nested.get("name")
    return raw.get(f"{what}_id"), raw.get(f"{what}_name")


def is_invited(raw: Raw) -> bool:
    """Whether a row of the member list is a person who has not accepted yet."""
    status = named(raw, "status")[1]
    return status is not None and plain(status) in INVITED


def is_listed_as_invited(raw: Raw, status: str) -> bool:
    """Whether a row is a person who has not accepted yet.

    Args:
        status: the id of the status that was asked for; empty for any. A row that names no status
            is trusted to have the one that was asked for.
    """
    return is_invited(raw) or (bool(status) and named(raw, "status")[1] is None)


def moment(text: str | None) -> datetime | None:
    """A date of the service; UTC where it does not say."""
    if not text:
        return None
    date = datetime.fromisoformat(text)
    return date if date.tzinfo else date.replace(tzinfo=UTC)


_INVITE = re.compile(r"[^?#]*\?(?:[^#]*&)?invite=([^&#]+)").match


def key_in(link: str | None) -> str | None:
    """The invitation key that a link holds in its `invite` parameter."""
    found = _INVITE(link or "")
    return unquote_plus(found[1]) if found else None


def read_invitation(
    raw: Raw, *, email: str | None = None, roles: Sequence[Role] = (), organization_id: str
) -> Invitation:
    """An invitation, from any of the calls that tell of one.

    No answer has a state. That the service still knows the invitation means that it is pending,
    or expired: callers compare `expires_at`.

    Args:
        raw: the answer.
        email: the address that was asked for, where the answer may lack it.
        roles: the roles that were asked for: the answer may lack them, and never names them.
        organization_id: the organization that was asked.
    """
    link, role_id = raw.get("invitation_link"), raw.get("role_id")
    key = raw.get("invitation_key") or key_in(link)
    if role_id is not None:
        asked = [role for role in roles if role.id == role_id]
        roles = asked or [Role(id=role_id, name=raw.get("role_name"))]
    usable = raw.get("valid", True)  # only in the answer to a key
    is_new = raw.get("is_new_user")
    return Invitation(
        id=raw.get("invitation_id") if raw.get("user_id") else raw["invitation_id"],
        email=raw.get("email") or email or raw["email"],
        state=State.PENDING if usable else State.UNKNOWN,
        raw_state=None if usable else "not valid",
        roles=tuple(roles),
        organization_id=raw.get("organization_id") or organization_id,
        organization=raw.get("organization_name"),
        created_at=moment(raw.get("created_at")),
        expires_at=moment(raw.get("expires_at")),
        user_id=raw.get("user_id"),
        link=SecretStr(link) if link else None,
        key=SecretStr(key) if key else None,
        is_new_user=is_new if isinstance(is_new, bool) else None,
        raw=raw,
    )


def read_lost_invitation(raw: Raw, *, organization_id: str) -> Invitation:
    """A person whom the member list shows as invited while there is no invitation of theirs.

    It has probably expired; no source says so, and the state is not guessed.
    """
    return Invitation(
        id=None,
        email=raw["email"],
        state=State.UNKNOWN,
        raw_state=named(raw, "status")[1],
        basis=Basis.INFERRED,
        roles=_roles(raw) or (),
        organization_id=organization_id,
        created_at=moment(raw.get("created_at")),
        user_id=raw.get("user_id"),
        raw=raw,
    )


def read_summary(raw: Raw, *, organization_id: str) -> Invitation:
    """The invitation of an invited person, as far as the member list shows it.

    Without role or date it is as one whose invitation was not found, so that callers ask for it.
    """
    summary = read_lost_invitation(raw, organization_id=organization_id)
    if summary.roles and summary.created_at:
        open_one = {"state": State.PENDING, "basis": Basis.REPORTED}
        return summary.model_copy(update=open_one)
    return summary


def read_member(raw: Raw) -> Member:
    """A member. `joined_at` is weak: some samples have there when the person was invited."""
    status = plain(named(raw, "status")[1] or "")
    user_id = raw.get("user_id")
    return _new_member(
        id=raw.get("id") or raw["user_id"],
        email=raw["email"],
        name=raw.get("full_name") or raw.get("username"),
        user_id=user_id,
        roles=_roles(raw),
        state=MemberState.INVITED
        if status in INVITED
        else MEMBER_STATES.get(status, MemberState.ACTIVE),
        joined_at=moment(raw.get("joined_at")),
        raw=raw,
    )


def read_member_who_is_in(raw: Raw) -> Member | None:
    """A member, or None for a row of somebody who is merely invited."""
    return None if is_invited(raw) else read_member(raw)


def _roles(raw: Raw) -> tuple[Role, ...] | None:
    id, name = named(raw, "role")
    return None if id is None else (_role(id, name),)


@lru_cache(maxsize=1024)  # a page of members holds few roles many times
def _role(id: str, name: str | None) -> Role:
    return Role(id=id, name=name)


def read_role(raw: Raw) -> Role:
    """A role. What it allows is part of the description: there is nothing else to learn it from."""
    allows = ", ".join(capabilities(raw))
    description = raw.get("description") or ""
    if allows:
        description = f"{description} (allows: {allows})".strip()
    return Role(id=raw["id"], name=raw["name"], description=description or None, raw=raw)


def capabilities(raw: Raw) -> list[str]:
    """What a role allows: `capabilities`, or the SDK's `permissions`, an object or a list."""
    allowed = raw.get("capabilities") or raw.get("permissions") or ()
    if isinstance(allowed, dict):
        return [name for name, granted in allowed.items() if granted]
    return [str(name) for name in allowed]


def read_status(raw: Raw) -> Status:
    """A status of the organization."""
    return Status(id=raw["id"], name=raw["name"], description=raw.get("description"), raw=raw)


def read_bulk(raw: Raw) -> BulkResend:
    """What a bulk operation came to."""
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


@dataclass(frozen=True, slots=True)
class Rows:
    """A part of the member list.

    Attributes:
        items: the rows, unread: some are members and some are invited.
        place: where they were read; ahead of where they were asked for when some have gone.
        next: where the next part is; None at the end.
        total: how many rows there are in all; None where the service does not tell.
    """

    items: list[dict[str, Any]]
    place: Offset
    next: Offset | None
    total: int | None


def read_rows(reply: Response, place: Offset, take: int) -> Rows:
    """The rows of one answer to the member list, and where the next ones start.

    The list ends where the total is reached; without a total, at a part shorter than `take`; and
    at an empty part whatever the total says.
    """
    body = reply.mapping()
    rows = body["users"] if "users" in body else body.get("members")
    if not isinstance(rows, list):
        raise MalformedResponse("the answer has no list of users", status=reply.status)
    end = place.skip + len(rows)
    total = body.get("total_users_count", body.get("total"))
    total = None if total is None else int(total)
    more = len(rows) >= take if total is None else end < total
    return Rows(rows, place, Offset(end, total) if rows and more else None, total)
