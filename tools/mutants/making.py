"""Mutants: copies of a provider with one mistake, listed by hand or made by machine."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LISTS = ROOT / "tests" / "conformance" / "mutants"
PROVIDERS = tuple(sorted(path.stem for path in LISTS.glob("*.toml")))
TEXTS = ("title", "docs_url")
"""Facts that are text for people, which is not changed."""
LINE = 90
"""Characters of code that a mutant's name shows."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file of a provider.

    Attributes:
        name: unique within the provider; made of the code, without line numbers.
        reason: why it survives; empty if a test has to find it.
    """

    provider: str
    name: str
    file: str
    text: str
    reason: str = ""


def package(provider: str) -> Path:
    return ROOT / "providers" / provider / "src" / f"guestlist_{provider}"


def tests(provider: str) -> list[Path]:
    """Returns the provider's own fast tests: the conformance suite, and the tests of the provider
    and of its readers, if there are any."""
    folder = ROOT / "tests" / "providers" / provider
    names = ("test_conformance.py", "test_provider.py", "test_reading.py")
    return [folder / name for name in names if (folder / name).exists()]


def table(provider: str) -> dict[str, Any]:
    return tomllib.loads((LISTS / f"{provider}.toml").read_text("utf-8"))


# ---------------------------------------------------------------------------- by hand


def listed(provider: str) -> Iterator[Mutant]:
    """Yields the mutants listed by hand.

    Raises:
        SystemExit: the text that a mutant changes is no longer there, or the result is not valid
            Python.
    """
    for entry in table(provider)["mutant"]:
        text = (package(provider) / entry["file"]).read_text("utf-8")
        if entry["old"] not in text:
            sys.exit(f"{provider}: {entry['name']!r}: its text is no longer in {entry['file']}")
        changed = text.replace(entry["old"], entry["new"], 1)
        try:
            compile(changed, entry["file"], "exec", dont_inherit=True)
        except SyntaxError as error:
            sys.exit(f"{provider}: {entry['name']!r}: {error}")
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
    """A place that can be changed: `holder.at`, or `holder[at]` for a statement.

    Attributes:
        where: the function or class around it.
        shown: the code that the name of the mutant shows: the changed code, or its context.
    """

    where: str
    holder: Any
    at: str | int
    new: Any
    shown: ast.AST | None = None

    def changed(self, tree: ast.Module) -> tuple[str, str, str]:
        """Returns the code before the change, the code after it, and the whole changed module."""
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
    """Yields the mutants made by machine, from the code that reads and sends: each comparison and
    operator inverted, constant changed, condition negated, result and statement removed. Text for
    people stays unchanged.

    Raises:
        SystemExit: a reason is given for a mutant that does not exist.
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
    """Returns the code that shows a constant in its context: a call, a pair or a setting."""
    if isinstance(node, ast.Dict) and isinstance(at, int):
        return ast.Dict([node.keys[at]], [node.values[at]])
    return node if isinstance(node, ast.expr | ast.keyword | ast.Assign) else inner


def _is_for_people(node: ast.AST) -> bool:
    """Returns whether a node is text for people (in an error, a hint, a title or a description), or
    the name of a type variable, which only type checkers read."""
    if isinstance(node, ast.Assign):
        return all(isinstance(one, ast.Name) and one.id in TEXTS for one in node.targets)
    if isinstance(node, ast.keyword):
        return node.arg == "hint"
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) == "TypeVar"
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
    """Returns another constant of the same kind; None if the value is text for people."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return f"x{value}x" if _is_word(value) else None


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(value) and " " not in value and "{" not in value
