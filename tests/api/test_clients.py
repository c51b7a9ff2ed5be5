"""Programs in other languages use the API as the documents say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
from tests import downloads
from tests.api.conftest import Server, serving

from guestlist.console.api.operations import OPERATIONS
from guestlist.console.api.problems import STATUSES

ROOT = Path(__file__).parents[2]
GO = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
ADA = "ada@example.com"


def blocks(document: str, start: str) -> list[str]:
    """The shell commands in a document, from a line that begins with `start`."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return [
        one
        for one in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        if one.startswith(start)
    ]


def accept_when_invited(server: Server, to: str) -> None:
    ends = time.monotonic() + 60
    while not (emails := server.sandbox.emails(to=to)) and time.monotonic() < ends:
        time.sleep(0.05)
    server.sandbox.accept(emails[0])


def test_the_document_names_every_operation_and_every_error() -> None:
    text = (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8")
    sources = (ROOT / "core/src/guestlist/console/api").glob("*.py")
    own = {
        name
        for source in sources
        for name in re.findall(
            r'(?:ApiRefusal\(\s*\d+,\s*|type_of\()"([A-Z]\w+)"', source.read_text(encoding="utf-8")
        )
    }
    assert len(own) > 10
    names = {*own, *(kind.__name__ for kind, _ in STATUSES)}
    names -= {"ServiceRefusal", "ServiceTrouble", "WaitTimeout"}  # bases, and one that is no answer
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []
    paths = [one.path.removesuffix("/{id}") for one in OPERATIONS]
    assert [path for path in paths if f"{path}`" not in text] == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_of_the_document(server: Server) -> None:
    (commands,) = blocks("docs/http-api.md", "call()")
    with serving(server.app) as url:
        environment = {"GUESTLIST_API": f"{url}/api", "GUESTLIST_TOKEN": server.caller().secret}
        done = subprocess.run(
            ["sh", "-eu"],
            input=commands,
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert '"title":"Vultr IAM"' in done.stdout
    assert '"outcome":"invited"' in done.stdout
    assert '"state":"pending"' in done.stdout
    assert len(server.sandbox.emails(to=ADA)) == 1


@pytest.mark.proof  # it downloads the generator from the module proxy
@pytest.mark.timeout(900)
@pytest.mark.skipif(GO is None, reason="Go is not installed")
def test_a_generated_client_in_go(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "go"
    shutil.copytree(ROOT / "examples" / "go", folder, ignore=lambda *_: ["guestlist"])
    (commands,) = blocks("examples/go/README.md", "curl")
    accepting = threading.Thread(target=accept_when_invited, args=(server, ADA))
    with serving(server.app) as url:
        environment = {
            "GUESTLIST_API": f"{url}/api",
            "GUESTLIST_TOKEN": server.caller(name="go").secret,
            "PATH": f"{Path(GO or '').parent}:{os.environ['PATH']}",
        }
        accepting.start()
        done = subprocess.run(
            ["sh", "-eu"],
            input=commands,
            env=downloads.environment() | environment,
            cwd=folder,
            capture_output=True,
            text=True,
        )
        accepting.join()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{ADA} is invited",
        f"{ADA} has accepted",
        f"{ADA} is removed",
    ]
