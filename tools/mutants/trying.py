"""Runs a provider's tests on mutants.

The tests are loaded once for each provider. A mutant is tried in a fork of that process, in which
the code of the changed functions is replaced. If anything else has changed, such as a table or a
fact, the provider is loaded again. The tests that have found the most mutants run first, and the
first failure ends the run.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import io
import json
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from tools.mutants.making import ROOT, Mutant, package, tests

import pytest_guestlist.conformance  # noqa: F401 - what no mutant changes is loaded once
from guestlist.plugins import installed

CACHE = ROOT / ".mutants_cache.json"
LONGEST = 60
"""Seconds of CPU time after which a run counts as hanging. A mutant that hangs counts as found."""
MEMORY = 4 * 2**30
"""Bytes of memory that a run may use. A mutant that exceeds them counts as found."""
BROKEN = "it does not load, or does not end"
"""The name in place of a test if no test was run."""
PYTEST = (
    *("-x", "-q", "--tb=no", "--assert=plain", "--disable-plugin-autoload"),
    *("-p", "pytest_guestlist.plugin", "-p", "pytest_timeout", "-p", "no:cacheprovider"),
    *("-o", "addopts=--import-mode=importlib", "-m", "not proof"),
)


def is_of_the_suite(found: str) -> bool:
    """Returns whether a test is one of the conformance suite."""
    return "test_conformance.py" in found or found == BROKEN


Target = Callable[[Mutant, list[str], Connection], None]


def in_order(items: Iterable[pytest.Item], first: list[str]) -> list[pytest.Item]:
    """Returns the tests in the order in which to run them: the conformance suite before the
    provider's own tests, and of each what found the most mutants."""
    place = {name: number for number, name in enumerate(first)}
    return sorted(
        items,
        key=lambda item: (not is_of_the_suite(item.nodeid), place.get(item.nodeid, len(place))),
    )


class TestOrder:
    """The plugin that runs the tests in order, and records which test finds this mutant."""

    def __init__(self, first: list[str]) -> None:
        self._first = first
        self.found = BROKEN

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = in_order(items, self._first)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.found = report.nodeid


def confine() -> None:
    """Silences this process, and limits its CPU time and memory."""
    resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)


def load_and_try(mutant: Mutant, first: list[str], answer: Connection) -> None:
    """Loads the mutant, runs the tests on it, and sends the name of the test that found it."""
    confine()
    sys.dont_write_bytecode = True
    with tempfile.TemporaryDirectory() as folder:
        original = package(mutant.provider)
        copy = Path(folder) / original.name
        shutil.copytree(original, copy, ignore=shutil.ignore_patterns("sandbox*", "__pycache__"))
        (copy / mutant.file).write_text(mutant.text, "utf-8")
        sys.path.insert(0, folder)
        order = TestOrder(first)
        code = pytest.main([*PYTEST, *selected(mutant.provider)], plugins=[order])
        answer.send("" if code == pytest.ExitCode.OK else order.found)


class Bench:
    """The plugin that collects the tests, and then tries mutants instead of running them."""

    def __init__(self, run: Callable[[Target], None]) -> None:
        self._run = run

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = session.items

        def change_and_try(mutant: Mutant, first: list[str], answer: Connection) -> None:
            """Replaces functions, runs the tests, and sends the name of the test that failed."""
            confine()
            for name, code in (changed_functions(mutant) or {}).items():
                function(mutant, name).__code__ = code
            ordered = in_order(items, first)
            for item, following in zip(ordered, [*ordered[1:], None], strict=True):
                reports = runtestprotocol(item, nextitem=following, log=False)
                if any(report.failed for report in reports):
                    answer.send(item.nodeid)
                    return
            answer.send("")

        self._run(change_and_try)
        return True


def changed_functions(mutant: Mutant) -> dict[str, CodeType] | None:
    """Returns the code of the changed functions, by name; None if anything else has changed."""
    path = package(mutant.provider) / mutant.file
    found: dict[str, CodeType] = {}
    before, after = (
        compile(ast.unparse(ast.parse(text)), str(path), "exec", dont_inherit=True)
        for text in (path.read_text("utf-8"), mutant.text)
    )
    return found if _compare(before, after, found) else None


def _compare(before: CodeType, after: CodeType, found: dict[str, CodeType]) -> bool:
    """Collects the functions that differ. Returns False if a class or module body differs."""
    if before.co_flags & inspect.CO_OPTIMIZED:
        if _essence(before) != _essence(after):
            found[after.co_qualname] = after
        return before.co_qualname == after.co_qualname and before.co_freevars == after.co_freevars
    if _essence(before, deep=False) != _essence(after, deep=False):
        return False
    pairs = zip(before.co_consts, after.co_consts, strict=True)
    return all(_compare(a, b, found) for a, b in pairs if isinstance(a, CodeType))


def _essence(code: CodeType, *, deep: bool = True) -> Any:
    """Returns the parts of a code object that decide what it does, without line numbers."""
    consts = [
        (_essence(one) if deep else one.co_qualname)
        if isinstance(one, CodeType)
        else (type(one), repr(one))
        for one in code.co_consts
    ]
    return code.co_code, code.co_names, code.co_varnames, code.co_argcount, consts


def function(mutant: Mutant, name: str) -> FunctionType:
    """Returns the undecorated function."""
    stem = mutant.file.removesuffix(".py")
    found: Any = sys.modules[f"{package(mutant.provider).name}.{stem}"]
    for part in name.split("."):
        found = inspect.getattr_static(found, part)
    while not isinstance(found, FunctionType) or hasattr(found, "__wrapped__"):
        inner = [getattr(found, one, None) for one in ("fget", "__wrapped__", "__func__")]
        found = next(one for one in inner if one is not None)
    return found


def prepare(provider: str) -> None:
    """Loads the modules that no mutant changes, so that every fork has them: the sandbox, and all
    modules that the provider imports."""
    name = package(provider).name
    for part in ("provider", "sandbox"):
        importlib.import_module(f"{name}.{part}")
    ends = tuple(f"{provider}.{path.stem}" for path in tests(provider))
    for loaded in list(sys.modules):
        own = loaded == name or loaded.startswith(f"{name}.") or loaded.endswith(ends)
        if own and not loaded.startswith(f"{name}.sandbox"):
            del sys.modules[loaded]
    installed.cache_clear()


@cache
def selected(provider: str) -> tuple[str, ...]:
    """Returns the tests to run, as pytest calls them: of the conformance suite the classes that run
    on the sandbox, and the other files whole. pytest leaves out the proofs, as CI does."""
    found: list[str] = []
    for path in tests(provider):
        names = [
            one.name
            for one in ast.parse(path.read_text("utf-8")).body
            if isinstance(one, ast.ClassDef)
        ]
        if path.stem != "test_conformance":
            found.append(str(path))
            continue
        found += [
            f"{path}::{name}"
            for name in names
            if name.startswith("Test") and "RealServer" not in name and "Recorded" not in name
        ]
    return tuple(found)


class Jury:
    """Tries several mutants at a time, and records which test found each.

    The records are kept between runs as long as the sources and tests that they depend on stay the
    same. The test that found a mutant in an earlier run is tried on it first.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._forks = multiprocessing.get_context("fork")
        try:
            self._known = json.loads(CACHE.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            self._known = {}
        self._ground = _digest((ROOT / "core" / "src").rglob("*.py"))

    def verdicts(self, provider: str, mutants: Iterable[Mutant]) -> dict[str, str]:
        """Returns the test that found each mutant, by the mutant's name; empty for a survivor."""
        found: dict[str, str] = {}
        loaded, changed = [], []
        for mutant in mutants:
            known = self._known.get(f"{provider} {mutant.name}", {})
            if known.get("state") == self._state(mutant):
                found[mutant.name] = known["found"]
            elif changed_functions(mutant) is None:
                loaded.append(mutant)
            else:
                changed.append(mutant)
        self._load(provider, loaded, found)
        self._change(provider, changed, found)
        return found

    def unbroken(self, mutant: Mutant) -> tuple[str, str]:
        """Returns the test that fails on the unchanged provider, for both ways of trying. A text is
        empty if none fails."""
        ways: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self._change(mutant.provider, [mutant], ways[0])
        self._load(mutant.provider, [mutant], ways[1])
        return ways[0][mutant.name], ways[1][mutant.name]

    def _load(self, provider: str, mutants: list[Mutant], found: dict[str, str]) -> None:
        if mutants:
            prepare(provider)
            found.update(self._tried(mutants, load_and_try))

    def _change(self, provider: str, mutants: list[Mutant], found: dict[str, str]) -> None:
        if mutants:
            bench = Bench(lambda target: found.update(self._tried(mutants, target)))
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                pytest.main([*PYTEST, *selected(provider)], plugins=[bench])

    def _tried(self, mutants: list[Mutant], target: Target) -> Iterator[tuple[str, str]]:
        waiting = mutants[::-1]
        running: dict[Any, tuple[Mutant, Any, Connection]] = {}
        while waiting or running:
            while waiting and len(running) < self._jobs:
                mutant = waiting.pop()
                ours, theirs = self._forks.Pipe(duplex=False)
                given = (mutant, self._first(mutant), theirs)
                process = self._forks.Process(target=target, args=given)
                process.start()
                theirs.close()
                running[process.sentinel] = mutant, process, ours
            for sentinel in wait(list(running)):
                mutant, process, ours = running.pop(sentinel)
                process.join()
                found = ours.recv() if process.exitcode == 0 and ours.poll() else BROKEN
                self._keep(mutant, found)
                yield mutant.name, found

    def _first(self, mutant: Mutant) -> list[str]:
        mine = self._known.get(f"{mutant.provider} {mutant.name}", {}).get("found")
        found = Counter(
            known["found"]
            for name, known in self._known.items()
            if known["found"] and name.startswith(f"{mutant.provider} ")
        )
        return [*([mine] if mine else []), *(name for name, _ in found.most_common())]

    def _keep(self, mutant: Mutant, found: str) -> None:
        entry = {"state": self._state(mutant), "found": found}
        self._known[f"{mutant.provider} {mutant.name}"] = entry
        CACHE.write_text(json.dumps(self._known, indent=0), "utf-8")

    def _state(self, mutant: Mutant) -> str:
        """Returns a digest of everything that decides whether a mutant is found."""
        ground = self._ground + _tested(mutant.provider)
        return hashlib.sha256((ground + mutant.text).encode()).hexdigest()


@cache
def _tested(provider: str) -> str:
    return _digest([*package(provider).rglob("*.py"), *tests(provider)])


def _digest(files: Iterable[Path]) -> str:
    texts = (f"{path}\0{path.read_text('utf-8')}\0" for path in sorted(files))
    return hashlib.sha256("".join(texts).encode()).hexdigest()
