"""What has become of an order."""

from __future__ import annotations

from dataclasses import dataclass

from guestlist.changes import Change


@dataclass(frozen=True, slots=True)
class Done:
    """What has become of an order.

    Attributes:
        outcome: in a word.
        mail: whether one was sent; None when none was due or nobody knows.
        detail: what people should know besides.
        owed: orders to give roles when the person has accepted.
    """

    outcome: str
    mail: bool | None = None
    detail: str | None = None
    owed: tuple[Change, ...] = ()
