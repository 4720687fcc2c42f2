"""The pricing brief's figures about routing, as arithmetic on the shipped cost book and on the real policy."""

from pathlib import Path

import pytest

from margin import costbook
from margin.sellbook import Plan
from margin.usage import Usage
from proxy.expected import Expected
from proxy.routing import policy
from tests.proxy.test_policy import ask, judged, names
from tests.settings.writing import loaded

NOW = 1_800_000_000
USED = Usage(input=800, output=200)


@pytest.mark.parametrize(
    ("model", "saved"),
    [
        ("gpt-5-nano", 1 - (800 * 0.05 + 200 * 0.40) / (800 * 5 + 200 * 25)),
        ("claude-haiku-4-5", 1 - (800 * 1 + 200 * 5) / (800 * 5 + 200 * 25)),
    ],
)
def test_a_small_model_saves_most_of_a_request(model: str, saved: float) -> None:
    """800 tokens in and 200 out against Claude Opus 4.8: 98.7 % less at nano, 80 % at Haiku."""
    book = costbook.load()
    baseline, routed = (book.find(name) for name in ("claude-opus-4-8", model))
    assert baseline is not None
    assert routed is not None

    found = 1 - routed.at(NOW).cost_nusd(USED) / baseline.at(NOW).cost_nusd(USED)

    assert found == pytest.approx(saved)
    assert round(found, 3) == {"gpt-5-nano": 0.987, "claude-haiku-4-5": 0.8}[model]


def test_of_two_regions_the_cheaper_is_chosen(tmp_path: Path) -> None:
    """The same model with a tenth on top elsewhere: 1 - 1/1.1 of each request is saved."""
    settings = loaded(tmp_path, """\
providers:
  eu: {dialect: openai, base_url: "http://127.0.0.1:8000/v1"}
  us: {dialect: openai, base_url: "http://127.0.0.1:8001/v1"}
models:
  there: {provider: eu, model: m, price: {input: 2.2, output: 11}}
  here: {provider: us, model: m, price: {input: 2, output: 10}}
tiers: {simple: [there, here], medium: [there], complex: [there]}
routing: {order: price}
""")  # fmt: skip
    expected = Expected(lambda: NOW)

    found = policy.route(settings, Plan("open"), ask(), judged("simple"), prices=expected.nusd)

    assert names(found)[0] == "here"
    costs = [expected.nusd(each, ask(), "chat") for each in found.deployments[:2]]
    assert costs[0] is not None
    assert costs[1] == pytest.approx(costs[0] * 1.1, rel=1e-6)
