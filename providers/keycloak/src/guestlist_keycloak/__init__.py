"""Keycloak for guestlist."""
