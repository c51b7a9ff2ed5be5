"""`demo`: the story comes out as told, and it notices when it does not."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest
from tests.core.cli.program import Program

from guestlist.cli.commands.demo_runner import DemoRunner
from guestlist.plugins import Plugins, installed

from .conftest import Cli, script


def test_the_demo_plays_the_whole_scenario() -> None:
    done = script("demo")
    assert (done.returncode, done.stderr) == (0, "")
    assert 'guests.invite("ada@example.com", account="vultr")' in done.stdout
    assert re.search(r"^\d+ steps, all as expected\.$", done.stdout, re.MULTILINE)
    table = done.stdout.partition("The state of all people at the end")[2].splitlines()
    assert [
        re.split(r"  +", line.strip())[:3]
        for line in table
        if line.startswith("   ") and "@" in line
    ] == [
        ["ada@example.com", "vultr", "accepted"],
        ["ada@example.com", "aitronos", "accepted"],
        ["alan@example.com", "aitronos", "not invited"],
        ["barbara@example.com", "vultr", "not invited"],
        ["grace@example.com", "vultr", "pending"],
    ]
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_as_json(plain: Cli) -> None:
    run = plain("demo", "--json")
    steps = [row for row in run.results if row["type"] == "step"]
    assert len(steps) > 25
    assert all(step["as_expected"] for step in steps)


def test_a_step_that_comes_out_differently_ends_it(
    plain: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell(stage: DemoRunner) -> None:
        stage.chapter("Something else")
        stage.call("status", "ada@example.com", account="vultr", expect="accepted")
        raise AssertionError("the demo did not stop")

    monkeypatch.setattr("guestlist.cli.commands.demo.play", tell)
    run = plain("demo", "--json")
    assert run.code == 1
    assert "unexpected result in the demo" in run.errors[0]["message"]
    [step] = run.results
    assert (step["expected"], step["as_expected"]) == ("accepted", False)


def test_without_the_providers_of_the_story_it_names_them(
    plain: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = Plugins(installed().manager, {"vultr": installed().provider("vultr")})
    monkeypatch.setattr("guestlist.cli.commands.demo.installed", lambda: others)
    run = plain("demo", "--json")
    assert "needs guestlist-vultr and guestlist-aitronos" in run.errors[0]["message"]
    assert "not installed: guestlist-aitronos" in run.errors[0]["message"]
    assert "pip install guestlist-aitronos" in run.errors[0]["hint"]


def test_keep_leaves_the_sandbox_running_until_ctrl_c() -> None:
    running = Program("demo", "--keep", env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert running.stdout is not None
    url = ""
    for line in running.stdout:
        told = re.search(r"guestlist --sandbox (\S+) status", line)
        if told:
            url = told[1]
            break
    asked = script("--sandbox", url, "status", "grace@example.com", "-a", "vultr", "--json")
    assert json.loads(asked.stdout)["results"][0]["state"] == "pending"
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (0, "")
