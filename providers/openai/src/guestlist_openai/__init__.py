"""OpenAI for guestlist: invitations, members and projects of an organization."""

from guestlist_openai.provider import OpenAI

__all__ = ["OpenAI"]
