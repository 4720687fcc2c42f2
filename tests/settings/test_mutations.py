"""Whatever is done to a good file, it loads or it is refused; nothing else happens."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.settings import Settings, SettingsError, load
from tests.settings.writing import ENVIRON, KEY

CONFIGS = Path(__file__).parents[2] / "configs"
TEXTS = {name: (CONFIGS / name).read_text("utf-8") for name in ("penstock.yaml", "plans.yaml")}

FRAGMENTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["\t", "\n", ": ", "- ", "{", "}", "[", "]", "&a ", "*a", "!!int ", "!x ", "${X}", "${", '"',
         "'", "#", "|", ">", "---\n", "<<: ", "? ", "null", "1e999", ".inf", "0.1", "-1", "true",
         '"\\ud800"', '"\\0"', "\ue0000\ue001", "${OPENAI_API_KEY}"]
    ),
)  # fmt: skip

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["auto", "auto:simple", "simulator", "prepaid", "hard", "1h", "9999d", "7/day"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def outcome(folder: Path, texts: dict[str, str]) -> Settings | SettingsError:
    """Write the files and load them; only a refusal is caught."""
    for name, text in texts.items():
        folder.joinpath(name).write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        return load(folder / "penstock.yaml", environ=ENVIRON)
    except SettingsError as error:
        return error


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for all examples of this file."""
    return tmp_path_factory.mktemp("mutated")


QUICK = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
LONG = settings(QUICK, max_examples=1_000)


@QUICK
@given(st.data())
def test_mutated_text_loads_or_is_refused(folder: Path, data: st.DataObject) -> None:
    """Characters cut out and put in anywhere; and no refusal repeats the key."""
    mutate_text(folder, data)


@pytest.mark.full
@pytest.mark.timeout(900)
@LONG
@given(st.data())
def test_mutated_text_at_length(folder: Path, data: st.DataObject) -> None:
    """The same, many more times."""
    mutate_text(folder, data)


def mutate_text(folder: Path, data: st.DataObject) -> None:
    """Load files of which one was edited blindly."""
    name = data.draw(st.sampled_from(sorted(TEXTS)))
    text = TEXTS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(start + 30, len(text))))
        text = text[:start] + data.draw(FRAGMENTS) + text[end:]

    found = outcome(folder, {**TEXTS, name: text})

    assert isinstance(found, Settings) or KEY not in str(found)


@QUICK
@given(st.data())
def test_mutated_values_load_or_are_refused(folder: Path, data: st.DataObject) -> None:
    """Any value anywhere replaced by any other."""
    mutate_values(folder, data)


@pytest.mark.full
@pytest.mark.timeout(900)
@LONG
@given(st.data())
def test_mutated_values_at_length(folder: Path, data: st.DataObject) -> None:
    """The same, many more times."""
    mutate_values(folder, data)


def mutate_values(folder: Path, data: st.DataObject) -> None:
    """Load files in one of which one value is another."""
    name = data.draw(st.sampled_from(sorted(TEXTS)))
    tree = yaml.safe_load(TEXTS[name].replace("${OPENAI_API_KEY}", KEY))
    node: Any = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.booleans()):
            break
        node = node[key]
    node[key] = data.draw(VALUES)

    found = outcome(folder, {**TEXTS, name: yaml.safe_dump(tree, allow_unicode=True)})

    assert KEY not in str(found)
