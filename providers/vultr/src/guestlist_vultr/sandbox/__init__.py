"""An in-memory imitation of Vultr IAM: what `guestlist sandbox` serves for the provider `vultr`."""

from .service import VultrService

__all__ = ["VultrService"]
