"""`Action` and `Change`: the entries of a plan and of a ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import Field

from guestlist.models import Invitation, Member, Model, Role, State


class Action(StrEnum):
    """An action on one person in one account. The values are in the order of execution."""

    INVITE = "invite"
    RESEND = "resend"
    """Sends the email of an expired invitation again."""
    REPLACE = "replace"
    """Revokes an open invitation and sends a new one, because its roles or options cannot be
    changed."""
    ASSIGN_ROLE = "assign_role"
    """Gives a role to a member, or to an open invitation that the service can change."""
    SETTLE = "settle"
    """Completes a deferred grant: assigns the role to a person who has accepted."""
    UNASSIGN_ROLE = "unassign_role"
    """Takes a role from a member, or from an open invitation that the service can change."""
    REVOKE = "revoke"
    REMOVE = "remove"
    WITHDRAW = "withdraw"
    """Cancels a deferred grant. Sends no request."""
    DEFER = "defer"
    """Records deferred grants for a person who is already invited. Sends no request."""
    UNRESOLVED = "unresolved"
    """The outcome of an earlier email is unknown. Sends no request until `retry_unknown` is set."""
    CANNOT = "cannot"
    """The service does not support the change, or a policy forbids it. See `Change.reason`."""


SENDS_EMAIL = frozenset({Action.INVITE, Action.RESEND, Action.REPLACE})
"""The actions that send an email to the person."""
WITHDRAWALS = frozenset({Action.UNASSIGN_ROLE, Action.REVOKE, Action.REMOVE})
"""The actions that remove access. They are executed last."""
IMPOSSIBLE = frozenset({Action.UNRESOLVED, Action.CANNOT})
"""The actions that a run skips."""
UNFOUNDED = IMPOSSIBLE | {Action.WITHDRAW}
"""The actions that do not depend on the state at the service and send no request."""
ORDER = {action: place for place, action in enumerate(Action)}
SEAT_FIRST = -1
"""The place of a change that frees a seat for the invitations of the same run."""


RoleRef = Role | str
"""A role with its id, kind and name, as it was when the change was decided. A string is a name from
a ledger of version 0.1, which stored no ids."""


class Unresolved(NamedTuple):
    """An earlier email whose outcome is unknown.

    Attributes:
        action: the action that sent the request.
        at: the time of the request, in seconds since 1970.
        why: the error, or another description of the request.
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
    """One change for one person in one account, and the state that it is based on.

    `state`, `invitation` and `member` are the basis of the change: if they are out of date, it must
    not be made. Neither record contains secrets or the raw record of the service.
    """

    action: Action
    account: str
    email: str
    """The address as typed in the roster, or as the service returns it if the person is not in the
    roster. Empty for a problem that concerns the whole account."""
    key: str
    """The text by which people are compared (`Guest.key`): usually the address in its normal
    form."""
    login: str | None = None
    """The person's login at the service, if it is known."""
    roles: tuple[RoleRef, ...] = ()
    """For `invite` and `replace`, the roles that the invitation offers. For `assign_role`,
    `unassign_role`, `settle` and `withdraw`, the one role."""
    deferred: tuple[RoleRef, ...] = ()
    """Deferred grants: roles that the service accepts only after the invitation was accepted. For
    `withdraw`, the roles to defer instead. For `defer`, the roles to record."""
    options: dict[str, Any] = Field(default_factory=dict)
    """The provider's options of an invitation."""
    reason: str = ""
    """The reason for the change, for people."""
    state: State = State.GONE
    """The state of the person when the plan was made."""
    invitation: Invitation | None = None
    """The person's current invitation when the plan was made, without secrets."""
    invitations: tuple[Invitation, ...] = ()
    """The open invitations that the change withdraws or replaces, without secrets."""
    member: Member | None = None
    single: bool = False
    """Whether a single call such as `invite` asked for the change, and not a roster."""
    prepared: bool = False
    """Whether an earlier attempt has created a record of the person without sending the email, so
    that it does not count as an invitation (`Effect.PREPARE`)."""
    frees_seat: bool = False
    """Whether a run makes the change before it invites others, because the service limits the
    number of people."""
    until: datetime | None = None
    """The time at which the roster's requirements for the person change, so that this change is out
    of date; None for never."""

    @property
    def place(self) -> int:
        """The position in the order of execution."""
        first = self.frees_seat and self.action in (Action.REVOKE, Action.REMOVE)
        return SEAT_FIRST if first else ORDER[self.action]

    @property
    def label(self) -> str:
        """The name of the person in messages: the address, else the login or the id. Empty for a
        problem that concerns the whole account."""
        return self.email or self.login or self.key

    @property
    def who(self) -> str:
        """The person as calls take it: the address, else the login with a leading `@`. Empty if
        neither is known."""
        return self.email or (f"@{self.login}" if self.login else "")

    def deferred_changes(self) -> tuple[Change, ...]:
        """Returns a `settle` change for each deferred grant, to execute after acceptance."""
        return tuple(
            Change(
                action=Action.SETTLE,
                account=self.account,
                email=self.email,
                login=self.login,
                key=self.key,
                roles=(role,),
                single=self.single and self.action is not Action.WITHDRAW,
            )
            for role in self.deferred
        )


def reference(role: Role) -> Role:
    """Returns a role reduced to its id, kind and name."""
    return Role(id=role.id, kind=role.kind, name=role.name)


def label(role: RoleRef) -> str:
    """Returns the name of a role for people: `Member`, `group:Engineering`."""
    return role if isinstance(role, str) else role.label


def role_key(role: RoleRef) -> str:
    """Returns a text that identifies a role within its account: `group:1a2b`."""
    return role if isinstance(role, str) else f"{role.kind}:{role.id}"


def without_secrets(invitation: Invitation) -> Invitation:
    """Returns the invitation without its link and key, so that it may be stored."""
    if invitation.link is None and invitation.key is None:
        return invitation
    return invitation.model_copy(update={"link": None, "key": None})
