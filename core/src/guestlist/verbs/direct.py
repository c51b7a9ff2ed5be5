"""Calls that go to one provider's own operations: `check`, and what only that provider has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from guestlist.errors import Unsupported
from guestlist.exchange.policy import run
from guestlist.exchange.step import Steps
from guestlist.provider import Flow
from guestlist.verbs.accounts import Accounts

T = TypeVar("T")


def check(accounts: Accounts, *, account: str | None = None) -> Steps[str]:
    """Checks with a cheap request that the account's credentials work.

    Args:
        account: the name of the account. May be omitted if there is only one.

    Returns:
        The name of the organization, or where the service is if the organization has no name. Empty
        if the provider has no operation `organization`.

    Raises:
        Unauthorized: the service does not accept the credentials.
    """
    call = accounts.call(account)
    provider = call.provider
    if provider.supports("organization"):
        return (yield from run(call, provider.organization()))
    for listing in ("roles", "members", "invitations"):
        if provider.supports(listing):
            yield from run(call, getattr(provider, listing)(None))
            return ""
    raise call.about(provider.unsupported("organization"))


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
