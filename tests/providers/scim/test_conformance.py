"""SCIM keeps the rules that every provider keeps: on its sandbox, with the usual and with unusual
services, and on a real server."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar

import httpx2

from guestlist.errors import (
    Conflict,
    Forbidden,
    MalformedResponse,
    NotFound,
    Rejected,
    Unauthorized,
)
from guestlist.exchange.drive import Wire
from guestlist.exchange.wire import HttpxWire
from guestlist.models import NewInvitation
from guestlist.provider import Provider
from guestlist_scim import Scim
from guestlist_scim.provider import ScimOptions
from guestlist_scim.sandbox import ScimService
from pytest_guestlist.clock import VirtualClock
from pytest_guestlist.conformance import Backend, Example, ProviderSuite, VariantSuite


@cache
def server() -> Any:
    """Returns the description of a server with the usual resources."""
    from scim2_server.utils import load_default_provider

    return load_default_provider()


USER: dict[str, Any] = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "id": "2819c223",
    "userName": "ada@example.com",
    "name": {"formatted": "Ms. Ada Byron", "familyName": "Byron", "givenName": "Ada"},
    "emails": [
        {"value": "ada@home.example", "type": "home"},
        {"value": "ada@example.com", "type": "work", "primary": True},
    ],
    "active": True,
    "groups": [{"value": "g-1", "display": "Tour Guides"}],
    "meta": {"resourceType": "User", "created": "2010-01-23T04:56:22Z"},
}
"""After RFC 7643, 8.2."""
READ = {
    "id": "2819c223",
    "email": "ada@example.com",
    "login": None,
    "name": "Ms. Ada Byron",
    "roles": None,
    "state": "active",
    "joined_at": "2010-01-23T04:56:22+00:00",
}
GROUPS: list[dict[str, Any]] = [
    {"id": "g-1", "displayName": "Tour Guides", "members": [{"value": "2819c223"}]},
    {"id": "g-2", "displayName": "Employees", "members": [{"value": "m-1"}, {"value": "2819c223"}]},
    {"id": "g-3", "displayName": "Nobody"},
]
TWO = [{"id": "g-1", "name": "Tour Guides"}, {"id": "g-2"}]
PATCH_OF = '"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":'
DEACTIVATE = {"deprovision": "deactivate"}
NO_PATCH = {"patch": False}


def listed(records: list[dict[str, Any]], total: int | None = None) -> dict[str, Any]:
    return {"totalResults": len(records) if total is None else total, "Resources": records}


def read(user: dict[str, Any], means: Any, **more: Any) -> Example:
    return Example("get_member", USER | user, means, **more)


def refused(
    kind: str | None, status: int, means: type[Exception], error_contains: str = ""
) -> Example:
    body = {"status": str(status), "detail": "No", **({"scimType": kind} if kind else {})}
    settings = {"find_by": ["userName"]}  # so that the first request creates the user
    return Example(
        "invite", body, means, status=status, error_contains=error_contains, settings=settings
    )


NONE = {"totalResults": 0}

DOCUMENTED = (
    read({}, READ, sends=["GET", "/Users/m-1"]),
    # Microsoft Entra sends texts, which some services store and answer
    *(read({"active": word}, {"state": "suspended"}) for word in (False, "False", "false")),
    *(read({"active": word}, {"state": "active"}) for word in ("True", None)),
    read({"active": "perhaps"}, MalformedResponse),
    read({"active": False}, {"state": "removed"}, settings=DEACTIVATE),
    read({"userName": "ada-l"}, {"email": "ada@example.com", "login": "ada-l"}),
    read({"userName": "ADA@example.com"}, {"email": "ada@example.com", "login": None}),
    read({"emails": USER["emails"][:1]}, {"email": "ada@home.example", "login": "ada@example.com"}),
    read(
        {"emails": [{"value": "a@b.example"}, {"value": "c@d.example", "primary": "True"}]},
        {"email": "c@d.example"},
    ),
    read({"emails": None}, {"email": "ada@example.com", "login": None}),
    read({"emails": [{"value": "a@b.example", "primary": None}]}, {"email": "a@b.example"}),
    read({"emails": [], "userName": "robot"}, {"email": None, "login": "robot"}),
    read({"displayName": "Ada", "name": None}, {"name": "Ada"}),
    read({"displayName": "Ada"}, {"name": "Ada"}),
    read({"name": {"familyName": "Byron", "givenName": "Ada"}}, {"name": "Ada Byron"}),
    read({"name": {}, "meta": None}, {"name": None, "joined_at": None}),
    read({}, {"roles": ["g-1"]}, settings={"groups_in_users": True}),
    read({"groups": None}, {"roles": []}, settings={"groups_in_users": True}),
    Example(
        "members",
        [listed(GROUPS), listed([USER], 201)],
        {"items": [READ | {"roles": TWO}], "next": "1/201", "total": 201},
        several=True,
        sends=["/Groups?startIndex=1&count=100", "/Users?startIndex=1&count=100"],
    ),
    Example(
        "members",
        listed([USER], 201),
        {"items": [READ | {"roles": ["g-1"]}], "next": "101/201"},
        arguments=("100/201",),
        settings={"groups_in_users": True},
        sends=["/Users?startIndex=101&count=100"],
    ),
    Example(
        "members",
        [{"totalResults": 0}, listed([USER | {"active": False}])],
        {"items": [], "total": 1, "left_out": 1},
        several=True,
        settings=DEACTIVATE,
    ),
    Example("members", {"totalResults": 0}, {"items": [], "next": None}),
    Example(
        "members",
        [listed(GROUPS[:1], 2), listed(GROUPS[1:2], 2), listed([USER])],
        [READ | {"roles": TWO}],
        several=True,
        sends=["/Groups?startIndex=2&count=100"],
    ),
    Example("roles", listed(GROUPS), [*TWO, {"id": "g-3"}], sends=["excludedAttributes=members"]),
    Example("roles", listed([]), [], settings={"page_size": 7}, sends=["startIndex=1&count=7"]),
    Example(  # some services have numbers as ids
        "members",
        [listed([GROUPS[0] | {"members": [{"value": 12}]}]), listed([USER | {"id": 12}])],
        [{"id": "12", "roles": TWO[:1]}],
        several=True,
    ),
    Example("access", listed(GROUPS), [{"role": "g-2"}], sends=["/Groups?startIndex=1"]),
    Example(
        "access",
        listed(GROUPS[1:2]),
        [{"role": "g-2"}],
        settings={"find_groups": True},
        sends=["/Groups?filter=members.value%20eq%20%22m-1%22&startIndex=1&count=100"],
    ),
    Example(
        "access", USER, [{"role": "g-1"}], settings={"groups_in_users": True}, sends=["/Users/m-1"]
    ),
    # a person with a quotation mark and a backslash in the address
    Example(
        "find_member",
        {"totalResults": 0},
        None,
        arguments=('"a\\b"@example.com',),
        sends=["filter=userName%20eq%20%22%5C%22a%5C%5Cb%5C%22%40example.com%22&"],
    ),
    Example(
        "find_member",
        [{"totalResults": 0}, listed([USER])],
        READ,
        several=True,
        sends=["filter=userName%20eq%20", "filter=emails.value%20eq%20%22ada%40example.com%22"],
    ),
    Example("find_member", listed([USER]), READ, arguments=("ADA@HOME.example",)),
    Example(
        "find_member",
        listed([USER | {"userName": "ada-l"}]),
        READ | {"login": "ada-l"},
        arguments=("Ada-L",),
    ),
    Example("find_member", listed([USER]), None, arguments=("bob@example.com",)),  # filter ignored
    Example("find_member", listed([USER]), READ, settings={"find_by": []}, sends=["/Users?start"]),
    Example(
        "find_member",
        [listed([USER | {"active": False}]), listed([USER | {"id": "2"}])],
        READ | {"id": "2"},
        several=True,
        settings=DEACTIVATE,
    ),
    Example(
        "find_member", listed([USER | {"active": False}]), {"state": "removed"}, settings=DEACTIVATE
    ),
    Example(
        "invite",
        [NONE, NONE, USER],
        READ,
        several=True,
        status=201,
        sends=[
            "POST",
            "/Users",
            '"userName":"ada@example.com","emails":[{"value":"ada@example.com"'
            ',"type":"work","primary":true}],"active":true',
            "application/scim+json",
        ],
    ),
    Example(
        "invite",
        [NONE, NONE, USER],
        READ,
        several=True,
        status=201,
        arguments=(
            NewInvitation(
                email="ada@example.com",
                options=ScimOptions(
                    display_name="Ada", given_name="A.", family_name="Byron", external_id="7"
                ),
            ),
        ),
        sends=[
            '"displayName":"Ada","name":{"givenName":"A.","familyName":"Byron"},"externalId":"7"}'
        ],
    ),
    Example(
        "invite",
        [NONE, NONE, USER],
        READ,
        several=True,
        status=201,
        arguments=(NewInvitation(email="ada@example.com", login="ada-l"),),
        sends=['"userName":"ada-l","emails":[{"value":"ada@example.com"'],
    ),
    Example(
        "invite",
        [listed([USER | {"active": False}]), listed([USER | {"active": False}]), {}, USER],
        READ,
        several=True,
        settings=DEACTIVATE,
        sends=["PATCH", '"op":"replace","path":"active","value":true'],
    ),
    Example("invite", [NONE, listed([USER])], Conflict, several=True, error_contains="2819c223"),
    Example("remove", {}, None, sends=["DELETE", "/Users/m-1"]),
    Example(
        "remove",
        {},
        None,
        settings=DEACTIVATE,
        sends=["PATCH", PATCH_OF + '[{"op":"replace","path":"active","value":false}]'],
    ),
    Example(
        "remove",
        USER,
        None,
        settings=DEACTIVATE | NO_PATCH,
        sends=["PUT", '"userName":"ada@example.com"', '"active":false'],
    ),
    Example(
        "assign_role",
        {},
        None,
        sends=["/Groups/r-1", '{"op":"add","path":"members","value":[{"value":"m-1"}]}'],
    ),
    Example(
        "assign_role",
        GROUPS[0],
        None,
        settings=NO_PATCH,
        sends=['"members":[{"value":"2819c223"},{"value":"m-1"}]'],
    ),
    Example(
        "unassign_role",
        {},
        None,
        sends=['{"op":"remove","path":"members[value eq \\"m-1\\"]"}'],
    ),
    Example(
        "unassign_role",
        {},
        None,
        settings={"removes_members": "by_value"},
        sends=['{"op":"remove","path":"members","value":[{"value":"m-1"}]}'],
    ),
    Example(
        "unassign_role",
        GROUPS[1],
        None,
        settings=NO_PATCH,
        sends=['"members":[{"value":"2819c223"}]'],
    ),
    Example(
        "organization",
        {"totalResults": 7},
        "acme.example/scim/v2",
        settings={"base_url": "https://acme.example/scim/v2/"},
        sends=["https://acme.example/scim/v2/Users?startIndex=1&count=1 "],
    ),
    Example("organization", {"name": "a page of another program"}, MalformedResponse),
    Example("invitations", {}, {"items": [], "next": None}),
    Example("find_invitation", {}, None),
    refused("uniqueness", 409, Conflict),
    refused("uniqueness", 400, Conflict),
    refused(None, 409, Conflict),
    refused("invalidFilter", 400, Rejected, error_contains="find_by"),
    refused("invalidPath", 400, Rejected, error_contains="removes_members"),
    refused("mutability", 400, Rejected, error_contains="at the service"),
    refused("sensitive", 403, Forbidden, error_contains="find_by"),
    refused("invalidValue", 400, Rejected, error_contains="external id"),
    refused(None, 401, Unauthorized, error_contains="token"),
    refused(None, 403, Forbidden, error_contains="SCIM"),
    refused(None, 404, NotFound, error_contains="base_url"),
    refused(None, 405, Rejected, error_contains="patch = false"),
    refused(None, 501, Rejected, error_contains="patch = false"),
)


class RealBackend(Backend):
    """A scim2-server in this process, with three groups. Only its dates are in real time."""

    source = "scim2-server 0.8.3"

    def __init__(self) -> None:
        # takes seconds to load, which not every worker has to do
        from scim2_server.memory import InMemoryStorage
        from scim2_server.testserver.application import BearerTokenApplication

        self.clock = VirtualClock(datetime.now(UTC))
        storage = InMemoryStorage()
        self.application = BearerTokenApplication(storage, server(), bearer_tokens=["real-token"])
        with httpx2.Client(transport=self.transport(), base_url="http://127.0.0.1/v2") as client:
            client.headers["Authorization"] = "Bearer real-token"
            for name in ("Engineering", "Support", "Admins"):
                schemas = ["urn:ietf:params:scim:schemas:core:2.0:Group"]
                body = {"schemas": schemas, "displayName": name}
                assert client.post("/Groups", json=body).status_code == 201

    def transport(self) -> httpx2.WSGITransport:
        return httpx2.WSGITransport(self.application)

    def provider(self) -> Provider:
        return Scim(base_url="http://127.0.0.1/v2", token="real-token", find_groups=True)

    def wire(self) -> Wire:
        return HttpxWire(transport=self.transport())


class TestSandbox(ProviderSuite):
    service = ScimService
    joins_at_once = True
    role = "Support"
    documented = DOCUMENTED


class TestUnusual(VariantSuite):
    """A service without PATCH, that finds nobody, writes booleans as texts and keeps the user
    whom it deletes."""

    service = ScimService
    joins_at_once = True
    role = "Support"
    facts: ClassVar[dict[str, str]] = {
        "patch": "no",
        "user_filters": "none",
        "booleans": "text",
        "delete": "deactivates",
        "empty_lists": "without",
    }


class TestRealServer(VariantSuite):
    kind = Scim
    joins_at_once = True
    role = "Support"

    def backend(self) -> Backend:
        return RealBackend()
