"""The JSON schema of the config, from the settings dataclasses: editors complete and check YAML with it."""

from __future__ import annotations

import json
from typing import Any

import pydantic
from pydantic.json_schema import GenerateJsonSchema


class _AsWritten(GenerateJsonSchema):
    """Keeps keys in the order of the code, and states defaults that are made on demand (lists, mappings) as well."""

    def dataclass_schema(self, schema: Any) -> dict[str, Any]:
        described = super().dataclass_schema(schema)
        keys = described["properties"]
        described["properties"] = {key: keys[key] for key in schema["cls"].__annotations__ if key in keys}
        return described

    def get_default_value(self, schema: Any) -> Any:
        make = schema.get("default_factory")
        return make() if make else super().get_default_value(schema)


def config_schema() -> dict[str, Any]:
    """The schema of the whole config; each section is a definition in it."""
    from megabase.config import Config

    schema = pydantic.TypeAdapter(Config).json_schema(schema_generator=_AsWritten)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """`config/schemas/config.json`."""
    return json.dumps(config_schema(), indent=1, ensure_ascii=False) + "\n"
