"""The shapes as JSON Schema, so that an editor completes keys and shows what each means."""

from decimal import Decimal
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from proxy.settings.fields import Section

_KEYWORDS: Final = {
    "ge": "minimum",
    "le": "maximum",
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
}
"""pydantic leaves its own words where a bound stands around a reader of ours."""


class _Written(GenerateJsonSchema):
    """Gives defaults as YAML writes them: `30s`, not 30.0."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found = super().default_schema(schema)
        write: Any = schema["schema"].get("serialization", {}).get("function")
        default = schema.get("default")
        if isinstance(default, Decimal):
            found["default"] = int(default)  # every default of ours is whole
        elif write is not None and default is not None:
            found["default"] = write(default)
        return found


def json_schema(shape: type[Section]) -> dict[str, Any]:
    """Return a shape's JSON Schema; every key has its description."""
    renamed: dict[str, Any] = _standard(shape.model_json_schema(schema_generator=_Written))
    return renamed


def _standard(value: Any) -> Any:
    if isinstance(value, list):
        return [_standard(item) for item in value]
    if not isinstance(value, dict):
        return value
    known = {key: _standard(item) for key, item in value.items() if key not in _KEYWORDS}
    bounds = {name: value[key] for key, name in _KEYWORDS.items() if key in value}
    return {**bounds, **known}
