"""Reads lists page by page, and finds their end even if a service repeats pages."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, Generic, TypeVar

from guestlist.address import email_key
from guestlist.errors import GuestlistError, InvalidArgument, MalformedResponse
from guestlist.event import EventName
from guestlist.exchange.account import Call
from guestlist.exchange.policy import run
from guestlist.exchange.step import Step, Steps
from guestlist.models import Invitation, Member, Role, State
from guestlist.provider import Flow, Page, RecordProblem
from guestlist.provider.paging import RecordCount, unfinished_list_error
from guestlist.verbs.accounts import Accounts
from guestlist.verbs.states import current, state_named

T = TypeVar("T")
R = TypeVar("R", Invitation, Member)
Listing = Callable[[str | None], Flow[Page[T]]]
"""A provider's operation that returns one page."""


class Pages(Generic[T]):
    """Reads the pages of one list, one after another.

    The list ends after its last page, or when a page or a cursor repeats, because some services
    ignore the cursor and return the first page forever. It also ends after 100 empty pages in a
    row. A list that repeats, is cut off, has no last page or is shorter than its total is
    `incomplete`: it may contain people who are on none of the pages.

    Attributes:
        ended: whether the last page was read.
        problems: records that cannot be parsed completely, with their positions in the list.
    """

    def __init__(self, listing: Listing[T]) -> None:
        self._listing = listing
        self._cursor: str | None = None
        self._cursors: set[str | None] = {None}
        # Hashes instead of items, so that a long list does not stay in memory.
        self._seen: set[int] = set()
        self._before: Sequence[object] = ()
        self._count = RecordCount()
        self._position = 0
        self._repeats = False
        self._cut_off: str | None = None
        self.ended = False
        self.problems: list[RecordProblem] = []

    def next(self, call: Call) -> Steps[Sequence[T]]:
        """Returns the items of the next page, and sets `ended` when it is the last."""
        page = yield from run(call, self._listing(self._cursor))
        items = page.items
        ids = _ids(items)
        if page.moved:  # the page repeats items of the page before
            before = {id for id in self._before if id is not None}
            items = [item for id, item in zip(ids, items, strict=True) if id not in before]
        mark = hash(tuple(ids))
        repeated = mark in self._seen and not page.moved
        if any(ids):  # Pages whose records have no id cannot be distinguished.
            self._seen.add(mark)
        self._before = ids
        self._cursor = page.next
        self._repeats = repeated or (page.next is not None and page.next in self._cursors)
        self._cut_off = page.cut_off
        if not repeated:
            self._count.add(page)
        self.ended = self._repeats or page.next is None or self._count.is_endless
        self._cursors.add(page.next)
        if repeated:
            call.account.emit(
                EventName.ANSWER, detail="a page came twice; the list is taken to end there"
            )
            return []
        self._note(call, page)
        return items

    def _note(self, call: Call, page: Page[T]) -> None:
        operation = getattr(self._listing, "__name__", "list")
        for problem in page.problems:
            problem = replace(problem, position=self._position + problem.position)
            self.problems.append(problem)
            call.account.report(operation, problem)
        self._position += page.records

    @property
    def incomplete(self) -> GuestlistError | None:
        """Returns the error if the list has ended and cannot prove anyone's absence; else None."""
        if self._repeats or self._cut_off is not None:
            return unfinished_list_error(self._cut_off)
        shortage = self._count.shortage if self.ended else ""
        return unfinished_list_error(None, shortage) if shortage else None


def find_unreadable_record(problems: Iterable[RecordProblem], key: str) -> RecordProblem | None:
    """Returns an unreadable record that may be about the person with this key.

    It has the person's address, or its address is unknown.
    """
    found = [problem for problem in problems if problem.may_be(key)]
    return min(found, key=lambda problem: problem.email is None, default=None)


def _ids(items: Sequence[Any]) -> list[object]:
    """Returns what identifies the items of a page. Ids of roles are unique only within a kind."""
    names = ("kind", "id") if items and isinstance(items[0], Role) else ("id",)
    return list(map(attrgetter(*names), items))


@dataclass(frozen=True)
class Matches(Generic[R]):
    """The records that a search in a list found.

    Attributes:
        hidden: an unreadable record that may match. None if a record was found that settles the
            question.
    """

    items: list[R]
    hidden: RecordProblem | None = None
    nameless: R | None = None
    """A record without an address that settles the question if it is about the person."""
    shows_logins: bool = True
    """Whether a record that was read has a login. True if a list was not read to its end."""


def matching(
    call: Call,
    listing: Listing[R],
    key: str,
    *,
    first: bool = False,
    same: Callable[[R], bool] | None = None,
    proof: Callable[[R], bool],
) -> Steps[Matches[R]]:
    """Searches a list for the records of one person. Only those are kept in memory.

    Args:
        key: the key of the person's address.
        first: stop reading at the first record that settles the question.
        same: also matches records without that address, such as a member by the login.
        proof: whether a record settles the question.

    Raises:
        MalformedResponse: no record settles it, and the list is incomplete, or a record of that
            address cannot be read.
    """
    pages, found = Pages(listing), list[R]()
    settled, nameless, shows_logins = False, list[R](), False
    while not pages.ended and not (first and settled):
        items = yield from pages.next(call)
        found += (
            one
            for one in items
            if (one.email and email_key(one.email) == key) or (same is not None and same(one))
        )
        if not nameless:
            nameless = [one for one in items if not one.email and proof(one)]
        settled = any(map(proof, found))
        shows_logins = shows_logins or any(one.login for one in items)
    if settled:
        return Matches(found)
    if (incomplete := pages.incomplete) is not None:
        raise call.about(incomplete)
    hidden = find_unreadable_record(pages.problems, key)
    if hidden is not None and hidden.email is not None:
        raise call.about(unreadable_record_error(listing.__name__, hidden))
    return Matches(found, hidden, nameless[0] if nameless else None, shows_logins)


def unreadable_record_error(operation: str, problem: RecordProblem) -> MalformedResponse:
    """Returns the error for a person whose own record cannot be read."""
    return MalformedResponse(
        f"the person's record cannot be read, in `{operation}`: {problem}",
        hint="Nothing was sent. Correct the record at the service, or report it to the provider's"
        " authors.",
    )


class Walk(Generic[T]):
    """Reads a list page by page, for sync and async clients.

    Attributes:
        problems: the records so far that cannot be parsed completely.
    """

    def __init__(
        self, accounts: Accounts, account: str | None, operation: str, finish: Finish[T]
    ) -> None:
        self._accounts = accounts
        self._account = accounts.pick(account)
        if not self._account.provider.supports(operation):
            raise self._account.provider.unsupported(operation).about(account=self._account.name)
        self._pages: Pages[T] = Pages(getattr(self._account.provider, operation))
        self._finish = finish
        self.problems = self._pages.problems

    def more(self) -> Generator[Step, Any, list[T] | None]:
        """Returns the matching items of the next page, or None after the last page.

        Raises:
            MalformedResponse: the list is incomplete: it was cut off, repeats itself, or is shorter
                than its total.
        """
        call = Call(self._account, self._accounts.budget)
        if self._pages.ended and (incomplete := self._pages.incomplete) is not None:
            raise call.about(incomplete)
        if self._pages.ended:
            return None
        return list(self._finish(call, (yield from self._pages.next(call))))


Finish = Callable[[Call, Sequence[T]], Iterable[T]]
"""Converts a page: it selects items and derives their states."""


def invitations(
    accounts: Accounts,
    *,
    state: State | str | None = None,
    complete: bool = True,
    account: str | None = None,
) -> Walk[Invitation]:
    """Iterates over the invitations that the service lists, reading page by page.

    A person may appear twice if invitations disappear from the list while it is read.

    Args:
        state: return only invitations in this state. By default all are returned.
        complete: read every field of each invitation, even if that takes a request for each.
            Otherwise id, expiry and link may be missing, and the state is as in the list.
        account: the name of the account. May be omitted if there is only one.

    Raises:
        Unsupported: the service does not list invitations.
        InvalidArgument: the state is not a `State`.
    """
    wanted = state_named(state) if state is not None else None

    def finish(call: Call, items: Sequence[Invitation]) -> Iterable[Invitation]:
        now = call.account.now()
        dated = (current(item, call.provider, now) for item in items)
        return (item for item in dated if wanted is None or item.state is wanted)

    provider = accounts.pick(account).provider
    short = not complete and provider.supports("invitation_summaries")
    return Walk(accounts, account, "invitation_summaries" if short else "invitations", finish)


def members(accounts: Accounts, *, account: str | None = None) -> Walk[Member]:
    """Iterates over the members, reading page by page. People who are only invited are left out.

    A person may appear twice if members disappear from the list while it is read.

    Args:
        account: the name of the account. May be omitted if there is only one.

    Raises:
        Unsupported: the service does not list members.
    """
    return Walk(accounts, account, "members", lambda _call, items: items)


def roles(accounts: Accounts, *, kind: str | None = None, account: str | None = None) -> Walk[Role]:
    """Iterates over everything that can be granted, such as roles and groups, page by page.

    Args:
        kind: return only roles of this kind, one of `Provider.role_kinds`. By default all are
            returned.
        account: the name of the account. May be omitted if there is only one.

    Raises:
        Unsupported: the service does not list roles.
        InvalidArgument: the service has no roles of this kind.
    """
    provider = accounts.pick(account).provider
    if kind is not None and kind not in provider.role_kinds:
        raise InvalidArgument(
            f"{provider.title} has no roles of the kind {kind!r}",
            hint=f"It has these kinds: {', '.join(provider.role_kinds)}.",
        ).about(account=accounts.pick(account).name)
    return Walk(
        accounts,
        account,
        "roles",
        lambda _call, items: (item for item in items if kind in (None, item.kind)),
    )


class Items(Iterator[T]):
    """An iterator over a list of a service. Pages are read while you iterate.

    Attributes:
        problems: the records read so far that could not be parsed. Such a record may be about a
            person who seems to be missing: check `problem.may_be(email_key(address))`.
    """

    def __init__(self, walk: Walk[T], items: Generator[T]) -> None:
        self.problems: Sequence[RecordProblem] = walk.problems
        self._items = items

    def __next__(self) -> T:
        return next(self._items)

    def close(self) -> None:
        """Stops reading the list."""
        self._items.close()


class AsyncItems(AsyncIterator[T]):
    """An async iterator over a list of a service. See `Items`."""

    def __init__(self, walk: Walk[T], items: AsyncGenerator[T]) -> None:
        self.problems: Sequence[RecordProblem] = walk.problems
        self._items = items

    async def __anext__(self) -> T:
        return await anext(self._items)

    async def aclose(self) -> None:
        """Stops reading the list."""
        await self._items.aclose()
