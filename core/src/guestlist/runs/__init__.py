"""Plan, apply, settle, follow and who as library functions: the work behind the commands.

    import guestlist

    result = guestlist.apply("guestlist.toml", confirm=lambda plan: plan.summary.possible < 100)

Each function has a module of its own: `planning`, `applying`, `settling`, `following`, `people`.
The async versions are in `asynchronous`, except that of `who`, which is in `people`. All but `who`
need the extra `guestlist[ledger]`. Names are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from guestlist.ledger import needing_extra

if TYPE_CHECKING:
    from guestlist.runs.applying import ApplyResult, apply
    from guestlist.runs.asynchronous import apply_async, follow_async, plan_async, settle_async
    from guestlist.runs.following import FollowResult, follow
    from guestlist.runs.people import People, who, who_async
    from guestlist.runs.person import Person
    from guestlist.runs.planning import plan
    from guestlist.runs.settling import SettleResult, settle

_HOMES = {
    "applying": "ApplyResult apply",
    "asynchronous": "apply_async follow_async plan_async settle_async",
    "following": "FollowResult follow",
    "people": "People who who_async",
    "person": "Person",
    "planning": "plan",
    "settling": "SettleResult settle",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "ApplyResult",
    "FollowResult",
    "People",
    "Person",
    "SettleResult",
    "apply",
    "apply_async",
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
