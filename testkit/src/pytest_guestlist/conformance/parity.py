"""Rules about the two clients: sync and async callers get the same results."""

from __future__ import annotations

import asyncio
from typing import Any

from guestlist.errors import GuestlistError
from pytest_guestlist.conformance.base import ProviderRules
from pytest_guestlist.conformance.finding import location_of, report_finding
from pytest_guestlist.conformance.harness import Harness


class ParityRules(ProviderRules):
    """Rules that compare `Guestlist` with `AsyncGuestlist`."""

    def test_sync_and_async_give_equal_answers(self, harness: Harness) -> None:
        """Every reading call has the same result through the sync and the async client.

        Likely cause: The provider keeps something between two calls, or uses the machine's clock or
        random numbers.
        """
        harness.invitation("ada")
        harness.invitation("bob")
        sync = _looks(harness)
        awaited = asyncio.run(_async_looks(harness))
        for name, results in sync.items():
            if awaited[name] != results:
                report_finding(
                    expected=results,
                    got=awaited[name],
                    look_at=location_of(harness.provider, name),
                )

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
            report_finding(
                expected=result.guest.state,
                got=found,
                look_at=location_of(harness.provider, "invite"),
            )


LISTS = ("invitations", "members", "roles")


def _looks(harness: Harness) -> dict[str, Any]:
    guests = harness.guests
    results: dict[str, Any] = {"status": guests.status(harness.address("ada"))}
    results["nobody"] = guests.status(harness.address("nobody"))
    for name in LISTS:
        if harness.provider.supports(name):
            results[name] = list(getattr(guests, name)())
    try:
        results["check"] = guests.check()
    except GuestlistError as error:
        results["check"] = str(error)
    return results


async def _async_looks(harness: Harness) -> dict[str, Any]:
    guests = harness.async_client()
    results: dict[str, Any] = {"status": await guests.status(harness.address("ada"))}
    results["nobody"] = await guests.status(harness.address("nobody"))
    for name in LISTS:
        if harness.provider.supports(name):
            results[name] = [one async for one in getattr(guests, name)()]
    try:
        results["check"] = await guests.check()
    except GuestlistError as error:
        results["check"] = str(error)
    return results
