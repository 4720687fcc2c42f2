"""Calls are booked at the price of the service tier that the provider says it served them in."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from margin.card import Card
from margin.costbook import PriceHistory
from proxy import metering
from proxy.ceilings import ceiling_nusd
from proxy.settings import Budget, Deployment, Limits, Provider, Terms
from proxy.upstream.dialects.anthropic.counts import read_usage
from tests.proxy.scene import Scene, scene
from tests.proxy.test_limits import in_loop, read, share, under

NUSD = 10**9
CARD = Card.of(input=1, output=10, service_tiers={"priority": {"input": 3, "output": 30}, "flex": {"output": 5}})
HOUSE = Provider("house", "openai", "http://127.0.0.1:8000/v1", None, True)
MODEL = Deployment("some", HOUSE, "some", prices=PriceHistory.fixed(CARD))


async def asked(found: Scene, *, stream: bool, prompt: str = "hi", **fields: Any) -> None:
    """Serve one request, plain or streamed to its end."""
    await (found.stream(prompt, **fields) if stream else found.ask(prompt, **fields))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("prompt", "fields", "tier"),
    [
        ("hi", {}, None),
        ("hi", {"service_tier": "default"}, None),
        ("hi", {"service_tier": "priority"}, "priority"),
        ("hi", {"service_tier": "flex"}, "flex"),
        ("hi [[sim: tier=default]]", {"service_tier": "priority"}, None),
        ("hi [[sim: tier=priority]]", {"service_tier": "auto"}, "priority"),
    ],
)
@in_loop
async def test_the_invoice_explains_the_cost_in_every_service_tier(tmp_path, prompt, fields, tier, stream):
    """What was served counts, and not what was asked for: a ramp limit serves priority as default."""
    async with scene(tmp_path) as found:
        await asked(found, stream=stream, prompt=prompt, max_tokens=500, **fields)

        (bill,), (line,) = found.billed(), found.end()["a"]
        assert abs(line["cost"] - Fraction(bill["amount_usd"]) * NUSD) <= Fraction(1, 2)
        assert bill["service_tier"] == (tier or "default")
        assert line.get("svc") == tier


@in_loop
async def test_a_model_that_is_not_sold_in_a_tier_is_served_and_booked_in_the_standard_one(tmp_path):
    """Our fine-tuned model has one price."""
    async with scene(tmp_path) as found:
        await found.ask(model="gpt-4o-mini", service_tier="priority")
        await found.ask(model="gpt-4o-mini")

        ends = [record["a"][0] for record in found.records() if record["k"] == "settled"]
        assert [line.get("svc") for line in ends] == ["priority", None]
        for line, bill in zip(ends, found.billed(), strict=True):
            assert abs(line["cost"] - Fraction(bill["amount_usd"]) * NUSD) <= Fraction(1, 2)


@in_loop
async def test_a_budget_holds_and_spends_in_the_tier(tmp_path):
    """Twice the price is held and spent: what is left of the budget is what the invoice leaves."""
    async with scene(tmp_path) as found:
        under(found, Limits(key_defaults=Terms(budgets=(Budget(NUSD, "day"),))))
        await found.ask(max_tokens=500, service_tier="priority")

        (bill,), purse = found.billed(), share(found, "key", "key_1", "cost", "day cost hard")
        assert abs(NUSD - purse.size - Fraction(bill["amount_usd"]) * NUSD) <= Fraction(1, 2)
        assert purse.held == 0


@in_loop
async def test_a_stream_without_usage_is_estimated_in_the_tier_that_was_asked_for(tmp_path):
    """Luna in priority: $0.20 a million tokens in and $1.00 out, also where the provider reports nothing."""
    async with scene(tmp_path) as found:
        await found.stream("hi [[sim: no_usage tokens=40]]", service_tier="priority")

        line = found.end()["a"][0]
        assert (line["kind"], line["svc"]) == ("estimated", "priority")
        assert line["cost"] == line["u"]["input"] * 200 + line["u"]["output"] * 1_000


@pytest.mark.parametrize(
    ("project", "asks", "times"),
    [(None, None, 1), ("priority", None, 3), ("priority", "auto", 3), ("priority", "default", 1), ("flex", None, 1)],
)
def test_what_no_request_names_is_what_the_project_is_set_to(project, asks, times):
    """`providers.NAME.service_tier` says it, so that a ceiling holds there, too."""
    deployment = replace(MODEL, provider=replace(HOUSE, service_tier=project))
    ask = read(max_tokens=100) if asks is None else read(max_tokens=100, service_tier=asks)

    assert ceiling_nusd(deployment, ask, 0) == times * (ask.body_bytes * 1_000 + 100 * 10_000)


def test_a_word_that_is_no_tier_is_not_kept():
    """Neither what is not sold apart by anybody, nor what is no text; the standard price counts."""
    usage = read_usage({"input_tokens": 10, "output_tokens": 1, "service_tier": "scale"})
    odd = read_usage({"input_tokens": 10, "output_tokens": 1, "service_tier": ["priority"]})

    assert usage is not None
    assert odd is not None
    assert odd.service_tier is None
    assert "svc" not in metering.attempt(1, MODEL, 0, usage=usage, status=200)
    assert metering.cost_nusd(MODEL, usage, 0) == metering.cost_nusd(MODEL, odd, 0) == 10 * 1_000 + 10_000


def test_anthropics_usage_says_the_tier_and_standard_is_none():
    """`usage.service_tier`, of messages and of streams alike."""
    found = [
        read_usage({"input_tokens": 1, "output_tokens": 1, "service_tier": tier}) for tier in ("standard", "priority")
    ]

    assert [None if each is None else each.service_tier for each in found] == [None, "priority"]
