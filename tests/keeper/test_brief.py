"""The pricing brief's figures about plans and credits: plans as an operator writes them, through the real ledger."""

from pathlib import Path

import pytest

from margin import records
from margin.ledger.terms import Period
from margin.sellbook import Plan
from margin.usage import Usage
from proxy.keeper import terms
from proxy.routing import policy
from proxy.settings import Settings
from tests.margin.bookkeeping import CREDIT, USD, Ledger, at, customer, held, line, settled
from tests.proxy.test_policy import ask, judged
from tests.settings.writing import GOOD, changed, loaded

NOVEMBER = Period.of(at("2026-11-01"))
PLANS = """\
default: calls
plans:
  tokens: {credits: {mode: prepaid, price: 0.01, metered: {input: 1, output: 1}}}
  calls:
    fee: {amount: 99, per: month}
    credits: {schedule: {simple: 1, medium: 1, complex: 1}, included: 10000, enforce: soft, overage: 0.05}
  credits: {fee: {amount: 199, per: month}, credits: {included: 1000, enforce: soft, overage: 0.15}}
  starter: {fee: {amount: 199, per: month}, credits: {included: 500, enforce: hard}}
  pro: {fee: {amount: 599, per: month}, credits: {included: 2000, enforce: hard}}
  custom: {fee: {amount: 5000, per: month}, credits: {included: 25000, enforce: hard}}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A configuration with these plans."""
    return loaded(tmp_path, plans=PLANS)


def month(settings: Settings, plan: str, *charges_milli: int) -> Ledger:
    """Return the books after a November in which a customer of a plan was charged this."""
    start, book = NOVEMBER.start_t, settings.sellbook
    opened = records.sellbook(t=start, version=book.version, default=book.default, plans=terms.written(book))
    books = Ledger(opened, customer(plan=plan, t=start))
    for number, milli in enumerate(charges_milli):
        x, t = f"x{number}", start + number
        books.apply(held(x, milli, plan=plan, t=t), settled(x, milli, line(), t=t))
    books.apply(records.tick(t=NOVEMBER.end_t))
    assert books.refused == []
    return books


def revenue(books: Ledger) -> dict[str, int]:
    """Return what was earned, in nano-dollars, by account."""
    found = {name: -books.balance(f"rev.{name}") for name in ("subscription", "usage", "credits")}
    return {name: nusd for name, nusd in found.items() if nusd}


def test_tokens_are_charged_to_the_nano_dollar(settings: Settings) -> None:
    """1,234,567 tokens at $0.01 per 1,000 are $12.34567: no cent is rounded on the way."""
    meter = settings.sellbook.plan("tokens").credits.metered
    assert meter is not None

    milli = meter.charge_milli(Usage(input=1_000_000, output=234_567))

    assert revenue(month(settings, "tokens", milli)) == {"usage": 12_345_670_000}


def test_a_fee_and_calls_beyond_those_it_includes(settings: Settings) -> None:
    """12,500 calls at $0.05 above 10,000: $99 + $125 = $224."""
    call = settings.sellbook.plan("calls").credits.schedule_milli["complex"]

    found = revenue(month(settings, "calls", *[call * 50] * 250))

    assert found == {"subscription": 99 * USD, "usage": 125 * USD}
    assert sum(found.values()) == 224 * USD


def test_a_fee_and_credits_beyond_those_it_includes(settings: Settings) -> None:
    """1,300 credits at $0.15 above 1,000: $199 + $45 = $244."""
    found = revenue(month(settings, "credits", *[10 * CREDIT] * 130))

    assert found == {"subscription": 199 * USD, "usage": 45 * USD}
    assert sum(found.values()) == 244 * USD


@pytest.mark.parametrize(("plan", "included"), [("starter", 500), ("pro", 2_000), ("custom", 25_000)])
def test_a_package_gives_its_credits_once_a_month(settings: Settings, plan: str, included: int) -> None:
    """500, 2,000, or as agreed, at the month's start; however often the clock is looked at."""
    books = month(settings, plan)
    assert books.credits() == {
        "available": included * CREDIT, "held": 0, "spent": 0, "expired": included * CREDIT, "overdraft": 0,
    }  # fmt: skip

    books.apply(*[records.tick(t=NOVEMBER.end_t + n) for n in (0, 0, 1, 1)])

    assert books.credits()["available"] == included * CREDIT


def test_credits_follow_the_tier(settings: Settings) -> None:
    """Of a hundred requests 70 simple, 20 medium and 10 complex: 70 x 1 + 20 x 3 + 10 x 10 = 230 credits."""
    plan = settings.sellbook.plan("credits")
    tiers = ["simple"] * 70 + ["medium"] * 20 + ["complex"] * 10

    charged = sum(policy.route(settings, plan, ask(), judged(tier)).credits_milli for tier in tiers)  # type: ignore[arg-type]

    assert charged == 230 * CREDIT


def test_a_models_price_is_no_term_of_a_plan(tmp_path: Path) -> None:
    """At half the price the same request is the same credits: we keep what was saved."""
    found = {}
    for price in ("{input: 2, output: 8}", "{input: 1, output: 4}"):
        text = changed("gpt-6-luna: {provider: openai}", f"gpt-6-luna: {{provider: openai, price: {price}}}", GOOD)
        read = loaded(tmp_path, text, plans=PLANS)
        plan: Plan = read.sellbook.plan("credits")
        route = policy.route(read, plan, ask(), judged("simple"))
        prices = route.deployments[0].prices
        assert prices is not None
        found[price] = (plan.version, route.credits_milli, prices.at(0).cost_nusd(Usage(input=800, output=200)))

    (before, charged, cost), (after, later, less) = found.values()
    assert (before, charged) == (after, later)
    assert less * 2 == cost
