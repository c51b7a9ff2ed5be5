"""Vultr's official Go client understands the sandbox.

Needs Go, and once the module itself, which Go then keeps.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests import downloads

from guestlist.sandbox import Sandbox
from guestlist_vultr.sandbox import VultrService

PROGRAM = Path(__file__).parent / "govultr"
NEWEST = "v3.34.0"


@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go here: https://go.dev")
@pytest.mark.parametrize(
    ("version", "status_fields"),
    [
        # The last one that understands a text in an invitation's `status`.
        ("v3.33.1", "all"),
        (NEWEST, VultrService.switches["status_fields"].values[0]),
    ],
)
def test_the_official_client_understands_every_answer(
    tmp_path: Path, version: str, status_fields: str
) -> None:
    shutil.copy(PROGRAM / "main.go", tmp_path)
    module = (PROGRAM / "go.mod").read_text(encoding="utf-8")
    assert NEWEST in module
    (tmp_path / "go.mod").write_text(module.replace(NEWEST, version), encoding="utf-8")
    environment = {**downloads.environment(), "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}

    def go(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["go", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    fetched = go("mod", "download", "github.com/vultr/govultr/v3")
    if fetched.returncode:
        pytest.skip(f"Go cannot get the client: {fetched.stderr.strip()}")

    switches = {"vultr": {"rate": "off", "status_fields": status_fields}}
    with Sandbox([VultrService], switches=switches) as sandbox:
        settings = sandbox.services["vultr"].settings
        ran = go("run", ".", settings["base_url"], settings["api_key"])

    assert (ran.stdout, ran.stderr) == ("understood\n", "")
