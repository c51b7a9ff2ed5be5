"""Messages of the library name Python arguments; the command line prints its flags instead."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import guestlist
import pytest_guestlist
from guestlist.cli.arguments import build_parser
from guestlist.cli.printing import print_errors
from guestlist.cli.text import FLAGS, with_flags
from guestlist.errors import OutcomeUnknown
from guestlist.ledger import orders
from guestlist.ledger.schema import OrderState
from guestlist.runs.planning import UNRESOLVED_HINT

from .conftest import Cli

LIBRARY = Path(str(guestlist.__file__)).parent
TESTKIT = Path(str(pytest_guestlist.__file__)).parent
OF_PYTEST = {"--block-network", "--allowed-hosts"}
"""Flags of pytest, which the advice for a blocked network names."""


def literals(*files: Path) -> Iterator[tuple[Path, str]]:
    """Yields the string literals of modules, without docstrings."""
    for file in files:
        tree = ast.parse(file.read_text())
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Constant) or id(node) in docs:
                continue
            if isinstance(node.value, str):
                yield file, node.value


def library() -> list[Path]:
    return [file for file in LIBRARY.rglob("*.py") if "cli" not in file.relative_to(LIBRARY).parts]


def test_the_library_names_no_flags() -> None:
    named = {
        (file.name, flag)
        for file, text in literals(*library(), TESTKIT / "scaffold.py")
        for flag in re.findall(r"--[a-z][a-z-]+", text)
    }
    assert {(file, flag) for file, flag in named if flag not in OF_PYTEST} == set()


def options() -> set[str]:
    """Returns the options of all commands."""
    found = set[str]()
    for parser in build_parser().commands.values():
        parser.fill()
        found.update(parser.options)
    return found


def test_each_translation_is_needed_and_leads_to_a_flag_that_exists() -> None:
    texts = [text for _file, text in literals(*library(), TESTKIT / "scaffold.py")]
    assert {argument for argument in FLAGS if not any(argument in text for text in texts)} == set()
    flags = {flag for text in FLAGS.values() for flag in re.findall(r"--[a-z-]+", text)}
    assert flags - options() == set()


def test_no_argument_of_python_is_printed() -> None:
    argument = re.compile(r'\b[a-z]+(_[a-z]+)*=(True|False|[A-Z]{3,}|"[a-z]+")')
    texts = {with_flags(text) for _file, text in literals(*library()) if "realm=" not in text}
    assert {text for text in texts if argument.search(text)} == set()


def test_a_printed_hint_names_the_flag(capsys: pytest.CaptureFixture[str]) -> None:
    print_errors([OutcomeUnknown("it may have been sent", hint=UNRESOLVED_HINT)])
    printed = capsys.readouterr().err
    assert "If they got none, --retry-unknown sends another one." in printed
    assert "retry_unknown" not in printed


def test_hints_in_text_and_json_name_the_flag(cli: Cli) -> None:
    Path("guestlist.toml").write_text('[accounts.cloud]\nprovider = "vultr"\n')
    hint = "If that is intended, pass --allow-empty."
    assert f"hint: {hint}" in cli("plan", "--ledger", "ledger.db").err
    [error] = cli("plan", "--ledger", "ledger.db", "--json").errors
    assert error["hint"] == hint


def test_a_failure_that_only_the_ledger_knows_leads_to_the_log() -> None:
    failed = orders._failure(OrderState.REFUSED, "Rejected", "no such plan")
    assert with_flags(failed.hint) == "`guestlist log` shows more."
