"""GitHub for guestlist: invitations, members and teams of organizations."""

from guestlist_github.provider import GitHub, GitHubOptions

__all__ = ["GitHub", "GitHubOptions"]
