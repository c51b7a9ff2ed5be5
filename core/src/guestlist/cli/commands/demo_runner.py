"""Runs the steps of `demo`: makes the calls, prints them, and checks their results."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from guestlist.cli.document import StepRow
from guestlist.cli.formatting import RecordFormatter, RoleLabels, basis_text, grant_path
from guestlist.cli.session import Session
from guestlist.cli.text import comma_list, spaced, yes_or_no
from guestlist.client import Guestlist
from guestlist.errors import GuestlistError
from guestlist.exchange.clock import SystemClock
from guestlist.humanize import duration, quantity
from guestlist.models import (
    Access,
    Guest,
    InviteResult,
    RemoveResult,
    Result,
    RevokeResult,
    RoleResult,
)

if TYPE_CHECKING:
    from guestlist.sandbox.control import SandboxControl
    from guestlist.sandbox.server import Sandbox

CALL_INDENT, RESULT_INDENT = 3, 5
"""Number of spaces before calls and results."""


class DemoClock(SystemClock):
    """The sandbox's clock. Waiting moves it forward instead of taking time."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._clock = sandbox.clock

    def monotonic(self) -> float:
        return self._clock.seconds()

    def now(self) -> datetime:
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        self._clock.advance(timedelta(seconds=seconds))


class UnexpectedResult(GuestlistError):
    """A step of the demo had an unexpected result."""


class DemoRunner:
    """Runs the steps of a scenario on a sandbox."""

    def __init__(
        self, session: Session, sandbox: Sandbox, guests: Guestlist, invitees: SandboxControl
    ) -> None:
        self._session = session
        self._screen = session.screen
        self._sandbox = sandbox
        self._guests = guests
        self._invitees = invitees
        self._labels = RoleLabels(lambda: guests)
        self._chapters = 0
        self._chapter = ""

    def open(self, title: str, text: str) -> None:
        """Prints the title, the introduction and the addresses of the services."""
        self._line(title, style="bold")
        self._line(text)
        self._line()
        if self._screen is None:
            return
        for hosted in self._sandbox.services.values():
            self._screen.line(f"{hosted.service.title:<14}{hosted.base_url}", indent=CALL_INDENT)
        self._screen.line(f"{'Mailbox':<14}{self._sandbox.url}", indent=CALL_INDENT)

    def chapter(self, title: str, text: str = "") -> None:
        """Begins a chapter and prints its title."""
        self._chapters += 1
        self._chapter = title
        self._line()
        self._line(f"{self._chapters:<{CALL_INDENT}}{title}", style="bold")
        if text:
            self._line(text, indent=CALL_INDENT, style="dim")

    def call(self, verb: str, *args: Any, expect: str, **kwargs: Any) -> None:
        """Makes a call of the client, prints it and its result, and checks the result.

        Args:
            expect: the expected outcome, state, number of items, or class of error.

        Raises:
            UnexpectedResult: the result is a different one.
        """
        given = [*map(_quoted, args), *(f"{k}={_quoted(v)}" for k, v in kwargs.items())]
        text = f"guests.{verb}({', '.join(given)})"
        self._line(text, indent=CALL_INDENT, style="cyan")
        try:
            result = getattr(self._guests, verb)(*args, **kwargs)
            if not isinstance(result, Guest | Result | Access):
                result = list(result)
        except GuestlistError as error:
            result = error
        key, facts = self._describe(result)
        shown = quantity(len(result), verb.removesuffix("s")) if isinstance(result, list) else ""
        self._step(text, key, facts, expect, shown)

    def accept(self, name: str, email: str) -> None:
        """Accepts the invitations in all emails of an invited person.

        Raises:
            UnexpectedResult: there is no email, or its invitation cannot be accepted.
        """
        emails = [mail for mail in self._invitees.emails(email) if mail.state != "accepted"]
        if not emails:
            self._step(f"{name} reads the email", "nothing", ["no email arrived"], "accepted")
        for mail in emails:
            service = self._sandbox.services[mail.service].service.title
            text = f'{name} opens "{mail.subject}" from {service} and accepts'
            self._line(text, indent=CALL_INDENT, style="italic")
            state = self._invitees.accept(mail).lower()
            self._step(text, state, [], "accepted")

    def pass_time(self, length: timedelta) -> None:
        """Moves the sandbox's clock forward."""
        self._invitees.advance(length)
        self._line(f"{duration(length).capitalize()} pass.", indent=CALL_INDENT, style="italic")

    def close(self, people: Iterable[tuple[str, str]]) -> None:
        """Prints the state of all people and the number of steps."""
        rows = [self._guests.status(email, account=account) for email, account in people]
        steps = len(self._session.results)
        self._session.results.extend(rows)
        if self._screen is None:
            return
        from guestlist.cli.tables import Tables

        self._line()
        Tables(self._screen, self._facts(), indent=CALL_INDENT).guests(rows)
        self._line()
        self._line(f"{quantity(steps, 'step')}, all as expected.", style="bold green")

    def keep(self) -> None:
        """Prints how to use the sandbox after the demo."""
        url = self._sandbox.url
        self._line()
        self._line("The sandbox keeps running until Ctrl-C. The mailbox is at:")
        self._line(url, indent=CALL_INDENT, style="cyan")
        self._line("From another terminal:")
        self._line(
            f"guestlist --sandbox {url} status ada@example.com", indent=CALL_INDENT, style="cyan"
        )

    def _step(self, text: str, key: str, facts: list[str], expected: str, shown: str = "") -> None:
        as_expected = key == expected
        shown = shown or spaced(key)
        text_shown = " · ".join(filter(None, [shown, *facts]))
        if self._screen is not None:
            from guestlist.cli.screen import STYLES, Text

            line = Text(f"→ {text_shown}")
            style = STYLES.get(key, "green") if as_expected else "bold red"
            line.stylize(style, 0, len(shown) + 2)
            self._screen.line(line, indent=RESULT_INDENT)
        self._session.results.append(
            StepRow(
                chapter=self._chapter,
                call=text,
                result=text_shown,
                expected=expected,
                as_expected=as_expected,
            )
        )
        if not as_expected:
            raise UnexpectedResult(
                f"unexpected result in the demo: {text} returned {key!r}, not {expected!r}",
                hint="Run `guestlist demo --verbose` and report its output.",
            )

    def _describe(self, result: Any) -> tuple[str, list[str]]:
        """Returns the result of a call as a keyword to check, and details to print."""
        facts = self._facts()
        if isinstance(result, GuestlistError):
            return type(result).__name__, [result.headline, result.hint]
        if isinstance(result, RoleResult):
            return result.outcome, [result.role.label]
        if isinstance(result, Access):
            held = [f"{grant.role.label} ({grant_path(grant)})" for grant in result.grants]
            return ("access" if held else "nothing"), held or [result.explanation or ""]
        if isinstance(result, InviteResult):
            email = yes_or_no(result.email_sent, "email sent", "no email sent", "email unknown")
            role = facts.roles_of(result.guest)
            return result.outcome, [role and f"as {role}", email, facts.when(result.guest)]
        if isinstance(result, RevokeResult | RemoveResult):
            return result.outcome, [result.guest.state]
        if isinstance(result, Guest):
            return result.state, [basis_text(result), facts.when(result)]
        return str(len(result)), [comma_list([one.email for one in result])]

    def _facts(self) -> RecordFormatter:
        return RecordFormatter(self._sandbox.clock.now(), self._labels)

    def _line(self, text: str = "", *, indent: int = 0, style: str = "") -> None:
        if self._screen is not None:
            self._screen.line(text, indent=indent, style=style)


def _quoted(value: object) -> str:
    """Returns a value as Python source, with strings in double quotes."""
    return json.dumps(value) if isinstance(value, str) else repr(value)
