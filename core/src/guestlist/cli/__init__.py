"""The command line.

`main` parses the arguments. It loads everything else (the client, the tables, the sandbox) only
after the command is known, so that `guestlist --help` and `--version` start quickly.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence

from guestlist.cli.system_errors import checked_output, system_failure


def main(
    argv: Sequence[str] | None = None, *, when_loaded: Callable[[], None] | None = None
) -> int:
    """Runs the command line.

    Args:
        argv: the arguments after `guestlist`; by default those of the process.
        when_loaded: called just before the command runs, when most modules are loaded.

    Returns:
        The exit code; docs/cli.md lists them.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # print ? for what the terminal cannot show
    with checked_output() as output:
        try:
            code = _main(words, when_loaded)
            output.flush()
        except KeyboardInterrupt:
            print("interrupted: nothing was changed", file=sys.stderr)
            return 130
        except BrokenPipeError:  # the program that reads stdout has exited, as `head` does
            output.discard()
            return 141
        except OSError as error:
            _report(error)
            code = 1
        else:
            if output.error is not None and code == 0:  # argparse ignores write errors
                _report(output.error)
                code = 1
        return code


def _replace_closed_streams() -> None:
    """Replaces the standard streams that the shell has closed, as in `guestlist members >&-`, where
    they are None. Writing to stdout is then an error, and text for stderr is lost."""
    # these files stay open until the process ends
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(os.open(os.devnull, os.O_RDONLY), "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def _report(error: OSError) -> None:
    """Prints an error of the operating system to stderr."""
    failure = system_failure(error)
    for kind, text in (("error", failure.message), ("hint", failure.hint)):
        if text:
            print(f"{kind}: {text}", file=sys.stderr)


def _main(words: list[str], when_loaded: Callable[[], None] | None) -> int:
    from guestlist.cli.arguments import build_parser
    from guestlist.cli.parser import UsageError, with_default_sandbox

    if "_ARGCOMPLETE" in os.environ:
        from guestlist.cli.commands.completion import answer_completion_request

        answer_completion_request(build_parser())
    parser = build_parser(words)
    try:
        arguments = parser.parse_args(with_default_sandbox(words))
        if arguments.command is None and arguments.json:
            parser.error("COMMAND is missing")
        if arguments.command is None:
            parser.print_help()
            return 2
    except SystemExit as done:  # argparse has printed the help text or the version
        return int(done.code or 0)
    except UsageError as error:
        from guestlist.cli.printing import report_usage

        return report_usage(error, words)
    from guestlist.cli.command_runner import run

    return run(arguments, when_loaded)
