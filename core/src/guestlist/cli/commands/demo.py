"""`demo`: the story on a sandbox of its own, told while it happens."""

from __future__ import annotations

import threading
from contextlib import suppress

from guestlist.cli.commands.demo_runner import DemoClock, DemoRunner
from guestlist.cli.commands.demo_scenario import ACCOUNTS, play
from guestlist.cli.exit_codes import Interrupted
from guestlist.cli.parser import UsageError
from guestlist.cli.session import Session
from guestlist.client import Guestlist
from guestlist.errors import ConfigError
from guestlist.plugins import installed
from guestlist.sandbox.connect import accounts_of
from guestlist.sandbox.services import service_classes


def run_demo(session: Session) -> None:
    """Plays the story; the first step that does not come out as told ends it."""
    given = session.arguments
    if given.sandbox or given.config:
        raise UsageError("`demo` starts a sandbox of its own", hint="Leave out the option.")
    story = [f"guestlist-{name}" for name in ACCOUNTS]
    missing = [f"guestlist-{name}" for name in ACCOUNTS if name not in installed().providers]
    if missing:
        raise ConfigError(
            f"the story is played with {' and '.join(story)}; not installed: {', '.join(missing)}",
            hint=f"Run: pip install {' '.join(missing)}. `guestlist sandbox` serves what there is.",
        )
    kinds = service_classes()
    from guestlist.sandbox.control import SandboxControl
    from guestlist.sandbox.server import Sandbox

    with (
        Sandbox(kinds, port=given.port) as sandbox,
        SandboxControl(sandbox.url) as invitees,
        Guestlist(accounts_of(sandbox), clock=DemoClock(sandbox), watch=session.watch) as guests,
    ):
        stage = DemoRunner(session, sandbox, guests, invitees)
        try:
            play(stage)
            session.printed = session.screen is not None
            if given.keep:
                stage.keep()
                with suppress(KeyboardInterrupt):
                    threading.Event().wait()
        except KeyboardInterrupt:
            session.errors.append(
                Interrupted("the sandbox is gone with everything in it; nothing else was touched")
            )
