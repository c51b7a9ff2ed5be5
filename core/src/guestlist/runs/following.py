"""`follow`: finds out what people answered to their invitations."""

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
    """What `follow` found out.

    Attributes:
        answers: what became of invitations, oldest first, whichever process noticed it.
        last: the number of the last answer. Pass it as `after` to the next call.
        waiting: how many people have not answered yet.
        errors: accounts that could not be asked; the others were.
    """

    answers: list[Answer] = field(default_factory=list)
    last: int = 0
    waiting: int = 0
    errors: list[GuestlistError] = field(default_factory=list)


def follow(
    *, ledger: Ledger | str | Path, client: Guestlist, after: int = 0, days: float = 30.0
) -> FollowResult:
    """Find out what people answered who were invited with a ledger, and record it there.

    No service reports answers by itself, so call this from time to time. Each list of a service is
    read at most once. Any number of processes may do it: the ledger records each answer once.

    Args:
        ledger: an open ledger, a file or a URL.
        client: the client to ask with.
        after: the number of the last answer that is known already.
        days: how long ago people may have been invited.

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
                found = client.standing({one.email for one in people}, account=account)
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
