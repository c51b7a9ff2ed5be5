"""The data model of a roster file.

These models validate one file on its own, and the JSON Schema for editors is generated from them.
`guestlist.roster.index` checks whether the named groups and accounts exist.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    StrictInt,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from guestlist.address import read_email
from guestlist.errors import InvalidArgument

LIST, ONE, TABLE, TRUE = ":list", ":one", ":table", ":true"
"""Tags for the form of a value. pydantic inserts them into the location of an error."""
FORMS = frozenset({LIST, ONE, TABLE, TRUE})
UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
"""Units of a period, in seconds."""
_PERIOD = r"([0-9]{1,6}) *(" + "|".join(UNIT_SECONDS) + ")s?"


DAY_HINT = "write a day as 2026-01-31, or a moment as 2026-01-31T18:00:00+01:00"
"""Hint for a value that is not a valid day."""


def read_day(written: object) -> date | datetime:
    """Converts a TOML date or a text to a date, or to a datetime with an offset.

    Raises:
        ValueError: the value is neither.
    """
    if isinstance(written, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", written, re.ASCII):
        return date.fromisoformat(written)
    if isinstance(written, str) and re.match(r"\d{4}-\d\d-\d\d[T ]", written, re.ASCII):
        written = datetime.fromisoformat(written)
    if isinstance(written, date) and (not isinstance(written, datetime) or written.tzinfo):
        return written
    raise ValueError


def _day(written: object) -> date | datetime:
    try:
        return read_day(written)
    except ValueError:
        raise _shape_error("{written} is not a day: " + DAY_HINT, written) from None


def _zone(written: object) -> ZoneInfo:
    try:
        if isinstance(written, str):
            return ZoneInfo(written)
    except (ValueError, ZoneInfoNotFoundError, OSError):
        pass
    raise _shape_error('{written} is not a time zone: write it as "Europe/Berlin"', written)


def _email(written: str) -> str:
    try:
        return read_email(written)[0]
    except InvalidArgument as error:
        raise PydanticCustomError("email", "{wrong}", {"wrong": error.message}) from None


def _period(written: object) -> timedelta:
    match = re.fullmatch(_PERIOD, written) if isinstance(written, str) else None
    if not match or int(match[1]) == 0:
        raise _shape_error('{written} is not a period: write it as "7 days" or "12 hours"', written)
    return timedelta(seconds=int(match[1]) * UNIT_SECONDS[match[2]])


def _shape_error(message: Any, written: object) -> PydanticCustomError:
    shown = repr(written) if isinstance(written, str) else str(written)
    return PydanticCustomError("wrong", message, {"written": shown})


def _form(written: object) -> str | None:
    if isinstance(written, list):
        return LIST
    if isinstance(written, dict):
        return TABLE
    return ONE if isinstance(written, str) else TRUE if written is True else None


class TomlTable(BaseModel):
    """Base class of all parts of the file."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )


Text = Annotated[str, Field(min_length=1)]
Address = Annotated[str, Field(min_length=1, json_schema_extra={"pattern": "@"})]
Email = Annotated[
    Address, BeforeValidator(lambda one: _email(one) if isinstance(one, str) else one)
]
Protected = Annotated[
    str,
    Field(min_length=1),
    BeforeValidator(
        lambda one: _email(one) if isinstance(one, str) and "@" in one.lstrip()[1:] else one
    ),
]
"""An address, or the login or id of a member, which has no `@` except as its first character."""
Day = Annotated[datetime | date, BeforeValidator(_day)]
Zone = Annotated[
    ZoneInfo,
    PlainValidator(_zone),
    WithJsonSchema({"type": "string", "examples": ["Europe/Berlin"]}),
]
Period = Annotated[
    timedelta,
    BeforeValidator(_period),
    WithJsonSchema({"type": "string", "pattern": f"^{_PERIOD}$", "examples": ["7 days"]}),
]


class MembershipTable(TomlTable):
    """Membership in an account, in its long form with roles and options."""

    roles: list[Text] | None = None
    """The exact roles, by id, name or `kind:name`. If omitted, the person's roles are left
    alone."""
    options: dict[str, Any] = {}
    """The provider's options of an invitation, such as `api_enabled`."""


Access = Annotated[
    Annotated[Literal[True], Tag(TRUE)]
    | Annotated[list[Text], Tag(LIST)]
    | Annotated[MembershipTable, Tag(TABLE)],
    Discriminator(
        _form,
        custom_error_type="access",
        custom_error_message="must be a list of roles, or true to leave the roles alone",
    ),
]
"""Membership in an account: true (any roles), a list of roles, or a table."""
Accesses = dict[str, Access]
"""Memberships by the name of the account."""


class GroupTable(TomlTable):
    """A group of people who share accounts and roles."""

    accounts: Accesses = {}
    """The accounts and roles of the group's people."""


class PersonTable(TomlTable):
    """One person, or several people with the same accounts."""

    email: (
        Annotated[
            Annotated[Email, Tag(ONE)] | Annotated[list[Email], Tag(LIST), Field(min_length=1)],
            Discriminator(
                _form, custom_error_type="email", custom_error_message="must be an email address"
            ),
        ]
        | None
    ) = None
    """The email address, or a list of addresses of several people. May be omitted for a person with
    `logins`, who then cannot be invited."""
    also: list[Email] = []
    """Other addresses of the same person, at which a service may know them. Invitations go to
    `email`."""
    logins: dict[str, Text] = {}
    """The person's logins at the services, by the name of the account: `logins.hub = "ada-l"`."""
    groups: list[Text] = []
    """Names of groups, from `[groups.…]`."""
    accounts: Accesses = {}
    """Accounts and roles in addition to those of the groups."""
    from_: Day | None = Field(default=None, alias="from")
    """The first day of the membership, or the time at which it begins. If omitted, it has no
    beginning."""
    until: Day | None = None
    """The last day of the membership, or the time at which it ends. If omitted, it has no end."""


class Columns(TomlTable):
    """Headings of the columns of a CSV file, if they differ from the default names."""

    email: Text | None = None
    also: Text | None = None
    logins: Text | None = None
    accounts: Text | None = None
    roles: Text | None = None
    groups: Text | None = None
    from_: Text | None = Field(default=None, alias="from")
    until: Text | None = None


class PeopleFileTable(TomlTable):
    """A file of people: TOML with `[[people]]`, or CSV with a heading over each column."""

    file: Text
    """The path, relative to this file. A name that ends in `.toml` means TOML, any other CSV."""
    columns: Columns = Columns()
    """The headings of a CSV file. By default email, also, logins, accounts, roles, groups, from and
    until."""
    groups: list[Text] = []
    """Groups of all people in the file."""
    accounts: Accesses = {}
    """Accounts of all people in the file."""


class LimitsTable(TomlTable):
    """Limits that guard against mistakes in the roster. To exceed them needs confirmation."""

    emails_per_person: StrictInt | None = Field(default=None, ge=1)
    """Maximum number of emails to one person within the period, over all accounts. By default one
    for each account of the file, plus two."""
    period: Period = timedelta(days=7)
    """The period in which emails to one person are counted."""
    invitations: StrictInt = Field(default=500, ge=0)
    """Maximum number of invitations in one run without confirmation."""
    removals: StrictInt = Field(default=10, ge=0)
    """Maximum number of removed people in one run without confirmation."""
    protected: list[Protected] = []
    """Addresses, logins or ids of members who never lose membership or roles, such as the owner of
    an API key or a program."""


class FromEnvironment(TomlTable):
    """A value that is read from an environment variable."""

    env: Text
    """The name of the variable."""


class LedgerTable(TomlTable):
    """The ledger, which records requests and their outcomes."""

    url: (
        Annotated[
            Annotated[Text, Tag(ONE)] | Annotated[FromEnvironment, Tag(TABLE)],
            Discriminator(
                _form,
                custom_error_type="url",
                custom_error_message='must be text, or { env = "NAME" }',
            ),
        ]
        | None
    ) = Field(default=None, repr=False)
    """URL of the database, such as `postgresql://…`. If it contains a password, put it into an
    environment variable: `{ env = "NAME" }`. By default `guestlist.db` beside this file."""
    keep: Period = timedelta(days=400)
    """How long completed entries are kept. `guestlist forget --expired` deletes older ones."""


class LedgerDocument(TomlTable):
    """A configuration file, of which only the `[ledger]` table is validated."""

    model_config = ConfigDict(extra="ignore")

    ledger: LedgerTable = LedgerTable()


class AccountSettings(TomlTable):
    """One account at one service. The other settings depend on the provider."""

    model_config = ConfigDict(extra="allow")

    provider: Text
    """The name of the provider, such as `vultr`."""


class PeopleDocument(TomlTable):
    """A file of people that a roster names."""

    people: list[PersonTable] = []
    """The people."""


class RosterDocument(PeopleDocument):
    """A `guestlist.toml`: accounts, and the people who belong to them."""

    accounts: dict[str, Any] = {}
    """The accounts, by names of your choice."""
    allowed_domains: Any = None
    """If set, only addresses in these domains can be invited."""
    budget: Any = None
    """Limits on the time and the attempts of one call."""
    timezone: Zone = ZoneInfo("UTC")
    """The time zone in which days begin and end, such as `"Europe/Berlin"`. By default UTC."""
    groups: dict[str, GroupTable] = {}
    """Groups of people who share accounts and roles, by names of your choice."""
    people_from: list[PeopleFileTable] = []
    """Files of people."""
    limits: LimitsTable = LimitsTable()
    ledger: LedgerTable = LedgerTable()
