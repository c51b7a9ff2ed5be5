"""The imitated service: its switches, its ASGI application, and the actions of an invited
person."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from guestlist.sandbox.limits import RateLimited
from guestlist.sandbox.service import Service

from . import groups, invitations, organizations, policies, relations, roles, seed, users
from .call import refusal, routes
from .gate import ChosenLimit, KeyCheck, too_many
from .refusal import Refused
from .state import World

ROUTES = routes(
    {
        **invitations.ENDPOINTS,
        **users.ENDPOINTS,
        **organizations.ENDPOINTS,
        **groups.ENDPOINTS,
        **roles.ENDPOINTS,
        **policies.ENDPOINTS,
        **relations.ENDPOINTS,
    }
)


class VultrService(Service):
    """Vultr IAM: organizations, invitations, users, groups, roles, policies and their access.

    The profile `govultr` answers in the form that Vultr's own Go client decodes, `openapi` in the
    form that the OpenAPI document describes. Role trusts, assumed roles and SCIM are not imitated:
    they answer 404.

    The checks of a request are, in this order: the rate limit of its address, a valid key (401), an
    existing path and method (404, 405), a permission (403), existing records (404), and a valid
    body (400).

    The switches:

    `expired`: whether an expired invitation is reported as `Pending` and can be resent, or not
    (C-5).

    `listing`: whether the list contains all invitations or only the pending ones (C-4).

    `duplicates`: whether a second open invitation of an address, and the invitation of a member, is
    accepted, or refused with 400. No source says that they are refused, and Vultr's guide to
    Terraform relies on them: changing an invitation there deletes nothing and sends a second one.

    `rate`: how the limit of 30 requests per second is counted.

    `retry_after`: whether a 429 has a `Retry-After` header (C-18).

    `timestamps`: ISO 8601, or the plain form of other Vultr objects.

    `permissions`: whether the permissions of an invitation are an object, or JSON in a string
    (C-7). The profile `openapi` always uses a string, as its document says.

    `status_fields`: whether an invitation has `status` and `status_full` in addition to
    `invite_status` (C-6). The Go client 3.33.2 and later treats a string in `status` at the top of
    an answer as a malformed error, and so fails on every unwrapped invitation that has one; older
    versions, such as Terraform's, publish it.

    `user_status`: whether a user has `status` and `active` (C-14). In the profile `openapi` every
    user has `status` and `invite_accepted`, as in its document.

    `pending_users`: whether the user list contains people who are invited and have not accepted,
    with `invite_accepted: false`. The OpenAPI document has the field and the status `pending`; that
    such users are listed is unverified.

    `assumable`: whether attaching an assumable role to a user or a group is refused with 400, or
    accepted. Vultr's guides say that only assignable roles can be attached; the answer is not
    documented. The profile `openapi` does not distinguish the two types (C-15).

    `reattach`: whether attaching a record a second time is accepted or refused. Undocumented.
    """

    name = "vultr"
    title = "Vultr IAM"
    profiles = ("govultr", "openapi")
    switches: ClassVar[dict[str, tuple[str, ...]]] = {
        "expired": ("pending", "expired"),
        "listing": ("all", "pending"),
        "duplicates": ("allow", "refuse"),
        "rate": ("bucket", "window", "off"),
        "retry_after": ("sent", "absent"),
        "timestamps": ("iso", "plain"),
        "permissions": ("object", "string"),
        "status_fields": ("invite_status", "all"),
        "user_status": ("absent", "present"),
        "pending_users": ("absent", "listed"),
        "assumable": ("refuse", "accept"),
        "reattach": ("accept", "refuse"),
    }

    world: World

    def build(self) -> ASGIApp:
        self.world = World(self.clock, self.outbox, self.random)
        seed.plant(self.world)
        application = Starlette(
            routes=ROUTES,
            exception_handlers={Refused: _refused, HTTPException: _no_such_path_or_method},
        )
        application.router.redirect_slashes = False
        application.state.service = self
        return RateLimited(
            KeyCheck(application, self.world),
            limit=ChosenLimit(lambda: self.chosen),
            clock=self.clock,
            refuse=lambda verdict: too_many(
                verdict, send_retry_after=self.chosen["retry_after"] == "sent"
            ),
        )

    def settings(self, base_url: str) -> dict[str, str]:
        return {"api_key": seed.OWNER_KEY, "base_url": base_url}

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {"api_key": seed.READ_ONLY_KEY, "base_url": base_url}

    def key_of(self, email: str) -> str:
        """Returns the API key of a person, as the person would create it in the console.

        Raises:
            LookupError: no person has this email address.
        """
        person = self.world.find_person(email)
        if person is None:
            raise LookupError(f"no person has the address {email}")
        return person.api_key

    def accept(self, invitation: str) -> None:
        invitations.accept(self.world, invitation)

    def next_steps(self, invitation: str, base_url: str) -> str | None:
        """Returns commands that create an API key for the invited person and run the last step of
        Vultr's guide."""
        found = [one for one in self.world.invitations if one.id == invitation]
        person = self.world.find_person(found[0].registered) if found else None
        if person is None or person.id not in self.world.home.members:
            return None
        return _NEXT_STEPS.format(url=base_url, key=seed.OWNER_KEY, id=person.id)

    @contextmanager
    def hide(self, invitations: Collection[str]) -> Iterator[None]:
        with self.world.invitations.without(invitations):
            yield

    def snapshot(self) -> dict[str, Any]:
        now = self.clock.now()
        return {
            "invitations": [
                {"id": one.id, "email": one.email, "state": one.state(now)}
                for one in self.world.invitations
            ],
            "members": [
                {"id": person.id, "email": person.email} for person in self.world.members()
            ],
        }


_NEXT_STEPS = """\
# A key for the invitee, made with the owner's key. It works if the user is api_enabled.
curl -X PATCH {url}/v2/users/{id} \\
    -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
    -d '{{"api_enabled": true}}'
curl -X POST {url}/v2/users/{id}/apikeys \\
    -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
    -d '{{"name": "invitee", "expire": false}}'

# Show the invitee's groups. Set VULTR_API_KEY to the "api_key" of the last answer first.
curl {url}/v2/users/me/groups -H "Authorization: Bearer ${{VULTR_API_KEY}}"
printf '[accounts.invitee]\\nprovider = "vultr"\\napi_key = "%s"\\nbase_url = "%s"\\n' \\
    "${{VULTR_API_KEY}}" {url} > invitee.toml
guestlist --config invitee.toml access --own
"""


async def _refused(_: Request, error: Any) -> Response:
    return refusal(error.status, error.text)


async def _no_such_path_or_method(_: Request, error: Any) -> Response:
    texts = {404: "Not found.", 405: "Method not allowed."}
    return refusal(error.status_code, texts.get(error.status_code, error.detail), error.headers)
