"""The sandbox's profile `openapi` answers as Vultr's OpenAPI description says.

The description stands beside the repository, in ../shared/openapi, and may be absent. It has no
`required` and allows further properties, so the check also rejects properties that it does not
name: an answer with a misspelled field would pass otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from referencing import Registry
from referencing.jsonschema import DRAFT4
from tests.providers.vultr.test_sandbox import DOCUMENT, Reply, Vultr

from guestlist_vultr.sandbox import ENGINEER_KEY, OWNER_KEY, VultrService

FILE = Path(__file__).parents[3].parent / "shared" / "openapi" / "vultr.json"

pytestmark = pytest.mark.skipif(not FILE.exists(), reason="there is no ../shared/openapi here")


def without_further_properties(schema: Any) -> Any:
    """Returns the schema with `additionalProperties: false` wherever it names properties."""
    if isinstance(schema, list):
        return [without_further_properties(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: without_further_properties(one) for name, one in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        strict["additionalProperties"] = False
    return strict


class Judge:
    """Sends requests to the sandbox and compares each answer with the description."""

    def __init__(self, vultr: Vultr) -> None:
        self.vultr = vultr
        description = without_further_properties(json.loads(FILE.read_text(encoding="utf-8")))
        # The schema `user` is an object with the user in `user`. In the list of users the
        # description refers to it as well; govultr and Vultr's Python client decode bare users.
        user = description["components"]["schemas"]["user"]["properties"]["user"]
        listed = description["paths"]["/users"]["get"]["responses"]["200"]
        content = listed["content"]["application/json"]["schema"]
        content["properties"]["users"]["items"] = user
        self.registry: Registry[Any] = Registry().with_resource(
            "urn:vultr", DRAFT4.create_resource(description)
        )
        self.operations = {
            (method.upper(), path): operation
            for path, methods in description["paths"].items()
            for method, operation in methods.items()
            if isinstance(operation, dict)
        }
        self.judged: set[tuple[str, str]] = set()

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Returns the body of an answer that is as described."""
        reply = self.vultr(method, path, body, **more)
        operation = self._operation(method, path)
        self.judged.add(operation)
        described = self.operations[operation]["responses"]
        assert str(reply.status) in described, (method, path, reply)
        self._compare(reply, described[str(reply.status)])
        return reply.json if reply.raw else None

    def _compare(self, reply: Reply, described: dict[str, Any]) -> None:
        content = described.get("content")
        if content is None:
            assert reply.raw == b""
            return
        schema = _absolute(content["application/json"]["schema"])
        OAS30Validator(
            schema, registry=self.registry, format_checker=oas30_format_checker
        ).validate(reply.json)

    def _operation(self, method: str, path: str) -> tuple[str, str]:
        """The server's address ends in /v2, and some of the paths begin with it again."""
        fitting = [
            (one, template)
            for one, template in self.operations
            if one == method
            and re.fullmatch(
                re.sub(r"\{[^}]+\}", "[^/]+", "/v2" + template.removeprefix("/v2")), path
            )
        ]
        # /v2/users/me/groups fits /v2/users/{user_id}/groups as well
        return min(fitting, key=lambda operation: operation[1].count("{"))


def _absolute(schema: Any) -> Any:
    """Returns the schema with references that lead into the description."""
    if isinstance(schema, dict):
        return {
            name: f"urn:vultr{one}" if name == "$ref" else _absolute(one)
            for name, one in schema.items()
        }
    return [_absolute(one) for one in schema] if isinstance(schema, list) else schema


@pytest.fixture
def judge() -> Judge:
    return Judge(Vultr(profile="openapi", pending_users="listed", listing="pending"))


def shapes(operations: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Returns the operations without the names of the parts of paths."""
    return {
        (method, re.sub(r"\{[^}]+\}", "{}", "/v2" + path.removeprefix("/v2")))
        for method, path in operations
    }


def test_every_imitated_answer_is_as_described(judge: Judge) -> None:
    home = judge("GET", "/v2/organizations")["organizations"][0]["id"]
    organization = f"/v2/organizations/{home}"
    judge("GET", organization)

    invitation = judge("POST", "/v2/invitation", {"email_invited": "rosa@example.net"})
    path = f"/v2/invitation/{invitation['invitation']['id']}"
    judge("GET", path)
    judge("POST", f"{path}/resend")
    judge("GET", "/v2/invitation", per_page=1)
    judge("GET", "/v2/users")  # with one who has not accepted
    judge.vultr.service.accept(invitation["invitation"]["id"])
    judge("GET", path)
    judge("GET", "/v2/invitation")

    lena = judge.vultr.id("users", "lena@example.org")
    user = f"/v2/users/{lena}"
    judge("GET", user)
    judge("PATCH", user, {"api_enabled": True})
    judge("GET", "/v2/users", per_page=2)

    body = {"display_name": "Night", "description": "Shift"}
    group = judge("POST", "/v2/groups", body)["group"]["id"]
    judge("GET", f"/v2/groups/{group}")
    judge("POST", f"/v2/groups/{group}/members", {"display_name": lena})
    member = f"/v2/groups/{group}/members/{lena}"
    judge("DELETE", member)
    judge("PUT", member)
    judge("GET", "/v2/groups")

    look = {"name": "Look", "description": "Reads", "policy_document": DOCUMENT}
    policy = judge("POST", "/v2/policies", look)["policy"]["id"]
    judge("GET", "/v2/policies")
    role = judge("GET", "/v2/roles")["roles"][0]["id"]  # with a policy

    attached = [
        (f"/v2/roles/{role}/users", lena),
        (f"/v2/roles/{role}/groups", group),
        (f"/v2/policies/{policy}/users", lena),
        (f"/v2/policies/{policy}/groups", group),
    ]
    for many, one in attached:
        judge("POST", f"{many}/{one}")
        judge("GET", many)
    for who, key in ((lena, OWNER_KEY), ("me", ENGINEER_KEY)):
        for kind in ("groups", "roles", "policies"):
            assert judge("GET", f"/v2/users/{who}/{kind}", key=key)[kind]
    for many, one in attached:
        judge("DELETE", f"{many}/{one}")

    place = f"{organization}/user/{lena}"
    judge("PUT", f"{place}/suspend")
    judge("GET", f"{organization}/suspended-users")
    judge("GET", user)
    judge("PUT", f"{place}/unsuspend")
    judge("DELETE", place)

    imitated = shapes(judge.operations) & shapes(VultrService.routes)
    assert shapes(judge.judged) == imitated
    assert len(imitated) > 35


@pytest.mark.parametrize(
    "record",
    [
        {"invite_state": "Pending"},
        {"permissions": {"api_enabled": True}},
        {"date_responded": None},
        {"date_responded": ""},
    ],
)
def test_the_judge_rejects_what_is_not_described(judge: Judge, record: dict[str, Any]) -> None:
    answer = json.dumps({"invitation": {"id": "i1", **record}}).encode()
    described = judge.operations["GET", "/v2/invitation/{id}"]["responses"]["200"]
    with pytest.raises(Exception, match=next(iter(record))) as caught:
        judge._compare(Reply(200, {}, answer), described)
    assert type(caught.value).__name__ == "ValidationError"
