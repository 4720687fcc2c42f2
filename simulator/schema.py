"""Values that fit a JSON schema: for structured answers and tool arguments.

Covers what OpenAI's strict mode allows (platform.openai.com/docs/guides/structured-outputs), but
for `pattern`: objects, arrays, enums, constants, unions, nullable types, references, number and
length bounds, and the usual string formats.
"""

import random
from dataclasses import dataclass
from typing import Any, Final

_DEPTH_MAX: Final = 12  # recursive schemas must end somewhere
_FORMATS: Final = {
    "date-time": "2026-11-20T09:30:00Z",
    "date": "2026-11-20",
    "time": "09:30:00Z",
    "duration": "PT15M",
    "email": "ada@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "3f2b8c1e-5d47-4e0a-9a6b-0c1d2e3f4a5b",
    "uri": "https://example.com/",
}


@dataclass(frozen=True, slots=True)
class Filler:
    """Fills one schema.

    Args:
        root: The whole schema, where references point into.
        about: Words to make strings of.
        choices: Where variety comes from.
    """

    root: dict[str, Any]
    about: tuple[str, ...]
    choices: random.Random

    def fill(self, schema: Any, name: str = "", depth: int = 0) -> Any:
        """Return a value that fits `schema`.

        Args:
            schema: A JSON schema, or anything else for "whatever you like".
            name: The property it is for, which strings take into account.
            depth: How deep the value stands.
        """
        if not isinstance(schema, dict):
            return self._string({}, name)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self.choices.choice(schema["enum"])
        if "$ref" in schema:
            return self.fill(self._resolve(schema["$ref"]), name, depth + 1)
        for union in ("anyOf", "oneOf", "allOf"):
            if schema.get(union):
                return self.fill(_simplest(schema[union], depth), name, depth + 1)
        return self._typed(schema, name, depth)

    def _resolve(self, reference: str) -> Any:
        found: Any = self.root
        for step in reference.removeprefix("#").strip("/").split("/"):
            found = found.get(step, {}) if step and isinstance(found, dict) else found
        return found

    def _typed(self, schema: dict[str, Any], name: str, depth: int) -> Any:
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind in {"integer", "number"}:
            return self._number(schema, whole=kind == "integer")
        if kind == "boolean":
            return self.choices.random() < 0.5
        return None if kind == "null" else self._string(schema, name)

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        stated = schema.get("properties")
        properties = stated if isinstance(stated, dict) else {}
        wanted = properties if depth < _DEPTH_MAX else schema.get("required", ())
        return {name: self.fill(properties.get(name), name, depth + 1) for name in wanted}

    def _array(self, schema: dict[str, Any], name: str, depth: int) -> list[Any]:
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", max(least, 3))
        usual = 0 if depth >= _DEPTH_MAX else self.choices.randint(1, 3)
        length = min(max(usual, least), most)
        return [self.fill(schema.get("items"), name, depth + 1) for _ in range(length)]

    def _number(self, schema: dict[str, Any], *, whole: bool) -> int | float:
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        high = schema.get("maximum", schema.get("exclusiveMaximum", low + 100) - 1)
        step = schema.get("multipleOf")
        if step:
            return step * -(-low // step)  # type: ignore[no-any-return]
        if whole:
            return self.choices.randint(int(low), int(max(low, high)))
        return round(self.choices.uniform(low, max(low, high)), 2)

    def _string(self, schema: dict[str, Any], name: str) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        capitalised = [word for word in self.about if word[0].isupper()]
        place = any(part in name.lower() for part in ("city", "location", "place", "name"))
        words = capitalised if place and capitalised else self.about
        text = self.choices.choice(words).ljust(schema.get("minLength", 0), "x")
        return text[: schema.get("maxLength", len(text))]


def _kind(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    return str(kind)


def _simplest(options: list[Any], depth: int) -> Any:
    """Return the first option that is not null; deep down, null if it is offered."""
    nulls = [one for one in options if isinstance(one, dict) and one.get("type") == "null"]
    others = [one for one in options if one not in nulls]
    if nulls and (depth >= _DEPTH_MAX or not others):
        return nulls[0]
    return others[0]
