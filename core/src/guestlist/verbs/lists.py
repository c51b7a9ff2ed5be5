"""Lists: pages read one after another, and an end that is always found."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from operator import attrgetter
from typing import Any, Generic, TypeVar

from guestlist.errors import InvalidOrder
from guestlist.exchange.account import Call
from guestlist.exchange.policy import run
from guestlist.exchange.step import Result, Step, Steps
from guestlist.models import KINDS, Invitation, Member, Role, State
from guestlist.provider import Flow, Page
from guestlist.provider.paging import unfinished
from guestlist.verbs.accounts import Accounts
from guestlist.verbs.states import current, state_named

T = TypeVar("T")
Listing = Callable[[str | None], Flow[Page[T]]]
"""A provider's operation that returns one page."""


class Pages(Generic[T]):
    """Walks through the pages of one list.

    It ends where the service says so, and also when a page or a cursor comes a second time: some
    services ignore the cursor and answer with the first page for ever. Then it is `broken` as well,
    as one is that the service cuts off: what is on no page that came may be in the list all the
    same.
    """

    def __init__(self, listing: Listing[T]) -> None:
        self._listing = listing
        self._cursor: str | None = None
        self._cursors: set[str | None] = {None}
        self._seen: set[int] = set()  # hashes, so that a long list is not kept for this
        self._before: Sequence[object] = ()
        self.ended = False
        self.broken = False
        self.cut_off: str | None = None

    def next(self, call: Call) -> Steps[Sequence[T]]:
        """The items of the next page; sets `ended` when it is the last."""
        page = yield from run(call, self._listing(self._cursor))
        items = page.items
        ids = _ids(items)
        if page.moved:  # what was on the page before comes again
            before = {id for id in self._before if id is not None}
            items = [item for id, item in zip(ids, items, strict=True) if id not in before]
        mark = hash(tuple(ids))
        repeated = mark in self._seen and not page.moved
        if any(ids):  # pages of records without an id look alike
            self._seen.add(mark)
        self._before = ids
        self._cursor = page.next
        again = repeated or (page.next is not None and page.next in self._cursors)
        self.cut_off = page.cut_off
        self.broken = again or page.cut_off is not None
        self.ended = again or page.next is None
        self._cursors.add(page.next)
        if repeated:
            call.account.tell("answer", detail="a page came twice; the list is taken to end there")
        return [] if repeated else items


def _ids(items: Sequence[Any]) -> list[object]:
    """What tells the items of a page apart. Kinds of roles may number their records independently
    of each other."""
    names = ("kind", "id") if items and isinstance(items[0], Role) else ("id",)
    return list(map(attrgetter(*names), items))


def matching(
    call: Call,
    listing: Listing[T],
    wanted: Callable[[T], bool],
    *,
    first: bool = False,
    proof: Callable[[T], bool] | None = None,
) -> Steps[list[T]]:
    """The items of a list that are wanted; only those are kept in memory.

    Args:
        first: stop reading at the first one that settles the question.
        proof: what settles the question. That none such is found shall prove that there is none.

    Raises:
        MalformedResponse: nothing that settles it is found, and the list cannot be read to its
            end.
    """
    pages, found = Pages(listing), list[T]()
    settled = False
    while not pages.ended and not (first and settled):
        found += filter(wanted, (yield from pages.next(call)))
        settled = proof is not None and any(map(proof, found))
    if proof is not None and pages.broken and not settled:
        raise call.about(unfinished(pages.cut_off))
    return found


class Walk(Generic[T]):
    """A list verb under way: asked again and again for the next items, by either client."""

    def __init__(
        self, accounts: Accounts, account: str | None, operation: str, finish: Finish[T]
    ) -> None:
        self._accounts = accounts
        self._account = accounts.pick(account)
        if not self._account.provider.supports(operation):
            raise self._account.provider.unsupported(operation).about(account=self._account.name)
        self._pages: Pages[T] = Pages(getattr(self._account.provider, operation))
        self._finish = finish

    def more(self) -> Generator[Step, Result, list[T] | None]:
        """The next items, perhaps none; None when there are no more pages.

        Raises:
            MalformedResponse: the list breaks off or repeats itself: what came is not all.
        """
        call = Call(self._account, self._accounts.budget)
        if self._pages.ended and self._pages.broken:
            raise call.about(unfinished(self._pages.cut_off))
        if self._pages.ended:
            return None
        return list(self._finish(call, (yield from self._pages.next(call))))


Finish = Callable[[Call, Sequence[T]], Iterable[T]]
"""What is done with each page: choosing, and deriving states."""


def invitations(
    accounts: Accounts,
    *,
    state: State | str | None = None,
    complete: bool = True,
    account: str | None = None,
) -> Walk[Invitation]:
    """Returns the invitations that the service lists, one after another, read page by page. If many
    go meanwhile, a person may come twice.

    Args:
        state: only those in that state; by default all.
        complete: read each invitation completely, also where that takes a request for each.
            Otherwise they may be without id, expiry and link, and open only as far as the list
            shows.
        account: which account; may be left out when there is only one.

    Raises:
        Unsupported: the service lists no invitations.
        InvalidOrder: there is no such state.
    """
    wanted = state_named(state) if state is not None else None

    def finish(call: Call, items: Sequence[Invitation]) -> Iterable[Invitation]:
        now = call.account.now()
        told = (current(item, call.provider, now) for item in items)
        return (item for item in told if wanted is None or item.state is wanted)

    provider = accounts.pick(account).provider
    short = not complete and provider.supports("invitation_summaries")
    return Walk(accounts, account, "invitation_summaries" if short else "invitations", finish)


def members(accounts: Accounts, *, account: str | None = None) -> Walk[Member]:
    """The members, one after another, read page by page; without those who are merely invited. When
    many go meanwhile, somebody may come twice.

    Args:
        account: which account; may be left out when there is only one.

    Raises:
        Unsupported: the service lists no members.
    """
    return Walk(accounts, account, "members", lambda _call, items: items)


def roles(accounts: Accounts, *, kind: str | None = None, account: str | None = None) -> Walk[Role]:
    """What can be granted, one after another, read page by page.

    Args:
        kind: only `role`, `group` or `policy`; by default all.
        account: which account; may be left out when there is only one.

    Raises:
        Unsupported: the service lists no roles.
        InvalidOrder: there is no such kind.
    """
    if kind is not None and kind not in KINDS:
        raise InvalidOrder(f"there is no kind {kind!r}", hint=f"The kinds are: {', '.join(KINDS)}.")
    return Walk(
        accounts,
        account,
        "roles",
        lambda _call, items: (item for item in items if kind in (None, item.kind)),
    )
