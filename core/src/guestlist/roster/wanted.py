"""One entry of a roster: one person in one account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple


class Wanted(NamedTuple):
    """One person who should be in one account. A tuple, because there may be millions.

    Attributes:
        account: the account's name.
        key: the address in the form in which addresses are compared
            (`guestlist.address.email_key`).
        email: the address as typed.
        roles: the roles by id, name or `kind:name`; None to leave the person's roles alone.
        options: the provider's options of an invitation.
        starts: the first day of the membership, or the moment at which it begins; None for no
            beginning.
        ends: the last day of the membership, or the moment at which it ends; None for no end.
        place: file and line of the entry for messages, such as `guestlist.toml:12`.
    """

    account: str
    key: str
    email: str
    roles: tuple[str, ...] | None = None
    options: Mapping[str, Any] = {}
    starts: date | None = None
    ends: date | None = None
    place: str = ""
