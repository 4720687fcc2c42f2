"""Limits at the exchange: what a request takes of them, what comes back, and what its caller is told."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.card import Card
from margin.costbook import PriceHistory
from proxy.ceilings import ceiling_nusd
from proxy.cli.judging import _explained
from proxy.identity import KeyTerms
from proxy.limits.crowd import Crowd
from proxy.limits.guard import Reached
from proxy.limits.shares import Amounts, Name
from proxy.settings import Budget, Deployment, Limits, Provider, Terms
from proxy.wire import chat
from proxy.wire.errors import Malformed, OutOfCredit, OverBudget, OverLimit, Refused, UpstreamFailed
from tests.proxy.scene import Scene, configured, scene

NUSD = 10**9
MODEL = Deployment("some", Provider("house", "openai", "http://127.0.0.1:8000/v1", None, True), "some", prices=None)


def read(**fields: Any) -> chat.ChatRequest:
    """Return a request as it is read."""
    return chat.read(orjson.dumps({"model": "auto", "messages": [{"role": "user", "content": "hi"}], **fields}))


def in_loop(test: Callable[..., Any]) -> Callable[..., None]:
    """Run a test in a loop of its own."""

    @wraps(test)
    def run(*words: Any, **named: Any) -> None:
        asyncio.run(test(*words, **named))

    return run


def under(found: Scene, limits: Limits) -> Scene:
    """Return a scene under other limits."""
    found.world.settings = replace(found.world.settings, limits=limits)
    return found


def keyed(**terms) -> Limits:
    """Return limits of a key, and of nothing else."""
    return Limits(key_defaults=Terms(**terms))


def share(found: Scene, kind: str, id_: str, measure: str, per: str = "") -> object:
    """Return the worker's share of a limit."""
    return found.world.limits.guard._shares[Name(kind, id_, measure, per)]


@in_loop
async def test_a_limit_counts_what_was_served_and_not_what_was_refused(tmp_path):
    """Two a minute: two go through, the third is told to come back when the first has left the window."""
    async with scene(tmp_path) as found:
        under(found, keyed(rpm=2))
        began_s = time.monotonic()
        replies = [await found.ask() for _ in range(2)]
        with pytest.raises(OverLimit) as refused:
            await found.ask()
        took_s = time.monotonic() - began_s

        left = [dict(each.headers)[b"x-ratelimit-remaining-requests"] for each in replies]
        assert left == [b"1", b"0"]
        assert refused.value.reason == "over_requests"
        assert refused.value.retry_after_s is not None
        assert 60 - took_s <= refused.value.retry_after_s <= 61
        assert found.kinds() == ["held", "settled"] * 2


@in_loop
async def test_what_a_model_refuses_does_not_count_for_its_caller(tmp_path):
    """The model has no room twice; its caller may still use what is left of its own two a minute."""
    async with scene(tmp_path) as found:
        under(found, replace(keyed(rpm=2), models={"gpt-6-luna": Terms(rpm=1)}))
        await found.ask(model="gpt-6-luna")
        for _ in range(2):
            with pytest.raises(OverLimit):
                await found.ask(model="gpt-6-luna")
        served = await found.ask(model="gpt-4o-mini")

        assert dict(served.headers)[b"x-ratelimit-remaining-requests"] == b"0"


@in_loop
async def test_open_requests_are_given_back_however_they_end(tmp_path):
    """One at once: after an answer, a stream, a failure and a refusal for lack of credit it is free."""
    async with scene(tmp_path) as found:
        under(found, keyed(concurrency=1))
        await found.ask()
        await found.stream()
        await found.simulator_fails("status=500", times=3)
        with pytest.raises(UpstreamFailed):
            await found.ask()
        found.keeper.credits_milli = 0
        found.world.wallets.surrender(1)
        with pytest.raises(OutOfCredit):
            await found.ask()

        assert share(found, "key", "key_1", "open").open == 0
        assert not found.world.crowd._open


@in_loop
async def test_tokens_are_corrected_by_the_usage(tmp_path):
    """A thousand reserved for the answer, and what the provider reports counts in the end."""
    async with scene(tmp_path) as found:
        under(found, keyed(tpm=10_000))
        await found.ask(max_tokens=1_000)

        (bill,) = found.billed()
        used = sum(bill["usage"].values())
        assert 0 < used < 1_000
        assert share(found, "key", "key_1", "tokens", "minute").free(found.world.limits.guard.clock()) == 10_000 - used


@in_loop
async def test_a_budget_holds_the_ceiling_and_spends_the_cost(tmp_path):
    """What the call cost leaves the purse, and all the rest comes back."""
    async with scene(tmp_path) as found:
        under(found, keyed(budgets=(Budget(NUSD, "day"),)))
        await found.ask(max_tokens=100)

        cost = found.end()["a"][0]["cost"]
        purse = share(found, "key", "key_1", "cost", "day cost hard")
        assert cost > 0
        assert (purse.size, purse.held) == (NUSD - cost, 0)


@pytest.mark.parametrize("scopes", ["serve", "serve see-cost"])
@in_loop
async def test_a_budget_that_is_too_small_says_what_is_needed(tmp_path, scopes):
    """In dollars to who may see costs, in parts of the budget to everybody else."""
    async with scene(tmp_path, scopes=scopes) as found:
        under(found, keyed(budgets=(Budget(1_000, "day"),)))
        with pytest.raises(OverBudget) as refused:
            await found.ask(max_tokens=1_000)

        assert ("$" in refused.value.message) == ("see-cost" in scopes)
        assert found.kinds() == []
        assert found.billed() == []


@in_loop
async def test_many_choices_and_images_are_in_the_ceiling(tmp_path):
    """`n: 100` needs a hundred times the output; each image 50,000 tokens."""
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    async with scene(tmp_path) as found:
        under(found, keyed(budgets=(Budget(300_000, "day"),)))  # 600 tokens out at $0.50 per million, or so
        await found.ask(max_tokens=300)
        with pytest.raises(OverBudget):
            await found.ask(max_tokens=300, n=100)
        messages = [{"role": "user", "content": [{"type": "text", "text": "hi"}, *[image] * 300]}]
        with pytest.raises(OverBudget):
            await found.ask(max_tokens=10, messages=messages)


HUGE = 2**63 - 1


@pytest.mark.parametrize("scopes", ["serve", "serve see-cost"])
@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1_000, "max_tokens": 20_000},
        {"best_of": 1_000, "max_tokens": 20_000},
        {"max_tokens": 10**9},
        {"max_completion_tokens": 10**9},
        {"n": HUGE, "max_tokens": HUGE},
        {"n": HUGE, "best_of": HUGE, "max_tokens": HUGE, "service_tier": "priority"},
    ],
    ids=" ".join,
)
@in_loop
async def test_what_asks_for_very_much_is_told_what_it_needs_and_what_there_is(tmp_path, fields, scopes):
    """402 before anything is written or sent: the amounts to who may see costs, the parts to everybody else."""
    async with scene(tmp_path, scopes=scopes) as found:
        under(found, keyed(budgets=(Budget(5 * NUSD, "day"),)))
        with pytest.raises(OverBudget) as refused:
            await found.ask(**fields)

        text = refused.value.message
        assert ("it needs up to $" in text) == ("and $5 is left" in text) == ("see-cost" in scopes)
        assert ("% of it and 100% is left" in text) == ("see-cost" not in scopes)
        assert (refused.value.should_retry, found.records(), found.billed()) == (False, [], [])


@pytest.mark.parametrize("fields", [{"n": HUGE, "max_tokens": HUGE}, {"max_tokens": HUGE}])
@in_loop
async def test_very_many_tokens_do_not_fit_a_limit_on_tokens(tmp_path, fields):
    """429, and no wait helps."""
    async with scene(tmp_path) as found:
        under(found, keyed(tpm=1_000_000))
        with pytest.raises(OverLimit) as refused:
            await found.ask(**fields)

        assert "this request alone may need" in refused.value.message
        assert refused.value.retry_after_s is None


@in_loop
async def test_what_the_provider_will_not_have_it_refuses(tmp_path):
    """A budget that covers a thousand choices lets them through; OpenAI takes 128, and nothing is billed."""
    async with scene(tmp_path) as found:
        under(found, keyed(budgets=(Budget(100 * NUSD, "day"),)))
        with pytest.raises(Refused):
            await found.ask(n=1_000, max_tokens=20_000)

        assert (found.billed(), share(found, "key", "key_1", "cost", "day cost hard").size) == ([], 100 * NUSD)


@pytest.mark.parametrize(
    ("fields", "times"),
    [
        ({}, 1),
        ({"service_tier": "flex"}, 1),
        ({"service_tier": "priority"}, 3),
        ({"service_tier": "fast"}, 3),
        ({"service_tier": "turbo"}, 3),
        ({"speed": "fast"}, 3),
    ],
)
def test_a_ceiling_is_of_the_service_tier_that_is_asked_for(fields, times):
    """Three times the price in priority: all that is sent on in this tier, or in one that nobody knows, may cost it."""
    card = Card.of(input=1, output=10, service_tiers={"priority": {"input": 3, "output": 30}, "flex": {"output": 5}})
    deployment = replace(MODEL, prices=PriceHistory.fixed(card))
    ask = read(max_tokens=100, **fields)

    assert ceiling_nusd(deployment, ask, 0) == times * (ask.body_bytes * 1_000 + 100 * 10_000)


def test_a_service_tier_without_any_price_has_no_ceiling():
    """Under a stated budget it is refused; elsewhere it is held at the standard price."""
    deployment = replace(MODEL, prices=PriceHistory.fixed(Card.of(input=1, output=10)))
    ask = read(max_tokens=100, service_tier="priority")

    assert ceiling_nusd(deployment, ask, 0) is None
    assert ceiling_nusd(deployment, ask, 0, assumed_out=1) == ask.body_bytes * 1_000 + 100 * 10_000


def test_what_is_explained_is_what_is_held(tmp_path):
    """One ceiling, with 50,000 tokens for an image."""
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    fields = {"model": "auto:simple", "max_tokens": 10, "messages": [{"role": "user", "content": [image]}]}
    settings = configured(tmp_path, None, "5s")

    found = _explained(settings, orjson.dumps(fields), None)

    held = ceiling_nusd(settings.deployments[found["model"]], read(**fields), time.time_ns() // NUSD)
    assert held is not None
    assert found["ceiling_nusd"] == held > 50_000 * 20


@in_loop
async def test_a_stated_budget_refuses_a_service_tier_of_unknown_price(tmp_path):
    """And says which field it is."""
    async with scene(tmp_path) as found:
        plain = PriceHistory.fixed(Card.of(input=1, output=10))
        tiers = {
            tier: tuple(replace(each, prices=plain) for each in deployments)
            for tier, deployments in found.world.settings.tiers.items()
        }
        found.world.settings = replace(found.world.settings, tiers=tiers)
        found.principal = replace(found.principal, terms=KeyTerms(limits=Terms(budgets=(Budget(NUSD, "day"),))))
        with pytest.raises(Malformed) as refused:
            await found.ask(max_tokens=10, service_tier="priority")

        assert refused.value.param == "service_tier"


@in_loop
async def test_what_nothing_bounds_must_say_its_bound(tmp_path):
    """Under a stated budget a model of unknown output needs `max_tokens`; under every key's own it is assumed."""
    async with scene(tmp_path) as found:
        tiers = {
            tier: tuple(replace(each, output_max=None, context_window=None) for each in deployments)
            for tier, deployments in found.world.settings.tiers.items()
        }
        found.world.settings = replace(found.world.settings, tiers=tiers)
        await found.ask()
        found.principal = replace(found.principal, terms=KeyTerms(limits=Terms(budgets=(Budget(NUSD, "day"),))))
        with pytest.raises(Malformed) as refused:
            await found.ask()
        await found.ask(max_tokens=10)

        assert refused.value.param == "max_tokens"


@in_loop
async def test_a_model_over_its_limit_gives_way_to_the_next(tmp_path):
    """Calls count: the tier's second model serves what the first may not; a named one is refused."""
    async with scene(tmp_path) as found:
        under(found, Limits(models={"gpt-6-luna": Terms(rpm=1)}))
        served = [dict((await found.ask()).headers)[b"x-penstock-model"] for _ in range(2)]
        with pytest.raises(OverLimit):
            await found.ask(model="gpt-6-luna")

        assert served == [b"gpt-6-luna", b"gpt-4o-mini"]
        assert found.kinds() == ["held", "settled"] * 2


@in_loop
async def test_a_fallback_takes_a_ceiling_of_its_own(tmp_path):
    """The first model fails, and the budget covers no further call: nobody else is asked."""
    async with scene(tmp_path) as found:
        under(found, keyed(budgets=(Budget(400_000, "day"),)))
        await found.simulator_fails("status=500", times=1)
        with pytest.raises(UpstreamFailed):
            await found.ask(max_tokens=700)

        assert len(found.records()[-1]["a"]) == 1


@in_loop
async def test_a_dearer_model_in_place_of_the_first_needs_its_own_ceiling(tmp_path):
    """The first model has no room, nobody was called: $0.006 covers its 300 tokens, and not those of the next."""
    async with scene(tmp_path) as found:
        under(found, replace(keyed(budgets=(Budget(6_000_000, "day"),)), models={"gpt-6.1-sol": Terms(rpm=1)}))
        served = await found.ask(model="auto:medium", max_tokens=20)
        with pytest.raises(OverLimit):
            await found.ask(model="auto:medium", max_tokens=300)

        assert dict(served.headers)[b"x-penstock-model"] == b"gpt-6.1-sol"
        assert [line["model"] for line in found.billed()] == ["gpt-6.1-sol"]
        assert share(found, "key", "key_1", "cost", "day cost hard").held == 0


@in_loop
async def test_in_place_of_the_first_only_the_difference_is_held(tmp_path):
    """A budget of a little more than the dearer ceiling serves it: what is held for the first model counts."""
    async with scene(tmp_path) as found:
        astra, ask = found.world.settings.deployments["gpt-6-astra"], {"model": "auto:medium", "max_tokens": 300}
        ceiling = ceiling_nusd(astra, read(**ask), found.world.now() // NUSD)
        assert ceiling is not None
        under(found, replace(keyed(budgets=(Budget(ceiling, "day"),)), models={"gpt-6.1-sol": Terms(tpm=1)}))
        served = await found.ask(**ask)

        assert dict(served.headers)[b"x-penstock-model"] == b"gpt-6-astra"


@in_loop
async def test_a_budget_that_is_used_up_serves_cheaper(tmp_path):
    """`downgrade`: a request for the complex tier is served simple while the budget does not cover it."""
    async with scene(tmp_path) as found:
        under(found, keyed(budgets=(Budget(1_000_000, "day", action="downgrade"),)))
        cheap = await found.ask(model="auto:complex", max_tokens=1_000)
        found.world.settings = replace(
            found.world.settings, limits=keyed(budgets=(Budget(NUSD, "day", action="downgrade"),))
        )
        dear = await found.ask(model="auto:complex", max_tokens=1_000)

        assert dict(cheap.headers)[b"x-penstock-served-tier"] == b"simple"
        assert dict(dear.headers)[b"x-penstock-served-tier"] == b"complex"


@in_loop
async def test_who_may_use_nothing_cheaper_hears_of_which_budget(tmp_path):
    """A key of the complex tier alone: 402 names the budget and its part, and says why nothing else serves."""
    async with scene(tmp_path) as found:
        own = Terms(budgets=(Budget(1_000_000, "day", action="downgrade"),))
        found.principal = replace(found.principal, terms=KeyTerms(tiers=frozenset({"complex"}), limits=own))
        with pytest.raises(OverBudget) as caught:
            await found.ask(model="auto", max_tokens=1_000)

        assert "The budget of this key for the day does not cover this request" in caught.value.message
        assert caught.value.message.endswith("What serves meanwhile is cheaper, and not this key's to use.")
        assert found.world.crowd._open == {}
        assert share(found, "key", "key_1", "cost", "day cost downgrade").held == 0
        assert found.records() == []


@in_loop
async def test_of_two_budgets_more_is_held_of_both_or_of_none(tmp_path):
    """The second has no room for a dearer model: the first holds what it held."""
    async with scene(tmp_path) as found:
        guard = found.world.limits.guard
        wide, narrow = (guard.share(Name("key", id_, "cost", "day cost hard"), most)
                        for id_, most in (("wide", 1_000), ("narrow", 100)))  # fmt: skip
        passage = await guard.admit([wide, narrow], Amounts(1, 0, 60))
        with pytest.raises(Reached):
            await guard.more(passage, [wide, narrow], 50)
        assert (wide.held, narrow.held) == (60, 60)
        await guard.more(passage, [wide, narrow], 40)
        guard.more_of_what_is_left(passage, [wide, narrow], 500)

        assert (wide.held, narrow.held) == (600, 100)
        passage.undo()
        assert (wide.held, narrow.held) == (0, 0)


@in_loop
async def test_of_those_that_race_for_it_one_is_served_dear(tmp_path):
    """Room for one ceiling and two at once, while another limit is asked for: the second is served simple."""
    async with scene(tmp_path) as found:
        astra, ask = found.world.settings.deployments["gpt-6-astra"], {"model": "auto:complex", "max_tokens": 1_000}
        ceiling = ceiling_nusd(astra, read(**ask), found.world.now() // NUSD)
        under(found, keyed(rpm=10, concurrency=5, budgets=(Budget(ceiling, "day", action="downgrade"),)))
        replies = await asyncio.gather(*(found.ask(**ask) for _ in range(2)))

        tiers = sorted(dict(each.headers)[b"x-penstock-served-tier"] for each in replies)
        assert tiers == [b"complex", b"simple"]


@in_loop
async def test_what_is_served_cheaper_may_fit_a_budget_that_refuses(tmp_path):
    """The dear ceiling fits neither of both budgets, the simple one that which refuses."""
    async with scene(tmp_path) as found:
        budgets = (Budget(500_000, "day", action="downgrade"), Budget(1_000_000, "day"))
        under(found, keyed(budgets=budgets))
        served = await found.ask(model="auto:complex", max_tokens=1_000)

        assert dict(served.headers)[b"x-penstock-served-tier"] == b"simple"
        held = [share(found, "key", "key_1", "cost", each.name).held for each in budgets]
        assert held == [0, 0]


@in_loop
async def test_charges_have_budgets_of_their_own(tmp_path):
    """A simple request is a credit at five cents: it fits six cents, and not four."""
    async with scene(tmp_path) as found:
        under(found, keyed(budgets=(Budget(60_000_000, "day", of="charge"),)))
        await found.ask()
        under(found, keyed(budgets=(Budget(40_000_000, "month", of="charge"),)))
        with pytest.raises(OverBudget) as refused:
            await found.ask()

        assert "$0.05" in refused.value.message
        assert share(found, "key", "key_1", "charge", "day charge hard").size == 10_000_000


@in_loop
async def test_a_key_keeps_the_defaults_it_says_nothing_of(tmp_path):
    """Its own `rpm`, and the budget that every key has."""
    async with scene(tmp_path) as found:
        found.principal = replace(found.principal, terms=KeyTerms(limits=Terms(rpm=5)))
        await found.ask()

        names = {(name.measure, name.per) for name in found.world.limits.guard._shares}
        assert names == {("requests", "minute"), ("open", ""), ("cost", "day cost hard")}


def test_a_crowd_keeps_places_for_others():
    """Sixteen places: one customer alone may hold fourteen; of the last two each other customer finds one."""
    crowd, open_now = Crowd(), 0
    entered = {1: 0, 2: 0, 3: 0}
    for customer in (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3):
        open_now += 1
        if crowd.enter(customer, open_now, 16):
            entered[customer] += 1
        else:
            open_now -= 1

    assert entered == {1: 14, 2: 1, 3: 1}
    for _ in range(14):
        crowd.leave(1)
    assert set(crowd._open) == {2, 3}


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=900), st.integers(8, 256))
def test_who_has_nothing_open_finds_a_place_while_the_last_eighth_has_one(steps: list[tuple[int, bool]], bound: int):
    """Whoever comes and goes in whatever order, the greedy never take the last eighth, nor all of it together."""
    crowd, mine = Crowd(), Counter[int]()
    for customer, leaves in steps:
        if leaves:
            if mine[customer]:
                crowd.leave(customer)
                mine[customer] -= 1
            continue
        open_now = mine.total() + 1
        if open_now > bound:
            assert len([each for each in mine if mine[each]]) > 1 or bound < 8  # never one alone
            continue
        entered = crowd.enter(customer, open_now, bound)
        assert entered or mine[customer]
        mine[customer] += entered
        assert crowd._open == +mine
        assert max(mine.values()) <= bound - bound // 8


def test_a_full_house_says_when_a_place_is_free():
    """Counted since it filled: an end each second, and one of a customer's six in ten; while none ends, longer."""
    now = [0.0]
    crowd = Crowd(lambda: now[0])
    now[0] = 3_600  # however long there was room
    for n in range(60):
        assert crowd.enter(1 if n < 6 else n, n + 1, 100)
    assert (crowd.wait_s(), crowd.wait_s(60, 1)) == (1, 1)
    for n in range(10):
        now[0] += 1
        crowd.leave(59 - n)

    assert (crowd.wait_s(), crowd.wait_s(60, 1), crowd.wait_s(60, 99)) == (1, 10, 1)
    now[0] += 1
    assert not crowd.enter(1, 90, 100)
    assert crowd.wait_s() == 1
    for waited_s in (7, 14, 21):  # nobody ends: who is refused meanwhile does not begin the count anew
        now[0] += 7
        assert crowd.wait_s() == waited_s
        assert not crowd.enter(1, 90, 100)
    now[0] += 50
    assert crowd.wait_s() == 60


def test_nobody_is_held_back_while_there_is_room():
    """Below a half of the bound each takes what it wants."""
    crowd = Crowd()

    assert all(crowd.enter(1, open_now, 100) for open_now in range(1, 51))
