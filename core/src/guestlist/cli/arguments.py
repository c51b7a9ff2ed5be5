"""The commands of the command line: the summary and the arguments of each. The module `commands`
runs them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Container
from typing import Any

from guestlist.cli.parser import MainParser, Parser, duration, timestamp

DESCRIPTION = "Invites people into organizations, whichever service the organization lives on."

EPILOG = (
    "Try it out: `guestlist demo`. One command's arguments: `guestlist invite --help`.\n"
    "Exit codes: 0 done, 1 refused or failed, 2 invalid request, 3 outcome unknown,\n"
    "4 timed out, 130 interrupted."
)

IF_EXISTS = ("return", "resend", "replace", "error")
EXPORTS = ("csv", "jsonl")
TOKEN_SECONDS = 90 * 86_400.0
"""How long a new token is valid."""
SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")


def build_parser(words: Container[str] | None = None) -> MainParser:
    """Returns the parser of the whole command line.

    Args:
        words: the arguments. Only the parsers of commands among them are made; None for all.
    """
    return MainParser(DESCRIPTION, COMMANDS, EPILOG, only=words)


# ---------------------------------------------------------------------------- shared arguments


def _examples(parser: Parser, *lines: str) -> None:
    parser.epilog = "examples:\n" + "\n".join(f"  guestlist {line}" for line in lines)


def _people(parser: Parser, *, ids: bool = True) -> None:
    parser.add_argument(
        "who",
        metavar="ADDRESS",
        nargs="+",
        help="an email address"
        + (", an id as `invitations` and `members` show it, or a login as @LOGIN" if ids else ""),
    )


def _accounts(parser: Parser, without: str) -> None:
    option = parser.add_argument(
        "-a",
        "--account",
        metavar="NAME",
        action="append",
        default=[],
        help=f"an account; may be repeated (without it: {without})",
    )
    set_completer(option, account_names)


def set_completer(option: argparse.Action, words: Callable[..., Any]) -> None:
    """Sets the function that returns the values for completion in the shell."""
    option.completer = words  # type: ignore[attr-defined]  # argcomplete reads it from there


def account_names(parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Returns the names of the configured accounts, for completion in the shell."""
    import os
    import tomllib
    from pathlib import Path

    path = Path(parsed_args.config or os.environ.get("GUESTLIST_CONFIG") or "guestlist.toml")
    try:
        accounts = tomllib.loads(path.read_text(encoding="utf-8")).get("accounts", {})
    except (OSError, ValueError):
        return []
    return list(accounts)


class Words:
    """The words that an option accepts: the values of an enum, with `-` or `_`. Imports the enum
    when it is needed.

    Args:
        place: module and name of the enum.
        what: what a value is, for messages.
    """

    def __init__(self, place: str, what: str) -> None:
        self._place = place
        self._what = what

    def parse(self, text: str) -> str:
        """Parses one word, and returns the value."""
        word = text.replace("_", "-")
        if word not in self.known():
            raise argparse.ArgumentTypeError(
                f"there is no {self._what} {text!r}; the {self._what}s are:"
                f" {', '.join(self.known())}"
            )
        return word.replace("-", "_")

    def parse_list(self, text: str) -> list[str]:
        """Parses words that are separated by commas; `all` stands for all of them."""
        words = self.known() if text == "all" else filter(None, map(str.strip, text.split(",")))
        return [self.parse(word) for word in words]

    def known(self, **_: object) -> list[str]:
        """Returns all words, also for completion in the shell."""
        from pkgutil import resolve_name

        return [value.replace("_", "-") for value in resolve_name(self._place)]


STATES = Words("guestlist.models:State", "state")
ORDER_STATES = Words("guestlist.ledger.log:LineState", "state")
FINDINGS = Words("guestlist.runs.findings:FindingKind", "kind")


def _kinds(**_: object) -> list[str]:
    """Returns the kinds of roles of all installed providers, for completion."""
    from guestlist.plugins import installed

    return sorted({kind for one in installed().providers.values() for kind in one.role_kinds})


def ledger_option(parser: Parser) -> None:
    """Adds the option of every command that reads or writes the ledger."""
    parser.add_argument(
        "--ledger",
        metavar="PLACE",
        help="a SQLite file or a database URL (without it: guestlist.db beside the accounts' file)",
    )


def parse_name_value(text: str) -> tuple[str, str]:
    """Parses an argument of the form `name=value`."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
    return name, value


ONLY_ACCOUNT = "the only account"
ALL_ACCOUNTS = "all accounts"


def _role(parser: Parser, help_text: str) -> None:
    parser.add_argument("--role", action="append", default=[], metavar="ROLE", help=help_text)


def _recording(parser: Parser) -> None:
    """Adds the options of a command that changes single people: `--ledger` and `--note`."""
    parser.add_argument(
        "--ledger",
        metavar="PLACE",
        help="the ledger that records the change: a SQLite file or a database URL (without it: the"
        " one in [ledger], else guestlist.db beside the accounts' file if it exists)",
    )
    note_option(parser)
    parser.set_defaults(remembers=True)


def note_option(parser: Parser) -> None:
    """Adds the option of every command that records a change in the ledger."""
    parser.add_argument(
        "--note",
        metavar="TEXT",
        help="the reason, such as a ticket number; stored in the ledger and shown by `log`",
    )


# ---------------------------------------------------------------------------- the guest list


def _roster_file(parser: Parser) -> None:
    parser.add_argument(
        "roster",
        metavar="ROSTER",
        nargs="?",
        help="the roster file, which says who belongs where (without it: guestlist.toml)",
    )


def _roster(parser: Parser) -> None:
    _roster_file(parser)
    ledger_option(parser)
    parser.add_argument(
        "--allow-empty",
        action="store_true",
        help="accept a roster, or a file of people, that names no one (otherwise an error)",
    )


def _planning(parser: Parser) -> None:
    _roster(parser)
    parser.add_argument(
        "who",
        metavar="ADDRESS",
        nargs="*",
        help="only these people (without it: everyone in the roster)",
    )
    _accounts(parser, "every account in the roster")
    parser.add_argument(
        "--prune",
        action="store_true",
        help="also remove people who are not in the roster (without it they are only counted)",
    )
    parser.add_argument(
        "--invite-declined", action="store_true", help="also invite people who have declined"
    )
    _retry_unknown(parser)


def _plan(parser: Parser) -> None:
    _planning(parser)
    parser.add_argument(
        "--out", metavar="FILE", help="save the plan to a file, for `apply --plan FILE` later"
    )
    parser.add_argument(
        "--detailed-exitcode",
        action="store_true",
        help="exit with 0 if nothing would change, 2 if something would, 1 after an error",
    )
    parser.add_argument(
        "--markdown",
        action="store_true",
        help="print the plan as Markdown, for example for a pull request",
    )
    _examples(
        parser,
        "plan",
        "plan team.toml --prune --out team.plan",
        "plan -a cloud ada@example.com",
        "plan --markdown",
    )


def _apply(parser: Parser) -> None:
    _planning(parser)
    parser.add_argument(
        "--plan",
        metavar="FILE",
        help="apply a saved plan; an error if the services have changed since",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    parser.add_argument(
        "--force",
        action="store_true",
        help="allow a plan that exceeds the [limits] of one run",
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="make a new plan instead of continuing an interrupted run",
    )
    _wait_for_acceptance(parser)
    _examples(parser, "apply", "apply team.toml --yes --wait 2h", "apply --plan team.plan")


def _settle(parser: Parser) -> None:
    _roster(parser)
    _wait_for_acceptance(parser)
    _examples(parser, "settle", "settle --wait 1d")


def _worker(parser: Parser) -> None:
    _roster(parser)
    _examples(parser, "worker team.toml --ledger postgresql://guestlist@db/ledger")


def _pull(parser: Parser) -> None:
    _roster_file(parser)
    _accounts(parser, ALL_ACCOUNTS)
    parser.add_argument(
        "--replace",
        action="store_true",
        help="replace the people in the roster, with their dates, groups and options",
    )
    parser.add_argument(
        "--csv",
        action="store_true",
        help="write people to people.csv beside the roster (without it: only if there are many)",
    )
    _examples(parser, "pull", "pull team.toml -a cloud --replace")


def _audit(parser: Parser) -> None:
    _roster_file(parser)
    _accounts(parser, ALL_ACCOUNTS)
    parser.add_argument(
        "--allowed-domain",
        metavar="DOMAIN",
        action="append",
        default=[],
        help="a domain that addresses may have; may be repeated (without it: allowed_domains of the"
        " roster)",
    )
    parser.add_argument(
        "--pending-days",
        metavar="DAYS",
        type=_number,
        default=7,
        help="report invitations that have been open for more than so many days (7)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="do not request the roles of each member whose service does not list them",
    )
    option = parser.add_argument(
        "--fail-on",
        metavar="KIND,...",
        action="extend",
        default=[],
        type=FINDINGS.parse_list,
        help="exit with 5 if anything of these kinds is found, such as not-in-roster,admin; or all",
    )
    set_completer(option, FINDINGS.known)
    _formats(parser)
    _examples(
        parser,
        "audit",
        "audit team.toml --pending-days 14 --markdown",
        "audit --fail-on not-in-roster,outside-domain",
    )


def _wait_for_acceptance(parser: Parser) -> None:
    parser.add_argument(
        "--wait",
        metavar="TIME",
        type=duration,
        help="wait up to this long for people to accept, then give them their deferred roles",
    )
    note_option(parser)


# ---------------------------------------------------------------------------- people


def _invite(parser: Parser) -> None:
    _people(parser, ids=False)
    _accounts(parser, ONLY_ACCOUNT)
    _role(parser, "a role to give: an id, a name or kind:name; may be repeated")
    _recording(parser)
    _login(parser)
    parser.add_argument("--no-email", action="store_true", help="ask the service to send no email")
    parser.add_argument(
        "--if-exists",
        choices=IF_EXISTS,
        default="return",
        help="if an invitation is open already: leave it (return), send its email again (resend),"
        " make a new one (replace), or fail (error)",
    )
    _retry_unknown(parser)
    _options(parser)
    _examples(
        parser,
        "invite ada@example.com grace@example.com --account cloud",
        "invite ada@example.com -a office --role Member --no-email",
        "invite ada@example.com -a cloud --option api_enabled=yes",
    )


def _retry_unknown(parser: Parser) -> None:
    parser.add_argument(
        "--retry-unknown",
        action="store_true",
        help="also send an email if it is unknown whether an earlier one was sent",
    )


def _login(parser: Parser) -> None:
    parser.add_argument(
        "--login",
        metavar="LOGIN",
        help="the person's login at the service, which some services list instead of the address",
    )


def _options(parser: Parser) -> None:
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        type=parse_name_value,
        metavar="NAME=VALUE",
        help="an option of the provider (`providers` shows them); may be repeated",
    )


def _onboard(parser: Parser) -> None:
    _people(parser, ids=False)
    _accounts(parser, ONLY_ACCOUNT)
    _role(parser, "a role to give as soon as the service allows it; may be repeated")
    _login(parser)
    _retry_unknown(parser)
    _options(parser)
    _recording(parser)
    parser.set_defaults(waits=True)
    _examples(parser, "onboard ada@example.com -a cloud --role group:Engineering --timeout 5d")


def _offboard(parser: Parser) -> None:
    parser.add_argument(
        "who",
        metavar="ADDRESS",
        nargs="+",
        help="an address, or a login as @LOGIN (with the account, unless the roster names it)",
    )
    _accounts(parser, ALL_ACCOUNTS)
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be taken away, and change nothing"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")
    _recording(parser)
    _examples(parser, "offboard ada@example.com --dry-run", "offboard ada@example.com --note T-17")


def _resend(parser: Parser) -> None:
    _people(parser)
    _accounts(parser, ONLY_ACCOUNT)
    _recording(parser)


def _status(parser: Parser) -> None:
    _people(parser)
    _accounts(parser, ALL_ACCOUNTS)
    _examples(parser, "status ada@example.com", "status ada@example.com -a cloud --json")


def _wait(parser: Parser) -> None:
    _people(parser)
    _accounts(parser, ONLY_ACCOUNT)
    option = parser.add_argument(
        "--until",
        action="append",
        default=[],
        type=STATES.parse,
        metavar="STATE",
        help="the state to wait for; may be repeated (without it: accepted)",
    )
    set_completer(option, STATES.known)
    parser.set_defaults(waits=True)
    _examples(parser, "wait ada@example.com -a cloud --timeout 2h")


def _revoke(parser: Parser) -> None:
    _people(parser)
    _accounts(parser, ONLY_ACCOUNT)
    _recording(parser)


_remove = _revoke


# ---------------------------------------------------------------------------- roles


def _roles(parser: Parser) -> None:
    _accounts(parser, ALL_ACCOUNTS)
    option = parser.add_argument(
        "--kind", metavar="KIND", help="only roles of this kind, such as `role` or `group`"
    )
    set_completer(option, _kinds)


def _assign_role(parser: Parser) -> None:
    _people(parser)
    parser.add_argument(
        "role", metavar="ROLE", help="an id, a name or kind:name, such as group:Engineering"
    )
    _accounts(parser, ONLY_ACCOUNT)
    _recording(parser)
    _examples(parser, f"{parser.prog.split()[-1]} ada@example.com group:Engineering -a cloud")


_unassign_role = _assign_role


def _access(parser: Parser) -> None:
    _people(parser)
    _accounts(parser, ALL_ACCOUNTS)
    _examples(parser, "access ada@example.com -a cloud")


def _own_access(parser: Parser) -> None:
    _accounts(parser, ALL_ACCOUNTS)


# ---------------------------------------------------------------------------- lists


def _invitations(parser: Parser) -> None:
    _accounts(parser, ALL_ACCOUNTS)
    option = parser.add_argument(
        "--state", type=STATES.parse, metavar="STATE", help="only invitations in this state"
    )
    set_completer(option, STATES.known)


def _members(parser: Parser) -> None:
    _accounts(parser, ALL_ACCOUNTS)


def _who(parser: Parser) -> None:
    parser.add_argument(
        "pattern",
        metavar="PATTERN",
        nargs="?",
        help="only people whose address, login or name contains this, or matches it with * and ?",
    )
    _accounts(parser, ALL_ACCOUNTS)
    _formats(parser)
    _examples(parser, "who", "who ada", "who '*@example.com' --csv > people.csv")


def _formats(parser: Parser) -> None:
    """Adds the options of a command that prints its table in other formats."""
    parser.add_argument("--csv", action="store_true", help="print the table as CSV")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")


# ---------------------------------------------------------------------------- ledger


def _number(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _log(parser: Parser) -> None:
    parser.add_argument(
        "who", metavar="ADDRESS", nargs="*", help="only orders about these people (without it: all)"
    )
    _accounts(parser, ALL_ACCOUNTS)
    option = parser.add_argument(
        "--state",
        action="append",
        default=[],
        type=ORDER_STATES.parse,
        metavar="STATE",
        help="only orders in this state, such as refused or unresolved; may be repeated",
    )
    set_completer(option, ORDER_STATES.known)
    parser.add_argument(
        "--since",
        type=timestamp,
        metavar="WHEN",
        help="only orders with an event since then: 7d (ago), 2026-11-21",
    )
    parser.add_argument(
        "--until",
        type=timestamp,
        metavar="WHEN",
        help="only orders made until then; a date means the end of that day",
    )
    parser.add_argument("--run", type=_number, metavar="NUMBER", help="only orders of this run")
    parser.add_argument(
        "--last",
        type=_number,
        metavar="NUMBER",
        help="only this many of the newest orders (without it, a table shows 100)",
    )
    parser.add_argument(
        "--export",
        choices=EXPORTS,
        help="print all of them as CSV or as JSON lines",
    )
    ledger_option(parser)
    _examples(
        parser,
        "log ada@example.com -v",
        "log --state refused --since 7d",
        "log -a cloud --since 2026-11-01 --until 2026-11-30 --export csv > november.csv",
    )


def _forget(parser: Parser) -> None:
    parser.add_argument(
        "who",
        metavar="ADDRESS",
        nargs="?",
        help="delete everything about this person, in all accounts",
    )
    parser.add_argument(
        "--older-than",
        type=timestamp,
        metavar="WHEN",
        help="delete everyone's orders that ended so long ago, or before a date: 365d, 2026-01-01",
    )
    parser.add_argument(
        "--expired",
        action="store_true",
        help="delete orders that ended longer ago than `keep` in [ledger] (400 days)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="delete even orders whose outcome is unresolved",
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")
    ledger_option(parser)
    _examples(parser, "forget ada@example.com", "forget --expired --yes")


# ---------------------------------------------------------------------------- setting up


def _config(parser: Parser) -> None:
    parser.add_argument(
        "action",
        choices=("init", "check", "path"),
        metavar="ACTION",
        help="init: write a commented file (--config names another one); check: read it and report"
        " errors; path: print where the accounts come from",
    )
    option = parser.add_argument(
        "provider",
        nargs="*",
        metavar="PROVIDER",
        help="init: write accounts for these providers only; in a terminal, ask for their settings"
        " and check the key",
    )
    set_completer(option, provider_names)
    _examples(parser, "config init", "config init github", "config check")


def _providers(parser: Parser) -> None:
    option = parser.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        help="show this provider's settings, environment variables and capabilities",
    )
    set_completer(option, provider_names)
    _examples(parser, "providers", "providers vultr")


def _check(parser: Parser) -> None:
    _accounts(parser, ALL_ACCOUNTS)


def _completion(parser: Parser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    _examples(parser, "completion bash >> ~/.bashrc", "completion zsh >> ~/.zshrc")


# ---------------------------------------------------------------------------- trying out


def _console(parser: Parser) -> None:
    parser.add_argument(
        "--port", type=_port, default=8040, help="the port on this machine (8040; 0: a free one)"
    )
    parser.add_argument("--read-only", action="store_true", help="show everything, change nothing")
    parser.add_argument(
        "--no-browser", action="store_true", help="print the link, and do not open a browser"
    )
    ledger_option(parser)
    _tokens(parser)
    _examples(
        parser,
        "console",
        "console --sandbox",
        "console --read-only --port 0",
        "console token create deploy --right change --expires 30d",
    )


def _tokens(parser: Parser) -> None:
    """Adds the arguments of `console token`."""
    parser.add_argument(
        "task",
        metavar="TASK",
        nargs="*",
        help="instead of serving, handle tokens of the HTTP API: `token create NAME`,"
        " `token list`, `token revoke ID`",
    )
    parser.add_argument(
        "--right",
        choices=("read", "change"),
        default="read",
        help="what a new token permits (read)",
    )
    parser.add_argument(
        "--expires",
        metavar="TIME",
        type=duration,
        default=TOKEN_SECONDS,
        help="how long a new token is valid (90d)",
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")
    return int(text)


def _demo(parser: Parser) -> None:
    parser.add_argument(
        "--keep", action="store_true", help="leave the sandbox running afterwards, until Ctrl-C"
    )
    parser.add_argument(
        "--port", type=_port, default=0, help="the mailbox's port (without it: a free one)"
    )


def _sandbox(parser: Parser) -> None:
    parser.add_argument(
        "--port",
        type=_port,
        default=8030,
        help="the mailbox's port; the services get the next ones (8030; 0: free ones)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
    parser.add_argument(
        "--allow-remote", action="store_true", help="allow a host that other machines can reach"
    )
    parser.add_argument(
        "--profile",
        action="append",
        default=[],
        type=parse_name_value,
        metavar="SERVICE=PROFILE",
        help="the format of a service's answers, such as vultr=openapi; may be repeated",
    )
    parser.add_argument(
        "--switch",
        action="append",
        default=[],
        type=parse_name_value,
        metavar="SERVICE.SWITCH=VALUE",
        help="how a service behaves, such as vultr.duplicates=allow; may be repeated",
    )
    parser.add_argument(
        "--write",
        nargs="?",
        const="guestlist.toml",
        metavar="FILE",
        help="write a configuration file with the accounts of the sandbox (guestlist.toml)",
    )
    parser.add_argument(
        "--list",
        action="store_true",
        help="list the services with their profiles and switches, and start nothing",
    )


# ---------------------------------------------------------------------------- writing providers


def _new_provider(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="the provider's name, such as acme")
    parser.add_argument(
        "--into", metavar="DIR", default=".", help="where to create its folder (without it: here)"
    )


def _check_provider(parser: Parser) -> None:
    option = parser.add_argument("name", metavar="NAME", help="the name of an installed provider")
    set_completer(option, provider_names)


def provider_names(**_: object) -> list[str]:
    """Returns the names of the installed providers, for completion in the shell."""
    from importlib.metadata import entry_points

    return sorted(entry.name for entry in entry_points(group="guestlist"))


COMMANDS: dict[str, dict[str, tuple[str, Callable[[Parser], None]]]] = {
    "the guest list": {
        "plan": ("Show the changes that would make the services match the roster.", _plan),
        "apply": ("Make these changes: invite, give roles; with --prune also remove.", _apply),
        "worker": ("Help to apply the runs of a ledger in PostgreSQL.", _worker),
        "settle": ("Give people who have accepted their deferred roles.", _settle),
        "audit": ("Show what should not be so: people outside the roster, and more.", _audit),
        "pull": ("Write the people of the services into the roster.", _pull),
    },
    "people": {
        "invite": ("Make sure that people have an open invitation or are members.", _invite),
        "resend": ("Send the email of an invitation again.", _resend),
        "status": ("Show whether people are invited or members, and how that is known.", _status),
        "onboard": ("Invite people, wait until they have joined, and give them roles.", _onboard),
        "wait": ("Wait until people have accepted, or another state is reached.", _wait),
        "revoke": ("Withdraw an open invitation.", _revoke),
        "remove": ("Take a member out of the organization.", _remove),
        "offboard": ("Take people out of every account.", _offboard),
    },
    "roles": {
        "roles": ("List what can be assigned: roles, groups, policies.", _roles),
        "assign-role": ("Give members a role.", _assign_role),
        "unassign-role": ("Take a role from members.", _unassign_role),
        "access": ("Show what people can effectively do, and why.", _access),
        "own-access": ("Show what the owners of the accounts' keys can do.", _own_access),
    },
    "lists": {
        "who": ("Show the people of all accounts as a matrix.", _who),
        "invitations": ("List the invitations.", _invitations),
        "members": ("List the members.", _members),
    },
    "ledger": {
        "log": ("Show the recorded orders and their outcomes.", _log),
        "forget": ("Delete a person, or old orders, from the ledger.", _forget),
    },
    "in the browser": {
        "console": ("Serve web pages with the people of all accounts, on this machine.", _console),
    },
    "setting up": {
        "config": ("Write, check or find the accounts' file.", _config),
        "check": ("List the accounts, and check the key of each at its service.", _check),
        "providers": ("List the installed providers, or one with its settings.", _providers),
        "completion": ("Print the script that completes commands in your shell.", _completion),
    },
    "trying out": {
        "demo": ("Play a scenario on a local sandbox, step by step.", _demo),
        "sandbox": ("Run local imitations of the services, with a mailbox.", _sandbox),
    },
    "writing providers": {
        "new-provider": ("Create the package of a new provider.", _new_provider),
        "check-provider": ("List what an installed provider still lacks.", _check_provider),
    },
}
"""The commands by group: a summary of one line, and the function that adds the arguments."""
