"""genai-prices' data as price file entries: its dates, hours, context tiers and service tiers are kept.

genai-prices (MIT, github.com/pydantic/genai-prices) has its data as Python objects in the installed package
and as JSON in its repository (`prices/new_data/v3/data.json`); the objects are brought to the form of the JSON,
so that there is one reader. Its rules, as read in its `types.py`:

- of several prices of a model the last one in the list that is active counts; a date is midnight UTC;
- a context tier counts for every token of a request with strictly more input than its `start`;
- `price_variants` name what a service tier bills otherwise; of several the first that is active counts.

Hours of the day have no date there: they are taken to stand beside the price before them in the list, since
nobody billed the peak price of this autumn in spring. What has no place in our buckets is left out: searches,
pages, seconds of audio, images out, and the cached rate of audio (it pays the cached rate of text).
"""

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any, Final

from margin.costbook import CostBookError
from margin.costbooks.hours import DAY_S, Window, write_windows
from margin.costbooks.writing import Entry, day_text, texts

RATES: Final = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_5m_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "audio_in",
    "output_audio_mtok": "audio_out",
    "input_image_mtok": "image_in",
}
"""genai-prices' units that are our buckets, by our file's names."""

SERVICE_TIERS: Final[Mapping[tuple[str, str], str]] = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("service_tier", "ultrafast"): "ultrafast",
    ("speed", "fast"): "fast",
}
"""What the variants' conditions are called here; others, such as regions, are not carried over."""

_WHOLE: Final = re.compile(r"[a-z0-9]$(?<!-20\d\d)", re.IGNORECASE)  # no half of a dated name

Raw = Mapping[str, Any]


def installed() -> list[Raw]:
    """Return the data of the installed package, in the form of its JSON.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    # by name, because the package is not there when the product is checked or runs
    found: list[Raw] = plain(importlib.import_module("genai_prices.data").providers)
    return found


def plain(value: Any) -> Any:
    """Turn the package's objects into what its JSON holds; what is not set is left out."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if is_dataclass(value):
        named = ((field.name.rstrip("_"), getattr(value, field.name)) for field in fields(value))
        return {name: plain(inner) for name, inner in named if inner is not None}
    if type(value).__name__ == "ModelPrice":
        return {name: plain(inner) for name, inner in vars(value).items() if inner is not None}
    return value


@dataclass(frozen=True, slots=True)
class Model:
    """A model of one provider, and how that provider's names are resolved."""

    provider: str
    raw: Raw
    find: Callable[[str], Raw | None]

    @property
    def name(self) -> str:
        """Its name at its provider."""
        return str(self.raw["id"])


def models(providers: list[Raw], wanted: tuple[str, ...]) -> Iterator[Model]:
    """Yield the models of some providers that are reachable under their own names, and priced in tokens."""
    for provider in providers:
        if provider["id"] in wanted:
            for raw in provider["models"]:
                model = Model(provider["id"], raw, _finder(provider["models"]))
                if _is_priced(raw) and model.find(model.name) is raw:
                    yield model


def _is_priced(raw: Raw) -> bool:
    rates = texts(_price(_bases(raw)[0][1]["prices"])[0])
    return "input" in rates and ("output" in rates or "embed" in raw["id"])


def _finder(listed: list[Raw]) -> Callable[[str], Raw | None]:
    return lambda name: next((model for model in listed if _matches(model["match"], name.lower())), None)


def _matches(rule: Raw, name: str) -> bool:
    """Apply a match rule, as genai-prices' clauses do."""
    ((kind, operand),) = rule.items()
    if kind in {"or", "and"}:
        return (any if kind == "or" else all)(_matches(each, name) for each in operand)
    if kind == "regex":
        return re.search(operand, name) is not None
    text = operand.lower()
    if kind == "equals":
        return bool(name == text)
    return {"starts_with": name.startswith, "ends_with": name.endswith, "contains": name.__contains__}[kind](text)


def entry(model: Model, names: frozenset[str] = frozenset()) -> Entry:
    """Return a model as a price file has it.

    Args:
        model: A model of `models`.
        names: More names that providers use; those that genai-prices resolves to this model become aliases.

    Raises:
        CostBookError: Its prices depend on something that cannot be expressed.
    """
    found: Entry = {"provider": model.provider, "model": model.name}
    aliases = sorted(name for name in _names(model, names) if model.find(name) is model.raw)
    if aliases:
        found["aliases"] = aliases
    if model.raw.get("context_window") is not None:
        found["context_window"] = model.raw["context_window"]
    try:
        found["prices"] = _periods(model.raw)
    except (KeyError, TypeError, ValueError) as error:
        raise CostBookError(f"{model.provider}/{model.name}: cannot be read as a genai-prices model: {error}") from None
    return found


def _names(model: Model, more: frozenset[str]) -> set[str]:
    return ({name.lower() for name in _spelled(model.raw["match"])} | more) - {model.name}


def _spelled(rule: Raw) -> Iterator[str]:
    """Yield the names that a match rule spells out; patterns of dates cannot be listed."""
    for clause in rule.get("or", ()):
        yield from _spelled(clause)
    name = rule.get("equals", rule.get("starts_with"))
    if name is not None and _WHOLE.search(name):
        yield name


def _periods(raw: Raw) -> list[Entry]:
    """Return the model's prices in time, without the dates at which none of ours changed."""
    found: list[Entry] = []
    for start in _starts(raw):
        price = _priced_at(raw, start)
        if found and _continues(found[-1], price):
            found[-1] |= price
        else:
            found.append({"from": day_text(start), **price})
    return found


def _continues(before: Entry, price: Entry) -> bool:
    """Tell whether a price says nothing new, or only what a service tier that was not listed yet costs.

    genai-prices dates service tiers from the day it began to list them. Where nothing else changed they are taken
    to have cost the same before: that is nearer to the truth than the standard price.
    """
    known, later = before.get("service_tiers", {}), price.get("service_tiers", {})
    plain_before = {key: value for key, value in before.items() if key not in {"from", "service_tiers"}}
    plain_after = {key: value for key, value in price.items() if key != "service_tiers"}
    return plain_before == plain_after and all(later.get(name) == own for name, own in known.items())


def _starts(raw: Raw) -> list[date | None]:
    conditions = [*_conditional(raw), *_variants(raw)]
    days = {day for day in map(_start, conditions) if day is not None}
    return [None, *sorted(days)]


def _priced_at(raw: Raw, day: date | None) -> Entry:
    index, base = [found for found in _bases(raw) if _active(found[1], day)][-1]
    price = _as_entry(base["prices"])
    hours = _hours(_hours_of(raw, index))
    service_tiers = _service_tiers(raw, day)
    if hours:
        price["hours"] = hours
    if service_tiers:
        price["service_tiers"] = service_tiers
    return price


def _as_entry(listed: Raw) -> Entry:
    rates, tiers = _price(listed)
    price = texts(rates)
    if tiers:
        price["tiers"] = [{"above": above, **texts(own)} for above, own in tiers]
    return price


def _conditional(raw: Raw) -> list[Raw]:
    return raw["prices"] if isinstance(raw["prices"], list) else [{"prices": raw["prices"]}]


def _bases(raw: Raw) -> list[tuple[int, Raw]]:
    """Return the prices that hold all day, with their places in the list; the first always holds."""
    listed = [found for found in enumerate(_conditional(raw)) if not _is_hourly(found[1])]
    return sorted(listed, key=lambda found: _start(found[1]) or date.min)


def _hours_of(raw: Raw, index: int) -> Iterator[Raw]:
    """Yield the hourly prices that follow a price in the list, up to the next that holds all day."""
    for price in _conditional(raw)[index + 1 :]:
        if not _is_hourly(price):
            return
        yield price


def _is_hourly(price: Raw) -> bool:
    return "start_time" in price.get("constraint", {})


def _start(condition: Raw) -> date | None:
    found = condition.get("constraint", {}).get("start_date")
    return date.fromisoformat(found) if isinstance(found, str) else found


def _active(condition: Raw, day: date | None) -> bool:
    start = _start(condition)
    return start is None or (day is not None and start <= day)


def _hours(prices: Iterator[Raw]) -> list[Entry]:
    """Return hours with what they bill, those of one price together."""
    found: list[tuple[list[Window], Entry]] = []
    for price in prices:
        constraint, billed = price["constraint"], _as_entry(price["prices"])
        window = (_day_s(constraint["start_time"]), _day_s(constraint["end_time"]))
        same = [windows for windows, other in found if other == billed]
        if same:
            same[0].append(window)
        else:
            found.append(([window], billed))
    return [{"utc": write_windows(windows), **billed} for windows, billed in found]


def _day_s(clock: time | str) -> int:
    """Return a time of day as a second of the UTC day; one without a zone is UTC."""
    found = time.fromisoformat(clock) if isinstance(clock, str) else clock
    ahead = timedelta() if found.tzinfo is None else datetime.combine(date(1970, 1, 1), found).utcoffset()
    assert ahead is not None, "a time with a zone has an offset"
    return (found.hour * 3600 + found.minute * 60 - ahead // timedelta(seconds=1)) % DAY_S


def _variants(raw: Raw) -> list[Raw]:
    return [each for each in raw.get("price_variants", ()) if _tier_name(each) and not _is_hourly(each)]


def _tier_name(variant: Raw) -> str | None:
    conditions = list(variant["when"].items())
    return SERVICE_TIERS.get(conditions[0]) if len(conditions) == 1 else None


def _service_tiers(raw: Raw, day: date | None) -> Entry:
    merged: dict[str, dict[str, Any]] = {}
    for variant in _variants(raw):
        if _active(variant, day):
            own = merged.setdefault(str(_tier_name(variant)), {})
            for key, value in variant["prices"].items():
                own.setdefault(key, value)
    priced = {name: _as_entry(listed) for name, listed in sorted(merged.items())}
    return {name: price for name, price in priced.items() if price}


_Price = tuple[dict[str, Decimal], list[tuple[int, dict[str, Decimal]]]]


def _price(listed: Raw) -> _Price:
    """Return the rates, and those of each context tier."""
    found = {ours: listed[theirs] for theirs, ours in RATES.items() if listed.get(theirs) is not None}
    base = {key: _rate(value["base"] if isinstance(value, Mapping) else value) for key, value in found.items()}
    starts = sorted({tier["start"] for tier in chain.from_iterable(map(_tiers, found.values()))})
    return base, [(start, _tier(found, start)) for start in starts]


def _tiers(value: Any) -> list[Raw]:
    return sorted(value["tiers"], key=lambda tier: tier["start"]) if isinstance(value, Mapping) else []


def _tier(found: Mapping[str, Any], start: int) -> dict[str, Decimal]:
    return {
        key: _rate([tier["price"] for tier in _tiers(value) if tier["start"] <= start][-1])
        for key, value in found.items()
        if any(tier["start"] <= start for tier in _tiers(value))
    }


def _rate(value: Decimal | int | str) -> Decimal:
    return Decimal(value)
