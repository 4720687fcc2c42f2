"""`mode: observe`: who served before serves, what is sold stays, and what routing would have done is on record."""

import asyncio
from pathlib import Path

import pytest

from proxy.keeper.commands import perform
from proxy.routing.guard import acts_of
from tests.keeper.offices import office
from tests.margin import bookkeeping
from tests.margin.bookkeeping import begun, line, settled
from tests.proxy.scene import CUSTOMER, Scene, check_books, scene
from tests.routing.test_fallback import told

OBSERVED = "routing: {mode: observe}\n"


def served(folder: Path, sections: str = OBSERVED, prompt: str = "hi", **fields: str) -> tuple[Scene, list[str]]:
    """Serve one request; return what its headers say."""

    async def main() -> tuple[Scene, list[str]]:
        async with scene(folder, sections=sections) as here:
            reply = await here.ask(prompt, **{"model": "auto", **fields})
            return here, told(reply, "tier", "served-tier", "model", "route", "credits-charged")

    found, said = asyncio.run(main())
    check_books(found.records())
    return found, said


def test_auto_is_served_by_the_baseline_and_charged_as_routed(tmp_path: Path) -> None:
    """The first of complex answers a greeting; the record has the route that would have been, at the same tokens."""
    found, said = served(tmp_path)

    assert said == ["simple", "complex", "gpt-6-astra", "observed", "1"]
    end = found.end()
    would = end["dec"]["would"]
    assert (would["deployment"], would["served_tier"], would["rule"]) == ("gpt-6-luna", "simple", "judged")
    (called,) = end["a"]
    assert 0 < would["cost_nusd"] < called["cost"]
    assert end["base"] == called["cost"]  # nothing is saved: who served is the baseline
    assert end["dec"]["reasons"][0] == "routing only observes; it would go to gpt-6-luna (judged)"


def test_the_baseline_may_be_whichever_model_served_before(tmp_path: Path) -> None:
    """As the configuration names it."""
    sections = "routing: {mode: observe, baseline: gpt-6.1-sol}\n"

    assert served(tmp_path, sections)[1][:4] == ["simple", "medium", "gpt-6.1-sol", "observed"]


@pytest.mark.parametrize("model", ["auto:simple", "gpt-6-luna"])
def test_what_a_caller_chose_is_served_as_ever(tmp_path: Path, model: str) -> None:
    """There is nothing to observe."""
    found, said = served(tmp_path, model=model)

    assert said[2] == "gpt-6-luna"
    assert "would" not in found.end()["dec"]


def test_a_minimum_that_is_charged_for_is_given(tmp_path: Path) -> None:
    """By who is that good, where the baseline is not; an easy request without one goes to the baseline."""

    async def main() -> list[list[str]]:
        async with scene(tmp_path, sections="routing: {mode: observe, baseline: gpt-6-luna}\n", plan="open") as here:
            found = [
                told(await here.ask(model="auto", headers=headers), "tier", "served-tier", "model", "route")
                for headers in ({b"x-penstock-min-tier": b"complex"}, {})
            ]
            object.__setattr__(here.world.settings.sellbook.plans["open"], "min_tier", "medium")
            return [*found, told(await here.ask(model="auto"), "tier", "served-tier", "model", "route")]

    assert asyncio.run(main()) == [
        ["complex", "complex", "gpt-6-astra", "observed"],
        ["simple", "simple", "gpt-6-luna", "observed"],
        ["simple", "medium", "gpt-6.1-sol", "observed"],
    ]


def test_rules_and_checks_are_observed_and_not_followed(tmp_path: Path) -> None:
    """A rule's model would have served; no answer is asked for again."""
    sections = "routing: {mode: observe, escalate: {}, rules: [{name: house, use: [gpt-4o-mini]}]}\n"
    found, said = served(tmp_path, sections, prompt="hi [[sim: tokens=0]]")

    assert said[2:4] == ["gpt-6-astra", "observed"]
    assert found.end()["dec"]["would"]["deployment"] == "gpt-4o-mini"
    assert found.end()["dec"]["would"]["rule"] == "judged+rule:house"


def test_the_guard_is_observed_too(tmp_path: Path) -> None:
    """Nobody is refused and nobody is served cheaper."""

    async def main() -> Scene:
        async with scene(tmp_path, sections=OBSERVED) as here:
            here.world.guarded[CUSTOMER] = acts_of(("cap_simple", "refuse"))
            hard = "Prove that there are infinitely many primes of the form 4k+3, step by step."
            assert told(await here.ask(hard, model="auto"), "served-tier") == ["complex"]
        return here

    assert asyncio.run(main()).end()["dec"]["would"]["rule"] == "judged+guard"


def test_the_report_shows_it_as_not_realised(tmp_path: Path) -> None:
    """In a figure of its own: neither in the saving nor in the bill; an unknown cost is in none."""
    found = office(tmp_path / "data")
    found.open_customer("acme")
    worker = bookkeeping.Worker(found.settings.server.data_dir)
    for x, would in (
        ("x1", {"cost_nusd": 100}),
        ("x2", {"cost_nusd": None}),
        ("x3", {"cost_nusd": 1_200}),
        ("x4", None),
    ):
        end = settled(x, 0, line(1_000), baseline=1_000)
        worker.write(begun(x, 0), end | {"dec": end["dec"] | ({} if would is None else {"would": would})})
    thrown = settled("x5", 0, line(300, n=1) | {"for": "escalation"}, line(1_000, n=2), baseline=1_000)
    worker.write(begun("x5", 0), thrown)

    report = perform(found, "report.savings", {}, by="test")["result"]

    (acme,) = report["customers"]
    assert acme == {
        "customer": "acme", "requests": 5, "unpriced": 0, "baseline_nusd": 5_000, "response_cache_nusd": 0,
        "routing_nusd": -300, "prompt_cache_nusd": 0, "prompt_optimisation_nusd": 0, "escalated_nusd": 300,
        "hedged_nusd": 0, "overhead_nusd": 0,
        "actual_nusd": 5_300,
        "observed": 2, "would_save_nusd": (1_000 - 100) + (1_000 - 1_200),
    }  # fmt: skip
    assert report["total"] == {name: value for name, value in acme.items() if name != "customer"}
    assert perform(found, "ledger.verify", {}, by="test")["result"]["violations"] == []
    found.close()


def test_the_report_of_nothing_is_nothing(tmp_path: Path) -> None:
    """Zeros, and no customer."""
    found = office(tmp_path / "data")

    report = perform(found, "report.savings", {}, by="test")["result"]

    assert report["customers"] == []
    assert set(report["total"].values()) == {0}
    found.close()
