"""Formats values as text."""

from __future__ import annotations

FLAGS = {
    "allow_empty=True": "--allow-empty",
    "force=True": "--force",
    "invite_declined=True": "--invite-declined",
    "prune=True": "--prune",
    "replace=True": "--replace",
    "retry_unknown=True": "--retry-unknown",
    "ledger=PLACE": "--ledger",
    "with this client or with a ledger": "with --ledger FILE",
    'if_exists="replace"': "--if-exists replace",
    'if_exists="resend"': "--if-exists resend",
    "into=FOLDER": "--into",
    "a larger budget": "a longer --timeout",
    "The ledger holds the details.": "`guestlist log` shows more.",
}
"""Python arguments that messages of the library name, and the flags that the command line prints
instead."""

ONLY_READ = (
    "A key that may only read can pass: most services show it only when the key tries to invite."
)
"""The hint after a successful check of a key."""


def printable(text: str) -> str:
    """Returns the text on one line, with control characters escaped so that they cannot act on a
    terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in " ".join(text.split()))


def spaced(name: str) -> str:
    """Returns a name with spaces for underscores: `already invited` for `already_invited`."""
    return name.replace("_", " ")


def comma_list(items: list[str], last: str = "and") -> str:
    """Joins items as text: `a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def yes_or_no(value: bool | None, yes: str = "yes", no: str = "no", unknown: str = "?") -> str:
    """Returns one of three texts: for True, for False, or for None, which means unknown."""
    return unknown if value is None else yes if value else no


def with_flags(text: str) -> str:
    """Returns a message of the library with Python arguments replaced by options, such as
    `--force`."""
    for argument, flag in FLAGS.items():
        text = text.replace(argument, flag)
    return text
