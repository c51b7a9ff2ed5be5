"""A secret in a URL does not show in the log of a client that the caller brings."""

from __future__ import annotations

import asyncio
import logging

import httpx
import pytest

from guestlist import AsyncGuestlist, Guestlist
from guestlist_aitronos import Aitronos

KEY = "invkey_4f0d6a1b2c3e4d5f8a9b0c1d2e3f4a5b"


def answer(request: httpx.Request) -> httpx.Response:
    valid = {"valid": True, "invitation_id": "inv_1", "email": "ada@example.com"}
    return httpx.Response(200, json=valid)


def account() -> Aitronos:
    return Aitronos(api_key="ak_hush", organization_id="org_1")


def test_sync(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        httpx.Client(transport=httpx.MockTransport(answer)) as client,
        Guestlist({"ai": account()}, http_client=client) as guests,
    ):
        guests.account("ai").call(Aitronos.validate_key, KEY)
    logged = [record for record in caplog.records if record.name == "httpx"]
    assert "/v1/invitations/validate/********" in logged[0].getMessage()
    assert KEY not in caplog.text


def test_async(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with (
            httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client,
            AsyncGuestlist({"ai": account()}, http_client=client) as guests,
        ):
            await guests.account("ai").call(Aitronos.validate_key, KEY)
            await client.get("https://elsewhere.example/plain")

    asyncio.run(main())
    logged = [record.getMessage() for record in caplog.records if record.name == "httpx"]
    assert "/v1/invitations/validate/********" in logged[0]
    assert "https://elsewhere.example/plain" in logged[1]  # what is the caller's own stays as it is
    assert KEY not in caplog.text


def test_a_program_that_makes_many_clients_has_one_filter() -> None:
    """Each of them would be kept for ever, and be asked about every record."""
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        Guestlist({"ai": account()}, http_client=client)
        filters = list(logging.getLogger("httpx").filters)
        Guestlist({"ai": account()}, http_client=client)
    assert logging.getLogger("httpx").filters == filters
