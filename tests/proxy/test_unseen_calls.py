"""Calls whose answer nobody got: stated budgets count the most that they may have cost, the books an estimate."""

import random
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from margin.ledger import spending
from margin.ledger.state import Hold
from proxy.ceilings import ceiling_nusd
from proxy.keeper import recovery
from proxy.limits.bundles import Bundles
from proxy.limits.guard import Guard, No, Question
from proxy.limits.shares import Name, Purse
from proxy.settings import Budget, Limits, Terms
from proxy.wire.errors import OverBudget, ProxyError
from tests.proxy.scene import Scene, scene
from tests.proxy.test_limits import in_loop, keyed, read, share, under

NUSD = 10**9
STATED = Limits(key_defaults=Terms(), all=Terms(budgets=(Budget(NUSD, "day"),)))
SHORT = "{first_byte: 50ms, idle: 50ms}"


def purse(found: Scene) -> Purse:
    """Return the worker's share of what all may spend in a day."""
    held = share(found, "all", "", "cost", "day cost hard")
    assert isinstance(held, Purse)
    return held


def ceiling(found: Scene, model: str, fields: dict[str, Any]) -> int:
    """Return the most that one of those requests can cost there."""
    ask = {"model": "auto:simple", **fields}
    most = ceiling_nusd(found.world.settings.deployments[model], read(**ask), found.world.now() // NUSD)
    assert most is not None
    return most


@in_loop
async def test_a_call_that_is_never_answered_counts_its_ceiling(tmp_path):
    """Three hang and may be billed to the last token: the budget counts that, the cost lines the input."""
    async with scene(tmp_path, timeouts=SHORT) as found:
        under(found, STATED)
        await found.simulator_fails("hang", times=3)
        with pytest.raises(ProxyError):
            await found.ask(max_tokens=700)

        lines = found.end()["a"]
        expected = [ceiling(found, line["d"], {"max_tokens": 700}) for line in lines]
        assert [line["max"] for line in lines] == expected
        assert all(line["cost"] < line["max"] for line in lines)
        assert (purse(found).held, NUSD - purse(found).size) == (0, sum(expected))


@in_loop
async def test_under_the_default_budget_alone_an_estimate_counts(tmp_path):
    """It bounds what a stolen key costs; a provider that hangs for an hour must not use it up."""
    async with scene(tmp_path, timeouts=SHORT) as found:
        under(found, keyed(budgets=(Budget(NUSD, "day"),)))
        await found.simulator_fails("hang", times=1)
        await found.ask(max_tokens=700)

        lines, held = found.end()["a"], share(found, "key", "key_1", "cost", "day cost hard")
        assert isinstance(held, Purse)
        assert NUSD - held.size == sum(line["cost"] for line in lines)
        assert not any("max" in line for line in lines)


@pytest.mark.parametrize("fault", ["cut=3", "stall=3", "error_in_stream=3"])
@in_loop
async def test_a_stream_that_breaks_off_counts_its_ceiling(tmp_path, fault):
    """What went by is an estimate; the provider may have written on."""
    async with scene(tmp_path, timeouts=SHORT) as found:
        under(found, STATED)
        await found.simulator_fails(f"{fault} tokens=40", times=1)
        await found.stream(max_tokens=700)

        (line,) = found.end()["a"]
        assert line["kind"] == "estimated"
        assert NUSD - purse(found).size == line["max"] == ceiling(found, line["d"], {"max_tokens": 700, "stream": True})


@pytest.mark.parametrize("fields", [{}, {"stream": True}])
@in_loop
async def test_a_whole_answer_without_usage_counts_our_estimate(tmp_path, fields):
    """All of it was seen; a provider that never reports would else use up every budget."""
    async with scene(tmp_path) as found:
        under(found, STATED)
        await (found.stream if fields else found.ask)("hi [[sim: no_usage tokens=40]]", max_tokens=700)

        (line,) = found.end()["a"]
        assert "max" not in line
        assert NUSD - purse(found).size == line["cost"] > 0


@in_loop
async def test_a_model_s_own_budget_counts_it_too(tmp_path):
    """Also where no other budget is stated."""
    async with scene(tmp_path, timeouts=SHORT) as found:
        under(found, replace(keyed(), models={"gpt-6-luna": Terms(budgets=(Budget(NUSD, "day"),))}))
        await found.simulator_fails("hang", times=1)
        await found.ask(max_tokens=700)

        line, held = found.end()["a"][0], share(found, "model", "gpt-6-luna", "cost", "day cost hard")
        assert isinstance(held, Purse)
        assert NUSD - held.size == line["max"] == ceiling(found, "gpt-6-luna", {"max_tokens": 700})


@in_loop
async def test_reserved_tokens_of_a_call_without_an_answer_stay_used(tmp_path):
    """Unknown is not nothing: what was reserved for the lost call counts beside what the next one used."""
    async with scene(tmp_path, timeouts=SHORT) as found:
        under(found, keyed(tpm=10_000))
        await found.simulator_fails("hang", times=1)
        await found.ask(max_tokens=1_000)

        lost, served = found.end()["a"]
        used = lost["u"]["input"] + 1_000 + sum(served["u"].values())
        window = share(found, "key", "key_1", "tokens", "minute")
        assert window.free(found.world.limits.guard.clock()) == 10_000 - used


@in_loop
async def test_a_dead_worker_s_call_counts_its_ceiling(tmp_path):
    """The journal has it from before the call: whoever closes the exchange counts it."""
    async with scene(tmp_path) as found:
        under(found, STATED)
        await found.ask(max_tokens=700)
        begun = found.records()[0]
        call = {"k": "called", "x": begun["x"], **begun["call"]}

        hold = Hold(begun["x"], "w", 1, "k1", "p", "v", "simple", "simple", 0, 1, 0, (), 0, call)
        (unseen,) = recovery.close(hold, 1)["a"]
        marked = {"k": "mark", "x": begun["x"], "t": 1, "out": 5, "cost": 7}
        (seen,) = recovery.close(hold._replace(mark=marked), 1)["a"]
        assert spending.most_nusd(unseen) == spending.most_nusd(seen) == ceiling(found, call["d"], {"max_tokens": 700})
        assert (unseen["cost"], seen["cost"]) == (call["inc"], 7)


def counted(found: Scene) -> int:
    """Return what budgets count of all that was journalled."""
    ends = [record for record in found.records() if record["k"] in {"settled", "void"}]
    return sum(spending.most_nusd(line) for record in ends for line in record["a"])


class Keeper:
    """Lends what the journal leaves of a budget."""

    def __init__(self, found: Scene) -> None:
        self._found, self._lent = found, 0
        found.world.limits = Bundles(Guard(self))

    async def lend_share(self, question: Question) -> No | None:
        """Lend all there is."""
        self._lent -= question.back
        free = question.limit - counted(self._found) - self._lent
        self._lent += free
        self._found.world.limits.guard.add(question.name, free)
        return None if free >= question.need else No(free, is_final=True, frees_ns=None)

    def ask_spent(self, names: list[Name]) -> None:
        """Say nothing: here no header is looked at."""


@pytest.mark.parametrize("seed", range(8))
@in_loop
async def test_whatever_fails_the_invoice_stays_within_the_budget(tmp_path, seed):
    """Answers, streams, hangs and cuts at random, until nothing fits: the provider bills no more than that."""
    limit, rng = 1_000_000, random.Random(seed)
    faults = ["hang", "cut=3", "stall=2", "no_done", "status=500", "garbage=2"]
    async with scene(tmp_path, timeouts=SHORT) as found:
        under(found, Limits(key_defaults=Terms(), all=Terms(budgets=(Budget(limit, "day"),))))
        Keeper(found)
        refused = 0
        for _ in range(40):
            if rng.random() < 0.5:
                await found.simulator_fails(rng.choice(faults), times=1)
            send = found.stream if rng.random() < 0.5 else found.ask
            try:
                await send("hi [[sim: tokens=200]]", max_tokens=rng.randint(50, 300))
            except OverBudget:
                refused += 1
            except ProxyError:
                pass

        billed = sum(Fraction(line["amount_usd"]) for line in found.billed()) * NUSD
        rounding = len(found.billed())  # half a nano-dollar a line, or less
        assert refused
        assert 0 < billed <= counted(found) + rounding <= limit + rounding
