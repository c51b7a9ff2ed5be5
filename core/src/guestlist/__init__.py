"""guestlist invites people into organizations, whichever service the organization lives on.

    from guestlist import Guestlist

    with Guestlist() as guests:                 # accounts from guestlist.toml or the environment
        result = guests.invite("ada@example.com", account="cloud")
        print(result.outcome, guests.status("ada@example.com", account="cloud").state)

Importing this module loads nothing but itself; the names below are loaded when they are used.
"""

from __future__ import annotations

from guestlist._version import __version__

TYPE_CHECKING = False  # checkers take it for true; the real one would load half of `typing`
if TYPE_CHECKING:
    from typing import Any

    from guestlist.address import email_key as email_key
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
    from guestlist.errors import ServiceRefusal as ServiceRefusal
    from guestlist.errors import ServiceTrouble as ServiceTrouble
    from guestlist.errors import ServiceUnavailable as ServiceUnavailable
    from guestlist.errors import Unauthorized as Unauthorized
    from guestlist.errors import UnknownAccount as UnknownAccount
    from guestlist.errors import UnknownRole as UnknownRole
    from guestlist.errors import Unsupported as Unsupported
    from guestlist.errors import WaitTimeout as WaitTimeout
    from guestlist.event import Event as Event
    from guestlist.exchange.account import Budget as Budget
    from guestlist.ledger.ledger import Ledger as Ledger
    from guestlist.models import Access as Access
    from guestlist.models import Basis as Basis
    from guestlist.models import Grant as Grant
    from guestlist.models import Guest as Guest
    from guestlist.models import Invitation as Invitation
    from guestlist.models import InviteResult as InviteResult
    from guestlist.models import Member as Member
    from guestlist.models import MemberState as MemberState
    from guestlist.models import NewInvitation as NewInvitation
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
    from guestlist.roster.file import Roster as Roster
    from guestlist.roster.plan import Plan as Plan
    from guestlist.roster.planfile import PlanFile as PlanFile
    from guestlist.runs import apply as apply
    from guestlist.runs import apply_async as apply_async
    from guestlist.runs import follow as follow
    from guestlist.runs import follow_async as follow_async
    from guestlist.runs import plan as plan
    from guestlist.runs import plan_async as plan_async
    from guestlist.runs import settle as settle
    from guestlist.runs import settle_async as settle_async
    from guestlist.runs.applying import ApplyResult as ApplyResult
    from guestlist.runs.following import FollowResult as FollowResult
    from guestlist.runs.settling import SettleResult as SettleResult

_HOMES = {
    "address": "email_key",
    "client": "AsyncGuestlist Guestlist",
    "errors": """AlreadyInvited AlreadyMember CallerMistake ConfigError Conflict Forbidden
        GuestlistError InvalidArgument LedgerError MalformedResponse NotFound OutcomeUnknown
        PluginError RateLimited Rejected ServiceRefusal ServiceTrouble ServiceUnavailable
        Unauthorized UnknownAccount UnknownRole Unsupported WaitTimeout""",
    "event": "Event",
    "exchange.account": "Budget",
    "ledger": "Ledger",
    "models": """Access Basis Grant Guest Invitation InviteResult Member MemberState
        OnboardOutcome OnboardResult RemoveOutcome RemoveResult RevokeOutcome RevokeResult
        NewInvitation Outcome OwnAccess Role RoleOutcome RoleResult State""",
    "roster": "Plan PlanFile Roster",
    "runs": """ApplyResult FollowResult SettleResult apply apply_async follow follow_async plan
        plan_async settle settle_async""",
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
