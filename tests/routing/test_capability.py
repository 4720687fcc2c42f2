"""What a deployment can take comes before what it costs."""

from pathlib import Path
from typing import Any

import pytest

from margin.sellbook import Plan
from proxy.routing import policy
from proxy.wire.errors import Malformed
from tests.proxy.test_policy import ask, judged, names
from tests.settings.writing import loaded

YAML = """\
providers:
  house: {dialect: openai, base_url: "http://127.0.0.1:8000/v1"}
models:
  plain: {provider: house, free: true, context_window: 2000, capabilities: {audio: false, reasoning: false}}
  able: {provider: house, free: true, context_window: 100_000}
tiers: {simple: [plain], complex: [able]}
"""
SOUND = [{"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}]


@pytest.mark.parametrize(
    ("fields", "first"),
    [
        ({}, "plain"),
        ({"content": SOUND}, "able"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, "able"),
        ({"modalities": ["text"]}, "plain"),
        ({"modalities": None}, "plain"),
        ({"reasoning_effort": "high"}, "able"),
        ({"reasoning_effort": "none"}, "plain"),
        ({"max_tokens": 1_900}, "plain"),
        ({"max_tokens": 1_999}, "able"),
        ({"content": "x" * 3_600}, "plain"),
        ({"content": "x" * 4_400}, "able"),
    ],
)
def test_a_request_goes_to_the_first_that_can_take_it(tmp_path: Path, fields: dict[str, Any], first: str) -> None:
    """Up a tier where need be, with the reserve for the answer in the window; the route says so."""
    route = policy.route(loaded(tmp_path, YAML), Plan("open"), ask(**fields), judged("simple"))

    assert names(route)[0] == first
    assert route.rule == ("judged" if first == "plain" else "judged+up")
    assert route.charge_tier == "simple"


@pytest.mark.parametrize(
    ("fields", "sentence"), [({"content": SOUND}, "has no audio"), ({"reasoning_effort": "low"}, "takes no")]
)
def test_a_model_that_is_named_and_cannot_says_what_it_lacks(
    tmp_path: Path, fields: dict[str, Any], sentence: str
) -> None:
    """400, before anybody is called."""
    with pytest.raises(Malformed, match=f"The model plain {sentence}"):
        policy.route(loaded(tmp_path, YAML), Plan("open"), ask("plain", **fields), judged("simple"))
