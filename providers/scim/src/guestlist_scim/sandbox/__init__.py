"""A local imitation of a service with SCIM 2.0."""

from guestlist_scim.sandbox.service import ScimService

__all__ = ["ScimService"]
