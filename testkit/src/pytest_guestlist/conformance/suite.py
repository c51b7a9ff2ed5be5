"""The whole suite, and the part of it for variants of a service."""

from __future__ import annotations

from pytest_guestlist.conformance.answers import Answers
from pytest_guestlist.conformance.documented import Documented
from pytest_guestlist.conformance.identity import Identity
from pytest_guestlist.conformance.inviting import Inviting
from pytest_guestlist.conformance.listing import Listing
from pytest_guestlist.conformance.membership import Membership
from pytest_guestlist.conformance.parity import Parity
from pytest_guestlist.conformance.permissions import Permissions
from pytest_guestlist.conformance.refusals import Refusals
from pytest_guestlist.conformance.resending import Resending
from pytest_guestlist.conformance.revoking import Revoking
from pytest_guestlist.conformance.sending import Sending
from pytest_guestlist.conformance.several import Several
from pytest_guestlist.conformance.status import StatusRules


class VariantSuite(
    Inviting, Resending, Revoking, StatusRules, Membership, Several, Listing, Permissions
):
    """The rules that depend on how the service behaves. If a service comes in several variants,
    such as versions or settings, test one with `ProviderSuite` and each other one with this:

        class TestAcmeWithoutSearch(VariantSuite):
            service = AcmeService
            facts = {"search": "no"}
    """


class ProviderSuite(Identity, VariantSuite, Documented, Answers, Refusals, Sending, Parity):
    """Every rule that a provider has to keep. Subclass it in a test module:

        class TestAcme(ProviderSuite):
            service = AcmeService

    Version 1 of the contract.
    """
