"""`follow`: looks up whether people have accepted or declined their invitations."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.address import email_key
from guestlist.errors import GuestlistError, LedgerError
from guestlist.ledger.answers import Answer, Waiting
from guestlist.ledger.ledger import Ledger

if TYPE_CHECKING:
    from guestlist.client import Guestlist


@dataclass
class FollowResult:
    """The result of `follow`.

    Attributes:
        answers: outcomes of invitations, oldest first, including those found by other processes.
        last: the number of the last answer. Pass it as `after` to the next call.
        waiting: number of people who have not answered yet.
        errors: one error for each account that could not be read.
    """

    answers: list[Answer] = field(default_factory=list)
    last: int = 0
    waiting: int = 0
    errors: list[GuestlistError] = field(default_factory=list)


def follow(
    *, ledger: Ledger | str | Path, client: Guestlist, after: int = 0, days: float = 30.0
) -> FollowResult:
    """Looks up whether people have accepted or declined the invitations in a ledger, and records
    their answers there.

    No service reports answers by itself, so call this from time to time. Each list of a service is
    read at most once. Any number of processes may call it: the ledger records each answer once.

    Args:
        ledger: an open ledger, a file or a URL.
        client: the client to read with.
        after: the number of the last answer that you have processed.
        days: check only invitations that were sent in the last `days` days.

    Raises:
        ConfigError: the ledger's location is invalid.
        LedgerError: the ledger fails.
    """
    with ExitStack() as closing:
        if not isinstance(ledger, Ledger):
            ledger = closing.enter_context(Ledger(ledger, clock=client.clock))
        result = FollowResult()
        by_account: dict[str, list[Waiting]] = defaultdict(list)
        for one in ledger.waiting(days=days):
            by_account[one.account].append(one)
        for account, people in by_account.items():
            try:
                logins = {one.email: one.login or "" for one in people}
                found = client.status_many(logins, logins=logins, account=account)
            except LedgerError:
                raise
            except GuestlistError as error:
                result.errors.append(error.about(account=account))
                continue
            for one in people:
                ledger.answered(one, found[email_key(one.email)])
        result.answers = ledger.answers(after)
        result.last = result.answers[-1].id if result.answers else after
        result.waiting = len(ledger.waiting(days=days))
        return result
