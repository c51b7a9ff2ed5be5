"""`sandbox`: the imitated services and their mailbox, until Ctrl-C."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from guestlist.cli.document import MailboxRow, ServiceRow
from guestlist.cli.parser import DEFAULT_SANDBOX, UsageError
from guestlist.cli.report import print_document
from guestlist.cli.session import Session
from guestlist.cli.words import listed
from guestlist.sandbox.errors import SandboxMistake
from guestlist.sandbox.services import service_classes

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

    _ = session.screen  # what cannot be shown is not started
    sandbox = Sandbox(
        kinds,
        host=given.host,
        port=given.port,
        profiles=_profiles(given.profile, names),
        switches=_switches(given.switch, names),
        allow_remote=given.allow_remote,
    )
    sandbox.run(lambda running: _announce(session, running))


def rows_of(sandbox: Sandbox) -> list[MailboxRow | ServiceRow]:
    """What runs, and how it is reached."""
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
    return [MailboxRow(url=sandbox.url), *services]


def base_url_of(hosted: Hosted) -> str:
    """What has to be set as `base_url`, which may go on behind the server's own address."""
    return hosted.settings.get("base_url", hosted.base_url)


def _announce(session: Session, sandbox: Sandbox) -> None:
    session.results.extend(rows_of(sandbox))
    if session.screen is None:
        print_document("sandbox", session.results, [])
    else:
        _show(session.screen, sandbox)
    session.printed = True


def _show(screen: Screen, sandbox: Sandbox) -> None:
    from guestlist.cli.screen import Column

    screen.line("The sandbox is running. Ctrl-C ends it, and forgets everything.", style="bold")
    screen.line()
    places = [(one.service.title, base_url_of(one)) for one in sandbox.services.values()]
    screen.table(
        [Column("Service", whole=True), Column("Address", whole=True, style="cyan")],
        [("Mailbox: read mails, accept, move the clock", sandbox.url), *places],
    )
    hosted = sandbox.services
    own = {name: one.settings for name, one in hosted.items()}
    _show_keys(screen, "The keys, which are made up and no secrets:", own)
    _show_keys(
        screen,
        "Keys that may only read:",
        {
            name: dict(one.read_only_settings.items() - one.settings.items())
            for name, one in hosted.items()
        },
    )
    screen.line()
    screen.line("Talk to it from another terminal:")
    where = "" if sandbox.url == DEFAULT_SANDBOX else f" {sandbox.url}"
    first = next(iter(sandbox.services))
    for command in (f"roles -a {first}", "status ada@example.com", "members"):
        screen.line(f"guestlist --sandbox{where} {command}", indent=2, style="cyan")


def _show_keys(screen: Screen, title: str, settings: Mapping[str, Mapping[str, str]]) -> None:
    from guestlist.cli.screen import Column

    screen.line()
    screen.line(title)
    screen.table(
        [Column("Account", whole=True), Column("Setting", whole=True), Column("Value")],
        [
            (account, setting, value)
            for account, all_of_it in settings.items()
            for setting, value in all_of_it.items()
            if setting != "base_url"
        ],
    )


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
        raise UsageError(f"there is no service {name!r}", hint=f"There are {listed(list(names))}.")
