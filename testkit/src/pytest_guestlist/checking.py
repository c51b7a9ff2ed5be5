"""Checks a provider without running it, for `guestlist check-provider`."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from inspect import getsourcefile
from pathlib import Path
from pkgutil import resolve_name

from pydantic import BaseModel

from guestlist.plugins import GROUP
from guestlist.provider import NEVER, Provider
from guestlist.sandbox.errors import SandboxError
from guestlist.sandbox.services import require_extra

ALLOWED = ("guestlist.provider", "guestlist.models", "guestlist.errors")
"""The modules of guestlist that a provider may import."""

SKETCH = "Sketch"
"""The first word of docstrings in the template that `guestlist new-provider` writes."""

READING = (
    "access",
    "fetch_token",
    "find_invitation",
    "find_member",
    "get_invitation",
    "get_member",
    "invitation_summaries",
    "invitations",
    "members",
    "organization",
    "roles",
)
"""The operations of the contract that change nothing."""

CHANGING = (
    "assign_role",
    "change_invitation",
    "invite",
    "remove",
    "resend",
    "revoke",
    "unassign_role",
)
"""The operations of the contract that change something."""

CONTRACT = tuple(sorted(READING + CHANGING))
"""All operations of the contract."""

SHORTCUTS = ("change_invitation", "fetch_token", "invitation_summaries")
"""Optional operations: they only save requests or emails, or few services need them."""


@dataclass(frozen=True, slots=True)
class ProviderMistake:
    """A mistake in a provider.

    Attributes:
        rule: the mistake, in a few words.
        hint: how to correct it.
    """

    rule: str
    hint: str


def check_provider(kind: type[Provider]) -> list[ProviderMistake]:
    """Returns all mistakes of a provider that can be found without running it."""
    return [
        *names(kind),
        *facts(kind),
        *sketches(kind),
        *_package(kind),
        *_imports(kind),
        *_types(kind),
    ]


def names(kind: type[Provider]) -> Iterator[ProviderMistake]:
    """Yields invalid names and addresses, and operations that are not marked."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", kind.name):
        yield ProviderMistake(
            f"name is {kind.name!r}", "Use lower case letters, digits and dashes."
        )
    if not kind.title.strip():
        yield ProviderMistake("title is empty", "Write what people call the service.")
    if not kind.docs_url.startswith("https://"):
        yield ProviderMistake(
            "docs_url is missing", "Name the page that documents the invitations."
        )
    for name in CONTRACT:
        redefined = getattr(kind, name) is not getattr(Provider, name)
        if redefined and not kind.supports(name):
            yield ProviderMistake(f"{name} is not marked", "Write @operation above it.")


def facts(kind: type[Provider]) -> Iterator[ProviderMistake]:
    """Yields invalid facts, and facts that contradict each other."""
    most = float("inf") if kind.most_roles is None else kind.most_roles
    if not 0 <= kind.least_roles <= most:
        yield ProviderMistake("least_roles exceeds most_roles", "Correct one of them.")
    for name in ("exclusive_kinds", "mandatory_kinds", "invitation_kinds"):
        unknown = set(getattr(kind, name) or ()) - set(kind.role_kinds)
        if unknown:
            yield ProviderMistake(
                f"{name} has {', '.join(sorted(unknown))}", "Add it to role_kinds."
            )
    if kind.lifetime is not None and kind.lifetime <= timedelta(0):
        yield ProviderMistake("lifetime is not positive", "Write None if it is unknown.")
    if kind.resend_moves_expiry and kind.lifetime == NEVER:
        yield ProviderMistake(
            "resend_moves_expiry, but invitations never expire", "Correct one of them."
        )
    if kind.late_effect < 0 or kind.list_lag < 0:
        yield ProviderMistake("late_effect or list_lag is negative", "They are seconds.")
    if kind.resend_moves_expiry and not kind.supports("resend"):
        yield ProviderMistake("resend_moves_expiry without resend", "Leave it out.")
    if kind.supports("invitation_summaries") and not kind.supports("find_invitation"):
        yield ProviderMistake(
            "invitation_summaries without find_invitation", "Define both, or neither."
        )
    if most > 0 and not kind.supports("invite"):
        yield ProviderMistake("most_roles without invite", "Leave it out.")
    if not issubclass(kind.Options, BaseModel):
        yield ProviderMistake(
            "Options is not a model", "Derive it from guestlist.provider.Options."
        )
    for name in kind.substitutes:
        if kind.supports(name) or name not in (*CONTRACT, "link", "email", "role", "login"):
            yield ProviderMistake(
                f"substitutes[{name!r}] names nothing that is missing", "Delete it."
            )
    if kind.sandbox is not None:
        try:
            require_extra()
            service = resolve_name(kind.sandbox)
        except SandboxError as error:
            yield ProviderMistake(f"the sandbox cannot be checked: {error.message}", error.hint)
        except (ImportError, AttributeError, ValueError) as error:
            yield ProviderMistake(f"sandbox cannot be loaded: {error}", "Write module:Class.")
        else:
            if service.name != kind.name:
                yield ProviderMistake(
                    f"the sandbox is called {service.name!r}", f"Call it {kind.name!r}."
                )


def sketches(kind: type[Provider]) -> Iterator[ProviderMistake]:
    """Yields parts of the template that are left."""
    for name in CONTRACT:
        if kind.supports(name) and (getattr(kind, name).__doc__ or "").startswith(SKETCH):
            yield ProviderMistake(
                f"{name} is a sketch",
                f"Write the request and read the answer, or delete it; then delete {SKETCH!r}.",
            )
    default = kind.model_fields["base_url"].default
    for what, url in (("docs_url", kind.docs_url), ("base_url", default)):
        if isinstance(url, str) and re.match(r"https://\w+\.example\.com\b", url):
            yield ProviderMistake(f"{what} is still {url}", "Write the service's own.")


def _package(kind: type[Provider]) -> Iterator[ProviderMistake]:
    entries = [one for one in importlib.metadata.entry_points(group=GROUP) if one.name == kind.name]
    if not entries or entries[0].dist is None:
        yield ProviderMistake(
            f"no entry point {kind.name!r} in the group {GROUP!r}",
            "Write [project.entry-points.guestlist] in pyproject.toml, and install the package.",
        )
        return
    fields = {name.lower() for name in entries[0].dist.metadata}
    if not fields & {"license-expression", "license"}:
        yield ProviderMistake("the package names no license", 'Write license = "MIT", or another.')
    if "license-file" not in fields:
        yield ProviderMistake(
            "the package has no license file", 'Write license-files = ["LICENSE"].'
        )
    if "description-content-type" not in fields:
        yield ProviderMistake("the package has no README", 'Write readme = "README.md".')
    if not any(one.startswith("guestlist") for one in entries[0].dist.requires or ()):
        yield ProviderMistake("the package does not require guestlist", "Add it to dependencies.")


def _sources(kind: type[Provider]) -> list[Path]:
    """Returns the provider's modules, without its sandbox."""
    root = kind.__module__.partition(".")[0]
    spec = importlib.util.find_spec(root)
    if spec is not None and spec.submodule_search_locations:
        folder = Path(spec.submodule_search_locations[0])
        found = folder.rglob("*.py")
        return [one for one in found if "sandbox" not in one.relative_to(folder).as_posix()]
    file = getsourcefile(kind)
    return [Path(file)] if file else []


def _imports(kind: type[Provider]) -> Iterator[ProviderMistake]:
    for path in _sources(kind):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            imported = []
            if isinstance(node, ast.Import):
                imported = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported = [node.module]
                if node.module == "guestlist":
                    imported = [f"guestlist.{one.name}" for one in node.names]
            for name in imported:
                if name.split(".")[0] == "guestlist" and not name.startswith(ALLOWED):
                    yield ProviderMistake(
                        f"{path.name} imports {name}", f"Import from {', '.join(ALLOWED)} only."
                    )


def _types(kind: type[Provider]) -> Iterator[ProviderMistake]:
    if importlib.util.find_spec("mypy") is None:
        return
    sources = [str(path) for path in _sources(kind)]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *sources],
        capture_output=True,
        text=True,
    )
    for line in done.stdout.splitlines():
        if ": error:" in line:
            where, _, message = line.partition(": error: ")
            yield ProviderMistake(f"{Path(where).name}: {message}", "Correct the types.")
