"""Converts Vultr's answers to normalized values.

Vultr's sources disagree about almost every shape: its guides, its Go client (govultr 3.32, which
Vultr ships and runs) and its OpenAPI document (whose IAM part is labelled pre-release). This module
reads every shape that one of them describes. For any other shape it raises `KeyError`, `TypeError`
or `ValueError`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic_core import from_json

from guestlist.errors import MalformedResponse
from guestlist.models import MEMBERSHIPS, Invitation, Member, MemberState, Role, State
from guestlist.provider import Page, Response, parse_datetime

T = TypeVar("T")
Raw = dict[str, Any]
"""A record as Vultr sent it."""

# ---------------------------------------------------------------------------- values


def text(value: object) -> str | None:
    """Returns the value if it is a string and not empty, otherwise None."""
    return value if value and isinstance(value, str) else None


def identifier(raw: Raw, *names: str) -> str:
    """Returns the first id among the named fields. Ids are opaque: UUIDs, or 13 hexadecimal digits
    for older users.

    Raises:
        KeyError: none of the fields contains an id.
    """
    for name in names:
        value = raw.get(name)
        if value and type(value) in (str, int):
            return str(value)
    raise KeyError(names[0])


_YES = frozenset({"yes", "true", "1"})
_NO = frozenset({"no", "false", "0"})


def flag(value: Any) -> bool | None:
    """Parses a boolean: Vultr's guide uses words such as "yes", govultr JSON booleans. Returns None
    for any other value."""
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    return True if word in _YES else False if word in _NO else None


def api_enabled(raw: Raw) -> bool:
    """Returns whether an invitation allows the person to use the API.

    `permissions` is an object in govultr and a string in the OpenAPI document, which does not
    describe the content of the string. So JSON and plain words are both read. A missing value means
    False.
    """
    permissions = raw.get("permissions")
    if isinstance(permissions, str) and permissions.lstrip().startswith("{"):
        permissions = from_json(permissions)
    if isinstance(permissions, dict):
        permissions = permissions.get("api_enabled")
    return flag(permissions) or False


# ---------------------------------------------------------------------------- lists


def content(body: Any, *names: str) -> Any:
    """Returns the content of a list answer: the value of the first of the fields `names` that
    exists, or the answer itself if it is a list. A null, which Go writes for an unset list, becomes
    an empty list.

    Raises:
        MalformedResponse: the answer has none of these fields.
    """
    if isinstance(body, list):
        return body
    if isinstance(body, dict):
        for name in names:
            if name in body:
                return [] if body[name] is None else body[name]
    raise MalformedResponse(f"the answer has no list of {names[0]}")


def records(value: Any) -> list[Raw]:
    """Returns the value as a list of objects; null is an empty list.

    Raises:
        TypeError: the value is not a list of objects.
    """
    if value is None:
        return []
    if isinstance(value, list) and set(map(type, value)) <= {dict}:
        return value
    raise TypeError("expected a list of objects")


def next_cursor(body: Any) -> str | None:
    """Returns the cursor of the next page, or None on the last page, where Vultr sends an empty
    string.

    A missing or null `next`, `links` or `meta` also means the last page. Any other value raises
    TypeError: reading it as the end would hide the rest of the list.
    """
    links = _part(_part(body, "meta"), "links")
    following = _part(links, "next")
    if following is None or isinstance(following, str):
        return following or None
    raise TypeError("meta.links.next is not a string")


def _part(value: Any, name: str) -> Any:
    if not value or isinstance(value, list):  # PHP encodes {} as []
        return None
    if isinstance(value, dict):
        return value.get(name)
    raise TypeError(f"expected an object that may contain {name}")


def page(
    response: Response,
    *names: str,
    read: Callable[[Raw], T | None],
    email: str = "email",
    section: str = "",
) -> Page[T]:
    """Reads one page of a list.

    Args:
        response: the answer.
        names: the possible names of the field with the list. The answer may also be the list
            itself.
        read: a function that reads a record; it returns None to leave the record out.
        email: the field with the email address of the person that a record is about.
        section: the name of the list, if an operation reads several.
    """
    body = response.json()
    found = content(body, *names)
    if not isinstance(found, list):
        raise TypeError("expected a list of objects")
    total = _part(_part(body, "meta"), "total")
    return Page.of(
        found,
        read,
        next_cursor(body),
        total if type(total) is int else None,
        email=lambda raw: _unwrapped(raw)[email],
        section=section,
    )


# ---------------------------------------------------------------------------- records

INVITATION_STATES = {
    "Pending": State.PENDING,  # Vultr's guides to inviting and resending
    "Accepted": State.ACCEPTED,  # the guide to inviting
}
"""The documented states. No source has the words for expired, declined or withdrawn invitations."""


def invitation_state(word: str | None) -> State:
    """Returns the state for Vultr's word.

    Undocumented words are recognized by their likely beginnings or parts, such as "expir". Any
    other word is UNKNOWN.
    """
    state = INVITATION_STATES.get(word or "")
    if state is not None:
        return state
    lower = (word or "").strip().lower()
    if lower.startswith("expir"):
        return State.EXPIRED
    if "declin" in lower or "reject" in lower:
        return State.DECLINED
    return INVITATION_STATES.get(lower.capitalize(), State.UNKNOWN)


def invitation(raw: Raw) -> Invitation:
    """Reads an invitation. Its `api_enabled` stays in `raw`.

    The state is in `invite_status` according to the guides, in `status` according to Terraform, and
    also in `status_full` according to govultr. The first of these that exists is used.
    """
    get = raw.get
    word = text(get("invite_status")) or text(get("status")) or text(get("status_full"))
    email = text(get("email_invited")) or text(get("email_registered"))
    return Invitation(
        id=identifier(raw, "id", "uuid"),
        email=email or raw["email_invited"],
        state=invitation_state(word),
        raw_state=word,
        organization_id=text(get("org_id")),
        organization=text(get("org_name")),
        created_at=parse_datetime(get("date_created")),
        expires_at=parse_datetime(get("expiration_date")),
        responded_at=parse_datetime(get("date_responded")),
        invited_by=text(get("inviter_email")) or text(get("inviter_name")),
        raw=raw,
    )


_MEMBER_STATES = {
    # The OpenAPI document lists pending, active, suspended and closed.
    "pending": MemberState.INVITED,
    "active": MemberState.ACTIVE,
    "suspended": MemberState.SUSPENDED,
    "closed": MemberState.REMOVED,
    "deleted": MemberState.REMOVED,
    "removed": MemberState.REMOVED,
}


def member(raw: Raw, state: MemberState | None = None) -> Member:
    """Reads a user of the organization, regular or service. Service users may have no address.

    Args:
        raw: a user from the list of users, the suspended users or the members of a group. The
            OpenAPI document, taken literally, wraps each user of a list in `user`.
        state: the state, if the list that the user comes from determines it.
    """
    raw = _unwrapped(raw)
    return Member(
        id=identifier(raw, "id", "uuid"),  # the guide to suspending calls it uuid
        email=raw.get("email") or "",
        name=text(raw.get("name")) or text(raw.get("display_name")) or _full_name(raw),
        state=state or _member_state(raw),
        service=flag(raw.get("service_user")) or False,
        raw=raw,
    )


def _unwrapped(raw: Raw) -> Raw:
    return raw["user"] if isinstance(raw.get("user"), dict) else raw


def member_who_is_in(raw: Raw) -> Member | None:
    """Reads a user of the organization. Returns None for a user who was invited and has not
    accepted, or whose account is closed."""
    found = member(raw)
    return found if found.state in MEMBERSHIPS else None


def _full_name(raw: Raw) -> str | None:
    names = (text(raw.get("first_name")), text(raw.get("last_name")))
    return " ".join(filter(None, names)) or None


def _member_state(raw: Raw) -> MemberState:
    """Reads the state from `status` and `invite_accepted`, which govultr does not have.

    `status` has precedence. Without it, `invite_accepted: false` means that the person was invited
    and has not accepted; service users are never invited. Whether Vultr lists invited people is not
    verified.
    """
    lower = (text(raw.get("status")) or "").strip().lower()
    if lower in _MEMBER_STATES:
        return _MEMBER_STATES[lower]
    if "pending" in lower or "invite" in lower:
        return MemberState.INVITED
    if flag(raw.get("invite_accepted")) is False and not flag(raw.get("service_user")):
        return MemberState.INVITED
    off = raw.get("date_suspended") or flag(raw.get("active")) is False
    return MemberState.SUSPENDED if off else MemberState.ACTIVE


def manages_users(raw: Raw | None) -> bool:
    """Returns whether a user has the ACL `manage_users`, which makes the user an administrator
    (Vultr's guides)."""
    acls = (raw or {}).get("acls")
    return isinstance(acls, list) and "manage_users" in acls


ASSUMABLE = "it is an assumable role, which users assume for a time through a role trust"
"""Why a role of the type `assumable` cannot be assigned (guide "Who or what can a role be assigned
to?")."""


def role(raw: Raw, kind: str) -> Role:
    """Reads a group, role or policy from its own record, or from a record of its relation to
    something else.

    Raises:
        KeyError: the record has no id.
    """
    return Role(
        id=identifier(raw, "id", f"{kind}_id"),
        # Groups have display_name, and so do the roles that govultr reads from a group.
        name=text(raw.get("display_name"))
        or text(raw.get("name"))
        or text(raw.get(f"{kind}_name")),
        kind=kind,
        description=text(raw.get("description")) or text(raw.get(f"{kind}_description")),
        not_assignable=ASSUMABLE if raw.get("role_type") == "assumable" else None,
        raw=raw,
    )


def role_that_exists(raw: Raw, kind: str) -> Role | None:
    """Reads a group, role or policy. Returns None for a deleted group, which Vultr lists because it
    can be restored (the OpenAPI document): it grants nothing."""
    return None if is_deleted(raw) else role(raw, kind)


def is_deleted(raw: Raw) -> bool:
    """Returns whether a group was deleted."""
    return raw.get("status") == "deleted"
