"""scim2-client and scim2-tester judge the sandbox, and scim2-client judges what the provider sends.

Both make the same changes, over loopback, on a sandbox that starts over in between. It draws its
ids from a seed, so equal requests have equal ids.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from guestlist import Guestlist
from guestlist.models import NewInvitation
from guestlist.sandbox import Sandbox
from guestlist_scim import Scim
from guestlist_scim.sandbox import ScimService
from guestlist_scim.sandbox.service import READ_ONLY_TOKEN, TOKEN

if TYPE_CHECKING:
    from scim2_client.engines.httpx2 import SyncSCIMClient


def models() -> Any:
    """Returns scim2_models, which takes seconds to load: not before a test needs it."""
    import scim2_models

    return scim2_models


def new_client(http: httpx2.Client, **options: Any) -> SyncSCIMClient:
    """Returns a client of scim2-client."""
    from scim2_client.engines.httpx2 import SyncSCIMClient

    return SyncSCIMClient(http, **options)


ADA, EVE = "ada@example.com", "eve@example.com"


def document(email: str) -> dict[str, Any]:
    emails = [{"value": email, "type": "work", "primary": True}]
    return {"userName": email, "emails": emails, "active": True}


class World:
    """A running sandbox, and a client that notes what is sent to it."""

    def __init__(self, sandbox: Sandbox, http: httpx2.Client) -> None:
        self.sandbox = sandbox
        self.http = http
        self.sent: list[httpx2.Request] = []
        http.event_hooks = {"request": [self.sent.append]}
        http.base_url = httpx2.URL(f"{sandbox.services['scim'].base_url}/scim/v2")
        http.headers["Authorization"] = f"Bearer {TOKEN}"
        self.sdk = new_client(http)
        self.sdk.discover()  # it learns the schemas from the sandbox

    def start(self, switches: Mapping[str, str], group: str = "Support") -> None:
        """Starts over with Ada, who is in Support."""
        self.sandbox.reset()
        hosted = self.sandbox.services["scim"]
        service: Any = hosted.service
        service.configure(**switches)
        self.settings: dict[str, Any] = {**hosted.settings}
        user = service.create(document(ADA))
        user.roles = [service.organization.role_named("Support")]
        self.user, self.group = user.id, service.organization.role_named(group).id

    def noted(self, act: Callable[[], Any]) -> tuple[Any, list[Any]]:
        """Returns the result of an operation, and the requests that it sent: the method, path,
        query and body."""
        self.sent.clear()
        result = act()
        return result, [shown(request) for request in self.sent]


def shown(request: httpx2.Request) -> tuple[str, str, dict[str, str], Any]:
    url = urlsplit(str(request.url))
    body = json.loads(request.content) if request.content else None
    return request.method, url.path, dict(parse_qsl(url.query)), body


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Sandbox([ScimService], port=0) as sandbox, httpx2.Client() as http:
        yield World(sandbox, http)


Theirs = Callable[["SyncSCIMClient", World], Any]
Arguments = Callable[[Any, Any], tuple[Any, ...]]


def listing(kind: str, **query: Any) -> Theirs:
    query |= {"start_index": 1, "count": 100}
    return lambda client, _: client.query(kind, query_parameters=models().SearchRequest(**query))


def patch(kind: str, change: Callable[[World], dict[str, Any]]) -> Theirs:
    def modify(client: SyncSCIMClient, world: World) -> Any:
        model: Any = client.get_resource_model(kind)
        operation: Any = models().PatchOperation(**change(world))
        body: Any = models().PatchOp[model](operations=[operation])
        return client.modify(model, world.user if kind == "User" else world.group, body)

    return modify


def replace(kind: str, change: Callable[[Any, World], object]) -> Theirs:
    def write_back(client: SyncSCIMClient, world: World) -> Any:
        record: Any = client.query(kind, world.user if kind == "User" else world.group)
        change(record, world)
        return client.replace(record)

    return write_back


def create(client: SyncSCIMClient, _: World | None, email: str = EVE) -> Any:
    user: Any = client.get_resource_model("User")
    fields = document(email)
    return client.create(user(user_name=email, emails=fields["emails"], active=fields["active"]))


def listed(kind: str) -> Callable[[Any], bool]:
    return lambda found: (
        isinstance(found, models().ListResponse)
        and found.resources is not None
        and {type(one).__name__ for one in found.resources} == {kind}
        and found.total_results == len(found.resources)
    )


def is_none(result: Any) -> bool:
    return result is None


@dataclass(frozen=True)
class Operation:
    """An operation of the provider, and what scim2-client does for it.

    Attributes:
        is_right: whether the result of scim2-client is right and has its type.
        switches: those of the sandbox.
        added: the fields that only the provider sends, in the last request.
    """

    name: str
    arguments: Arguments
    theirs: Theirs
    is_right: Callable[[Any], bool]
    switches: tuple[tuple[str, str], ...] = ()
    added: frozenset[str] = frozenset()
    group: str = "Support"

    def __str__(self) -> str:
        return "-".join([self.name, *map("=".join, self.switches)])


WRITTEN_BACK = frozenset({"id", "meta", "display"})
"""scim2-client drops read-only attributes of a record that it writes back. The provider sends all
of them, so that nothing is lost that it does not know; a service ignores them (RFC 7644, 3.5.1)."""

OPERATIONS = [
    Operation(
        "organization",
        lambda ada, support: (),
        lambda client, _: client.query(
            "User", query_parameters=models().SearchRequest(start_index=1, count=1)
        ),
        lambda found: found.total_results == 3 and len(found.resources) == 1,
    ),
    Operation(
        "invite",
        lambda ada, support: (NewInvitation(email=EVE),),
        create,
        lambda user: user.user_name == EVE and user.active and user.id,
        switches=(("user_filters", "userName"),),  # otherwise it searches first, as find_member
    ),
    Operation(
        "find_member",
        lambda ada, support: (ADA,),
        listing("User", filter=f'userName eq "{ADA}"'),
        lambda found: [one.user_name for one in found.resources] == [ADA],
    ),
    Operation(
        "find_member",
        lambda ada, support: (ADA,),
        listing("User"),
        listed("User"),
        switches=(("user_filters", "none"),),
    ),
    Operation(
        "get_member",
        lambda ada, support: (ada.id,),
        lambda client, world: client.query("User", world.user),
        lambda user: type(user).__name__ == "User" and user.emails[0].value == ADA,
    ),
    Operation(
        "members",
        lambda ada, support: (),
        listing("User"),
        lambda found: found.resources[-1].groups[0].display == "Support",
        switches=(("groups_in_users", "yes"),),
    ),
    Operation(
        "roles",
        lambda ada, support: (),
        listing("Group", excluded_attributes=["members"]),
        lambda found: listed("Group")(found) and not any(one.members for one in found.resources),
    ),
    Operation(
        "access",
        lambda ada, support: (ada,),
        listing("Group"),
        listed("Group"),
    ),
    Operation(
        "access",
        lambda ada, support: (ada,),
        lambda client, world: listing("Group", filter=f'members.value eq "{world.user}"')(
            client, world
        ),
        lambda found: [one.display_name for one in found.resources] == ["Support"],
        switches=(("group_filters", "all"),),
    ),
    Operation(
        "assign_role",
        lambda ada, support: (
            ada,
            support,
        ),
        patch(
            "Group",
            lambda world: {"op": "add", "path": "members", "value": [{"value": world.user}]},
        ),
        is_none,
    ),
    Operation(
        "assign_role",
        lambda ada, support: (
            ada,
            support,
        ),
        replace(
            "Group",
            lambda group, world: group.members.append(type(group.members[0])(value=world.user)),
        ),
        lambda group: len(group.members) == 2,
        switches=(("patch", "no"),),
        added=WRITTEN_BACK,
        group="Engineering",
    ),
    Operation(
        "unassign_role",
        lambda ada, support: (
            ada,
            support,
        ),
        patch(
            "Group",
            lambda world: {"op": "remove", "path": f'members[value eq "{world.user}"]'},
        ),
        is_none,
    ),
    Operation(
        "unassign_role",
        lambda ada, support: (
            ada,
            support,
        ),
        patch(
            "Group",
            lambda world: {"op": "remove", "path": "members", "value": [{"value": world.user}]},
        ),
        is_none,
        switches=(("selectors", "no"),),
    ),
    Operation(
        "remove",
        lambda ada, support: (ada,),
        lambda client, world: client.delete("User", world.user),
        is_none,
    ),
    Operation(
        "remove",
        lambda ada, support: (ada,),
        patch("User", lambda _: {"op": "replace", "path": "active", "value": False}),
        is_none,
        switches=(("delete", "deactivates"),),
    ),
    Operation(
        "remove",
        lambda ada, support: (ada,),
        replace("User", lambda user, _: setattr(user, "active", False)),
        lambda user: user.active is False,
        switches=(("delete", "deactivates"), ("patch", "no")),
        added=WRITTEN_BACK,
    ),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_provider_sends_what_scim2_client_sends(world: World, operation: Operation) -> None:
    world.start(dict(operation.switches), operation.group)
    with Guestlist({"scim": Scim(**world.settings)}, http_client=world.http) as guests:
        ada = guests.status(ADA).member
        group = next(role for role in guests.roles() if role.name == operation.group)
        method, arguments = getattr(Scim, operation.name), operation.arguments(ada, group)
        _, ours = world.noted(lambda: guests.account("scim").call(method, *arguments))
        types = {one.headers.get("content-type") for one in world.sent if one.content}
        assert types <= {"application/scim+json"}  # RFC 7644, 3.1. scim2-client sends JSON's type
    world.start(dict(operation.switches), operation.group)
    result, theirs = world.noted(lambda: operation.theirs(world.sdk, world))
    assert operation.is_right(result)
    ours[-1] = without(ours[-1], operation.added)
    assert ours == theirs


def without(value: Any, names: frozenset[str]) -> Any:
    """Returns a JSON value without the fields with these names."""
    if isinstance(value, dict):
        return {k: without(one, names) for k, one in value.items() if k not in names}
    return (
        type(value)(without(one, names) for one in value)
        if isinstance(value, list | tuple)
        else value
    )


def test_every_operation_that_sends_is_compared() -> None:
    assert {one.name for one in OPERATIONS} == {*Scim.operations()} - {
        "invitations",
        "find_invitation",
    }


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda client: create(client, None, ADA), "UniquenessException"),
        (lambda client: client.query("User", "none"), "NotFoundException"),
        (lambda client: client.delete("User", "none"), "NotFoundException"),
        (
            lambda client: client.query("User", query_parameters={"filter": "x"}),
            "InvalidFilterException",
        ),
    ],
    ids=["duplicate", "query", "delete", "filter"],
)
def test_scim2_client_reads_the_sandbox_s_errors(
    world: World, act: Callable[[SyncSCIMClient], Any], error: str
) -> None:
    world.start({})
    with pytest.raises(getattr(models(), error)):
        act(world.sdk)


@pytest.mark.parametrize(
    ("token", "error"),
    [("wrong", "UnauthorizedException"), (READ_ONLY_TOKEN, "ForbiddenException")],
)
def test_scim2_client_reads_the_refusal_of_a_token(world: World, token: str, error: str) -> None:
    world.start({})
    with httpx2.Client(base_url=world.http.base_url) as http:
        http.headers["Authorization"] = f"Bearer {token}"
        with pytest.raises(getattr(models(), error)):
            create(new_client(http, provider=world.sdk.provider), world)


@pytest.mark.parametrize("switches", [{}, {"groups_in_users": "yes", "empty_lists": "without"}])
def test_scim2_tester_finds_no_fault(world: World, switches: dict[str, str]) -> None:
    """The only checks that it skips are those of searches in several resource types at once."""
    from scim2_tester import Status, check_server

    world.start(switches)
    results = check_server(new_client(world.http))
    ended = Counter(one.status for one in results)
    assert [one.reason for one in results if one.status is Status.ERROR] == []
    assert ended == {Status.SUCCESS: 65, Status.SKIPPED: 2}
