"""`demo`: plays a scenario on a sandbox of its own, and prints each step."""

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
from guestlist.sandbox.services import accounts_of, service_classes


def run_demo(session: Session) -> None:
    """Plays the scenario. Ends at the first step with an unexpected result."""
    given = session.arguments
    if given.sandbox or given.config:
        raise UsageError(
            "`demo` starts its own sandbox, and ignores existing accounts",
            hint="Leave out --sandbox and --config.",
        )
    needed = [f"guestlist-{name}" for name in ACCOUNTS]
    missing = [f"guestlist-{name}" for name in ACCOUNTS if name not in installed().names]
    if missing:
        raise ConfigError(
            f"the demo needs {' and '.join(needed)}; not installed: {', '.join(missing)}",
            hint=f"Run: pip install {' '.join(missing)}. Or run `guestlist sandbox`,"
            " which serves the installed ones.",
        )
    kinds = service_classes()
    from guestlist.sandbox.control import SandboxControl
    from guestlist.sandbox.server import Sandbox

    with (
        Sandbox(kinds, port=given.port) as sandbox,
        SandboxControl(sandbox.url) as invitees,
        Guestlist(accounts_of(sandbox), clock=DemoClock(sandbox), watch=session.watch) as guests,
    ):
        runner = DemoRunner(session, sandbox, guests, invitees)
        try:
            play(runner)
            session.printed = session.screen is not None
            if given.keep:
                runner.keep()
                with suppress(KeyboardInterrupt):
                    threading.Event().wait()
        except KeyboardInterrupt:
            session.errors.append(
                Interrupted("the sandbox has ended, with all its data; nothing else was changed")
            )
