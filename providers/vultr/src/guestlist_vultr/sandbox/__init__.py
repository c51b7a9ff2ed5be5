"""An in-memory imitation of Vultr IAM, which `guestlist sandbox` serves for the provider
`vultr`."""

from .service import VultrService

__all__ = ["VultrService"]
