"""Translates Python arguments in the library's messages into flags of the command line."""

from __future__ import annotations

FLAGS = {
    "allow_empty=True": "--allow-empty",
    "force=True": "--force",
    "invite_declined=True": "--invite-declined",
    "prune=True": "--prune",
    "replace=True": "--replace",
    "retry_unknown=True": "--retry-unknown",
    "ledger=PLACE": "--ledger",
    'if_exists="replace"': "--if-exists replace",
    'if_exists="resend"': "--if-exists resend",
    "into=FOLDER": "--into",
    "a larger budget": "a longer --timeout",
    "The ledger holds the details.": "`guestlist log` shows more.",
}
"""What a message of the library names, and what the command line prints instead."""


def with_flags(text: str) -> str:
    """Returns a message of the library with Python arguments replaced by options, such as
    `--force`."""
    for argument, flag in FLAGS.items():
        text = text.replace(argument, flag)
    return text
