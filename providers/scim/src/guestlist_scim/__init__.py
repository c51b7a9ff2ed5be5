"""SCIM 2.0 for guestlist: the users and groups of any service that speaks it."""

from guestlist_scim.provider import Scim

__all__ = ["Scim"]
