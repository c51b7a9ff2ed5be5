"""The whole suite, and the part of it for variants of a service."""

from __future__ import annotations

from pytest_guestlist.conformance.answers import AnswerRules
from pytest_guestlist.conformance.documented import DocumentedRules
from pytest_guestlist.conformance.identity import IdentityRules
from pytest_guestlist.conformance.inviting import InvitingRules
from pytest_guestlist.conformance.listing import ListingRules
from pytest_guestlist.conformance.membership import MembershipRules
from pytest_guestlist.conformance.parity import ParityRules
from pytest_guestlist.conformance.permissions import PermissionRules
from pytest_guestlist.conformance.refusals import RefusalRules
from pytest_guestlist.conformance.resending import ResendingRules
from pytest_guestlist.conformance.revoking import RevokingRules
from pytest_guestlist.conformance.sending import SendingRules
from pytest_guestlist.conformance.several import SeveralPeopleRules
from pytest_guestlist.conformance.status import StatusRules


class VariantSuite(
    InvitingRules,
    ResendingRules,
    RevokingRules,
    StatusRules,
    MembershipRules,
    SeveralPeopleRules,
    ListingRules,
    PermissionRules,
):
    """The rules that depend on how the service behaves. If a service comes in several variants,
    such as versions or settings, test one with `ProviderSuite` and each other one with this:

        class TestAcmeWithoutSearch(VariantSuite):
            service = AcmeService
            facts = {"search": "no"}
    """


class ProviderSuite(
    IdentityRules,
    VariantSuite,
    DocumentedRules,
    AnswerRules,
    RefusalRules,
    SendingRules,
    ParityRules,
):
    """Every rule that a provider has to keep. Subclass it in a test module:

        class TestAcme(ProviderSuite):
            service = AcmeService

    Version 1 of the contract.
    """
