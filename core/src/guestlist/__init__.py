"""guestlist invites people into organizations on GitHub, GitLab, Keycloak and other services.

    from guestlist import Guestlist

    with Guestlist() as guests:                 # accounts from guestlist.toml or the environment
        result = guests.invite("ada@example.com", account="cloud")
        print(result.outcome, guests.status("ada@example.com", account="cloud").state)

Importing this module loads nothing but itself; the names below are loaded when they are used.
"""

from __future__ import annotations

from guestlist._version import __version__

# Type checkers treat this as true. Importing the real one would load half of `typing`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from guestlist.address import email_key as email_key
    from guestlist.changes import Action as Action
    from guestlist.changes import Change as Change
    from guestlist.client import AsyncGuestlist as AsyncGuestlist
    from guestlist.client import Guestlist as Guestlist
    from guestlist.errors import AlreadyInvited as AlreadyInvited
    from guestlist.errors import AlreadyMember as AlreadyMember
    from guestlist.errors import CallerMistake as CallerMistake
    from guestlist.errors import ConfigError as ConfigError
    from guestlist.errors import Conflict as Conflict
    from guestlist.errors import Forbidden as Forbidden
    from guestlist.errors import GuestlistError as GuestlistError
    from guestlist.errors import InvalidArgument as InvalidArgument
    from guestlist.errors import LedgerError as LedgerError
    from guestlist.errors import MalformedResponse as MalformedResponse
    from guestlist.errors import NotFound as NotFound
    from guestlist.errors import OutcomeUnknown as OutcomeUnknown
    from guestlist.errors import PluginError as PluginError
    from guestlist.errors import RateLimited as RateLimited
    from guestlist.errors import Rejected as Rejected
    from guestlist.errors import SeatLimit as SeatLimit
    from guestlist.errors import ServiceRefusal as ServiceRefusal
    from guestlist.errors import ServiceTrouble as ServiceTrouble
    from guestlist.errors import ServiceUnavailable as ServiceUnavailable
    from guestlist.errors import Unauthorized as Unauthorized
    from guestlist.errors import UnknownAccount as UnknownAccount
    from guestlist.errors import UnknownRole as UnknownRole
    from guestlist.errors import Unsupported as Unsupported
    from guestlist.errors import WaitTimeout as WaitTimeout
    from guestlist.event import Event as Event
    from guestlist.event import EventName as EventName
    from guestlist.exchange.account import Budget as Budget
    from guestlist.ledger.answers import Answer as Answer
    from guestlist.ledger.ledger import Ledger as Ledger
    from guestlist.ledger.log import LineState as LineState
    from guestlist.ledger.log import LogEntry as LogEntry
    from guestlist.ledger.log import LogLine as LogLine
    from guestlist.models import Access as Access
    from guestlist.models import AccountOffboarding as AccountOffboarding
    from guestlist.models import Basis as Basis
    from guestlist.models import Grant as Grant
    from guestlist.models import Guest as Guest
    from guestlist.models import Identity as Identity
    from guestlist.models import Invitation as Invitation
    from guestlist.models import InviteResult as InviteResult
    from guestlist.models import LimitUsage as LimitUsage
    from guestlist.models import Member as Member
    from guestlist.models import MemberState as MemberState
    from guestlist.models import NewInvitation as NewInvitation
    from guestlist.models import OffboardOutcome as OffboardOutcome
    from guestlist.models import OffboardResult as OffboardResult
    from guestlist.models import OnboardOutcome as OnboardOutcome
    from guestlist.models import OnboardResult as OnboardResult
    from guestlist.models import Outcome as Outcome
    from guestlist.models import OwnAccess as OwnAccess
    from guestlist.models import RemoveOutcome as RemoveOutcome
    from guestlist.models import RemoveResult as RemoveResult
    from guestlist.models import RevokeOutcome as RevokeOutcome
    from guestlist.models import RevokeResult as RevokeResult
    from guestlist.models import Role as Role
    from guestlist.models import RoleOutcome as RoleOutcome
    from guestlist.models import RoleResult as RoleResult
    from guestlist.models import State as State
    from guestlist.roster.diff import Note as Note
    from guestlist.roster.file import Roster as Roster
    from guestlist.roster.plan import Plan as Plan
    from guestlist.roster.planfile import PlanFile as PlanFile
    from guestlist.roster.summary import Over as Over
    from guestlist.roster.summary import Summary as Summary
    from guestlist.runs import apply as apply
    from guestlist.runs import apply_async as apply_async
    from guestlist.runs import audit as audit
    from guestlist.runs import audit_async as audit_async
    from guestlist.runs import follow as follow
    from guestlist.runs import follow_async as follow_async
    from guestlist.runs import plan as plan
    from guestlist.runs import plan_async as plan_async
    from guestlist.runs import settle as settle
    from guestlist.runs import settle_async as settle_async
    from guestlist.runs import who as who
    from guestlist.runs import who_async as who_async
    from guestlist.runs.applying import ApplyResult as ApplyResult
    from guestlist.runs.auditing import AuditResult as AuditResult
    from guestlist.runs.findings import Finding as Finding
    from guestlist.runs.findings import FindingKind as FindingKind
    from guestlist.runs.findings import Unchecked as Unchecked
    from guestlist.runs.following import FollowResult as FollowResult
    from guestlist.runs.people import People as People
    from guestlist.runs.person import Person as Person
    from guestlist.runs.progress import AwaitingAcceptance as AwaitingAcceptance
    from guestlist.runs.progress import CheckingAcceptance as CheckingAcceptance
    from guestlist.runs.progress import CheckingPlan as CheckingPlan
    from guestlist.runs.progress import Planned as Planned
    from guestlist.runs.progress import ReadingAccount as ReadingAccount
    from guestlist.runs.progress import ReadingRoster as ReadingRoster
    from guestlist.runs.progress import Reconciling as Reconciling
    from guestlist.runs.progress import Resuming as Resuming
    from guestlist.runs.progress import RunEnded as RunEnded
    from guestlist.runs.progress import RunEvent as RunEvent
    from guestlist.runs.progress import RunProblem as RunProblem
    from guestlist.runs.progress import RunProgress as RunProgress
    from guestlist.runs.progress import RunStarted as RunStarted
    from guestlist.runs.settling import SettleResult as SettleResult
    from guestlist.runs.stop import Stop as Stop
    from guestlist.runs.tally import Tally as Tally
    from guestlist.verbs.lists import AsyncItems as AsyncItems
    from guestlist.verbs.lists import Items as Items

_HOMES = {
    "address": "email_key",
    "changes": "Action Change",
    "client": "AsyncGuestlist Guestlist",
    "errors": """AlreadyInvited AlreadyMember CallerMistake ConfigError Conflict Forbidden
        GuestlistError InvalidArgument LedgerError MalformedResponse NotFound OutcomeUnknown
        PluginError RateLimited Rejected SeatLimit ServiceRefusal ServiceTrouble
        ServiceUnavailable Unauthorized UnknownAccount UnknownRole Unsupported WaitTimeout""",
    "event": "Event EventName",
    "exchange.account": "Budget",
    "ledger": "Ledger",
    "ledger.answers": "Answer",
    "ledger.log": "LineState LogEntry LogLine",
    "models": """Access AccountOffboarding Basis Grant Guest Identity Invitation InviteResult
        LimitUsage Member MemberState NewInvitation OffboardOutcome OffboardResult OnboardOutcome
        OnboardResult Outcome OwnAccess RemoveOutcome RemoveResult RevokeOutcome RevokeResult Role
        RoleOutcome RoleResult State""",
    "roster.diff": "Note",
    "roster.file": "Roster",
    "roster.plan": "Plan",
    "roster.planfile": "PlanFile",
    "roster.summary": "Over Summary",
    "runs": """ApplyResult AuditResult Finding FindingKind FollowResult People Person SettleResult
        Unchecked apply apply_async audit audit_async follow follow_async plan plan_async settle
        settle_async who who_async""",
    "runs.progress": """AwaitingAcceptance CheckingAcceptance CheckingPlan Planned ReadingAccount
        ReadingRoster Reconciling Resuming RunEnded RunEvent RunProblem RunProgress RunStarted""",
    "runs.stop": "Stop",
    "runs.tally": "Tally",
    "verbs.lists": "AsyncItems Items",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = ["__version__", *sorted(_HOME_OF)]


# There is no `__dir__`: freezegun reads every name that `dir` lists, and pydantic models cannot be
# imported while the date is frozen.
def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'guestlist' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"guestlist.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
