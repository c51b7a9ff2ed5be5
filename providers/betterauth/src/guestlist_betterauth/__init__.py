"""better-auth for guestlist: invitations, members and roles of its organization plugin."""

from guestlist_betterauth.provider import BetterAuth

__all__ = ["BetterAuth"]
