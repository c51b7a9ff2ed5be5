"""The JSON document that `--json` prints, the same for every command.

Its schema is docs/cli-schema.json, written by `python -m guestlist.cli.document`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, create_model
from pydantic_core import to_jsonable_python

from guestlist.changes import Change
from guestlist.cli.text import with_flags
from guestlist.errors import GuestlistError
from guestlist.exchange.redact import MASK
from guestlist.ledger.log import LogLine
from guestlist.models import (
    Access,
    Guest,
    Invitation,
    InviteResult,
    Member,
    OffboardResult,
    OnboardResult,
    OwnAccess,
    RemoveResult,
    RevokeResult,
    Role,
    RoleResult,
)
from guestlist.runs.findings import Finding, Unchecked
from guestlist.runs.person import Person

SCHEMA = "https://json-schema.org/draft/2020-12/schema"


class Row(BaseModel):
    """Base of the rows that are not models of the library."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class InvitationRow(Invitation, defer_build=True):
    """An invitation in the result of `invitations`."""

    type: Literal["invitation"] = "invitation"
    account: str


class MemberRow(Member, defer_build=True):
    """A member in the result of `members`."""

    type: Literal["member"] = "member"
    account: str


class RoleRow(Role, defer_build=True):
    """A role in the result of `roles`."""

    type: Literal["role"] = "role"
    account: str


class PlanRow(Row):
    """The totals of a plan: the last row of `plan`."""

    type: Literal["plan"] = "plan"
    counts: dict[str, dict[str, int]]
    """Number of changes by account and action."""
    notes: dict[str, dict[str, int]]
    """Counts of people who need no change, by account."""
    over: tuple[str, ...]
    """The limits that the plan exceeds. `apply` then needs --force."""
    nothing: bool
    """Whether there is nothing to do. Also false if an account could not be read; see `errors`."""


class RunRow(Row):
    """The result of `apply` or `settle` on one account."""

    type: Literal["run"] = "run"
    account: str
    done: dict[str, int]
    """Number of completed orders by outcome."""
    refused: dict[str, int]
    """Number of orders that failed for good, by class of error."""
    unknown: int
    """Number of orders with an unknown outcome."""
    left: int
    emails: int


class ForgottenRow(Row):
    """The result of `forget`: what it deleted."""

    type: Literal["forgotten"] = "forgotten"
    ledger: str
    """The database, without a password."""
    email: str | None
    """The person whose orders were deleted; null if orders of a certain age were."""
    before: datetime | None
    """Orders that ended before this time were deleted; null if a person's orders were."""
    orders: int
    entries: int
    mentions: int = 0
    """Mentions of the person in other rows, which were replaced."""


class PulledRow(Row):
    """The result of `pull`: what it wrote."""

    type: Literal["pulled"] = "pulled"
    files: tuple[str, ...]
    """The roster, and the file of people beside it if there are many people."""
    memberships: int
    """Number of people written, counted once for each account."""
    left_out: tuple[str, ...]
    """The first people who cannot be in a roster, with the reason."""
    left_out_count: int
    lost: tuple[str, ...] = ()
    """Contents of the roster's people section that were not kept."""
    backup: str | None = None
    """Path of a copy of the old roster, if any of it was not kept."""


class AccountRow(Row):
    """An account in the result of `check` or `config check`."""

    type: Literal["account"] = "account"
    account: str
    provider: str
    title: str
    base_url: str
    working: bool | None = None
    """Whether the service accepts the key for reading; null if that is unknown, because the service
    was not asked, or did not answer, or does not know the address. False for a key that cannot
    invite, if the service shows that."""
    organization: str | None = None
    """The organization that the key belongs to, if the service reports it."""


class SettingRow(Row):
    """One setting of a provider."""

    name: str
    description: str
    env: str | None
    required: bool
    secret: bool


class ProviderRow(Row):
    """A provider in the result of `providers` or `check-provider`."""

    type: Literal["provider"] = "provider"
    name: str
    title: str
    docs_url: str
    distribution: str
    operations: tuple[str, ...]
    """All operations that the provider defines, including its own."""
    least_roles: int
    most_roles: int | None
    """The lowest and highest number of roles of an invitation; null for no limit."""
    role_kinds: tuple[str, ...] = ("role",)
    """The kinds of roles that the service has, in its own words."""
    members_show_emails: bool = True
    """Whether every member record contains the email address. If not, members are recognized by
    their logins."""
    hides_suspension: bool = False
    """Whether the service can suspend a member without showing it."""
    can_suppress_email: bool
    lifetime: float | None
    """Seconds until an invitation expires. None if unknown, or if invitations never expire."""
    never_expires: bool = False
    """Whether invitations are known never to expire."""
    sandbox: bool
    """Whether the provider has a local imitation of the service."""
    judges: tuple[str, ...] = ()
    """References by other authors that the provider is tested against: a real server, an official
    SDK, or an official description of the API."""
    substitutes: dict[str, str]
    """For each unsupported operation, what to do instead."""
    options: tuple[str, ...]
    """Options that `invite --option` accepts."""
    settings: tuple[SettingRow, ...]


class FileRow(Row):
    """The file of `config`, or the folder of `new-provider`."""

    type: Literal["file"] = "file"
    path: str | None
    """Null if the accounts come from the environment."""
    written: bool = False


class ServiceRow(Row):
    """A service of a sandbox. Its keys are made up and not secret."""

    type: Literal["service"] = "service"
    account: str
    title: str
    base_url: str
    settings: dict[str, str | bool | int | list[str]]
    read_only_settings: dict[str, str | bool | int | list[str]]


class MailboxRow(Row):
    """The mailbox of a sandbox."""

    type: Literal["mailbox"] = "mailbox"
    url: str
    environment: dict[str, str]
    """The variable that makes clients and commands use this sandbox."""


class ConsoleRow(Row):
    """The address of the web console."""

    type: Literal["console"] = "console"
    url: str
    link: str
    """A one-time link, which signs in one browser."""


class TokenRow(Row):
    """A token of the HTTP API, as `console token` shows it."""

    type: Literal["token"] = "token"
    id: str
    name: str
    """The person or program that has it: the actor of its calls."""
    right: Literal["read", "change"]
    created_at: datetime
    created_by: str | None
    expires_at: datetime
    used_at: datetime | None
    """When it was last used, to the minute; null if never."""
    revoked_at: datetime | None
    valid: bool
    """Whether it can be used: it is neither expired nor revoked."""
    secret: str | None = None
    """The token itself, only in the result of `create`."""


class SwitchRow(Row):
    """A behavior of a sandbox's service that can be chosen."""

    type: Literal["switch"] = "switch"
    service: str
    name: str
    """`profile`, or the name of a switch."""
    values: list[str]
    """The possible values, the default first."""
    meaning: str


class StepRow(Row):
    """A step of `demo`."""

    type: Literal["step"] = "step"
    chapter: str
    call: str
    result: str
    expected: str
    as_expected: bool


ROWS = (
    InvitationRow,
    MemberRow,
    RoleRow,
    PlanRow,
    RunRow,
    ForgottenRow,
    PulledRow,
    AccountRow,
    ProviderRow,
    FileRow,
    ServiceRow,
    MailboxRow,
    ConsoleRow,
    TokenRow,
    SwitchRow,
    StepRow,
)
"""The rows that have a class of their own."""

MODELS: dict[str, tuple[type[BaseModel], str]] = {
    "guest": (Guest, "A person's state in an account: result of `status` and `wait`."),
    "invite": (InviteResult, "The result of `invite` or `resend`."),
    "revoke": (RevokeResult, "The result of `revoke`."),
    "remove": (RemoveResult, "The result of `remove`."),
    "onboard": (OnboardResult, "The result of `onboard`."),
    "offboard": (OffboardResult, "The result of `offboard` for one person."),
    "role_change": (RoleResult, "The result of `assign-role` or `unassign-role`."),
    "access": (Access, "A person's effective access."),
    "own_access": (
        OwnAccess,
        "The effective access of the owner of an account's API key, as `own-access` shows it.",
    ),
    "person": (Person, "A person in the result of `who`, with the state in each account."),
    "finding": (Finding, "A finding of `audit`."),
    "unchecked": (Unchecked, "Something that `audit` could not check in an account."),
    "change": (Change, "A change in the result of `plan`, or in the plan that `apply` made."),
    "order": (LogLine, "An order in the result of `log`."),
}
"""The models of the library that are rows without a class of their own here: by the value of
`type`, each with a description."""

_TYPES = {model: name for name, (model, _) in MODELS.items()}


class ErrorRow(Row):
    """An error. `error` is the name of a class of `guestlist.errors`, or `Interrupted`, or
    `Bug`."""

    error: str
    message: str
    hint: str = ""
    account: str | None = None
    email: str | None = None
    status: int | None = None
    """The HTTP status of the service's answer."""
    code: str | None = None
    request_id: str | None = None
    request: str | None = None
    """Method and path of the failed request, with secrets masked."""
    retry_after: float | None = None
    """Seconds after which the service accepts requests again, if known."""
    happened: bool | None = None
    """Whether the request took effect; null if unknown."""
    attempts: int = 0
    waited: float = 0.0
    """Seconds spent waiting between attempts."""
    budget: str | None = None
    """The part of the call's budget that ran out, such as `4 attempts`; null if none did."""


class Document(BaseModel):
    """The result of a command and its errors."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    guestlist: Literal[1] = 1
    """The version of this schema. Later releases may add keys, but not remove or redefine any."""
    command: str | None
    """Null if the command line names no command."""
    ok: bool
    """Whether the exit code is 0."""
    exit_code: int
    results: list[Any]
    errors: list[ErrorRow]


def document_text(
    command: str | None,
    results: Iterable[BaseModel],
    errors: Iterable[GuestlistError],
    *,
    code: int,
    show_secrets: bool,
) -> str:
    """Returns the document as JSON. Masks links and keys unless `show_secrets` is set.

    Args:
        code: the exit code of the command.
    """
    document = Document.model_construct(
        command=command,
        ok=code == 0,
        exit_code=code,
        results=[_row(one) for one in results],
        errors=[error_row(error) for error in errors],
    )
    plain = _unwrapped(document.model_dump(), show_secrets)
    return json.dumps(to_jsonable_python(plain), indent=2)


def _row(result: BaseModel) -> dict[str, Any]:
    """Returns a result as a dictionary with its `type`."""
    name = _TYPES.get(type(result))
    return result.model_dump() | ({"type": name} if name else {})


def error_row(error: GuestlistError) -> ErrorRow:
    """Converts an error to a row, in which flags stand for Python arguments."""
    values = error.to_dict()
    values["hint"] = with_flags(error.hint)
    values.setdefault("happened", error.happened)
    return ErrorRow(**values)


def _unwrapped(value: Any, show_secrets: bool) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value() if show_secrets else MASK
    if isinstance(value, dict):
        return {name: _unwrapped(one, show_secrets) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_unwrapped(one, show_secrets) for one in value]
    return sorted(value) if isinstance(value, frozenset) else value


@cache
def document_model() -> type[Document]:
    """Returns the model of the document with every kind of row. Printing needs no such model, and
    making it takes a while."""
    rows: list[Any] = []
    for name, (model, text) in MODELS.items():
        title, constant = f"{name.title().replace('_', '')}Row", cast(Any, Literal[name])
        rows.append(create_model(title, __base__=model, __doc__=text, type=(constant, name)))
    row: Any = Annotated[reduce(or_, [*rows, *ROWS]), Field(discriminator="type")]
    return create_model(
        "Document", __base__=Document, __doc__=Document.__doc__, results=(list[row], ...)
    )


def json_schema() -> str:
    """Returns the JSON Schema of the document."""
    described = document_model().model_json_schema(mode="serialization")
    return json.dumps({"$schema": SCHEMA, **described}, indent=2) + "\n"


if __name__ == "__main__":
    print(json_schema(), end="")
