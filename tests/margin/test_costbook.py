"""The cost book: expected bills as arithmetic, prices in time, and files that cannot be read."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from margin.costbook import (
    BUCKETS,
    SHIPPED,
    Card,
    CostBook,
    Hours,
    NoPrice,
    PricedModel,
    PriceHistory,
    UnpricedBucket,
    load,
)
from margin.usage import Usage

BOOK = load()

REQUIRED = [
    "gpt-6-luna",
    "gpt-6.1-sol",
    "gpt-6.1-terra",
    "gpt-6-astra",
    "gpt-5.6-luna",
    "gpt-4o",
    "gpt-4o-mini",
    "text-embedding-3-small",
    "text-embedding-3-large",
    "claude-haiku-5-5",
    "claude-sonnet-5-5",
    "claude-opus-5-5",
    "claude-fable-5-2",
    "gemini-4-argon",
    "gemini-3.8-flash",
    "gemini-3.1-flash-lite",
    "mistral-large-4",
    "ministral-3b-2512",
    "deepseek-v4-flash",
    "deepseek-v4-pro",
    "grok-4.7",
    "grok-4.3",
    "openai/gpt-oss-20b",
]


def unix_s(*moment):
    """Turn a UTC date, or date and time, into unix seconds."""
    return int(datetime(*moment, tzinfo=UTC).timestamp())


def card(model, *moment):
    """Return the shipped card of a model at a moment."""
    return BOOK.find(model).at(unix_s(*moment))


# A rate in USD per million tokens is thousandths of a nano-dollar per token, times a million:
# 0.20 USD per million is 200 nano-dollars a token. The bills below are in nano-dollars.


def test_a_cached_request_at_todays_price_and_at_junes():
    """gpt-5.6-luna fell by 80 % on 2026-07-30; an old request keeps its old price."""
    usage = Usage.nested(input_total=10_000, cache_read=8_000, cache_write_5m=500, output_total=1_000)

    today = card("gpt-5.6-luna", 2026, 11, 20).cost_nusd(usage)
    june = card("gpt-5.6-luna", 2026, 6, 15).cost_nusd(usage)

    assert today == 1_500 * 200 + 8_000 * 20 + 500 * 250 + 1_000 * 1_200 == 1_785_000
    assert june == 1_500 * 1_000 + 8_000 * 100 + 500 * 1_250 + 1_000 * 6_000 == 8_925_000


@pytest.mark.parametrize(
    ("model", "date", "before", "after"),
    [
        ("gemini-4-argon", (2026, 12, 1), (2_000, 10_000), (4_000, 20_000)),
        ("gemini-3.8-flash", (2027, 1, 1), (750, 3_750), (1_500, 7_500)),
        ("mistral-large-4", (2026, 10, 29), (1_360, 4_180), (700, 2_100)),
    ],
)
def test_a_price_changes_at_midnight_of_its_date(model, date, before, after):
    """The last second of the day before pays the old price, the first of the date the new one."""
    usage = Usage(input=1_000, output=100)
    midnight = unix_s(*date)
    history = BOOK.find(model)

    assert history.at(midnight - 1).cost_nusd(usage) == 1_000 * before[0] + 100 * before[1]
    assert history.at(midnight).cost_nusd(usage) == 1_000 * after[0] + 100 * after[1]


@pytest.mark.parametrize(
    ("model", "limit", "low", "high"),
    [
        ("gpt-6-luna", 272_000, (100, 500), (200, 750)),
        ("claude-haiku-5-5", 100_000, (100, 500), (500, 2_500)),
        ("grok-4.7", 199_999, (2_000, 6_000), (4_000, 12_000)),
    ],
)
def test_one_token_above_a_tier_reprices_the_whole_request(model, limit, low, high):
    """At the limit the low rates hold; one token more and every token pays the high ones."""
    found = card(model, 2026, 11, 20)

    at_limit = found.cost_nusd(Usage(input=limit, output=10))
    above = found.cost_nusd(Usage(input=limit + 1, output=10))

    assert at_limit == limit * low[0] + 10 * low[1]
    assert above == (limit + 1) * high[0] + 10 * high[1]


def test_cached_tokens_count_towards_the_tier():
    """The tier is chosen by all input, whichever bucket it is billed in."""
    usage = Usage(input=1_000, cache_read=270_000, cache_write_5m=1_001)

    cost = card("gpt-6-luna", 2026, 11, 20).cost_nusd(usage)

    assert cost == 1_000 * 200 + 270_000 * 20 + 1_001 * 250


def test_anthropic_writes_cost_more_than_input():
    """A 5-minute write is 1.25 times input, an hour's is twice."""
    usage = Usage(input=10, cache_read=100, cache_write_5m=1_000, cache_write_1h=2_000)

    cost = card("claude-sonnet-5-5", 2026, 11, 20).cost_nusd(usage)

    assert cost == 10 * 2_000 + 100 * 100 + 1_000 * 2_500 + 2_000 * 4_000


@pytest.mark.parametrize(
    ("moment", "rates"),
    [
        ((2026, 11, 20, 0, 59, 59), (150, 3, 600)),
        ((2026, 11, 20, 1, 0, 0), (300, 6, 1_200)),
        ((2026, 11, 20, 3, 59, 59), (300, 6, 1_200)),
        ((2026, 11, 20, 4, 0, 0), (150, 3, 600)),
        ((2026, 11, 20, 9, 59, 59), (300, 6, 1_200)),
        ((2026, 11, 20, 10, 0, 0), (150, 3, 600)),
        ((2026, 8, 20, 2, 0, 0), (220, 7, 660)),
    ],
)
def test_deepseek_costs_twice_as_much_in_its_peak_hours(moment, rates):
    """Peak is 01:00 to 04:00 and 06:00 to 10:00 UTC, to the second, since the price that has hours began."""
    usage = Usage(input=1_000, cache_read=500, output=100)

    cost = card("deepseek-v4-flash", *moment).cost_nusd(usage)

    assert cost == 1_000 * rates[0] + 500 * rates[1] + 100 * rates[2]


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5.6-luna", "gpt-6-luna", "gpt-6.1-sol", "gpt-6-astra"])
def test_a_batch_costs_half(model):
    """OpenAI bills every bucket of a batch at half its price, on both sides of the long-context line."""
    standard = card(model, 2026, 11, 20)
    batch = standard.for_service_tier("batch")

    for fresh in (1_000, 300_000):
        usage = Usage(input=fresh, cache_read=2_000, cache_write_5m=400, output=1_000)
        assert 2 * batch.cost_exact(usage) == standard.cost_exact(usage)


def test_flex_and_priority_have_prices_of_their_own():
    """Gemini 4 Argon: flex is half, priority 1.8 times the standard price; before it doubles."""
    usage = Usage(input=1_000, output=100)
    standard = card("gemini-4-argon", 2026, 11, 20)

    assert standard.cost_nusd(usage) == 1_000 * 2_000 + 100 * 10_000
    assert standard.for_service_tier("flex").cost_nusd(usage) == 1_000 * 1_000 + 100 * 5_000
    assert standard.for_service_tier("priority").cost_nusd(usage) == 1_000 * 3_600 + 100 * 18_000


@pytest.mark.parametrize("name", [None, "auto", "default", "standard", "scale", "flex"])
def test_a_service_tier_without_a_price_costs_the_standard_one(name):
    """That is the rule for names that nobody prices apart, and for those that mean the standard tier."""
    plain = Card.of(input=2, output=8, service_tiers={"batch": {"input": 1, "output": 4}})

    assert plain.for_service_tier(name) is plain
    assert plain.for_service_tier("batch") == Card.of(input=1, output=4)


def test_a_bucket_that_a_service_tier_does_not_name_keeps_its_standard_price():
    """At each context size; a bucket that it does name has its price at every context size."""
    standard = Card.of(input=2, output=8, cache_read="0.2", tiers=[(100, {"input": 4, "cache_read": "0.4"})])

    batch = standard.repriced({"input": Decimal(1)})

    assert batch.cost_nusd(Usage(input=50, cache_read=50, output=1)) == 50 * 1_000 + 50 * 200 + 8_000
    assert batch.cost_nusd(Usage(input=51, cache_read=50, output=1)) == 51 * 1_000 + 50 * 400 + 8_000


def test_cards_with_other_service_tiers_are_other_cards():
    """They bill the standard tier alike, so the id is the same; as prices they differ."""
    plain = Card.of(input=2, output=8)
    with_batch = Card.of(input=2, output=8, service_tiers={"batch": {"input": 1}})

    assert plain.id == with_batch.id
    assert plain != with_batch
    assert with_batch.for_service_tier("batch").id != plain.id


def test_embeddings_have_no_output_price():
    """Output of an embedding model is a misreading, not a free token."""
    embedding = card("text-embedding-3-small", 2026, 11, 20)

    assert embedding.cost_nusd(Usage(input=1_000)) == 1_000 * 20
    assert embedding.ceiling_nusd(input_tokens_max=1_000, output_tokens_max=0) == 1_000 * 20
    with pytest.raises(UnpricedBucket, match="1 output tokens"):
        embedding.cost_nusd(Usage(input=1_000, reasoning=1))
    with pytest.raises(UnpricedBucket):
        embedding.ceiling_nusd(input_tokens_max=1_000, output_tokens_max=1)


def test_unpriced_buckets_pay_the_wider_ones_rate():
    """Details that a provider does not price apart are billed with what holds them."""
    plain = Card.of(input=2, output=8)
    with_write = Card.of(input=2, output=8, cache_write="2.5")

    assert plain.cost_nusd(Usage(1, 1, 1, 1, audio_in=1, image_in=1)) == 6 * 2_000
    assert plain.cost_nusd(Usage(output=1, reasoning=1, audio_out=1)) == 3 * 8_000
    assert with_write.cost_nusd(Usage(cache_write_5m=1, cache_write_1h=1)) == 2 * 2_500


def test_a_bucket_that_a_tier_does_not_name_keeps_the_rate_below():
    """Tiers build on each other."""
    found = Card.of(input=1, output=4, tiers=[(100, {"input": 2}), (200, {"output": 8})])

    assert found.cost_nusd(Usage(input=150, output=1)) == 150 * 2_000 + 4_000
    assert found.cost_nusd(Usage(input=250, output=1)) == 250 * 2_000 + 8_000


def test_one_rounding_for_all_buckets():
    """Two halves of a nano-dollar are one; rounded apart they would be none."""
    found = Card.of(input="0.0005", output="0.0005")

    assert found.cost_nusd(Usage(input=1)) == 0
    assert found.cost_nusd(Usage(input=1, output=1)) == 1
    assert found.cost_nusd(Usage(input=3)) == 2


@pytest.mark.parametrize("tokens", [2**34, 2**34 + 1, 10**12])
def test_large_bills_lose_no_nano_dollar(tokens):
    """Beyond 2**53 nano-dollars, where a double would round, every one still counts."""
    cost = Card.of(input="600.001").cost_nusd(Usage(input=tokens))

    assert cost == tokens * 600_001
    assert cost > 2**53


def test_a_bill_that_does_not_fit_64_bits_is_refused():
    """A dollar a token, a million million tokens: 10**21 nano-dollars is no real bill."""
    with pytest.raises(OverflowError):
        Card.of(input=1_000_000).cost_nusd(Usage(input=10**12))


rates = st.decimals(min_value=0, max_value=1_000, places=6).map(lambda d: d.normalize())
rate_sets = st.fixed_dictionaries(
    {"input": rates, "output": rates},
    optional={bucket: rates for bucket in BUCKETS if bucket not in {"input", "output"}},
)
tier_lists = st.dictionaries(
    st.integers(min_value=1, max_value=400_000),
    st.dictionaries(st.sampled_from(BUCKETS), rates, max_size=3),
    max_size=3,
).map(lambda tiers: tuple(sorted(tiers.items())))
cards = st.builds(Card, rate_sets, tier_lists)
counts = st.integers(min_value=0, max_value=300_000)
usages = st.builds(Usage, **dict.fromkeys(BUCKETS, counts))


@given(cards, usages)
def test_the_cost_is_the_exact_cost_rounded_once(found, usage):
    """The integer path equals the rational one, rounded half-even."""
    exact = found.cost_exact(usage) * 10**9

    assert found.cost_nusd(usage) == round(exact)
    assert abs(found.cost_nusd(usage) - exact) <= Fraction(1, 2)


@given(cards, usages)
def test_the_exact_cost_is_the_sum_over_the_buckets(found, usage):
    """A plain reading of the card, tier and fallbacks spelled out, gives the same bill."""
    wider = {"cache_write_1h": "cache_write_5m", "reasoning": "output", "audio_out": "output"}
    level = dict(found.rates)
    for above, own in found.tiers:
        if usage.input_total > above:
            level.update(own)

    def rate(bucket):
        return level[bucket] if bucket in level else rate(wider.get(bucket, "input"))

    expected = sum(Fraction(rate(b)) * getattr(usage, b) for b in BUCKETS) / 10**6

    assert found.cost_exact(usage) == expected


@given(cards, usages, counts, counts)
def test_no_usage_within_the_limits_costs_more_than_the_ceiling(found, usage, more_in, more_out):
    """A hold of the ceiling covers whatever comes back."""
    ceiling = found.ceiling_nusd(
        input_tokens_max=usage.input_total + more_in,
        output_tokens_max=usage.output_total + more_out,
    )

    assert found.cost_nusd(usage) <= ceiling


def test_the_ceiling_takes_the_dearest_rate_of_every_tier_in_reach():
    """Cache writes are dearer than input, and a long limit reaches the long-context rates."""
    luna = card("gpt-6-luna", 2026, 11, 20)

    short = luna.ceiling_nusd(input_tokens_max=272_000, output_tokens_max=10)
    long = luna.ceiling_nusd(input_tokens_max=272_001, output_tokens_max=10)

    assert short == 272_000 * 125 + 10 * 500
    assert long == 272_001 * 250 + 10 * 750
    with pytest.raises(ValueError, match="negative"):
        luna.ceiling_nusd(input_tokens_max=-1, output_tokens_max=0)


def test_equal_prices_are_one_card():
    """The id is of the prices, not of how they were typed."""
    one, same, other = Card.of(input="0.10"), Card.of(input="0.1"), Card.of(input="0.11")

    assert one == same
    assert one.id == same.id
    assert hash(one) == hash(same)
    assert one.id != other.id
    assert one != other
    assert one.id.startswith("card_")
    assert len(one.id) == len("card_") + 12


HOURS = Hours(((3_600, 7_200),), Card.of(input=2))


def nested_service_tiers():
    """Try to make a service tier that has service tiers."""
    batch = Card.of(input=1, service_tiers={"flex": {"input": 1}})
    return Card({"input": Decimal(1)}, (), {"batch": batch})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Card({}), "needs an input rate"),
        (lambda: Card({"input": Decimal(-1)}), "from 0 to"),
        (lambda: Card({"input": Decimal("NaN")}), "from 0 to"),
        (lambda: Card({"input": Decimal(2_000_000)}), "from 0 to"),
        (lambda: Card({"input": Decimal("1e-13")}), "over 12 decimals"),
        (lambda: Card({"input": Decimal(1), "cached": Decimal(1)}), "unknown bucket 'cached'"),
        (lambda: Card.of(input=1, tiers=[(5, {}), (5, {})]), "ascending"),
        (lambda: Card.of(input=1, tiers=[(0, {})]), "ascending"),
        (lambda: Card.of(input="cheap"), "not a decimal"),
        (lambda: Card.of(input=1, service_tiers={"bach": {}}), "unknown service tier 'bach'"),
        (nested_service_tiers, "cannot have service tiers itself"),
        (lambda: PriceHistory(((0, Card.of(input=1)),), hours=((5, HOURS),)), r"none at \[5\]"),
        (
            lambda: PriceHistory(((0, Card.of(input=1)),), hours=((0, HOURS), (0, HOURS))),
            "mon 01:00 UTC has two prices",
        ),
        (lambda: PriceHistory(()), "ascending"),
        (lambda: PriceHistory(((5, Card.of(input=1)), (5, Card.of(input=2)))), "ascending"),
    ],
)
def test_prices_that_cannot_be_are_refused(wrong, message):
    """A card that exists can be billed from."""
    with pytest.raises(ValueError, match=message):
        wrong()


@pytest.mark.parametrize("rate", [0.1, True, b"1"])
def test_rates_must_be_exact(rate):
    """A float is refused even where it looks exact."""
    with pytest.raises(TypeError):
        Card.of(input=rate)
    with pytest.raises(TypeError):
        Card({"input": rate})


def test_there_is_no_price_before_the_first():
    """A model that had no price yet is an error, not free."""
    history = PriceHistory(((unix_s(2026, 9, 29), Card.of(input=1)),))

    assert history.at(unix_s(2026, 9, 29)).rates == {"input": 1}
    with pytest.raises(NoPrice):
        history.at(unix_s(2026, 9, 28, 23, 59, 59))
    assert PriceHistory.fixed(Card.of(input=1)).at(0) == Card.of(input=1)


@pytest.mark.parametrize("model", REQUIRED)
def test_the_shipped_book_prices_the_models_of_our_examples(model):
    """Each model that configs and documents name has a price today."""
    found = BOOK.find(model)

    assert found.at(unix_s(2026, 11, 20)).rates["input"] > 0


def test_the_shipped_book_is_sorted_small_and_current():
    """A reviewed diff needs a stable order, and a start-up needs a small file."""
    names = [(entry.provider, entry.model) for entry in BOOK.models()]

    assert names == sorted(names)
    assert BOOK.source.startswith("genai-prices 0.2.3, 2026-11-20")
    assert BOOK.version == load().version
    assert SHIPPED.stat().st_size < 150_000
    assert "mistral" in BOOK.providers
    assert {entry.provider for entry in BOOK.models("groq")} == {"groq"}


def test_a_model_is_found_by_name_alias_and_provider():
    """Dated snapshots are aliases; an unknown provider does not hide a known model."""
    mini = BOOK.find("gpt-4o-mini")

    assert BOOK.find("gpt-4o-mini-2024-07-18") is mini
    assert BOOK.find("gpt-4o-mini", "openai") is mini
    assert BOOK.find("gpt-4o-mini", "house-gateway") is mini
    assert BOOK.find("gpt-4o-mini", "anthropic") is None
    assert BOOK.find("gpt-99") is None


def test_of_several_providers_the_preferred_one_is_taken():
    """Makers come before hosts; between two strangers there is no answer."""

    def entry(provider, rate):
        return PricedModel(provider, "m", (), PriceHistory.fixed(Card.of(input=rate)))

    strangers = CostBook("b", "s", (entry("aaa", 1), entry("bbb", 2)))
    with_maker = CostBook("b", "s", (entry("aaa", 1), entry("groq", 3), entry("mistral", 4)))

    assert strangers.find("m") is None
    assert strangers.find("m", "bbb").at(0) == Card.of(input=2)
    assert with_maker.find("m").at(0) == Card.of(input=4)


@given(usages)
def test_shipped_prices_never_rise_from_a_cached_token(usage):
    """On every shipped chat card a token read from the cache costs no more than a fresh one."""
    assume(usage.cache_read > 0)
    fresh = Usage(input=usage.cache_read)
    cached = Usage(cache_read=usage.cache_read)

    for entry in BOOK.models():
        found = entry.history.at(unix_s(2027, 6, 1))
        assert found.cost_nusd(cached) <= found.cost_nusd(fresh)
