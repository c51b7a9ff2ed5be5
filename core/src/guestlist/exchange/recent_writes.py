"""Remembers what a client has created, for as long as the service's lists may not show it.

Without this, inviting a person twice within the list lag would send two emails, `status` would not
show the invitation, and a lookup for an unanswered request would mistake the record of the request
before it for its own.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from guestlist.address import email_key
from guestlist.models import Guest


class RecentWrites:
    """The guests of one account that were invited or added recently, by address.

    Args:
        lag: seconds for which a list may not show a new record. With 0, nothing is remembered.
    """

    def __init__(self, lag: float) -> None:
        self._lag = lag
        self._guests: OrderedDict[str, tuple[float, Guest]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._guests)

    def add(self, guest: Guest, now: float) -> None:
        """Remembers a guest.

        Args:
            now: the monotonic time in seconds at which the record was created.
        """
        if not self._lag:
            return
        key = guest.key
        with self._lock:
            self._guests[key] = (now, guest)
            self._guests.move_to_end(key)
            while now - next(iter(self._guests.values()))[0] > self._lag:
                self._guests.popitem(last=False)

    def forget(self, email: str) -> tuple[Guest, float] | None:
        """Forgets a guest whose record is about to be withdrawn.

        Returns:
            The arguments of `add`, to remember the guest again if the withdrawal fails. None if the
            guest was not remembered.
        """
        if not self._lag:
            return None
        with self._lock:
            made, guest = self._guests.pop(email_key(email), (0.0, None))
        return (guest, made) if guest is not None else None

    def of(self, email: str, now: float) -> Guest | None:
        """Returns the guest as created; None if the service's lists show it by now."""
        if not self._lag:
            return None
        made, guest = self._guests.get(email_key(email), (now, None))
        return guest if now - made <= self._lag else None
