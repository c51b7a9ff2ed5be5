"""The JSON Schema of the roster file, for editors.

    python -m guestlist.roster.schema > guestlist.schema.json

An editor with a TOML plugin (Taplo, Even Better TOML) then completes and checks the file, if its
first line says `#:schema ./guestlist.schema.json`.
"""

from __future__ import annotations

import json
import math
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from guestlist.exchange.account import Budget
from guestlist.roster.document import AccountSettings, RosterDocument

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _ForToml(GenerateJsonSchema):
    """Omits null from the schema, because TOML has no null: optional keys are left out instead."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found = super().default_schema(schema)
        default = schema.get("default")
        if isinstance(default, timedelta):
            found["default"] = f"{default.days} days"
        elif not isinstance(default, int | float | str) or default == math.inf:
            found.pop("default", None)
        return found

    def field_title_should_be_set(self, schema: object) -> bool:
        return False  # titles would only repeat the names


def roster_schema() -> dict[str, Any]:
    """Returns the JSON Schema of the roster file.

    It does not cover the settings of an account except `provider`, because they depend on the
    installed providers.
    """
    document = RosterDocument.model_json_schema(schema_generator=_ForToml)
    properties, parts = document["properties"], document["$defs"]
    parts["Account"] = AccountSettings.model_json_schema(schema_generator=_ForToml)
    parts["Budget"] = TypeAdapter(Budget).json_schema(schema_generator=_ForToml)
    parts["Budget"] |= {"additionalProperties": False}
    properties["accounts"]["additionalProperties"] = {"$ref": "#/$defs/Account"}
    properties["budget"]["$ref"] = "#/$defs/Budget"
    properties["allowed_domains"] |= {"type": "array", "items": {"type": "string"}}
    return {"$schema": DIALECT, **document}


if __name__ == "__main__":
    print(json.dumps(roster_schema(), indent=2, ensure_ascii=False))
