"""The test kit of guestlist, for applications and for providers.

The fixtures of `pytest_guestlist.plugin` need no import. See `docs/testing.md` for applications,
`docs/writing-a-provider.md` and `docs/conformance.md` for providers.
"""
