"""The OpenAPI 3.1 description of the API, made from the operations and their models."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from guestlist._version import __version__
from guestlist.console.api.models import JobId, Problem
from guestlist.console.api.operations import Operation

Schema = dict[str, Any]

REF = "#/components/schemas/{model}"
TEXT = (
    "Invites people into organizations on GitHub, GitLab, Keycloak and other services.\n\n"
    "Send a token in the header `Authorization: Bearer gl_...`. `guestlist console token create`"
    " makes one.\n\n"
    "Requests are safe to repeat, except `resend`: nobody is invited twice. A field without a value"
    " is left out of an answer. Later versions may add fields to answers, and values to those that"
    " are enumerated. Every error has the form of RFC 9457."
)


LINKS = {"make_plan": ("get_plan", "list_changes"), "begin_run": ("get_run", "stop_run")}
"""For each operation, the operations that take the id in its answer."""


def openapi_description(operations: Sequence[Operation]) -> Schema:
    """Returns the description as JSON types."""
    by_name = attrgetter("__name__")
    given = sorted({one.given for one in operations}, key=by_name)
    answers = sorted({one.returns for one in operations} | {Problem}, key=by_name)
    _, found = models_json_schema(
        [
            *((model, "validation") for model in given),
            *((model, "serialization") for model in answers),
        ],
        ref_template=REF,
    )
    schemas: dict[str, Schema] = found["$defs"]
    queries = {
        one.given.__name__: schemas.pop(one.given.__name__)
        for one in operations
        if one.method == "GET" and one.given.__name__ in schemas
    }
    inputs = {model.__name__ for model in given}
    for name, schema in schemas.items():
        _without_titles(schema)
        if name in inputs:
            _without_empty_defaults(schema)
        else:
            _as_written(schema)
    paths: dict[str, Schema] = {}
    for one in operations:
        query = queries.get(one.given.__name__, {}) if one.method == "GET" else {}
        paths.setdefault(f"/v1{one.path}", {})[one.method.lower()] = _operation(one, query)
    return {
        "openapi": "3.1.0",
        "info": {"title": "guestlist", "version": __version__, "description": TEXT},
        "servers": [{"url": "/api"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(one: Operation, query: Schema) -> Schema:
    summary, _, text = inspect.cleandoc(one.text).partition("\n")
    right = f"The token needs the right `{one.right}`."
    described: Schema = {
        "operationId": one.name,
        "summary": summary,
        "description": f"{text.strip()}\n\n{right}".strip(),
        "parameters": [*_path_parameters(one.path), *_query_parameters(query)],
        "responses": {
            str(int(one.status)): _content("Done." if one.status == 200 else "Begun.", one.returns),
            "default": _content("An error.", Problem, "application/problem+json"),
        },
    }
    if links := LINKS.get(one.name):
        described["responses"][str(int(one.status))]["links"] = {
            name: {"operationId": name, "parameters": {"id": "$response.body#/id"}}
            for name in links
        }
    if one.method != "GET":
        described["requestBody"] = {"required": True, **_content("", one.given)}
        del described["requestBody"]["description"]
    return described


def _content(text: str, model: type, media_type: str = "application/json") -> Schema:
    schema = {"$ref": REF.format(model=model.__name__)}
    return {"description": text, "content": {media_type: {"schema": schema}}}


def _path_parameters(path: str) -> list[Schema]:
    if "{id}" not in path:
        return []
    schema = TypeAdapter(JobId).json_schema()
    return [{"name": "id", "in": "path", "required": True, "schema": schema}]


def _query_parameters(query: Schema) -> list[Schema]:
    required = query.get("required", ())
    found = []
    for name, schema in query.get("properties", {}).items():
        text = schema.pop("description", "")
        _without_titles(schema)
        _without_null(schema)
        if not schema.get("default"):  # An empty default means that the parameter may be omitted.
            schema.pop("default", None)
        one = {"name": name, "in": "query", "required": name in required, "schema": schema}
        found.append({**one, "description": text} if text else one)
    return found


def _as_written(schema: Schema) -> None:
    """Describes a model of an answer as `written.plain` writes it: without secrets and without
    values that are None. More fields may be added."""
    schema.pop("additionalProperties", None)
    properties: dict[str, Schema] = schema.get("properties", {})
    for name, part in list(properties.items()):
        if any(one.get("writeOnly") for one in (part, *part.get("anyOf", ()))):
            del properties[name]
        elif "default" in part and part["default"] is None:
            _without_null(part)
        elif name not in schema.get("required", ()):
            schema.setdefault("required", []).append(name)
        part.pop("default", None)


def _without_empty_defaults(schema: Schema) -> None:
    """Removes empty defaults, which mean the same as an omitted field. Some client generators do
    not support defaults of objects."""
    for part in schema.get("properties", {}).values():
        if part.get("default") in ({}, [], None):
            part.pop("default", None)


def _without_null(part: Schema) -> None:
    """Changes "a value or null" to the value."""
    kinds = [one for one in part.get("anyOf", ()) if one != {"type": "null"}]
    if len(kinds) == 1:
        del part["anyOf"]
        part.update(kinds[0])


def _without_titles(schema: Schema) -> None:
    for part in (schema, *schema.get("properties", {}).values()):
        part.pop("title", None)
