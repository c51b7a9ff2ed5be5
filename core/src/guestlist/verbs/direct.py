"""Calls about one account: `check`, its rate limits, and operations of its provider alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from guestlist.errors import NotFound, Unsupported
from guestlist.exchange.policy import block, run
from guestlist.exchange.step import Steps
from guestlist.models import LimitUsage
from guestlist.provider import Flow
from guestlist.verbs.accounts import Accounts

T = TypeVar("T")


def check(accounts: Accounts, *, account: str | None = None) -> Steps[str]:
    """Checks with cheap requests that the service accepts the account's credentials. Only reads.

    Most services do not show whether the credentials may also invite: the first invitation shows
    it.

    Args:
        account: the name of the account. May be omitted if there is only one.

    Returns:
        The name of the organization. If it has no name, the host and path of the service. Empty if
        the provider has no operation `organization`.

    Raises:
        Unauthorized: the service does not accept the credentials.
        Forbidden: the service shows that the credentials may only read.
    """
    call = accounts.call(account)
    provider = call.provider
    try:
        if provider.supports("organization"):
            return (yield from run(call, provider.organization()))
        for listing in ("roles", "members", "invitations"):
            if provider.supports(listing):
                yield from run(call, getattr(provider, listing)(None))
                return ""
    except NotFound as error:
        error.hint = error.hint or f"Check base_url of the account: {provider.base_url}."
        raise
    raise call.about(provider.unsupported("organization"))


def limits(accounts: Accounts, *, account: str | None = None) -> Steps[tuple[LimitUsage, ...]]:
    """Returns the rate limits of an account, and how much of them is used. Sends no request.

    Args:
        account: the name of the account. May be omitted if there is only one.

    Returns:
        One item for each limit that the provider declares.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    call = accounts.call(account)

    def read() -> tuple[LimitUsage, ...]:
        clock = call.account.clock
        return tuple(
            LimitUsage(
                what=one.limit.what,
                count=one.limit.count,
                per=one.limit.per,
                used=one.used,
                free_at=clock.now() + timedelta(seconds=one.delay) if one.delay else None,
            )
            for limiter in call.account.rate_limiter.with_parts
            for one in limiter.usage(clock.monotonic())
        )

    return (yield from block(call, read))


def call(
    accounts: Accounts, operation: Callable[..., Flow[T]], *args: Any, **kwargs: Any
) -> Steps[T]:
    """Calls an operation of the default account's provider.

    Raises:
        Unsupported: the provider has no such operation.
    """
    this = accounts.call(None)
    name = getattr(operation, "__name__", str(operation))
    own = getattr(type(this.provider), name, None)
    if own is not operation or not this.provider.supports(name):
        whose = getattr(operation, "__qualname__", name)
        offered = ", ".join(this.provider.operations())
        raise this.about(
            Unsupported(
                f"{whose} is not an operation of {this.provider.title}",
                hint=f"It has: {offered}.",
            )
        )
    flow: Flow[T] = operation(this.provider, *args, **kwargs)
    result: T = yield from run(this, flow)
    return result
