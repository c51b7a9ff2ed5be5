"""Breaks the providers in the ways that authors do, and sees whether the conformance suite notices.

    python tools/mutants.py                      the hand-listed mutants: what CI runs
    python tools/mutants.py --generic            every small change that a machine thinks of, too
    python tools/mutants.py --generic --sample 100 vultr

The hand-listed ones are in `tests/conformance/mutants/*.toml`: a text of the provider's source, and
what an author might have written instead. A mutant with a `reason` is known to survive. Exit code 1
when fewer than 95 % are found, or one survives that nobody has given a reason for.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
LISTS = ROOT / "tests" / "conformance" / "mutants"
ENOUGH = 0.95
LONGEST = 180.0
"""Seconds after which a run is taken to hang, which counts as noticed."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file of a provider.

    Attributes:
        reason: why it survives; empty where it must not.
    """

    provider: str
    name: str
    file: str
    text: str
    reason: str = ""


def package(provider: str) -> Path:
    return ROOT / "providers" / provider / "src" / f"guestlist_{provider}"


def listed(provider: str) -> Iterator[Mutant]:
    """The mutants that people have thought of."""
    table = tomllib.loads((LISTS / f"{provider}.toml").read_text("utf-8"))
    for entry in table["mutant"]:
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


def generic(provider: str) -> Iterator[Mutant]:
    """Every comparison turned, constant changed, condition negated, and statement dropped, in the
    code that reads and sends; texts for people are left alone."""
    for path in sorted(package(provider).glob("*.py")):
        if path.stem in ("__init__", "sandbox"):
            continue
        text = path.read_text("utf-8")
        for number in range(len(list(_places(ast.parse(text))))):
            tree = ast.parse(text)
            node, change = list(_places(tree))[number]
            line = getattr(node, "lineno", 0)
            before = ast.unparse(node)
            change()
            name = f"{path.name}:{line}: {before[:60]!r}: {ast.unparse(node)[:60]!r}"
            yield Mutant(provider, name, path.name, ast.unparse(ast.fix_missing_locations(tree)))


def _places(tree: ast.Module) -> Iterator[tuple[ast.AST, Callable[[], None]]]:
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign | ast.arg | ast.FunctionDef)
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if part is not None
        for inner in ast.walk(part)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARED:
            yield node, partial(setattr, node, "ops", [_COMPARED[type(node.ops[0])]()])
        elif isinstance(node, ast.BoolOp):
            other = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
            yield node, partial(setattr, node, "op", other)
        elif isinstance(node, ast.IfExp | ast.If | ast.While):
            yield node, partial(setattr, node, "test", ast.UnaryOp(ast.Not(), node.test))
        elif isinstance(node, ast.Constant):
            other_value = _another(node.value)
            if other_value is not None:
                yield node, partial(setattr, node, "value", other_value)
        elif isinstance(node, ast.Return) and node.value is not None:
            yield node, partial(setattr, node, "value", ast.Constant(None))


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


def noticed(mutant: Mutant, *, own: bool) -> bool:
    """Whether the suite fails on the mutant."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / package(mutant.provider).name
        shutil.copytree(
            package(mutant.provider), copy, ignore=shutil.ignore_patterns("__pycache__")
        )
        (copy / mutant.file).write_text(mutant.text, "utf-8")
        tests = ROOT / "tests" / "providers" / mutant.provider
        chosen = ["test_conformance.py"]
        if own:
            chosen += ["test_reading.py", "test_provider.py"]
        others = [str(path) for path in (ROOT / "core" / "src", *ROOT.glob("providers/*/src"))]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([folder, *others]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        command += [
            "-o",
            "addopts=--import-mode=importlib",
            "--no-header",
            "--tb=no",
            "-k",
            "not RealServer and not Recorded",
        ]
        files = [str(tests / name) for name in chosen if (tests / name).exists()]
        try:
            done = subprocess.run(
                [*command, *files],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                timeout=LONGEST,
            )
        except subprocess.TimeoutExpired:
            return True
    return done.returncode != 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    known = sorted(path.stem for path in LISTS.glob("*.toml"))
    parser.add_argument("providers", nargs="*", default=known, help=", ".join(known))
    parser.add_argument("--generic", action="store_true", help="made by machine, not by hand")
    parser.add_argument("--sample", type=int, help="only so many of each provider's")
    parser.add_argument("--only", default="", help="those whose name holds this text")
    parser.add_argument(
        "--own", action="store_true", help="let the provider's own tests help the suite"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    failed = False
    for provider in given.providers:
        mutants = list(generic(provider) if given.generic else listed(provider))
        mutants = [mutant for mutant in mutants if given.only in mutant.name]
        if not mutants:
            continue
        if given.sample is not None and given.sample < len(mutants):
            mutants = random.Random(0).sample(mutants, given.sample)  # noqa: S311 - a fixed sample
        source = mutants[0]
        unbroken = replace(source, text=(package(provider) / source.file).read_text("utf-8"))
        if noticed(unbroken, own=given.own):
            sys.exit(f"{provider}: the suite fails on the provider as it is")
        with ThreadPoolExecutor(given.jobs) as pool:
            found = list(pool.map(lambda mutant: noticed(mutant, own=given.own), mutants))
        survivors = [one for one, was in zip(mutants, found, strict=True) if not was]
        share = sum(found) / len(mutants)
        failed |= share < ENOUGH or (not given.generic and any(not one.reason for one in survivors))
        print(f"{provider}: {sum(found)} of {len(mutants)} mutants found ({share:.1%})")
        for one in survivors:
            print(f"    survived: {one.name}" + (f" ({one.reason})" if one.reason else ""))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
