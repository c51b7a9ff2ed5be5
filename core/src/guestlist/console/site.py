"""The objects that all pages share: the client, the people that were read, the reviews, and the
templates."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from guestlist import humanize
from guestlist.client import Guestlist
from guestlist.console import words
from guestlist.console.gate import Visit, visit_of
from guestlist.console.people import PeopleIndex
from guestlist.console.sessions import Sessions
from guestlist.console.words import LAST_DAY
from guestlist.console.work import BackgroundWork, RecentItems, ResendGuard, Review
from guestlist.web import page_templates

if TYPE_CHECKING:
    from guestlist.ledger.ledger import Ledger

PAGES = (
    ("/people", "People"),
    ("/add", "Add people"),
    ("/invitations", "Invitations"),
    ("/plan", "Plan"),
    ("/audit", "Audit"),
    ("/log", "Log"),
    ("/accounts", "Accounts"),
)
"""The navigation: paths and names."""


class Site:
    """The objects that all pages share.

    Attributes:
        client: the caller's client.
        ledger: the client's ledger; None if it has none.
        roster: the roster file, or None.
        mailbox: the address of the sandbox's mailbox; empty for real accounts.
    """

    def __init__(
        self,
        client: Guestlist,
        ledger: Ledger | None,
        roster: Path | None,
        *,
        read_only: bool,
        mailbox: str,
        sessions: Sessions,
    ) -> None:
        self.client = client
        self.ledger = ledger
        self.roster = roster
        self.read_only = read_only
        self.mailbox = mailbox
        self.sessions = sessions
        self.people = PeopleIndex(client, roster)
        self.reviews: RecentItems[Review] = RecentItems()
        self.works: RecentItems[BackgroundWork] = RecentItems()
        self.resends = ResendGuard(ledger)

    @property
    def now(self) -> datetime:
        """The time of the client's clock."""
        return self.client.clock.now()

    def relative(self, moment: datetime) -> str:
        """Returns a time relative to now."""
        return humanize.relative_time(moment, self.now)

    def title(self, account: str) -> str:
        """Returns the name of an account's service."""
        return self.client.accounts[account].title

    def acting(self, visit: Visit) -> Guestlist:
        """Returns the client for changes of the visitor."""
        return self.client.acting_as(visit.actor) if self.ledger is not None else self.client

    def last_email(self, key: str, account: str) -> str:
        """Returns when the ledger last recorded an email to a person within a day, as a
        sentence that begins with a space; empty if there was none."""
        if self.ledger is None:
            return ""
        from guestlist.changes import SENDS_EMAIL
        from guestlist.ledger import history

        search = history.Search(
            emails=[key], accounts=[account], actions=SENDS_EMAIL, since=self.now - LAST_DAY
        )
        for line in reversed(history.latest(self.ledger.store, 5, search)):
            if line.email_sent:
                return f" The last email was sent {self.relative(line.last_at)}."
        return ""

    def page(
        self, request: Request, template: str, status: int = 200, **context: Any
    ) -> HTMLResponse:
        """Renders a template, and returns the page."""
        visit = visit_of(request)
        root: str = request.scope.get("root_path", "")

        def url(path: str, **query: Any) -> str:
            given = {name: value for name, value in query.items() if value not in ("", None, False)}
            return root + path + (f"?{urlencode(given)}" if given else "")

        html = (
            _templates()
            .get_template(template)
            .render(
                url=url,
                here=request.scope["path"].removeprefix(root),
                visit=visit,
                csrf=visit.token() if visit else "",
                pages=PAGES,
                site=self,
                now=self.now,
                **context,
            )
        )
        return HTMLResponse(html, status)

    def trouble(
        self, request: Request, status: int, title: str, text: str, **context: Any
    ) -> Response:
        """Returns a page that describes an error."""
        return self.page(
            request,
            "trouble.html",
            status,
            heading=title,
            text=text,
            **{"hint": "", "typed": ()} | context,
        )


@cache
def _templates() -> jinja2.Environment:
    """Returns the templates, which all consoles of a process share."""
    return page_templates(
        "guestlist.console",
        look=words.LOOKS.__getitem__,
        people=lambda number: words.count(number, "person", "people"),
        count=words.count,
        names=words.names,
        request=words.request_sentence,
        outcome=words.line_outcome,
    )
