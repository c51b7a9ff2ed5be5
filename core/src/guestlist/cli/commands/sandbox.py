"""`sandbox`: runs local imitations of the services with a mailbox, until Ctrl-C."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.cli.document import MailboxRow, ServiceRow, SwitchRow
from guestlist.cli.exit_codes import DONE
from guestlist.cli.parser import DEFAULT_SANDBOX, UsageError
from guestlist.cli.printing import print_document
from guestlist.cli.session import Session
from guestlist.cli.text import comma_list
from guestlist.errors import missing_package_error
from guestlist.files import create_file, file_exists_error
from guestlist.running_sandbox import VARIABLE
from guestlist.sandbox.errors import SandboxMistake
from guestlist.sandbox.services import service_classes

try:
    import tomlkit
except ModuleNotFoundError as error:
    raise missing_package_error("`sandbox`", error, "cli") from None

if TYPE_CHECKING:
    from guestlist.cli.screen import Screen
    from guestlist.sandbox.server import Sandbox
    from guestlist.sandbox.service import Service
    from guestlist.sandbox.world import Hosted


PROFILE_MEANING = "the documented form in which it answers"


def run_sandbox(session: Session) -> None:
    """Runs the sandbox. Prints its addresses and keys once all services answer."""
    given = session.arguments
    if given.sandbox or given.config:
        raise UsageError(
            "`sandbox` starts a new sandbox, and ignores existing accounts",
            hint="Leave out --sandbox and --config.",
        )
    kinds = service_classes()
    if not kinds:
        raise SandboxMistake(
            "no installed provider has a sandbox",
            hint="Install one, for example: pip install guestlist-vultr",
        )
    if given.list:
        _list_switches(session, kinds)
        return
    names = [kind.name for kind in kinds]
    from guestlist.sandbox.server import Sandbox

    _ = session.screen  # read early, so that a missing rich is reported before anything starts
    if given.write and os.path.lexists(given.write):
        raise file_exists_error(Path(given.write))
    sandbox = Sandbox(
        kinds,
        host=given.host,
        port=given.port,
        profiles=_profiles(given.profile, names),
        switches=_switches(given.switch, names),
        allow_remote=given.allow_remote,
    )
    sandbox.run(lambda running: _print_addresses(session, running))


def rows_of(sandbox: Sandbox) -> list[MailboxRow | ServiceRow]:
    """Returns the mailbox and the services as rows."""
    services = [
        ServiceRow(
            account=name,
            title=hosted.service.title,
            base_url=base_url_of(hosted),
            settings=hosted.settings,
            read_only_settings=hosted.read_only_settings,
        )
        for name, hosted in sandbox.services.items()
    ]
    return [MailboxRow(url=sandbox.url, environment={VARIABLE: sandbox.url}), *services]


def base_url_of(hosted: Hosted) -> str:
    """Returns the `base_url` to configure. It may include a path."""
    return str(hosted.settings.get("base_url", hosted.base_url))


def config_text(sandbox: Sandbox) -> str:
    """Returns a `guestlist.toml` with an account for each service."""
    document = tomlkit.document()
    document.add(tomlkit.comment(f"Accounts of the sandbox at {sandbox.url}: made up, not secret."))
    accounts = tomlkit.table(is_super_table=True)
    for name, hosted in sandbox.services.items():
        accounts.add(name, {"provider": name, **hosted.settings})
    document.add("accounts", accounts)
    return tomlkit.dumps(document)


def switches_of(kinds: Sequence[type[Service]]) -> list[SwitchRow]:
    """Returns the profiles and switches of services as rows."""
    return [
        SwitchRow(service=kind.name, name=name, values=list(values), meaning=meaning)
        for kind in kinds
        for name, values, meaning in [
            ("profile", kind.profiles, PROFILE_MEANING),
            *((name, one.values, one.meaning) for name, one in kind.switches.items()),
        ]
    ]


def _list_switches(session: Session, kinds: Sequence[type[Service]]) -> None:
    rows = switches_of(kinds)
    session.results.extend(rows)
    if session.screen is None:
        print_document("sandbox", session.results, [], code=DONE)
    else:
        from guestlist.cli.screen import Column

        columns = [Column("Service", whole=True), Column("Switch", whole=True)]
        session.screen.table(
            [*columns, Column("Values, the default first"), Column("Meaning")],
            [(one.service, one.name, ", ".join(one.values), one.meaning) for one in rows],
        )
    session.printed = True


def _print_addresses(session: Session, sandbox: Sandbox) -> None:
    session.results.extend(rows_of(sandbox))
    written = session.arguments.write
    if written:
        create_file(Path(written), config_text(sandbox))
    if session.screen is None:
        print_document("sandbox", session.results, [], code=DONE)
    else:
        _show(session.screen, sandbox, written)
    session.printed = True


def _show(screen: Screen, sandbox: Sandbox, written: str | None) -> None:
    from guestlist.cli.screen import Column

    screen.line("The sandbox is running. Ctrl-C ends it and deletes what it holds.", style="bold")
    screen.line()
    targets = [(one.service.title, base_url_of(one)) for one in sandbox.services.values()]
    screen.table(
        [Column("Service", whole=True), Column("Address", whole=True, style="cyan")],
        [("Mailbox: read emails, accept, move the clock", sandbox.url), *targets],
    )
    screen.line()
    screen.line("To make commands and programs use it, run:")
    screen.line(f"export {VARIABLE}={sandbox.url}", indent=2, style="cyan")
    screen.line()
    if written:
        screen.line(f"These accounts are in {written} now:")
    else:
        screen.line("Or write these accounts to a file with `guestlist sandbox --write`:")
    for line in config_text(sandbox).splitlines():
        screen.line(line, indent=2)
    screen.line()
    screen.line("Read-only keys:")
    screen.table(
        [Column("Account", whole=True), Column("Setting", whole=True), Column("Value")],
        [
            (account, setting, value)
            for account, hosted in sandbox.services.items()
            for setting, value in hosted.read_only_settings.items()
            if value != hosted.settings.get(setting)
        ],
    )
    screen.line()
    screen.line("Try it from another terminal:")
    where = "" if sandbox.url == DEFAULT_SANDBOX else f" {sandbox.url}"
    first = next(iter(sandbox.services))
    for command in (f"roles -a {first}", "status ada@example.com", "members"):
        screen.line(f"guestlist --sandbox{where} {command}", indent=2, style="cyan")


def _profiles(pairs: Sequence[tuple[str, str]], names: Sequence[str]) -> dict[str, str]:
    for service, _ in pairs:
        _check_service(service, names)
    return dict(pairs)


def _switches(pairs: Sequence[tuple[str, str]], names: Sequence[str]) -> dict[str, dict[str, str]]:
    switches: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for target, value in pairs:
        service, dot, switch = target.partition(".")
        _check_service(service, names)
        if not dot:
            raise UsageError(
                f"{target!r} does not name a switch", hint="Write --switch SERVICE.SWITCH=VALUE."
            )
        switches[service][switch] = value
    return dict(switches)


def _check_service(name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise UsageError(
            f"there is no service {name!r}", hint=f"There are {comma_list(list(names))}."
        )
