"""Anthropic for guestlist."""
