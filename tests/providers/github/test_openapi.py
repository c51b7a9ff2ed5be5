"""GitHub's OpenAPI description judges the sandbox's answers and the provider's requests.

The description stands beside the repository, in ../shared/openapi, and may be absent. It is an
extract of npm `@octokit/openapi` 23.0.2. GitHub's own examples do not satisfy all its `required`
fields, so a provider must not rely on them, but an imitation satisfies them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from referencing import Registry
from referencing.jsonschema import DRAFT4
from tests.providers.github.kit import Exchange, Taped, client, sandbox

from guestlist import Guestlist
from guestlist.errors import GuestlistError
from guestlist.models import Member, NewInvitation, Role
from guestlist_github import GitHub, GitHubOptions
from guestlist_github.sandbox import ORG, READ_ONLY_TOKEN, GitHubService

FILE = Path(__file__).parents[3].parent / "shared" / "openapi" / "github.json"

pytestmark = pytest.mark.skipif(not FILE.exists(), reason="there is no ../shared/openapi here")

EMAIL, LOGIN = "ada@example.com", "nina-dev"
DOCS, ADMIN = Role(id="docs", name="Docs", kind="team"), Role(id="admin", name="admin")
UNDESCRIBED = {"GET /orgs/{org}", "401", "429"}
"""What the extract leaves out: the organization itself, and the general refusals."""


class Judge:
    """Compares exchanges with the description."""

    def __init__(self) -> None:
        self.description = json.loads(FILE.read_text(encoding="utf-8"))
        self.registry: Registry[Any] = Registry().with_resource(
            "urn:github", DRAFT4.create_resource(self.description)
        )
        self.operations = {
            (method.upper(), path): operation
            for path, methods in self.description["paths"].items()
            for method, operation in methods.items()
            if isinstance(operation, dict)
        }
        self.judged: set[str] = set()

    def __call__(self, exchange: Exchange) -> None:
        path = re.sub(r"^/organizations/\d+/team/\d+", "/orgs/x/teams/x", exchange.path)
        fitting = [
            (method, template)
            for method, template in self.operations
            if method == exchange.method
            and re.fullmatch(re.sub(r"\\\{[^}]+\}", "[^/]+", re.escape(template)), path)
        ]
        if not fitting:
            assert re.fullmatch("GET /orgs/[^/]+", f"{exchange.method} {path}"), exchange
            return
        method, template = min(fitting, key=lambda one: one[1].count("{"))
        operation = self.operations[method, template]
        self.judged.add(f"{method} {template}")
        self._judge_request(operation, exchange)
        self._judge_answer(operation, exchange)

    def _judge_request(self, operation: Any, exchange: Exchange) -> None:
        parameters = {
            one["name"]: one["schema"]
            for one in map(self._resolved, operation.get("parameters", ()))
            if one["in"] == "query"
        }
        assert exchange.query.keys() <= parameters.keys(), exchange
        for name, value in exchange.query.items():
            integer = parameters[name].get("type") == "integer"
            self._validate(int(value) if integer else value, parameters[name])
        body = operation.get("requestBody")
        if body is None:
            assert exchange.body is None, exchange
            return
        schema = body["content"]["application/json"]["schema"]
        self._validate(exchange.body, {**schema, "additionalProperties": False})

    def _judge_answer(self, operation: Any, exchange: Exchange) -> None:
        status = str(exchange.status)
        if status in UNDESCRIBED:
            return
        responses = operation["responses"]
        assert status in responses, (status, list(responses), exchange.path, exchange.answer)
        content = self._resolved(responses[status]).get("content")
        if content is None:
            if exchange.status < 300:
                assert exchange.answer == b"", exchange
            return
        schema = content["application/json"]["schema"]
        self._validate(json.loads(exchange.answer), schema)

    def _resolved(self, described: Any) -> Any:
        while "$ref" in described:
            found: Any = self.description
            for name in described["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            described = found
        return described

    def _validate(self, value: Any, schema: Any) -> None:
        OAS30Validator(
            absolute(schema), registry=self.registry, format_checker=oas30_format_checker
        ).validate(value)


def absolute(schema: Any) -> Any:
    """Returns the schema with references that lead into the description."""
    if isinstance(schema, dict):
        return {name: absolute(one) for name, one in schema.items()}
    if isinstance(schema, list):
        return [absolute(one) for one in schema]
    is_reference = isinstance(schema, str) and schema.startswith("#/components/")
    return f"urn:github{schema}" if is_reference else schema


def member(service: GitHubService, login: str) -> Member:
    return Member(id=service.person(login).id, login=login)


def everything(service: Taped, guests: Guestlist) -> None:
    """Runs every operation of the provider, with success and with refusals."""
    call = guests.call
    call(GitHub.organization)
    call(GitHub.invite, NewInvitation(email=EMAIL, roles=(DOCS,)))
    call(GitHub.invite, NewInvitation(email="", login=LOGIN, roles=(ADMIN,)))
    call(GitHub.invite, NewInvitation(email="kim@example.com"))
    found = call(GitHub.invitations).items
    call(GitHub.invitations, "invitations/1")
    call(GitHub.invitations, "failed_invitations")
    call(GitHub.find_invitation, EMAIL)
    call(GitHub.find_invitation, f"@{LOGIN}")
    call(GitHub.find_invitation, "nobody@example.com")
    call(GitHub.find_member, f"@{LOGIN}")
    call(GitHub.revoke, found[0])
    call(GitHub.members)
    call(GitHub.find_member, "@omar-m")
    omar = member(service, "omar-m")
    call(GitHub.get_member, omar.id)
    call(GitHub.roles, "1")
    for role in (DOCS, ADMIN):
        call(GitHub.assign_role, omar, role)
        call(GitHub.access, omar)
        call(GitHub.unassign_role, omar, role)
    call(GitHub.outside_collaborators)
    call(GitHub.remove, omar)
    former = NewInvitation(email="", login="omar-m", options=GitHubOptions(reinstate=True))
    call(GitHub.invite, former)
    refused: list[Callable[[], Any]] = [
        lambda: call(GitHub.invite, NewInvitation(email="lena@example.org")),
        lambda: call(GitHub.invite, NewInvitation(email="kim@example.com")),
        lambda: call(GitHub.invite, NewInvitation(email="no address")),
        lambda: call(
            GitHub.invite, NewInvitation(email="new@x.org", options=GitHubOptions(reinstate=True))
        ),
        lambda: call(GitHub.invite, NewInvitation(email="", login="nobody")),
        lambda: call(GitHub.revoke, found[0]),
        lambda: call(GitHub.get_member, "1"),
        lambda: call(GitHub.remove, omar.model_copy(update={"login": "nobody"})),
        lambda: call(GitHub.remove, member(service, "olga-octo")),
    ]
    for one in refused:
        with pytest.raises(GuestlistError):
            one()


def test_every_answer_and_request_is_as_described() -> None:
    judge = Judge()
    with sandbox() as (service, url), client(service, url) as guests, Taped.recording() as tape:
        everything(service, guests)
        with client(service, url, token=READ_ONLY_TOKEN) as reader:
            reader.call(GitHub.members)
    assert len(tape) > 60
    for exchange in tape:
        judge(exchange)
    assert {
        f"{method} {template}"
        for method, template in judge.operations
        if template.startswith("/orgs/{org}/teams/{team_slug}/memberships")
        or "invitation" in template
    } - judge.judged <= {
        "GET /orgs/{org}/teams/{team_slug}/memberships/{username}",  # see test_sdk.py
        "GET /orgs/{org}/teams/{team_slug}/invitations",
    }


def test_the_judge_rejects_what_is_not_described() -> None:
    judge = Judge()
    request: dict[str, Any] = {"method": "POST", "path": f"/orgs/{ORG}/invitations", "query": {}}
    answer = {"message": "Validation Failed", "documentation_url": "https://docs.github.com"}
    good = {"body": {"email": EMAIL}, "answer": json.dumps(answer).encode(), "status": 422}
    judge(Exchange(**{**request, **good, "headers": {}}))
    for wrong in (
        {"body": {"email": EMAIL, "roles": []}},
        {"body": {"email": 1}},
        {"body": {"role": "member"}},
        {"query": {"page": "1"}},
        {"status": 403},
        {"answer": b'{"message": "no"}'},
        {"answer": b"{}", "status": 201},
    ):
        with pytest.raises(Exception) as caught:  # noqa: PT011
            judge(Exchange(**{**request, **good, "headers": {}, **wrong}))
        assert type(caught.value).__name__ in ("ValidationError", "AssertionError")
