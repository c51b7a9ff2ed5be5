"""Anthropic for guestlist: invitations, members and workspaces of an organization."""

from guestlist_anthropic.provider import Anthropic

__all__ = ["Anthropic"]
