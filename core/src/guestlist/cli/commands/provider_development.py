"""`new-provider` and `check-provider`, for authors of providers.

The test kit, `pytest-guestlist`, contains the functions that do the work.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from guestlist.cli.commands.providers import describe
from guestlist.cli.document import FileRow
from guestlist.cli.printing import print_text
from guestlist.cli.session import Session
from guestlist.errors import CallerMistake, ConfigError
from guestlist.plugins import installed


class NotReady(CallerMistake):
    """A provider breaks a rule that all providers must follow."""


def _from_test_kit(command: str) -> Any:
    """Returns the function that does the work of a command.

    Raises:
        ConfigError: the test kit is not installed.
    """
    for entry in entry_points(group="guestlist.commands", name=command):
        return entry.load()
    raise ConfigError(
        f"`guestlist {command}` needs the test kit",
        hint="Install it: pip install pytest-guestlist",
    )


def run_new_provider(session: Session) -> None:
    """`new-provider`: creates the package of a new provider, and prints the next steps."""
    new_provider = _from_test_kit("new-provider")
    name = session.arguments.name
    folder = new_provider(name, Path(session.arguments.into))
    session.results.append(FileRow(path=str(folder), written=True))
    if not session.arguments.json:
        print_text(f"{folder} written. Next steps:")
        for command in (
            f"cd {folder}",
            'pip install -e ".[sandbox,test]" mypy',
            "pytest",
            f"guestlist check-provider {name}",
        ):
            print_text(f"    {command}")
        session.printed = True


def run_check_provider(session: Session) -> None:
    """`check-provider`: reports an error for each broken rule, or that nothing is missing."""
    check = _from_test_kit("check-provider")
    plugins = installed()
    kind = plugins.provider(session.arguments.name)
    session.results.append(describe(kind, plugins.origins.get(kind.name, "")))
    session.errors += [
        NotReady(f"{kind.name}: {problem.rule}", hint=problem.hint) for problem in check(kind)
    ]
    if not session.arguments.json:
        if not session.errors:
            types = "types" if find_spec("mypy") else "but not types: mypy is not installed"
            checked = f"names, facts, package, imports, {types}"
            print_text(f"{kind.name}: nothing is missing (checked: {checked})")
        session.printed = True
