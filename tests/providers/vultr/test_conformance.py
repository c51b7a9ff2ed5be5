"""Vultr keeps the rules that every provider keeps, in each of the shapes that its sources show."""

from __future__ import annotations

from typing import ClassVar

from guestlist.testing.conformance import ProviderSuite
from guestlist_vultr.sandbox import VultrService


class TestVultr(ProviderSuite):
    service = VultrService


class TestVultrOpenapi(ProviderSuite):
    origins_are_told = False  # its lists of what a user holds are flat
    service = VultrService
    facts: ClassVar = {
        "profile": "openapi",
        "listing": "pending",
        "user_status": "present",
        "duplicates": "allow",
    }
