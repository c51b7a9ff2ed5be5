"""The pages that invite people, and the page of open invitations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from guestlist.address import read_email
from guestlist.changes import role_key
from guestlist.console.gate import Visit, redirect, visitor
from guestlist.console.people import PAGE_ROWS, OpenInvitation
from guestlist.console.site import Site
from guestlist.console.words import (
    TABS,
    FailureText,
    expiry_text,
    failure_text,
    names,
    without_code_marks,
)
from guestlist.console.work import ExcludedPerson, Review, ReviewWork, Step
from guestlist.errors import GuestlistError
from guestlist.models import MAY_BE_OPEN, Guest, NewInvitation, Role, State
from guestlist.provider import Provider
from guestlist.verbs.arguments import check_possible, parse_options
from guestlist.web import page_numbers

SEPARATORS = re.compile(r"[\s,;<>()\"']+")
HEADER = re.compile(r"\b(e-?mail|address|mail|name)\b", re.IGNORECASE)

LONGEST_KEPT_TEXT = 20_000
"""Maximum number of characters of a pasted text that the review's page repeats: about 800
addresses."""
GROUPS = ("Refused", "To invite", "Not sure", "Already invited", "Already members")


@dataclass(frozen=True)
class PastedText:
    """The addresses in a pasted text.

    Attributes:
        addresses: the addresses, as typed, without duplicates.
        duplicates: how many addresses came more than once.
        unreadable: the lines without a valid address, each with its number and the reason.
    """

    addresses: tuple[str, ...]
    duplicates: int
    unreadable: tuple[tuple[int, str, str], ...]


def read_pasted(text: str) -> PastedText:
    """Finds the addresses in a pasted text: one or several in a line, separated by commas,
    semicolons, tabs or spaces, alone or as `Name <address>`. A first line of titles is skipped."""
    found: dict[str, str] = {}
    duplicates = 0
    unreadable = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        words = [word.strip(".") for word in SEPARATORS.split(line) if "@" in word]
        if not words and not (number == 1 and HEADER.search(line)):
            unreadable.append((number, line.strip()[:300], "it contains no email address"))
        for word in words:
            try:
                address, key = read_email(word.removeprefix("mailto:"))
            except GuestlistError as error:
                unreadable.append((number, word[:300], error.message[:600]))
                continue
            duplicates += key in found
            found.setdefault(key, address)
    return PastedText(tuple(found.values()), duplicates, tuple(unreadable))


@dataclass
class InviteForm:
    """The fields of the form."""

    text: str = ""
    accounts: tuple[str, ...] = ()
    roles: frozenset[str] = frozenset()
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The names and values of the fields."""
        return [
            ("people", self.text),
            *(("account", name) for name in self.accounts),
            *(("role", key) for key in sorted(self.roles)),
            *self.options.items(),
        ]

    @classmethod
    def of(cls, visit: Visit, accounts: Sequence[str]) -> InviteForm:
        """Reads the posted form."""
        given = visit.values("account")
        return cls(
            visit.value("people"),
            tuple(name for name in accounts if name in given),
            frozenset(visit.values("role")),
            {name: value for name, value in visit.form if name.startswith("option ")},
        )


@dataclass(frozen=True)
class InviteTarget:
    """The roles and options of the invitations to one account."""

    account: str
    roles: tuple[Role, ...]
    options: BaseModel
    with_invitation: tuple[Role, ...]
    deferred: tuple[Role, ...]


class InvitePages:
    """The endpoints of the pages that add people, and of the page of open invitations."""

    def __init__(self, site: Site) -> None:
        self._site = site

    # ------------------------------------------------------------------ adding people

    def form(self, request: Request) -> Response:
        """Shows the form. `?again=` fills in what failed, `?person=` one person. A post fills in
        what a refused form contained, or leads back to the review that it started."""
        site, query = self._site, request.query_params
        site.people.begin()
        chosen = InviteForm()
        if request.method == "POST":
            visit = visitor(request)
            review = visit.value("review")
            if review and (site.reviews.get(review) or not visit.value("people")):
                return redirect(request, f"/reviews/{review}")
            return self._form(request, InviteForm.of(visit, self._accounts))
        again = site.works.get(query.get("again", ""))
        if isinstance(again, ReviewWork) and isinstance(again.review.again, InviteForm):
            before = again.review.again
            lines = [step.label for step in again.failed] + again.review.corrections
            text = "\n".join(dict.fromkeys(lines))
            chosen = InviteForm(text, before.accounts, before.roles, before.options)
        elif (person := site.people.person(query.get("person", ""))) is not None:
            chosen.text = person.who
        if query.get("account", "") in site.client.accounts:
            chosen.accounts = (query["account"],)
        return self._form(request, chosen)

    def review(self, request: Request) -> Response:
        """Makes the review: what will happen to each person in each account. Sends nothing."""
        site, visit = self._site, visitor(request)
        chosen = InviteForm.of(visit, self._accounts)
        pasted = read_pasted(chosen.text)
        problems = []
        if not pasted.addresses:
            problems.append(FailureText("There is no email address in the field.", "", ""))
        if not chosen.accounts:
            problems.append(FailureText("No account is selected.", "", ""))
        wanted = []
        for name in chosen.accounts:
            try:
                wanted.append(self._wanted(name, chosen))
            except GuestlistError as error:
                problems.append(failure_text(error))
        if problems:
            return self._form(request, chosen, problems, pasted, status=422)
        review = self._review(pasted, wanted, visit, chosen)
        return redirect(request, f"/reviews/{site.reviews.add(review).id}")

    @property
    def _accounts(self) -> list[str]:
        return sorted(self._site.client.accounts)

    def _form(
        self,
        request: Request,
        chosen: InviteForm,
        problems: Sequence[FailureText] = (),
        pasted: PastedText | None = None,
        status: int = 200,
    ) -> Response:
        site = self._site
        accounts = [
            {
                "name": name,
                "number": number,
                "provider": site.client.accounts[name],
                "roles": [
                    role for role in site.people.readings[name].roles if role.not_assignable is None
                ],
                "when": _when_text(site.client.accounts[name], can_defer=site.ledger is not None),
                "options": _options(site.client.accounts[name]),
            }
            for number, name in enumerate(self._accounts)
        ]
        return site.page(
            request,
            "add.html",
            status,
            chosen=chosen,
            problems=problems,
            unreadable=pasted.unreadable if pasted else (),
            accounts=accounts,
            role_key=role_key,
        )

    def _wanted(self, account: str, chosen: InviteForm) -> InviteTarget:
        """Returns the roles and options of the invitations to an account, after checks that need no
        request."""
        provider = self._site.client.accounts[account]
        number = self._accounts.index(account)
        known = {
            f"{number} {role_key(one)}": one for one in self._site.people.readings[account].roles
        }
        roles = tuple(known[key] for key in known if key in chosen.roles)
        given = {
            name.removeprefix(f"option {number} "): value
            for name, value in chosen.options.items()
            if name.startswith(f"option {number} ") and value.strip()
        }
        can_defer = self._site.ledger is not None
        check_possible(provider, list(roles), True, "return", can_defer=can_defer)
        now, deferred = provider.split_roles(roles)
        return InviteTarget(account, roles, parse_options(provider, given), now, deferred)

    def _review(
        self, pasted: PastedText, wanted: Sequence[InviteTarget], visit: Visit, chosen: InviteForm
    ) -> Review:
        client = self._site.client
        with ThreadPoolExecutor(len(wanted)) as pool:
            read = {
                one.account: pool.submit(client.status_many, pasted.addresses, account=one.account)
                for one in wanted
            }
        steps: list[Step] = []
        left_out: list[ExcludedPerson] = []
        for one in wanted:
            try:
                states: Mapping[str, Guest] = read[one.account].result()
            except GuestlistError as error:
                why = f"{error.headline}. Nothing is sent there now."
                left_out += [
                    ExcludedPerson(address, one.account, why, "over", "Refused")
                    for address in pasted.addresses
                ]
                continue
            for address in pasted.addresses:
                found = self._forecast(address, one, states.get(read_email(address)[1]))
                if isinstance(found, Step):
                    steps.append(found)
                else:
                    left_out.append(found)
        left_out.sort(key=lambda one: GROUPS.index(one.group))
        steps.sort(key=lambda step: GROUPS.index(step.group))
        number = len(steps)
        people = len({step.who for step in steps})
        return Review(
            f"Invite {people} {'person' if people == 1 else 'people'}?"
            if steps
            else "Nobody is left to invite",
            "Each invitation sends an email.",
            f"Send {number} Invitation{'s' * (number != 1)}",
            steps,
            visit.actor,
            "/add",
            left_out=left_out,
            corrections=[text for _, text, _ in pasted.unreadable],
            again=chosen,
            typed=chosen.fields if len(chosen.text) < LONGEST_KEPT_TEXT else (),
            verb="invite",
        )

    def _forecast(
        self, address: str, wanted: InviteTarget, guest: Guest | None
    ) -> Step | ExcludedPerson:
        """Returns what the invitation of one person to one account will do."""
        client, account = self._site.client, wanted.account
        title = self._site.title(account)
        new = NewInvitation(email=address, roles=wanted.with_invitation, options=wanted.options)
        try:
            client.check_address(address)
            client.check_invitation(new)
        except GuestlistError as error:
            why = without_code_marks(f"{error.message}. {error.hint}")
            return ExcludedPerson(address, account, why, "over", "Refused")
        state = guest.state if guest else State.GONE
        if state is State.ACCEPTED:
            return ExcludedPerson(address, account, "Is a member.", "good", "Already members")
        if state in MAY_BE_OPEN and state is not State.UNKNOWN:
            left = (
                guest
                and guest.invitation
                and expiry_text(guest.invitation.expires_at, self._site.now)
            )
            why = "Has an open invitation" + (f", which {left}." if left else ".")
            return ExcludedPerson(address, account, why, "open", "Already invited")
        parts = [f"{title} emails an invitation"]
        if wanted.with_invitation:
            parts[0] += f" with {names(role.label for role in wanted.with_invitation)}"
        if wanted.deferred:
            roles = names(role.label for role in wanted.deferred)
            parts.append(f"after acceptance: {roles}")
        text, group, tone = "; ".join(parts) + ".", "To invite", "good"
        if state is State.UNKNOWN:
            group, tone = "Not sure", "unsure"
            text += " Whether there is an invitation is not known; it looks again before it sends."
        elif state is not State.GONE:
            text += f" The earlier invitation is {state.replace('_', ' ')}."
        arguments = {"role": list(wanted.roles), "options": wanted.options}
        return Step("invite", account, address, address, text, tone, group, arguments)

    # ------------------------------------------------------------------ open invitations

    def invitations(self, request: Request) -> Response:
        """Shows the invitations of all accounts, the soonest to expire first."""
        site, query = self._site, request.query_params
        site.people.begin()
        tab = query.get("tab", "open")
        tab = tab if tab in TABS else "open"
        account = query.get("account", "")
        account = account if account in site.client.accounts else ""
        counts = {name: site.people.count_invitations(name, account) for name in TABS}
        number, last = page_numbers(request, counts[tab], PAGE_ROWS)
        rows = site.people.invitations(tab, account, number)
        return site.page(
            request,
            "invitations.html",
            rows=rows,
            tab=tab,
            tabs=TABS,
            counts=counts,
            shown={"tab": tab if tab != "open" else "", "account": account},
            number=number,
            last=last,
            expiry=lambda row: expiry_text(
                row.expires,
                site.now,
                never=bool(row.guest.invitation and row.guest.invitation.never_expires),
            ),
            cannot={
                name: error
                for name, provider in site.client.accounts.items()
                if (error := _cannot_revoke(provider))
            },
        )

    def review_selection(self, request: Request) -> Response:
        """Makes the review for one row, the selected rows, or all rows of a part of the page."""
        site, visit = self._site, visitor(request)
        action, one = visit.value("action"), visit.value("one")
        if one:
            action, _, row = one.partition(" ")
            chosen = {row}
        else:
            chosen = set(visit.values("row"))
        verb, _, scope = action.partition("-")
        if verb not in ("resend", "revoke"):
            raise HTTPException(400, "The form names an unknown action.")
        tab, account = visit.value("tab"), visit.value("account")
        tab = tab if tab in TABS else "open"
        rows = site.people.invitations(tab, account, None)
        if scope != "all":
            rows = [row for row in rows if f"{row.token} {row.account}" in chosen]
        if not rows:
            raise HTTPException(400, "No invitation is selected. Nothing was changed.")
        review = self._selection(verb, rows, visit, tab)
        return redirect(request, f"/reviews/{site.reviews.add(review).id}")

    def _selection(
        self, verb: str, rows: Sequence[OpenInvitation], visit: Visit, tab: str
    ) -> Review:
        site = self._site
        steps, left_out = [], []
        for row in rows:
            provider = site.client.accounts[row.account]
            able = provider.supports(verb)
            if verb == "resend" and not able:
                able = provider.supports("invite") and provider.supports("revoke")
            if not able:
                error = provider.unsupported(verb)
                why = without_code_marks(f"{error.message}. {error.hint}").strip()
                left_out.append(ExcludedPerson(row.who, row.account, why, "over"))
                continue
            guest = row.guest
            who = guest.email or (f"@{guest.login}" if guest.login else row.who)
            text = (
                f"{provider.title} sends another email."
                if verb == "resend"
                else ("The invitation is withdrawn.")
            )
            if verb == "resend":
                text += site.last_email(guest.key, row.account)
            steps.append(Step(verb, row.account, who, row.who, text, "open"))
        number = len(steps)
        many = f"{number:,} invitation{'s' * (number != 1)}"
        back = f"/invitations?tab={tab}"
        if verb == "resend":
            title, warning = f"Send {many} again?", "Each person gets another email."
            button = f"Send {many} again"
        else:
            title = f"Withdraw {many}?"
            warning = (
                "The links in the emails stop working. Roles that wait for acceptance are canceled."
            )
            button = f"Withdraw {many}"
        return Review(
            title, warning, button, steps, visit.actor, back, left_out=left_out, verb=verb
        )


def _cannot_revoke(provider: Provider) -> str:
    if provider.supports("revoke"):
        return ""
    error = provider.unsupported("revoke")
    return without_code_marks(f"{error.message}. {error.hint}").strip()


def _when_text(provider: Provider, *, can_defer: bool) -> str:
    """Returns when the roles of an invitation are given."""
    later = "are given after acceptance, by the page Plan"
    if not can_defer or not provider.supports("assign_role"):
        later = "can be given on the person's page once they are in"
    if provider.most_roles is None:
        return "All roles are sent with the invitation."
    if provider.most_roles == 0:
        return f"Roles {later}."
    number = "1 role is" if provider.most_roles == 1 else f"{provider.most_roles} roles are"
    needed = " One is needed." if provider.least_roles else ""
    return f"{number} sent with the invitation; others {later}.{needed}"


def _options(provider: Provider) -> list[tuple[str, bool]]:
    """Returns the names of the provider's options, and whether each is yes or no."""
    return [(name, info.annotation is bool) for name, info in provider.Options.model_fields.items()]
