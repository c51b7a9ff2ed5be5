"""The roster, which states who belongs to which accounts, and plans that make the services match
it.

Names are loaded on first use, so that reading a roster file does not import the client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guestlist.roster.diff import Note
    from guestlist.roster.file import Roster, read_roster
    from guestlist.roster.limits import Limits
    from guestlist.roster.plan import Plan, make_plan
    from guestlist.roster.planfile import PlanFile, read_plan
    from guestlist.roster.staleness import iter_outdated_changes
    from guestlist.roster.summary import Over, Summary
    from guestlist.roster.wanted import Wanted

_HOMES = {
    "diff": "Note",
    "file": "Roster read_roster",
    "staleness": "iter_outdated_changes",
    "limits": "Limits",
    "plan": "Plan make_plan",
    "planfile": "PlanFile read_plan",
    "summary": "Over Summary",
    "wanted": "Wanted",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Limits",
    "Note",
    "Over",
    "Plan",
    "PlanFile",
    "Roster",
    "Summary",
    "Wanted",
    "iter_outdated_changes",
    "make_plan",
    "read_plan",
    "read_roster",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
