"""The state of an imitated Aitronos: its records and switches, without the endpoints."""

from __future__ import annotations

from guestlist.sandbox.service import Service
from guestlist_aitronos.sandbox.records import INVITED, Membership, Records


class ServiceState(Service):
    """The part of the sandbox that endpoints and rules work with.

    Profiles are the two families of pages that describe the same endpoints: `crew` (the newer,
    and what the SDK is typed after) and `organizations`.

    The switches are what the pages leave open or contradict each other about. `who_may_invite`
    also decides who may resend and cancel.
    """

    name = "aitronos"
    title = "Aitronos"
    profiles = ("crew", "organizations")
    switches = {  # noqa: RUF012 - the base class types it as a class variable
        # inviting: which fields answer it, an address that is invited already, whom it takes
        "invite_reply": ("union", "profile"),
        "duplicates": ("refuse", "refresh"),
        "who_may_invite": ("admin", "member"),
        # what becomes of an invitation
        "validity_days": ("7", "1", "30"),
        "resend_moves_expiry": ("yes", "no"),
        "expired_lookup": ("found", "missing"),
        "accept_address": ("must_match", "any"),
        # what the members' endpoints say about invitees
        "members_include_invited": ("yes", "no"),
        "invitee_status": (INVITED, "Pending"),
        # unknown body fields, the shape of a 422, and whether protecting the owner is 400 or 403
        "extra_fields": ("lenient", "strict"),
        "validation_body": ("envelope", "detail"),
        "owner_refusal": ("validation", "forbidden"),
        # how many requests are let through
        "rate": ("bucket", "window", "off"),
        "plan": ("standard", "premium"),
    }

    records: Records
    """Everything the service holds."""

    def shows(self, row: Membership) -> bool:
        """Whether the members' endpoints know of a row: of an invitee's, a switch decides."""
        return row.status != INVITED or self.chosen["members_include_invited"] == "yes"
