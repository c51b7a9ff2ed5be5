"""GitHub for guestlist."""
