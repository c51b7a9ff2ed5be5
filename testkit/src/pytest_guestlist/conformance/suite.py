"""The whole suite."""

from __future__ import annotations

from guestlist.testing.conformance.answers import Answers
from guestlist.testing.conformance.documented import Documented
from guestlist.testing.conformance.identity import Identity
from guestlist.testing.conformance.inviting import Inviting
from guestlist.testing.conformance.listing import Listing
from guestlist.testing.conformance.membership import Membership
from guestlist.testing.conformance.parity import Parity
from guestlist.testing.conformance.refusals import Refusals
from guestlist.testing.conformance.resending import Resending
from guestlist.testing.conformance.revoking import Revoking
from guestlist.testing.conformance.sending import Sending
from guestlist.testing.conformance.standing import Standing


class ProviderSuite(
    Identity,
    Inviting,
    Resending,
    Revoking,
    Standing,
    Membership,
    Listing,
    Documented,
    Answers,
    Refusals,
    Sending,
    Parity,
):
    """Every rule that a provider has to keep. Subclass it in a test module:

        class TestAcme(ProviderSuite):
            service = AcmeService

    Version 1 of the contract.
    """
