"""GitLab for guestlist."""
