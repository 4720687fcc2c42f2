"""The live screen: fits the terminal, shows what the product said, and says it in words."""

from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from proxy.cli.demo import screen
from proxy.cli.demo.drive import Seen
from proxy.cli.demo.gauges import Figures, TierShare
from proxy.cli.demo.screen import Clock, Row, Scene
from simulator.traffic import CUSTOMERS

USD = 1_000_000_000


def customer(name: str, *, cost: int, revenue: int) -> dict[str, Any]:
    """Return a row of the margin report, in nano-dollars."""
    margin = revenue - cost
    share = margin / revenue if revenue else None
    return {"customer": name, "requests": 12, "cost_nusd": cost, "revenue_nusd": revenue, "margin_nusd": margin,
            "margin": share, "savings_nusd": 0}  # fmt: skip


def figures() -> Figures:
    """Return a reading with a customer that earns, one that loses, and one that pays nothing."""
    rows = [
        customer("globex", cost=3 * USD, revenue=1 * USD),
        customer("hooli", cost=1 * USD, revenue=4 * USD),
        customer("tourist", cost=USD // 100, revenue=0),
    ]
    total = customer("total", cost=4 * USD, revenue=5 * USD) | {"savings_nusd": 4 * USD}
    return Figures(
        report={"customers": rows, "total": total},
        plans={each.name: each.plan for each in CUSTOMERS},
        credits={"hooli": 19_876.0, "vandelay": 0.0},
        tiers={"simple": TierShare(60, 0.5), "medium": TierShare(30, 1.0), "complex": TierShare(10, 2.5)},
        out_of_credit=2,
        open=1,
        requests_per_s=8.25,
        reasons={},
    )


def seen(**headers: str) -> Seen:
    """Return a finished request with these headers."""
    return Seen(
        "hooli",
        streamed=False,
        latency_s=0.42,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


ANSWERED = Row(
    seen(tier="complex", model="gpt-6-astra", route="judged", request_id="ex_1"),
    ("task: code, short text → medium", "difficulty +0.60 moves it up one tier → complex", "harder: concurrency"),
)
REFUSED = Row(Seen("vandelay", streamed=True, latency_s=0.01, headers={}, problem="402: out of credits"))


def drawn(width: int, height: int, *rows: Row, elapsed_s: float = 30) -> list[str]:
    """Return the screen as lines of text."""
    models = {"simple": "gpt-6-luna", "medium": "gpt-6.1-sol", "complex": "gpt-6-astra"}
    scene = Scene(Clock(elapsed_s, 60, 1, ending=False), figures(), rows, models)  # type: ignore[arg-type]
    console = Console(width=width, height=height, color_system=None, highlight=False)
    with console.capture() as captured:
        console.print(screen.draw(scene, width, height))
    return captured.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 32), (140, 45), (60, 18)])
def test_it_fits(width: int, height: int) -> None:
    """No line is wider than the terminal, and there are no more lines than rows, however many requests there are."""
    lines = drawn(width, height, *[ANSWERED] * screen.ROWS_MAX)

    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_a_small_terminal_still_shows_some_requests() -> None:
    """At 80 by 24 there is room for six requests below everything else."""
    lines = drawn(80, 24, *[ANSWERED] * 20)

    assert sum("gpt-6-astra  code" in line for line in lines) == 6


def test_the_headline_is_the_report() -> None:
    """Cost, revenue, margin and savings are the totals of the product's report."""
    text = "\n".join(drawn(100, 32))

    assert "$4.0000" in text
    assert "$5.0000" in text
    assert f"{(5 - 4) / 5:.1%}" in text
    assert f"$4.0000 ({4 / (4 + 4):.0%})" in text
    assert "8.2" in text


def test_the_tiers_are_shown_by_requests_and_by_cost() -> None:
    """60, 30 and 10 of 100 requests; half, one and two and a half of four dollars."""
    lines = drawn(100, 32)
    (requests,) = [line for line in lines if line.startswith(" requests ▇")]
    (cost,) = [line for line in lines if line.startswith(" cost ") and "▇" in line]

    assert requests.split()[-3:] == ["60%", "30%", "10%"]
    assert cost.split()[-3:] == [f"{0.5 / 4:.0%}", f"{1.0 / 4:.0%}", f"{2.5 / 4:.0%}"]


def test_a_customer_without_revenue_has_no_margin_in_percent() -> None:
    """With no revenue the margin is n/a plus the dollars lost; below minus 100 % it is called a loss."""
    lines = drawn(80, 24)
    (tourist,) = [line for line in lines if line.startswith(" tourist")]
    (globex,) = [line for line in lines if line.startswith(" globex")]

    assert tourist.split()[-3:] == ["−$0.0100", "n/a", "–"]
    assert globex.split()[-3:] == ["−$2.0000", "loss", "–"]


def test_reasons_are_the_products_words() -> None:
    """The task and what made it harder stand there; until they are known, the rule of the header."""
    unknown = Row(ANSWERED.seen)

    assert any("gpt-6-astra  code; harder: concurrency" in line for line in drawn(80, 24, ANSWERED))
    assert any("gpt-6-astra  judged" in line for line in drawn(80, 24, unknown))


def test_what_a_plan_changed_comes_before_what_made_it_harder() -> None:
    """The gate is what a reader must not miss where the line is cut."""
    gated = replace(ANSWERED, reasons=(*ANSWERED.reasons, "the plan starter reaches up to medium, not complex"))  # type: ignore[misc]

    assert any("code; the plan starter reaches" in line for line in drawn(100, 32, gated))


def test_a_refusal_is_shown_as_such() -> None:
    """Who runs out of credits is seen running out, without tier or model."""
    assert any("vandelay  –        –            402: out of credits" in line for line in drawn(80, 24, REFUSED))


def test_before_the_first_request_nothing_is_made_up() -> None:
    """A reading of empty books is drawn with zeros and n/a."""
    empty = {"requests": 0, "cost_nusd": 0, "revenue_nusd": 0, "margin_nusd": 0, "margin": None, "savings_nusd": 0}
    nothing = Figures(
        {"customers": [], "total": empty}, {}, {}, dict.fromkeys(figures().tiers, TierShare(0, 0)), 0, 0, None, {}
    )

    assert screen.line(0.0, nothing) == (
        "   0 s  0 requests  –/s  cost $0.0000  revenue $0.0000  margin n/a  saved $0.0000"
    )
