"""The conformance suite: what every provider has to do, as tests for its author to run.

    from pytest_guestlist.conformance import ProviderSuite

    class TestAcme(ProviderSuite):
        service = AcmeService               # its sandbox

That is all. For a live service, override `setting` and return a `Setting` of your own; to replay
what was recorded from one, see `Recorded`. The docstring of each test is the rule that it checks; a
failure names the rule, what was expected, what came, and where to look.
"""

from pytest_guestlist.conformance.documented import Shown
from pytest_guestlist.conformance.setting import Lacking, SandboxSetting, Setting
from pytest_guestlist.conformance.suite import ProviderSuite
from pytest_guestlist.conformance.tour import Guide

__all__ = ["Guide", "Lacking", "ProviderSuite", "SandboxSetting", "Setting", "Shown"]
