"""The contract between guestlist and a provider. The one module that a plugin author reads.

A provider translates guestlist's operations into one service's HTTP API. It never sends anything:
an operation is a generator that yields `Request`s, receives `Response`s and returns a normalized
value. Everything else (credentials on the wire, pacing, retries, recovery, redaction, sync and
async) is done outside, once, for all providers.

    class Acme(Provider):
        name = "acme"
        title = "Acme"
        base_url: str = setting("Where the service is", default="https://api.acme.example")
        api_key: str = setting("A key that may invite", env="ACME_API_KEY", secret=True)

        def authorize(self):
            return {"Authorization": f"Bearer {self.api_key}"}

        @operation
        def invite(self, order):
            reply = yield Request.post("v1", "invites", json={"email": order.email})
            return self.read_invitation(reply.mapping())

        def read_invitation(self, raw):
            state = STATES.get(raw["status"], State.UNKNOWN)
            return Invitation(id=raw["id"], email=raw["email"], state=state, raw=raw)

    @hookimpl
    def guestlist_register(register):
        register(Acme)

Rules of a flow:

* An answer outside 2xx never arrives at the `yield`: it becomes an exception from
  `guestlist.errors`, raised there. Catch it where it is an answer (`NotFound` where absence is).
  Nor does one within 2xx in which `Provider.refusal` finds an error.
* Reading an answer of another shape may simply fail (`KeyError`, `TypeError`, `ValueError`): the
  caller gets `MalformedResponse`. Read liberally, send exactly.
* To use another operation or helper that yields, write `yield from`.
* No bare `next(...)` inside a flow: without a match it becomes `RuntimeError`. Use a loop.
"""

import pluggy

from guestlist.provider.base import Options, Provider
from guestlist.provider.explanations import explain
from guestlist.provider.messages import Effect, Limit, Page, RecordProblem, Request, Response
from guestlist.provider.operations import Flow, operation
from guestlist.provider.paging import Offset, every
from guestlist.provider.settings import setting
from guestlist.provider.shapes import READING_ERRORS

hookimpl = pluggy.HookimplMarker("guestlist")
"""Marks a plugin's hook implementations, such as `guestlist_register`."""

__all__ = [
    "READING_ERRORS",
    "Effect",
    "Flow",
    "Limit",
    "Offset",
    "Options",
    "Page",
    "Provider",
    "RecordProblem",
    "Request",
    "Response",
    "every",
    "explain",
    "hookimpl",
    "operation",
    "setting",
]
