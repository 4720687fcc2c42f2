"""The shapes as JSON Schema, so that an editor completes keys and shows what each means.

`python -m proxy.settings.editors docs/schema` writes what is published there.
"""

import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from proxy.settings.fields import Section
from proxy.settings.plan_shape import PlansShape
from proxy.settings.shape import SettingsShape

_KEYWORDS: Final = {
    "ge": "minimum",
    "le": "maximum",
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
}
"""pydantic leaves its own words where a bound stands around a reader of ours."""

_DIALECT: Final = "http://json-schema.org/draft-07/schema#"
"""What every editor's YAML server reads; `$defs` is but a name there, and `$ref` may lead to it."""

_REFERENCE: Final = {"type": "string", "pattern": r"\$\{.+\}", "description": "${NAME} or ${NAME:-default}"}
"""Stands beside numbers and words: the environment may supply any value."""

_BEYOND_TEXT: Final = ("integer", "number", "boolean")


class _Written(GenerateJsonSchema):
    """Gives defaults as YAML writes them: `30s`, not 30.0; and no titles, which would be names of ours."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found = super().default_schema(schema)
        write: Any = schema["schema"].get("serialization", {}).get("function")
        default = schema.get("default")
        if isinstance(default, Decimal):
            found["default"] = int(default) if default == int(default) else float(default)  # as JSON writes it
        elif write is not None and default is not None:
            found["default"] = write(default)
        return found


def json_schema(shape: type[Section]) -> dict[str, Any]:
    """Return a shape's JSON Schema; every key has its description."""
    found: dict[str, Any] = _standard(shape.model_json_schema(schema_generator=_Written))
    sections = {name: _may_be_empty(section) for name, section in found.pop("$defs").items()}
    return {"$schema": _DIALECT, **_untitled(found), "$defs": sections}


def published() -> dict[str, bytes]:
    """Return the files that are published for editors, by name."""
    shapes: dict[str, type[Section]] = {
        "penstock.schema.json": SettingsShape,
        "plans.schema.json": PlansShape,
    }
    return {
        name: orjson.dumps(json_schema(shape), option=orjson.OPT_INDENT_2) + b"\n" for name, shape in shapes.items()
    }


def main(arguments: Sequence[str]) -> None:
    """Write the published files into a folder."""
    folder = Path(arguments[0] if arguments else "docs/schema")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in published().items():
        folder.joinpath(name).write_bytes(content)


def _standard(value: Any) -> Any:
    """Rewrite a schema in JSON Schema's own words."""
    if isinstance(value, list):
        return [_standard(item) for item in value]
    if not isinstance(value, dict):
        return value
    known = {key: _standard(item) for key, item in value.items() if key not in _KEYWORDS}
    bounds = {name: value[key] for key, name in _KEYWORDS.items() if key in value}
    return _or_reference({**bounds, **known})


def _or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    """Let a variable stand where a number or one of a few words is meant."""
    if schema.get("type") not in _BEYOND_TEXT and "enum" not in schema:
        return schema
    told = {key: item for key, item in schema.items() if key in {"description", "default"}}
    return {**told, "anyOf": [{key: item for key, item in schema.items() if key not in told}, _REFERENCE]}


def _may_be_empty(section: dict[str, Any]) -> dict[str, Any]:
    """Let a section that requires nothing be written with nothing in it."""
    plain = _untitled(section)
    return plain if section.get("required") else {**plain, "type": [section["type"], "null"]}


def _untitled(section: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key != "title"}


if __name__ == "__main__":
    main(sys.argv[1:])
