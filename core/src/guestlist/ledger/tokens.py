"""Tokens of the HTTP API. The ledger stores a hash of each, so that a copy of it opens nothing."""

from __future__ import annotations

import re
import zlib
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from secrets import choice, token_hex
from string import ascii_letters, digits
from typing import Any

from sqlalchemy import insert, select, update

from guestlist.errors import NotFound
from guestlist.ledger.schema import moment, moment_or_none, tokens
from guestlist.ledger.store import Store
from guestlist.models import Model

ALPHABET = digits + ascii_letters
SECRET_LENGTH, CHECKSUM_LENGTH = 43, 6
"""43 characters of 62 hold 256 bits."""
_FORM = re.compile(rf"gl_[0-9A-Za-z]{{{SECRET_LENGTH + CHECKSUM_LENGTH}}}", re.ASCII)
USE_INTERVAL_SECONDS = 60.0
"""The time of the last use is stored at most this often."""


class Right(StrEnum):
    """The permission of a token."""

    READ = "read"
    """Reading only."""
    CHANGE = "change"
    """Reading, and all changes."""

    def includes(self, other: Right) -> bool:
        """Returns whether this right permits what another one permits."""
        return self is Right.CHANGE or self is other


class ApiToken(Model):
    """A token without its secret. Times are in UTC."""

    id: str
    name: str
    """The actor that the ledger names for the calls that are made with it."""
    right: Right
    created_at: datetime
    created_by: str | None = None
    expires_at: datetime
    used_at: datetime | None = None
    """When it was last used, to the minute. None if it was not used yet."""
    revoked_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Returns whether the token can be used: it is neither expired nor revoked."""
        return self.revoked_at is None and now < self.expires_at


def create(
    store: Store, name: str, right: Right, *, now: datetime, expires: datetime, by: str | None
) -> tuple[ApiToken, str]:
    """Creates a token, and returns it with its secret. The secret cannot be read again.

    Args:
        name: the person or program that gets the token.
        by: who creates it.

    Raises:
        LedgerError: the ledger cannot be written.
    """
    secret = _new_secret()
    row = {
        "id": token_hex(4),
        "name": name,
        "hash": _hash(secret),
        "right": right.value,
        "created": now.timestamp(),
        "created_by": by,
        "expires": expires.timestamp(),
    }
    store.write(lambda connection: connection.execute(insert(tokens), row))
    return _token({**row, "used": None, "revoked": None}), secret


def find(store: Store, secret: str) -> ApiToken | None:
    """Returns the token with a secret, even if it has expired or was revoked, or None.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    if not is_token(secret):
        return None
    with store.reading() as connection:
        row = connection.execute(select(tokens).where(tokens.c.hash == _hash(secret))).first()
    return None if row is None else _token(row._mapping)


def is_token(text: str) -> bool:
    """Returns whether a text has the form of a token, with the right checksum."""
    return (
        bool(_FORM.fullmatch(text))
        and _checksum(text[:-CHECKSUM_LENGTH]) == text[-CHECKSUM_LENGTH:]
    )


def record_use(store: Store, token: ApiToken, now: datetime) -> None:
    """Records that a token was used, unless that was recorded within the last minute.

    Raises:
        LedgerError: the ledger cannot be written.
    """
    if token.used_at and (now - token.used_at).total_seconds() < USE_INTERVAL_SECONDS:
        return
    this = update(tokens).where(tokens.c.id == token.id)
    store.write(lambda connection: connection.execute(this.values(used=now.timestamp())))


def all_tokens(store: Store) -> list[ApiToken]:
    """Returns all tokens, oldest first.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with store.reading() as connection:
        rows = connection.execute(select(tokens).order_by(tokens.c.created, tokens.c.id)).all()
    return [_token(row._mapping) for row in rows]


def revoke(store: Store, id: str, now: datetime) -> ApiToken:
    """Revokes a token, and returns it. It stays in the list.

    Raises:
        NotFound: there is no token with this id.
        LedgerError: the ledger cannot be written.
    """
    this = update(tokens).where(tokens.c.id == id, tokens.c.revoked.is_(None))
    store.write(lambda connection: connection.execute(this.values(revoked=now.timestamp())))
    found = next((one for one in all_tokens(store) if one.id == id), None)
    if found is None:
        raise NotFound(
            f"there is no token {id!r}", hint="`guestlist console token list` shows their ids."
        )
    return found


def _new_secret() -> str:
    text = "gl_" + "".join(choice(ALPHABET) for _ in range(SECRET_LENGTH))
    return text + _checksum(text)


def _checksum(text: str) -> str:
    """Returns six characters that show a mistyped token. Secret scanners use them too."""
    number, found = zlib.crc32(text.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        number, rest = divmod(number, len(ALPHABET))
        found = ALPHABET[rest] + found
    return found


def _hash(secret: str) -> str:
    # The secret is random and long, so that a slow hash would not make it safer.
    return sha256(secret.encode()).hexdigest()


def _token(row: Any) -> ApiToken:
    return ApiToken(
        id=row["id"],
        name=row["name"],
        right=Right(row["right"]),
        created_at=moment(row["created"]),
        created_by=row["created_by"],
        expires_at=moment(row["expires"]),
        used_at=moment_or_none(row["used"]),
        revoked_at=moment_or_none(row["revoked"]),
    )
