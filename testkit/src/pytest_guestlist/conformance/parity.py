"""Rules about the two clients: sync and async callers get the same results."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from guestlist.errors import Unsupported
from guestlist.verbs import AsyncItems, Items
from pytest_guestlist.conformance.base import ProviderRules
from pytest_guestlist.conformance.harness import Harness
from pytest_guestlist.conformance.walkthrough import LISTS


class ParityRules(ProviderRules):
    """Rules that compare `Guestlist` with `AsyncGuestlist`."""

    def test_sync_and_async_give_equal_answers(self, harness: Harness) -> None:
        """Every reading call has the same result through the sync and the async client.

        Likely cause: The provider keeps something between two calls, or uses the machine's clock or
        random numbers.
        """
        harness.invitation("ada")
        harness.invitation("bob")
        awaited = _reading_calls(harness, harness.async_client())
        for name, call in _reading_calls(harness, harness.guests).items():
            expected, got = _sync_result(call), asyncio.run(_async_result(awaited[name]))
            if got != expected:
                harness.report_finding(expected=expected, got=got, look_at=name)

    def test_async_client_changes_things(self, harness: Harness) -> None:
        """An invitation of the async client is found by the sync one.

        Likely cause: The provider keeps something between two calls.
        """
        required_arguments = harness.required_arguments()

        async def invite() -> Any:
            return await harness.async_client().invite(harness.address("ada"), **required_arguments)

        result = asyncio.run(invite())
        found = harness.status("ada")
        if found.state is not result.guest.state:
            harness.report_finding(
                expected=result.guest.state,
                got=found,
                look_at="invite",
            )


def _reading_calls(harness: Harness, guests: Any) -> dict[str, Callable[[], Any]]:
    """Returns calls of a client that change nothing."""
    lists = [name for name in LISTS if harness.provider.supports(name)]
    return {
        "status": partial(guests.status, harness.address("ada")),
        "nobody": partial(guests.status, harness.address("nobody")),
        **{name: getattr(guests, name) for name in lists},
        "check": guests.check,
    }


def _sync_result(call: Callable[[], Any]) -> Any:
    try:
        value = call()
    except Unsupported as error:
        return str(error)
    return list(value) if isinstance(value, Items) else value


async def _async_result(call: Callable[[], Any]) -> Any:
    try:
        value = call()
        return [one async for one in value] if isinstance(value, AsyncItems) else await value
    except Unsupported as error:
        return str(error)
