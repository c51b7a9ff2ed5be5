"""The page of one person: state, access, roles and history, and what can be done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from guestlist.address import is_email
from guestlist.changes import Action, label, role_key
from guestlist.console.gate import Visit, redirect, visitor
from guestlist.console.people import AccessReading, PersonRow
from guestlist.console.site import Site
from guestlist.console.words import (
    MEMBERS,
    OPEN,
    FailureText,
    basis_sentence,
    count,
    expiry_text,
    names,
    offboarded_text,
    without_code_marks,
)
from guestlist.console.work import ExcludedPerson, Review, Step, read_person
from guestlist.ledger.log import LineState, LogLine
from guestlist.models import Guest, Identity, OffboardOutcome, Role
from guestlist.provider import Provider

HISTORY_ROWS = 50
OLD_SECONDS = 60.0
"""Opening a person's page reads their access again if it is older than this."""


@dataclass
class AccountView:
    """One account on the page of a person.

    Attributes:
        state: a key of `words.LOOKS`.
        basis: how the state is known, as a sentence.
        facts: dates and other facts, each as a name and a text.
        deferred: roles that wait until the invitation is accepted.
        access: the person's effective access; None if it was not read.
        failure: why the last reading of this person failed.
        can: the possible actions, by verb.
        cannot: reasons why other actions are impossible.
        can_get, holds: the roles that can be given and taken away.
    """

    name: str
    provider: Provider
    state: str
    basis: str
    guest: Guest | None
    facts: list[tuple[str, str]] = field(default_factory=list)
    roles: tuple[Role, ...] = ()
    deferred: tuple[str, ...] = ()
    access: AccessReading | None = None
    failure: FailureText | None = None
    can: tuple[str, ...] = ()
    cannot: tuple[str, ...] = ()
    can_get: tuple[Role, ...] = ()
    holds: tuple[Role, ...] = ()


class PersonPages:
    """The endpoints of a person's page."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._failures: dict[tuple[str, str], FailureText] = {}

    def show(self, request: Request) -> Response:
        """Shows a person."""
        site = self._site
        person = self._person(request)
        known = site.people.guests(person)
        access = site.people.access(person)
        lines = self._history(person)
        deferred = _deferred(lines)
        views = [
            self._view(name, provider, person, known.get(name), access.get(name), deferred)
            for name, provider in sorted(site.client.accounts.items())
        ]
        views.sort(key=lambda view: view.state in ("gone", "unread", "unclear"))
        others = [
            (account, name)
            for account, name in site.people.other_names(person)
            if name != person.key
        ]
        return site.page(
            request,
            "person.html",
            person=person,
            views=views,
            others=others,
            lines=lines,
            inside=[view.name for view in views if view.state in (*MEMBERS, *OPEN)],
            must_read=not site.people.is_reading and self._must_read(person, access),
            role_key=role_key,
        )

    def check(self, request: Request) -> Response:
        """Reads the person's state and access in every account."""
        site = self._site
        person = self._person(request)
        known = site.people.guests(person)
        whom = {name: _who(known.get(name), person) for name in site.client.accounts}
        with ThreadPoolExecutor(len(whom) or 1) as pool:
            read = {
                name: pool.submit(read_person, site.client, name, who)
                for name, who in whom.items()
                if who
            }
        for name, one in read.items():
            guest, access, failure = one.result()
            self._failures.pop((person.key, name), None)
            if failure is not None:
                self._failures[person.key, name] = failure
            elif guest is not None:
                site.people.put(guest, access)
        return redirect(request, f"/people/{person.token}")

    def review(self, request: Request) -> Response:
        """Makes the review of an action on the person."""
        site, visit = self._site, visitor(request)
        person = self._person(request)
        verb, account = visit.value("action"), visit.value("account")
        known = site.people.guests(person)
        if verb == "offboard":
            review = self._offboard(person, visit)
        else:
            if account not in site.client.accounts or verb not in (*QUESTIONS, *ROLE_QUESTIONS):
                raise HTTPException(400, "The form names an unknown account or action.")
            review = self._one(person, verb, account, known.get(account), visit)
        return redirect(request, f"/reviews/{site.reviews.add(review).id}")

    def _person(self, request: Request) -> PersonRow:
        person = self._site.people.person(request.path_params["token"])
        if person is None:
            raise HTTPException(
                404,
                "This person is in no account now, or the accounts are still being read. The log"
                " shows what was done.",
            )
        return person

    def _must_read(self, person: PersonRow, access: Mapping[str, AccessReading]) -> bool:
        """Returns whether opening the page reads the person's access."""
        for name, cell in person.cells.items():
            if cell.state not in MEMBERS or not self._site.client.accounts[name].supports("access"):
                continue
            if (person.key, name) in self._failures:
                continue
            known = access.get(name)
            if known is None or (self._site.now - known.at).total_seconds() > OLD_SECONDS:
                return True
        return False

    def _history(self, person: PersonRow) -> list[LogLine]:
        ledger = self._site.ledger
        if ledger is None:
            return []
        from guestlist.ledger import history

        keys = [person.key, *(name for _, name in self._site.people.other_names(person))]
        search = history.Search(emails=list(dict.fromkeys(keys)))
        return history.latest(ledger.store, HISTORY_ROWS, search)[::-1]

    def _view(
        self,
        name: str,
        provider: Provider,
        person: PersonRow,
        guest: Guest | None,
        access: AccessReading | None,
        deferred: Mapping[str, tuple[str, ...]],
    ) -> AccountView:
        site = self._site
        reading = site.people.readings[name]
        failure = self._failures.get((person.key, name))
        if guest is None:
            state = "unread" if reading.at is None else "gone"
            state = "unclear" if name in person.unclear and state == "gone" else state
            basis = f"On no list of {provider.title}." if state == "gone" else ""
            if state == "unclear":
                basis = f"{provider.title} shows no addresses of members, and no login is known."
            view = AccountView(name, provider, state, basis, None, failure=failure)
            view.can = ("invite",) if provider.supports("invite") and state != "unread" else ()
            view.deferred = deferred.get(name, ())
            return view
        cell = person.cells[name]
        view = AccountView(name, provider, cell.state, basis_sentence(guest, provider.title), guest)
        view.failure, view.access = failure, access
        view.facts = list(_facts(guest, site.now))
        view.deferred = deferred.get(name, ())
        member, invitation = guest.member, guest.invitation
        view.roles = (member.roles if member else None) or (
            invitation.roles if invitation and not member else ()
        )
        held = access.access.grants if access else ()
        direct = tuple(grant.role for grant in held if grant.direct) if access else view.roles
        view.holds = direct if provider.supports("unassign_role") else ()
        holding = {role_key(role) for role in direct}
        if provider.supports("assign_role") and cell.state in MEMBERS:
            view.can_get = tuple(
                sorted(
                    (
                        role
                        for role in reading.roles
                        if role.not_assignable is None and role_key(role) not in holding
                    ),
                    key=lambda role: (role.label not in view.deferred, role.label.casefold()),
                )
            )
        view.can, view.cannot = _actions(provider, cell.state)
        return view

    # ------------------------------------------------------------------ reviews

    def _one(
        self, person: PersonRow, verb: str, account: str, guest: Guest | None, visit: Visit
    ) -> Review:
        title = self._site.title(account)
        step = Step(verb, account, _who(guest, person), person.who, "")
        back = f"/people/{person.token}"
        if verb in QUESTIONS:
            question, warning, button, step.forecast = (
                text.format(who=person.who, title=title) for text in QUESTIONS[verb]
            )
            if verb == "resend":
                step.forecast += self._site.last_email(person.key, account)
            return Review(question, warning, button, [step], visit.actor, back, verb=verb)
        role = self._role(account, visit.value("role"), guest)
        step.arguments = {"role": role}
        question, warning, button, step.forecast = (
            text.format(who=person.who, title=title, role=role.label)
            for text in ROLE_QUESTIONS[verb]
        )
        if verb == "assign_role":
            excluded = self._site.client.accounts[account].exclusive_kinds
            if role.kind in excluded:
                warning = f"{title} allows one {role.kind} at a time: it replaces the present one."
        return Review(question, warning, button, [step], visit.actor, back, verb=verb)

    def _role(self, account: str, key: str, guest: Guest | None) -> Role:
        known = self._site.people.readings[account].roles
        held = (guest.member.roles if guest and guest.member else None) or ()
        for role in (*known, *held):
            if role_key(role) == key:
                return role
        kind, _, id = key.partition(":")
        if not id:
            raise HTTPException(400, "Choose a role first.")
        return Role(id=id, kind=kind)

    def _offboard(self, person: PersonRow, visit: Visit) -> Review:
        identity = self._identity(person)
        (result,) = self._site.client.offboard(identity, dry_run=True)
        steps: list[Step] = []
        left_out: list[ExcludedPerson] = []
        for one in result.accounts:
            if one.outcome is OffboardOutcome.WOULD_REMOVE:
                text = offboarded_text(one)
                steps.append(Step("offboard", one.account, identity, person.who, text, "over"))
            elif one.outcome is OffboardOutcome.NOT_THERE:
                left_out.append(ExcludedPerson(person.who, one.account, "Is not there."))
            else:
                unknown = one.outcome is OffboardOutcome.UNKNOWN
                why = without_code_marks(f"{one.reason}. {one.hint or ''}").strip()
                tone = "unsure" if unknown else "over"
                left_out.append(ExcludedPerson(person.who, one.account, why, tone))
        return Review(
            f"Remove {person.who} everywhere?",
            "They lose access at once. To come back, they need new invitations. Accounts that"
            " guestlist does not know, and keys that the person has made, are not covered.",
            f"Remove from {count(len(steps), 'account')}",
            steps,
            visit.actor,
            f"/people/{person.token}",
            left_out=left_out,
            verb="offboard",
        )

    def _identity(self, person: PersonRow) -> Identity:
        """Returns all names of a person."""
        known = self._site.people.other_names(person)
        addresses = list(dict.fromkeys(name for account, name in known if not account))
        logins = {account: name.removeprefix("@") for account, name in known if account}
        email = person.who if is_email(person.who) else None
        also = tuple(one for one in addresses if one != person.key)
        return Identity(email=email, also=also, logins=logins)


QUESTIONS = {
    "resend": (
        "Send the invitation to {who} again?",
        "",
        "Send 1 invitation again",
        "{title} sends another email.",
    ),
    "revoke": (
        "Withdraw the invitation of {who} to {title}?",
        "The link in the email stops working. Roles that wait for acceptance are canceled.",
        "Withdraw 1 invitation",
        "The invitation is withdrawn.",
    ),
    "remove": (
        "Remove {who} from {title}?",
        "They lose access at once. To come back, they need a new invitation.",
        "Remove from {title}",
        "{who} is taken out of {title}.",
    ),
}
"""Question, warning, button and forecast of each verb."""
ROLE_QUESTIONS = {
    "assign_role": (
        "Give {role} to {who}?",
        "",
        "Give {role}",
        "{who} gets {role} in {title}.",
    ),
    "unassign_role": (
        "Take {role} from {who}?",
        "They lose at once what only this role permits.",
        "Take {role}",
        "{who} loses {role} in {title}.",
    ),
}


def _actions(provider: Provider, state: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the actions that fit a state, and why others are not possible."""
    fitting: tuple[str, ...] = ()
    if state in (*OPEN, "expired", "unsure"):
        fitting = ("resend", "revoke")
    if state in MEMBERS:
        fitting = ("remove",)
    if state in ("declined", "withdrawn", "gone"):
        fitting = ("invite",)
    emulated = provider.supports("invite") and provider.supports("revoke")
    can = tuple(
        verb for verb in fitting if provider.supports(verb) or (verb == "resend" and emulated)
    )
    errors = [provider.unsupported(verb) for verb in fitting if verb not in can]
    if state in MEMBERS and not provider.supports("assign_role"):
        errors.append(provider.unsupported("assign_role"))
    return can, tuple(without_code_marks(f"{one.message}. {one.hint}").strip() for one in errors)


def _facts(guest: Guest, now: datetime) -> list[tuple[str, Any]]:
    """Returns dates and other facts of a person in an account."""
    found: list[tuple[str, Any]] = []
    invitation, member = guest.invitation, guest.member
    if invitation is not None and member is None:
        found += [("Invited", invitation.created_at)] if invitation.created_at else []
        left = expiry_text(invitation.expires_at, now, never=invitation.never_expires)
        if left:
            estimated = " (estimated)" if "expires_at" in invitation.estimated else ""
            found += [("Expiry", f"{left}{estimated}")]
        if invitation.expires_at:
            found += [("", invitation.expires_at)]
        found += [("Invited by", invitation.invited_by)] if invitation.invited_by else []
    if member is not None:
        found += [("Joined", member.joined_at)] if member.joined_at else []
        if guest.invitations:
            number = len(guest.invitations)
            found += [("Still open", f"{number} invitation{'s' * (number > 1)}, besides being in")]
    if guest.login:
        found += [("Login", guest.login)]
    if guest.candidates:
        found += [("Could be", names(one.label for one in guest.candidates))]
    return found


def _who(guest: Guest | None, person: PersonRow) -> str:
    """Returns the value that names the person in calls about one account."""
    if guest is not None and guest.email:
        return guest.email
    if guest is not None and guest.login:
        return f"@{guest.login}"
    if guest is not None and guest.member is not None:
        return guest.member.id
    return person.who if "@" in person.who[1:] else ""


def _deferred(lines: list[LogLine]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        if line.state is LineState.DEFERRED and line.action is Action.SETTLE:
            found[line.account] += [label(role) for role in line.roles]
    return {account: tuple(dict.fromkeys(roles)) for account, roles in found.items()}
