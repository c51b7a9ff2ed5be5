"""Aitronos keeps the rules that every provider keeps, in both families of its documentation."""

from __future__ import annotations

from typing import ClassVar

from guestlist.testing.conformance import ProviderSuite
from guestlist_aitronos.sandbox import AitronosService


class TestAitronos(ProviderSuite):
    service = AitronosService
    role = "Member"


class TestAitronosOrganizations(ProviderSuite):
    service = AitronosService
    role = "Member"
    facts: ClassVar = {
        "profile": "organizations",
        "expired_lookup": "missing",
        "duplicates": "refresh",
        "invitee_status": "Pending",
    }
