"""Breaks the providers in the ways that authors do, and sees whether the conformance suite notices.

    python tools/mutants.py                   every mutant; the result goes into docs/conformance.md
    python tools/mutants.py --listed          those that people have thought of: what CI runs
    python tools/mutants.py --only read_member vultr

Hand-listed mutants are in `tests/conformance/mutants/*.toml`: a text of the provider's source, and
what an author might have written instead. The others a machine makes, of all code that reads and
sends. Whichever is known to survive has a reason there. Exit code 1 when fewer than 95 % of either
kind are found, or one survives without a reason, or one with a reason does not survive.

A mutant is tried in a process of its own, forked from one that has loaded everything but the
provider. The tests that found the most mutants so far come first, and the first failure ends it.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib
import json
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
LISTS = ROOT / "tests" / "conformance" / "mutants"
DOCUMENT = ROOT / "docs" / "conformance.md"
CACHE = ROOT / ".mutants_cache.json"
PROVIDERS = tuple(sorted(path.stem for path in LISTS.glob("*.toml")))
ENOUGH = 0.95
LONGEST = 60
"""Seconds of computing after which a run is taken to hang, which counts as noticed."""
MEMORY = 4 * 2**30
"""Bytes that a run may take; a mutant that gathers for ever counts as noticed."""
TEXTS = ("title", "docs_url")
"""Facts that are texts for people."""
LINE = 90
"""Characters of code that a mutant's name shows."""
BROKEN = "it does not load, or does not end"
"""In place of a test, where it did not come to tests."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file of a provider.

    Attributes:
        name: unique within the provider; made of the code, without line numbers.
        reason: why it survives; empty where it must not.
    """

    provider: str
    name: str
    file: str
    text: str
    reason: str = ""


def package(provider: str) -> Path:
    return ROOT / "providers" / provider / "src" / f"guestlist_{provider}"


def suite(provider: str) -> Path:
    return ROOT / "tests" / "providers" / provider / "test_conformance.py"


def table(provider: str) -> dict[str, Any]:
    return tomllib.loads((LISTS / f"{provider}.toml").read_text("utf-8"))


# ---------------------------------------------------------------------------- by hand


def listed(provider: str) -> Iterator[Mutant]:
    """The mutants that people have thought of."""
    for entry in table(provider)["mutant"]:
        text = (package(provider) / entry["file"]).read_text("utf-8")
        if entry["old"] not in text:
            sys.exit(f"{provider}: {entry['name']!r}: its text is no longer in {entry['file']}")
        changed = text.replace(entry["old"], entry["new"], 1)
        yield Mutant(provider, entry["name"], entry["file"], changed, entry.get("reason", ""))


# ---------------------------------------------------------------------------- by machine

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
}


@dataclass(frozen=True)
class Place:
    """Where one thing can be changed: `holder.at`, or `holder[at]` where it is a statement.

    Attributes:
        where: the function or class around it.
        shown: the code that a reader needs to see: what is changed, or what is around it.
    """

    where: str
    holder: Any
    at: str | int
    new: Any
    shown: ast.AST | None = None

    def changed(self, tree: ast.Module) -> tuple[str, str, str]:
        """What was there, what is there instead, and the whole module with that."""
        old = self._replace(self.new)
        after, text = self._show(self.new), ast.unparse(ast.fix_missing_locations(tree))
        self._replace(old)
        return self._show(old), after, text

    def _replace(self, new: Any) -> Any:
        if isinstance(self.at, int):
            old, self.holder[self.at] = self.holder[self.at], new
        else:
            old = getattr(self.holder, self.at)
            setattr(self.holder, self.at, new)
        return old

    def _show(self, part: Any) -> str:
        code = " ".join(ast.unparse(self.shown or part).split())
        return code if len(code) <= LINE else f"{code[: LINE - 20]} .. {code[-16:]}"


def made(provider: str) -> Iterator[Mutant]:
    """Every comparison and operator turned, constant changed, condition negated, result and
    statement forgotten, in the code that reads and sends; texts for people are left alone.

    Raises:
        SystemExit: a reason is given for a mutant that is not made.
    """
    reasons = {entry["name"]: entry["reason"] for entry in table(provider).get("survivor", ())}
    for path in sorted(package(provider).glob("*.py")):
        if path.stem in ("__init__", "sandbox"):
            continue
        tree = ast.parse(path.read_text("utf-8"))
        seen: Counter[str] = Counter()
        for place in list(_places(tree, "module")):
            before, after, text = place.changed(tree)
            name = f"{path.stem}.{place.where}: {before} -> {after}"
            seen[name] += 1
            if seen[name] > 1:
                name += f" ({seen[name]})"
            yield Mutant(provider, name, path.name, text, reasons.pop(name, ""))
    for name in reasons:
        sys.exit(f"{provider}: there is no mutant {name!r} any more: drop its reason")


def _places(node: ast.AST, where: str) -> Iterator[Place]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        where = node.name if where == "module" else f"{where}.{node.name}"
    yield from _changes(node, where)
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for at, inner in enumerate(value) if isinstance(value, list) else [(name, value)]:
            if not isinstance(inner, ast.AST):
                continue
            holder = value if isinstance(value, list) else node
            if isinstance(inner, ast.Expr | ast.Raise | ast.AugAssign) and not _is_text(inner):
                yield Place(where, holder, at, ast.Pass())
            elif isinstance(inner, ast.Constant) and (other := _another(inner.value)) is not None:
                yield Place(where, inner, "value", other, _around(node, inner, at))
            if not _is_for_people(inner):
                yield from _places(inner, where)


def _around(node: ast.AST, inner: ast.Constant, at: int | str) -> ast.AST:
    """What a reader has to see of a constant: the call, pair or setting that it is a part of."""
    if isinstance(node, ast.Dict) and isinstance(at, int):
        return ast.Dict([node.keys[at]], [node.values[at]])
    return node if isinstance(node, ast.expr | ast.keyword | ast.Assign) else inner


def _is_for_people(node: ast.AST) -> bool:
    """Whether it is a text to read: in an error, a hint, a title, a description."""
    if isinstance(node, ast.Assign):
        return all(isinstance(one, ast.Name) and one.id in TEXTS for one in node.targets)
    if isinstance(node, ast.keyword):
        return node.arg == "hint"
    return isinstance(node, ast.JoinedStr | ast.Raise)


def _changes(node: ast.AST, where: str) -> Iterator[Place]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARED:
        yield Place(where, node, "ops", [_COMPARED[type(node.ops[0])]()], node)
    elif isinstance(node, ast.BoolOp):
        yield Place(where, node, "op", ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node)
    elif isinstance(node, ast.BinOp) and type(node.op) in _COMPUTED:
        yield Place(where, node, "op", _COMPUTED[type(node.op)](), node)
    elif isinstance(node, ast.IfExp | ast.If | ast.While):
        yield Place(where, node, "test", ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Return) and ast.unparse(node) not in ("return", "return None"):
        yield Place(where, node, "value", ast.Constant(None), node)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _another(value: object) -> object:
    """Another constant of the same kind; None where the value is a text for people."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return f"x{value}x" if _is_word(value) else None


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(value) and " " not in value and "{" not in value


# ---------------------------------------------------------------------------- judging


class Order:
    """The plugin that runs first what found the most mutants, and notes what finds this one."""

    def __init__(self, first: list[str]) -> None:
        self._first = {name: number for number, name in enumerate(first)}
        self.found = BROKEN

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: self._first.get(item.nodeid, len(self._first)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.found = report.nodeid


def attempt(mutant: Mutant, first: list[str], answer: Connection) -> None:
    """Runs the suite on the mutant, in a process of its own, and tells which test found it."""
    resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    sys.dont_write_bytecode = True
    with tempfile.TemporaryDirectory() as folder:
        original = package(mutant.provider)
        copy = Path(folder) / original.name
        shutil.copytree(original, copy, ignore=shutil.ignore_patterns("sandbox*", "__pycache__"))
        (copy / mutant.file).write_text(mutant.text, "utf-8")
        sys.path.insert(0, folder)
        order = Order(first)
        settings = ["-x", "-q", "--tb=no", "--assert=plain", "--disable-plugin-autoload"]
        settings += ["-p", "guestlist.testing.plugin", "-p", "no:cacheprovider"]
        settings += ["-o", "addopts=--import-mode=importlib"]
        code = pytest.main([*settings, *classes(mutant.provider)], plugins=[order])
        answer.send("" if code == pytest.ExitCode.OK else order.found)


def prepare(provider: str) -> None:
    """Loads here what no mutant changes, so that every process has it: the sandbox, and whatever
    else the provider imports."""
    name = package(provider).name
    for part in ("provider", "sandbox"):
        importlib.import_module(f"{name}.{part}")
    for loaded in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
        if not loaded.startswith(f"{name}.sandbox"):
            del sys.modules[loaded]


@cache
def classes(provider: str) -> tuple[str, ...]:
    """The test classes of the suite that run on the sandbox, as pytest calls them."""
    tests = ast.parse(suite(provider).read_text("utf-8")).body
    names = [one.name for one in tests if isinstance(one, ast.ClassDef)]
    return tuple(
        f"{suite(provider)}::{name}"
        for name in names
        if name.startswith("Test") and "RealServer" not in name and "Recorded" not in name
    )


class Jury:
    """Tries mutants, several at a time, and remembers what found them.

    What was found is kept from run to run, under everything that it depends on; and what found a
    mutant once is tried on it first.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._forks = multiprocessing.get_context("fork")
        try:
            self._known = json.loads(CACHE.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            self._known = {}
        self._ground = _digest((ROOT / "core" / "src").rglob("*.py"))

    def verdicts(self, mutants: Iterable[Mutant]) -> Iterator[tuple[Mutant, str]]:
        """Each mutant with the test that found it; an empty text for a survivor."""
        waiting = []
        for mutant in mutants:
            known = self._known.get(f"{mutant.provider} {mutant.name}", {})
            if known.get("state") == self._state(mutant):
                yield mutant, known["found"]
            else:
                waiting.append(mutant)
        waiting.reverse()
        running: dict[Any, tuple[Mutant, Any, Connection]] = {}
        while waiting or running:
            while waiting and len(running) < self._jobs:
                mutant = waiting.pop()
                ours, theirs = self._forks.Pipe(duplex=False)
                process = self._forks.Process(
                    target=attempt, args=(mutant, self._first(mutant), theirs)
                )
                process.start()
                theirs.close()
                running[process.sentinel] = mutant, process, ours
            for sentinel in wait(list(running)):
                mutant, process, ours = running.pop(sentinel)
                process.join()
                found = ours.recv() if ours.poll() and process.exitcode == 0 else BROKEN
                self._keep(mutant, found)
                yield mutant, found

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
        """Of everything that decides whether a mutant is found."""
        ground = self._ground + _tested(mutant.provider)
        return hashlib.sha256((ground + mutant.text).encode()).hexdigest()


@cache
def _tested(provider: str) -> str:
    return _digest([*package(provider).rglob("*.py"), suite(provider)])


def _digest(files: Iterable[Path]) -> str:
    texts = (f"{path}\0{path.read_text('utf-8')}\0" for path in sorted(files))
    return hashlib.sha256("".join(texts).encode()).hexdigest()


# ---------------------------------------------------------------------------- telling

KINDS = {"by hand": listed, "by machine": made}
BEGIN, END = "<!-- what tools/mutants.py says -->\n", "<!-- until here -->\n"


@dataclass(frozen=True)
class Account:
    """What came of the mutants of one kind of one provider.

    Attributes:
        found: what found each of them, by its name; an empty text for a survivor.
    """

    provider: str
    kind: str
    mutants: list[Mutant]
    found: dict[str, str]

    @property
    def survivors(self) -> list[Mutant]:
        return [mutant for mutant in self.mutants if not self.found[mutant.name]]

    @property
    def figure(self) -> str:
        total = len(self.mutants)
        found = total - len(self.survivors)
        return f"{found} of {total} ({found / total:.1%})"

    def complaints(self) -> Iterator[str]:
        """What is not as it has to be."""
        if len(self.survivors) > (1 - ENOUGH) * len(self.mutants):
            yield f"fewer than {ENOUGH:.0%}"
        for mutant in self.mutants:
            found = self.found[mutant.name]
            if not found and not mutant.reason:
                yield f"survives without a reason: {mutant.name}"
            if found and mutant.reason:
                yield f"has a reason to survive, and is found by {found}: {mutant.name}"


def written(accounts: list[Account]) -> str:
    """The figures and the survivors, for people."""
    lines = ["| provider | mutants | found |", "| --- | --- | --- |"]
    lines += [f"| {one.provider} | {one.kind} | {one.figure} |" for one in accounts]
    for provider in dict.fromkeys(one.provider for one in accounts):
        lines += ["", f"Survivors of {provider}:", ""]
        reasons: dict[str, list[str]] = {}
        for one in accounts:
            if one.provider == provider:
                for mutant in one.survivors:
                    reasons.setdefault(mutant.reason, []).append(f"    - `{mutant.name}`")
        for reason, names in reasons.items():
            lines += [f"- {reason}", *names]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("providers", nargs="*", default=PROVIDERS, help=", ".join(PROVIDERS))
    parser.add_argument("--listed", action="store_true", help="only those listed by hand")
    parser.add_argument("--only", default="", help="those whose name holds this text")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    jury = Jury(given.jobs)
    accounts = []
    for provider in given.providers:
        prepare(provider)
        source = package(provider) / "provider.py"
        unbroken = Mutant(provider, "none", source.name, source.read_text("utf-8"))
        for _, found in jury.verdicts([unbroken]):
            if found:
                sys.exit(f"{provider}: the suite fails on the provider as it is: {found}")
        for kind, think in KINDS.items():
            mutants = [one for one in think(provider) if given.only in one.name]
            if mutants and not (given.listed and think is not listed):
                began = time.monotonic()
                found_by = {one.name: found for one, found in jury.verdicts(mutants)}
                account = Account(provider, kind, mutants, found_by)
                accounts.append(account)
                took = time.monotonic() - began
                print(f"{provider}, {kind}: {account.figure}, {took:.0f} s", flush=True)
                for complaint in account.complaints():
                    print(f"    {complaint}", flush=True)
    if not (given.listed or given.only) and set(given.providers) == set(PROVIDERS):
        before, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        DOCUMENT.write_text(before + BEGIN + written(accounts) + END + after, "utf-8")
    return int(any(list(account.complaints()) for account in accounts))


if __name__ == "__main__":
    sys.exit(main())
