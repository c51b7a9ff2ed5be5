"""The normalized values: what every service's answers become.

All are frozen. Two kinds of things are kept out of `repr` and of `model_dump`: secrets (`link`,
`key`: they are `SecretStr`, read them with `.get_secret_value()`), and `raw`, the service's own
answer, which may hold secrets too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ParamSpec, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, SerializeAsAny

from guestlist.address import email_key as email_key

P = ParamSpec("P")
M = TypeVar("M", bound="Model")


class State(StrEnum):
    """Where a guest stands."""

    PENDING = "pending"
    """An invitation can still be accepted."""
    AWAITING_APPROVAL = "awaiting_approval"
    """Held in the organization's own approval queue; the invitee was not asked yet."""
    ACCEPTED = "accepted"
    """Is a member."""
    DECLINED = "declined"
    """The invitee said no."""
    EXPIRED = "expired"
    """Lapsed: reported, or past `expires_at` while the service still says pending."""
    REVOKED = "revoked"
    """Withdrawn by the organization."""
    GONE = "gone"
    """The service knows neither an open invitation nor a member."""
    UNKNOWN = "unknown"
    """A word that is not mapped; it is kept in `raw_state`, never guessed."""


OPEN_STATES = frozenset({State.PENDING, State.AWAITING_APPROVAL})
"""The states in which an invitation may still lead to membership."""
MAY_BE_OPEN = OPEN_STATES | {State.UNKNOWN}
"""Those, and a word that nobody knows: whoever invites once more without need mails twice."""


class Basis(StrEnum):
    """How a state is known."""

    REPORTED = "reported"
    """The service says so."""
    DERIVED = "derived"
    """Computed from a date."""
    INFERRED = "inferred"
    """Concluded from another list, such as the members."""


class Outcome(StrEnum):
    """What `invite` or `resend` really did."""

    INVITED = "invited"
    RESENT = "resent"
    ALREADY_INVITED = "already_invited"
    ALREADY_MEMBER = "already_member"
    JOINED = "joined"
    """The service added an existing user at once, without an invitation."""
    AWAITING_APPROVAL = "awaiting_approval"


class RoleOutcome(StrEnum):
    """What `assign_role` or `unassign_role` really did."""

    ASSIGNED = "assigned"
    ALREADY_ASSIGNED = "already_assigned"
    UNASSIGNED = "unassigned"
    NOT_ASSIGNED = "not_assigned"
    """There was nothing to take away."""


class MemberState(StrEnum):
    """Whether a membership counts."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REMOVED = "removed"
    """Deleted in a way that the service can undo."""
    INVITED = "invited"
    """Listed among the members without having accepted."""


MEMBERSHIPS = frozenset({MemberState.ACTIVE, MemberState.SUSPENDED})
"""The states of somebody who is in the organization."""


KINDS = ("role", "group", "policy")
"""What a service may call something that it grants."""


Id = Annotated[str, Field(coerce_numbers_to_str=True)]
"""What a service calls something by: text. A number is kept as text."""


class Model(BaseModel):
    """What all normalized values have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def constructor(kind: Callable[P, M]) -> Callable[P, M]:
    """What constructs values of a class with the same checks and less work: for whoever reads
    lists, whose pages hold hundreds of them.

    Args:
        kind: a subclass of `Model`.
    """
    validate: Callable[[dict[str, Any]], M] = kind.__pydantic_validator__.validate_python  # type: ignore[attr-defined]

    def construct(*_: P.args, **fields: P.kwargs) -> M:
        return validate(fields)

    return construct


class Answered(Model):
    """A value that was read from a service's answer."""

    raw: Any = Field(default=None, repr=False, exclude=True)
    """The service's own answer, as parsed from JSON. May hold secrets."""

    def __eq__(self, other: object) -> bool:
        """Equal when the normalized fields are: two answers may differ in what nobody reads."""
        if not isinstance(other, type(self)):
            return NotImplemented
        mine, theirs = dict(self.__dict__, raw=None), dict(other.__dict__, raw=None)
        return mine == theirs

    def __hash__(self) -> int:
        return hash((type(self), getattr(self, "id", None)))


class Role(Answered):
    """Anything that can be granted."""

    id: Id
    name: str | None = None
    """None where the service mentions a role by its id alone."""
    kind: str = "role"
    """What the service calls it: one of `KINDS`."""
    description: str | None = None

    @property
    def label(self) -> str:
        """What people know it by: `Engineering`, or `group:Engineering` where kinds differ."""
        name = self.name or self.id
        return name if self.kind == "role" else f"{self.kind}:{name}"


class Invitation(Answered):
    """A service's record of an offer to one address to join one organization."""

    id: Id | None
    """None where a service creates invitations without telling an id."""
    email: str
    """As the service holds it."""
    state: State
    raw_state: Id | None = None
    """The service's own word, if it has one."""
    basis: Basis = Basis.REPORTED
    roles: tuple[Role, ...] = ()
    organization_id: Id | None = None
    organization: str | None = None
    """The organization's name."""
    created_at: datetime | None = None
    expires_at: datetime | None = None
    responded_at: datetime | None = None
    """When the invitee accepted or declined."""
    estimated: frozenset[str] = frozenset()
    """Names of the fields that the service did not tell and that were computed instead."""
    invited_by: Id | None = None
    user_id: Id | None = None
    """The service's id of the invited person, where it makes one before acceptance."""
    link: SecretStr | None = None
    """Whoever has it can accept."""
    key: SecretStr | None = None
    """What the link holds, where the service takes it on its own."""


class Member(Answered):
    """A service's record of a person who is in the organization."""

    id: Id
    """The id by which the service's member calls know the person."""
    email: str
    name: str | None = None
    user_id: Id | None = None
    """The person's id across organizations, where that is another one."""
    roles: tuple[Role, ...] | None = None
    """None where the member record does not tell; `access` does."""
    state: MemberState = MemberState.ACTIVE
    service: bool = False
    """Whether it is a program's login and no person's: it was never invited."""
    joined_at: datetime | None = None


class Guest(Model):
    """One address in one account, and where it stands."""

    account: str
    email: str
    state: State
    basis: Basis = Basis.REPORTED
    raw_state: str | None = None
    invitation: Invitation | None = None
    member: Member | None = None

    @property
    def key(self) -> str:
        """The form of the address by which guests are compared."""
        return email_key(self.email)


class Order(Model):
    """What the caller asked for, checked against the provider and with its roles resolved."""

    email: str
    """As typed."""
    roles: tuple[Role, ...] = ()
    mail: bool = True
    """Whether the service shall send a mail."""
    options: SerializeAsAny[BaseModel] | None = None
    """The provider's own options: an instance of its `Options`."""


class InviteResult(Model):
    """What a call of `invite` or `resend` did."""

    outcome: Outcome
    guest: Guest
    mail_sent: bool | None = None
    """None where nobody can know: no answer came and the invitation was found by looking."""
    role_applied: bool | None = None
    """Whether the wanted roles took effect; None when none were wanted or it cannot be seen."""
    owed: tuple[Role, ...] = ()
    """Roles that the service takes only once the person has accepted. They are in the ledger, and
    `guestlist settle` gives them then."""
    replaced: Invitation | None = None
    """The earlier invitation, when the id changed. Its link is dead where it could be revoked."""
    warnings: tuple[str, ...] = ()


class RoleResult(Model):
    """What a call of `assign_role` or `unassign_role` did."""

    outcome: RoleOutcome
    guest: Guest
    role: Role
    warnings: tuple[str, ...] = ()


class Grant(Model):
    """One role that a person effectively holds."""

    role: Role
    direct: bool = True
    """False when it comes through another role or a group."""
    via: tuple[Role, ...] = ()
    """The roles or groups it comes through, where the service or a look tells."""


class Access(Model):
    """What a person can effectively do."""

    guest: Guest
    grants: tuple[Grant, ...] = ()
    explanation: str | None = None
    """Why there is nothing, and what the person will see; None when there is something."""

    def __bool__(self) -> bool:
        return bool(self.grants)


class Onboarding(Model):
    """What a call of `onboard` did."""

    guest: Guest
    """The member."""
    invited: InviteResult
    """What the invitation was like."""
    granted: tuple[RoleResult, ...] = ()
    """The roles that were wanted, each as it is now held."""
    access: Access | None = None
    """What the person can effectively do; None where the service does not tell."""
    missing: tuple[Role, ...] = ()
    """The wanted roles that are not among what the person can effectively do."""
