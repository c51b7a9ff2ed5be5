"""Every answer of the sandbox and every request of the provider is as OpenAI's description says.

The description stands beside the repository, in ../shared/openapi, and may be absent. It allows
further properties, so the check also rejects properties that it does not name.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from tests.providers.judged import Judged, Seen, judged
from tests.providers.openai.test_sdk import ROWS, Row, World

from guestlist_openai.sandbox import OpenAIService

FILE = Path(__file__).parents[3].parent / "shared" / "openapi" / "openai.json"

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


def absolute(schema: Any) -> Any:
    """Returns the schema with references that lead into the description."""
    if isinstance(schema, dict):
        return {
            name: f"urn:openai{one}" if name == "$ref" else absolute(one)
            for name, one in schema.items()
        }
    return [absolute(one) for one in schema] if isinstance(schema, list) else schema


class Description:
    """OpenAI's description of its API."""

    def __init__(self) -> None:
        document = without_further_properties(json.loads(FILE.read_text(encoding="utf-8")))
        self.registry: Registry[Any] = Registry().with_resource(
            "urn:openai", DRAFT202012.create_resource(document)
        )
        self.operations = {
            (method.upper(), path): operation
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if isinstance(operation, dict)
        }

    def check(self, seen: Seen, status: int, answer: Any) -> None:
        """Raises an error unless a request and its answer are as described."""
        operation = self.operations[self.operation_of(seen)]
        parameters = {one["name"]: one for one in operation.get("parameters", ())}
        for name, value in seen.query:
            # The SDK writes a list as `emails[]`, and so does the provider.
            schema = parameters[name.removesuffix("[]")]["schema"]
            read: dict[str, Any] = {"integer": int, "array": lambda text: [text]}
            self._validate(schema, read.get(schema["type"], str)(value))
        if "requestBody" in operation or seen.body is not None:
            self._validate(schema_of(operation["requestBody"]), seen.body)
        self._validate(schema_of(operation["responses"][str(status)]), answer)

    def operation_of(self, seen: Seen) -> tuple[str, str]:
        [found] = [
            (method, path)
            for method, path in self.operations
            if method == seen.method
            and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", f"/v1{path}"), seen.path)
        ]
        return found

    def _validate(self, schema: Any, value: Any) -> None:
        OAS31Validator(
            absolute(schema), registry=self.registry, format_checker=oas31_format_checker
        ).validate(value)


def schema_of(described: dict[str, Any]) -> Any:
    return described["content"]["application/json"]["schema"]


@pytest.fixture(scope="module")
def description() -> Description:
    return Description()


def exchanges(one: Judged) -> list[tuple[Seen, int, Any]]:
    return [
        (seen, answer.status_code, json.loads(bytes(answer.body)))
        for seen, answer in zip(one.seen, one.answers, strict=True)
    ]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_requests_and_answers_are_as_described(description: Description, row: Row) -> None:
    with judged(OpenAIService) as one:
        world = World(one)
        world.ours(row.operation, *row.arguments(world))
        del one.answers[: len(one.answers) - len(one.seen)]
        for exchange in exchanges(one):
            description.check(*exchange)


def test_an_error_has_the_described_form(description: Description) -> None:
    """The description has the form of errors, and no status besides 200 for most requests."""
    with judged(OpenAIService) as one:
        world = World(one)
        with pytest.raises(Exception, match="No such member"):
            world.ours("get_member", "user-1")
        [(_, status, body)] = exchanges(one)
    assert status == 404
    description._validate({"$ref": "#/components/schemas/ErrorResponse"}, body)


INVITE = {
    "object": "organization.invite",
    "id": "invite-1",
    "email": "ada@example.com",
    "role": "reader",
    "status": "pending",
    "created_at": 1,
    "projects": [],
}


@pytest.mark.parametrize(
    "answer",
    [
        INVITE | {"invited_at": 1},
        INVITE | {"status": "deleted"},
        INVITE | {"created_at": "2026-11-30"},
        INVITE | {"projects": [{"id": "proj-1"}]},
        {name: INVITE[name] for name in INVITE if name != "projects"},
    ],
)
def test_the_check_rejects_what_is_not_described(description: Description, answer: Any) -> None:
    seen = Seen("GET", "/v1/organization/invites/invite-1", (), None, None, ())
    description.check(seen, 200, INVITE)
    with pytest.raises(Exception, match=r"created_at|status|role|projects|invited_at") as caught:
        description.check(seen, 200, answer)
    assert type(caught.value).__name__ == "ValidationError"
