"""Takes one person out of everything: revokes what is open, removes what was accepted.

python examples/offboard.py ada@example.com
"""

from __future__ import annotations

import sys

from guestlist import Guestlist, GuestlistError, State


def leave(guests: Guestlist, email: str) -> str:
    """Ends whatever a person has in the bound account, and says what that was."""
    guest = guests.status(email)
    if guest.state == State.ACCEPTED:
        guests.remove(guest)
        return "removed"
    if guest.state in (State.PENDING, State.AWAITING_APPROVAL):
        guests.revoke(guest)
        return "revoked"
    return f"nothing to do ({guest.state})"


def main(email: str) -> int:
    failures = 0
    with Guestlist() as guests:
        for name in guests.accounts:
            try:
                print(f"{name}: {leave(guests.account(name), email)}")
            except GuestlistError as error:  # such as Unsupported: Vultr cannot revoke
                failures += 1
                print(error, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
