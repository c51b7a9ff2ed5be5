"""Providers with unusual invitations keep the rules that every provider keeps."""

from __future__ import annotations

from typing import ClassVar

import pytest
from tests.annex import Annex, AnnexService, Telling, TellingService
from tests.hall import (
    ByAddress,
    Changing,
    Endless,
    EndlessService,
    Hall,
    HallService,
    OneRole,
)

from pytest_guestlist.conformance import ProviderSuite, VariantSuite


class TestChangeableInvitations(VariantSuite):
    kind = Hall
    service = HallService


@pytest.mark.proof  # GitLab does the same
class TestChangeableInvitationsOfOneRole(VariantSuite):
    kind = OneRole
    service = HallService


@pytest.mark.proof  # GitLab does the same
class TestInvitationsWithoutIds(VariantSuite):
    kind = ByAddress
    service = HallService
    facts: ClassVar = {"invitation_ids": "address", "accepted": "vanish", "revoked": "vanish"}


@pytest.mark.proof  # Keycloak does the same
class TestIdsThatChange(VariantSuite):
    kind = Changing
    service = HallService
    facts: ClassVar = {
        "resend_id": "change",
        "accepted": "vanish",
        "revoked": "vanish",
        "expired_invitations": "block",
    }


class TestInvitationsThatNeverExpire(VariantSuite):
    kind = Endless
    service = EndlessService


class TestInvitationsOfTwoRequests(ProviderSuite):
    kind = Annex
    service = AnnexService


@pytest.mark.proof  # differs from Annex in what the list of invitations shows
class TestInvitationsOfTwoRequestsThatTheListShows(VariantSuite):
    kind = Telling
    service = TellingService
