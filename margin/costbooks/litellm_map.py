"""LiteLLM's map of prices (`model_prices_and_context_window.json`, MIT) as price file entries.

It has one price a model, that of the day it was made: no dates. It has context tiers, service tiers and, for
DeepSeek, off-peak hours. Its keys are made of a unit, a context size and a service tier, such as
`input_cost_per_token_above_272k_tokens_priority`; a key that is missing there is billed at the standard tier's
price (`litellm_core_utils/llm_cost_calc/utils.py`), and so it is here.

Left out: models that are no chat or embeddings, and those without any price; a price of zero for cache writes
(DeepSeek and others: a written token is billed as input there, once); regional surcharges; searches.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from margin.card import TOKENS_PER_RATE
from margin.costbook import CostBookError
from margin.costbooks.hours import EVERY_DAY, read_windows, write_days, write_windows
from margin.costbooks.writing import Entry, texts

PROVIDERS: Final[Mapping[str, str]] = {"gemini": "google", "xai": "x-ai"}
"""What we call the providers that LiteLLM calls otherwise."""

MODES: Final = frozenset({"chat", "responses", "completion", "embedding"})

RATES: Final[Mapping[str, str]] = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_in",
    "output_cost_per_audio_token": "audio_out",
    "input_cost_per_image_token": "image_in",
}
"""Its units that are our buckets, by our file's names."""

WIDER: Final[Mapping[str, str]] = {"reasoning": "output", "image_in": "input", "audio_in": "input"}
"""Buckets that it often lists at the price of the wider one; such a price says nothing."""

SERVICE_TIERS: Final[Mapping[str, str]] = {
    "batches": "batch",
    "flex": "flex",
    "priority": "priority",
    "ultrafast": "ultrafast",
}

_KEY: Final = re.compile(
    rf"(?P<unit>{'|'.join(sorted(RATES, key=len, reverse=True))})"
    rf"(_above_(?P<thousands>\d+)k_tokens)?(_(?P<tier>{'|'.join(SERVICE_TIERS)}))?"
)
_NOISE: Final = Decimal("1e-9")  # USD per million: below it are only the digits of binary fractions

Raw = Mapping[str, Any]
_Levels = dict[int, dict[str, Decimal]]


def entries(listed: Mapping[str, Raw], wanted: tuple[str, ...]) -> Iterator[Entry]:
    """Yield the models of some providers, each once.

    Raises:
        CostBookError: A price that cannot be read.
    """
    made: dict[tuple[str, str], Entry] = {}
    for key, raw in listed.items():
        house = str(raw.get("litellm_provider"))
        provider, prefix = PROVIDERS.get(house, house), f"{house}/"
        name = key.removeprefix(prefix)
        is_first = key.startswith(prefix) or (provider, name) not in made
        if is_first and provider in wanted and raw.get("mode") in MODES and _is_priced(raw):
            made[provider, name] = _entry(provider, name, key, raw)
    yield from made.values()


def limits(listed: Mapping[str, Raw], wanted: str) -> dict[str, int | None]:
    """Return one provider's names, with their output limits where they are known."""
    return {
        key.removeprefix(f"{raw['litellm_provider']}/"): raw.get("max_output_tokens")
        for key, raw in listed.items()
        if raw.get("mode") in MODES and PROVIDERS.get(raw["litellm_provider"], raw["litellm_provider"]) == wanted
    }


def _is_priced(raw: Raw) -> bool:
    """Tell a price from two zeros, which mean that nobody filled it in."""
    rates = (raw.get("input_cost_per_token"), raw.get("output_cost_per_token"))
    return rates[0] is not None and any(rates)


def _entry(provider: str, name: str, key: str, raw: Raw) -> Entry:
    found: Entry = {"provider": provider, "model": name}
    window, output_max = raw.get("max_input_tokens"), raw.get("max_output_tokens")
    if type(window) is int and window > 0:
        found["context_window"] = window
    if type(output_max) is int and output_max > 0 and raw["mode"] != "embedding":
        found["output_max"] = output_max
    try:
        found["prices"] = [{"from": None, **_price(raw)}]
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise CostBookError(f"{key}: cannot be read as a model of LiteLLM's map: {error}") from None
    return found


def _price(raw: Raw) -> Entry:
    by_tier: dict[str, _Levels] = {}
    for key, value in raw.items():
        found = _KEY.fullmatch(key)
        if found is not None and value is not None:
            above = 0 if found["thousands"] is None else int(found["thousands"]) * 1000
            levels = by_tier.setdefault(found["tier"] or "", {})
            levels.setdefault(above, {})[RATES[found["unit"]]] = rate(value)
    standard = by_tier.pop("")
    service_tiers = {SERVICE_TIERS[name]: _filled(levels, standard) for name, levels in sorted(by_tier.items())}
    if raw["mode"] == "embedding":
        standard = {above: {b: r for b, r in own.items() if b != "output"} for above, own in standard.items()}
    price = _as_entry(standard)
    hours = list(_hours(raw.get("off_peak_pricing")))
    if hours:
        price["hours"] = hours
    if service_tiers:
        price["service_tiers"] = {name: _as_entry(levels) for name, levels in service_tiers.items()}
    return price


def _filled(levels: _Levels, standard: _Levels) -> _Levels:
    """Return a service tier with the standard price of each context size that it does not name itself."""
    named = {bucket for own in levels.values() for bucket in own}
    filled = {above: {b: r for b, r in own.items() if b in named} for above, own in standard.items() if above}
    return {above: {**filled.get(above, {}), **levels.get(above, {})} for above in {0, *filled, *levels}}


def _as_entry(levels: _Levels) -> Entry:
    said = {above: _telling(levels[above]) for above in sorted(levels)}
    price = texts(said.pop(0, {}))
    tiers = [{"above": above, **texts(rates)} for above, rates in said.items() if rates]
    if tiers:
        price["tiers"] = tiers
    return price


def _telling(rates: dict[str, Decimal]) -> dict[str, Decimal]:
    """Return the rates in the order of the file, without those that say nothing."""
    kept = {key: rates[key] for key in RATES.values() if key in rates}
    silent = {key for key, wider in WIDER.items() if key in kept and kept[key] == kept.get(wider)}
    unwritten = {"cache_write", "cache_write_1h"} & {key for key, own in kept.items() if own == 0}
    return {key: own for key, own in kept.items() if key not in silent | unwritten}


def _hours(raw: Raw | None) -> Iterator[Entry]:
    """Yield the off-peak hours, with what they bill."""
    if raw is None:
        return
    rates = {ours: rate(raw[theirs]) for theirs, ours in RATES.items() if raw.get(theirs) is not None}
    for window in raw["windows"]:
        listed = window["hours_utc"]
        text = ", ".join([listed] if isinstance(listed, str) else listed).replace("-00:00", "-24:00")
        days = tuple(sorted(day - 1 for day in window.get("weekdays", range(1, 8))))  # ISO: Monday is 1
        when = {"utc": write_windows(read_windows(text))}
        yield when | ({} if days == EVERY_DAY else {"days": write_days(days)}) | texts(_telling(rates))


def rate(per_token: Decimal | int) -> Decimal:
    """Return dollars per million from LiteLLM's dollars per token, without the noise of binary fractions."""
    return (Decimal(per_token) * TOKENS_PER_RATE).quantize(_NOISE)
