"""Follows docs/writing-a-provider.md to the letter, and writes what its commands print into it.

    uv run tools/tutorial.py                # writes it
    uv run tools/tutorial.py --check        # fails when it is not what they print
    uv run tools/tutorial.py --check --pip  # the same, with packages really installed by pip

A block of Python begins with the name of its file. What it defines takes the place of what bears
the same name there; what is new follows what it follows in the block, or else goes to the end of
the class, where it is indented, or of the file. In blocks of the console three dots stand for any
lines, or any words; where they are no longer true everything is written, to be shortened again by
hand. Times, counts of tests and of simulated calls may differ.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import unified_diff
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory

DOCUMENT = Path(__file__).parents[1] / "docs" / "writing-a-provider.md"
BLOCK = re.compile(r"^```(python|console|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(
    r"# (?P<path>[\w/.]+)(?:: (?P<how>the whole file|delete (?P<names>[\w, ]+)))?\n"
)
VARYING = re.compile(r"\d+(?= (?:passed|skipped|deselected|calls))|\b[\d.]+ ?s\b(?: \([\d:]+\))?")
"""What is not the same on every machine and in every version."""
INSTALLED = re.compile(r"\S*/(?=pytest_guestlist/)")
"""Where guestlist happens to be installed."""


@dataclass
class Newcomer:
    """Somebody who does what the document says.

    Attributes:
        folder: where the work is done; `cd` changes it.
        pip: whether `pip install` is really run. Otherwise the package is found where it is
            written, through metadata made from its pyproject.toml.
    """

    folder: Path
    pip: bool = False

    def __post_init__(self) -> None:
        self.home = self.folder
        tools = str(Path(sys.executable).parent)
        path = os.pathsep.join([tools, os.environ.get("PATH", "")])
        self.environment = {**os.environ, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1"}
        self.environment.pop("PYTEST_ADDOPTS", None)

    def follow(self, text: str) -> str:
        """Follows the tutorial. Returns the text with the real outputs."""
        return BLOCK.sub(self._block, text)

    def _block(self, match: re.Match[str]) -> str:
        kind, block = match.groups()
        if kind == "python":
            self._write(block)
        elif kind == "pycon":
            self._check_session(block)
        else:
            block = "".join(self._run(*part) for part in commands(block))
        return f"```{kind}\n{block}```"

    def _write(self, block: str) -> None:
        heading = HEADING.match(block)
        if heading is None:
            raise ValueError(f"a block of Python names no file:\n{block}")
        path, code = self.folder / heading["path"], block[heading.end() :]
        if heading["how"] == "the whole file":
            path.write_text(code, "utf-8")
            return
        text = path.read_text("utf-8")
        for name in (heading["names"] or "").replace(",", " ").split():
            text = without(text, name)
        path.write_text(merged(text, code) if code else text, "utf-8")

    def _check_session(self, block: str) -> None:
        path = self.home / "session.txt"
        path.write_text(block, "utf-8")
        options = ("-o", "ELLIPSIS", "-o", "NORMALIZE_WHITESPACE")
        errors = self._output([sys.executable, "-m", "doctest", *options, str(path)])
        if errors:
            raise AssertionError(errors)

    def _run(self, command: str, expected: str) -> str:
        shown = f"$ {command}\n"
        if command.startswith("cd "):
            self.folder /= command.removeprefix("cd ")
            return shown
        if command.startswith("pip install") and not self.pip:
            self._install()
            return shown
        printed = self._output(["bash", "-c", command])
        if not expected and command.startswith("pip install"):
            return shown
        return shown + (expected if alike(expected, printed) else printed)

    def _output(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        printed = INSTALLED.sub(".../", done.stdout)
        return "".join(f"{line.rstrip()}\n" for line in printed.splitlines())

    def _install(self) -> None:
        project = tomllib.loads((self.folder / "pyproject.toml").read_text("utf-8"))["project"]
        name, version = project["name"], project["version"]
        place = self.home / "installed" / f"{name.replace('-', '_')}-{version}.dist-info"
        place.mkdir(parents=True)
        metadata = [
            ("Metadata-Version", "2.4"),
            ("Name", name),
            ("Version", version),
            ("License-Expression", project["license"]),
            *(("License-File", file) for file in project["license-files"]),
            *(("Requires-Dist", other) for other in project["dependencies"]),
            ("Description-Content-Type", "text/markdown"),
        ]
        (place / "METADATA").write_text("".join(f"{key}: {value}\n" for key, value in metadata))
        lines = []
        for group, entries in project["entry-points"].items():
            lines += [f"[{group}]", *(f"{key} = {value}" for key, value in entries.items())]
        (place / "entry_points.txt").write_text("\n".join(lines))
        paths = [str(place.parent), str(self.folder / "src"), os.environ.get("PYTHONPATH", "")]
        self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Yields the commands of a console block, each with its documented output."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected


def alike(expected: str, printed: str) -> bool:
    """Returns whether an output is as documented, apart from text that varies or is left out."""
    pattern = re.escape(VARYING.sub("#", expected))
    pattern = re.sub(r"^\\\.\\\.\\\.\\\n", r"(?:.*\\n)*?", pattern, flags=re.MULTILINE)
    pattern = pattern.replace(re.escape(" ... "), " .* ")
    return re.fullmatch(pattern, VARYING.sub("#", printed)) is not None


# ---------------------------------------------------------------------------- editing a file


def merged(text: str, code: str) -> str:
    """The text of a module with the definitions of a block in it."""
    inside = code.lstrip("\n").startswith(" ")
    code = textwrap.dedent(code)
    before = ""
    for name, (start, end) in spans(ast.parse(code).body, comments=code).items():
        chunk = code.splitlines()[start:end]
        gap = len(_taken_while_empty(reversed(code.splitlines()[:start])))
        text = _put(text, name, chunk, inside=inside, after=before, gap=gap)
        before = name
    return text


def _taken_while_empty(lines: Iterable[str]) -> list[str]:
    return list(takewhile(lambda line: not line, lines))


def without(text: str, name: str) -> str:
    """The text of a module without one of its class's members."""
    lines = text.splitlines()
    start, end = spans(_class(text).body)[name]
    del lines[start:end]
    if not lines[start - 1] and not lines[start]:
        del lines[start]
    return "\n".join(lines) + "\n"


def spans(body: list[ast.stmt], comments: str = "") -> dict[str, tuple[int, int]]:
    """The definitions and imports in a body, each with its lines.

    A docstring after an assignment belongs to it; so do comments before it, where their text is
    given.
    """
    found: dict[str, tuple[int, int]] = {}
    name, lines = "", comments.splitlines()
    for node in body:
        if isinstance(node, ast.Expr) and name:
            found[name] = (found[name][0], node.end_lineno or 0)
            continue
        name = _name(node)
        decorators = getattr(node, "decorator_list", [])
        start = min([node.lineno, *(one.lineno for one in decorators)]) - 1
        while lines and start and lines[start - 1].startswith("#"):
            start -= 1
        if name:
            found[name] = (start, node.end_lineno or 0)
    return found


def _name(node: ast.stmt) -> str:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
        case ast.ImportFrom(module=str(module)):
            return f"from {module}"
        case ast.Import(names=[one]):
            return f"import {one.name}"
    return ""


def _class(text: str) -> ast.ClassDef:
    (found,) = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    return found


def _put(text: str, name: str, chunk: list[str], *, inside: bool, after: str, gap: int) -> str:
    lines = text.splitlines()
    body = _class(text).body if inside else ast.parse(text).body
    there = spans(body)
    if inside:
        chunk = [f"    {line}" if line else "" for line in chunk]
    if name in there:
        start, end = there[name]
        lines[start:end] = chunk
    elif name.startswith(("from ", "import ")):
        raise ValueError(f"the file has no {name!r} to be replaced")
    else:
        end = there[after][1] if after else (body[-1].end_lineno or 0)
        lines[end:end] = [*[""] * (gap if after else 1 if inside else 2), *chunk]
    return "\n".join(lines) + "\n"


def difference(documented: str, actual: str) -> str:
    """Returns the differences as a unified diff."""
    lines = (documented.splitlines(keepends=True), actual.splitlines(keepends=True))
    return "".join(unified_diff(*lines, "documented", "actual"))


def main(arguments: list[str]) -> int:
    text = DOCUMENT.read_text("utf-8")
    with TemporaryDirectory() as folder:
        made = Newcomer(Path(folder), pip="--pip" in arguments).follow(text)
    if "--check" not in arguments:
        DOCUMENT.write_text(made, "utf-8")
        return 0
    sys.stderr.writelines(
        unified_diff(text.splitlines(True), made.splitlines(True), "documented", "actual")
    )
    return int(made != text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
