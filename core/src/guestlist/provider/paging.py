"""Reading a list to its end within a flow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from guestlist.errors import MalformedResponse
from guestlist.provider.messages import Page
from guestlist.provider.operations import Flow

T = TypeVar("T")


def every(listing: Callable[[str | None], Flow[Page[T]]]) -> Flow[list[T]]:
    """The items of all pages of a list, for a flow that needs them all, such as names for ids:

        names = {role.id: role.name for role in (yield from every(self.roles))}

    Args:
        listing: returns one page, as the operations `invitations`, `members` and `roles` do.

    Raises:
        MalformedResponse: the list repeats itself, or is cut off: not all of it can be read.
    """
    read: list[Sequence[T]] = []
    cursors: set[str | None] = {None}
    cursor: str | None = None
    while True:
        page = yield from listing(cursor)
        if page.cut_off is not None or (page.items and page.items in read):
            raise unfinished(page.cut_off)
        read.append(page.items)
        cursor = page.next
        if cursor is None:
            return [item for items in read for item in items]
        if cursor in cursors:
            raise unfinished(None)
        cursors.add(cursor)


def unfinished(cut_off: str | None) -> MalformedResponse:
    """The error for a list that cannot be read to its end.

    Args:
        cut_off: what to do about it, where the service cuts its list off.
    """
    if cut_off:
        return MalformedResponse("the service cuts its list off", hint=cut_off)
    return MalformedResponse(
        "the list repeats itself and cannot be read to its end",
        hint="Nobody can tell who is not in it. Try again later.",
    )
