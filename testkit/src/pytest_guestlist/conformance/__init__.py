"""The conformance suite: what every provider has to do, as tests for its author to run.

    from guestlist.testing.conformance import ProviderSuite

    class TestAcme(ProviderSuite):
        service = AcmeService               # its sandbox

That is all. For a live service, override `setting` and return a `Setting` of your own; to replay
what was recorded from one, see `Recorded`. The docstring of each test is the rule that it checks; a
failure names the rule, what was expected, what came, and where to look.
"""

from guestlist.testing.conformance.documented import Shown
from guestlist.testing.conformance.setting import Lacking, SandboxSetting, Setting
from guestlist.testing.conformance.suite import ProviderSuite
from guestlist.testing.conformance.tour import Guide

__all__ = ["Guide", "Lacking", "ProviderSuite", "SandboxSetting", "Setting", "Shown"]
