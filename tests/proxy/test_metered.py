"""Requests on plans that charge by usage: the ceiling is put aside, the usage is charged, the rest goes back."""

import asyncio
import contextlib
from decimal import Decimal

import pytest

from margin.meter import Meter
from margin.usage import Usage
from proxy.admission import Lease
from proxy.outputs import SAMPLES_MAX, SAMPLES_MIN, Outputs, Sketch
from proxy.wire.errors import Malformed, OutOfCredit, ProxyError
from tests.proxy.scene import CUSTOMER, LENT, check_books, scene

METER = Meter(Decimal(1), Decimal(4), cache_read=Decimal("0.1"))


def play(folder, act, **stage):
    """Play an act on a metered plan; return the scene."""

    async def main():
        async with scene(folder, **({"plan": "metered"} | stage)) as found:
            await act(found)
        return found

    found = asyncio.run(main())
    check_books(found.records())
    return found


def billed_milli(bill):
    """What the provider's own invoice comes to in credits."""
    usage = bill["usage"]
    return METER.charge_milli(
        Usage(input=usage["input"], cache_read=usage["cache_read"], cache_write_5m=usage["cache_write"],
              output=usage["output"])
    )  # fmt: skip


def header(reply, name):
    """A header of a reply, or None."""
    return dict(reply.headers).get(name.encode())


def test_a_plain_answer_is_charged_by_the_providers_usage(tmp_path):
    """What was held too much is back in the lease, and the headers say the charge and what is left."""
    replies = []

    async def act(here):
        replies.append(await here.ask("Say hello to the world", max_tokens=200))

    found = play(tmp_path, act)

    held, settled = found.records()[0], found.end()
    (bill,) = found.billed()
    assert settled["cr"] == billed_milli(bill) > 0
    body_bytes = len(found.provider.requests[0].content)
    assert held["cr"] >= 200 * 4  # all of the output that was asked for
    assert abs(held["cr"] - (body_bytes + 200 * 4)) <= 20  # and a token for each byte; the model's name differs
    assert found.spent_milli == settled["cr"]
    assert header(replies[0], "x-penstock-credits-charged") == f"{settled['cr'] / 1000:g}".encode()
    assert header(replies[0], "x-penstock-credits-remaining") == f"{(LENT - settled['cr']) / 1000:.10g}".encode()
    assert settled["dec"]["metered"]["output"] == "4"


def test_a_stream_is_charged_by_its_usage_and_does_not_say_so_before(tmp_path):
    """The head is sent before anybody knows."""
    replies = []

    async def act(here):
        replies.append(await here.stream("Say hello to the world", max_tokens=200))

    found = play(tmp_path, act)

    assert found.end()["cr"] == billed_milli(found.billed()[0]) == found.spent_milli
    assert header(replies[0], "x-penstock-credits-charged") is None
    marks = [record for record in found.records() if record["k"] == "mark"]
    assert marks
    assert all(0 <= mark["cr"] <= found.records()[0]["cr"] for mark in marks)


def test_without_a_limit_of_the_callers_the_models_own_counts(tmp_path):
    """The hold covers all that the model can put out."""

    async def act(here):
        await here.ask("hi")

    found = play(tmp_path, act)

    limit = max(each.output_max for each in found.world.settings.deployments.values() if each.output_max is not None)
    assert limit * 4 <= found.records()[0]["cr"] <= limit * 4 + 200


def test_a_ceiling_the_balance_does_not_cover_says_what_helps(tmp_path):
    """402 with the need, both bounds, and the way out; a smaller one is served."""
    messages = []

    async def act(here):
        here.keeper.credits_milli = 2_000
        with pytest.raises(OutOfCredit) as refused:
            await here.ask("hi", max_tokens=1_000)
        messages.append(refused.value.message)
        await here.ask("hi", max_tokens=100)

    found = play(tmp_path, act)

    assert "1,000 out" in messages[0]
    assert "A smaller `max_tokens` needs less." in messages[0]
    assert found.kinds().count("held") == 1


@pytest.mark.parametrize(("type_", "most"), [("image_url", 50_000), ("file", 1_050_000)])
def test_media_are_held_at_what_bounds_them(tmp_path, type_, most):
    """An image's tokens do not follow its URL's length, a file's nothing but the model's window."""
    part = {"type": type_, type_: {"url": "https://example.com/a.png"} if type_ == "image_url" else {"file_id": "f1"}}

    async def act(here):
        here.keeper.credits_milli = 2 * LENT
        with contextlib.suppress(ProxyError):
            await here.ask(messages=[{"role": "user", "content": [part]}], max_tokens=10)

    found = play(tmp_path, act)

    ins = found.records()[0]["cr"] - 10 * 4
    assert most - 500 <= ins <= most + 500


@pytest.mark.parametrize("fault", ["status=503", "cut=0"])
def test_a_provider_that_fails_costs_the_customer_nothing(tmp_path, fault):
    """The whole hold goes back."""

    async def act(here):
        await here.simulator_fails(fault, times=9)
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is, it is no charge
            await here.ask("hi", max_tokens=50)

    found = play(tmp_path, act)

    assert found.spent_milli == 0


def test_a_client_that_leaves_is_charged_what_the_provider_says_at_the_end(tmp_path):
    """The stream is read on; the true usage is charged, not the ceiling."""

    async def act(here):
        reply = await here.ask("Tell me a long story", stream=True, max_tokens=300)
        here.caller.at[2] = reply.relay.left
        await reply.relay.run(here.caller)

    found = play(tmp_path, act)

    assert found.end()["o"] == "client_gone"
    assert found.end()["cr"] == billed_milli(found.billed()[0]) == found.spent_milli


def test_statistical_holds_start_at_the_ceiling_and_shrink_to_what_was_seen(tmp_path):
    """After enough answers of some ten tokens the hold covers what they were, and not a thousand."""

    async def act(here):
        await here.ask("hi", max_tokens=1_000)
        sketch = here.world.outputs.of(here.world.settings.sellbook.plan("learning").version, "simple")
        for _ in range(SAMPLES_MIN):
            sketch.add(10)
        await here.ask("hi", max_tokens=1_000)
        await here.ask("hi", max_tokens=5)

    found = play(tmp_path, act, plan="learning")

    first, second, third = (record["cr"] for record in found.records() if record["k"] == "held")
    ins = first - 1_000 * 4
    assert 10 * 4 <= second - ins <= 12 * 4
    assert third - ins <= 5 * 4


def test_a_charge_beyond_a_statistical_hold_leaves_the_lease_below_zero(tmp_path):
    """Nothing more can be spent from it; the keeper is asked, and hears of the debt."""

    async def act(here):
        sketch = here.world.outputs.of(here.world.settings.sellbook.plan("learning").version, "simple")
        for _ in range(SAMPLES_MIN):
            sketch.add(1)
        here.keeper.credits_milli = 0
        here.world.wallets.add(CUSTOMER, Lease(150, None))
        await here.ask("Tell me a long story about the sea", max_tokens=400)
        assert here.world.wallets.left_milli(CUSTOMER) < 0
        with pytest.raises(OutOfCredit):
            await here.ask("hi", max_tokens=1)

    found = play(tmp_path, act, plan="learning")

    assert found.end()["cr"] > found.records()[0]["cr"]
    assert found.keeper.credits_milli == 150 - found.end()["cr"]


def test_the_sketch_is_never_below_the_true_quantile():
    """Within nine percent above it, follows what changes, and knows nothing before it has seen enough."""
    sketch = Sketch()
    for tokens in range(1, SAMPLES_MIN):
        sketch.add(tokens)
    assert sketch.quantile(0.95) is None

    for tokens in range(SAMPLES_MIN, 1_001):
        sketch.add(tokens)
    assert 950 <= sketch.quantile(0.95) <= 950 * 1.1

    for _ in range(4 * SAMPLES_MAX):
        sketch.add(7)
    assert sketch.quantile(0.95) in {7, 8}


def test_there_are_only_so_many_sketches():
    """The oldest goes; asking for it again begins anew."""
    outputs = Outputs()
    first = outputs.of("plan_0", "simple")
    assert outputs.of("plan_0", "simple") is first

    for number in range(1, 600):
        outputs.of(f"plan_{number}", "simple")

    assert outputs.of("plan_0", "simple") is not first


def test_an_unbounded_request_names_the_field():
    """The model's limit is not known and the caller states none."""
    from proxy.quote import _must_be_bounded

    with pytest.raises(Malformed) as refused:
        _must_be_bounded(10, None)

    assert refused.value.param == "max_tokens"
