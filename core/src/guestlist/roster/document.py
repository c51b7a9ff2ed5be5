"""The shape of a roster file: what may be written, and what it means.

These models check one file on its own, and the JSON Schema for editors is made from them. Whether
the groups and accounts that a person names are there, `guestlist.roster.index` knows.
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
from guestlist.errors import InvalidOrder

LIST, ONE, TABLE, TRUE = ":list", ":one", ":table", ":true"
"""How a value was written; pydantic puts them into the place of an error."""
FORMS = frozenset({LIST, ONE, TABLE, TRUE})
UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
"""What a period is counted in, in seconds."""
_PERIOD = r"([0-9]{1,6}) *(" + "|".join(UNIT_SECONDS) + ")s?"


DAY_HINT = "write a day as 2026-01-31, or a moment as 2026-01-31T18:00:00+01:00"
"""The remedy for what is not a day."""


def read_day(written: object) -> date | datetime:
    """Returns a day, or a moment with its offset, from a date of TOML or from text.

    Raises:
        ValueError: it is neither.
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
    except InvalidOrder as error:
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


class Part(BaseModel):
    """What all parts of the file have in common."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )


Text = Annotated[str, Field(min_length=1)]
Address = Annotated[str, Field(min_length=1, json_schema_extra={"pattern": "@"})]
Email = Annotated[
    Address, BeforeValidator(lambda one: _email(one) if isinstance(one, str) else one)
]
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


class Membership(Part):
    """That somebody is in an account, with everything that can be said about it."""

    roles: list[Text] | None = None
    """The roles, by id, name or `kind:name`, and no others. Without it the roles that somebody
    holds are left alone."""
    options: dict[str, Any] = {}
    """The provider's own options of an invitation, such as `api_enabled`."""


Access = Annotated[
    Annotated[Literal[True], Tag(TRUE)]
    | Annotated[list[Text], Tag(LIST)]
    | Annotated[Membership, Tag(TABLE)],
    Discriminator(
        _form,
        custom_error_type="access",
        custom_error_message="has to be a list of roles, or true to leave the roles alone",
    ),
]
"""How somebody is in an account: true (whatever roles), a list of roles, or a table."""
Accesses = dict[str, Access]
"""By the name of the account."""


class Group(Part):
    """People who are in the same accounts with the same roles."""

    accounts: Accesses = {}
    """Where its people are, and with which roles."""


class Person(Part):
    """One person, or several who are in the same accounts."""

    email: Annotated[
        Annotated[Email, Tag(ONE)] | Annotated[list[Email], Tag(LIST), Field(min_length=1)],
        Discriminator(
            _form, custom_error_type="email", custom_error_message="has to be an e-mail address"
        ),
    ]
    """The address, or a list of addresses."""
    groups: list[Text] = []
    """The names of groups, from `[groups.…]`."""
    accounts: Accesses = {}
    """Where they are besides, and with which roles."""
    from_: Day | None = Field(default=None, alias="from")
    """The first day on which they should be there, or the moment from which on; without it, ever
    since."""
    until: Day | None = None
    """The last such day, or the moment at which it ends; without it, for ever."""


class Columns(Part):
    """The headings of the columns of a CSV file, where they are called otherwise."""

    email: Text | None = None
    accounts: Text | None = None
    roles: Text | None = None
    groups: Text | None = None
    from_: Text | None = Field(default=None, alias="from")
    until: Text | None = None


class PeopleFile(Part):
    """A file that holds people: TOML with `[[people]]`, or CSV with a heading over each column."""

    file: Text
    """Where it is, seen from this file. One that ends in `.toml` is TOML, every other is CSV."""
    columns: Columns = Columns()
    """The headings of a CSV file; without it they are called email, accounts, roles, groups, from
    and until."""
    groups: list[Text] = []
    """Groups that everybody in the file is in."""
    accounts: Accesses = {}
    """Accounts that everybody in the file is in."""


class LimitsTable(Part):
    """What guards against a mistake in the roster: more than this is not done unasked."""

    mails_per_person: StrictInt | None = Field(default=None, ge=1)
    """How many mails one person gets at most within the period, from all accounts together.
    Without it: one for each account of the file, and two more."""
    period: Period = timedelta(days=7)
    """The period in which a person's mails are counted."""
    invitations: StrictInt = Field(default=500, ge=0)
    """How many invitations one run makes at most without being confirmed."""
    removals: StrictInt = Field(default=10, ge=0)
    """How many people one run removes at most without being confirmed."""
    protected: list[Email] = []
    """Addresses of people from whom nothing is ever taken, such as the owner of an API key."""


class FromEnvironment(Part):
    """A value that stands in an environment variable."""

    env: Text
    """The name of the variable."""


class LedgerTable(Part):
    """Where what was asked and what became of it is recorded."""

    url: (
        Annotated[
            Annotated[Text, Tag(ONE)] | Annotated[FromEnvironment, Tag(TABLE)],
            Discriminator(
                _form,
                custom_error_type="url",
                custom_error_message='has to be text, or { env = "NAME" }',
            ),
        ]
        | None
    ) = Field(default=None, repr=False)
    """The database, such as `postgresql://…`. A password belongs into the environment:
    `{ env = "NAME" }`. Without it: `guestlist.db` beside this file."""
    keep: Period = timedelta(days=400)
    """What was settled longer ago is deleted by `guestlist forget --expired`."""


class LedgerDocument(Part):
    """A configuration file of which only the ledger's place matters."""

    model_config = ConfigDict(extra="ignore")

    ledger: LedgerTable = LedgerTable()


class AccountSettings(Part):
    """One account at one service. Its other settings depend on the provider."""

    model_config = ConfigDict(extra="allow")

    provider: Text
    """The service, such as `vultr`."""


class PeopleDocument(Part):
    """A file of people that a roster names."""

    people: list[Person] = []
    """The people."""


class Document(PeopleDocument):
    """A `guestlist.toml`: accounts, and who belongs into them."""

    accounts: dict[str, Any] = {}
    """The accounts, under names of your own."""
    allowed_domains: Any = None
    """If it is set, nobody outside these domains is ever invited."""
    budget: Any = None
    """What one call may cost, in seconds."""
    timezone: Zone = ZoneInfo("UTC")
    """Where days begin and end, such as `"Europe/Berlin"`; without it, UTC."""
    groups: dict[str, Group] = {}
    """Groups of people with the same roles, under names of your own."""
    people_from: list[PeopleFile] = []
    """Files of people."""
    limits: LimitsTable = LimitsTable()
    ledger: LedgerTable = LedgerTable()
