"""The words of the pages: states, evidence, results and errors as sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from guestlist.changes import Action
from guestlist.errors import GuestlistError
from guestlist.humanize import relative_time
from guestlist.ledger.log import LineState, LogLine
from guestlist.models import (
    AccountOffboarding,
    Basis,
    Guest,
    InviteResult,
    OffboardOutcome,
    Outcome,
    RemoveOutcome,
    Result,
    RevokeOutcome,
    RoleOutcome,
    RoleResult,
    State,
)
from guestlist.runs.findings import FindingKind


class StateStyle(NamedTuple):
    """How a state is shown: a word and a tone of color. The style sheet adds a shape for those who
    see no colors."""

    word: str
    tone: str
    meaning: str


LOOKS = {
    "member": StateStyle("Member", "good", "is in"),
    "no_access": StateStyle("No access", "over", "is in, but may do nothing"),
    "suspended": StateStyle("Suspended", "over", "is in, but locked out"),
    "invited": StateStyle("Invited", "open", "has an invitation that can be accepted"),
    "approval": StateStyle("Waiting for approval", "open", "the organization has to approve first"),
    "expired": StateStyle("Expired", "over", "the invitation was not accepted in time"),
    "declined": StateStyle("Declined", "over", "said no"),
    "withdrawn": StateStyle("Withdrawn", "plain", "the invitation was withdrawn"),
    "gone": StateStyle("Not invited", "plain", "neither invited nor a member"),
    "unsure": StateStyle("Not sure", "unsure", "the service does not show it"),
    "unclear": StateStyle("Cannot tell", "plain", "the service shows no addresses of members"),
    "unread": StateStyle("Not read", "plain", "the service was not read yet, or did not answer"),
}
"""Looks by state. `no_access` and `suspended` are members; `unclear` and
`unread` are no states of a person."""

FILTERS = {
    "attention": "Needs attention",
    **{
        name: look.word for name, look in LOOKS.items() if name not in ("gone", "unclear", "unread")
    },
}
"""The states that a page can be filtered by."""

_STATES = {
    State.PENDING: "invited",
    State.AWAITING_APPROVAL: "approval",
    State.ACCEPTED: "member",
    State.DECLINED: "declined",
    State.EXPIRED: "expired",
    State.REVOKED: "withdrawn",
    State.GONE: "gone",
    State.UNKNOWN: "unsure",
}

MEMBERS = ("member", "no_access", "suspended")
"""The states of people who are in."""
OPEN = ("invited", "approval")
"""The states of invitations that may still be accepted."""
TABS = {
    "open": ("Open", OPEN),
    "expired": ("Expired", ("expired",)),
    "declined": ("Declined or withdrawn", ("declined", "withdrawn")),
    "unsure": ("Not sure", ("unsure",)),
}
"""The parts of the page of invitations: their names, and the states in them."""
TAB_OF = {state: tab for tab, (_, states) in TABS.items() for state in states}
ATTENTION = ("unsure", "expired", "no_access", "suspended", "declined")
"""The states that need somebody's attention. An invitation of the last day does, too."""
LAST_DAY = timedelta(days=1)


def state_of(guest: Guest) -> str:
    """Returns the state of a person in one account: a key of `LOOKS`."""
    if guest.suspended:
        return "suspended"
    if guest.state is State.UNKNOWN and guest.unidentified and guest.invitation is None:
        return "unclear"
    return _STATES[guest.state]


def without_code_marks(text: str) -> str:
    """Returns a text of the library without its marks for code."""
    return re.sub(r"`([^`]*)`", r"“\1”", text)


def basis_sentence(guest: Guest, title: str) -> str:
    """Returns how a person's state is known, as a sentence."""
    if guest.state is State.ACCEPTED and guest.unidentified and guest.member is None:
        return f"{title} says that the person is a member, but not which of the members."
    if guest.incomplete or guest.unidentified:
        reason = str(guest.incomplete or guest.unidentified)
        return f"Cannot be known: {reason}."
    if guest.state is State.UNKNOWN:
        return f"{title} calls it {guest.raw_state or 'nothing'!r}, and what that means is unknown."
    if guest.state is State.ACCEPTED and guest.basis is Basis.INFERRED:
        return f"On {title}'s list of members."
    if guest.state is State.GONE:
        return f"On no list of {title}."
    if guest.basis is Basis.DERIVED:
        return "Worked out from the date of expiry."
    quoted = f" It calls it “{guest.raw_state}”." if guest.raw_state else ""
    return f"{title} says so.{quoted}"


def expiry_text(expires: datetime | None, now: datetime, *, never: bool = False) -> str:
    """Returns the time that is left of an invitation: `expires in 2 days`."""
    if never:
        return "never expires"
    if expires is None:
        return ""
    if expires <= now:
        return f"expired {relative_time(expires, now)}"
    return f"expires {relative_time(expires + timedelta(seconds=30), now)}"


def names(words: Iterable[str]) -> str:
    """Returns words as a list in a sentence: `a, b and c`."""
    listed = list(words)
    return " and ".join(filter(None, [", ".join(listed[:-1]), *listed[-1:]]))


def count(number: int, what: str, many: str | None = None) -> str:
    """Returns a number with its noun: `1 person`, `2,000 people`."""
    return f"{number:,} {what if number == 1 else many or what + 's'}"


_DONE: dict[str, str] = {
    Outcome.INVITED: "Invited.",
    Outcome.RESENT: "The invitation was sent again.",
    Outcome.ALREADY_INVITED: "Was invited already: nothing was sent.",
    Outcome.ALREADY_MEMBER: "Was a member already: nothing was sent.",
    Outcome.JOINED: "Is a member at once: the service waits for no acceptance.",
    Outcome.AWAITING_APPROVAL: "Invited; the organization has to approve it first.",
    RevokeOutcome.REVOKED: "The invitation was withdrawn.",
    RevokeOutcome.ALREADY_REVOKED: "Had no open invitation: nothing was changed.",
    RemoveOutcome.REMOVED: "Was taken out.",
    RemoveOutcome.ALREADY_REMOVED: "Was not there: nothing was changed.",
    RoleOutcome.ASSIGNED: "The role was given.",
    RoleOutcome.ALREADY_ASSIGNED: "Had the role already: nothing was changed.",
    RoleOutcome.UNASSIGNED: "The role was taken.",
    RoleOutcome.NOT_ASSIGNED: "Did not have the role: nothing was changed.",
}


def done_text(result: Result, title: str) -> str:
    """Describes what a call did, and how that is known, in sentences."""
    parts = [_DONE.get(str(result.outcome), f"{str(result.outcome).replace('_', ' ')}.")]
    if isinstance(result, RoleResult):
        parts[0] = parts[0].replace("The role", f"The role {result.role.label}")
    if isinstance(result, InviteResult):
        if result.email_sent:
            parts.append(
                f"{title} took it and sends the email. No service shows whether it arrived."
            )
        elif result.email_sent is None and result.outcome is not Outcome.JOINED:
            parts.append("Whether an email was sent is not known.")
        if result.deferred:
            roles = names(role.label for role in result.deferred)
            parts.append(f"After acceptance: {roles}.")
        if result.guest.invitation and result.guest.invitation.raw_state:
            parts.append(f"{title} calls it “{result.guest.invitation.raw_state}”.")
    return " ".join([*parts, *result.warnings])


def offboarded_text(done: AccountOffboarding) -> str:
    """Describes in sentences what is or would be taken away from a person in one account."""
    if done.outcome is OffboardOutcome.NOT_THERE:
        return "Was not there: nothing was changed."
    would = done.outcome is OffboardOutcome.WOULD_REMOVE
    parts = []
    if done.members:
        parts.append("loses access at once" if would else "was taken out")
    if done.invitations:
        many = count(len(done.invitations), "invitation")
        were = "is" if would else "was"
        were = {"is": "are", "was": "were"}[were] if len(done.invitations) > 1 else were
        parts.append(f"{many} {were} withdrawn")
    if done.deferred:
        parts.append(f"{names(done.deferred)} will not be given later")
    text = names(parts)
    return " ".join([f"{text[:1].upper()}{text[1:]}.", *done.warnings])


class FailureText(NamedTuple):
    """A failure as the pages show it."""

    what: str
    happened: str
    hint: str


def failure_text(error: GuestlistError) -> FailureText:
    """Returns the failure for an error: what failed, whether it took effect, and what to do."""
    happened = {
        True: "It took effect nevertheless.",
        False: "Nothing was changed.",
        None: "It may have taken effect. The next try looks before it sends anything.",
    }[error.happened]
    return FailureText(error.headline, happened, without_code_marks(error.hint))


def request_sentence(line: LogLine) -> str:
    """Describes the request of a line of the log in a sentence that does not name the person."""
    roles = names([*line.roles, *(f"{role} (after acceptance)" for role in line.deferred)])
    look = ACTIONS[line.action]
    with_ = " with " if line.action in (Action.INVITE, Action.REPLACE) else " "
    return f"{look.word}{with_ if roles else ''}{roles}"


def line_outcome(line: LogLine) -> tuple[str, str, str]:
    """Returns the outcome of a line of the log: a word, a shape and a tone."""
    words = (line.outcome or "").replace("_", " ")
    match line.state:
        case LineState.DONE:
            return words or "done", "●", "good"
        case LineState.REFUSED:
            return f"failed: {words}", "✕", "over"
        case LineState.UNKNOWN:
            return "outcome unknown", "?", "unsure"
        case LineState.UNRESOLVED:
            return "no answer yet", "?", "unsure"
        case LineState.DEFERRED:
            return "after acceptance", "◔", "open"
        case LineState.WAITING:
            return "waiting", "○", "open"
        case _:
            return words or "dropped", "⊖", "plain"


class ActionStyle(NamedTuple):
    """How an action of a plan or of the log is shown."""

    sign: str
    word: str
    tone: str


ACTIONS = {
    Action.INVITE: ActionStyle("+", "Invite", "good"),
    Action.RESEND: ActionStyle("↻", "Send again", "open"),
    Action.REPLACE: ActionStyle("↻", "Replace invitation", "open"),
    Action.ASSIGN_ROLE: ActionStyle("+", "Give role", "good"),
    Action.SETTLE: ActionStyle("+", "Give deferred role", "good"),
    Action.UNASSIGN_ROLE: ActionStyle("-", "Take role", "over"),
    Action.REVOKE: ActionStyle("-", "Withdraw invitation", "over"),
    Action.REMOVE: ActionStyle("-", "Remove", "over"),
    Action.WITHDRAW: ActionStyle("-", "Cancel deferred role", "plain"),
    Action.DEFER: ActionStyle("…", "Role after acceptance", "plain"),
    Action.UNRESOLVED: ActionStyle("?", "Not sure", "unsure"),
    Action.CANNOT: ActionStyle("!", "Not possible", "over"),
}


FINDINGS = {
    FindingKind.NOT_IN_ROSTER: ("Not in the roster", "▲", "over"),
    FindingKind.MISSING: ("Missing", "○", "open"),
    FindingKind.UNCLEAR: ("Not sure", "?", "unsure"),
    FindingKind.OUTSIDE_DOMAIN: ("Outside the domains", "▲", "over"),
    FindingKind.ADMIN: ("Administrator", "◆", "plain"),
    FindingKind.OUTSIDE_COLLABORATOR: ("Outside collaborator", "◆", "open"),
    FindingKind.PENDING: ("Open for long", "◔", "open"),
    FindingKind.SUSPENDED: ("Suspended", "■", "over"),
    FindingKind.NO_ACCESS: ("No access", "▲", "over"),
}
"""How the findings of an audit are shown: a word, a shape and a tone."""
