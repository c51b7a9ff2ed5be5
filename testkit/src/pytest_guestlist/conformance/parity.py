"""Rules about the two clients: sync and async callers get the same."""

from __future__ import annotations

import asyncio
from typing import Any

from guestlist.errors import GuestlistError
from pytest_guestlist.conformance.base import Rules
from pytest_guestlist.conformance.remark import place, remark
from pytest_guestlist.conformance.scene import Scene


class Parity(Rules):
    """The same calls through `Guestlist` and `AsyncGuestlist`."""

    def test_sync_and_async_give_equal_answers(self, scene: Scene) -> None:
        """Every look has the same answer through the sync and the async client.

        Likely cause: The provider keeps something between two calls, or uses the machine's clock or
        random numbers.
        """
        scene.invitation("ada")
        scene.invitation("bob")
        sync = _looks(scene)
        awaited = asyncio.run(_async_looks(scene))
        for name, told in sync.items():
            if awaited[name] != told:
                remark(
                    expected=told,
                    came=awaited[name],
                    look_at=place(scene.provider, name),
                )

    def test_async_client_changes_things(self, scene: Scene) -> None:
        """An invitation of the async client is found by the sync one.

        Likely cause: The provider keeps something between two calls.
        """
        terms = scene.terms()

        async def invite() -> Any:
            return await scene.async_client().invite(scene.address("ada"), **terms)

        result = asyncio.run(invite())
        found = scene.status("ada")
        if found.state is not result.guest.state:
            remark(
                expected=result.guest.state,
                came=found,
                look_at=place(scene.provider, "invite"),
            )


LISTS = ("invitations", "members", "roles")


def _looks(scene: Scene) -> dict[str, Any]:
    guests = scene.guests
    told: dict[str, Any] = {"status": guests.status(scene.address("ada"))}
    told["nobody"] = guests.status(scene.address("nobody"))
    for name in LISTS:
        if scene.provider.supports(name):
            told[name] = list(getattr(guests, name)())
    try:
        told["check"] = guests.check()
    except GuestlistError as error:
        told["check"] = str(error)
    return told


async def _async_looks(scene: Scene) -> dict[str, Any]:
    guests = scene.async_client()
    told: dict[str, Any] = {"status": await guests.status(scene.address("ada"))}
    told["nobody"] = await guests.status(scene.address("nobody"))
    for name in LISTS:
        if scene.provider.supports(name):
            told[name] = [one async for one in getattr(guests, name)()]
    try:
        told["check"] = await guests.check()
    except GuestlistError as error:
        told["check"] = str(error)
    return told
