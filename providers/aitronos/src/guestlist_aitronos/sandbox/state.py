"""The state of an imitated Aitronos: its records and switches, without the endpoints."""

from __future__ import annotations

from guestlist.sandbox.service import Service
from guestlist_aitronos.sandbox.records import INVITED, Membership, Records


class ServiceState(Service):
    """The part of the sandbox that endpoints and rules use.

    The profiles are the two families of pages that describe the same endpoints: `crew` (the newer
    one, which the SDK's types match) and `organizations`.

    Each switch stands for a behavior that the pages leave open or describe in contradictory ways.
    `who_may_invite` also decides who may resend and cancel.
    """

    name = "aitronos"
    title = "Aitronos"
    profiles = ("crew", "organizations")
    switches = {  # noqa: RUF012 - the base class types it as a class variable
        # inviting: the fields of the answer, invited addresses, and who may invite
        "invite_reply": ("union", "profile"),
        "duplicates": ("refuse", "refresh"),
        "who_may_invite": ("admin", "member"),
        # the life of an invitation
        "validity_days": ("7", "1", "30"),
        "resend_moves_expiry": ("yes", "no"),
        "expired_lookup": ("found", "missing"),
        "accept_address": ("must_match", "any"),
        # invited people in the members' endpoints
        "members_include_invited": ("yes", "no"),
        "invitee_status": (INVITED, "Pending"),
        # unknown body fields, the form of a 422, and the status for changes of the owner (400, 403)
        "extra_fields": ("lenient", "strict"),
        "validation_body": ("envelope", "detail"),
        "owner_refusal": ("validation", "forbidden"),
        # rate limits
        "rate": ("bucket", "window", "off"),
        "plan": ("standard", "premium"),
    }

    records: Records
    """All records of the service."""

    def shows(self, row: Membership) -> bool:
        """Returns whether the members' endpoints include a row. Whether they include invited people
        depends on a switch."""
        return row.status != INVITED or self.chosen["members_include_invited"] == "yes"
