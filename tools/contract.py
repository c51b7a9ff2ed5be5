"""Writes docs/contract.md from the docstrings of guestlist.provider and of the hooks.

    uv run tools/contract.py            # writes it
    uv run tools/contract.py --check    # fails when it is not what the docstrings say

Signatures are shown as they are written.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from guestlist import models, plugins, provider
from guestlist.provider import base, explanations, messages, operations, paging, settings, shapes

DOCUMENT = Path(__file__).parents[1] / "docs" / "contract.md"

INTRODUCTION = """# The contract

Made from the docstrings by `uv run tools/contract.py`. The way through it is
[Writing a provider](writing-a-provider.md). A provider imports from `guestlist.provider`, the
normalized values from `guestlist.models`, the exceptions from `guestlist.errors`, and nothing else
of guestlist. Its sandbox may import `guestlist.sandbox` besides, its tests `pytest_guestlist`, and
the clients from `guestlist`.
"""

ORDER: tuple[tuple[ModuleType, tuple[str, ...]], ...] = (
    (base, ("Provider", "Options")),
    (settings, ("setting",)),
    (operations, ("operation", "Flow")),
    (messages, ("Request", "Effect", "Response", "Page", "RecordProblem", "Limit")),
    (shapes, ("READING_ERRORS",)),
    (paging, ("Offset", "every")),
    (explanations, ("explain",)),
    (models, ("Order", "Invitation", "Member", "Role", "Grant", "Guest")),
    (models, ("State", "Basis", "MemberState")),
    (provider, ("hookimpl",)),
    (plugins, ("Hooks",)),
)


def document() -> str:
    """The whole reference."""
    parts = [INTRODUCTION, prose(inspect.getdoc(provider) or "")]
    for module, names in ORDER:
        source = inspect.getsource(module)
        told = {one.name: one for one in definitions(source, ast.parse(source).body)}
        for name in names:
            parts += [f"## `{name}`", *section(told[name])]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


@dataclass(frozen=True)
class Definition:
    """Something that bears a name.

    Attributes:
        written: how it is defined, without its body.
        told: its docstring.
        inner: what a class holds.
    """

    node: ast.stmt
    name: str
    written: str
    told: str
    inner: tuple[Definition, ...] = ()


def definitions(source: str, body: list[ast.stmt]) -> Iterator[Definition]:
    """The public definitions in a body."""
    for node, following in zip(body, [*body[1:], None], strict=True):
        told = ast.get_docstring(node) or "" if isinstance(node, Documented) else ""
        inner: tuple[Definition, ...] = ()
        match node:
            case ast.ClassDef(name=name):
                inner = tuple(definitions(source, node.body))
            case ast.FunctionDef(name=name):
                pass  # it holds nothing that anybody may use
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                    told = inspect.cleandoc(str(following.value.value))
            case _:
                continue
        if not name.startswith("_") and name != "model_config":
            yield Definition(node, name, written(source, node), told, inner)


Documented = ast.ClassDef | ast.FunctionDef


def written(source: str, node: ast.stmt) -> str:
    """What is defined, as it is written, without its body."""
    if not isinstance(node, Documented):
        return ast.get_source_segment(source, node) or ""
    first = node.lineno if isinstance(node, ast.ClassDef) else _first_line(node)
    lines = source.splitlines()[first - 1 : node.body[0].lineno - 1]
    return inspect.cleandoc("\n".join(lines)).rstrip(":\n")


def _first_line(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(one.lineno for one in node.decorator_list)])


def section(one: Definition) -> Iterator[str]:
    """One public name of a module."""
    if one.name == "Provider":
        yield code(one.written)
        yield prose(one.told)
        groups: dict[str, list[str]] = {}
        for member in one.inner:
            groups.setdefault(_group(member.node), []).append(_member(one, member, "####"))
        for title, members in groups.items():
            yield f"### {title}"
            yield from members
        return
    fields = [member for member in one.inner if not isinstance(member.node, ast.FunctionDef)]
    shown = [f"    {member.written}" for member in fields]
    yield code("\n".join([f"{one.written}:", *shown]) if shown else one.written)
    yield prose(one.told)
    yield "\n".join(f"* `{field.name}`: {field.told}" for field in fields if field.told)
    for member in one.inner:
        if member not in fields:
            yield _member(one, member, "###")


def _member(owner: Definition, member: Definition, mark: str) -> str:
    shown = f"{mark} `{owner.name}.{member.name}`\n\n{code(member.written)}"
    return f"{shown}\n\n{prose(member.told)}".strip("\n")


def _group(member: ast.stmt) -> str:
    if isinstance(member, ast.AnnAssign):
        return "Facts" if "ClassVar" in ast.unparse(member.annotation) else "Settings"
    if not isinstance(member, ast.FunctionDef):
        raise TypeError(f"a provider has no {ast.unparse(member)}")
    if member.returns and ast.unparse(member.returns).startswith("Flow["):
        return "Operations"
    if member.name in ("operations", "secrets", "supports", "unsupported"):
        return "Not for overriding"
    return "What every provider says"


def code(text: str) -> str:
    return f"```python\n{text}\n```"


def prose(docstring: str) -> str:
    """A docstring as Markdown: its sections of names become lists."""
    lines: list[str] = []
    inside = False
    for line in docstring.splitlines():
        if re.fullmatch(r"(Args|Attributes|Raises|Returns):", line):
            lines += [f"**{line}**", ""]
            inside = True
        elif inside and (named := re.match(r"    (\w[\w, ]*): (.*)", line)):
            lines.append(f"* `{named[1]}`: {named[2]}")
        elif inside and line.startswith("    "):
            lines.append(f"  {line.strip()}")
        else:
            inside = inside and not line
            lines.append(line)
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    made = document()
    if "--check" in arguments:
        if made != DOCUMENT.read_text(encoding="utf-8"):
            print("docs/contract.md is not what the docstrings say", file=sys.stderr)
            return 1
        return 0
    DOCUMENT.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
