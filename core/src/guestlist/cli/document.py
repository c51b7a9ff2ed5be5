"""What `--json` prints: one document for every command.

The schema of it is docs/cli-schema.json, written by `python -m guestlist.cli.document`.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_core import to_jsonable_python

from guestlist.changes import Change
from guestlist.errors import GuestlistError
from guestlist.exchange.redact import MASK
from guestlist.ledger.line import LogLine
from guestlist.models import (
    Access,
    Guest,
    Invitation,
    InviteResult,
    Member,
    Onboarding,
    OwnAccess,
    Role,
    RoleResult,
)

SCHEMA = "https://json-schema.org/draft/2020-12/schema"


class Row(BaseModel):
    """What all rows that are no values of the library have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class GuestRow(Guest, defer_build=True):
    """Where somebody stands: `status`, `wait`, `revoke`, `remove`."""

    type: Literal["guest"] = "guest"


class InviteRow(InviteResult, defer_build=True):
    """What `invite` or `resend` did."""

    type: Literal["invite"] = "invite"


class OnboardingRow(Onboarding, defer_build=True):
    """What `onboard` did."""

    type: Literal["onboarding"] = "onboarding"


class RoleChangeRow(RoleResult, defer_build=True):
    """What `assign` or `unassign` did."""

    type: Literal["role_change"] = "role_change"


class AccessRow(Access, defer_build=True):
    """What somebody can effectively do."""

    type: Literal["access"] = "access"


class OwnAccessRow(OwnAccess, defer_build=True):
    """What the owner of an account's API key can effectively do: `access --own`."""

    type: Literal["own_access"] = "own_access"


class InvitationRow(Invitation, defer_build=True):
    """One of `list`."""

    type: Literal["invitation"] = "invitation"
    account: str


class MemberRow(Member, defer_build=True):
    """One of `members`."""

    type: Literal["member"] = "member"
    account: str


class RoleRow(Role, defer_build=True):
    """One of `roles`."""

    type: Literal["role"] = "role"
    account: str


class ChangeRow(Change, defer_build=True):
    """One of `plan`, or of what `apply` was about to do."""

    type: Literal["change"] = "change"


class PlanRow(Row):
    """What a plan comes to: the last row of `plan`."""

    type: Literal["plan"] = "plan"
    counts: dict[str, dict[str, int]]
    """How many changes there are, by account and action."""
    notes: dict[str, dict[str, int]]
    """What was counted and is no change, by account."""
    over: tuple[str, ...]
    """Why it must be confirmed with --force."""
    nothing: bool
    """Whether there is nothing to do. False also where an account could not be read: `errors`."""


class RunRow(Row):
    """What `apply` or `settle` did on one account."""

    type: Literal["run"] = "run"
    account: str
    done: dict[str, int]
    """How many orders, by outcome."""
    refused: dict[str, int]
    """How many failed for good, by the kind of error."""
    unknown: int
    """Of how many nobody can tell whether they happened."""
    left: int
    mails: int


class OrderRow(LogLine, defer_build=True):
    """One of `log`."""

    type: Literal["order"] = "order"


class ForgottenRow(Row):
    """What `forget` has deleted."""

    type: Literal["forgotten"] = "forgotten"
    ledger: str
    """The database, without a password."""
    email: str | None
    """Whose orders; null where it was those of a certain age."""
    before: datetime | None
    """The moment before which they were settled; null where it was those of a person."""
    orders: int
    entries: int
    mentions: int = 0
    """Places in other rows that named the person, and do so no more."""


class PulledRow(Row):
    """What `pull` wrote."""

    type: Literal["pulled"] = "pulled"
    files: tuple[str, ...]
    """The roster, and the file of people beside it where there are many."""
    memberships: int
    """How many people are in them, counted once for each account."""
    left_out: tuple[str, ...]
    """Who cannot be in a roster, and why; the first of them."""
    left_out_count: int
    lost: tuple[str, ...] = ()
    """What the people part of the roster said before and does not say any more."""
    backup: str | None = None
    """The roster as it was, if anything of it is lost."""


class AccountRow(Row):
    """One of `accounts`, or of `config check`."""

    type: Literal["account"] = "account"
    account: str
    provider: str
    title: str
    base_url: str
    working: bool | None = None
    """Whether the service accepts the key; null where it was not asked, or did not answer."""
    organization: str | None = None
    """What the key reaches, where the service tells."""


class SettingRow(Row):
    """One setting of a provider."""

    name: str
    description: str
    env: str | None
    required: bool
    secret: bool


class ProviderRow(Row):
    """One of `providers`, or the one of `check-provider`."""

    type: Literal["provider"] = "provider"
    name: str
    title: str
    docs_url: str
    distribution: str
    operations: tuple[str, ...]
    """Everything that it defines, what only this provider has included."""
    least_roles: int
    most_roles: int | None
    """How many roles an invitation must and can name."""
    can_suppress_mail: bool
    lifetime: float | None
    """Seconds for which an invitation can be accepted."""
    sandbox: bool
    """Whether it brings a local imitation of the service."""
    substitutes: dict[str, str]
    """What to do instead of what is unsupported."""
    options: tuple[str, ...]
    """What `invite --option` takes."""
    settings: tuple[SettingRow, ...]


class FileRow(Row):
    """The file of `config`, or the folder of `new-provider`."""

    type: Literal["file"] = "file"
    path: str | None
    """Null where the accounts come from the environment."""
    written: bool = False


class ServiceRow(Row):
    """One service of a sandbox. The keys are made up and no secrets."""

    type: Literal["service"] = "service"
    account: str
    title: str
    base_url: str
    settings: dict[str, str]
    read_only_settings: dict[str, str]


class MailboxRow(Row):
    """The mailbox of a sandbox."""

    type: Literal["mailbox"] = "mailbox"
    url: str
    environment: dict[str, str]
    """The variable that makes clients and commands use the whole sandbox."""


class StepRow(Row):
    """One step of `demo`."""

    type: Literal["step"] = "step"
    chapter: str
    call: str
    result: str
    expected: str
    as_told: bool


AnyRow = (
    GuestRow
    | InviteRow
    | OnboardingRow
    | RoleChangeRow
    | AccessRow
    | OwnAccessRow
    | InvitationRow
    | MemberRow
    | RoleRow
    | ChangeRow
    | PlanRow
    | RunRow
    | OrderRow
    | ForgottenRow
    | PulledRow
    | AccountRow
    | ProviderRow
    | FileRow
    | ServiceRow
    | MailboxRow
    | StepRow
)


class ErrorRow(Row):
    """One error. `error` is the class of `guestlist.errors`, or `Interrupted`, or `Bug`."""

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
    """Method and path of the request that the error is about, with secrets masked."""
    retry_after: float | None = None
    """Seconds after which the service accepts requests again, if it said so."""
    happened: bool | None = None
    """Whether the request took effect all the same; null where that is not known."""
    attempts: int = 0
    waited: float = 0.0
    """Seconds spent waiting between attempts."""
    budget: str | None = None
    """The part of the call's budget that ended it, such as `4 attempts`; null when none did."""


class Document(BaseModel):
    """What a command did, and what went wrong."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    guestlist: Literal[1] = 1
    """The version of this schema: keys may be added to it, none will go or change its meaning."""
    command: str | None
    """Null when what was typed names none."""
    ok: bool
    """Whether the exit code is 0."""
    exit_code: int
    results: list[Annotated[AnyRow, Field(discriminator="type")]]
    errors: list[ErrorRow]

    def text(self, *, show_secrets: bool) -> str:
        """The document as JSON, with links and keys masked unless they are to be shown."""
        plain = _unwrapped(self.model_dump(), show_secrets)
        return json.dumps(to_jsonable_python(plain), indent=2)


def error_row(error: GuestlistError) -> ErrorRow:
    """An error as a row."""
    told = error.to_dict()
    told.setdefault("happened", error.happened)
    return ErrorRow(**told)


def _unwrapped(value: Any, show_secrets: bool) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value() if show_secrets else MASK
    if isinstance(value, dict):
        return {name: _unwrapped(one, show_secrets) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_unwrapped(one, show_secrets) for one in value]
    return sorted(value) if isinstance(value, frozenset) else value


def schema() -> str:
    """The JSON Schema of the document."""
    described = Document.model_json_schema(mode="serialization")
    return json.dumps({"$schema": SCHEMA, **described}, indent=2) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
