"""The contract between guestlist and a provider. The only module that a plugin author has to read.

A provider translates guestlist's operations into the HTTP API of one service. It does no I/O: an
operation is a generator that yields `Request`s, receives `Response`s and returns a normalized
value. Such a generator is called a flow. guestlist does everything else once for all providers:
sending, rate limits, retries, recovery, redaction, sync and async.

    class Acme(Provider):
        name = "acme"
        title = "Acme"
        base_url: str = setting("Where the service is", default="https://api.acme.example")
        api_key: str = setting("A key that may invite", env="ACME_API_KEY", secret=True)

        def authorize(self):
            return {"Authorization": f"Bearer {self.api_key}"}

        @operation
        def invite(self, new):
            reply = yield Request.post("v1", "invites", json={"email": new.email})
            return self.read_invitation(reply.mapping())

        def read_invitation(self, raw):
            state = STATES.get(raw["status"], State.UNKNOWN)
            return Invitation(id=raw["id"], email=raw["email"], state=state, raw=raw)

The entry point of the package names the class. guestlist imports it when an account uses it:

    [project.entry-points.guestlist]
    acme = "guestlist_acme:Acme"

Rules for flows:

* A `yield` never returns an answer outside 2xx. It raises an exception from `guestlist.errors`
  instead. Catch the exception if it is an expected result, such as `NotFound` when looking for a
  record. A 2xx answer in which `Provider.refusal` finds an error raises too.
* Code that reads an answer may fail with `KeyError`, `TypeError` or `ValueError` if the answer has
  an unexpected shape: the caller gets `MalformedResponse`. Read liberally, send exactly.
* To use another operation, or a helper that yields, write `yield from`.
* Never use a bare `next(...)` in a flow: if nothing matches, it becomes a `RuntimeError`. Use a
  loop.
"""

import pluggy

from guestlist.provider.base import NEVER, Options, Provider
from guestlist.provider.dates import parse_datetime, parse_timestamp
from guestlist.provider.explanations import explain
from guestlist.provider.messages import Effect, Limit, Page, RecordProblem, Request, Response, Token
from guestlist.provider.operations import Flow, operation
from guestlist.provider.paging import by_cursor, by_link, by_number, by_offset, every, whole
from guestlist.provider.settings import setting
from guestlist.provider.shapes import READING_ERRORS

hookimpl = pluggy.HookimplMarker("guestlist")
"""Marks a function as the implementation of a hook, such as `guestlist_event`.
The entry point of a plugin with hooks names the module that contains them."""

__all__ = [
    "NEVER",
    "READING_ERRORS",
    "Effect",
    "Flow",
    "Limit",
    "Options",
    "Page",
    "Provider",
    "RecordProblem",
    "Request",
    "Response",
    "Token",
    "by_cursor",
    "by_link",
    "by_number",
    "by_offset",
    "every",
    "explain",
    "hookimpl",
    "operation",
    "parse_datetime",
    "parse_timestamp",
    "setting",
    "whole",
]
