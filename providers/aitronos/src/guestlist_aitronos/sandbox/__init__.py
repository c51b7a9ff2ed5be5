"""An in-memory imitation of Aitronos' organizations API."""

from guestlist_aitronos.sandbox.service import AitronosService

__all__ = ["AitronosService"]
