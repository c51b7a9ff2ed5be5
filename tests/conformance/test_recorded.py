"""A setting that is recorded can be replayed without the service."""

from __future__ import annotations

from pathlib import Path

from guestlist.models import Outcome
from guestlist.testing.conformance import SandboxSetting
from guestlist.testing.conformance.recorded import recording, replaying
from guestlist.testing.conformance.scene import Scene
from guestlist_vultr import Vultr
from guestlist_vultr.sandbox import VultrService


class Live(SandboxSetting):
    """A service that remembers: its addresses are of this test alone."""

    def address(self, name: str) -> str:
        return f"{name}.17@example.com"


def test_addresses_of_a_live_service_are_replayed(tmp_path: Path) -> None:
    with recording(tmp_path, "test", Live(VultrService), "Vultr") as setting:
        assert Scene(setting).invite("ada").outcome is Outcome.INVITED

    with replaying(tmp_path, "test", Vultr) as setting:
        scene = Scene(setting)
        assert scene.invite("ada").guest.email == "ada.17@example.com"
        scene.close()
