"""What a roster wants of one person in one account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple


class Wanted(NamedTuple):
    """One person who should be in one account. A tuple, because there may be millions.

    Attributes:
        account: the account's name.
        key: the address as it is compared (`guestlist.address.email_key`).
        email: as typed.
        roles: by id, name or `kind:name`; None where the roster does not say, and what the person
            holds is left alone.
        options: the provider's own options of an order.
        starts: the first day on which the person should be there, or the moment from which on; None
            for ever since.
        ends: the last such day, or the moment at which it ends; None for ever.
        place: where the roster says so, such as `guestlist.toml:12`, for messages.
    """

    account: str
    key: str
    email: str
    roles: tuple[str, ...] | None = None
    options: Mapping[str, Any] = {}
    starts: date | None = None
    ends: date | None = None
    place: str = ""
