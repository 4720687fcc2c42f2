"""Our books against accounts by day and model: one made of our own books explains everything, any other does not."""

import copy
from fractions import Fraction

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.exports import anthropic, openai
from margin.exports.refusing import ExportRefused
from margin.money import round_half_even
from margin.reconcile import Booked
from margin.reconcile_days import reconcile_days
from simulator import exports

READERS = {"openai": openai.read, "anthropic": anthropic.read}
formats = pytest.mark.parametrize("account", sorted(READERS))
MODELS = ("m1", "m2-mini")
DAYS = ("2026-11-20", "2026-11-21")
PRICE = Fraction("0.00000037")
LONG = orjson.dumps({"data": [{"start_time": 0, "end_time": 10**9, "starting_at": "2026-01-01T00:00:00Z",
                               "ending_at": "2026-03-01T00:00:00Z", "results": [{}]}]})  # fmt: skip
"""A bucket of more than a day."""

tokens = st.integers(0, 10**6)
calls = st.lists(
    st.tuples(st.sampled_from(DAYS), st.sampled_from(MODELS), tokens, tokens, tokens, st.integers(1, 10**5)),
    min_size=1, max_size=12,
)  # fmt: skip


def invoice(made):
    """The provider's lines, each billed exactly."""
    return [
        {"at": f"{day}T12:00:00+00:00", "model": model, "amount_usd": str((ins + read + written + out) * PRICE),
         "usage": {"input": ins, "cache_read": read, "cache_write": written, "output": out, "reasoning": 0}}
        for day, model, ins, read, written, out in made
    ]  # fmt: skip


def booked(made, kind="model"):
    """Our lines for the same calls, rounded once each."""
    found = []
    for n, (day, model, ins, read, written, out) in enumerate(made):
        exact = (ins + read + written + out) * PRICE * 10**9
        usage = {"input": ins, "cache_read": read, "cache_write_5m": written, "output": out - out // 3,
                 "reasoning": out // 3}  # fmt: skip
        cost = round_half_even(exact.numerator, exact.denominator)
        found.append(Booked(f"c{n}", "acme-ai", model, kind, cost, day, usage))
    return found


def compared(account, ours, pages):
    """Read an export and compare."""
    return reconcile_days(ours, READERS[account](orjson.dumps(pages)))


@formats
@given(made=calls)
def test_an_account_of_our_own_books_explains_everything(account, made):
    """Whatever was called: share 1, no difference beyond rounding, also with only one of its two pages."""
    pages = exports.FORMATS[account](exports.summed(invoice(made)))

    for some in (pages, pages[:1], pages[1:]):
        result = compared(account, booked(made), some)

        assert result.agrees, result.differences
        assert result.explained_share == 1
    assert compared(account, booked(made), pages[:1]).difference_nusd is None


@formats
@given(made=calls, at=st.integers(0, 11), how=st.sampled_from(["dropped", "doubled", "altered", "dearer"]))
def test_a_line_that_is_dropped_doubled_or_altered_is_found(account, made, at, how):
    """On our side: the day and the model are named, and its dollars are not explained."""
    ours = booked(made)
    line = ours[at % len(ours)]
    day, model = line.day, line.model
    pages = exports.FORMATS[account](exports.summed(invoice(made)))
    if how == "dropped":
        ours.remove(line)
    elif how == "doubled":
        ours.append(line)
    elif how == "altered":
        more = {**line.usage, "output": line.usage["output"] + 1}
        ours = [Booked(*_fields(each), more) if each is line else each for each in ours]
    else:
        ours = [Booked(*_fields(each, each.cost_nusd + 2_000), each.usage) if each is line else each for each in ours]

    result = compared(account, ours, pages)

    assert not result.agrees
    assert {(each.day, each.model) for each in result.differences} == {(day, model)}
    assert result.explained_share < 1


def _fields(line, cost=None):
    return (line.call_id, line.provider, line.model, line.kind, line.cost_nusd if cost is None else cost, line.day)


@formats
def test_what_we_never_called_is_named(account):
    """A model that only the account knows, and one that only we know."""
    made = [("2026-11-20", "m1", 1000, 0, 0, 10)]
    pages = exports.FORMATS[account](exports.summed(invoice([("2026-11-20", "m9", 1000, 0, 0, 10)])))

    result = compared(account, booked(made), pages)

    assert {(each.model, each.reason) for each in result.differences} == {
        ("m1", "booked, not billed"), ("m9", "billed, not booked"),
    }  # fmt: skip
    assert result.explained_share == 0


@formats
def test_days_the_account_does_not_cover_are_not_compared(account):
    """An export of one day says nothing of the next."""
    made = [("2026-11-20", "m1", 1000, 0, 0, 10), ("2026-11-21", "m1", 9, 0, 0, 9)]
    pages = exports.FORMATS[account](exports.summed(invoice(made[:1])))

    assert compared(account, booked(made), pages).agrees


def test_a_snapshots_date_is_no_other_model():
    """OpenAI and Anthropic bill under the dated name of what was asked for without one."""
    made = [("2026-11-20", "m1", 1000, 0, 0, 10)]
    for dated in ("m1-2026-08-07", "m1-20260807"):
        bill = [line | {"model": dated} for line in invoice(made)]

        assert compared("openai", booked(made), exports.openai(exports.summed(bill))).agrees


def test_estimates_are_named_as_the_likely_reason():
    """Tokens differ where something was estimated."""
    made = [("2026-11-20", "m1", 1000, 0, 0, 10)]
    ours = booked([("2026-11-20", "m1", 900, 0, 0, 10)], kind="estimated")

    (found,) = compared("openai", ours, exports.openai(exports.summed(invoice(made)))).differences

    assert found.reason == "tokens differ, with estimates among them"
    assert found.tokens == {"input": [900, 1000]}


def test_costs_that_name_no_model_are_compared_by_day():
    """OpenAI's costs without grouping: the tokens of each model, the dollars of each day."""
    made = [("2026-11-20", "m1", 1000, 0, 0, 10), ("2026-11-20", "m2-mini", 500, 0, 0, 70)]
    usage, costs = exports.openai(exports.summed(invoice(made)))
    for bucket in costs["data"]:
        bucket["results"][0]["line_item"] = None

    assert compared("openai", booked(made), [usage, costs]).agrees
    dearer = copy.deepcopy(costs)
    dearer["data"][0]["results"][0]["amount"]["value"] = "0.5"
    (found,) = compared("openai", booked(made), [usage, dearer]).differences
    assert (found.model, found.reason) == ("*", "amounts differ")


def test_an_account_that_counts_cache_writes_as_input_is_compared_so():
    """Older exports of OpenAI's have no field for them."""
    made = [("2026-11-20", "m1", 1000, 50, 300, 10)]
    usage, _ = exports.openai(exports.summed(invoice(made)))
    del usage["data"][0]["results"][0]["input_cache_write_tokens"]

    assert compared("openai", booked(made), [usage]).agrees


@pytest.mark.parametrize("account", sorted(READERS))
@pytest.mark.parametrize(
    "content",
    [b"nonsense", b"5", b"{}", b'{"data": [5]}', b'{"data": [{"results": [5]}]}',
     b'{"data": [{"results": [{"amount": {"value": "much"}}]}]}',
     LONG, b"\xff\xfe"],
)  # fmt: skip
def test_what_is_no_export_is_refused_in_a_sentence(account, content):
    """Never a traceback, whatever the file is."""
    with pytest.raises(ExportRefused):
        READERS[account](content)
