"""Invites one person into every configured account.

    python examples/invite.py ada@example.com

The accounts are those of a `guestlist.toml`, or of the environment.
"""

from __future__ import annotations

import sys

from guestlist import Guestlist, GuestlistError

ROLES = {"aitronos": "Member"}
"""By provider, where an invitation has to name one."""


def main(email: str) -> int:
    failures = 0
    with Guestlist() as guests:
        for name, provider in guests.accounts.items():
            try:
                result = guests.invite(email, role=ROLES.get(provider.name), account=name)
            except GuestlistError as error:
                failures += 1
                print(error, file=sys.stderr)  # what happened, where, and what to do about it
            else:
                print(f"{name}: {result.outcome}, {result.guest.state}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
