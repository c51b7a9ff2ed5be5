"""Plan, apply, settle and follow as library functions: the work behind the commands of these names.

    import guestlist

    result = guestlist.apply("guestlist.toml", confirm=lambda plan: plan.summary.possible < 100)

Each function has a module of its own: `planning`, `applying`, `settling`, `following`. Their
async versions are in `asynchronous`. All need the extra `guestlist[ledger]`. Names are loaded on
first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from guestlist.ledger import needing_extra

if TYPE_CHECKING:
    from guestlist.runs.applying import ApplyResult, apply
    from guestlist.runs.asynchronous import apply_async, follow_async, plan_async, settle_async
    from guestlist.runs.following import FollowResult, follow
    from guestlist.runs.planning import plan
    from guestlist.runs.settling import SettleResult, settle

_HOMES = {
    "applying": "ApplyResult apply",
    "asynchronous": "apply_async follow_async plan_async settle_async",
    "following": "FollowResult follow",
    "planning": "plan",
    "settling": "SettleResult settle",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "ApplyResult",
    "FollowResult",
    "SettleResult",
    "apply",
    "apply_async",
    "follow",
    "follow_async",
    "plan",
    "plan_async",
    "settle",
    "settle_async",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needing_extra():
        value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
