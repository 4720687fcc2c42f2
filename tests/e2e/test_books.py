"""A thousand mixed requests, and then every account of them: ledger, invoice, metrics, report and what callers saw."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e import traffic
from tests.e2e.conftest import Launch
from tests.e2e.server import Sample, Server, write_config
from tests.e2e.traffic import Caller, Told

SEED = 20_261_121
LEAN = {
    "fee": {"amount": 10, "per": "month"},
    "credits": {"mode": "entitlement", "included": 20, "enforce": "soft", "overage": 0.40},
}
NUSD = 10**9


@dataclass(frozen=True, slots=True)
class Day:
    """A server, and what its callers were told."""

    server: Server
    answers: list[Told]

    @property
    def served(self) -> list[Told]:
        """The answers that were answers."""
        return [told for told in self.answers if told.status == 200]


@pytest.fixture(scope="module")
def day(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Day:
    """Return a server after a thousand requests of seven customers on five plans."""
    server = launch(write_config(tmp_path_factory.mktemp("config"), plans={"lean": LEAN}))
    wishes = traffic.mixed(random.Random(SEED), open_callers(server), 1_000)
    print("seed", SEED)
    return Day(server, asyncio.run(traffic.send(server.port, wishes, at_once=32)))


def open_callers(server: Server) -> list[Caller]:
    """Open the customers: prepaid, starter, pro, lean with a small allowance, one that runs dry, two by attribution."""
    seeing = ("serve", "see-cost")
    house = server.create_key("house", *seeing, "attribute")
    server.ask("customers.create", customer="dry", plan="sandbox")
    server.ask("customers.create", customer="lean", plan="lean")
    server.grant("dry", 100, paid_usd=3)
    return [
        Caller("sandbox", server.key),
        Caller("sandbox", server.create_key("sandbox", *seeing)),
        Caller("acme", server.create_key("acme", *seeing)),
        Caller("globex", server.create_key("globex", *seeing)),
        Caller("lean", server.create_key("lean", *seeing)),
        Caller("dry", server.create_key("dry", *seeing)),
        Caller("walk-in", house, names_customer=True),
        Caller("globex", house, names_customer=True),
        Caller("house", house),
    ]


def test_each_request_ends_as_it_should(day: Day):
    """What is broken is refused with its status; what is good is served, or has no credit left, and nothing else."""
    assert [told.refusal for told in day.answers if told.status >= 500] == []
    statuses = {told.status for told in day.answers if told.wish.breaks is None and told.wish.customer != "dry"}
    dry = {told.status for told in day.answers if told.wish.breaks is None and told.wish.customer == "dry"}

    assert all(told.status == told.wish.breaks for told in day.answers if told.wish.breaks is not None)
    assert statuses <= {200, 402}, "acme's plan includes 500 credits and then says 402"
    assert dry == {200, 402}
    assert 800 < len(day.served) < 980


def test_books_are_sound(day: Day):
    """`ledger verify` finds nothing wrong, and no hold is left open."""
    said = day.server.cli("ledger", "verify", "--json")

    assert said.code == 0, said.out
    assert said.json()["ok"] is True
    assert said.json()["imbalance_nusd"] == 0
    assert said.json()["open_holds"] == 0
    assert said.json()["violations"] == []


def test_invoice_explains_every_dollar(day: Day):
    """Against the provider's own account the difference is rounding, and each billed dollar is explained."""
    said = day.server.cli("reconcile", "--json")

    assert said.code == 0, said.out
    found = said.json()
    assert abs(found["difference_nusd"]) <= found["rounding_bound_nusd"] == len(day.served) / 2
    assert found["explained_share"] == 1
    assert found["lines"] == []


def test_invoice_has_one_line_per_request(day: Day):
    """The provider billed exactly the requests that were served, and the report counts the same."""
    customers = report(day.server)["customers"]

    assert len(day.server.invoice()) == len(day.served)
    served = traffic.count_by_customer(day.answers)
    assert {row["customer"]: row["requests"] for row in customers if row["requests"]} == dict(served)


def report(server: Server) -> Any:
    """Return `report margin --json`."""
    return server.cli("report", "margin", "--json").json()


def test_callers_saw_the_cost_that_is_booked(day: Day):
    """The costs told to the callers, plain and streamed, add up to the report's, customer by customer."""
    for row in report(day.server)["customers"]:
        told = [each.cost_nusd for each in day.served if each.wish.customer == row["customer"]]
        assert sum(told) == row["cost_nusd"], row["customer"]


def test_callers_saw_the_credits_that_are_spent(day: Day):
    """The credits told to the callers add up to what the balances say is spent."""
    for customer in ("sandbox", "acme", "globex", "lean", "dry", "walk-in", "house"):
        told = sum(each.credits for each in day.served if each.wish.customer == customer)
        balance = day.server.balance(customer)
        assert balance["spent"] == told, customer
        assert balance["held"] == 0, customer


def test_revenue_is_what_the_plans_say(day: Day):
    """Prepaid credits earn their price when they burn, overage its own, and an open plan nothing."""
    spent = {name: day.server.balance(name)["spent"] for name in ("sandbox", "dry", "lean", "walk-in")}
    earned = {row["customer"]: row["revenue_nusd"] for row in report(day.server)["customers"]}
    fee = {name: fees(day.server, plan) for name, plan in {"lean": "lean"}.items()}

    assert earned["sandbox"] == spent["sandbox"] * 50_000_000, "5,000 USD for 100,000 credits"
    assert earned["dry"] == spent["dry"] * 30_000_000, "3 USD for 100 credits"
    assert earned["walk-in"] == 0
    overage = (spent["lean"] - 20) * 400_000_000
    assert spent["lean"] > 20
    assert 0 <= fee["lean"] - (earned["lean"] - overage) < NUSD, "the fee goes on while we look"


def fees(server: Server, plan: str) -> int:
    """Return the fees recognised on a plan, as the metrics have them."""
    return total(server.metrics(), "penstock_revenue_recognized_usd_total", plan=plan, kind="subscription")


def total(samples: list[Sample], name: str, **labels: str) -> int:
    """Return the sum of a counter in dollars over the samples that carry `labels`, in nano-dollars."""
    return sum(each.nusd for each in samples if each.name == name and labels.items() <= each.labels.items())


def test_metrics_are_the_report(day: Day):
    """Requests, cost, revenue and savings on /metrics equal the report's totals, to the nano-dollar."""
    for said, samples in look_twice(day.server):
        earned = total(samples, "penstock_revenue_recognized_usd_total")
        if earned == said["revenue_nusd"]:
            break  # no fee accrued between the two looks
    else:
        pytest.fail(f"revenue is {said['revenue_nusd']} in the report and {earned} on /metrics")

    counted = sum(each.value for each in samples if each.name == "penstock_requests_total")
    by_provider = sum(each.value for each in samples if each.name == "penstock_provider_requests_total")
    gained = total(samples, "penstock_savings_usd_total")
    lost = total(samples, "penstock_savings_negative_usd_total")
    assert counted == by_provider == said["requests"] == len(day.served)
    assert total(samples, "penstock_cogs_usd_total") == said["cost_nusd"]
    assert total(samples, "penstock_provider_cogs_usd_total") == said["cost_nusd"]
    assert gained - lost == said["savings_nusd"]
    baseline = total(samples, "penstock_baseline_usd_total")
    assert baseline - said["cost_nusd"] == said["savings_nusd"], "every request is priced"


def look_twice(server: Server) -> Iterator[tuple[dict[str, Any], list[Sample]]]:
    """Yield the report's total and the metrics, again in case that time passed in the books in between."""
    for _ in range(3):
        yield report(server)["total"], server.metrics()


def test_metrics_count_credits_tokens_and_refusals(day: Day):
    """Credits consumed are those spent, tokens those billed, refusals those the callers got."""
    samples = day.server.metrics()
    customers = {told.wish.customer for told in day.served}

    consumed = sum(each.value for each in samples if each.name == "penstock_credits_consumed_total")
    assert consumed == sum(day.server.balance(name)["spent"] for name in customers)
    billed = [line["usage"] for line in day.server.invoice()]
    for bucket in ("input", "cache_read", "cache_write", "output"):
        counted = sum(each.value for each in samples if each.name == "penstock_tokens_total"
                      and each.labels["bucket"] == bucket)  # fmt: skip
        assert counted == sum(usage[bucket] for usage in billed) > 0, bucket
    refused = {each.labels["reason"]: each.value for each in samples if each.name == "penstock_refused_total"}
    told = [each.status for each in day.answers]
    assert refused == {
        "malformed": told.count(400),
        "unauthenticated": told.count(401),
        "out_of_credit": told.count(402),
        "unknown_model": told.count(404),
    }


def test_gauges_are_at_rest(day: Day):
    """After the day nothing is reserved, stale or refused by the ledger."""
    values = {each.name: each.value for each in day.server.metrics() if not each.labels}

    assert values["penstock_workers"] == 1
    for name in ("reservations_open", "reserved_credits", "reservations_stale", "ledger_refused_records"):
        assert values[f"penstock_{name}"] == 0, name


def test_stored_prices_give_every_stored_amount_again(day: Day):
    """Re-rated by the card each call was booked by, no line of the whole ledger differs by a nano-dollar."""
    said = day.server.cli("ledger", "rerate", "--since", "2020-01-01", "--prices", "stored", "--json")

    assert said.code == 0, said.out
    found = said.json()
    assert found["counts"]["unchanged"] == found["total"]["lines"] >= len(day.served)
    assert found["total"]["difference_nusd"] == 0
    assert found["total"]["booked_nusd"] == report(day.server)["total"]["cost_nusd"] > 0


def test_every_charge_can_be_explained(day: Day):
    """A charge is found by the id its caller was given, with the cost and the credits the caller was told."""
    for told in random.Random(SEED).sample(day.served, 50):
        found = day.server.ask("explain.charge", id=told.request_id)

        assert found["customer"] == told.wish.customer
        assert found["credits_milli"] == told.credits * 1000
        assert found["cost_nusd"] == sum(line["cost_nusd"] for line in found["cost_lines"]) == told.cost_nusd
        assert found["decision"]["requested"] == told.wish.body["model"]


def test_books_outlive_the_server(day: Day):
    """Stopped and asked again, the books say the same; this one comes last."""
    before = report(day.server)

    assert day.server.stop() == 0
    after = report(day.server)

    accrued = dict.fromkeys(
        (
            "revenue_nusd",
            "margin_nusd",
            "margin",
            "model_margin",
            "model_margin_nusd",
            "gross_margin",
            "gross_margin_nusd",
        ),
        0,
    )
    for was, now in zip(before["customers"], after["customers"], strict=True):
        assert was | accrued == now | accrued
        assert 0 <= now["revenue_nusd"] - was["revenue_nusd"] < NUSD / 100, "only fees went on"
    assert day.server.cli("ledger", "verify", "--json").code == 0
    assert day.server.cli("reconcile", "--json").code == 0
