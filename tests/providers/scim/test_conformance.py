"""SCIM keeps the rules that every provider keeps."""

from __future__ import annotations

from guestlist_scim.sandbox import ScimService
from pytest_guestlist.conformance import ProviderSuite


class TestSandbox(ProviderSuite):
    service = ScimService
    joins_at_once = True
    role = "Support"
