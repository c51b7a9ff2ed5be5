"""The results of an audit."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from guestlist.models import Guest, Model


class FindingKind(StrEnum):
    """The kind of a finding about a person in an account."""

    NOT_IN_ROSTER = "not_in_roster"
    """The person is a member or is invited, and the roster does not want that today."""
    MISSING = "missing"
    """The roster wants the person, who is neither a member nor invited."""
    UNCLEAR = "unclear"
    """It is unknown whether the person is in the account."""
    OUTSIDE_DOMAIN = "outside_domain"
    """The address of the member or of the invitation is not in an allowed domain."""
    ADMIN = "admin"
    """The person has, or is offered, a role that administers the organization
    (`Provider.admin_roles`)."""
    OUTSIDE_COLLABORATOR = "outside_collaborator"
    """The person has access to parts of the organization without being a member."""
    PENDING = "pending"
    """The invitation has been open for a long time."""
    SUSPENDED = "suspended"
    """The member is locked out."""
    NO_ACCESS = "no_access"
    """The member has no role that permits anything."""


class Finding(Model):
    """One thing that an audit found.

    Attributes:
        kind: what was found.
        account: the account.
        person: the name of the person: the address, else the login, else the id.
        detail: the particulars, as the end of a sentence about the person.
        since: since when, if that is known: the day of the invitation or of the membership.
        guest: the person in the account. None if there is no record.
    """

    kind: FindingKind
    account: str
    person: str
    detail: str
    since: datetime | None = None
    guest: Guest | None = None


class Unchecked(Model):
    """Something that an audit could not check in an account.

    Attributes:
        kind: what could not be checked.
        account: the account.
        reason: why.
    """

    kind: FindingKind
    account: str
    reason: str
