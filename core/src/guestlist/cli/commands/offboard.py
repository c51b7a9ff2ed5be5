"""`offboard`: takes people out of every account."""

from __future__ import annotations

from collections.abc import Sequence

from guestlist.cli.confirmation import confirm
from guestlist.cli.exit_codes import Interrupted
from guestlist.cli.printing import print_message
from guestlist.cli.session import Session
from guestlist.config import config_path
from guestlist.errors import Conflict, GuestlistError
from guestlist.humanize import quantity
from guestlist.models import AccountOffboarding, Identity, OffboardOutcome, OffboardResult
from guestlist.roster.file import Roster, read_roster

INTERRUPTED = "stopped: some access may be left; run the same command again to continue"


def run_offboard(session: Session) -> None:
    """Shows what would be taken away, asks, and takes it away."""
    given = session.arguments
    path = config_path(given.config)
    roster = None if path is None else read_roster(path, allow_empty=True)
    accounts = session.accounts(every=True)
    people = [_named(name, roster, accounts) for name in dict.fromkeys(given.who)]
    asks = not (given.yes or given.dry_run or given.sandbox)
    try:
        results = _offboard(session, people, accounts, dry_run=given.dry_run or asks)
        if asks and any(map(_found, results)):
            session.status.pause()
            session.show(results)
            confirm("Take this away?", yes=False)
            results = _offboard(session, people, accounts, dry_run=False)
    except KeyboardInterrupt:
        error = Interrupted(INTERRUPTED)
        error.happened = None
        session.errors.append(error)
        return
    session.results += results
    session.errors += (error for one in results for error in _remaining(one))
    if roster is not None:
        _warn_about_roster(session, roster, results)


def _named(name: str, roster: Roster | None, accounts: Sequence[str]) -> str | Identity:
    """Returns all names that the roster gives for a person. A login in the only account needs no
    roster."""
    is_clear = name.startswith("@") and len(accounts) == 1
    return name if roster is None or is_clear else roster.identify(name)


def _offboard(
    session: Session,
    people: Sequence[str | Identity],
    accounts: Sequence[str],
    *,
    dry_run: bool,
) -> list[OffboardResult]:
    number, done = len(people) * len(accounts), 0
    doing = "looking up" if dry_run else "offboarding"

    def show(_person: Identity | None = None, _part: AccountOffboarding | None = None) -> None:
        nonlocal done
        done += _part is not None
        session.status.show(f"{doing} in {quantity(len(accounts), 'account')}: {done} of {number}")

    show()
    return session.guests.offboard(people, account=accounts, dry_run=dry_run, on_result=show)


def _found(result: OffboardResult) -> bool:
    return any(one.members or one.invitations or one.deferred for one in result.accounts)


def _remaining(result: OffboardResult) -> list[GuestlistError]:
    """Returns an error for each account in which access remains or may remain."""
    starts = {
        OffboardOutcome.REMAINS: "access remains",
        OffboardOutcome.UNKNOWN: "it is unknown whether access remains",
    }
    return [
        Conflict(
            f"{starts[one.outcome]}: {one.reason}",
            hint=one.hint or "",
            account=one.account,
            email=result.person.label,
        )
        for one in result.accounts
        if one.outcome in starts
    ]


def _warn_about_roster(session: Session, roster: Roster, results: Sequence[OffboardResult]) -> None:
    """Warns about people whom the next `apply` would invite again."""
    for one in results:
        if roster.wants(one.person, session.now):
            print_message(
                "warning",
                f"{roster.toml.path} still names {one.person.label}: remove that entry, or `apply`"
                " invites the person again",
            )
