"""Plan, apply, settle, follow, who and audit as library functions.

    import guestlist

    result = guestlist.apply("guestlist.toml", confirm=lambda plan: plan.summary.possible < 100)

Each function has a module of its own: `planning`, `applying`, `settling`, `following`, `people`
(`who`) and `auditing`.
The async versions are in `asynchronous`, except those of `who` and `audit`. All but these two need
the extra `guestlist[ledger]`. Names are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from guestlist.ledger import needing_extra

if TYPE_CHECKING:
    from guestlist.runs.applying import ApplyResult, apply
    from guestlist.runs.asynchronous import apply_async, follow_async, plan_async, settle_async
    from guestlist.runs.auditing import AuditResult, audit, audit_async
    from guestlist.runs.findings import Finding, FindingKind, Unchecked
    from guestlist.runs.following import FollowResult, follow
    from guestlist.runs.people import People, who, who_async
    from guestlist.runs.person import Person
    from guestlist.runs.planning import plan
    from guestlist.runs.settling import SettleResult, settle

_HOMES = {
    "applying": "ApplyResult apply",
    "auditing": "AuditResult audit audit_async",
    "asynchronous": "apply_async follow_async plan_async settle_async",
    "findings": "Finding FindingKind Unchecked",
    "following": "FollowResult follow",
    "people": "People who who_async",
    "person": "Person",
    "planning": "plan",
    "settling": "SettleResult settle",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "ApplyResult",
    "AuditResult",
    "Finding",
    "FindingKind",
    "FollowResult",
    "People",
    "Person",
    "SettleResult",
    "Unchecked",
    "apply",
    "apply_async",
    "audit",
    "audit_async",
    "follow",
    "follow_async",
    "plan",
    "plan_async",
    "settle",
    "settle_async",
    "who",
    "who_async",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needing_extra():
        value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
