"""The example in `docs/sandbox.md`, run as it is printed there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from guestlist.sandbox import Sandbox, Switch, service_classes
from guestlist.sandbox.organization import SWITCHES
from guestlist_vultr.sandbox import VultrService

PAGE = Path(__file__).parents[2] / "docs" / "sandbox.md"
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_another_language_drives_the_sandbox(tmp_path: Path) -> None:
    found = re.search(r"```js\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    program = tmp_path / "onboarding.mjs"
    program.write_text(found[1], encoding="utf-8")
    assert NODE is not None
    with Sandbox([VultrService]) as sandbox:
        before = sandbox.clock.now()
        run = subprocess.run(
            [NODE, str(program), sandbox.url], capture_output=True, text=True, timeout=60
        )
        assert (run.stdout, run.stderr) == ("ada@example.com: accepted\n", "")
        assert (sandbox.clock.now() - before).days >= 1


def test_every_call_of_the_control_interface_is_on_the_page() -> None:
    from guestlist.sandbox import api

    documented = set(re.findall(r"(?:GET|POST) /api/([\w/]+)", PAGE.read_text(encoding="utf-8")))
    routes = {
        re.sub(r"{(\w+)}", lambda name: name[1].upper(), route.path).strip("/")
        for route in api.ControlApi.__new__(api.ControlApi).routes()
    }
    first_words = {path.partition("/")[0] for path in documented}
    assert {path.partition("/")[0] for path in routes} == first_words


def row(name: str, switch: Switch) -> str:
    values = ", ".join(f"`{value}`" for value in switch.values)
    return f"| `{name}` | {values} | {switch.meaning} |"


def test_every_switch_is_on_the_page_with_its_values_and_meaning() -> None:
    page = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [row(name, switch) for name, switch in SWITCHES.items()]
    for kind in service_classes():
        rows += [row(f"{kind.name}.{name}", switch) for name, switch in kind.switches.items()]
    assert [one for one in rows if one not in page] == []
    listed = [line for line in page if re.match(r"\| `[a-z_.]+` \| `", line)]
    assert len(listed) == len(rows)
