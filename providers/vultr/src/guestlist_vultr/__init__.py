"""Vultr IAM for guestlist: invitations, members and grants of Vultr organizations."""

from collections.abc import Callable

from guestlist.provider import Provider, hookimpl
from guestlist_vultr.provider import Vultr, VultrOptions

__all__ = ["Vultr", "VultrOptions", "guestlist_register"]


@hookimpl
def guestlist_register(register: Callable[[type[Provider]], None]) -> None:
    """Registers the provider. guestlist calls this when it loads plugins."""
    register(Vultr)
