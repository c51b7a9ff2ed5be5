"""Reading better-auth's records. Every shape was seen from a running better-auth 1.6.25."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from guestlist.models import Invitation, Member, Role, State

Raw = Mapping[str, Any]

STATES = {
    "pending": State.PENDING,  # an expired one too, for ever
    "accepted": State.ACCEPTED,
    "rejected": State.DECLINED,
    "canceled": State.REVOKED,  # of an accepted one too, while the person stays a member
}
"""The server's words. Any other is `UNKNOWN`."""


@lru_cache(maxsize=1024)
def roles(text: str | None) -> tuple[Role, ...]:
    """The roles of a member or invitation: their names, separated by commas. A role has no id."""
    names = (name.strip() for name in (text or "").split(","))
    return tuple(Role(id=name, name=name) for name in dict.fromkeys(names) if name)


def moment(text: str | None) -> datetime | None:
    """A date of the server; UTC where it does not say."""
    if not text:
        return None
    date = datetime.fromisoformat(text)
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def invitation(raw: Raw) -> Invitation:
    """An invitation. Its id is what the mail's link holds, and every member may list it."""
    word = raw["status"]
    return Invitation(
        id=raw["id"],
        email=raw["email"],
        state=STATES.get(word, State.UNKNOWN),
        raw_state=word,
        roles=roles(raw.get("role")),
        organization_id=raw.get("organizationId"),
        created_at=moment(raw.get("createdAt")),
        expires_at=moment(raw.get("expiresAt")),
        invited_by=raw.get("inviterId"),
        raw=raw,
    )


def member(raw: Raw) -> Member:
    """A member; the person is nested in `user`."""
    user = raw["user"]
    return Member(
        id=raw["id"],
        email=user["email"],
        name=user.get("name"),
        user_id=raw.get("userId"),
        roles=roles(raw.get("role")),
        joined_at=moment(raw.get("createdAt")),
        raw=raw,
    )
