"""What `guestlist new-provider` writes, and what `guestlist check-provider` says."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points, requires
from pathlib import Path

import pytest

import pytest_guestlist.conformance
from guestlist.cli import main
from guestlist.errors import ConfigError, InvalidArgument
from guestlist.plugins import installed
from guestlist.provider import Provider
from guestlist.sandbox import SandboxError
from pytest_guestlist.checking import check_provider, facts, sketches
from pytest_guestlist.scaffold import new_provider

pytest_plugins = ["pytester"]

QUICK = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:schemathesis"]
"""Options that leave out plugins that take long to load."""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return new_provider("acme-cloud", tmp_path)


@pytest.fixture
def acme(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Provider]]:
    monkeypatch.syspath_prepend(str(package / "src"))
    kind: type[Provider] = import_module("guestlist_acme_cloud").AcmeCloud
    yield kind
    for name in [name for name in sys.modules if name.startswith("guestlist_acme_cloud")]:
        del sys.modules[name]


def test_package_is_complete(package: Path) -> None:
    written = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert written == {
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "src/guestlist_acme_cloud/__init__.py",
        "src/guestlist_acme_cloud/provider.py",
        "src/guestlist_acme_cloud/py.typed",
        "src/guestlist_acme_cloud/sandbox.py",
        "tests/test_conformance.py",
    }
    project = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == "guestlist-acme-cloud"
    assert project["entry-points"] == {
        "guestlist": {"acme-cloud": "guestlist_acme_cloud:AcmeCloud"}
    }


def test_its_suite_says_what_is_left_to_do(
    package: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = package / "tests" / "test_conformance.py"
    text = program.read_text("utf-8")
    # it is not installed here, so its class is named
    text = text.replace("    service =", "    kind = AcmeCloud\n    service =")
    named = "from guestlist_acme_cloud import AcmeCloud\n"
    text = text.replace("from guestlist_acme", f"{named}from guestlist_acme", 1)
    program.write_text(text, "utf-8")
    monkeypatch.chdir(package)
    monkeypatch.syspath_prepend(str(package / "src"))
    assert pytest_guestlist.conformance  # else the run within would load it, and forget it again
    done = pytester.runpytest_inprocess("-q", "--tb=short", *QUICK, str(package))
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    failed = [line for line in done.outlines if line.startswith("FAILED")]
    assert len(failed) == 1
    assert "test_nothing_is_left_of_the_template" in failed[0]
    assert "invite is a sketch" in str(done.stdout)


def test_leftovers_of_the_template_are_reported(acme: type[Provider]) -> None:
    left = [problem.rule for problem in sketches(acme)]
    assert "revoke is a sketch" in left
    assert "base_url is still https://api.example.com" in left
    assert not list(facts(acme))


@pytest.mark.parametrize("name", ["Acme", "9acme", "acme_cloud", "acme-", "a/b", ""])
def test_name_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidArgument):
        new_provider(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(package: Path) -> None:
    with pytest.raises(ConfigError):
        new_provider("acme-cloud", package.parent)


@pytest.mark.parametrize("name", installed().providers)
def test_our_own_are_ready(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # mypy takes long, and is run on all of them anyway
    monkeypatch.setattr("pytest_guestlist.checking._types", lambda kind: ())
    assert check_provider(installed().provider(name)) == []


@pytest.mark.proof  # takes as long as hundreds of other tests
def test_mypy_finds_nothing_in_a_provider_of_ours() -> None:
    assert check_provider(installed().provider("vultr")) == []


def test_what_mypy_finds_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def mypy(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        said = (
            "src/provider.py:7: error: Name is not defined  [name]\nsrc/provider.py:7: note: Or so"
        )
        return subprocess.CompletedProcess(command, 1, said, "")

    monkeypatch.setattr("subprocess.run", mypy)

    (problem,) = check_provider(installed().provider("vultr"))

    assert problem.rule == "provider.py:7: Name is not defined  [name]"
    ((_python, *words),) = commands
    assert words[:3] == ["-m", "mypy", "--strict"]
    assert {Path(word).name for word in words if word.endswith(".py")} >= {"provider.py"}


def test_the_command_says_that_nothing_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pytest_guestlist.checking._types", lambda kind: ())
    assert main(["check-provider", "vultr"]) == 0
    said = "vultr: nothing is missing (checked: names, facts, package, imports, types)\n"
    assert capsys.readouterr().out == said

    monkeypatch.setattr("guestlist.cli.commands.provider_development.find_spec", lambda _: None)
    assert main(["check-provider", "vultr"]) == 0
    assert "imports, but not types: mypy is not installed)" in capsys.readouterr().out


def test_the_command_reports_each_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pytest_guestlist.checking._types", lambda kind: ())
    monkeypatch.setattr(installed().provider("vultr"), "title", " ")
    assert main(["check-provider", "vultr"]) != 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "vultr: title is empty" in shown.err


def test_impossible_facts_are_reported() -> None:
    class Odd(Provider):
        name = "odd"
        title = "Odd"
        least_roles = 2
        resend_moves_expiry = True
        sandbox = "nowhere:Nothing"
        substitutes = {"tea": "Make some."}  # noqa: RUF012

    told = " ".join(problem.rule for problem in facts(Odd))
    for word in ("least_roles", "resend_moves_expiry", "sandbox", "'tea'"):
        assert word in told


def test_without_the_extra_a_sandbox_is_not_at_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise SandboxError(
            "The sandbox needs starlette", hint='Run: pip install "guestlist[sandbox]"'
        )

    monkeypatch.setattr("pytest_guestlist.checking.require_extra", missing)
    (problem,) = facts(installed().provider("vultr"))
    assert "starlette" in problem.rule
    assert problem.hint == 'Run: pip install "guestlist[sandbox]"'


@pytest.mark.parametrize("command", ["new-provider", "check-provider"])
def test_without_the_test_kit_its_package_is_named(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("guestlist.cli.commands.provider_development.entry_points", lambda **_: ())

    assert main([command, "vultr"]) == 2

    shown = capsys.readouterr().err
    assert f"`guestlist {command}` needs the test kit" in shown
    assert "pip install pytest-guestlist" in shown


def test_applications_get_nothing_of_the_test_kit() -> None:
    needed = {line.partition(";")[0].strip() for line in requires("guestlist") or ()}
    names = {re.split(r"[^\w-]", line)[0] for line in needed}
    assert names.isdisjoint({"pytest", "pytest-guestlist", "pytest-recording", "vcrpy"})
    (plugin,) = entry_points(group="pytest11", name="guestlist")
    assert plugin.dist is not None
    assert plugin.dist.name == "pytest-guestlist"
