"""`completion`: the script that makes a shell complete `guestlist`."""

from __future__ import annotations

from guestlist.cli.session import Session
from guestlist.cli.shell_completion import completion_script


def run_completion(session: Session) -> None:
    """Prints the completion script as plain text, because a shell reads it."""
    print(completion_script(session.arguments.shell))
    session.printed = True
