"""What editors read: the published schemas, the files that name them, and the comment on every key."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from classifiers.table import WEIGHTS, shipped
from margin.costbook import SHIPPED
from proxy.settings import editors, load, plans_schema, schema
from tests.settings.writing import ENVIRON

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
SCHEMAS = {"penstock.yaml": schema(), "plans.yaml": plans_schema()}

COMMENTED_OUT = re.compile(r"^( *)#((?:  +)?(?:- )?[\w.-]+:(?: .*)?)$", re.MULTILINE)
"""A key right after the #, or further in a block that began so; prose has one space."""


def whole(name: str) -> str:
    """Return a shipped file with all that is commented out put in."""
    return COMMENTED_OUT.sub(r"\1\2", (CONFIGS / name).read_text("utf-8"))


@pytest.mark.parametrize("name", sorted(editors.published()))
def test_the_published_schemas_are_in_step(name: str) -> None:
    """Whoever changes a shape runs `python -m proxy.settings.editors docs/schema`."""
    assert (ROOT / "docs" / "schema" / name).read_bytes() == editors.published()[name]


def test_what_is_published_is_what_is_written(tmp_path: Path) -> None:
    """The command writes the files and nothing else."""
    editors.main([str(tmp_path / "schema")])

    written = {path.name: path.read_bytes() for path in tmp_path.rglob("*.json")}
    assert written == editors.published()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_file_names_its_schema(path: Path) -> None:
    """The first line leads an editor to a schema that is there."""
    first = path.read_text("utf-8").splitlines()[0]

    found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert found is not None
    expected = "plans.schema.json" if "plans" in path.name else "penstock.schema.json"
    assert (path.parent / found[1]).resolve() == ROOT / "docs" / "schema" / expected


def test_what_is_commented_out_works(tmp_path: Path) -> None:
    """With every # taken away the file still loads; only what has no effect is warned of."""
    for name in SCHEMAS:
        tmp_path.joinpath(name).write_text(whole(name), "utf-8")
    tmp_path.joinpath("prices.json").write_bytes(SHIPPED.read_bytes())
    tmp_path.joinpath("weights.json").write_bytes(WEIGHTS.read_bytes())

    settings = load(tmp_path / "penstock.yaml", environ=ENVIRON)

    assert settings.sandbox is not None
    said = sorted(warning.partition(" (")[0] for warning in settings.warnings)
    stale = f"routing.thresholds are of table-00000000, and the weights are {shipped().version}"
    assert said == [
        "reserved_tpm of house-model has no effect: order is listed",
        f"{stale}: the shipped cut points apply; run `penstock tune`",
        "url has no effect: kind is memory",
    ]


def keys(found: dict[str, Any]) -> Iterator[str]:
    """Yield every key that a schema knows, sections' included."""
    for section in (found, *found["$defs"].values()):
        yield from section.get("properties", {})


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_key_is_in_the_shipped_file(name: str) -> None:
    """Whoever looks for a key finds it where it stands."""
    written = {word.rstrip(":") for word in re.findall(r"[\w-]+:", whole(name))}

    assert set(keys(SCHEMAS[name])) <= written


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_key_is_explained_where_it_stands(name: str) -> None:
    """Its first occurrence has a comment on its line, or right above."""
    lines = whole(name).splitlines()
    seen: set[str] = set()

    for number, line in enumerate(lines):
        found = re.match(r" *(?:- )?([\w.-]+):", line)
        if found is None or found[1] in seen or found[1] not in set(keys(SCHEMAS[name])):
            continue
        seen.add(found[1])
        assert "# " in line or lines[number - 1].lstrip().startswith("# "), line

    assert seen == set(keys(SCHEMAS[name]))


def test_the_schema_takes_what_the_loader_takes() -> None:
    """A variable for a number, a section with nothing in it, a size in bytes."""
    sections = schema()["$defs"]

    assert {"type": "string", "pattern": r"\$\{.+\}"}.items() <= sections["ServerShape"]["properties"]["workers"][
        "anyOf"
    ][1].items()
    assert sections["RoutingShape"]["type"] == ["object", "null"]
    assert sections["ProviderShape"]["type"] == "object"
    assert sections["ServerShape"]["properties"]["body_bytes_max"]["type"] == ["string", "integer"]


def test_the_schema_is_json_and_ours() -> None:
    """It names its dialect, refuses unknown keys, and repeats no name of a class as a title."""
    for found in SCHEMAS.values():
        assert found["$schema"] == "http://json-schema.org/draft-07/schema#"
        assert found["additionalProperties"] is False
        assert '"title"' not in json.dumps(found)


def test_what_is_commented_out_is_yaml() -> None:
    """The pattern finds whole blocks: no line of one is left behind."""
    tree = yaml.safe_load(whole("penstock.yaml").replace("${", "$("))

    assert set(tree["models"]["house-model"]) == set(schema()["$defs"]["ModelShape"]["properties"])
    assert set(tree["sandbox"]["customers"]["acme"]) == {"plan", "grant", "paid"}
