"""The pages of people, and of the accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from guestlist.console.gate import redirect, visitor
from guestlist.console.people import PAGE_ROWS, Filter, PeopleIndex, PersonRow
from guestlist.console.site import Site
from guestlist.console.words import FILTERS, LOOKS, FailureText, expiry_text, failure_text
from guestlist.errors import GuestlistError
from guestlist.models import LimitUsage
from guestlist.provider import Provider
from guestlist.web import page_numbers

MANY_ACCOUNTS = 8
"""With more accounts than this, the table shows no roles, and only the accounts that have a person
of the page."""

FEW_ACCOUNTS = 3
"""With fewer accounts than this, the page shows for each account when it was read."""

CAPABILITIES = {
    "invite people": ("invite",),
    "send an invitation again": ("resend",),
    "withdraw an invitation": ("revoke",),
    "list invitations": ("invitations",),
    "list members": ("members",),
    "remove members": ("remove",),
    "give roles": ("assign_role",),
    "take roles": ("unassign_role",),
    "show effective access": ("access", "own_access"),
}
"""The capabilities on an account's page, each with the operations of which it needs at least
one."""


class PeoplePages:
    """The endpoints of the pages of people and of accounts."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._checks: dict[str, tuple[str, FailureText | None]] = {}

    def index(self, request: Request) -> Response:
        """Redirects to the page of people."""
        return redirect(request, "/people")

    def people(self, request: Request) -> Response:
        """Shows one page of the people who match the filters in the address."""
        site, people = self._site, self._site.people
        people.begin()
        query = request.query_params
        chosen = people_filter(query, people)
        found = people.count(chosen)
        number, last = page_numbers(request, found, PAGE_ROWS)
        rows = people.page(chosen, number)
        shown = {
            name: query.get(name, "")
            for name in ("q", "account", "state", "role", "roster", "sort", "accounts")
        }
        return site.page(
            request,
            "people.html",
            rows=rows,
            chosen=chosen,
            shown=shown,
            found=found,
            total=people.count() if chosen else found,
            first=(number - 1) * PAGE_ROWS + 1,
            number=number,
            last=last,
            columns=self._columns(rows, chosen, every=query.get("accounts") == "all"),
            few=MANY_ACCOUNTS,
            states=FILTERS,
            looks=LOOKS,
            expiry=lambda moment: expiry_text(moment, site.now),
            not_read=self._not_read(),
            all_read=self._all_read(),
        )

    def refresh(self, request: Request) -> Response:
        """Reads all accounts again, in the background."""
        self._site.people.refresh()
        back = visitor(request).value("back", "/people")
        return redirect(request, back if back.startswith("/") and back[1:2] != "/" else "/people")

    def accounts(self, request: Request) -> Response:
        """Shows each account: its key, what the service can do, its limits."""
        site = self._site
        site.people.begin()
        cards = [
            self._card(name, provider) for name, provider in sorted(site.client.accounts.items())
        ]
        return site.page(request, "accounts.html", cards=cards)

    def check(self, request: Request) -> Response:
        """Checks whether the service accepts the account's key."""
        site, name = self._site, visitor(request).value("account")
        if name in site.client.accounts:
            try:
                self._checks[name] = (site.client.check(account=name), None)
            except GuestlistError as error:
                self._checks[name] = ("", failure_text(error))
        return redirect(request, "/accounts")

    def _columns(self, rows: list[PersonRow], chosen: Filter, *, every: bool) -> list[str]:
        names = sorted(self._site.client.accounts)
        if chosen.account:
            return [chosen.account]
        if len(names) <= MANY_ACCOUNTS or every:
            return names
        present = {name for row in rows for name in row.cells}
        return [name for name in names if name in present]

    def _not_read(self) -> dict[str, str]:
        """Returns for each account that was never read why the states in it are unknown."""
        return {
            name: one.error.message if one.error else "is being read"
            for name, one in self._site.people.readings.items()
            if one.at is None
        }

    def _all_read(self) -> datetime | None:
        """Returns when all accounts were read together; None if an account was not read, or was
        read at another time."""
        readings = self._site.people.readings.values()
        times = {one.at for one in readings}
        flawed = any(one.error or one.problem or one.reading for one in readings)
        return None if flawed or len(times) != 1 or len(readings) < FEW_ACCOUNTS else times.pop()

    def _card(self, name: str, provider: Provider) -> dict[str, Any]:
        account = self._site.client.account(name)
        members, invitations = self._site.people.numbers(name)
        abilities = {
            text: any(map(provider.supports, operations))
            for text, operations in CAPABILITIES.items()
        }
        if provider.supports("invite") and provider.supports("revoke"):
            abilities["send an invitation again"] = True
        substitutes = {
            text: next(
                (provider.substitutes[one] for one in needed if one in provider.substitutes), ""
            )
            for text, needed in CAPABILITIES.items()
        }
        return {
            "name": name,
            "provider": provider,
            "reading": self._site.people.readings[name],
            "members": members,
            "invitations": invitations,
            "abilities": abilities,
            "substitutes": substitutes,
            "limits": [(limit_text(one), one) for one in account.limits()],
            "pause": account.pause_left,
            "check": self._checks.get(name),
            "roles_with_invitation": _roles_text(provider),
        }


def people_filter(query: Any, people: PeopleIndex) -> Filter:
    """Returns the filter in the address of a page. Unknown values are left out."""
    account, state = query.get("account", ""), query.get("state", "")
    return Filter(
        text=query.get("q", "").strip()[:200],
        account=account if account in people.readings else "",
        state=state if state in FILTERS else "",
        role=query.get("role", "")[:200],
        outside_roster=query.get("roster") == "no",
        by_name=query.get("sort") == "name",
    )


def limit_text(limit: LimitUsage) -> str:
    """Returns a rate limit in words, after the number that is used: `of 30 requests a second`."""
    per = {1.0: "a second", 60.0: "a minute", 3600.0: "an hour", 86400.0: "a day"}.get(limit.per)
    return f"of {limit.count:,} {limit.what} {per or f'in {limit.per:g} s'}"


def _roles_text(provider: Provider) -> str:
    if provider.most_roles == 0:
        return "Roles are given after acceptance."
    most = "any number of" if provider.most_roles is None else str(provider.most_roles)
    least = "; at least one is needed" if provider.least_roles else ""
    return f"An invitation takes {most} role{'s' if provider.most_roles != 1 else ''}{least}."
