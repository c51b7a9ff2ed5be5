"""The sandbox of Aitronos: its organizations API, imitated in memory."""

from guestlist_aitronos.sandbox.service import AitronosService

__all__ = ["AitronosService"]
