"""`sandbox`: the imitated services and their mailbox, until Ctrl-C."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.cli.commands.config import create_file, file_exists_error
from guestlist.cli.document import MailboxRow, ServiceRow
from guestlist.cli.missing_extra import missing_extra
from guestlist.cli.parser import DEFAULT_SANDBOX, UsageError
from guestlist.cli.printing import print_document
from guestlist.cli.session import Session
from guestlist.cli.text import comma_list
from guestlist.running_sandbox import VARIABLE
from guestlist.sandbox.errors import SandboxMistake
from guestlist.sandbox.services import service_classes

try:
    import tomlkit
except ModuleNotFoundError as error:
    raise missing_extra("`sandbox`", error) from None

if TYPE_CHECKING:
    from guestlist.cli.screen import Screen
    from guestlist.sandbox.server import Sandbox
    from guestlist.sandbox.world import Hosted


def run_sandbox(session: Session) -> None:
    """Serves, and says where and with which keys once everything answers."""
    given = session.arguments
    if given.sandbox or given.config:
        raise UsageError("`sandbox` starts one of its own", hint="Leave out the option.")
    kinds = service_classes()
    if not kinds:
        raise SandboxMistake(
            "no installed provider brings a sandbox",
            hint="Install some, such as: pip install guestlist-vultr guestlist-aitronos",
        )
    names = [kind.name for kind in kinds]
    from guestlist.sandbox.server import Sandbox

    _ = session.screen  # fails before anything is started if rich is missing
    if given.write and Path(given.write).exists():
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
    """The mailbox and the services, with their addresses and settings."""
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
    """The `base_url` to configure, which may be a path below the server's own address."""
    return hosted.settings.get("base_url", hosted.base_url)


def config_text(sandbox: Sandbox) -> str:
    """A `guestlist.toml` with an account for each service."""
    document = tomlkit.document()
    document.add(tomlkit.comment(f"Accounts of the sandbox at {sandbox.url}: made up, not secret."))
    accounts = tomlkit.table(is_super_table=True)
    for name, hosted in sandbox.services.items():
        accounts.add(name, {"provider": name, **hosted.settings})
    document.add("accounts", accounts)
    return tomlkit.dumps(document)


def _print_addresses(session: Session, sandbox: Sandbox) -> None:
    session.results.extend(rows_of(sandbox))
    written = session.arguments.write
    if written:
        create_file(Path(written), config_text(sandbox))
    if session.screen is None:
        print_document("sandbox", session.results, [])
    else:
        _show(session.screen, sandbox, written)
    session.printed = True


def _show(screen: Screen, sandbox: Sandbox, written: str | None) -> None:
    from guestlist.cli.screen import Column

    screen.line("The sandbox is running. Ctrl-C ends it and deletes what it holds.", style="bold")
    screen.line()
    places = [(one.service.title, base_url_of(one)) for one in sandbox.services.values()]
    screen.table(
        [Column("Service", whole=True), Column("Address", whole=True, style="cyan")],
        [("Mailbox: read emails, accept, move the clock", sandbox.url), *places],
    )
    screen.line()
    screen.line("Commands and programs that use guestlist talk to it after this line:")
    screen.line(f"export {VARIABLE}={sandbox.url}", indent=2, style="cyan")
    screen.line()
    if written:
        screen.line(f"These accounts are in {written} now:")
    else:
        screen.line("Or write these accounts to a file with `guestlist sandbox --write`:")
    for line in config_text(sandbox).splitlines():
        screen.line(line, indent=2)
    screen.line()
    screen.line("Keys that may only read:")
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
    for place, value in pairs:
        service, dot, switch = place.partition(".")
        _check_service(service, names)
        if not dot:
            raise UsageError(
                f"{place!r} names no switch", hint="Write --switch SERVICE.SWITCH=VALUE."
            )
        switches[service][switch] = value
    return dict(switches)


def _check_service(name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise UsageError(
            f"there is no service {name!r}", hint=f"There are {comma_list(list(names))}."
        )
