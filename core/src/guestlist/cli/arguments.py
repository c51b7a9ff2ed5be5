"""The commands of the command line: the summary and the arguments of each. The module `commands`
runs them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Container

from guestlist.cli.parser import MainParser, Parser, duration, timestamp

DESCRIPTION = "Invites people into organizations on GitHub, GitLab, Keycloak and other services."

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


def _people(parser: Parser, *, ids: bool = True) -> None:
    parser.argument(
        "who ADDRESS",
        "an email address"
        + (", an id as `invitations` and `members` show it, or a login as @LOGIN" if ids else ""),
        nargs="+",
    )


def _accounts(parser: Parser, without: str) -> None:
    parser.argument(
        "-a --account NAME",
        f"an account; may be repeated (without it: {without})",
        repeat=True,
        complete=account_names,
    )


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
        words = (
            self.known() if text == "all" else list(filter(None, map(str.strip, text.split(","))))
        )
        if not words:
            raise argparse.ArgumentTypeError(
                f"no {self._what} is named; the {self._what}s are:"
                f" {', '.join(self.known())}, or all"
            )
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
    parser.argument(
        "--ledger PLACE",
        "a SQLite file or a database URL (without it: the one in [ledger], else"
        " guestlist.db beside the accounts' file)",
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
    parser.argument("--role ROLE", help_text, repeat=True)


def _recording(parser: Parser) -> None:
    """Adds the options of a command that changes single people: `--ledger` and `--note`."""
    parser.argument(
        "--ledger PLACE",
        "the ledger that records the change: a SQLite file or a database URL (without it: the"
        " one in [ledger], else guestlist.db beside the accounts' file if it exists)",
    )
    note_option(parser)
    parser.set_defaults(remembers=True)


def note_option(parser: Parser) -> None:
    """Adds the option of every command that records a change in the ledger."""
    parser.argument(
        "--note TEXT",
        "the reason, such as a ticket number; stored in the ledger and shown by `log`",
        type=str,
    )


# ---------------------------------------------------------------------------- the guest list


def _roster_file(parser: Parser) -> None:
    parser.argument(
        "roster ROSTER",
        "the roster file, which says who belongs where (without it: guestlist.toml)",
        nargs="?",
    )


def _roster(parser: Parser) -> None:
    _roster_file(parser)
    ledger_option(parser)
    parser.flag(
        "--allow-empty",
        "accept a roster, or a file of people, that names no one (otherwise an error)",
    )


def _planning(parser: Parser) -> None:
    _roster(parser)
    parser.argument(
        "who ADDRESS", "only these people (without it: everyone in the roster)", nargs="*"
    )
    _accounts(parser, "every account in the roster")
    parser.flag(
        "--prune", "also remove people who are not in the roster (without it they are only counted)"
    )
    parser.flag("--invite-declined", "also invite people who have declined")
    _retry_unknown(parser)


def _plan(parser: Parser) -> None:
    _planning(parser)
    parser.argument("--out FILE", "save the plan to a file, for `apply --plan FILE` later")
    parser.flag(
        "--detailed-exitcode",
        "exit with 0 if nothing would change, 2 if something would, 1 after an error",
    )
    parser.flag("--markdown", "print the plan as Markdown, for example for a pull request")
    parser.examples(
        "plan",
        "plan team.toml --prune --out team.plan",
        "plan -a cloud ada@example.com",
        "plan --markdown",
    )


def _apply(parser: Parser) -> None:
    _planning(parser)
    parser.argument(
        "--plan FILE", "apply a saved plan; an error if the services have changed since"
    )
    parser.flag("--yes", "do not ask for confirmation")
    parser.flag("--force", "allow a plan that exceeds the [limits] of one run")
    parser.flag("--fresh", "make a new plan instead of continuing an interrupted run")
    _wait_for_acceptance(parser)
    parser.examples("apply", "apply team.toml --yes --wait 2h", "apply --plan team.plan")


def _settle(parser: Parser) -> None:
    _roster(parser)
    _wait_for_acceptance(parser)
    parser.examples("settle", "settle --wait 1d")


def _worker(parser: Parser) -> None:
    _roster(parser)
    parser.examples("worker team.toml --ledger postgresql://guestlist@db/ledger")


def _pull(parser: Parser) -> None:
    _roster_file(parser)
    _accounts(parser, ALL_ACCOUNTS)
    parser.flag(
        "--replace", "replace the people in the roster, with their dates, groups and options"
    )
    parser.flag(
        "--csv", "write people to people.csv beside the roster (without it: only if there are many)"
    )
    parser.examples("pull", "pull team.toml -a cloud --replace")


def _audit(parser: Parser) -> None:
    _roster_file(parser)
    _accounts(parser, ALL_ACCOUNTS)
    parser.argument(
        "--allowed-domain DOMAIN",
        "a domain that addresses may have; may be repeated (without it: allowed_domains of the"
        " roster)",
        repeat=True,
    )
    parser.argument(
        "--pending-days DAYS",
        "report invitations that have been open for more than so many days (7)",
        type=_number,
        default=7,
    )
    parser.flag(
        "--quick", "do not request the roles of each member whose service does not list them"
    )
    parser.argument(
        "--fail-on KIND,...",
        "exit with 5 if anything of these kinds is found, such as not-in-roster,admin; or all",
        action="extend",
        default=[],
        type=FINDINGS.parse_list,
        complete=FINDINGS.known,
    )
    _formats(parser)
    parser.examples(
        "audit",
        "audit team.toml --pending-days 14 --markdown",
        "audit --fail-on not-in-roster,outside-domain",
    )


def _wait_for_acceptance(parser: Parser) -> None:
    parser.argument(
        "--wait TIME",
        "wait up to this long for people to accept, then give them their deferred roles",
        type=duration,
    )
    note_option(parser)


# ---------------------------------------------------------------------------- people


def _invite(parser: Parser) -> None:
    _people(parser, ids=False)
    _accounts(parser, ONLY_ACCOUNT)
    _role(parser, "a role to give: an id, a name or kind:name; may be repeated")
    _recording(parser)
    _login(parser)
    parser.flag("--no-email", "ask the service to send no email")
    parser.argument(
        "--if-exists",
        "if an invitation is open already: leave it (return), send its email again (resend),"
        " make a new one (replace), or fail (error)",
        choices=IF_EXISTS,
        default="return",
    )
    _retry_unknown(parser)
    _options(parser)
    parser.examples(
        "invite ada@example.com grace@example.com --account cloud",
        "invite ada@example.com -a office --role Member --no-email",
        "invite ada@example.com -a cloud --option api_enabled=yes",
    )


def _retry_unknown(parser: Parser) -> None:
    parser.flag(
        "--retry-unknown", "also send an email if it is unknown whether an earlier one was sent"
    )


def _login(parser: Parser) -> None:
    parser.argument(
        "--login LOGIN",
        "the person's login at the service, which some services list instead of the address",
    )


def _options(parser: Parser) -> None:
    parser.argument(
        "--option NAME=VALUE",
        "an option of the provider (`providers` shows them); may be repeated",
        repeat=True,
        type=parse_name_value,
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
    parser.examples("onboard ada@example.com -a cloud --role group:Engineering --timeout 5d")


def _offboard(parser: Parser) -> None:
    parser.argument(
        "who ADDRESS",
        "an address, or a login as @LOGIN (with the account, unless the roster names it)",
        nargs="+",
    )
    _accounts(parser, ALL_ACCOUNTS)
    parser.flag("--dry-run", "show what would be taken away, and change nothing")
    parser.flag("-y --yes", "do not ask for confirmation")
    _recording(parser)
    parser.examples("offboard ada@example.com --dry-run", "offboard ada@example.com --note T-17")


def _resend(parser: Parser) -> None:
    _people(parser)
    _accounts(parser, ONLY_ACCOUNT)
    _recording(parser)


def _status(parser: Parser) -> None:
    _people(parser)
    _accounts(parser, ALL_ACCOUNTS)
    parser.examples("status ada@example.com", "status ada@example.com -a cloud --json")


def _wait(parser: Parser) -> None:
    _people(parser)
    _accounts(parser, ONLY_ACCOUNT)
    parser.argument(
        "--until STATE",
        "the state to wait for; may be repeated (without it: accepted)",
        repeat=True,
        type=STATES.parse,
        complete=STATES.known,
    )
    parser.set_defaults(waits=True)
    parser.examples("wait ada@example.com -a cloud --timeout 2h")


def _revoke(parser: Parser) -> None:
    _people(parser)
    _accounts(parser, ONLY_ACCOUNT)
    _recording(parser)


_remove = _revoke


# ---------------------------------------------------------------------------- roles


def _roles(parser: Parser) -> None:
    _accounts(parser, ALL_ACCOUNTS)
    parser.argument(
        "--kind KIND", "only roles of this kind, such as `role` or `group`", complete=_kinds
    )


def _assign_role(parser: Parser) -> None:
    _people(parser)
    parser.argument("role ROLE", "an id, a name or kind:name, such as group:Engineering")
    _accounts(parser, ONLY_ACCOUNT)
    _recording(parser)
    parser.examples(f"{parser.prog.split()[-1]} ada@example.com group:Engineering -a cloud")


_unassign_role = _assign_role


def _access(parser: Parser) -> None:
    _people(parser)
    _accounts(parser, ALL_ACCOUNTS)
    parser.examples("access ada@example.com -a cloud")


def _own_access(parser: Parser) -> None:
    _accounts(parser, ALL_ACCOUNTS)


# ---------------------------------------------------------------------------- lists


def _invitations(parser: Parser) -> None:
    _accounts(parser, ALL_ACCOUNTS)
    parser.argument(
        "--state STATE", "only invitations in this state", type=STATES.parse, complete=STATES.known
    )


def _members(parser: Parser) -> None:
    _accounts(parser, ALL_ACCOUNTS)


def _who(parser: Parser) -> None:
    parser.argument(
        "pattern PATTERN",
        "only people whose address, login or name contains this, or matches it with * and ?",
        nargs="?",
    )
    _accounts(parser, ALL_ACCOUNTS)
    _formats(parser)
    parser.examples("who", "who ada", "who '*@example.com' --csv > people.csv")


def _formats(parser: Parser) -> None:
    """Adds the options of a command that prints its table in other formats."""
    parser.flag("--csv", "print the table as CSV")
    parser.flag("--markdown", "print the table as Markdown")


# ---------------------------------------------------------------------------- ledger


def _number(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _log(parser: Parser) -> None:
    parser.argument("who ADDRESS", "only orders about these people (without it: all)", nargs="*")
    _accounts(parser, ALL_ACCOUNTS)
    parser.argument(
        "--state STATE",
        "only orders in this state, such as refused or unresolved; may be repeated",
        repeat=True,
        type=ORDER_STATES.parse,
        complete=ORDER_STATES.known,
    )
    parser.argument(
        "--since WHEN", "only orders with an event since then: 7d (ago), 2026-11-21", type=timestamp
    )
    parser.argument(
        "--until WHEN",
        "only orders made until then; a date means the end of that day",
        type=timestamp,
    )
    parser.argument("--run NUMBER", "only orders of this run", type=_number)
    parser.argument(
        "--last NUMBER",
        "only this many of the newest orders (without it, a table shows 100)",
        type=_number,
    )
    parser.argument("--export", "print all of them as CSV or as JSON lines", choices=EXPORTS)
    ledger_option(parser)
    parser.examples(
        "log ada@example.com -v",
        "log --state refused --since 7d",
        "log -a cloud --since 2026-11-01 --until 2026-11-30 --export csv > november.csv",
    )


def _forget(parser: Parser) -> None:
    parser.argument(
        "who ADDRESS", "delete everything about this person, in all accounts", nargs="?"
    )
    parser.argument(
        "--older-than WHEN",
        "delete everyone's orders that ended so long ago, or before a date: 365d, 2026-01-01",
        type=timestamp,
    )
    parser.flag(
        "--expired", "delete orders that ended longer ago than `keep` in [ledger] (400 days)"
    )
    parser.flag("--force", "delete even orders whose outcome is unresolved")
    parser.flag("-y --yes", "do not ask for confirmation")
    ledger_option(parser)
    parser.examples("forget ada@example.com", "forget --expired --yes")


# ---------------------------------------------------------------------------- setting up


def _config(parser: Parser) -> None:
    parser.argument(
        "action ACTION",
        "init: write a commented file (--config names another one); check: read it and report"
        " errors; path: print where the accounts come from",
        choices=("init", "check", "path"),
    )
    parser.argument(
        "provider PROVIDER",
        "init: write accounts for these providers only; in a terminal, ask for their settings"
        " and check the key",
        nargs="*",
        complete=provider_names,
    )
    parser.examples("config init", "config init github", "config check")


def _providers(parser: Parser) -> None:
    parser.argument(
        "name NAME",
        "show this provider's settings, environment variables and capabilities",
        nargs="?",
        complete=provider_names,
    )
    parser.examples("providers", "providers vultr")


def _check(parser: Parser) -> None:
    _accounts(parser, ALL_ACCOUNTS)


def _completion(parser: Parser) -> None:
    parser.argument("shell SHELL", ", ".join(SHELLS), choices=SHELLS)
    parser.examples("completion bash >> ~/.bashrc", "completion zsh >> ~/.zshrc")


# ---------------------------------------------------------------------------- trying out


def _console(parser: Parser) -> None:
    parser.argument(
        "--port", "the port on this machine (8040; 0: a free one)", type=_port, default=8040
    )
    parser.flag("--read-only", "show everything, change nothing")
    parser.flag("--no-browser", "print the link, and do not open a browser")
    ledger_option(parser)
    _tokens(parser)
    parser.examples(
        "console",
        "console --sandbox",
        "console --read-only --port 0",
        "console token create deploy --right change --expires 30d",
    )


def _tokens(parser: Parser) -> None:
    """Adds the arguments of `console token`."""
    parser.argument(
        "task TASK",
        "instead of serving, handle tokens of the HTTP API: `token create NAME`,"
        " `token list`, `token revoke ID`",
        nargs="*",
    )
    parser.argument(
        "--right", "what a new token permits (read)", choices=("read", "change"), default="read"
    )
    parser.argument(
        "--expires TIME",
        "how long a new token is valid (90d)",
        type=duration,
        default=TOKEN_SECONDS,
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")
    return int(text)


def _demo(parser: Parser) -> None:
    parser.flag("--keep", "leave the sandbox running afterwards, until Ctrl-C")
    parser.argument("--port", "the mailbox's port (without it: a free one)", type=_port, default=0)


def _sandbox(parser: Parser) -> None:
    parser.argument(
        "--port",
        "the mailbox's port; the services get the next ones (8030; 0: free ones)",
        type=_port,
        default=8030,
    )
    parser.argument("--host", "where to listen (127.0.0.1)", default="127.0.0.1")
    parser.flag("--allow-remote", "allow a host that other machines can reach")
    parser.argument(
        "--profile SERVICE=PROFILE",
        "the format of a service's answers, such as vultr=openapi; may be repeated",
        repeat=True,
        type=parse_name_value,
    )
    parser.argument(
        "--switch SERVICE.SWITCH=VALUE",
        "how a service behaves, such as vultr.duplicates=allow; may be repeated",
        repeat=True,
        type=parse_name_value,
    )
    parser.argument(
        "--write FILE",
        "write a configuration file with the accounts of the sandbox (guestlist.toml)",
        nargs="?",
        const="guestlist.toml",
    )
    parser.flag("--list", "list the services with their profiles and switches, and start nothing")


# ---------------------------------------------------------------------------- writing providers


def _new_provider(parser: Parser) -> None:
    parser.argument("name NAME", "the provider's name, such as acme")
    parser.argument("--into DIR", "where to create its folder (without it: here)", default=".")


def _check_provider(parser: Parser) -> None:
    parser.argument("name NAME", "the name of an installed provider", complete=provider_names)


def provider_names(**_: object) -> list[str]:
    """Returns the names of the installed providers, for completion in the shell."""
    from importlib.metadata import entry_points

    return sorted(entry.name for entry in entry_points(group="guestlist"))


COMMANDS: dict[str, dict[str, tuple[str, Callable[[Parser], None]]]] = {
    "the guest list": {
        "plan": ("Show the changes that would make the services match the roster.", _plan),
        "apply": ("Change the services so that they match the roster.", _apply),
        "worker": ("Help to apply the runs of a ledger in PostgreSQL.", _worker),
        "settle": ("Give deferred roles to people who have accepted.", _settle),
        "audit": ("List findings: people outside the roster, missing people, and more.", _audit),
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
        "console": ("Serve web pages with the people of all accounts, on this machine.", _console)
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
