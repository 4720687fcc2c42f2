"""What genai-prices and LiteLLM's map say, read into price files: expected bills as arithmetic."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest

from margin.costbook import CostBookError
from margin.costbooks import genai, litellm_map, sources
from margin.costbooks.sources import SourceMissing
from margin.usage import Usage

FIXTURES = Path(__file__).with_name("fixtures")
TODAY = date(2026, 11, 20)

GENAI = sources.of_file(FIXTURES / "genai_prices.json", TODAY)
LITELLM = sources.of_file(FIXTURES / "litellm.json", TODAY)


def unix_s(*moment):
    """Turn a UTC date, or date and time, into unix seconds."""
    return int(datetime(*moment, tzinfo=UTC).timestamp())


def bill(source, model, usage, *moment, tier=None):
    """Return what a source bills for a usage at a moment, in nano-dollars."""
    card = source.book.find(model).at(unix_s(*moment))
    return card.for_service_tier(tier).cost_nusd(usage)


def test_a_file_is_known_by_its_shape():
    """Nobody has to say whose file it is, and each price's origin names the file."""
    assert (GENAI.name, GENAI.dated) == ("genai-prices", True)
    assert (LITELLM.name, LITELLM.dated) == ("litellm", False)
    assert GENAI.label.startswith("genai-prices (genai_prices.json, sha256 ")
    assert GENAI.label.endswith("), 2026-11-20")


# A rate in USD per million tokens is a thousandth of it in nano-dollars a token.


@pytest.mark.parametrize(
    ("model", "midnight", "before", "after"),
    [
        ("gemini-3.8-flash", (2027, 1, 1), (750, 3_750), (1_500, 7_500)),
        ("gemini-4-argon", (2026, 12, 1), (2_000, 10_000), (4_000, 20_000)),
    ],
)
def test_only_genai_prices_knows_that_a_price_doubles(model, midnight, before, after):
    """Its dates are kept; LiteLLM's map has today's price, on every day."""
    usage = Usage(input=1_000, output=100)
    last_second = datetime.fromtimestamp(unix_s(*midnight) - 1, UTC).timetuple()[:6]

    assert bill(GENAI, model, usage, *last_second) == 1_000 * before[0] + 100 * before[1]
    assert bill(GENAI, model, usage, *midnight) == 1_000 * after[0] + 100 * after[1]
    assert bill(LITELLM, model, usage, *midnight) == 1_000 * before[0] + 100 * before[1]


@pytest.mark.parametrize("source", [GENAI, LITELLM], ids=lambda source: source.name)
@pytest.mark.parametrize(
    ("model", "limit", "low", "high"),
    [
        ("gpt-6-luna", 272_000, (100, 500), (200, 750)),
        ("claude-haiku-5-5", 100_000, (100, 500), (500, 2_500)),
    ],
)
def test_both_know_the_context_tiers(source, model, limit, low, high):
    """One token above the line every token of the request pays the higher price."""
    at_limit, above = Usage(input=limit, output=10), Usage(input=limit + 1, output=10)

    assert bill(source, model, at_limit, 2026, 11, 20) == limit * low[0] + 10 * low[1]
    assert bill(source, model, above, 2026, 11, 20) == (limit + 1) * high[0] + 10 * high[1]


@pytest.mark.parametrize(
    ("source", "moment", "rates"),
    [
        (GENAI, (2026, 11, 20, 0, 30), (150, 600)),
        (GENAI, (2026, 11, 20, 2, 0), (300, 1_200)),
        (GENAI, (2026, 11, 21, 2, 0), (300, 1_200)),
        (LITELLM, (2026, 11, 20, 0, 30), (150, 600)),
        (LITELLM, (2026, 11, 20, 2, 0), (300, 1_200)),
        (LITELLM, (2026, 11, 20, 23, 59, 59), (150, 600)),
        (LITELLM, (2026, 11, 21, 2, 0), (150, 600)),
        (GENAI, (2026, 8, 20, 2, 0), (220, 660)),
    ],
)
def test_deepseeks_peak_hours(source, moment, rates):
    """Both have them, one as peak and one as off-peak; only LiteLLM's map knows that there are none on Saturdays."""
    cost = bill(source, "deepseek-v4-flash", Usage(input=1_000, output=100), *moment)

    assert cost == 1_000 * rates[0] + 100 * rates[1]


def test_an_old_request_keeps_its_price():
    """gpt-5.6-luna, 10k in of which 8k cached and 500 written, 1k out: now, and in June, five times as much."""
    usage = Usage.nested(input_total=10_000, cache_read=8_000, cache_write_5m=500, output_total=1_000)

    now = bill(GENAI, "gpt-5.6-luna", usage, 2026, 11, 20)
    june = bill(GENAI, "gpt-5.6-luna", usage, 2026, 6, 15)

    assert now == 1_500 * 200 + 8_000 * 20 + 500 * 250 + 1_000 * 1_200 == 1_785_000
    assert june == 1_500 * 1_000 + 8_000 * 100 + 500 * 1_250 + 1_000 * 6_000 == 8_925_000


@pytest.mark.parametrize("source", [GENAI, LITELLM], ids=lambda source: source.name)
@pytest.mark.parametrize("model", ["gpt-5", "gpt-5.6-luna", "gpt-6-luna"])
def test_a_batch_is_half(source, model):
    """Both say so of each bucket, below and above the long-context line."""
    for fresh in (1_000, 300_000):
        usage = Usage(input=fresh, cache_read=2_000, cache_write_5m=400, output=1_000)
        standard = bill(source, model, usage, 2026, 11, 20)
        assert bill(source, model, usage, 2026, 11, 20, tier="batch") * 2 == standard


def test_genai_prices_dates_its_service_tiers_too():
    """The batch price of Gemini 4 Argon doubles with the standard one."""
    usage = Usage(input=1_000, output=100)

    before = bill(GENAI, "gemini-4-argon", usage, 2026, 11, 30, tier="batch")
    after = bill(GENAI, "gemini-4-argon", usage, 2026, 12, 1, tier="batch")

    assert before == 1_000 * 1_000 + 100 * 5_000
    assert after == 1_000 * 2_000 + 100 * 10_000


def test_flex_and_priority_of_litellm():
    """gpt-5: flex is half, priority twice."""
    usage = Usage(input=1_000, output=100)

    assert bill(LITELLM, "gpt-5", usage, 2026, 11, 20, tier="flex") == 1_000 * 625 + 100 * 5_000
    assert bill(LITELLM, "gpt-5", usage, 2026, 11, 20, tier="priority") == 1_000 * 2_500 + 100 * 20_000


def test_models_that_bill_by_other_units_are_left_out():
    """Pages and seconds have no bucket; neither have two zeros, which only mean that nobody filled them in."""
    found = {entry["model"] for source in (GENAI, LITELLM) for entry in source.entries}

    assert "mistral-ocr-latest" not in found
    assert "whisper-1" not in found
    assert "sample_spec" not in found


def test_an_embedding_has_no_output_price():
    """LiteLLM's zero for it would make a misreading free of charge."""
    for source in (GENAI, LITELLM):
        card = source.book.find("text-embedding-3-small").at(unix_s(2026, 11, 20))
        assert "output" not in card.rates


def test_a_free_cache_write_of_litellm_is_no_price():
    """DeepSeek bills a written token as input, once; its zero would make it free."""
    entry = next(entry for entry in LITELLM.entries if entry["model"] == "deepseek-v4-flash")

    assert "cache_write" not in entry["prices"][0]


def test_audio_has_its_price():
    """Gemini 2.5 Flash: audio in at 1.00 a million, text at 0.30; a batch halves both."""
    usage = Usage(input=1_000, audio_in=1_000)

    for source in (GENAI, LITELLM):
        assert bill(source, "gemini-2.5-flash", usage, 2026, 11, 20) == 1_000 * 300 + 1_000 * 1_000
    assert bill(LITELLM, "gemini-2.5-flash", usage, 2026, 11, 20, tier="batch") == 1_000 * 150 + 1_000 * 500


def test_a_service_tier_pays_the_standard_price_where_the_map_has_none():
    """LiteLLM bills an above-200k batch at the standard price if it lists no other, and so do we."""
    raw = {
        "litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6,
        "input_cost_per_token_above_200k_tokens": 2e-6, "input_cost_per_token_batches": 5e-7,
    }  # fmt: skip
    read = json.loads(json.dumps({"gemini/g": raw}), parse_float=Decimal)

    (entry,) = litellm_map.entries(read, ("google",))

    assert entry["prices"][0]["service_tiers"]["batch"] == {"input": "0.5", "tiers": [{"above": 200000, "input": "2"}]}


def test_a_source_that_is_not_installed_says_how_to_get_it():
    """One sentence, with the version that was tried."""
    for name, pinned in (("genai-prices", "genai-prices==0.2.3"), ("litellm", "litellm==1.106.2")):
        if find_spec(name.replace("-", "_")) is None:
            with pytest.raises(SourceMissing, match=rf"{name} is not installed: `pip install {pinned}`"):
                sources.named(name, None, TODAY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "found neither genai-prices' data.json"),
        ("{}", "found neither"),
        ('{"m": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": "x"}}', "m: cannot be read as"),
        ('[{"id": "openai", "models": [{"id": "m"}]}]', "'prices'"),
        ('{"format": 1, "models": [], "modles": []}', r"found modles \(did you mean models"),
    ],
)
def test_a_file_that_is_no_source_says_so(tmp_path, text, message):
    """The file is named in each case."""
    path = tmp_path / "given.json"
    path.write_text(text)

    with pytest.raises(CostBookError, match=rf"given\.json: .*{message}"):
        sources.of_file(path, TODAY)


def test_the_wrong_sources_file_is_refused():
    """`--from litellm --data` with genai-prices' file is a slip, not a wish."""
    with pytest.raises(CostBookError, match="found the data of genai-prices; the data of litellm is allowed"):
        sources.named("litellm", FIXTURES / "genai_prices.json", TODAY)


@dataclass
class ClauseOr:
    """A match rule as the package has it: `or` is a word of Python."""

    or_: list


@dataclass
class ModelInfo:
    """A model as the package has it."""

    id: str
    match: ClauseOr
    prices: object
    deprecated: bool | None = None


class ModelPrice:
    """A price as the package has it: no dataclass, its units are attributes."""

    def __init__(self, **rates):
        vars(self).update(rates)


def test_the_packages_objects_are_brought_to_the_form_of_its_file():
    """What is not set is left out, as there."""
    price = ModelPrice(input_mtok=Decimal("0.1"), output_mtok=None)

    found = genai.plain([ModelInfo("m", ClauseOr([]), price)])

    assert found == [{"id": "m", "match": {"or": []}, "prices": {"input_mtok": Decimal("0.1")}}]


@pytest.mark.skipif(find_spec("genai_prices") is None, reason="genai-prices is not installed: its own data is not read")
def test_the_installed_package_says_what_its_file_says():
    """Objects and JSON are two ways to one reader."""
    installed = sources.named("genai-prices", None, TODAY)

    assert installed.label == "genai-prices 0.2.3, 2026-11-20"
    for entry in GENAI.entries:
        theirs, ours = (one.book.find(entry["model"], entry["provider"]) for one in (installed, GENAI))
        assert theirs.cards == ours.cards
        assert theirs.hours == ours.hours
