"""SCIM 2.0 for guestlist."""
