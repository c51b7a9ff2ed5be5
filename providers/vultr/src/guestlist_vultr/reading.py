"""What Vultr answers, as normalized values.

Vultr's sources disagree about almost every shape: its guides, its Go client (govultr 3.32, which
Vultr ships and runs) and its OpenAPI document (whose IAM part is labelled pre-release). Everything
that any of them describes is read here. A record of quite another shape fails with `KeyError`,
`TypeError` or `ValueError`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic_core import from_json

from guestlist.errors import MalformedResponse
from guestlist.models import MEMBERSHIPS, Invitation, Member, MemberState, Role, State, constructor
from guestlist.provider import Page, Response

T = TypeVar("T")
Raw = dict[str, Any]
"""A record as Vultr sent it."""

_new_invitation = constructor(Invitation)
_new_member = constructor(Member)

# ---------------------------------------------------------------------------- values


def moment(value: str | None) -> datetime | None:
    """A moment; UTC where no zone is told, as in some of Vultr's objects outside IAM.

    Unset is an empty string in govultr; null is read the same way, and so is a moment in the year 0
    or 1: how databases write one that never was (not seen from Vultr).
    """
    if not value:
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        if value.startswith("0000-"):  # Python has no such year
            return None
        raise
    if read.year == 1:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def text(value: object) -> str | None:
    """The value of a field, if it is a text and not empty."""
    return value if value and isinstance(value, str) else None


def identifier(raw: Raw, *names: str) -> str:
    """The first of the fields that holds an id. Ids are opaque: UUIDs, older users 13 hex digits.

    Raises:
        KeyError: there is none.
    """
    for name in names:
        value = raw.get(name)
        if value and type(value) in (str, int):
            return str(value)
    raise KeyError(names[0])


_YES = frozenset({"yes", "true", "1"})
_NO = frozenset({"no", "false", "0"})


def flag(value: Any) -> bool | None:
    """A yes or no: Vultr's guide writes words, govultr booleans. None for anything else."""
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    return True if word in _YES else False if word in _NO else None


def api_enabled(raw: Raw) -> bool:
    """Whether an invitation grants use of the API.

    `permissions` is an object in govultr and a string in the OpenAPI document; what the string
    holds is not described, so JSON and plain words are read. Absent counts as not granted.
    """
    permissions = raw.get("permissions")
    if isinstance(permissions, str) and permissions.lstrip().startswith("{"):
        permissions = from_json(permissions)
    if isinstance(permissions, dict):
        permissions = permissions.get("api_enabled")
    return flag(permissions) or False


# ---------------------------------------------------------------------------- lists


def content(body: Any, *names: str) -> Any:
    """What a list answer is about: the value under the first of `names` that is there, or the
    answer itself where it is a bare list. An unset list is null in JSON made by Go: read as empty.

    Raises:
        MalformedResponse: there is nothing of that name.
    """
    if isinstance(body, list):
        return body
    if isinstance(body, dict):
        for name in names:
            if name in body:
                return [] if body[name] is None else body[name]
    raise MalformedResponse(f"the answer has no list of {names[0]}")


def records(value: Any) -> list[Raw]:
    """The value, which has to be a list of objects, or null for an empty one.

    Raises:
        TypeError: it is something else.
    """
    if value is None:
        return []
    if isinstance(value, list) and set(map(type, value)) <= {dict}:
        return value
    raise TypeError("expected a list of objects")


def next_cursor(body: Any) -> str | None:
    """Where the next page starts: None at the end, which Vultr marks with an empty text.

    Null, no `links` and no `meta` end a list too. Anything else in their place is an error: to
    read it as the end would hide the rest of the list.
    """
    links = _part(_part(body, "meta"), "links")
    following = _part(links, "next")
    if following is None or isinstance(following, str):
        return following or None
    raise TypeError("meta.links.next is no text")


def _part(value: Any, name: str) -> Any:
    if not value or isinstance(value, list):  # a bare list has no meta; PHP writes {} as []
        return None
    if isinstance(value, dict):
        return value.get(name)
    raise TypeError(f"expected an object that may hold {name}")


def page(
    response: Response,
    *names: str,
    read: Callable[[Raw], T | None],
    email: str = "email",
    section: str = "",
) -> Page[T]:
    """Reads one page of a list.

    Args:
        names: what the list may be called; the records may be bare as well.
        read: reads a record; returns None to leave it out.
        email: the field with the address that a record is about.
        section: which of several lists it is.
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
"""The documented words. No source spells those for expired, declined or withdrawn."""


def invitation_state(word: str | None) -> State:
    """The state that Vultr's word means.

    The undocumented words are recognized by how they would have to begin or sound; whatever fits
    nothing is unknown.
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
    """An invitation. Its `api_enabled` stays in `raw`.

    The guides speak of `invite_status`, Terraform publishes `status`, govultr has `status_full`
    besides; they are read in this order.
    """
    told = raw.get
    word = text(told("invite_status")) or text(told("status")) or text(told("status_full"))
    email = text(told("email_invited")) or text(told("email_registered"))
    return _new_invitation(
        id=identifier(raw, "id", "uuid"),
        email=email or raw["email_invited"],
        state=invitation_state(word),
        raw_state=word,
        organization_id=text(told("org_id")),
        organization=text(told("org_name")),
        created_at=moment(told("date_created")),
        expires_at=moment(told("expiration_date")),
        responded_at=moment(told("date_responded")),
        invited_by=text(told("inviter_email")) or text(told("inviter_name")),
        raw=raw,
    )


_MEMBER_STATES = {
    # the OpenAPI document: pending, active, suspended, closed
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
        raw: a user, in the shape of the user list, of the suspended users or of a group's members.
            Taken literally, the OpenAPI document wraps each user of a list in `user`.
        state: the state, if the list that the user comes from determines it.
    """
    raw = _unwrapped(raw)
    return _new_member(
        id=identifier(raw, "id", "uuid"),  # the guide to suspending speaks of a uuid
        email=raw.get("email") or "",
        name=text(raw.get("name")) or text(raw.get("display_name")) or _full_name(raw),
        state=state or _member_state(raw),
        service=flag(raw.get("service_user")) or False,
        raw=raw,
    )


def _unwrapped(raw: Raw) -> Raw:
    return raw["user"] if isinstance(raw.get("user"), dict) else raw


def member_who_is_in(raw: Raw) -> Member | None:
    """A user of the organization, or None for one who was invited and has not accepted, or whose
    account is closed."""
    found = member(raw)
    return found if found.state in MEMBERSHIPS else None


def _full_name(raw: Raw) -> str | None:
    names = (text(raw.get("first_name")), text(raw.get("last_name")))
    return " ".join(filter(None, names)) or None


def _member_state(raw: Raw) -> MemberState:
    """Reads the state from `status` and `invite_accepted`, which govultr lacks.

    A `status` decides. Without one, `invite_accepted: false` means that the person was invited and
    has not accepted; service users are never invited. Whether Vultr lists such people is not
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
    """Whether a user has the ACL `manage_users`, which makes an administrator (Vultr's guides)."""
    acls = (raw or {}).get("acls")
    return isinstance(acls, list) and "manage_users" in acls


ASSUMABLE = "it is an assumable role, which users take for a time through a role trust"
"""Why a role of the type `assumable` is not assigned (guide "Who or what can a role be assigned
to?")."""


def role(raw: Raw, kind: str) -> Role:
    """A group, role or policy, as itself or as one side of a relationship.

    Raises:
        KeyError: it has no id.
    """
    return Role(
        id=identifier(raw, "id", f"{kind}_id"),
        # a group has display_name; so have roles where govultr reads them from a group
        name=text(raw.get("display_name"))
        or text(raw.get("name"))
        or text(raw.get(f"{kind}_name")),
        kind=kind,
        description=text(raw.get("description")) or text(raw.get(f"{kind}_description")),
        not_assignable=ASSUMABLE if raw.get("role_type") == "assumable" else None,
        raw=raw,
    )


def role_that_exists(raw: Raw, kind: str) -> Role | None:
    """A group, role or policy, or None for a group that was deleted and can be restored (the
    OpenAPI document): it grants nothing."""
    return None if is_deleted(raw) else role(raw, kind)


def is_deleted(raw: Raw) -> bool:
    """Whether a group was deleted."""
    return raw.get("status") == "deleted"
