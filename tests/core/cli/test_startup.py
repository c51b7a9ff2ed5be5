"""Starting: the program itself, what it loads, and how long that takes."""

from __future__ import annotations

import os
import subprocess
import sys
from math import inf

import pytest

from guestlist import __version__
from guestlist.cli.arguments import COMMANDS

from .conftest import SCRIPT, Cli

HEAVY = """
import sys
from guestlist.cli import main
code = main(sys.argv[1:])
print(sorted({"asyncio", "httpx", "pydantic", "rich", "pluggy"} & set(sys.modules)), code)
"""

COLLECTING = """
import gc, sys
from guestlist.cli import command_runner, main
from guestlist.cli.__main__ import program
def show(session):
    print(gc.isenabled(), gc.get_freeze_count() > 0, gc.get_threshold()[0])
command_runner.find_command = lambda name: show
main(["providers"])
program()
"""

LONGEST = 4.5
"""How many times the CPU time of `python -c pass` a start may take."""


def test_version() -> None:
    done = subprocess.run([SCRIPT, "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"guestlist {__version__}\n")


def test_help_names_every_command_on_a_line_of_its_own(plain: Cli) -> None:
    done = plain("--help")
    assert done.code == 0
    for group in COMMANDS.values():
        for name, (about, _) in group.items():
            assert f"  {name:<15} {about}" in done.out.splitlines()


def test_help_of_a_command_names_an_option_s_value_once(plain: Cli) -> None:
    assert "  -a, --account NAME " in plain("invite", "--help").out


def test_without_a_command_the_overview_is_shown_and_the_code_says_so(plain: Cli) -> None:
    done = plain()
    assert done.code == 2
    assert "invite" in done.out


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["invite", "--help"], ["revok"]])
def test_nothing_heavy_is_loaded(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HEAVY, *words], capture_output=True, text=True, check=True
    )
    code = 2 if words == ["revok"] else 0
    assert done.stdout.splitlines()[-1] == f"[] {code}"


def test_the_garbage_collector_works_again_when_a_command_is_carried_out() -> None:
    """What is loaded is kept from it by the program, and not by `main`, which others may call."""
    command = [sys.executable, "-c", COLLECTING, "providers"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    printed = [line for line in done.stdout.splitlines() if line.startswith(("True", "False"))]
    default = subprocess.check_output(
        [sys.executable, "-c", "import gc; print(gc.get_threshold()[0])"], text=True
    )
    assert printed == [f"True False {default.strip()}", "True True 50000"]


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="CPU time of a child is not to be had here")
@pytest.mark.parametrize("word", ["--version", "--help"])
def test_it_starts_quickly(word: str) -> None:
    def cpu(*command: str) -> float:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        return usage.ru_utime + usage.ru_stime

    # the least of several measurements: a busy machine makes single ones longer
    least, ours = inf, inf
    for attempt in range(20):
        least = min(least, cpu(sys.executable, "-c", "pass"))
        ours = min(ours, cpu(sys.executable, str(SCRIPT), word))
        if attempt >= 3 and ours / least < LONGEST:
            return
    pytest.fail(f"{word} takes {ours / least:.1f} times as long as `python -c pass`")
