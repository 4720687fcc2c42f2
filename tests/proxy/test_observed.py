"""What is observed of folded exchanges is exposed as the client library's own instruments would expose it."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest

from proxy.telemetry.observed import OVERHEAD_BUCKETS, Observed


def exchange(*costs, tier="simple", us=50, status=200, **more):
    """Return a settlement of a live exchange."""
    lines = [{"p": "acme-ai", "d": "d1", "st": status, "u": {"input": 1}, "cost": cost} for cost in costs]
    timings = {"charge_tier": tier, "total_us": us, "overhead_us": us, "head_us": us}
    return {"k": "settled", "x": "x1", "a": lines, "dec": timings | more}


def exposed(*records):
    """Observe, and return the exposition by line."""
    registry = CollectorRegistry()
    observed = Observed(registry)
    for record in records:
        observed.settled(record)
    text = generate_latest(registry).decode()
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


@given(st.lists(st.sampled_from([int(bound * 1e6) for bound in OVERHEAD_BUCKETS]) | st.integers(0, 10**6)))
def test_each_bucket_counts_what_the_librarys_own_histogram_counts(figures):
    """A value on a bound belongs below it; counts and names of the buckets are the same, on any values."""
    disable_created_metrics()
    registry = CollectorRegistry()
    usual = Histogram("penstock_overhead_seconds", "As usual.", buckets=OVERHEAD_BUCKETS, registry=registry)
    for figure in figures:
        usual.observe(figure / 1e6)

    found = exposed(*(exchange(700, us=figure) for figure in figures))

    text = generate_latest(registry).decode().splitlines()
    expected = dict(line.rsplit(" ", 1) for line in text if not line.startswith("#"))
    assert {name: found[name] for name in expected} == expected


def test_costs_and_calls_are_counted_by_tier_and_by_what_came_of_them():
    """Two exchanges: one of two calls and $0.0021 together, one whose cost nobody knows."""
    found = exposed(exchange(2_000_000, 100_000), exchange(None, status=429, tier="complex"))

    assert found['penstock_cost_per_request_usd_bucket{le="0.001",tier="simple"}'] == "0.0"
    assert found['penstock_cost_per_request_usd_bucket{le="0.01",tier="simple"}'] == "1.0"
    assert float(found['penstock_cost_per_request_usd_sum{tier="simple"}']) == 0.0021
    assert found['penstock_cost_per_request_usd_count{tier="complex"}'] == "0.0"
    assert found['penstock_request_duration_seconds_count{tier="complex"}'] == "1.0"
    calls = 'penstock_attempts_total{{deployment="d1",provider="acme-ai",result="{}"}}'
    assert [found[calls.format(result)] for result in ("answered", "busy")] == ["2.0", "1.0"]


def test_what_a_dead_worker_left_has_calls_and_no_timings():
    """The keeper settles it by its last checkpoint: how long it took nobody knows."""
    recovered = exchange(700) | {"dec": {"recovered": True, "charge_tier": "simple"}}

    found = exposed(recovered, {"k": "held", "x": "x2"})

    assert found["penstock_ttft_seconds_count"] == "0.0"
    assert found['penstock_attempts_total{deployment="d1",provider="acme-ai",result="answered"}'] == "1.0"
