"""The operations of the API: method, path, right, and the call of the library that each makes.

A function's second argument is annotated with the model of the body or query, and its result with
the model of the answer. The docstring becomes the description.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel

from guestlist.client import Guestlist
from guestlist.console.api.jobs import Jobs
from guestlist.console.api.models import (
    AccountInfo,
    AccountList,
    AccountQuery,
    Audit,
    AuditQuery,
    ChangePage,
    Checked,
    InvitationPage,
    InvitationsQuery,
    InviteBody,
    MemberPage,
    MembersQuery,
    NoBody,
    NoQuery,
    OffboardBody,
    Offboarding,
    OnboardBody,
    Onboarding,
    OnboardingOutcome,
    PageQuery,
    PeopleQuery,
    PersonPage,
    PlanBody,
    PlanInfo,
    RoleBody,
    RolePage,
    RolesQuery,
    RunBody,
    RunInfo,
    RunList,
    StatusQuery,
    WhoBody,
    WhoQuery,
)
from guestlist.console.api.pages import OpenLists, PagePart
from guestlist.console.api.problems import problem_of
from guestlist.errors import ConfigError, InvalidArgument, WaitTimeout
from guestlist.ledger.tokens import Right
from guestlist.models import (
    Access,
    Guest,
    Identity,
    InviteResult,
    RemoveResult,
    RevokeResult,
    RoleResult,
)
from guestlist.roster.file import Roster, read_roster
from guestlist.runs import audit, who
from guestlist.verbs import Items


@dataclass(frozen=True)
class ApiCall:
    """One request of a caller.

    Attributes:
        client: acts as the caller.
        actor: the name of the caller's token.
        token: the id of the caller's token.
        job: the id in the path, if the path has one.
        headers: headers of the answer. The operation may add some.
    """

    client: Guestlist
    pages: OpenLists
    jobs: Jobs
    actor: str
    token: str
    base_path: str
    job: str
    headers: dict[str, str]

    def on(self, account: str, note: str | None = None) -> Guestlist:
        """Returns the client for an account.

        Args:
            note: the reason, for the ledger.

        Raises:
            UnknownAccount: no account has that name.
        """
        client = self.client.account(account)
        return client if note is None else client.acting_as(self.actor, note=note)


Run = Callable[[ApiCall, Any], BaseModel]


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        name: its unique name in the description.
        path: the path below `/api/v1`, which may contain `{id}`.
        given: the model of the body, or of the query of a GET.
        returns: the model of the answer.
        status: the status of the answer.
    """

    name: str
    method: str
    path: str
    right: Right
    given: type[BaseModel]
    returns: type[BaseModel]
    run: Run
    status: int
    text: str


OPERATIONS: list[Operation] = []
F = TypeVar("F", bound=Run)


def api_operation(
    method: str, path: str, right: Right, *, status: int = HTTPStatus.OK
) -> Callable[[F], F]:
    """Registers a function as an operation."""

    def register(run: F) -> F:
        hints = get_type_hints(run)
        given = next(kind for name, kind in hints.items() if name not in ("call", "return"))
        OPERATIONS.append(
            Operation(
                name=run.__name__,
                method=method,
                path=path,
                right=right,
                given=given,
                returns=hints["return"],
                run=run,
                status=status,
                text=run.__doc__ or "",
            )
        )
        return run

    return register


# ----------------------------------------------------------------------------- accounts and lists


@api_operation("GET", "/accounts", Right.READ)
def list_accounts(call: ApiCall, _: NoQuery) -> AccountList:
    """List the accounts, what their services can do, and how much of their limits is used."""
    return AccountList(
        items=tuple(
            AccountInfo(
                account=name,
                provider=provider.name,
                title=provider.title,
                operations=tuple(provider.operations()),
                role_kinds=tuple(provider.role_kinds),
                limits=call.client.limits(account=name),
            )
            for name, provider in call.client.accounts.items()
        )
    )


@api_operation("GET", "/accounts/check", Right.READ)
def check_account(call: ApiCall, given: AccountQuery) -> Checked:
    """Check whether the service accepts the account's key."""
    return Checked(account=given.account, organization=call.on(given.account).check() or None)


@api_operation("GET", "/members", Right.READ)
def list_members(call: ApiCall, given: MembersQuery) -> MemberPage:
    """List the members of an account."""
    client = call.on(given.account)
    return MemberPage(**_page(call, "members", given, client.members))


@api_operation("GET", "/invitations", Right.READ)
def list_invitations(call: ApiCall, given: InvitationsQuery) -> InvitationPage:
    """List the invitations of an account."""
    client = call.on(given.account)
    return InvitationPage(
        **_page(call, "invitations", given, lambda: client.invitations(state=given.state))
    )


@api_operation("GET", "/roles", Right.READ)
def list_roles(call: ApiCall, given: RolesQuery) -> RolePage:
    """List the roles, groups, teams and policies of an account."""
    client = call.on(given.account)
    return RolePage(**_page(call, "roles", given, lambda: client.roles(kind=given.kind or None)))


def _page(
    call: ApiCall, name: str, given: PageQuery, items: Callable[[], Items[Any]]
) -> dict[str, Any]:
    """Returns the fields of one page of a service's list."""
    asked = _identity(call, name, given)
    if given.cursor:
        return _fields(call.pages.following(given.cursor, given.limit, asked))
    listed = items()
    return _fields(
        call.pages.first(
            listed,
            given.limit,
            asked,
            close=listed.close,
            warnings=lambda: [str(problem) for problem in listed.problems],
        )
    )


def _identity(call: ApiCall, name: str, given: PageQuery) -> object:
    """Returns a value that is equal for requests of the same caller for the same list."""
    return call.token, name, call.job, given.model_copy(update={"cursor": "", "limit": 1})


def _fields(page: PagePart) -> dict[str, Any]:
    return {"items": page.items, "next": page.next, "warnings": page.warnings or None}


# ----------------------------------------------------------------------------- people


@api_operation("GET", "/status", Right.READ)
def get_status(call: ApiCall, given: StatusQuery) -> Guest:
    """Return the state of a person in an account, and the evidence for it.

    An unknown address is not an error: its state is `gone`.
    """
    return call.on(given.account).status(given.who, login=given.login or None)


@api_operation("GET", "/people", Right.READ)
def list_people(call: ApiCall, given: PeopleQuery) -> PersonPage:
    """List the people of all accounts, one item for each person.

    Addresses and logins are merged as the roster says. The first page takes as long as reading the
    slowest account.
    """
    asked = _identity(call, "people", given)
    if given.cursor:
        return PersonPage(**_fields(call.pages.following(given.cursor, given.limit, asked)))
    accounts = (given.account,) if given.account else ()
    people = who(call.jobs.roster, client=call.client, accounts=accounts)
    items = (one for one in people if one.matches(given.match or "*"))
    page = call.pages.first(items, given.limit, asked, close=people.close)
    problems = tuple(map(problem_of, (*people.errors.values(), *people.problems)))
    return PersonPage(**_fields(page), problems=problems)


@api_operation("GET", "/audit", Right.READ)
def get_audit(call: ApiCall, given: AuditQuery) -> Audit:
    """Compare the accounts with the roster and its policies, and return what differs.

    It takes as long as reading the slowest account, with the roles of each member.
    """
    result = audit(
        call.jobs.needed_roster(),
        client=call.client,
        accounts=(given.account,) if given.account else (),
        pending_days=given.pending_days,
    )
    return Audit(
        findings=result.findings,
        unchecked=result.unchecked,
        problems=tuple(map(problem_of, result.errors.values())),
    )


@api_operation("POST", "/offboard", Right.CHANGE)
def offboard(call: ApiCall, given: OffboardBody) -> Offboarding:
    """Take a person out of every account: memberships, open invitations and deferred roles.

    If an account fails, the others are handled all the same: look at `access_remains`. Safe to
    repeat.
    """
    accounts = given.accounts or tuple(call.client.accounts)
    person = _named(call.jobs.roster, given.who, accounts)
    client = call.client.acting_as(call.actor, note=given.note)
    (result,) = client.offboard(person, account=accounts, dry_run=given.dry_run)
    return Offboarding(
        person=result.person, access_remains=result.access_remains, accounts=result.accounts
    )


def _named(roster: Roster | Path | None, name: str, accounts: Sequence[str]) -> str | Identity:
    """Returns all names that the roster gives for a person. A login in the only account needs no
    roster.

    Raises:
        InvalidArgument: no person of the roster has the login, or several do.
        ConfigError: the roster is invalid.
    """
    if roster is None or (name.startswith("@") and len(accounts) == 1):
        return name
    if not isinstance(roster, Roster):
        roster = read_roster(roster, allow_empty=True)
    try:
        return roster.identify(name)
    except ConfigError as error:
        if not name.startswith("@"):
            raise
        raise InvalidArgument(error.message, hint=error.hint) from None


@api_operation("GET", "/access", Right.READ)
def get_access(call: ApiCall, given: WhoQuery) -> Access:
    """Return the roles that a member effectively holds, and what is missing."""
    return call.on(given.account).access(given.who)


@api_operation("POST", "/invite", Right.CHANGE)
def invite(call: ApiCall, given: InviteBody) -> InviteResult:
    """Invite a person, unless they have an open invitation or are a member.

    Safe to repeat: a person who is invited or a member already gets no second email. Roles that the
    service accepts only later are stored in the ledger, and `guestlist settle` grants them.
    """
    return call.on(given.account, given.note).invite(
        given.email,
        login=given.login,
        role=given.roles,
        send_email=given.send_email,
        if_exists=given.if_exists.value,
        options=_checked_options(given.options),
    )


@api_operation("POST", "/resend", Right.CHANGE)
def resend(call: ApiCall, given: WhoBody) -> InviteResult:
    """Send the email of an invitation again. Each request sends one."""
    return call.on(given.account, given.note).resend(given.who)


@api_operation("POST", "/revoke", Right.CHANGE)
def revoke(call: ApiCall, given: WhoBody) -> RevokeResult:
    """Withdraw an open invitation. Safe to repeat."""
    return call.on(given.account, given.note).revoke(given.who)


@api_operation("POST", "/remove", Right.CHANGE)
def remove(call: ApiCall, given: WhoBody) -> RemoveResult:
    """Take a member out of the organization. Safe to repeat."""
    return call.on(given.account, given.note).remove(given.who)


@api_operation("POST", "/assign-role", Right.CHANGE)
def assign_role(call: ApiCall, given: RoleBody) -> RoleResult:
    """Give a role to a member. Safe to repeat."""
    return call.on(given.account, given.note).assign_role(given.who, given.role)


@api_operation("POST", "/unassign-role", Right.CHANGE)
def unassign_role(call: ApiCall, given: RoleBody) -> RoleResult:
    """Take a role from a member. Safe to repeat."""
    return call.on(given.account, given.note).unassign_role(given.who, given.role)


@api_operation("POST", "/onboard", Right.CHANGE)
def onboard(call: ApiCall, given: OnboardBody) -> Onboarding:
    """Invite a person, or give the roles to one who has accepted.

    It does not wait for acceptance: repeat the request until the outcome is not `invited` any more.
    Nothing is done twice.
    """
    client = call.on(given.account, given.note)
    try:
        result = client.onboard(
            given.email,
            login=given.login,
            role=given.roles,
            options=_checked_options(given.options),
            timeout=0,
        )
    except WaitTimeout as timeout:
        if timeout.guest is None:
            raise
        return Onboarding(outcome=OnboardingOutcome.INVITED, guest=timeout.guest)
    return Onboarding(
        outcome=OnboardingOutcome(result.outcome.value),
        guest=result.guest,
        granted=result.granted,
        access=result.access,
        missing=result.missing,
        warnings=result.warnings,
    )


def _checked_options(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the options unchanged.

    Raises:
        InvalidArgument: a text contains a NUL character, which no service and no database takes.
    """
    if any("\0" in text for text in _texts(options)):
        raise InvalidArgument("an option contains a NUL character", hint="Leave it out.")
    return options


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


# ----------------------------------------------------------------------------- plans and runs


@api_operation("POST", "/plans", Right.READ, status=HTTPStatus.ACCEPTED)
def make_plan(call: ApiCall, given: PlanBody) -> PlanInfo:
    """Compare the roster with the services. Sends no change.

    The answer comes at once. Read the plan until its state is `done`.
    """
    job = call.jobs.make_plan(call.client, given, call.actor)
    _located(call, f"/plans/{job.id}")
    return job.info()


@api_operation("GET", "/plans/{id}", Right.READ)
def get_plan(call: ApiCall, _: NoQuery) -> PlanInfo:
    """Return a plan: its state, and the number of changes."""
    return call.jobs.plan(call.job).info()


@api_operation("GET", "/plans/{id}/changes", Right.READ)
def list_changes(call: ApiCall, given: PageQuery) -> ChangePage:
    """List the changes of a plan, in the order in which a run makes them."""
    plan = call.jobs.plan(call.job)
    asked = _identity(call, "changes", given)
    if given.cursor:
        return ChangePage(**_fields(call.pages.following(given.cursor, given.limit, asked)))
    changes = plan.changes(plan.made())
    return ChangePage(**_fields(call.pages.first(changes, given.limit, asked)))


@api_operation("POST", "/runs", Right.CHANGE, status=HTTPStatus.ACCEPTED)
def begin_run(call: ApiCall, given: RunBody) -> RunInfo:
    """Carry out a plan: invite, give roles, remove.

    The answer comes at once. Read the run until its state is not `working` any more. If the
    services have changed since the plan was made, the run fails and sends nothing. A second run of
    the same plan continues one that was stopped.
    """
    job = call.jobs.begin_run(call.client, given, call.actor)
    _located(call, f"/runs/{job.id}")
    return job.info()


@api_operation("GET", "/runs", Right.READ)
def list_runs(call: ApiCall, _: NoQuery) -> RunList:
    """List the runs since the server was started, newest first."""
    return RunList(items=tuple(job.info() for job in call.jobs.runs()))


@api_operation("GET", "/runs/{id}", Right.READ)
def get_run(call: ApiCall, _: NoQuery) -> RunInfo:
    """Return a run: its state, and what was done."""
    return call.jobs.run(call.job).info()


@api_operation("POST", "/runs/{id}/stop", Right.CHANGE, status=HTTPStatus.ACCEPTED)
def stop_run(call: ApiCall, _: NoBody) -> RunInfo:
    """Stop a run early. Requests in flight are finished and recorded.

    Read the run until its state is not `working` any more.
    """
    job = call.jobs.run(call.job)
    job.stop()
    _located(call, f"/runs/{job.id}")
    return job.info()


def _located(call: ApiCall, path: str) -> None:
    """Adds headers to the answer: the address of a plan or run, and when to read it."""
    call.headers["Location"] = f"{call.base_path}{path}"
    call.headers["Retry-After"] = "1"
