"""What serves instead of a model that was named: only what is configured, never less than was asked for."""

from pathlib import Path

import pytest

from margin.sellbook import Plan
from proxy.routing import policy
from proxy.settings import Settings
from tests.proxy.test_policy import ask, judged, names
from tests.settings.writing import changed, loaded, refused

YAML = """\
providers:
  house: {dialect: openai, base_url: "http://127.0.0.1:8000/v1"}
models:
  small: {provider: house, free: true, fallbacks: [small-too, large]}
  small-too: {provider: house, free: true, capabilities: {tools: false}}
  large: {provider: house, free: true}
  outside: {provider: house, free: true, credits: 1}
tiers: {simple: [small, small-too], complex: [large]}
"""


def route(settings: Settings, plan: Plan, model: str = "small", **fields: object) -> list[str]:
    """The deployments tried for a named model."""
    judgement = judged("simple")
    return names(policy.route(settings, plan, ask(model, **fields), judgement))


def test_it_falls_back_to_what_is_configured_in_order(tmp_path: Path) -> None:
    """And a model without `fallbacks` to nothing."""
    settings = loaded(tmp_path, YAML)

    assert route(settings, Plan("open")) == ["small", "small-too", "large"]
    assert route(settings, Plan("open"), "large") == ["large"]


def test_it_stays_within_the_plan_and_what_the_request_needs(tmp_path: Path) -> None:
    """A plan up to medium never reaches the large one; a model without tools is passed over."""
    settings = loaded(tmp_path, YAML)
    tools = [{"type": "function", "function": {"name": "f"}}]

    assert route(settings, Plan("capped", max_tier="medium")) == ["small", "small-too"]
    assert route(settings, Plan("open"), tools=tools) == ["small", "large"]


@pytest.mark.parametrize(
    ("fallbacks", "sentence"),
    [
        ("[smal-too]", 'did you mean "small-too"?'),
        ("[small]", '"small" was tried already'),
        ("[large, large]", '"large" was tried already'),
    ],
)
def test_a_fallback_that_cannot_be_is_told(tmp_path: Path, fallbacks: str, sentence: str) -> None:
    """With the line it stands on."""
    assert sentence in refused(tmp_path, changed("[small-too, large]", fallbacks, YAML))


@pytest.mark.parametrize("name", ["large", "outside"])
def test_a_fallback_is_of_no_lower_tier(tmp_path: Path, name: str) -> None:
    """One that no tier lists is charged as complex, and is no less."""
    text = changed(
        f"{name}: {{provider: house, free: true", f"{name}: {{provider: house, free: true, fallbacks: [small]", YAML
    )

    assert f'"small" is of a lower tier than {name}, which was asked for' in refused(tmp_path, text)
