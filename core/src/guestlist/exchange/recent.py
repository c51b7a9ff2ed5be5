"""What a client has made, for as long as the service's lists may not show it.

Without it, inviting somebody twice within the lag sends two mails, `status` says that there is
nothing, and a look for an order without an answer takes the one before it for its effect.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from guestlist.address import email_key
from guestlist.models import Guest


class Recent:
    """The guests of one account that were invited or added just now, by their address.

    Args:
        lag: seconds for which a list may miss what was made; 0 keeps nobody.
    """

    def __init__(self, lag: float) -> None:
        self._lag = lag
        self._guests: OrderedDict[str, tuple[float, Guest]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._guests)

    def add(self, guest: Guest, now: float) -> None:
        """Keeps a guest for whom a record was made (`now`: when, monotonic, in seconds)."""
        if not self._lag:
            return
        key = email_key(guest.email)
        with self._lock:
            self._guests[key] = (now, guest)
            self._guests.move_to_end(key)
            while now - next(iter(self._guests.values()))[0] > self._lag:
                self._guests.popitem(last=False)

    def forget(self, email: str) -> tuple[Guest, float] | None:
        """For somebody whose record is about to be withdrawn: an absence is none of the lag now.

        Returns:
            What `add` was told, for the case that nothing is withdrawn.
        """
        if not self._lag:
            return None
        with self._lock:
            made, guest = self._guests.pop(email_key(email), (0.0, None))
        return (guest, made) if guest is not None else None

    def of(self, email: str, now: float) -> Guest | None:
        """The guest as made; None once the lists would show it."""
        if not self._lag:
            return None
        made, guest = self._guests.get(email_key(email), (now, None))
        return guest if now - made <= self._lag else None
