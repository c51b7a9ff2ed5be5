"""The argument parser, based on argparse. The arguments of a command are added when the command is
used.

It uses argparse to start quickly: importing click takes several times as long as starting Python
(docs/cli.md has the figures). This module must not import httpx, pydantic, rich or asyncio.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from guestlist._version import __version__
from guestlist.errors import CallerMistake

if TYPE_CHECKING:
    from datetime import date, datetime, timedelta

DEFAULT_SANDBOX = "http://127.0.0.1:8030"
"""The URL of the mailbox of `guestlist sandbox` by default."""

MAX_HELP_COLUMNS = 100
"""Maximum width of a help text, in columns."""


MAX_LISTED_CHOICES = 8
"""Maximum number of choices that an error lists if no similar word is found."""

REWORDED_ERRORS = (
    (r"^the following arguments are required: (.*)$", r"\1 is missing"),
    (r"^argument (.*): expected (one|at least one) argument$", r"\1 needs a value"),
    (r"^argument (.*): not allowed with argument (.*)$", r"\1 and \2 exclude each other"),
    (r"^argument ", ""),
)
"""Messages of argparse (regular expressions), and their replacements."""


class UsageError(CallerMistake):
    """The command line is invalid."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `UsageError` instead of exiting, and suggests similar
    words."""

    def __init__(self, **facts: Any) -> None:
        facts.setdefault("formatter_class", partial(_Help, width=_width()))
        super().__init__(allow_abbrev=False, **facts)
        self._positionals.title = "arguments"

    def argument(
        self,
        spec: str,
        text: str,
        *,
        repeat: bool = False,
        complete: Callable[..., Any] | None = None,
        **facts: Any,
    ) -> None:
        """Adds an option or a positional argument.

        Args:
            spec: the names, and the name of the value as the help shows it: `-a --account NAME`.
            text: the help text.
            repeat: whether the option may be repeated. Its value is a list then.
            complete: returns the values for completion in the shell.
            facts: further arguments of `add_argument`.
        """
        *names, last = spec.split()
        if names and not last.startswith("-"):
            facts["metavar"] = last
        else:
            names.append(last)
        if repeat:
            facts |= {"action": "append", "default": []}
        if facts.get("action") != "store_true":
            # an empty value is usually a variable of a pipeline that is not set
            facts.setdefault("type", not_empty)
        added = self.add_argument(*names, help=text, **facts)
        added.completer = complete  # type: ignore[attr-defined]  # argcomplete reads it from there

    def flag(self, spec: str, text: str) -> None:
        """Adds an option without a value."""
        self.argument(spec, text, action="store_true")

    def examples(self, *lines: str) -> None:
        """Sets the examples below the help text."""
        self.epilog = "examples:\n" + "\n".join(f"  guestlist {line}" for line in lines)

    def error(self, message: str) -> NoReturn:
        for pattern, replacement in REWORDED_ERRORS:
            message = re.sub(pattern, replacement, message)
        raise UsageError(message, hint=f"Run `{self.prog} --help` to see the arguments.")

    @property
    def options(self) -> list[str]:
        """Returns the option strings, long and short."""
        return [word for one in self._actions for word in one.option_strings]

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        few = f"; the choices are: {', '.join(known)}" if len(known) <= MAX_LISTED_CHOICES else ""
        more = _nearest(str(value), known) or few
        name = (action.metavar or action.dest) if not action.option_strings else ""
        what = str(name).lower() or "/".join(action.option_strings)
        raise argparse.ArgumentError(None, f"there is no {what} {value!r}{more}")


class CommandParser(Parser):
    """The parser of one command. Adds the arguments when it is used for the first time."""

    def __init__(self, *, fill: Callable[[Parser], None] | None = None, **facts: Any) -> None:
        super().__init__(**facts)
        self._fill = fill

    def fill(self) -> None:
        """Adds the command's arguments, once."""
        fill, self._fill = self._fill, None
        if fill is not None:
            fill(self)
            add_global_options(self, again=True)
            shapes = {"+": "{} ...", "*": "[{} ...]", "?": "[{}]"}
            places = [one for one in self._actions if not one.option_strings]
            typed = [shapes.get(str(one.nargs), "{}").format(one.metavar) for one in places]
            self.usage = " ".join(["%(prog)s [OPTIONS]", *typed])

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._fill is None:
            return super().parse_known_args(args, namespace)
        self.fill()
        words = list(args)
        self.check_options(words)
        # intermixed parsing allows options between addresses: `status ada@example.com -a cloud
        # bob@example.com`. It does not support a -- before an address such as -x@b.example.
        mixed = "--" not in words
        parse = self.parse_known_intermixed_args if mixed else super().parse_known_args
        known, unknown = parse(words, namespace)
        if unknown:
            self.error(f"unexpected argument {unknown[0]!r}")
        return known, unknown

    def check_options(self, words: Sequence[str]) -> None:
        """Raises an error for an unknown option, before argparse reports missing arguments.

        Raises:
            UsageError: there is an unknown option.
        """
        for word in _options_in(words):
            if word not in self.options:
                self.error(f"unknown option {word!r}{_nearest(word, self.options)}")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Formats help texts. Keeps the line breaks of descriptions."""

    def __init__(self, prog: str, **facts: Any) -> None:
        super().__init__(prog, max_help_position=26, **facts)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """`-a, --account NAME`, as Python 3.13 writes it: the value once."""
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"


def _width() -> int:
    try:
        columns = int(os.environ.get("COLUMNS") or os.get_terminal_size().columns)
    except (OSError, ValueError):
        columns = 80
    return max(40, min(columns, MAX_HELP_COLUMNS) - 2)


def _options_in(words: Sequence[str]) -> Iterator[str]:
    """Yields the options among the arguments, without their values. -5 is a number, not an
    option."""
    for word in words:
        if word == "--":
            return
        if word.startswith("-") and word[1:2].isidentifier():
            yield word[:2]
        elif word.startswith("--"):
            yield word.partition("=")[0]


def _nearest(word: str, known: Sequence[str]) -> str:
    from guestlist.humanize import similar_name  # imported here, because only errors need it

    near = similar_name(word, known)
    return f"; did you mean {near!r}?" if near else ""


def add_global_options(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    """Adds the options that every command has.

    Args:
        again: whether the parser belongs to a command. Then its defaults must not override options
            that were given before the command.
    """
    group = parser.add_argument_group("options for every command") if again else parser
    facts: dict[str, Any] = {"default": argparse.SUPPRESS} if again else {}
    flag = {"action": "store_true", **facts}
    group.add_argument(
        "--config",
        metavar="FILE",
        type=not_empty,
        help="the accounts' file (without it: guestlist.toml here)",
        **facts,
    )
    group.add_argument(
        "--sandbox",
        metavar="URL",
        type=web_address,
        nargs="?",
        const=DEFAULT_SANDBOX,
        help=f"use a running sandbox (URL: {DEFAULT_SANDBOX}); `apply` then does not ask",
        **facts,
    )
    group.add_argument(
        "--timeout",
        metavar="TIME",
        type=duration,
        help="the longest time for a call, or for `wait` or `onboard` to wait: 90, 5m, 7d",
        **facts,
    )
    amount = group.add_mutually_exclusive_group()
    amount.add_argument("--json", help="print one JSON document, for programs", **flag)
    amount.add_argument(
        "-q",
        "--quiet",
        help="print only errors and warnings, for cron and other schedulers",
        **flag,
    )
    group.add_argument(
        "-v", "--verbose", help="print requests to stderr; show exact times and ids", **flag
    )
    group.add_argument("--show-secrets", help="show invitation links and keys", **flag)
    group.add_argument("--debug", help="print tracebacks with errors", **flag)


def not_empty(text: str) -> str:
    """Parses any text that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the value is empty")
    return text


def web_address(text: str) -> str:
    """Parses an address such as `http://127.0.0.1:8030` or `127.0.0.1:8030`, and returns the
    URL."""
    from guestlist.running_sandbox import server_url  # imported here, because it loads pydantic

    try:
        return server_url(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an address such as {DEFAULT_SANDBOX}"
        ) from None


def duration(text: str) -> float:
    """Parses a length of time such as `90`, `90s`, `1.5m`, `2h` or `3d`, and returns the
    seconds."""
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (text[:-1], text[-1]) if text[-1:] in seconds else (text, "s")
    try:
        length = float(number) * seconds[unit]
    except ValueError:
        length = -1.0
    if not 0 < length < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a length of time such as 90, 5m or 2h")
    return length


def timestamp(text: str) -> date | timedelta:
    """Parses a date (`2026-11-21`), a time (`2026-11-21T02:34`, in UTC unless it has an offset), or
    a length of time before now (`7d`)."""
    from datetime import UTC, date, datetime, timedelta

    try:
        if len(text) == len("2026-11-21") and text.count("-") == 2:
            return date.fromisoformat(text)
        if "-" in text:
            parsed = datetime.fromisoformat(text)
            return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return timedelta(seconds=duration(text))
    except (ValueError, OverflowError, argparse.ArgumentTypeError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a date such as 2026-11-21 nor a length of time such as 7d"
        ) from None


def resolve_timestamp(value: date | timedelta, now: datetime, *, end: bool = False) -> datetime:
    """Converts an argument to a time: a time, a length of time before now, or the start of a day in
    UTC.

    Args:
        end: return the end of the day instead.

    Raises:
        UsageError: the time is out of range.
    """
    from datetime import UTC, datetime, time, timedelta

    try:
        if isinstance(value, timedelta):
            return now - value
        if isinstance(value, datetime):
            return value
        return datetime.combine(value + timedelta(days=end), time(), UTC)
    except OverflowError:
        raise UsageError(
            "the time is out of range", hint="Use a date such as 2026-11-21, or 7d."
        ) from None


def with_default_sandbox(argv: Sequence[str]) -> list[str]:
    """Returns the arguments. Adds the default URL after a `--sandbox` that has no URL. Only a word
    that looks like a server's address counts as its URL, so that a command or an email address may
    follow."""
    words: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*words, word, *rest]
        if word == "--sandbox" and not (rest and re.search(r"://|:\d+/?$", rest[0])):
            word = f"--sandbox={DEFAULT_SANDBOX}"
        words.append(word)
    return words


class MainParser(Parser):
    """The parser of the whole command line: global options, then a command.

    Args:
        groups: the commands by group: name, summary, and the function that adds the arguments.
        only: words of the command line. Only commands among them get a parser; None for all.
    """

    def __init__(
        self,
        description: str,
        groups: Mapping[str, Mapping[str, tuple[str, Callable[[Parser], None]]]],
        epilog: str,
        only: Container[str] | None = None,
    ) -> None:
        super().__init__(
            prog="guestlist",
            usage="%(prog)s [OPTIONS] COMMAND ...",
            description=description,
            epilog=epilog,
        )
        self._groups = groups
        self.add_argument("--version", action="version", version=f"guestlist {__version__}")
        add_global_options(self)
        commands = self.add_subparsers(
            dest="command", metavar="COMMAND", parser_class=CommandParser
        )
        every = {name: one for group in groups.values() for name, one in group.items()}
        self.commands: dict[str, CommandParser] = {
            name: commands.add_parser(name, prog=f"guestlist {name}", description=about, fill=fill)
            for name, (about, fill) in every.items()
            if only is None or name in only
        }
        # accept the names of all commands, also of those without a parser
        commands.choices = dict.fromkeys(every)  # type: ignore[assignment]

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        words = list(args)
        first = next((place for place, word in enumerate(words) if word in self.commands), None)
        for word in _options_in(words[:first]):
            if word not in self.options:
                self._misplaced(word, words[first] if first is not None else None)
        return super().parse_known_args(words, namespace)

    def _misplaced(self, word: str, command: str | None) -> NoReturn:
        if command is not None:
            parser = self.commands[command]
            parser.fill()
            if word in parser.options:
                hint = f"Write it after the command: `guestlist {command} {word} ...`."
                raise UsageError(f"{word!r} is an option of `{command}`", hint=hint)
        self.error(f"unknown option {word!r}{_nearest(word, self.options)}")

    def format_help(self) -> str:
        """Returns the overview of all commands by group."""
        lines = ["usage: guestlist [OPTIONS] COMMAND ...", "", self.description or "", ""]
        for title, group in self._groups.items():
            lines += [f"{title}:"]
            lines += [f"  {name:<15} {about}" for name, (about, _) in group.items()]
            lines += [""]
        formatter = self._get_formatter()
        formatter.start_section("options")
        formatter.add_arguments([one for one in self._actions if one.option_strings])
        formatter.end_section()
        return "\n".join(lines) + "\n" + formatter.format_help() + f"\n{self.epilog}\n"
