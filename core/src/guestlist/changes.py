"""`Action` and `Change`: what a plan consists of, and what a ledger records."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import Field

from guestlist.models import Invitation, Member, Model, Role, State


class Action(StrEnum):
    """What is to be done about one person in one account. In the order in which they are done."""

    INVITE = "invite"
    RESEND = "resend"
    """The invitation has expired: its mail goes out again."""
    REPLACE = "replace"
    """What the invitation offers cannot be changed: it is revoked and made anew."""
    ASSIGN = "assign"
    SETTLE = "settle"
    """A role that was owed since the invitation, and can be given now."""
    UNASSIGN = "unassign"
    REVOKE = "revoke"
    REMOVE = "remove"
    WITHDRAW = "withdraw"
    """A role that was owed since the invitation is owed no more: nothing is sent for it."""
    DEFER = "defer"
    """Roles are recorded, to be given after acceptance, for a person who is invited already.
    Nothing is sent."""
    UNRESOLVED = "unresolved"
    """Nobody knows whether an earlier email went out. Nothing is sent until that is confirmed."""
    CANNOT = "cannot"
    """The service has no way to do it, or a policy forbids it; `reason` tells."""


MAILS = frozenset({Action.INVITE, Action.RESEND, Action.REPLACE})
"""The actions by which a person gets a mail."""
WITHDRAWALS = frozenset({Action.UNASSIGN, Action.REVOKE, Action.REMOVE})
"""The actions that take something away. They come last."""
IMPOSSIBLE = frozenset({Action.UNRESOLVED, Action.CANNOT})
"""The actions that a run leaves out."""
UNFOUNDED = IMPOSSIBLE | {Action.WITHDRAW}
"""The actions that rest on nothing that a service holds, and for which nothing is sent."""
ORDER = {action: place for place, action in enumerate(Action)}


RoleRef = Role | str
"""A role with its id, kind and name, as it was when the change was decided. A string is a name from
a ledger of version 0.1, which stored no ids."""


class Unresolved(NamedTuple):
    """An earlier email of which nobody knows whether it went out.

    Attributes:
        action: the one that was to send it.
        at: when the request was sent, in seconds since 1970.
        why: the error, or other words about the request.
    """

    account: str
    key: str
    action: Action
    at: float
    why: str

    def __str__(self) -> str:
        when = datetime.fromtimestamp(self.at, UTC)
        because = f" ({self.why})" if self.why else ""
        return f"{self.action} was sent on {when:%Y-%m-%d %H:%M} UTC, outcome unknown{because}"


class Change(Model):
    """What is to be done about one person in one account, and what was seen there before.

    `state`, `invitation` and `member` are what the change rests on: if they hold no longer, it must
    not be made. Both records are without the service's own answer and without secrets.
    """

    action: Action
    account: str
    email: str
    """As typed in the roster; as the service holds it where the roster does not name the person.
    Empty for what cannot be done for anybody in the account."""
    key: str
    roles: tuple[RoleRef, ...] = ()
    """For `invite` and `replace` the roles that the invitation offers; for `assign`, `settle`,
    `unassign` and `withdraw` the one role."""
    owed: tuple[RoleRef, ...] = ()
    """Deferred grants: roles that the service takes only after acceptance. For `withdraw`: roles
    that are deferred instead. For `defer`: roles that are recorded."""
    options: dict[str, Any] = Field(default_factory=dict)
    """The provider's own options of an order."""
    reason: str = ""
    """Why, in a few words for people."""
    state: State = State.GONE
    """Where the person stood."""
    invitation: Invitation | None = None
    """The invitation that counted, without secrets."""
    member: Member | None = None
    single: bool = False
    """Whether a single call such as `invite` asked for it, and not a roster."""
    until: datetime | None = None
    """Moment from which on the roster wants something else than when the plan was made; None for
    never."""

    def owed_roles(self) -> tuple[Change, ...]:
        """The orders to give the roles that the invitation cannot carry, once it is accepted."""
        return tuple(
            Change(
                action=Action.SETTLE,
                account=self.account,
                email=self.email,
                key=self.key,
                roles=(role,),
                single=self.single and self.action is not Action.WITHDRAW,
            )
            for role in self.owed
        )


def reference(role: Role) -> Role:
    """Return what identifies a role: its id and kind, and its name for people."""
    return Role(id=role.id, kind=role.kind, name=role.name)


def label(role: RoleRef) -> str:
    """Return what people call a role: `Member`, `group:Engineering`."""
    return role if isinstance(role, str) else role.label


def role_key(role: RoleRef) -> str:
    """Return a text that identifies a role within its account: `group:1a2b`."""
    return role if isinstance(role, str) else f"{role.kind}:{role.id}"


def without_secrets(invitation: Invitation) -> Invitation:
    """Return the invitation without its link and key, so that it may be stored."""
    if invitation.link is None and invitation.key is None:
        return invitation
    return invitation.model_copy(update={"link": None, "key": None})
