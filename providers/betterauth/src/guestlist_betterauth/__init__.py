"""better-auth for guestlist: invitations, members and roles of its organization plugin."""

from collections.abc import Callable

from guestlist.provider import Provider, hookimpl
from guestlist_betterauth.provider import BetterAuth

__all__ = ["BetterAuth", "guestlist_register"]


@hookimpl
def guestlist_register(register: Callable[[type[Provider]], None]) -> None:
    """Registers the provider. guestlist calls this when it loads plugins."""
    register(BetterAuth)
