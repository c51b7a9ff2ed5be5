"""The conformance suite: the rules for every provider, as tests that its author runs.

    from pytest_guestlist.conformance import ProviderSuite

    class TestAcme(ProviderSuite):
        service = AcmeService               # its sandbox

That is all. For a live service, override `backend` and return a `Backend` of your own; to replay
what was recorded from one, see `Recorded`. The docstring of each test is the rule that it checks; a
failure names the rule, what was expected, what came, and where to look.
"""

from pytest_guestlist.conformance.backend import Backend, SandboxBackend, Skipped
from pytest_guestlist.conformance.documented import Example
from pytest_guestlist.conformance.suite import ProviderSuite, VariantSuite
from pytest_guestlist.conformance.walkthrough import WalkthroughRunner

__all__ = [
    "Backend",
    "Example",
    "ProviderSuite",
    "SandboxBackend",
    "Skipped",
    "VariantSuite",
    "WalkthroughRunner",
]
