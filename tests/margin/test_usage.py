"""Usage: every token in exactly one bucket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.usage import BUCKETS, TOKENS_MAX, Usage, UsageError

counts = st.integers(min_value=0, max_value=10**9)
usages = st.builds(Usage, **dict.fromkeys(BUCKETS, counts), source=st.just("reported"), service_tier=st.none())


def test_totals_count_every_bucket_once():
    """Input and output totals are the sums of their sides."""
    usage = Usage(1, 2, 4, 8, output=16, reasoning=32, audio_in=64, audio_out=128, image_in=256)

    assert usage.input_total == 1 + 2 + 4 + 8 + 64 + 256
    assert usage.output_total == 16 + 32 + 128
    assert usage.total == 511


def test_details_inside_totals_are_taken_apart():
    """OpenAI's cached and reasoning tokens are parts of its totals."""
    usage = Usage.nested(input_total=10_000, cache_read=8_000, output_total=1_000, reasoning=300)

    assert usage == Usage(input=2_000, cache_read=8_000, output=700, reasoning=300)


@given(st.tuples(counts, counts, counts, counts, counts, counts), st.tuples(counts, counts, counts))
def test_nested_counts_add_up_to_their_totals(ins, outs):
    """Whatever the parts, what comes out sums to what went in."""
    read, write, write_1h, audio, image, fresh = ins
    reasoning, audio_out, text = outs

    usage = Usage.nested(
        input_total=sum(ins),
        cache_read=read,
        cache_write_5m=write,
        cache_write_1h=write_1h,
        audio_in=audio,
        image_in=image,
        output_total=sum(outs),
        reasoning=reasoning,
        audio_out=audio_out,
    )

    assert (usage.input, usage.output) == (fresh, text)
    assert (usage.input_total, usage.output_total) == (sum(ins), sum(outs))


def test_parts_larger_than_their_total_are_an_error_with_both_numbers():
    """Reading Anthropic's counts as if nested must not turn into a free request."""
    with pytest.raises(UsageError, match=r"input_total is 500, but .* 8200 \(cache_read 8000"):
        Usage.nested(input_total=500, cache_read=8_000, cache_write_5m=200, output_total=1)
    with pytest.raises(UsageError, match=r"output_total is 5, but .* 6 \(reasoning 6\)"):
        Usage.nested(input_total=1, output_total=5, reasoning=6)


@pytest.mark.parametrize("count", [-1, True, 1.0, None, "1", TOKENS_MAX + 1])
def test_counts_that_cannot_be_are_refused(count):
    """Only whole tokens from zero to the limit count, on every way in."""
    with pytest.raises(UsageError, match="cache_read"):
        Usage(cache_read=count)
    with pytest.raises(UsageError, match="cache_read"):
        Usage.nested(input_total=10, cache_read=count, output_total=1)
    with pytest.raises(UsageError, match="cache_read"):
        Usage.from_dict({"cache_read": count})


@given(usages)
def test_a_dict_has_the_nonzero_buckets_and_reads_back(usage):
    """Zero is left out, nothing else is, and nothing is lost."""
    buckets = usage.as_dict()

    assert all(buckets.values())
    assert Usage.from_dict(buckets) == usage


def test_an_unknown_bucket_is_refused():
    """A misspelt bucket would be a free one."""
    with pytest.raises(UsageError, match=r"cached.*the buckets are input"):
        Usage.from_dict({"cached": 1})


@given(usages, usages)
def test_sums_go_bucket_by_bucket(one, other):
    """Adding usages adds each bucket."""
    both = one + other

    assert both.total == one.total + other.total
    assert both.cache_write_1h == one.cache_write_1h + other.cache_write_1h


def test_a_sum_is_reported_only_if_both_were():
    """An estimate stays visible."""
    reported, estimated = Usage(input=1), Usage(input=1, source="estimated")

    assert (reported + reported).source == "reported"
    assert (reported + estimated).source == "estimated"
    assert (estimated + reported).source == "estimated"
