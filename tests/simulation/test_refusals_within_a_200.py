"""The same promises for a service that says every no with a 200."""

from __future__ import annotations

import json
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guestlist.errors import GuestlistError
from guestlist.provider import Response
from guestlist.testing.simulation import simulate
from guestlist.testing.simulation.report import silence
from guestlist_vultr import Vultr
from guestlist_vultr.sandbox.service import VultrService


class PoliteService(VultrService):
    """Vultr, if it said no with a 200."""

    def build(self) -> ASGIApp:
        app = super().build()

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            said: list[Message] = []

            async def listen(message: Message) -> None:
                said.append(message)

            await app(scope, receive, listen)
            status = said[0]["status"]
            if 400 <= status < 500:
                refused = json.loads(b"".join(one.get("body", b"") for one in said[1:]))
                body = json.dumps({"ok": False, "status": status, "refused": refused}).encode()
                said = [{**said[0], "status": 200, "headers": []}, {**said[1], "body": body}]
            for message in said:
                await send(message)

        return answer


class Polite(Vultr):
    """The provider for it."""

    sandbox = f"{__name__}:PoliteService"

    def refusal(self, response: Response) -> GuestlistError | None:
        told: dict[str, Any] = response.mapping()
        if told.get("ok") is not False:
            return None
        return self.explain(Response(told["status"], {}, json.dumps(told["refused"]).encode()))


def test_no_promise_is_broken() -> None:
    with silence():
        runs = [simulate(seed, Polite) for seed in range(500)]
    assert [violation for run in runs for violation in run.violations] == []
    refused = [one for run in runs for one in run.site.landed if not one.accepted]
    assert refused
    assert not any(one.mails for one in refused)
