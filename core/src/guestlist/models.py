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
    """Where a guest stands.

    Attributes:
        PENDING: an invitation can still be accepted.
        AWAITING_APPROVAL: held in the organization's own approval queue; the invitee was not asked
            yet.
        ACCEPTED: is a member.
        DECLINED: the invitee said no.
        EXPIRED: lapsed, as the service says, or past `expires_at` while it still says pending.
        REVOKED: withdrawn by the organization.
        GONE: the service knows neither an open invitation nor a member. Not for invitations.
        UNKNOWN: a word that is not mapped; it is kept in `raw_state`, never guessed. Or nobody can
            tell whether the service holds anything: `Guest.incomplete` says why.
    """

    PENDING = "pending"
    AWAITING_APPROVAL = "awaiting_approval"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    REVOKED = "revoked"
    GONE = "gone"
    UNKNOWN = "unknown"


OPEN_STATES = frozenset({State.PENDING, State.AWAITING_APPROVAL})
"""The states in which an invitation may still lead to membership."""
MAY_BE_OPEN = OPEN_STATES | {State.UNKNOWN}
"""Those, and a word that nobody knows: whoever invites once more without need mails twice."""


class Basis(StrEnum):
    """How a state is known.

    Attributes:
        REPORTED: the service says so.
        DERIVED: computed from a date.
        INFERRED: concluded from another list, such as the members.
    """

    REPORTED = "reported"
    DERIVED = "derived"
    INFERRED = "inferred"


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
    """Whether a membership counts: ACTIVE and SUSPENDED do.

    Attributes:
        ACTIVE: in the organization.
        SUSPENDED: in the organization, and locked out for now.
        REMOVED: deleted in a way that the service can undo. Only `find_member` and `get_member`
            return such a record; the list of members leaves it out.
        INVITED: listed among the members without having accepted. Only `find_member` and
            `get_member` return such a record; the list of members leaves it out.
    """

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REMOVED = "removed"
    INVITED = "invited"


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
    """A value that was read from a service's answer.

    Attributes:
        raw: the service's own answer, as parsed from JSON; None where nobody needs it. May hold
            secrets, so that neither `repr` nor a dump shows it.
    """

    raw: Any = Field(default=None, repr=False, exclude=True)

    def __eq__(self, other: object) -> bool:
        """Equal when the normalized fields are: two answers may differ in what nobody reads."""
        if not isinstance(other, type(self)):
            return NotImplemented
        mine, theirs = dict(self.__dict__, raw=None), dict(other.__dict__, raw=None)
        return mine == theirs

    def __hash__(self) -> int:
        return hash((type(self), getattr(self, "id", None)))


class Role(Answered):
    """Anything that can be granted.

    Attributes:
        id: what the service's calls take.
        name: what people know it by; None where the service mentions a role by its id alone.
        kind: what the service calls it: `role`, `group` or `policy`. Ids are told apart within a
            kind.
        description: what it is for, in the service's words; None where it does not say.
        not_assignable: why the service does not assign it to members, as the end of a sentence,
            such as "it is assumed for a time"; None if it does.
        raw: the service's own record; None where there is none.
    """

    id: Id
    name: str | None = None
    kind: str = "role"
    description: str | None = None
    not_assignable: str | None = None

    @property
    def label(self) -> str:
        """What people know it by: `Engineering`, or `group:Engineering` where kinds differ."""
        name = self.name or self.id
        return name if self.kind == "role" else f"{self.kind}:{name}"


class Invitation(Answered):
    """A service's record of an offer to one address to join one organization.

    Attributes:
        id: what the service's calls take; None where it creates invitations without telling an id.
            Then only its address leads back to it.
        email: as the service holds it.
        state: where it stands: never ACCEPTED or PENDING because nothing is told, but UNKNOWN.
        raw_state: the service's own word, also where it is unknown; None where it tells none.
        basis: how the state is known. A provider leaves it, unless no word of the service tells the
            state and something else does.
        roles: what it offers; empty where that is nothing, or is not told.
        organization_id: the organization that it is for; None where the service does not say.
        organization: that organization's name; None where the service does not say.
        created_at: aware; None where the service does not say.
        expires_at: until when it can be accepted, aware; None where the service does not say:
            guestlist then counts `Provider.lifetime` from `created_at`.
        responded_at: when the invitee accepted or declined, aware; None before, or where the
            service does not say.
        estimated: names of the fields that the service did not tell and that were computed
            instead. guestlist adds those that it computes; a provider names only its own.
        invited_by: an address, a name or an id; None where the service does not say.
        user_id: the service's id of the invited person, where it makes one before acceptance;
            None elsewhere.
        link: whoever has it can accept; None where the service sends it by mail alone.
        key: what the link holds, where the service takes it on its own; None elsewhere.
        is_new_user: whether the invited person had no account on the service yet; None where it
            does not say, and in records that were read later.
        raw: the service's own record; None where there is none.
    """

    id: Id | None
    email: str
    state: State
    raw_state: Id | None = None
    basis: Basis = Basis.REPORTED
    roles: tuple[Role, ...] = ()
    organization_id: Id | None = None
    organization: str | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    responded_at: datetime | None = None
    estimated: frozenset[str] = frozenset()
    invited_by: Id | None = None
    user_id: Id | None = None
    link: SecretStr | None = None
    key: SecretStr | None = None
    is_new_user: bool | None = None


class Member(Answered):
    """A service's record of a person who is in the organization.

    Attributes:
        id: the id by which the service's member calls know the person.
        email: as the service holds it.
        name: of the person; None or empty where the service has none.
        user_id: the person's id across organizations, where that is another one; None elsewhere.
        roles: what the person holds directly; empty where that is nothing, and None where the
            member record does not tell: `access` is asked then.
        state: whether the membership counts.
        service: whether it is a program's login and no person's: it was never invited, and a plan
            leaves it alone.
        joined_at: aware; None where the service does not say.
        raw: the service's own record; None where there is none.
    """

    id: Id
    email: str
    name: str | None = None
    user_id: Id | None = None
    roles: tuple[Role, ...] | None = None
    state: MemberState = MemberState.ACTIVE
    service: bool = False
    joined_at: datetime | None = None


class Guest(Model):
    """One address in one account, and where it stands: what callers get.

    Attributes:
        account: the account's name.
        email: as the caller wrote it.
        state: concluded from both records.
        basis: how the state is known.
        raw_state: the service's word for the state of the invitation; None where it tells none.
        invitation: of several the one that counts: an open one, else the latest; None where there
            is none.
        member: None where the person is no member.
        incomplete: why the service may hold more about the person than the records show: a list
            has a record that cannot be read and may be theirs. Then nothing proves their absence,
            and `state` is UNKNOWN where it would be GONE. None if all records were read.
    """

    account: str
    email: str
    state: State
    basis: Basis = Basis.REPORTED
    raw_state: str | None = None
    invitation: Invitation | None = None
    member: Member | None = None
    incomplete: str | None = None

    @property
    def key(self) -> str:
        """The form of the address by which guests are compared."""
        return email_key(self.email)


class Order(Model):
    """What the caller asked for, checked against the provider.

    Attributes:
        email: as typed.
        roles: as many as `Provider.least_roles` and `most_roles` allow, each as the provider's
            `roles` lists it, name and kind included. Where there is no such list, where the caller
            made the `Role`, or in an order made anew by `order_of`, the `id` may be all there is.
        mail: whether the service shall send a mail; False only with `Provider.can_suppress_mail`.
        options: the provider's own options: an instance of its `Options`, with the defaults where
            the caller named none; None in an order that `order_of` makes without any.
    """

    email: str
    roles: tuple[Role, ...] = ()
    mail: bool = True
    options: SerializeAsAny[BaseModel] | None = None


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
    """One role that a person effectively holds.

    Attributes:
        role: what is held.
        direct: False when it comes through another role or a group, and nobody gave it as such.
        via: the roles or groups it comes through, where the service or a look tells; empty
            elsewhere.
    """

    role: Role
    direct: bool = True
    via: tuple[Role, ...] = ()


class Access(Model):
    """What a person can effectively do. True in a condition if it is `effective`."""

    guest: Guest
    grants: tuple[Grant, ...] = ()
    effective: bool = False
    """Whether what the person holds allows anything. A group without any policy allows nothing."""
    explanation: str | None = None
    """What the person lacks and will see, and why; None if nothing is known to be lacking."""

    def __bool__(self) -> bool:
        return self.effective


class OwnAccess(Model):
    """What the owner of an account's API key can effectively do."""

    account: str
    grants: tuple[Grant, ...] = ()
    effective: bool = False
    """Whether what the owner holds allows anything."""
    explanation: str | None = None
    """What the owner lacks and will see, and why; None if nothing is known to be lacking."""


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
