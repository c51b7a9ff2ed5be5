"""Completion in the shell with argcomplete: the script to install, and the answers to the shell."""

from __future__ import annotations

from guestlist.cli.missing_extra import missing_extra
from guestlist.cli.parser import MainParser

try:
    import argcomplete
    from argcomplete.shell_integration import shellcode
except ModuleNotFoundError as error:
    raise missing_extra("completion", error) from None


def answer_completion_request(parser: MainParser) -> None:
    """Answers a completion request of the shell, if there is one, and exits."""
    for command in parser.commands.values():
        command.fill()
    argcomplete.autocomplete(parser)


def completion_script(shell: str) -> str:
    """Returns the script that makes a shell complete `guestlist`."""
    return shellcode(["guestlist"], shell=shell)
