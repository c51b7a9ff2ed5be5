"""What it costs to start: the import, and commands from beginning to end."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from benchmarks.aitronos import KEY, ORGANIZATION, guest, recorded
from benchmarks.measure import Block, children_cpu, in_turns, scaled
from benchmarks.report import Chart, Report, Table, Target
from benchmarks.server import serving

ROUNDS = max(3, scaled(15))
HEAVY = ("httpx", "pydantic", "asyncio")
NOTHING, IMPORT = "python -c pass", "import guestlist"
FLOOR, STATUS = "httpx and pydantic, once", "guestlist status"

USE = """
import sys, httpx
from pydantic import BaseModel
class Invitation(BaseModel):
    invitation_id: str
    email: str
transport = httpx.HTTPTransport(verify=False)
request = httpx.Request('GET', sys.argv[1], headers={'X-API-Key': sys.argv[2]})
print(Invitation.model_validate_json(transport.handle_request(request).read()))
"""

TEXT = """
Measures whole processes from start to end, in turns. Modules are already compiled. `status` sends
its requests to the same local server as the other rows. It is compared with the smallest possible
program with httpx and pydantic: one model, one request, one answer.
"""


def measure() -> Report:
    """Measures the row."""
    with _programs() as programs:
        measured = in_turns(
            {name: _block(command) for name, command in programs.items()},
            calls=1,
            rounds=ROUNDS,
            cpu_clock=children_cpu,
        )
    nothing = measured[NOTHING]
    ratio = {name: one.cpu_against(nothing).median for name, one in measured.items()}
    status = measured[STATUS].cpu_against(measured[FLOOR]).median
    return Report(
        title="Starting",
        text=TEXT,
        targets=[
            Target("`import guestlist`: at most 1.5", ratio[IMPORT], 1.5),
            Target("modules of httpx, pydantic and asyncio that it loads: none", len(loaded()), 0),
            Target("`guestlist --version`: at most 4.5", ratio["guestlist --version"], 4.5),
            Target("`guestlist --help`: at most 4.5", ratio["guestlist --help"], 4.5),
            Target("`guestlist status` compared with httpx and pydantic: at most 1.1", status, 1.1),
        ],
        tables=[
            Table(
                "From start to end",
                ("program", "CPU, ms", f"against `{NOTHING}`"),
                [
                    (f"`{name}`", one.cpu_ms, one.cpu_against(nothing))
                    for name, one in measured.items()
                ],
            )
        ],
        charts=[
            Chart(
                "startup",
                "CPU from start to end, ms",
                [(name, one.cpu_ms) for name, one in measured.items()],
                ours=[name for name in measured if "guestlist" in name],
            )
        ],
    )


def loaded() -> list[str]:
    """Which of the heavy modules `import guestlist` loads."""
    program = f"import guestlist, sys; print(*(set({HEAVY}) & set(sys.modules)))"
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()


def import_ratio() -> float:
    """CPU of a process that imports guestlist, against one that does nothing."""
    commands = {"import": _python("import guestlist"), "nothing": _python("pass")}
    measured = in_turns(
        {name: _block(command) for name, command in commands.items()},
        calls=1,
        rounds=15,
        cpu_clock=children_cpu,
    )
    return measured["import"].cpu_against(measured["nothing"]).median


def status_ratio() -> float:
    """CPU of `guestlist status`, against the least that can be done with httpx and pydantic."""
    with _programs() as programs:
        measured = in_turns(
            {name: _block(programs[name]) for name in (STATUS, FLOOR)},
            calls=1,
            rounds=9,
            cpu_clock=children_cpu,
        )
    return measured[STATUS].cpu_against(measured[FLOOR]).median


@contextmanager
def _programs() -> Iterator[dict[str, Sequence[str]]]:
    """What is started; meanwhile a server answers, and a configuration names it."""
    with serving(recorded().site) as base_url, tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder, "guestlist.toml")
        configuration.write_text(
            "[accounts.aitronos]\nprovider = 'aitronos'\n"
            f"base_url = '{base_url}'\napi_key = '{KEY}'\norganization_id = '{ORGANIZATION}'\n",
            encoding="utf-8",
        )
        url = f"{base_url}{recorded().verbs['status'][0].target}"
        command = str(Path(sys.executable).with_name("guestlist"))
        yield {
            NOTHING: _python("pass"),
            IMPORT: _python("import guestlist"),
            "import httpx": _python("import httpx"),
            "import pydantic": _python("from pydantic import BaseModel"),
            FLOOR: [*_python(USE), url, KEY],
            "guestlist --version": [command, "--version"],
            "guestlist --help": [command, "--help"],
            STATUS: [
                *(command, "--config", str(configuration)),
                *("status", guest(0)),
            ],
            "from guestlist import Guestlist": _python("from guestlist import Guestlist"),
            "import aitronos (SDK)": _python(
                "from aitronos import Aitronos; Aitronos(api_key='k').crew_management_invitations"
            ),
            "import workos": _python("import workos"),
            "import stripe": _python("import stripe"),
            "import anthropic": _python("import anthropic"),
        }


def _python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def _block(command: Sequence[str]) -> Block:
    """Runs a program whose modules are compiled, as those of an installed package are."""
    kept_out = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if name not in kept_out}
    environment["PYTHONPYCACHEPREFIX"] = str(_compiled())

    def block() -> None:
        subprocess.run(command, check=True, capture_output=True, env=environment)

    block()
    return block


@cache
def _compiled() -> Path:
    """Where compiled modules lie until this process ends."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return Path(folder.name)
