"""A service that refuses within a 200, whichever it is otherwise, and what its provider reads."""

from __future__ import annotations

import json
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guestlist.errors import GuestlistError
from guestlist.provider import Provider, Response


def polite(app: ASGIApp) -> ASGIApp:
    """A service that says every no of another one with a 200."""

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


def refused(provider: Provider, response: Response) -> GuestlistError | None:
    """What the provider would explain, had the service said no with its status."""
    told: dict[str, Any] = response.mapping()
    if told.get("ok") is not False:
        return None
    return provider.explain(Response(told["status"], {}, json.dumps(told["refused"]).encode()))
