"""Generates `shipped.json` from genai-prices, by hand, so that its diff is read before it is used.

    python -m margin.costbooks.generate [--litellm model_prices_and_context_window.json]

genai-prices (MIT, github.com/pydantic/genai-prices) must be installed where this runs; the product
does not need it. It knows no output limits, and snapshots only by patterns of their dates: `--litellm` takes
LiteLLM's map (MIT), from which `max_output_tokens` and the names of snapshots are read, no prices.

What carries over as it is: tiers (both sides: strictly above, every token of the request) and start
dates (both: midnight UTC). What does not: batch, flex, priority and regional prices (standard, global
prices are taken), prices of a cached audio token (it pays the text's cached rate), searches, pages,
hours, images out. Hours of the day: the dearest price counts at every hour, and a note says so.
"""

import argparse
import importlib
import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

PROVIDERS: Final = ("openai", "anthropic", "google", "mistral", "deepseek", "x-ai", "groq")

RATES: Final = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "input_audio_mtok": "audio_in",
    "output_audio_mtok": "audio_out",
    "input_image_mtok": "image_in",
}
"""genai-prices' units that are our buckets, by our file's names."""

PEAK_NOTE: Final = "peak-hours price; off-peak is cheaper"

SKIPPED: Final = re.compile(
    r"realtime|live|transcribe|whisper|tts|voice|voxtral|orpheus|ocr|moderation|guard"  # not chat
    r"|image|vision|nano-banana|omni|robotics|computer-use|search|deep-research"  # other units
    r"|^ft:|\.ft-|:free|:extended|audio-preview"
    r"|^(ada|babbage|curie|davinci|text-davinci|gpt-3\.5|gpt-4$|gpt-4-|gpt-4\.5|o1-mini|o1-preview)"
    r"|^claude-(v1|2|3)|^gemini-(1|pro|flash-1)|^grok-2|^text-embedding-ada"
    r"|^(llama2|llama3-|llama-3\.2|llama-3\.1-(405|70)b|llama-3\.3-70b-specdec|gemma-?[27]|mixtral)"
    r"|^(mistral-(7b|nemo|saba|tiny|medium-2312|small-24b)|pixtral|deepseek-r1-distill)"
    r"|cyber|rosalind",
)
"""Names that are no chat or embedding models, or that their makers have retired."""

LITELLM_IDS: Final = {"google": "gemini", "x-ai": "xai"}
"""What LiteLLM calls the providers that it calls otherwise."""

_WHOLE: Final = re.compile(r"[a-z0-9]$(?<!-20\d\d)", re.IGNORECASE)  # no half of a dated name

_Entry = dict[str, Any]


def main() -> None:
    """Write the shipped price file anew."""
    parser = argparse.ArgumentParser(description="Generate the shipped price file.")
    parser.add_argument("--litellm", type=Path, help="LiteLLM's map, for limits and snapshots")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("shipped.json"))
    parser.add_argument("--date", type=date.fromisoformat, default=datetime.now(tz=UTC).date())
    arguments = parser.parse_args()
    listed = {} if arguments.litellm is None else json.loads(arguments.litellm.read_text())
    entries = sorted(_entries(listed), key=lambda entry: (entry["provider"], entry["model"]))
    source = f"genai-prices {version('genai-prices')}, {arguments.date.isoformat()}"
    arguments.out.write_text(_rendered(source, entries))
    sys.stdout.write(f"{arguments.out}: {len(entries)} models\n")


def _rendered(source: str, entries: list[_Entry]) -> str:
    """Write one model a line, so that a changed price is a changed line."""
    head = {"format": 1, "name": "shipped", "currency": "USD", "per": 1000000, "source": source}
    lines = ",\n".join(f"  {json.dumps(entry)}" for entry in entries)
    return f'{json.dumps(head)[:-1]}, "models": [\n{lines}\n]}}\n'


def _entries(listed: dict[str, Any]) -> Iterator[_Entry]:
    # by name, because the package is not there when the product is checked or runs
    for provider in importlib.import_module("genai_prices.data").providers:
        if provider.id in PROVIDERS:
            limits = _limits(listed, LITELLM_IDS.get(provider.id, provider.id))
            for model in provider.models:
                if _is_shipped(provider, model):
                    yield _entry(provider, model, limits)


def _limits(listed: dict[str, Any], house: str) -> dict[str, int | None]:
    """Return one provider's names in LiteLLM's map, with their output limits where it has them."""
    return {
        name.removeprefix(f"{house}/"): fields.get("max_output_tokens")
        for name, fields in listed.items()
        if fields.get("litellm_provider") == house and fields.get("mode") in {"chat", "responses", "embedding"}
    }


def _is_shipped(provider: Any, model: Any) -> bool:
    rates = _dated(model)[0][1][0]
    priced = "input" in rates and ("output" in rates or "embed" in model.id)
    foreign = provider.id == "google" and model.id.startswith("claude")  # resold under Vertex names
    wanted = not (model.deprecated or foreign or SKIPPED.search(model.id))
    return priced and wanted and provider.find_model(model.id) is model


def _entry(provider: Any, model: Any, limits: dict[str, int | None]) -> _Entry:
    entry: _Entry = {"provider": provider.id, "model": model.id}
    aliases = _aliases(provider, model, limits)
    output_max = next((limits[n] for n in (model.id, *aliases) if limits.get(n)), None)
    if aliases:
        entry["aliases"] = aliases
    if model.context_window is not None:
        entry["context_window"] = model.context_window
    if output_max is not None and "output" in _dated(model)[-1][1][0]:
        entry["output_max"] = output_max
    if any(_is_hourly(price) for price in _conditional(model)):
        entry["note"] = PEAK_NOTE
    entry["prices"] = list(_prices(model))
    return entry


def _aliases(provider: Any, model: Any, limits: dict[str, int | None]) -> list[str]:
    """Return the other names that genai-prices resolves to this model, and to no earlier one."""
    names = {name.lower() for name in _names(model.match)} | limits.keys()
    return sorted(
        name for name in names - {model.id} if not SKIPPED.search(name) and provider.find_model(name) is model
    )


def _names(match: Any) -> Iterator[str]:
    """Return the names that a match rule spells out; patterns of dates cannot be listed."""
    for clause in getattr(match, "or_", ()):
        yield from _names(clause)
    spelled = getattr(match, "equals", None) or getattr(match, "starts_with", None)
    if spelled is not None and _WHOLE.search(spelled):
        yield spelled


def _conditional(model: Any) -> list[Any]:
    return model.prices if isinstance(model.prices, list) else []


def _is_hourly(price: Any) -> bool:
    return hasattr(price.constraint, "start_time")


def _prices(model: Any) -> Iterator[_Entry]:
    """Return the model's prices in time, without the dates at which none of ours changed."""
    before = None
    for start, (rates, tiers) in _dated(model):
        if (rates, tiers) != before:
            price: _Entry = {"from": start, **_texts(rates)}
            if tiers:
                price["tiers"] = [{"above": above, **_texts(own)} for above, own in tiers]
            yield price
        before = (rates, tiers)


_Price = tuple[dict[str, Decimal], list[tuple[int, dict[str, Decimal]]]]


def _dated(model: Any) -> list[tuple[str | None, _Price]]:
    """Return each period's price; hours of the day, which are undated, raise the last period's."""
    if not isinstance(model.prices, list):
        return [(None, _price(model.prices))]
    dated = [
        (None if price.constraint is None else price.constraint.start_date.isoformat(), price)
        for price in model.prices
        if not _is_hourly(price)
    ]
    periods = [(start, _price(price.prices)) for start, price in dated]
    for price in model.prices:
        if _is_hourly(price):
            start, standing = periods[-1]
            periods[-1] = (start, _dearer(standing, _price(price.prices)))
    return periods


def _dearer(one: _Price, other: _Price) -> _Price:
    if one[1] or other[1]:
        raise NotImplementedError("hours of the day together with context tiers")
    return {key: max(rate, other[0].get(key, rate)) for key, rate in one[0].items()}, []


def _price(listed: Any) -> _Price:
    found = {ours: value for theirs, ours in RATES.items() if (value := getattr(listed, theirs)) is not None}
    base = {key: getattr(value, "base", value) for key, value in found.items()}
    starts = sorted({tier.start for value in found.values() for tier in _tiers(value)})
    return base, [(start, _tier(found, start)) for start in starts]


def _tiers(value: Any) -> list[Any]:
    return getattr(value, "tiers", [])


def _tier(found: dict[str, Any], start: int) -> dict[str, Decimal]:
    return {
        key: [tier.price for tier in _tiers(value) if tier.start <= start][-1]
        for key, value in found.items()
        if any(tier.start <= start for tier in _tiers(value))
    }


def _texts(rates: dict[str, Decimal]) -> dict[str, str]:
    return {key: format(rate.normalize(), "f") for key, rate in rates.items()}


if __name__ == "__main__":
    main()
