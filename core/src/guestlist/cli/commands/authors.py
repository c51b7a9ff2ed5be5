"""`new-provider` and `check-provider`: for the authors of providers."""

from __future__ import annotations

from pathlib import Path

from guestlist.cli.commands.providers import describe
from guestlist.cli.document import FileRow
from guestlist.cli.report import tell
from guestlist.cli.session import Session
from guestlist.errors import CallerMistake
from guestlist.plugins import installed


class NotReady(CallerMistake):
    """Something about a provider is not as it has to be."""


def run_new_provider(session: Session) -> None:
    """Writes the package of a new provider, and says what to do with it."""
    from guestlist.testing.scaffold import new_provider

    name = session.arguments.name
    folder = new_provider(name, Path(session.arguments.into))
    session.results.append(FileRow(path=str(folder), written=True))
    if not session.arguments.json:
        tell(f"{folder} is written. What comes next:")
        for command in (
            f"cd {folder}",
            'pip install -e ".[sandbox,test]" mypy',
            "pytest",
            f"guestlist check-provider {name}",
        ):
            tell(f"    {command}")
        session.printed = True


def run_check_provider(session: Session) -> None:
    """The provider's row of `providers`, and an error for everything that is not ready."""
    from guestlist.testing.checking import check

    plugins = installed()
    kind = plugins.provider(session.arguments.name)
    session.results.append(describe(kind, plugins.origins.get(kind.name, "")))
    session.errors += [
        NotReady(f"{kind.name}: {problem.rule}", hint=problem.hint) for problem in check(kind)
    ]
