"""Expected prices: what is learnt, what it orders, and that reserved capacity goes first until it is used up."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from margin.card import Card
from margin.costbook import PriceHistory
from margin.sellbook import Plan
from margin.usage import Usage
from proxy.expected import DEPLOYMENTS_MAX, Expected
from proxy.routing import policy
from proxy.settings import Deployment, Settings
from proxy.wire.ask import input_estimate
from tests.proxy.scene import scene
from tests.proxy.test_policy import ask, judged, names
from tests.settings.writing import loaded

YAML = """\
providers:
  one: {dialect: openai, base_url: "http://127.0.0.1:8000/v1"}
  two: {dialect: openai, base_url: "http://127.0.0.1:8001/v1"}
models:
  dear: {provider: one, model: m, price: {input: 2, cache_read: 0.2, output: 10}}
  cheap: {provider: two, model: m, price: {input: 1, cache_read: 0.9, output: 10}}
  ours: {provider: two, model: m, price: {input: 5, output: 50}, reserved_tpm: 1000}
  large: {provider: one, price: {input: 20, output: 100}}
tiers: {simple: [dear, cheap], complex: [large]}
routing: {order: price}
"""
TASK = "chat"
NOW = 3_000_000_000


def first(settings: Settings, expected: Expected, now_s: int = NOW, **fields: Any) -> tuple[str, str]:
    """Who goes first, and the route's token."""

    def prices(deployment: Deployment, asked: Any, task: str) -> int | None:
        return expected.nusd(deployment, asked, task, now_s)

    route = policy.route(settings, Plan("open"), ask(**fields), judged("simple"), prices=prices)
    return names(route)[0], route.rule


def test_the_cheapest_of_a_tier_goes_first_and_the_tiers_keep_their_order(tmp_path: Path) -> None:
    """At equal lengths by price; the list's order where nobody asks for prices."""
    settings = loaded(tmp_path, YAML)

    route = policy.route(settings, Plan("open"), ask(), judged("simple"), prices=Expected().nusd)

    assert (names(route), route.rule) == (["cheap", "dear", "large"], "judged+price")
    assert "cheap is expected to cost less than dear" in route.reasons
    assert names(policy.route(settings, Plan("open"), ask(), judged("simple"))) == ["dear", "cheap", "large"]


def test_the_amount_is_price_times_what_is_known_and_assumed(tmp_path: Path) -> None:
    """Until 200 answers were seen 256 tokens each; never more than `max_tokens`."""
    cheap, asked = loaded(tmp_path, YAML).deployments["cheap"], ask(n=2)

    found = Expected().nusd(cheap, asked, TASK, NOW)

    assert found == input_estimate(asked) * 1_000 + 2 * 256 * 10_000
    short = ask(max_tokens=10)
    assert Expected().nusd(cheap, short, TASK, NOW) == input_estimate(short) * 1_000 + 10 * 10_000


def test_the_service_tier_that_is_asked_for_is_priced(tmp_path: Path) -> None:
    """As the cost book prices it there, and as the standard one where it does not."""
    cheap = loaded(tmp_path, YAML).deployments["cheap"]
    card = Card.of(input=1, output=10, service_tiers={"priority": {"input": 2, "output": 20}})
    tiered = replace(cheap, prices=PriceHistory.fixed(card))
    fast, slow = ask(service_tier="priority"), ask(service_tier="flex")

    assert Expected().nusd(tiered, fast, TASK, NOW) == input_estimate(fast) * 2_000 + 256 * 20_000
    assert Expected().nusd(tiered, slow, TASK, NOW) == input_estimate(slow) * 1_000 + 256 * 10_000


def test_output_is_learnt_by_model_and_task(tmp_path: Path) -> None:
    """The median of what was reported, whichever of its deployments answered; estimates of ours teach nothing."""
    settings, expected, asked = loaded(tmp_path, YAML), Expected(), ask()
    dear, cheap = (settings.deployments[name] for name in ("dear", "cheap"))
    for n in range(300):
        expected.learn(dear, TASK, Usage(input=1, output=64 if n % 3 else 4_000), NOW)
        expected.learn(dear, TASK, Usage(input=1, output=9_999, source="estimated"), NOW)

    base = input_estimate(asked) * 1_000
    assert expected.nusd(cheap, asked, TASK, NOW) == base + 64 * 10_000
    assert expected.nusd(cheap, asked, "code", NOW) == base + 256 * 10_000


def test_what_a_deployment_reads_from_its_cache_counts_at_that_price(tmp_path: Path) -> None:
    """The dearer list is the cheaper bill where nine tenths of the input are warm."""
    settings, expected = loaded(tmp_path, YAML), Expected()
    assert first(settings, expected, content="x" * 4_000)[0] == "cheap"

    expected.learn(settings.deployments["dear"], TASK, Usage(input=100, cache_read=900, output=1), NOW)

    assert first(settings, expected, content="x" * 4_000) == ("dear", "judged")


def test_reserved_capacity_goes_first_until_its_minute_is_used_up(tmp_path: Path) -> None:
    """And again a minute later."""
    settings, expected = loaded(tmp_path, YAML.replace("[dear, cheap]", "[dear, cheap, ours]")), Expected()
    found = [first(settings, expected)[0]]
    for used in (999, 1):
        expected.learn(settings.deployments["ours"], TASK, Usage(input=used - 1, output=1), NOW)
        found.append(first(settings, expected)[0])
    found.append(first(settings, expected, now_s=NOW + 61)[0])

    assert found == ["ours", "ours", "cheap", "ours"]


def test_it_remembers_a_bounded_number_of_deployments(tmp_path: Path) -> None:
    """The oldest goes."""
    expected, like = Expected(), loaded(tmp_path, YAML).deployments["ours"]
    from dataclasses import replace

    for n in range(DEPLOYMENTS_MAX + 5):
        expected.learn(replace(like, name=f"d{n}", model="m"), TASK, Usage(input=1, output=1), NOW)

    assert len(expected._seen) == DEPLOYMENTS_MAX


@pytest.mark.parametrize(("text", "sentence"), [
    (YAML.replace("order: price", "order: listed"), "reserved_tpm of ours has no effect: order is listed"),
    (YAML.replace("dear: {", "dear: {weight: 2, "), "the weight of dear only parts equal prices: order is price"),
])  # fmt: skip
def test_what_an_order_makes_idle_is_told(tmp_path: Path, text: str, sentence: str) -> None:
    """As a warning: it serves all the same."""
    assert any(sentence in each for each in loaded(tmp_path, text).warnings)


def test_a_request_is_answered_by_who_costs_least_and_teaches(tmp_path: Path) -> None:
    """Through the whole exchange, plain and streamed."""

    async def main() -> tuple[list[bytes], int]:
        async with scene(tmp_path, sections="routing: {order: price}\n") as here:
            replies = [await here.ask(), await here.stream()]
            seen = here.world.expected._seen
        return [dict(each.headers)[b"x-penstock-route"] for each in replies], sum(len(name) > 0 for name in seen)

    routes, taught = asyncio.run(main())

    assert all(each in {b"pinned", b"pinned+price"} for each in routes)
    assert taught >= 1
