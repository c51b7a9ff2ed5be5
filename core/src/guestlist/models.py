"""The normalized values that the answers of all services are converted to.

All are frozen. `repr` and `model_dump` leave out `raw`, the service's own answer, because it may
contain secrets. They mask `link` and `key`, which are `SecretStr`: read them with
`.get_secret_value()`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, SerializeAsAny

from guestlist.address import email_key as email_key
from guestlist.address import is_email, login_key, person_key


class State(StrEnum):
    """The state of a guest or an invitation.

    Attributes:
        PENDING: an open invitation can be accepted.
        AWAITING_APPROVAL: the organization has to approve the invitation first. The invitee has not
            been asked yet.
        ACCEPTED: the person is a member.
        DECLINED: the invitee declined.
        EXPIRED: the service reports an expiry, or reports pending although `expires_at` is over.
        REVOKED: the organization withdrew the invitation.
        GONE: the service has neither an open invitation nor a member. Only for guests.
        UNKNOWN: the service's word is in `raw_state` and has no known meaning. Or it is unknown
            whether the person is a member: `Guest.incomplete` or `Guest.unidentified` has the
            reason.
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
"""The open states and UNKNOWN: inviting a person in one of them may send a second email."""


class Basis(StrEnum):
    """The evidence for a state.

    Attributes:
        REPORTED: the service reports the state.
        DERIVED: the state is computed from a date.
        INFERRED: the state follows from another list, such as the list of members.
    """

    REPORTED = "reported"
    DERIVED = "derived"
    INFERRED = "inferred"


class Outcome(StrEnum):
    """The effect of `invite` or `resend`."""

    INVITED = "invited"
    """A new invitation was created."""
    RESENT = "resent"
    """The email of the open invitation was sent again."""
    ALREADY_INVITED = "already_invited"
    """The person has an open invitation. Nothing was sent."""
    ALREADY_MEMBER = "already_member"
    """The person is a member already. Nothing was sent."""
    JOINED = "joined"
    """The service added the person at once, without an invitation."""
    AWAITING_APPROVAL = "awaiting_approval"
    """A new invitation was created, and the organization has to approve it first."""


class RevokeOutcome(StrEnum):
    """The effect of `revoke`."""

    REVOKED = "revoked"
    """The invitation was withdrawn."""
    ALREADY_REVOKED = "already_revoked"
    """The person has no open invitation. Nothing was sent."""


class RemoveOutcome(StrEnum):
    """The effect of `remove`."""

    REMOVED = "removed"
    """The member was taken out."""
    ALREADY_REMOVED = "already_removed"
    """The person is neither a member nor invited. Nothing was sent."""


class OnboardOutcome(StrEnum):
    """The effect of `onboard`."""

    ONBOARDED = "onboarded"
    """The person has joined, or was given a role."""
    ALREADY_ONBOARDED = "already_onboarded"
    """The person was a member with the requested roles. Nothing was changed."""
    INCOMPLETE = "incomplete"
    """The person is a member, but does not hold all requested roles: see `missing`."""


class OffboardOutcome(StrEnum):
    """The effect of `offboard` on a person's access to one account."""

    REMOVED = "removed"
    """Memberships, invitations or deferred roles were taken away, and nothing remains."""
    NOT_THERE = "not_there"
    """There was nothing to take away. Nothing was sent."""
    WOULD_REMOVE = "would_remove"
    """There is something to take away, and it seems possible. Only with `dry_run`."""
    REMAINS = "remains"
    """The person still has access, or can still get it: see `reason`."""
    UNKNOWN = "unknown"
    """It is unknown whether the person still has access: see `reason`."""


class RoleOutcome(StrEnum):
    """The effect of `assign_role` or `unassign_role`."""

    ASSIGNED = "assigned"
    """The role was given."""
    ALREADY_ASSIGNED = "already_assigned"
    """The person holds the role already. Nothing was changed."""
    UNASSIGNED = "unassigned"
    """The role was taken away."""
    NOT_ASSIGNED = "not_assigned"
    """The person does not hold the role. Nothing was changed."""


class MemberState(StrEnum):
    """The state of a member record. ACTIVE and SUSPENDED count as membership.

    Attributes:
        ACTIVE: the person is in the organization.
        SUSPENDED: the person is in the organization, but is locked out.
        REMOVED: the membership was deleted, and the service can restore it. Only `find_member` and
            `get_member` return this state; the list of members leaves the record out.
        INVITED: the service lists the person as a member before acceptance. Only `find_member` and
            `get_member` return this state; the list of members leaves the record out.
    """

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REMOVED = "removed"
    INVITED = "invited"


MEMBERSHIPS = frozenset({MemberState.ACTIVE, MemberState.SUSPENDED})
"""The states of a person who is in the organization."""


Id = Annotated[str, Field(coerce_numbers_to_str=True)]
"""An id of a service, as text. A number becomes text."""


class Model(BaseModel):
    """The base class of the normalized values."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Answered(Model):
    """A value that was read from a service's answer.

    Attributes:
        raw: the service's own answer, parsed from JSON. None if it is not kept. `repr` and
            `model_dump` leave it out because it may contain secrets.
    """

    raw: Any = Field(default=None, repr=False, exclude=True)

    def __eq__(self, other: object) -> bool:
        """Compares the normalized fields and ignores `raw`."""
        if not isinstance(other, type(self)):
            return NotImplemented
        mine, theirs = dict(self.__dict__, raw=None), dict(other.__dict__, raw=None)
        return mine == theirs

    def __hash__(self) -> int:
        return hash((type(self), getattr(self, "id", None)))


class Role(Answered):
    """A role, group, team or anything else that a service can grant to a person.

    Attributes:
        id: the service's id, unique within a kind.
        name: the name for people. None if the service gives only the id.
        kind: the service's word for it, such as `role`, `group` or `team`. One of
            `Provider.role_kinds`.
        description: the service's description. None if there is none.
        not_assignable: the reason why the service does not assign it to members, as the end of a
            sentence, such as "it is assumed for a time". None if it can be assigned.
        by_invitation: whether an invitation can offer the role although it is not assignable.
        raw: the service's own record. None if it is not kept.
    """

    id: Id
    name: str | None = None
    kind: str = "role"
    description: str | None = None
    not_assignable: str | None = None
    by_invitation: bool = False

    @property
    def label(self) -> str:
        """The name for people: `Engineering` for a role, `group:Engineering` for other kinds."""
        name = self.name or self.id
        return name if self.kind == "role" else f"{self.kind}:{name}"


class Invitation(Answered):
    """A service's record of an invitation of one address to one organization.

    All times are aware datetimes. A field is None if the service does not give the value.

    Attributes:
        id: the service's id. None if the service creates invitations without returning an id; then
            only the address identifies the invitation.
        email: the address in the service's spelling. None if the person was invited by the login
            and the record does not contain an address.
        login: the login with which the person was invited. None if the service has no logins
            besides addresses, or the record does not contain it.
        state: the state. UNKNOWN if the service gives no state; never guess PENDING or ACCEPTED.
        raw_state: the service's own word for the state, also if its meaning is unknown. None if
            the record has no word, even if another field shows the state.
        basis: the evidence for the state. A provider keeps the default if a word or another field
            of the record shows the state, such as a link that is there only while the invitation is
            pending. It sets INFERRED if only the presence in a list shows the state.
        roles: the offered roles. Empty if the invitation offers no role, or the service does not
            show them.
        organization_id: the id of the organization.
        organization: the name of the organization.
        created_at: when the invitation was created.
        expires_at: when the invitation expires. If the service does not give it, guestlist
            adds `Provider.lifetime` to `created_at`. None if unknown, or if it never
            expires.
        never_expires: whether the invitation is known never to expire. guestlist sets it if
            `Provider.lifetime` is `NEVER`.
        responded_at: when the invitee accepted or declined. None before that.
        estimated: the names of the fields that were computed because the service did not give them.
            guestlist adds those that it computes; a provider names only its own.
        invited_by: the address, name or id of the person who sent the invitation.
        user_id: the service's id of the invited person, if it creates one before acceptance.
        link: the secret link to accept the invitation. None if the service only emails it.
        key: the secret part of the link, if the service accepts it on its own.
        is_new_user: whether the invited person had no account at the service. Known only in the
            answer to the invitation.
        raw: the service's own record. None if it is not kept.
    """

    id: Id | None
    email: str | None = None
    login: str | None = None
    state: State
    raw_state: Id | None = None
    basis: Basis = Basis.REPORTED
    roles: tuple[Role, ...] = ()
    organization_id: Id | None = None
    organization: str | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    never_expires: bool = False
    responded_at: datetime | None = None
    estimated: frozenset[str] = frozenset()
    invited_by: Id | None = None
    user_id: Id | None = None
    link: SecretStr | None = None
    key: SecretStr | None = None
    is_new_user: bool | None = None

    @property
    def label(self) -> str:
        """The name of the invited person in messages: the address, else the login, else the id."""
        return self.email or self.login or self.id or ""

    @property
    def who(self) -> str:
        """The address, else the login with a leading `@`. Empty if the record has neither."""
        return self.email or (f"@{self.login}" if self.login else "")


class Member(Answered):
    """A service's record of a person who is in the organization.

    Attributes:
        id: the service's id of the member.
        email: the address in the service's spelling. None if the record does not contain it.
        login: the name with which the person logs in at the service. None if the service has no
            logins besides addresses, or the record does not contain it.
        name: the person's name. None or empty if the service has none.
        user_id: the person's id across organizations, if the service has another one for that.
        roles: the roles that the person holds directly. Empty if there are none. None if the
            member record does not contain roles: call `access` to read them.
        state: whether the record counts as a membership.
        service: whether the member is a program and not a person. It was never invited, and a plan
            does not change it.
        joined_at: when the person joined, as an aware datetime. None if the service does not give
            it.
        raw: the service's own record. None if it is not kept.
    """

    id: Id
    email: str | None = None
    login: str | None = None
    name: str | None = None
    user_id: Id | None = None
    roles: tuple[Role, ...] | None = None
    state: MemberState = MemberState.ACTIVE
    service: bool = False
    joined_at: datetime | None = None

    @property
    def address(self) -> str | None:
        """The address if it is a valid one, else None. Some services put the login of a program or
        of a deleted person into the field of the address."""
        return self.email if self.email and is_email(self.email) else None

    @property
    def label(self) -> str:
        """The name of the member in messages: the address, else the login, else the id."""
        return self.email or self.login or self.id

    def is_called(self, name: str) -> bool:
        """Returns whether a text is the member's address, login or id."""
        key = email_key(name)
        logins = [login_key(one) for one in (self.login, self.email) if one]
        return (
            name == self.id
            or (bool(self.email) and key == email_key(self.email or ""))
            or (login_key(name) in logins)
        )


class Guest(Model):
    """One person in one account, with the state and the service's records.

    Attributes:
        account: the name of the account.
        email: the address as the caller wrote it. None if only a login or an id is known.
        login: the person's login at the service. None if it is not known.
        state: the state that follows from invitations and member.
        basis: the evidence for the state.
        raw_state: the service's own word for the state of the invitation. None if it gives none.
        invitation: the open invitation that counts, else the latest one. None if there is no
            invitation.
        invitations: all open invitations. A person may have several, for example with different
            roles, and a member may have one too.
        member: the member record. None if the person is not a member.
        suspended: whether the member is locked out. None if the person is not a member, or the
            service does not show it (`Provider.hides_suspension`).
        incomplete: the reason why the records may be incomplete: a list has a record that cannot be
            read and may be about the person. Their absence is unproven then, so that `state` is
            UNKNOWN instead of GONE. None if all records were read.
        unidentified: the reason why a member may be this person although none has the address: the
            service does not show the addresses of members and no login is known, or an invitation
            was accepted and no member has its address. None if members can be compared with the
            person.
        candidates: the members who could be this person, if `unidentified` is set and they are
            known.
    """

    account: str
    email: str | None = None
    login: str | None = None
    state: State
    basis: Basis = Basis.REPORTED
    raw_state: str | None = None
    invitation: Invitation | None = None
    invitations: tuple[Invitation, ...] = ()
    member: Member | None = None
    suspended: bool | None = None
    incomplete: str | None = None
    unidentified: str | None = None
    candidates: tuple[Member, ...] = ()

    @property
    def key(self) -> str:
        """The text by which guests are compared: the normalized form of the address (`email_key`),
        else the login with a leading `@`, else the id of the member with a leading `#`."""
        return person_key(self.email, self.login, self.member.id if self.member else None)

    @property
    def label(self) -> str:
        """The name of the person in messages: the address, else the login, else the id."""
        return self.email or self.login or (self.member.id if self.member else "")


class Identity(Model):
    """The names by which services know one person.

    Attributes:
        email: the address to which invitations go. None if only logins are known.
        also: other addresses of the person.
        logins: the person's logins, by the name of the account.
    """

    email: str | None = None
    also: tuple[str, ...] = ()
    logins: dict[str, str] = {}

    @property
    def label(self) -> str:
        """The name of the person in messages: the address, else a login."""
        return self.email or next(iter(self.logins.values()), "")


class NewInvitation(Model):
    """A request to invite a person, checked against the capabilities of the provider.

    Attributes:
        email: the address as the caller wrote it. Empty in a copy of an invitation that names the
            person only by the login.
        login: the person's login at the service. None if the caller does not know it.
        roles: the roles to offer, between `Provider.least_roles` and `most_roles`. Each is complete
            as in the provider's list of roles, or has only an `id`: if the provider has no list,
            the caller made the `Role`, or the invitation was made by `copy_of`.
        send_email: whether the service sends an email. False only with
            `Provider.can_suppress_email`.
        options: the provider's own options, an instance of its `Options`. None if `copy_of` made
            the invitation without options.
    """

    email: str
    login: str | None = None
    roles: tuple[Role, ...] = ()
    send_email: bool = True
    options: SerializeAsAny[BaseModel] | None = None

    @property
    def who(self) -> str:
        """The address, else the login with a leading `@`."""
        return self.email or f"@{self.login}"


class Result(Model):
    """The result of a change: the outcome, the person afterwards, and warnings."""

    outcome: StrEnum
    """The outcome."""
    guest: Guest
    """The person's state after the call."""
    warnings: tuple[str, ...] = ()
    """Sentences for people about anything unexpected."""


class InviteResult(Result):
    """The result of `invite` and `resend`."""

    outcome: Outcome
    """The outcome."""
    email_sent: bool | None = None
    """Whether an email was sent. None if that is unknown: no answer came and the invitation was
    found by a lookup, or the person joined at once and the service does not report an email."""
    role_applied: bool | None = None
    """Whether the requested roles took effect. None if no role was requested or it is unknown."""
    deferred: tuple[Role, ...] = ()
    """Deferred roles, which the service takes only after acceptance. The ledger stores them, and
    `guestlist settle` grants them then."""
    replaced: Invitation | None = None
    """The earlier invitation, if the new one has another id. Its link no longer works if the
    service could revoke it."""


class RevokeResult(Result):
    """The result of `revoke`."""

    outcome: RevokeOutcome
    """The outcome."""
    invitation: Invitation | None = None
    """The invitation that was withdrawn, now or earlier. None if the service has no record of
    it."""


class RemoveResult(Result):
    """The result of `remove`."""

    outcome: RemoveOutcome
    """The outcome."""


class RoleResult(Result):
    """The result of `assign_role` and `unassign_role`."""

    outcome: RoleOutcome
    """The outcome."""
    role: Role
    """The role that was given or taken away."""


class Grant(Model):
    """One role that a person effectively holds.

    Attributes:
        role: the role.
        direct: whether it was given to the person directly. False if it comes only through another
            role or a group.
        via: the roles or groups that it comes through. Empty if there are none or they are unknown.
    """

    role: Role
    direct: bool = True
    via: tuple[Role, ...] = ()


class Access(Model):
    """A person's effective access to one account."""

    guest: Guest
    """The person."""
    is_member: bool
    """Whether the person is a member. If not, `explanation` gives their state."""
    grants: tuple[Grant, ...] = ()
    """All roles that the person holds, directly and through others."""
    effective: bool = False
    """Whether the roles permit anything. A group without any policy permits nothing, and a
    suspended member can do nothing."""
    explanation: str | None = None
    """What the person is missing, and what they will see. None if nothing is known to be
    missing."""


class OwnAccess(Model):
    """The effective access of the owner of an account's API key."""

    account: str
    """The name of the account."""
    grants: tuple[Grant, ...] = ()
    """All roles that the owner holds, directly and through others."""
    effective: bool = False
    """Whether the roles permit anything."""
    explanation: str | None = None
    """What the owner is missing. None if nothing is known to be missing."""


class LimitUsage(Model):
    """How much of a service's rate limit is used.

    Counts the requests of this client; with a ledger, the requests of all programs that share it.
    Requests of other programs are not included.
    """

    what: str
    """The requests that the limit counts, such as `requests` or `invitations`."""
    count: int
    """The number of requests that the service allows."""
    per: float
    """The seconds in which it allows them."""
    used: int
    """The number of requests in the last `per` seconds."""
    free_at: datetime | None = None
    """When the next of these requests may be sent. None if it may be sent now."""


class OnboardResult(Result):
    """The result of `onboard`."""

    outcome: OnboardOutcome
    """The outcome."""
    invited: InviteResult
    """The result of the invitation."""
    granted: tuple[RoleResult, ...] = ()
    """A result for each requested role that was given or was held already."""
    access: Access | None = None
    """The member's effective access. None if the service does not show it."""
    missing: tuple[Role, ...] = ()
    """Requested roles that the member does not effectively hold."""


class AccountOffboarding(Model):
    """The result of `offboard` for a person in one account."""

    account: str
    """The name of the account."""
    outcome: OffboardOutcome
    """The effect on the person's access."""
    members: tuple[Member, ...] = ()
    """The memberships that were ended; with `dry_run`, those that would be."""
    invitations: tuple[Invitation, ...] = ()
    """The open invitations that were withdrawn; with `dry_run`, those that would be."""
    deferred: tuple[str, ...] = ()
    """The names of the deferred roles that were canceled in the ledger; with `dry_run`, those that
    would be."""
    reason: str | None = None
    """Why access remains, or why that is unknown. None if nothing remains."""
    hint: str | None = None
    """Advice, as a sentence. None if there is none."""
    error: str | None = None
    """The class of the error that ended the attempt, such as `Unsupported`. None if none did."""
    warnings: tuple[str, ...] = ()
    """Sentences for people about anything unexpected."""


class OffboardResult(Model):
    """The result of `offboard` for one person."""

    person: Identity
    """The person's names."""
    accounts: tuple[AccountOffboarding, ...] = ()
    """The result in each account."""

    @property
    def access_remains(self) -> bool:
        """True if the person still has access to an account, or if that is unknown."""
        remaining = (OffboardOutcome.REMAINS, OffboardOutcome.UNKNOWN)
        return any(one.outcome in remaining for one in self.accounts)
