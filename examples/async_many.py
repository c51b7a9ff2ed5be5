"""Invites many people at once into one account.

    python examples/async_many.py cloud < addresses.txt

All calls start together. How fast a service may be called is kept to by the client, so nothing
more is needed here; and since inviting is safe to repeat, a run that was cut off is simply
started again.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

from guestlist import AsyncGuestlist, GuestlistError


async def main(account: str) -> int:
    people = [line.strip() for line in sys.stdin if line.strip()]
    async with AsyncGuestlist() as guests:
        cloud = guests.account(account)
        results = await asyncio.gather(*map(cloud.invite, people), return_exceptions=True)

    outcomes = Counter[str]()
    for result in results:
        if isinstance(result, GuestlistError):
            outcomes["failed"] += 1
            print(result, file=sys.stderr)
        elif isinstance(result, BaseException):
            raise result
        else:
            outcomes[result.outcome] += 1
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))
    return 1 if outcomes["failed"] else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
