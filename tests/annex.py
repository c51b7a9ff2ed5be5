"""A service that needs two requests for an invitation, as at Datadog: one creates a record of the
person, the other sends the email. Nothing shows whether the email was sent.

`Telling` is for the same service if its list leaves out people who got no email.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tests.hall import INVITATION, Base, HallService

from guestlist.errors import Conflict
from guestlist.models import OPEN_STATES, Invitation, NewInvitation
from guestlist.provider import Effect, Flow, Request, operation
from guestlist.sandbox import IncomingRequest, Routes, Switch
from guestlist.sandbox.organization import SWITCHES


class AnnexService(HallService):
    name = "annex"
    title = "Annex"
    switches: ClassVar = {
        **{name: SWITCHES[name] for name in ("accepted", "expired_invitations", "revoked")},
        "resend_moves_expiry": Switch(("no",), "an email changes nothing in the record"),
        "resend_expired": Switch(("refuse",), "a record that has expired is made anew"),
    }
    routes = Routes(HallService.routes)

    @routes.post("/invitations", status=201)
    def create(self, request: IncomingRequest) -> Any:
        """Creates the record of a person, and sends no email."""
        made = self.organization.invite(request.text("email"), self.named(request), send=False)
        return self.shown(made)

    @routes.post(f"{INVITATION}/resend")
    def send(self, request: IncomingRequest) -> Any:
        """Sends the email, the first or another one."""
        self.organization.invitation(request.path["id"]).fields["sent"] = True
        return self.resend(request)


class TellingService(AnnexService):
    """The list leaves out people who got no email. A search by address finds them."""

    name = "telling"
    routes = Routes(AnnexService.routes)

    @routes.get("/invitations")
    def list_sent(self, request: IncomingRequest) -> Any:
        if "email" in request.query:
            return self.list_invitations(request)
        shown = self.organization.shown_invitations()
        return self.page(request, [one for one in shown if one.fields.get("sent")])

    def snapshot(self) -> dict[str, Any]:
        """Leaves out people who got no email, too: nobody can accept for them."""
        held = super().snapshot()
        sent = {one.id for one in self.organization.invitations.values() if one.fields.get("sent")}
        return {**held, "invitations": [one for one in held["invitations"] if one["id"] in sent]}


class Annex(Base):
    """Invitations of two requests."""

    name = "annex"
    title = "Annex"
    docs_url = "https://docs.annex.example/invitations"
    resend_moves_expiry = False
    sandbox = "tests.annex:AnnexService"

    @property
    def refuses_duplicates(self) -> bool:
        """The flow goes on with a record that is there, and sends its email."""
        return False

    @property
    def refuses_members(self) -> bool:
        return True

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        roles = {"roles": [role.id for role in new.roles]}
        body = {"email": new.email, **roles}
        try:
            reply = yield Request.post("invitations", json=body, effect=Effect.PREPARE)
            id = str(reply.mapping()["id"])
        except Conflict:
            found = yield from self._of(new.email)
            if found is None:
                raise
            id = str(found.id)
            yield Request.put("invitations", id, json=roles, effect=Effect.PREPARE)
        reply = yield Request.post("invitations", id, "resend")
        return self.read_invitation(reply.mapping())

    def _of(self, email: str) -> Flow[Invitation | None]:
        reply = yield Request.get("invitations", query={"email": email})
        found = map(self.read_invitation, reply.items("items"))
        return next((one for one in found if one.state in OPEN_STATES), None)


class Telling(Annex):
    """The list proves that an email was sent."""

    name = "telling"
    sandbox = "tests.annex:TellingService"
    shows_prepared = False
