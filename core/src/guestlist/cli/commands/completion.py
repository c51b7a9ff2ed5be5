"""`completion`: makes a shell complete `guestlist`, with argcomplete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guestlist.errors import missing_package_error

if TYPE_CHECKING:
    from guestlist.cli.parser import MainParser
    from guestlist.cli.session import Session

try:
    import argcomplete
    from argcomplete.shell_integration import shellcode
except ModuleNotFoundError as error:
    raise missing_package_error("completion", error, "cli") from None


def run_completion(session: Session) -> None:
    """Prints the completion script as plain text, because a shell reads it."""
    print(shellcode(["guestlist"], shell=session.arguments.shell))
    session.printed = True


def answer_completion_request(parser: MainParser) -> None:
    """Answers a completion request of the shell, if there is one, and exits."""
    for command in parser.commands.values():
        command.fill()
    argcomplete.autocomplete(parser)
