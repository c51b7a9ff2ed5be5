"""The bodies and queries of requests, and the answers that are not models of the library."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from guestlist.changes import Action
from guestlist.models import (
    Access,
    AccountOffboarding,
    Guest,
    Identity,
    Invitation,
    LimitUsage,
    Member,
    OnboardOutcome,
    Role,
    RoleResult,
    State,
)
from guestlist.runs.auditing import PENDING_DAYS
from guestlist.runs.findings import Finding, Unchecked
from guestlist.runs.person import Person

MAX_PAGE_SIZE = 200
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
"""Text on one line. Databases cannot store NUL, and services take no control characters."""
SOLID = r"^[^\x00-\x20\x7f]+$"
"""Text without spaces."""

Account = Annotated[
    str,
    StringConstraints(pattern=PRINTABLE, min_length=1, max_length=100),
    Field(description="The name of the account, as in the configuration."),
]
Address = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x20\x7f@]+@[^\x00-\x20\x7f@]+$", max_length=254),
    Field(description="The person's email address."),
]
Who = Annotated[
    str,
    StringConstraints(pattern=SOLID, max_length=254),
    Field(description="An email address, a login with a leading `@`, or the service's id."),
]
Login = Annotated[
    str,
    StringConstraints(pattern=SOLID, max_length=254),
    Field(description="The person's login at the service."),
]
RoleName = Annotated[
    str,
    StringConstraints(pattern=PRINTABLE, min_length=1, max_length=200),
    Field(description="The id of a role, its name, or `kind:name` such as `group:Engineering`."),
]
Note = Annotated[
    str,
    StringConstraints(pattern=PRINTABLE, min_length=1, max_length=500),
    Field(description="The reason, such as a ticket number. The ledger stores it."),
]
JobId = Annotated[str, StringConstraints(pattern="^[0-9a-f]{16}$")]
Cursor = Annotated[
    str,
    StringConstraints(pattern="^[0-9a-f]{16}-[0-9]{1,9}$"),
    Field(description="`next` of the page before, to read the following page."),
]
Limit = Annotated[
    int, Field(ge=1, le=MAX_PAGE_SIZE, description="The largest number of items on the page.")
]


class RequestModel(BaseModel):
    """Base of the bodies and queries of requests."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, title=""
    )


class NoQuery(RequestModel):
    """A request without a query."""


class AccountQuery(RequestModel):
    account: Account


class PageQuery(RequestModel):
    limit: Limit = 50
    cursor: Cursor = ""


class MembersQuery(PageQuery):
    account: Account


class InvitationsQuery(PageQuery):
    account: Account
    state: Annotated[State | None, Field(description="Only invitations in this state.")] = None


class RolesQuery(PageQuery):
    account: Account
    kind: Annotated[
        str,
        StringConstraints(pattern=PRINTABLE, max_length=100),
        Field(description="Only roles of this kind, such as `role` or `group`."),
    ] = ""


class PeopleQuery(PageQuery):
    account: Annotated[Account | None, Field(description="Only this account.")] = None
    match: Annotated[
        str,
        StringConstraints(pattern=PRINTABLE, max_length=200),
        Field(
            description="Only people with this in an address, a login or the name, or a pattern"
            " with `*` and `?`."
        ),
    ] = ""


class AuditQuery(RequestModel):
    account: Annotated[Account | None, Field(description="Only this account.")] = None
    pending_days: Annotated[
        float,
        Field(ge=0, le=10_000, description="Report invitations that are open for more days."),
    ] = PENDING_DAYS


class WhoQuery(RequestModel):
    account: Account
    who: Who


class StatusQuery(WhoQuery):
    login: Login = ""


class IfExists(StrEnum):
    """The action for an invitation that is open already."""

    RETURN = "return"
    """Leave it."""
    RESEND = "resend"
    """Send its email again."""
    REPLACE = "replace"
    """Revoke it and send a new one."""
    ERROR = "error"
    """Answer with 409, also for a member."""


class InviteBody(RequestModel):
    account: Account
    email: Address
    login: Login | None = None
    roles: Annotated[tuple[RoleName, ...], Field(max_length=100)] = ()
    send_email: Annotated[
        bool, Field(description="Whether the service sends an email. Some always do.")
    ] = True
    if_exists: IfExists = IfExists.RETURN
    options: Annotated[
        dict[str, JsonValue],
        Field(description="Options of the provider, such as a message for the email."),
    ] = {}
    note: Note | None = None


class OnboardBody(RequestModel):
    account: Account
    email: Address
    login: Login | None = None
    roles: Annotated[tuple[RoleName, ...], Field(max_length=100)] = ()
    options: Annotated[
        dict[str, JsonValue],
        Field(description="Options of the provider, such as a message for the email."),
    ] = {}
    note: Note | None = None


class WhoBody(RequestModel):
    account: Account
    who: Who
    note: Note | None = None


class RoleBody(WhoBody):
    role: RoleName


class OffboardBody(RequestModel):
    who: Who
    accounts: Annotated[
        tuple[Account, ...], Field(max_length=100, description="Only these accounts.")
    ] = ()
    dry_run: Annotated[bool, Field(description="Only find out what would be taken away.")] = False
    note: Note | None = None


class PlanBody(RequestModel):
    prune: Annotated[bool, Field(description="Also remove people who are not in the roster.")] = (
        False
    )
    invite_declined: Annotated[bool, Field(description="Also invite people who have declined.")] = (
        False
    )
    retry_unknown: Annotated[
        bool,
        Field(description="Also send an email if it is unknown whether an earlier one was sent."),
    ] = False
    accounts: Annotated[
        tuple[Account, ...], Field(max_length=100, description="Only these accounts.")
    ] = ()
    people: Annotated[
        tuple[Address, ...], Field(max_length=1000, description="Only these people.")
    ] = ()


class RunBody(RequestModel):
    plan: Annotated[JobId, Field(description="The id of the plan to carry out.")]
    force: Annotated[bool, Field(description="Allow a plan that exceeds the roster's limits.")] = (
        False
    )
    note: Note | None = None


class NoBody(RequestModel):
    """A request whose body is an empty object."""


# ------------------------------------------------------------------------------------ answers


class ResponseModel(BaseModel):
    """Base of the answers that are not models of the library."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Detail(ResponseModel):
    """One part of a request that is not valid."""

    pointer: str
    """The place in the body as a JSON pointer, or the name of the parameter."""
    detail: str


class Problem(ResponseModel):
    """An error (RFC 9457). The request that it answers changed something only if `happened` is
    true, and may have if it is null."""

    type: str
    """The kind of error, as a URI that never changes: `urn:problem-type:guestlist:` and `error`."""
    title: str
    """The meaning of the status."""
    status: int
    """The status of this answer."""
    detail: str
    """The error, and the advice."""
    error: str
    """The class of the error, such as `UnknownRole`."""
    happened: bool | None
    """Whether the request took effect; null if that is unknown."""
    instance: str | None = None
    """The path of the request."""
    hint: str | None = None
    """The advice."""
    account: str | None = None
    email: str | None = None
    retry_after: float | None = None
    """Seconds after which the request can be repeated, if known."""
    service_status: int | None = None
    """The HTTP status of the service's answer."""
    service_code: str | None = None
    """The service's own code of the error."""
    service_request_id: str | None = None
    """The service's id of the request. Quote it to its support."""
    errors: tuple[Detail, ...] | None = None
    """The parts of the request that are not valid."""


class AccountInfo(ResponseModel):
    """A configured account."""

    account: str
    provider: str
    """The provider's name, such as `vultr`."""
    title: str
    """The name of the service."""
    operations: tuple[str, ...]
    """The operations that the service supports, such as `invite` and `resend`."""
    role_kinds: tuple[str, ...]
    """The kinds of roles that the service has, in its own words."""
    limits: tuple[LimitUsage, ...]
    """The rate limits of the service, and how much of them is used."""


class AccountList(ResponseModel):
    items: tuple[AccountInfo, ...]


class Checked(ResponseModel):
    """The result of a check: the service accepts the account's key."""

    account: str
    organization: str | None = None
    """The name of the organization, if the service gives it."""


class ListPage(ResponseModel):
    """One page of a list."""

    next: str | None = None
    """The cursor of the next page. Absent on the last one."""
    warnings: tuple[str, ...] | None = None
    """Records of the service that could not be read so far."""


class MemberPage(ListPage):
    items: tuple[Member, ...]


class InvitationPage(ListPage):
    items: tuple[Invitation, ...]


class RolePage(ListPage):
    items: tuple[Role, ...]


class PersonPage(ListPage):
    items: tuple[Person, ...]
    problems: tuple[Problem, ...] = ()
    """Accounts that could not be read, or not completely. People may be missing there."""


class Audit(ResponseModel):
    """The result of an audit."""

    findings: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...]
    """Checks that were impossible, with the reason."""
    problems: tuple[Problem, ...] = ()
    """Accounts that could not be read, or not completely."""


class Offboarding(ResponseModel):
    """The result of `offboard`."""

    person: Identity
    access_remains: bool
    """True if the person still has access to an account, or if that is unknown."""
    accounts: tuple[AccountOffboarding, ...]


class OnboardingOutcome(StrEnum):
    """The progress of a person's onboarding. Values may be added."""

    ONBOARDED = OnboardOutcome.ONBOARDED.value
    """The person is a member now, or was given a role."""
    ALREADY_ONBOARDED = OnboardOutcome.ALREADY_ONBOARDED.value
    """The person was a member with the requested roles. Nothing was changed."""
    INCOMPLETE = OnboardOutcome.INCOMPLETE.value
    """The person is a member, but does not hold all requested roles: see `missing`."""
    INVITED = "invited"
    """The person has an open invitation. Repeat the request after its acceptance."""


class Onboarding(ResponseModel):
    """The result of `onboard`, which does not wait."""

    outcome: OnboardingOutcome
    guest: Guest
    granted: tuple[RoleResult, ...] = ()
    """A result for each requested role that was given or was held already."""
    access: Access | None = None
    """The member's effective access, if the service shows it."""
    missing: tuple[Role, ...] = ()
    """Requested roles that the member does not effectively hold."""
    warnings: tuple[str, ...] = ()


class JobState(StrEnum):
    """The state of a plan or a run. Values may be added."""

    WORKING = "working"
    """It is under way. Read it again in a second."""
    DONE = "done"
    STOPPED = "stopped"
    """It was stopped before its end. A run of the same plan continues it."""
    FAILED = "failed"
    """It ended with an error."""


class Job(ResponseModel):
    id: JobId
    state: JobState
    actor: str
    """The name of the token that asked for it."""
    began_at: datetime
    ended_at: datetime | None = None
    problems: tuple[Problem, ...] = ()
    """The first failures. The ledger has all of them."""


class PlanInfo(Job):
    """A plan: what has to be changed so that the services match the roster. Nothing was sent."""

    digest: str | None = None
    """SHA-256 of the plan. Absent until it is done, like the other facts below."""
    made_at: datetime | None = None
    changes: int | None = None
    """The number of changes, with those that cannot be made."""
    possible: int | None = None
    """The number of changes that can be made."""
    counts: Mapping[str, Mapping[str, int]] | None = None
    """The number of changes, by account and action."""
    notes: Mapping[str, Mapping[str, int]] | None = None
    """The number of people or roles that need no change, by account and reason."""
    over: tuple[str, ...] | None = None
    """The limits that the plan exceeds. A run then needs `force`."""


class PlannedChange(ResponseModel):
    """One change of a plan."""

    account: str
    action: Action
    email: str
    """The address. Empty if only a login is known."""
    login: str | None = None
    roles: tuple[str, ...] = ()
    """The roles that are given or taken away: `Member`, `group:Engineering`."""
    deferred: tuple[str, ...] = ()
    """Roles that are given once the invitation is accepted."""
    reason: str
    """Why the change is needed, or why it is impossible."""
    state: State
    """The person's state when the plan was made."""


class ChangePage(ListPage):
    items: tuple[PlannedChange, ...]


class RunAccount(ResponseModel):
    """The counts of a run in one account."""

    account: str
    done: Mapping[str, int]
    """The number of orders that were carried out, by outcome."""
    refused: Mapping[str, int]
    """The number of orders that failed, by class of error. They are not tried again."""
    unknown: int
    """The number of orders whose outcome stays unknown."""
    left: int
    """The number of orders that are not carried out yet."""
    emails: int
    """The number of emails that were sent."""


class RunInfo(Job):
    """A run: a plan that is carried out."""

    plan: JobId
    run: int | None = None
    """The run's number in the ledger. Absent until it has begun."""
    accounts: tuple[RunAccount, ...] = ()
    left: int = 0
    """The number of changes that are left. A run of the same plan continues with them."""


class RunList(ResponseModel):
    items: tuple[RunInfo, ...]
