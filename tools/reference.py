"""Writes docs/reference.md, docs/contract.md and docs/kit.md from the docstrings, which griffe
reads.

    uv run tools/reference.py            # writes them
    uv run tools/reference.py --check    # fails if a page is out of date

griffe parses the source and the sections of the docstrings. The Markdown is made here and not by
griffe2md: that has a page of headings for the fields of one class, links types to anchors that do
not exist, and does not see methods that are made from another function, as those of the clients.
"""

from __future__ import annotations

import enum
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any

import griffe
from pydantic import BaseModel

import guestlist
import guestlist.verbs
from guestlist.sandbox import Service
from pytest_guestlist.conformance import Backend

DOCS = Path(__file__).parents[1] / "docs"

REFERENCE = """# Reference for applications

Made from the docstrings by `uv run tools/reference.py`. Import every name from `guestlist`, unless
its section begins with a module. How to use them in a web application is on the page
[In an application](applications.md); plugin authors read [the contract](contract.md).
"""

CONTRACT = """# The contract

Made from the docstrings by `uv run tools/reference.py`. The tutorial for it is
[Writing a provider](writing-a-provider.md). A provider imports from `guestlist.provider`, the
normalized values from `guestlist.models`, the exceptions from `guestlist.errors`, and nothing else
of guestlist. Its sandbox may also import `guestlist.sandbox`, its tests `pytest_guestlist`, and
the clients from `guestlist`.
"""

KIT = """# The kit for plugin authors

Made from the docstrings by `uv run tools/reference.py`. [The conformance suite](conformance.md) and
[The sandbox](sandbox.md) show how to use these classes. Import the suite from
`pytest_guestlist.conformance`, and the parts of a sandbox from `guestlist.sandbox`, unless a
section begins with a module. `guestlist.sandbox.__all__` lists the names; `dir` does not, because
they are loaded on first use.
"""

KIT_SECTIONS: dict[str, tuple[str, ...]] = {
    "The suite and its backends": (
        "pytest_guestlist.conformance.suite.ProviderSuite",
        "pytest_guestlist.conformance.suite.VariantSuite",
        "pytest_guestlist.conformance.backend.Backend",
        "pytest_guestlist.conformance.backend.SandboxBackend",
        "pytest_guestlist.conformance.documented.Example",
        "pytest_guestlist.conformance.walkthrough.WalkthroughRunner",
    ),
    "A service of the sandbox": (
        *(f"guestlist.sandbox.service.{name}" for name in ("Service", "Switch", "AdjustableClock")),
        *(f"guestlist.sandbox.service.{name}" for name in ("Email", "Outbox")),
        *(f"guestlist.sandbox.routing.{name}" for name in ("OrganizationService", "Routes")),
        "guestlist.sandbox.routing.IncomingRequest",
        *(
            f"guestlist.sandbox.organization.{name}"
            for name in ("Organization", "Record", "PersonRecord", "RoleRecord")
        ),
        *(
            f"guestlist.sandbox.organization.{name}"
            for name in ("InvitationRecord", "MemberRecord", "Key")
        ),
    ),
    "What a service refuses": ("guestlist.sandbox.refusals",),
    "Errors of the kit": (
        "guestlist.sandbox.errors",
        "pytest_guestlist.cassettes.ReplayMismatch",
        "pytest_guestlist.conformance.wires.EndlessCall",
        "pytest_guestlist.conformance.wires.UnrecordedRequest",
    ),
}
"""The classes of each section of docs/kit.md; of a module, all classes that it defines."""

SECTIONS: dict[str, tuple[str, ...]] = {
    "Clients": ("client", "verbs.lists", "exchange.account", "event"),
    "Guests and results": ("models", "address"),
    "Rosters and runs": (
        *("runs.planning", "runs.applying", "runs.settling", "runs.following"),
        *(
            "runs.people",
            "runs.person",
            "runs.auditing",
            "runs.findings",
            "runs.asynchronous",
            "roster",
            "changes",
        ),
        *("runs.tally", "runs.stop", "runs.progress"),
    ),
    "The ledger": ("ledger",),
    "Errors": ("errors",),
}
"""Modules whose public names are in a section of the reference, in this order."""

RETURNED: dict[str, tuple[str, ...]] = {
    "Clients": ("verbs.find.Who", "verbs.roles.RoleRef", "verbs.arguments.IfExists"),
    "The ledger": ("ledger.answers.Waiting",),
}
"""Types in the signatures of public functions, and of the values that those return."""

INTERNAL = {
    "Change",
    "ConfigError.found_at",
    "ConfigError.of",
    "ConfigError.within",
    "GuestlistError.about",
    "Runner.note_skipped",
    "Runner.run_all",
    "Ledger.last_unanswered",
    "Ledger.entry",
    "Ledger.rate_limiter",
    "PlanFile.check_accounts",
    "PlanFile.founded",
    "PluginError.in_hook",
    "Roster.place_of",
    "Tally",
}
"""Methods that only guestlist itself calls; of a class, all its methods."""

PROVIDERS: tuple[str, ...] = (
    *(f"provider.base.{name}" for name in ("Provider", "Options")),
    "provider.settings.setting",
    *(f"provider.operations.{name}" for name in ("operation", "Flow")),
    *(f"provider.messages.{name}" for name in ("Request", "Effect", "Response", "Page")),
    *(f"provider.messages.{name}" for name in ("RecordProblem", "Limit", "Token")),
    "provider.base.NEVER",
    "provider.shapes.READING_ERRORS",
    *(f"provider.paging.by_{name}" for name in ("cursor", "link", "number", "offset")),
    "provider.paging.every",
    "provider.paging.whole",
    *(f"provider.dates.parse_{name}" for name in ("datetime", "timestamp")),
    "provider.explanations.explain",
    *(
        f"models.{name}"
        for name in ("NewInvitation", "Invitation", "Member", "Role", "Grant", "Guest")
    ),
    *(f"models.{name}" for name in ("State", "Basis", "MemberState")),
    "provider.hookimpl",
    "plugins.Hooks",
)
"""What the contract describes, in this order."""

TITLES = {
    griffe.DocstringSectionKind.parameters: "Arguments",
    griffe.DocstringSectionKind.returns: "Returns",
    griffe.DocstringSectionKind.yields: "Yields",
    griffe.DocstringSectionKind.raises: "Raises",
}


@cache
def parsed(package: str = "guestlist") -> griffe.Object | griffe.Alias:
    """Returns a package as griffe sees it, parsed once."""
    return griffe.load(package, docstring_parser=griffe.Parser.google)


def reference() -> str:
    """Returns docs/reference.md."""
    parts = [REFERENCE]
    names = [name for name in guestlist.__all__ if name != "__version__"]
    public = [definition(name) for name in names]
    for title, modules in SECTIONS.items():
        parts.append(f"## {title}")
        if title == "Errors":
            parts += prose(parsed()["errors"].docstring)
        for module in modules:
            inside = [one for one in public if f"{one.path}.".startswith(f"guestlist.{module}.")]
            for one in sorted(inside, key=lambda one: (one.parent.path, one.lineno)):
                parts += section(one, 3)
                public.remove(one)
        for path in RETURNED.get(title, ()):
            parts += section(parsed()[path], 3)
    if public:
        raise ValueError(f"{', '.join(one.path for one in public)}: in no section of SECTIONS")
    return page(parts)


def contract() -> str:
    """Returns docs/contract.md."""
    parts = [CONTRACT, *prose(parsed()["provider"].docstring)]
    for path in PROVIDERS:
        parts += section(parsed()[path], 2)
    return page(parts)


def kit() -> str:
    """Returns docs/kit.md."""
    parts = [KIT]
    for title, paths in KIT_SECTIONS.items():
        parts.append(f"## {title}")
        for path in paths:
            package, _, inside = path.partition(".")
            one = parsed(package)[inside]
            if one.is_module:
                parts += prose(one.docstring)
            if one.name == "ProviderSuite":
                parts += suite_section(one)
                continue
            classes = [cls for cls in one.members.values() if not cls.is_alias and cls.is_class]
            for cls in classes if one.is_module else [one]:
                parts += section(cls, 3)
    return page(parts)


def suite_section(one: Any) -> Iterator[str]:
    """Yields the description of the suite, with the attributes and methods that an author sets."""
    yield f"### `{one.name}`"
    yield from prose(one.docstring)
    base = parsed("pytest_guestlist")["conformance.base.ProviderRules"]
    described = [
        item
        for cls in (base, *reversed(one.mro()))
        for part in (cls.docstring.parsed if cls.docstring else ())
        if part.kind is griffe.DocstringSectionKind.attributes
        for item in part.value
    ]
    lines = {item.name: item_line(item.name, "", item.description) for item in described}
    yield from attributes(list(lines.values()))
    for name in ("backend", "extra_operations"):
        yield from method(one, base.members[name], 4)


def page(parts: Iterable[str]) -> str:
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def definition(name: str, package: ModuleType = guestlist) -> Any:
    """Returns griffe's object for a name that a package offers."""
    value = getattr(package, name)
    module = guestlist._HOME_OF[name] if isinstance(value, UnionType) else value.__module__
    return parsed()[f"{module.removeprefix('guestlist.')}.{name}"]


def section(one: Any, level: int) -> Iterator[str]:
    """Yields the heading, the definition, the text and the members of something public."""
    yield f"{'#' * level} `{one.name}`"
    if one.is_class:
        yield from class_section(one, level)
    elif one.is_function:
        yield code(signature(one, one.name))
        yield from prose(one.docstring)
    else:
        yield code(alias(one.name, str(one.value).replace("'", '"')))
        yield from prose(one.docstring)


def alias(name: str, value: str) -> str:
    """Returns the definition of a type alias, formatted as ruff does it."""
    line = f"{name} = {value}"
    if len(line) <= LONGEST_LINE or " | " not in value:
        return line
    return "\n".join([f"{name} = (", "    " + value.replace(" | ", "\n    | "), ")"])


def class_section(one: Any, level: int) -> Iterator[str]:
    cls = getattr(import_module(one.parent.path), one.name)
    docstring = griffe.Docstring(inspect.getdoc(cls) or "", parent=one, parser="google")
    yield code(class_line(one, cls, docstring))
    if one.name == "AsyncGuestlist":
        yield from async_client(one, docstring)
        return
    yield from prose(docstring, list(fields(one, cls, docstring)))
    if one.name == "Provider":
        yield from provider_members(one)
        return
    inherited = {name for base in one.mro() for name in base.members}
    for member in members(one):
        if not is_field(member) and (member.docstring or member.name not in inherited):
            yield from method(one, member, level + 1)


def async_client(one: Any, docstring: griffe.Docstring) -> Iterator[str]:
    """Yields the text about `AsyncGuestlist`, with a link to each method of `Guestlist`."""
    yield next(prose(docstring))
    links = []
    for member in one.members.values():
        if verb := verb_of(member):
            call = "async for ... in" if verb[2] else "await"
            link = f"[`Guestlist.{member.name}`](#guestlist{member.name})"
            links.append(f"* `{call} guests.{member.name}(...)`: see {link}")
    yield "\n".join(links)
    for member in one.members.values():
        if member.is_function and member.is_public and not member.name.startswith("_"):
            yield from method(one, member, 4)


def provider_members(one: Any) -> Iterator[str]:
    """Yields the members of `Provider` by their purpose."""
    groups: dict[str, list[str]] = {}
    for member in members(one):
        returned = str(member.annotation or "")
        if is_field(member):
            title = "Facts" if "ClassVar" in member.lines[0] else "Settings"
        elif returned.startswith("Flow["):
            title = "Operations"
        elif member.name in (
            "is_admin_role",
            "operations",
            "secrets",
            "supports",
            "unsupported",
        ):
            title = "Not for overriding"
        else:
            title = "Methods and properties of every provider"
        groups.setdefault(title, []).extend(method(one, member, 4))
    for title, texts in groups.items():
        yield f"### {title}"
        yield from texts


def members(one: Any) -> list[Any]:
    """Returns the public members of a class, with those of its private base classes, in the order
    of their definition."""
    bases = [base for base in one.mro() if base.name.startswith("_") and base.name != "_GaveUp"]
    results = [base for base in one.mro() if base.name == "Result"]  # its fields come first
    found = [member for cls in (*results, one, *bases) for member in cls.members.values()]
    return [
        member
        for member in found
        if not member.name.startswith("_")
        and not member.is_alias
        and member.name not in ("model_config", "Options" * (one.name != "Provider"))
        and f"{one.name}.{member.name}" not in INTERNAL
        and not (member.is_function and one.name in INTERNAL)
    ]


def is_field(member: Any) -> bool:
    return member.is_attribute and "property" not in member.labels and not verb_of(member)


def verb_of(member: Any) -> re.Match[str] | None:
    """Matches a method of a client that is made from a function of `guestlist.verbs`."""
    return re.fullmatch(
        r"(_sync|_async)(_list)?\(verbs\.(\w+)\)", str(getattr(member, "value", ""))
    )


def fields(one: Any, cls: type, docstring: griffe.Docstring) -> Iterator[str]:
    """Yields a line for each field of a class, and for each attribute that its docstring names."""
    described = {
        item.name: item.description
        for part in docstring.parsed
        if part.kind is griffe.DocstringSectionKind.attributes
        for item in part.value
    }
    own = {member.name: member for member in members(one) if is_field(member)}
    is_value = is_dataclass(cls) or issubclass(cls, BaseModel | enum.Enum | Service | Backend)
    for name in dict.fromkeys([*described, *(own if is_value else ())]):
        member = own.get(name)
        text = described.get(name) or (
            member.docstring.value if member and member.docstring else ""
        )
        facts = []
        if member is not None and issubclass(cls, enum.Enum):
            facts.append(f"`{member.value}`".replace("'", '"'))
        elif member is not None and member.annotation is not None:
            facts.append(f"`{member.annotation}`")
            if is_value and member.value is not None and "field(" not in str(member.value).lower():
                facts.append(f"by default `{member.value}`".replace("'", '"'))
        yield item_line(name, ", ".join(facts), text)


def item_line(name: str, facts: str, text: str) -> str:
    facts = f" ({facts})" if facts else ""
    text = text.replace("\n", "\n  ")
    return f"* `{name}`{facts}: {text}" if text else f"* `{name}`{facts}"


def method(owner: Any, member: Any, level: int) -> Iterator[str]:
    """Yields the heading, the definition and the text of a method, a property or a fact."""
    yield f"{'#' * level} `{owner.name}.{member.name}`"
    if verb := verb_of(member):
        function = definition(verb[3], guestlist.verbs)
        yield code(signature(function, member.name))
        yield from prose(function.docstring)
        return
    if member.is_function:
        yield code(signature(member, member.name))
    elif "property" in member.labels:
        yield code(f"@property\ndef {member.name}(self) -> {member.annotation}")
    else:
        yield code(inspect.cleandoc("\n".join(member.lines)))
    yield from prose(member.docstring)


def class_line(one: Any, cls: type, docstring: griffe.Docstring) -> str:
    """Returns how to construct the class if its docstring has arguments, and the bases of an
    exception; otherwise nothing."""
    if issubclass(cls, Exception):
        first, *others = cls.__bases__
        bases = first.__bases__ if first.__name__.startswith("_") else (first,)
        return f"class {one.name}({', '.join(base.__name__ for base in (*bases, *others))})"
    kinds = {part.kind for part in docstring.parsed}
    if griffe.DocstringSectionKind.parameters not in kinds:
        return ""
    return signature(one.all_members["__init__"], one.name).removeprefix("def ")


LONGEST_LINE = 96


def signature(function: Any, name: str) -> str:
    """Returns the definition of a function or method, without its body."""
    parts = list(parameters(function))
    returned = str(function.returns or "")
    if function.path.startswith("guestlist.verbs."):  # a method of a client: see `verb_of`
        parts[0] = "self"
        returned = re.sub(r"^Steps\[(.*)\]$", r"\1", re.sub(r"^Walk\b", "Items", returned))
    if function.name == "__init__":
        parts, returned = parts[1:], ""
    decorators = function.labels & {"classmethod", "staticmethod"}
    start = "".join(f"@{decorator}\n" for decorator in sorted(decorators))
    start += f"{'async ' if 'async' in function.labels else ''}def {name}("
    end = f") -> {returned}" if returned else ")"
    line = f"{start}{', '.join(parts)}{end}"
    if max(map(len, line.splitlines())) > LONGEST_LINE:
        line = start + "".join(f"\n    {part}," for part in parts) + f"\n{end}"
    return line


def parameters(function: Any) -> Iterator[str]:
    """Yields the parameters of a function as they are written, with the marks between them."""
    kinds = griffe.ParameterKind
    stars = {kinds.var_positional: "*", kinds.var_keyword: "**"}
    before = None
    for one in function.parameters:
        if before is kinds.positional_only and one.kind is not before:
            yield "/"
        if one.kind is kinds.keyword_only and before not in (one.kind, kinds.var_positional):
            yield "*"
        before = one.kind
        written = stars.get(one.kind, "") + one.name
        if one.annotation is not None:
            written += f": {one.annotation}"
        if one.default is not None and one.kind not in stars:
            written += f" = {one.default}" if one.annotation else f"={one.default}"
        yield written.replace("'", '"')


def code(text: str) -> str:
    return f"```python\n{text}\n```" if text else ""


def prose(docstring: griffe.Docstring | None, fields: Sequence[str] = ()) -> Iterator[str]:
    """Yields a docstring as Markdown: its sections become lists.

    Args:
        fields: the lines that take the place of the section of attributes.
    """
    kinds = griffe.DocstringSectionKind
    for part in docstring.parse("google") if docstring else ():
        if fields and part.kind is not kinds.text:
            yield from attributes(fields)
            fields = ()
        if part.kind is kinds.text:
            yield part.value
        elif part.kind is kinds.parameters:
            yield "**Arguments:**"
            yield "\n".join(item_line(item.name, "", item.description) for item in part.value)
        elif part.kind is kinds.raises:
            yield "**Raises:**"
            errors = [(str(item.annotation), item.description) for item in part.value]
            yield "\n".join(
                item_line(name.strip("()").replace(", ", "`, `"), "", text) for name, text in errors
            )
        elif part.kind is kinds.returns:
            yield "**Returns:** " + "\n".join(item.description for item in part.value)
        elif part.kind is not kinds.attributes:
            raise ValueError(f"a docstring has the section {part.kind}: {part.value}")
    yield from attributes(fields)


def attributes(fields: Sequence[str]) -> Iterator[str]:
    if fields:
        yield "**Attributes:**"
        yield "\n".join(fields)


def main(arguments: list[str]) -> int:
    pages = {
        DOCS / "reference.md": reference(),
        DOCS / "contract.md": contract(),
        DOCS / "kit.md": kit(),
    }
    stale = [
        path
        for path, text in pages.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in arguments:
        for path in stale:
            print(f"docs/{path.name} is out of date: run tools/reference.py", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_text(pages[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
