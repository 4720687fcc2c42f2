"""`python -m tests.house.configuration_tables`: writes the tables of docs/configuration.md from the shapes of the YAML.

The page keeps its prose; what stands between ``<!-- NAME -->`` and ``<!-- /NAME -->`` is generated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from proxy import settings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"

_NAMED = {
    "providers": "NAME",
    "models": "NAME",
    "features": "NAME",
    "budgets": "NAME",
    "aliases": "ALIAS",
    "customers": "NAME",
    "plans": "NAME",
    "tasks": "NAME",
    "outcomes": "NAME",
    "usage": "METER",
    "items": "NAME",
    "rules": "RULE",
    "overheads": "NAME",
    "webhooks": "NAME",
}
"""What stands for the name in a mapping whose keys are the operator's."""

Schema = Mapping[str, Any]


def tables() -> dict[str, str]:
    """Return each generated table by the name of its place."""
    return {"settings": _table(settings.schema()), "plans": _table(settings.plans_schema())}


def filled(page: str) -> str:
    """Return the page with its tables renewed."""
    for name, table in tables().items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        assert place.search(page), f"{PAGE.name} has no place for {name}"
        page = place.sub(lambda found, table=table: f"{found[1]}{table}{found[2]}", page)
    return page


def _table(schema: Schema) -> str:
    rows = "".join(f"| `{path}` | {value} | {text} |\n" for path, value, text in _rows(schema, schema, ""))
    return f"\n| key | default | meaning |\n|---|---|---|\n{rows}\n"


def _rows(root: Schema, schema: Schema, path: str) -> Iterator[tuple[str, str, str]]:
    required = schema.get("required", ())
    for key, written in schema["properties"].items():
        field = _resolved(root, written)
        below = f"{path}{key}"
        if "properties" in field:
            yield from _rows(root, field, f"{below}.")
        elif "patternProperties" in field:
            yield from _mapping(root, field, below, key, required)
        else:
            yield below, _default(field, is_required=key in required), _text(field)


def _mapping(
    root: Schema, field: Schema, path: str, key: str, required: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    inner = _resolved(root, next(iter(field["patternProperties"].values())))
    default = "required" if key in required else _ALIASES if key == "aliases" else "none"
    yield path, default, field["description"]
    if "properties" in inner:
        yield from _rows(root, inner, f"{path}.{_NAMED[key]}.")


_ALIASES = "`{gpt-4o: auto}`"


def _resolved(root: Schema, field: Schema) -> dict[str, Any]:
    """Follow a reference, and take `null` off a choice; what the field itself says goes before."""
    choices = [each for each in field.get("anyOf", ()) if each.get("type") != "null"]
    if len(choices) == 1:
        field = {**choices[0], **{name: value for name, value in field.items() if name != "anyOf"}}
    if "$ref" not in field:
        return dict(field)
    target = root["$defs"][field["$ref"].rpartition("/")[2]]
    return {**target, **{name: value for name, value in field.items() if name != "$ref"}}


def _default(field: Schema, *, is_required: bool) -> str:
    if is_required:
        return "required"
    if field.get("default") is None:
        return "unset"
    return f"`{_yaml(field['default'])}`"


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else str(value)


def _text(field: Schema) -> str:
    words = field.get("enum", [field["const"]] if "const" in field else [])
    choice = f" One of {', '.join(f'`{word}`' for word in words)}." if words else ""
    return str(field["description"]).replace("|", "\\|") + choice


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
