"""`Guestlist` and `AsyncGuestlist`: the same methods, one for sync and one for async callers.

What each method means, its arguments and its errors are written once, in `guestlist.verbs`; the two
classes only carry the steps out.
"""

from __future__ import annotations

import functools
import inspect
from collections import defaultdict
from collections.abc import (
    AsyncGenerator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Mapping,
)
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    NoReturn,
    ParamSpec,
    Self,
    TypeVar,
    get_args,
    get_type_hints,
)

from guestlist import verbs
from guestlist.address import read_email
from guestlist.config import (
    Config,
    check_account_name,
    domains,
    find_config,
    load_config,
    open_config,
)
from guestlist.errors import ConfigError, GuestlistError
from guestlist.event import Event
from guestlist.exchange.account import Account, Budget
from guestlist.exchange.clock import Clock, SystemClock, jitter
from guestlist.exchange.drive import AsyncDriver, Driver, PortalWire
from guestlist.exchange.rate_limiter import RateLimiter
from guestlist.exchange.recording import Entry, Journal
from guestlist.exchange.step import Steps
from guestlist.exchange.wire import AsyncHttpxWire, HttpxWire
from guestlist.models import Guest, NewInvitation
from guestlist.plugins import Plugins, installed
from guestlist.provider import Flow, Provider
from guestlist.telemetry import Telemetry
from guestlist.verbs import Accounts, AsyncItems, Items, Walk

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

P = ParamSpec("P")
T = TypeVar("T")
StepsVerb = Callable[Concatenate[Accounts, P], Steps[T]]
ListVerb = Callable[Concatenate[Accounts, P], Walk[T]]


class _Client:
    """The base class of both clients.

    Args:
        accounts: providers by account name, such as `{"cloud": Vultr(api_key=...)}`. Without it,
            `guestlist.toml` or the environment is read.
        http_client: a client of `httpx` or `httpx2` to send with. The caller closes it.
        transport: a transport of `httpx` or `httpx2` to send with. The caller closes it.
        clock: the clock to use. By default the clock of the machine.
        budget: the limits of one call. By default those of the configuration, or `Budget()`.
        allowed_domains: the domains of addresses that may be invited. They replace those of the
            configuration. By default every domain is allowed.
        watch: a function that is called with every `Event`.
        ledger: an open `Ledger`. Every change is recorded in it before its request is sent. The
            caller closes it.
        actor: who makes the calls, for the ledger. By default the user of the operating system.
        note: why the calls are made, for the ledger.

    Raises:
        ConfigError: the configuration is invalid.
    """

    _driver: Driver | AsyncDriver

    def __init__(
        self,
        accounts: Mapping[str, Provider] | None = None,
        *,
        http_client: Any = None,
        transport: Any = None,
        clock: Clock | None = None,
        budget: Budget | None = None,
        allowed_domains: Iterable[str] = (),
        watch: Callable[[Event], None] | None = None,
        ledger: Journal | None = None,
        actor: str | None = None,
        note: str | None = None,
    ) -> None:
        if ledger is not None and not isinstance(ledger, Journal):
            raise ConfigError(
                f"the ledger cannot be a {type(ledger).__name__}",
                hint='Pass one that is open: guestlist.ledger.Ledger("guestlist.db").',
            )
        if ledger is not None and (actor or note):
            ledger = ledger.acting_as(actor, note)
        plugins = installed()
        if accounts is None:
            config = find_config(plugins)
        else:
            config = Config(_checked(accounts), source="this program")
        if allowed := domains(allowed_domains):
            config = replace(config, allowed_domains=allowed)
        self._clock = clock or config.clock or SystemClock()
        base_urls = {name: provider.base_url for name, provider in config.accounts.items()}
        spans = Telemetry(base_urls)
        self._span = spans.span
        listeners = (watch, plugins.event if plugins.anybody_watches else None)
        watchers = _Watchers(tuple(one for one in listeners if one is not None), spans)
        self._accounts = _accounts(config, plugins, self._clock, watchers, budget, ledger)
        ready = self._start(http_client, transport)
        for account in self._accounts.by_name.values():
            account.ready = ready

    def _start(self, http_client: Any, transport: Any) -> Callable[[str], None]:
        raise NotImplementedError

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        http_client: Any = None,
        transport: Any = None,
        clock: Clock | None = None,
        budget: Budget | None = None,
        allowed_domains: Iterable[str] = (),
        watch: Callable[[Event], None] | None = None,
        ledger: Journal | None = None,
        actor: str | None = None,
        note: str | None = None,
    ) -> Self:
        """Returns a client for the accounts of a configuration file.

        The arguments besides the path are those of the class, and override the file's settings.

        Args:
            path: the file.
            http_client: a client of `httpx` or `httpx2` to send with.
            transport: a transport of `httpx` or `httpx2` to send with.
            clock: the clock to use.
            budget: the limits of one call.
            allowed_domains: the domains of addresses that may be invited.
            watch: a function that is called with every `Event`.
            ledger: an open `Ledger`.
            actor: who makes the calls, for the ledger.
            note: why the calls are made, for the ledger.

        Raises:
            ConfigError: the file is invalid.
        """
        config = load_config(open_config(Path(path)), installed())
        return cls(
            config.accounts,
            http_client=http_client,
            transport=transport,
            clock=clock or config.clock,
            budget=budget or config.budget,
            allowed_domains=tuple(allowed_domains) or config.allowed_domains,
            watch=watch,
            ledger=ledger,
            actor=actor,
            note=note,
        )

    @property
    def accounts(self) -> Mapping[str, Provider]:
        """The providers by account name."""
        accounts = self._accounts.by_name
        return MappingProxyType({name: account.provider for name, account in accounts.items()})

    @property
    def budget(self) -> Budget:
        """The limits of one call."""
        return self._accounts.budget

    @property
    def allowed_domains(self) -> frozenset[str]:
        """The domains of addresses that may be invited. Empty if all are allowed."""
        return self._accounts.allowed_domains

    @property
    def clock(self) -> Clock:
        """The clock of the client."""
        return self._clock

    def service_time(self) -> datetime:
        """Returns the current time by the clock of the account's service.

        It is computed from the `Date` of the service's last answer. Before the first answer it is
        the time of this machine. The account is the bound one
        (`guests.account("cloud").service_time()`), or the only one.
        """
        return self._accounts.pick(None).now()

    @property
    def pause_left(self) -> float:
        """Seconds until the end of the pause that the account's service has asked for. 0 if there
        is none. The account is the bound one, or the only one."""
        account = self._accounts.pick(None)
        return account.pause_left(account.rate_limiter)

    def report_pause(self, error: GuestlistError | None = None, left: float | None = None) -> None:
        """Emits a `pause` event if the account's service has asked for a pause.

        Use it in a program that waits before it makes another call. A call reports the pauses that
        it waits for itself. At most one event a minute is emitted for an account.

        Args:
            error: an error of the service that named a pause in `retry_after`. By default the pause
                that the client knows of.
            left: seconds that are left of the error's pause. By default all.
        """
        self._accounts.pick(None).report_pause(error, left)

    def check_address(self, address: str) -> None:
        """Checks that an address is valid and in an allowed domain. Nothing is sent.

        Args:
            address: the address.

        Raises:
            InvalidArgument: the address is invalid or not allowed.
        """
        self._accounts.check_domain(read_email(address)[0])

    def check_invitation(self, new: NewInvitation) -> None:
        """Checks an invitation against the allowed domains and the plugins. Nothing is sent.

        Args:
            new: the invitation.

        Raises:
            InvalidArgument: the invitation is not allowed.
        """
        self._accounts.check(new)

    def account(self, name: str) -> Self:
        """Returns the same client with a default account for calls that name none.

        Args:
            name: the name of the account.

        Raises:
            UnknownAccount: no account has that name.
        """
        return self._with(self._accounts.bound(name))

    def acting_as(self, actor: str, *, note: str | None = None) -> Self:
        """Returns the same client for calls on behalf of another person or program.

        The ledger stores the actor and the note with each call. Without a ledger nothing is stored.

        Args:
            actor: the person or program, such as the user who is logged in to your application.
            note: why, such as the number of a ticket.
        """
        return self._with(self._accounts.acting_as(actor, note))

    def with_budget(
        self,
        *,
        total: float | None = None,
        waiting: float | None = None,
        attempts: int | None = None,
        timeout: float | None = None,
        max_body: int | None = None,
    ) -> Self:
        """Returns the same client with another budget.

            guests.with_budget(total=5, attempts=1).invite("ada@example.com")

        The arguments are fields of `Budget`. None keeps the present value.

        Args:
            total: seconds that a call may take.
            waiting: seconds that a call may spend without a request in progress.
            attempts: the largest number of attempts to send one request.
            timeout: seconds without progress after which a request is given up.
            max_body: the largest size of an answer in bytes.

        Raises:
            ConfigError: a value is not a number, or too small.
        """
        given = {
            "total": total,
            "waiting": waiting,
            "attempts": attempts,
            "timeout": timeout,
            "max_body": max_body,
        }
        changes: dict[str, Any] = {
            name: value for name, value in given.items() if value is not None
        }
        return self._with(self._accounts.budgeted(replace(self._accounts.budget, **changes)))

    def with_clock(self, clock: Clock) -> Self:
        """Returns the same client with another clock, for tests.

        Both share connections, rate limits and locks.

        Args:
            clock: the clock to use.
        """
        other = self._with(self._accounts)
        other._clock = clock
        other._driver = self._driver.with_clock(clock)
        return other

    def _with(self, accounts: Accounts) -> Self:
        """Returns the same client with other accounts. Both share connections, rate limiters and
        locks."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _accounts=accounts)
        return other

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} cannot be copied or pickled: it holds connections and"
            " secrets. Make one where it is needed"
        )

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {', '.join(sorted(self._accounts.by_name)) or 'no accounts'}>"
        )


def _checked(accounts: Mapping[str, Provider]) -> dict[str, Provider]:
    if not isinstance(accounts, Mapping):
        raise ConfigError(
            f"the accounts cannot be {accounts!r}",
            hint='Pass them by name, such as {"cloud": Vultr(api_key="...")}.',
        )
    for name, provider in accounts.items():
        check_account_name(name)
        if not isinstance(provider, Provider):
            raise ConfigError(
                f"the account {name!r} is a {type(provider).__name__}, not a provider",
                hint='Pass an instance, such as {"cloud": Vultr(api_key="...")}.',
            )
    return dict(accounts)


@dataclass(frozen=True)
class _Watchers:
    """Passes each event to all listeners. False if there are none."""

    listeners: tuple[Callable[[Event], None], ...]
    spans: Telemetry

    def __bool__(self) -> bool:
        return bool(self.listeners) or self.spans.wanted

    def __call__(self, event: Event) -> None:
        """Calls every listener.

        Raises:
            Exception: the first exception that a listener raised.
        """
        watchers: list[Callable[[Event], None]] = [*self.listeners]
        if self.spans.wanted:
            watchers.append(self.spans)
        troubles: list[Exception] = []
        for watcher in watchers:
            try:
                watcher(event)
            except Exception as error:
                troubles.append(error)
        try:
            if troubles:
                raise troubles[0]
        finally:
            troubles.clear()  # breaks a reference cycle between the error and this frame


def _accounts(
    config: Config,
    plugins: Plugins,
    clock: Clock,
    watchers: _Watchers,
    budget: Budget | None,
    journal: Journal | None,
) -> Accounts:
    limiters = _rate_limiters(config.accounts, journal)
    return Accounts(
        {
            name: Account(
                name, provider, clock, watchers, random=jitter(clock, name), sharing=limiters[name]
            )
            for name, provider in config.accounts.items()
        },
        budget=budget or config.budget,
        allowed_domains=config.allowed_domains,
        check_invitation=plugins.check_invitation,
    ).with_ledger(journal)


def _rate_limiters(
    accounts: Mapping[str, Provider], journal: Journal | None
) -> dict[str, RateLimiter]:
    """Returns the rate limiter of each account. Accounts that a service counts together share one,
    which enforces the limits of all of them."""
    counted: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, provider in accounts.items():
        alone = "" if provider.limits_count_addresses else name
        counted[provider.base_url, alone].append(name)
    limiters = {}
    for together in counted.values():
        known = (limit for name in together for limit in accounts[name].limits)
        limits = tuple(dict.fromkeys(known))
        first = accounts[together[0]]
        limiter = RateLimiter(*limits) if journal is None else journal.rate_limiter(first, limits)
        limiters.update(dict.fromkeys(together, limiter))
    return limiters


@functools.cache
def _signature_of(verb: Callable[..., Any]) -> tuple[dict[str, Any], list[inspect.Parameter]]:
    """Returns the annotations and the parameters of a verb, without the first, the accounts."""
    hints = get_type_hints(verb)
    accounts, *others = inspect.signature(verb).parameters.values()
    del hints[accounts.name]
    return hints, [one.replace(annotation=hints[one.name]) for one in others]


_SELF = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _publish(run: Callable[..., Any], verb: Callable[..., Any], items: Any = None) -> None:
    """Gives a method the name, docstring, signature and annotations of the verb that it calls.

    Args:
        items: the iterator that the method of a list returns.
    """
    hints, parameters = _signature_of(verb)
    result = get_args(hints["return"])[-1]  # of Steps[T] or Walk[T]
    returned = result if items is None else items[result]
    run.__name__ = verb.__name__
    run.__doc__ = verb.__doc__
    run.__annotations__ = {**hints, "return": returned}
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [_SELF, *parameters], return_annotation=returned
    )


# For type checkers, a method made from a verb is a descriptor that keeps the verb's signature.


class _Verb(Generic[P, T]):
    """Makes the method of a client from a verb. The method is real, with a signature of its own."""

    def __init__(self, run: Callable[..., Any]) -> None:
        self._run = run

    def __set_name__(self, owner: type, name: str) -> None:
        self._run.__qualname__ = f"{owner.__qualname__}.{name}"
        setattr(owner, name, self._run)

    if TYPE_CHECKING:

        def __get__(self, client: object, owner: type) -> Callable[P, T]: ...


def _sync(verb: StepsVerb[P, T]) -> _Verb[P, T]:
    def run(self: Guestlist, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._span(verb.__name__):
            return self._driver.run(verb(self._accounts, *args, **kwargs))

    _publish(run, verb)
    return _Verb(run)


def _sync_list(verb: ListVerb[P, T]) -> _Verb[P, Items[T]]:
    def run(self: Guestlist, *args: P.args, **kwargs: P.kwargs) -> Items[T]:
        walk = verb(self._accounts, *args, **kwargs)
        return Items(walk, self._walk(verb.__name__, walk))

    _publish(run, verb, Items)
    return _Verb(run)


def _async(verb: StepsVerb[P, T]) -> _Verb[P, Coroutine[Any, Any, T]]:
    async def run(self: AsyncGuestlist, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._span(verb.__name__):
            return await self._driver.run(verb(self._accounts, *args, **kwargs))

    _publish(run, verb)
    return _Verb(run)


def _async_list(verb: ListVerb[P, T]) -> _Verb[P, AsyncItems[T]]:
    def run(self: AsyncGuestlist, *args: P.args, **kwargs: P.kwargs) -> AsyncItems[T]:
        walk = verb(self._accounts, *args, **kwargs)
        return AsyncItems(walk, self._walk(verb.__name__, walk))

    _publish(run, verb, AsyncItems)
    return _Verb(run)


# Since Python 3.13, docstrings have no indentation.
_ARGUMENTS = "Args:" + inspect.cleandoc(_Client.__doc__ or "").partition("Args:")[2]
_ARGUMENTS = _ARGUMENTS.replace("\n", "\n    ")


class Guestlist(_Client):
    __doc__ = f"""Invites people into organizations on any service that has a provider.

    Any number of threads may share a client. Use it in a `with` block, or call `close`.

    {_ARGUMENTS}"""

    def _start(self, http_client: Any, transport: Any) -> Callable[[str], None]:
        self._wire = HttpxWire(http_client, transport)
        self._driver: Driver = Driver(self._wire, self._clock)
        return self._wire.ready

    invite = _sync(verbs.invite)
    resend = _sync(verbs.resend)
    status = _sync(verbs.status)
    status_many = _sync(verbs.status_many)
    assign_role = _sync(verbs.assign_role)
    unassign_role = _sync(verbs.unassign_role)
    revoke = _sync(verbs.revoke)
    remove = _sync(verbs.remove)
    access = _sync(verbs.access)
    own_access = _sync(verbs.own_access)
    wait = _sync(verbs.wait)
    onboard = _sync(verbs.onboard)
    offboard = _sync(verbs.offboard)
    check = _sync(verbs.check)
    limits = _sync(verbs.limits)
    invitations = _sync_list(verbs.invitations)
    members = _sync_list(verbs.members)
    roles = _sync_list(verbs.roles)

    def call(
        self,
        operation: Callable[Concatenate[Any, P], Flow[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Calls an operation that only one provider has: `guests.call(Vultr.suspend, member)`.

        The account is the bound one (`guests.account("cloud").call(...)`), or the only one.

        Args:
            operation: the method of the provider's class.
            args: the operation's positional arguments.
            kwargs: the operation's keyword arguments.

        Raises:
            Unsupported: the account's provider has no such operation.
        """
        with self._span("call"):
            return self._driver.run(verbs.call(self._accounts, operation, *args, **kwargs))

    def _walk(self, name: str, walk: Walk[T]) -> Generator[T]:
        while True:
            with self._span(name):
                items = self._driver.run(walk.more())
            if items is None:
                return
            yield from items
            del items  # freed before the next page is read, so that memory holds only one page

    def close(self) -> None:
        """Closes the connections. A call in progress keeps its own until it ends.

        A later call opens new connections.
        """
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncGuestlist(_Client):
    __doc__ = f"""Invites people into organizations, like `Guestlist`, for async code.

    It has the same methods and arguments. Await the methods, and iterate over lists with
    `async for`. Any number of tasks of one event loop may share a client. Use it in an `async with`
    block, or await `aclose`.

    {_ARGUMENTS}"""

    def _start(self, http_client: Any, transport: Any) -> Callable[[str], None]:
        self._wire = AsyncHttpxWire(http_client, transport)
        self._driver: AsyncDriver = AsyncDriver(self._wire, self._clock)
        return self._wire.ready

    invite = _async(verbs.invite)
    resend = _async(verbs.resend)
    status = _async(verbs.status)
    status_many = _async(verbs.status_many)
    assign_role = _async(verbs.assign_role)
    unassign_role = _async(verbs.unassign_role)
    revoke = _async(verbs.revoke)
    remove = _async(verbs.remove)
    access = _async(verbs.access)
    own_access = _async(verbs.own_access)
    wait = _async(verbs.wait)
    onboard = _async(verbs.onboard)
    offboard = _async(verbs.offboard)
    check = _async(verbs.check)
    limits = _async(verbs.limits)
    invitations = _async_list(verbs.invitations)
    members = _async_list(verbs.members)
    roles = _async_list(verbs.roles)

    async def call(
        self,
        operation: Callable[Concatenate[Any, P], Flow[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Calls an operation of one provider: `await guests.call(Vultr.suspend, member)`.

        The account is the bound one (`guests.account("cloud").call(...)`), or the only one.

        Args:
            operation: the method of the provider's class.
            args: the operation's positional arguments.
            kwargs: the operation's keyword arguments.

        Raises:
            Unsupported: the account's provider has no such operation.
        """
        with self._span("call"):
            return await self._driver.run(verbs.call(self._accounts, operation, *args, **kwargs))

    async def _walk(self, name: str, walk: Walk[T]) -> AsyncGenerator[T]:
        while True:
            with self._span(name):
                items = await self._driver.run(walk.more())
            if items is None:
                return
            for item in items:
                yield item
            del items

    async def aclose(self) -> None:
        """Closes the connections. A call in progress keeps its own until it ends.

        A later call opens new connections.
        """
        await self._wire.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()


def for_run(
    client: Guestlist, known: Guest, entry: Entry, *, is_prepared: bool = False
) -> Guestlist:
    """Returns the same client for a call that is part of a run over many guests.

    The call does not read the guest's records itself, and does not look up the outcome of an
    unresolved request: it raises `OutcomeUnknown` at once, and the run looks up all such requests
    together (`status_many`).

    Args:
        known: the guest as the run has read it.
        entry: the ledger's entry, in which each request is recorded before it is sent.
        is_prepared: whether an earlier attempt has prepared the invitation (`Effect.PREPARE`).
    """
    return client._with(client._accounts.of_run(known, entry, is_prepared=is_prepared))


def for_threads(client: AsyncGuestlist, portal: BlockingPortal) -> Guestlist:
    """Returns a client for threads, which sends its requests in the event loop of the portal.

    It uses the connections and the rate limits of `client`.

    Calls of the two clients about the same person do not wait for each other.
    """
    other = object.__new__(Guestlist)
    other.__dict__.update(client.__dict__)
    other._driver = Driver(PortalWire(client._wire, portal), client._clock)
    return other
