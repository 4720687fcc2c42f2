"""A deployment's circuit, and the budget of calls that follow a failed one: as tables of moments, without a clock."""

import itertools
import sys
from decimal import Decimal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.health import Budget, Circuit, Vitals
from proxy.settings import Health
from tests.settings.writing import loaded

TERMS = Health(window_s=10, calls_min=4, failed_share=Decimal("0.5"), rest_s=5, rest_max_s=20)


def opened(terms: Health = TERMS) -> Circuit:
    """A circuit that four failures opened at 103."""
    circuit = Circuit(terms)
    assert [circuit.failed(100 + n, 100 + n) for n in range(4)] == [False, False, False, True]
    return circuit


def test_a_circuit_opens_when_enough_of_enough_calls_failed() -> None:
    """Three failures are too few to conclude from; half of six are enough."""
    circuit = Circuit(TERMS)
    for moment in (100, 101, 102):
        circuit.answered(moment, moment)

    found = [circuit.failed(moment, moment) for moment in (103, 104, 104.5)]

    assert found == [False, False, True]
    assert circuit.rests_until_s == 104.5 + 5


def test_what_failed_long_ago_does_not_count() -> None:
    """A failure every eleven seconds is never four in ten."""
    circuit = Circuit(TERMS)

    found = [circuit.failed(100 + 11 * n, 100 + 11 * n) for n in range(20)]

    assert not any(found)


def test_the_window_slides_by_halves() -> None:
    """Two failures at the end of one half and two at the start of the next are four."""
    circuit = Circuit(TERMS)

    found = [circuit.failed(moment, moment) for moment in (100, 104.9, 105.1, 106)]

    assert found == [False, False, False, True]


def test_half_open_one_call_tries() -> None:
    """Nobody while it rests; then one, and nobody else until it has come to something."""
    circuit = opened()

    assert [circuit.lets_through(moment) for moment in (104, 107.9, 108, 108, 109)] == [
        False,
        False,
        True,
        False,
        False,
    ]


def test_a_try_that_says_nothing_is_followed_by_another() -> None:
    """Its caller left, perhaps: after as long as the rest was the next may try."""
    circuit = opened()
    assert circuit.lets_through(108)

    assert not circuit.lets_through(112.9)
    assert circuit.lets_through(113)


def test_a_try_that_is_answered_closes_it() -> None:
    """And what failed before counts no more."""
    circuit = opened()
    assert circuit.lets_through(108)

    circuit.answered(108, 108.2)

    assert circuit.rests_until_s == 0
    assert not circuit.failed(108.3, 108.3)


def test_each_failed_try_doubles_the_rest_up_to_its_bound() -> None:
    """5, 10, 20, 20 seconds."""
    circuit, rests = opened(), []
    for _ in range(4):
        moment = circuit.rests_until_s
        rests.append(moment)
        assert circuit.lets_through(moment)
        assert circuit.failed(moment, moment)
    rests.append(circuit.rests_until_s)

    assert [later - earlier for earlier, later in itertools.pairwise(rests)] == [10, 20, 20, 20]


def test_calls_of_before_it_opened_decide_nothing() -> None:
    """They come back late, failed or answered: the rest stays as it is."""
    circuit = opened()
    until = circuit.rests_until_s

    circuit.answered(102, 104)
    circuit.failed(102, 105)

    assert circuit.rests_until_s == until


def test_a_provider_that_asks_for_a_pause_gets_it_at_once() -> None:
    """One 429 with `retry-after: 7` is enough; an hour is cut to what a rest may last."""
    once, long = Circuit(TERMS), Circuit(TERMS)

    assert once.failed(100, 100, 7)
    assert long.failed(100, 100, 3600)

    assert once.rests_until_s == 107
    assert long.rests_until_s == 100 + 20


def test_answers_that_break_off_count_as_failed() -> None:
    """Their heads were fine: four of four."""
    circuit = Circuit(TERMS)
    for moment in (100, 101, 102, 103):
        circuit.answered(moment, moment)
        circuit.broke(moment, moment)

    assert circuit.rests_until_s > 0


def test_slow_streams_count_as_failed_where_that_is_said() -> None:
    """A plain answer takes as long as it is long: that says nothing."""
    terms = Health(window_s=10, calls_min=2, slow_s=1)
    streams, plain = Circuit(terms), Circuit(terms)
    for moment in (100, 101):
        streams.answered(moment, moment + 1.5, is_stream=True)
        plain.answered(moment, moment + 1.5)

    assert streams.rests_until_s > 0
    assert plain.rests_until_s == 0


@given(st.lists(st.tuples(st.sampled_from(["ask", "ok", "fail", "pause", "broke"]), st.floats(0, 30)), max_size=60))
def test_whatever_happens_it_lets_a_call_through_in_time(steps: list[tuple[str, float]]) -> None:
    """No sequence leaves a deployment alone for longer than the longest rest."""
    circuit, now = Circuit(TERMS), 100.0
    for step, wait in steps:
        now += wait
        match step:
            case "ask":
                circuit.lets_through(now)
            case "ok":
                circuit.answered(now, now)
            case "pause":
                circuit.failed(now, now, 1e6)
            case "broke":
                circuit.broke(now, now)
            case _:
                circuit.failed(now, now)
        assert circuit.rests_until_s <= now + TERMS.rest_max_s


# ---- the budget ----------------------------------------------------------------------------------------------------


def test_an_outage_is_not_multiplied() -> None:
    """Of 10,000 requests that all fail, a tenth and the burst may be followed by another call."""
    budget = Budget(Decimal("0.1"), 10)

    taken = 0
    for _ in range(10_000):
        budget.request()
        taken += budget.take(100)

    assert taken <= 10_000 // 10 + 10


def test_time_alone_brings_one_back() -> None:
    """A quiet server falls back, too: one more each five seconds, up to the burst."""
    budget = Budget(Decimal(0), 2)
    assert [budget.take(100) for _ in range(3)] == [True, True, False]

    assert [budget.take(moment) for moment in (104, 105, 105, 1000, 1000, 1000)] == [
        False, True, False, True, True, False,
    ]  # fmt: skip


def test_a_budget_without_a_trickle_is_a_share_of_requests_alone() -> None:
    """A day brings nothing; fifty requests at two in a hundred bring one."""
    budget = Budget(Decimal("0.02"), 1, 0)
    assert [budget.take(moment) for moment in (0, 86_400)] == [True, False]

    for _ in range(50):
        budget.request()

    assert [budget.take(86_401), budget.take(86_402)] == [True, False]


# ---- all of a worker's ---------------------------------------------------------------------------------------------


YAML = """\
providers:
  house: {dialect: openai, base_url: "http://127.0.0.1:8000/v1"}
models:
  small: {provider: house, free: true}
  large: {provider: house, free: true}
tiers: {simple: [small], complex: [large]}
"""


def test_a_reload_keeps_what_is_called_as_before(tmp_path: Path) -> None:
    """Another address or model begins anew; a deployment that is gone has a circuit that nobody keeps."""
    settings = loaded(tmp_path, YAML)
    moved = loaded(tmp_path, YAML.replace("large: {", "large: {model: larger, ").replace("small", "tiny"))
    vitals = Vitals(settings)
    kept, replaced = (vitals.of(settings.deployments[name]) for name in ("small", "large"))

    same, later = Vitals(settings, vitals), Vitals(moved, vitals)

    assert same.of(settings.deployments["small"]) is kept
    assert later.of(moved.deployments["large"]) is not replaced
    assert later.of(settings.deployments["small"]) is not kept


def test_it_is_as_large_as_the_configuration(tmp_path: Path) -> None:
    """Ten thousand calls leave two circuits of a fixed size."""
    settings = loaded(tmp_path, YAML)
    vitals = Vitals(settings)
    circuit = vitals.of(settings.deployments["small"])
    size = sum(sys.getsizeof(getattr(circuit, name)) for name in Circuit.__slots__)

    for n in range(10_000):
        circuit.answered(n / 100, n / 100)

    assert sum(sys.getsizeof(getattr(circuit, name)) for name in Circuit.__slots__) <= size + 64
