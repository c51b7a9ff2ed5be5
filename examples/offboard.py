"""Takes one person out of everything: revokes what is open, removes what was accepted.

python examples/offboard.py ada@example.com
"""

from __future__ import annotations

import sys

from guestlist import Conflict, Guestlist, GuestlistError


def leave(guests: Guestlist, email: str) -> str:
    """Ends whatever a person has in the bound account, and says what that was."""
    try:
        return guests.remove(email).outcome
    except Conflict:  # invited, and not a member yet
        return guests.revoke(email).outcome


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
