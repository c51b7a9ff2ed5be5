"""Vultr IAM for guestlist: invitations, members and grants of Vultr organizations."""

from guestlist_vultr.provider import Vultr, VultrOptions

__all__ = ["Vultr", "VultrOptions"]
