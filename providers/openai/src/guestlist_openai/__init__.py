"""OpenAI for guestlist."""
