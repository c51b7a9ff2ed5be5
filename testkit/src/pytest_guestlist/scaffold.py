"""Creates the package of a new provider, for `guestlist new-provider`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from string import Template

from guestlist.errors import ConfigError, InvalidArgument

FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "LICENSE": "LICENSE.txt",
    "src/{module}/__init__.py": "init.py.txt",
    "src/{module}/provider.py": "provider.py.txt",
    "src/{module}/sandbox.py": "sandbox.py.txt",
    "src/{module}/py.typed": None,
    "tests/test_conformance.py": "test_conformance.py.txt",
}
"""The created files with their templates; None for an empty file."""

NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


def new_provider(name: str, into: Path) -> Path:
    """Writes the package of a new provider.

    Args:
        name: the name of the provider: lower case letters, digits and dashes.
        into: the folder in which the folder `guestlist-NAME` is created.

    Returns:
        The folder.

    Raises:
        InvalidArgument: the name is invalid.
        ConfigError: the folder exists already, or cannot be written.
    """
    if not NAME.fullmatch(name):
        raise InvalidArgument(
            f"{name!r} cannot be the name of a provider",
            hint="Use lower case letters, digits and dashes, such as acme or acme-cloud.",
        )
    folder = into / f"guestlist-{name}"
    if folder.exists():
        raise ConfigError(
            f"{folder} is there already",
            hint="Remove it, or choose another folder with into=FOLDER.",
        )
    words = {
        "name": name,
        "module": f"guestlist_{name.replace('-', '_')}",
        "kind": "".join(part.capitalize() for part in name.split("-")),
        "title": " ".join(part.capitalize() for part in name.split("-")),
        "env": name.upper().replace("-", "_"),
        "year": str(datetime.now(UTC).year),
    }
    templates = files(__package__) / "template"
    try:
        for place, source in FILES.items():
            path = folder / place.format_map(words)
            path.parent.mkdir(parents=True, exist_ok=True)
            text = (templates / source).read_text("utf-8") if source else ""
            path.write_text(Template(text).substitute(words), "utf-8")
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}") from None
    return folder
