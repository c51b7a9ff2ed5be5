"""GitLab for guestlist: invitations, members and roles of a group or project."""

from guestlist_gitlab.provider import GitLab, GitLabOptions

__all__ = ["GitLab", "GitLabOptions"]
