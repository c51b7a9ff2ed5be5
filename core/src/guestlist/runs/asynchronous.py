"""`plan_async`, `apply_async`, `settle_async` and `follow_async`: the functions of this package for
async code.

The work runs in threads. The `AsyncGuestlist` sends requests in its event loop (asyncio or trio). A
canceled call ends like a run after Ctrl-C: no new request is sent, requests in flight are finished
and recorded, and then the cancellation continues.

Their arguments are those of the sync functions, except for the types of the client and the
callbacks, and without `stop`: cancel the task instead. A test compares the signatures.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.client import for_threads
from guestlist.runs.applying import ApplyResult, apply
from guestlist.runs.bridge import in_worker_thread
from guestlist.runs.context import Selection
from guestlist.runs.following import FollowResult, follow
from guestlist.runs.planning import PlanOptions, plan_roster
from guestlist.runs.progress import AsyncConfirm, AsyncConfirmResume, AsyncProgress
from guestlist.runs.settling import SettleResult, settle

if TYPE_CHECKING:
    from guestlist.client import AsyncGuestlist
    from guestlist.ledger.ledger import Ledger
    from guestlist.roster.file import Roster
    from guestlist.roster.plan import Plan
    from guestlist.roster.planfile import PlanFile


async def plan_async(
    roster: Roster | str | Path,
    *,
    ledger: Ledger | str | Path | None = None,
    client: AsyncGuestlist | None = None,
    on_progress: AsyncProgress | None = None,
    prune: bool = False,
    invite_declined: bool = False,
    retry_unknown: bool = False,
    accounts: Iterable[str] = (),
    people: Iterable[str] = (),
    allow_empty: bool = False,
) -> Plan:
    """Compares a roster with what the services hold; see `plan`.

    Args:
        client: the client to read with. By default one for the roster's accounts.
        on_progress: a function or coroutine function.
    """

    options = PlanOptions(prune, invite_declined, retry_unknown, allow_empty)
    selection = Selection.of(accounts, people)
    return await in_worker_thread(
        lambda bridge: plan_roster(
            roster,
            ledger,
            bridge.client(client),
            bridge.progress(on_progress),
            selection,
            options,
            bridge.stop,
        )
    )


async def apply_async(
    roster: Roster | str | Path,
    *,
    plan: PlanFile | str | Path | None = None,
    ledger: Ledger | str | Path | None = None,
    client: AsyncGuestlist | None = None,
    confirm: AsyncConfirm | None = None,
    confirm_resume: AsyncConfirmResume | None = None,
    on_progress: AsyncProgress | None = None,
    prune: bool = False,
    invite_declined: bool = False,
    retry_unknown: bool = False,
    fresh: bool = False,
    force: bool = False,
    accounts: Iterable[str] = (),
    people: Iterable[str] = (),
    allow_empty: bool = False,
    wait: float | None = None,
    actor: str | None = None,
    note: str | None = None,
) -> ApplyResult:
    """Changes the services so that they match a roster; see `apply`.

    Args:
        client: the client to send with. By default one for the roster's accounts.
        confirm: a function or coroutine function.
        confirm_resume: a function or coroutine function.
        on_progress: a function or coroutine function.
    """
    return await in_worker_thread(
        lambda bridge: apply(
            roster,
            plan=plan,
            ledger=ledger,
            client=bridge.client(client),
            confirm=bridge.question(confirm),
            confirm_resume=bridge.question(confirm_resume),
            on_progress=bridge.progress(on_progress),
            prune=prune,
            invite_declined=invite_declined,
            retry_unknown=retry_unknown,
            fresh=fresh,
            force=force,
            accounts=accounts,
            people=people,
            allow_empty=allow_empty,
            wait=wait,
            stop=bridge.stop,
            actor=actor,
            note=note,
        )
    )


async def settle_async(
    roster: Roster | str | Path,
    *,
    ledger: Ledger | str | Path | None = None,
    client: AsyncGuestlist | None = None,
    on_progress: AsyncProgress | None = None,
    wait: float | None = None,
    allow_empty: bool = False,
    actor: str | None = None,
    note: str | None = None,
) -> SettleResult:
    """Gives people their deferred roles; see `settle`.

    Args:
        client: the client to send with. By default one for the roster's accounts.
        on_progress: a function or coroutine function.
    """
    return await in_worker_thread(
        lambda bridge: settle(
            roster,
            ledger=ledger,
            client=bridge.client(client),
            on_progress=bridge.progress(on_progress),
            wait=wait,
            stop=bridge.stop,
            allow_empty=allow_empty,
            actor=actor,
            note=note,
        )
    )


async def follow_async(
    *, ledger: Ledger | str | Path, client: AsyncGuestlist, after: int = 0, days: float = 30.0
) -> FollowResult:
    """Finds out and records how people answered their invitations; see `follow`."""
    return await in_worker_thread(
        lambda bridge: follow(
            ledger=ledger, client=for_threads(client, bridge.portal), after=after, days=days
        )
    )
