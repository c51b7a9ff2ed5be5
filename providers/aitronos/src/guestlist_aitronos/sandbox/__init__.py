"""An in-memory imitation of Aitronos' organizations API.

Docstrings of endpoints begin with their sources: CM, OI, OM, OR, OS, U and OBJ are groups of pages
in Aitronos' documentation, SDK is the official client.
"""

from guestlist_aitronos.sandbox.service import AitronosService

__all__ = ["AitronosService"]
