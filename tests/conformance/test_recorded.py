"""A setting that is recorded can be replayed without the service."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.responses import JSONResponse

from guestlist.models import Invitation, Outcome
from guestlist.provider import Flow, Page, Request, operation
from guestlist_vultr import Vultr
from guestlist_vultr.sandbox import VultrService
from pytest_guestlist.conformance import Backend, SandboxBackend
from pytest_guestlist.conformance.harness import Harness
from pytest_guestlist.conformance.recorded import recording, replaying


class Live(SandboxBackend):
    """A service that remembers: its addresses are of this test alone."""

    def address(self, name: str) -> str:
        return f"{name}.17@example.com"


def test_addresses_of_a_live_service_are_replayed(tmp_path: Path) -> None:
    with recording(tmp_path, "test", Live(VultrService), "Vultr") as setting:
        assert Harness(setting).invite("ada").outcome is Outcome.INVITED

    with replaying(tmp_path, "test", Vultr) as setting:
        harness = Harness(setting)
        assert harness.invite("ada").guest.email == "ada.17@example.com"
        harness.close()


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    """The plain provider and its service: folders of tests are no packages."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return import_module("plain_provider"), import_module("plain_service")


def test_pages_with_link_headers_are_replayed(
    tmp_path: Path, plain: tuple[ModuleType, ModuleType]
) -> None:
    provider, service = plain

    class Linked(provider.Plain):  # type: ignore[name-defined,misc]
        @operation
        def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
            reply = yield Request.get("invitations", query={"limit": 2, "cursor": cursor})
            link = re.search(r'[?&]cursor=(\d+)[^>]*>; rel="next"', reply.headers.get("link", ""))
            records = [provider.read_invitation(raw) for raw in reply.items("items")]
            return Page(records, link[1] if link else None)

    class LinkedService(service.PlainService):  # type: ignore[name-defined,misc]
        async def listed(self, request: Any) -> Any:
            told = json.loads((await super().listed(request)).body)
            path = f"{request.url.path}?limit=2&cursor={told['next']}"
            headers = (
                {"link": f'<{request.base_url}{path[1:]}>; rel="next"'} if told["next"] else {}
            )
            return JSONResponse({"items": told["items"]}, headers=headers)

    names = ["ada", "bob", "cleo", "dan", "eve"]
    setting: Backend
    with recording(tmp_path, "test", SandboxBackend(LinkedService, Linked), "Plain") as setting:
        harness = Harness(setting)
        invited = [harness.invite(name).guest.email for name in names]
        assert [one.email for one in harness.guests.invitations()] == invited

    with replaying(tmp_path, "test", Linked) as setting:
        harness = Harness(setting)
        assert [harness.invite(name).guest.email for name in names] == invited
        assert [one.email for one in harness.guests.invitations()] == invited
        harness.close()
