"""Aitronos organizations for guestlist."""

from __future__ import annotations

from collections.abc import Callable

from guestlist.provider import Provider, hookimpl
from guestlist_aitronos.provider import Aitronos
from guestlist_aitronos.results import BulkResend, ResendFailure, Status

__all__ = ["Aitronos", "BulkResend", "ResendFailure", "Status"]


@hookimpl
def guestlist_register(register: Callable[[type[Provider]], None]) -> None:
    """Registers the provider. guestlist calls this when it loads plugins."""
    register(Aitronos)
