"""Generates `shipped.json`, by hand, so that its diff is read before it is used.

    python -m margin.costbooks.generate --litellm model_prices_and_context_window.json --litellm-version 1.106.2

Prices, dates, hours, context tiers and service tiers are those of genai-prices, which must be installed where
this runs; the product does not need it. It knows no output limits, snapshots only by patterns of their dates,
and not every service tier: LiteLLM's map fills in `max_output_tokens`, the names of snapshots, and the service
tiers that genai-prices does not list for a model today, if both agree on the standard price. Each price that
was filled in says so in its `source`. Future prices stay as they are: the map knows none.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from margin.costbook import SHIPPED
from margin.costbooks import genai, litellm_map
from margin.costbooks.sources import OTHER_UNITS, PROVIDERS
from margin.costbooks.writing import Entry, document, render

RETIRED: Final = re.compile(
    r"^ft:|\.ft-|:free|:extended|audio-preview"
    r"|^(ada|babbage|curie|davinci|text-davinci|gpt-3\.5|gpt-4$|gpt-4-|gpt-4\.5|o1-mini|o1-preview)"
    r"|^claude-(v1|2|3)|^gemini-(1|pro|flash-1)|^grok-2|^text-embedding-ada"
    r"|^(llama2|llama3-|llama-3\.2|llama-3\.1-(405|70)b|llama-3\.3-70b-specdec|gemma-?[27]|mixtral)"
    r"|^(mistral-(7b|nemo|saba|tiny|medium-2312|small-24b)|pixtral|deepseek-r1-distill)"
    r"|cyber|rosalind",
)
"""Names that few use any more, or may; `penstock prices import` has them."""

DAYS_NOTE: Final = "hours at all days of the week; LiteLLM's map has the lower price on {days}, all day"
"""Added where LiteLLM's map knows days: genai-prices cannot say them, and calls its weekends an upper bound."""

COMPARED: Final = ("input", "cache_read", "output", "tiers")
"""What both sources must say alike before a service tier of one is put beside a price of the other."""


def main() -> None:
    """Write the shipped price file anew."""
    parser = argparse.ArgumentParser(description="Generate the shipped price file.")
    parser.add_argument("--litellm", type=Path, required=True, help="LiteLLM's map")
    parser.add_argument("--litellm-version", required=True, help="the release that the map is of")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--date", type=date.fromisoformat, default=datetime.now(tz=UTC).date())
    arguments = parser.parse_args()
    listed = json.loads(arguments.litellm.read_text(), parse_float=Decimal)
    label = f"genai-prices {version('genai-prices')}"
    more = f"litellm {arguments.litellm_version}"
    entries = list(shipped(genai.installed(), listed, (label, more), arguments.date))
    source = f"{label}, {arguments.date.isoformat()}; output limits, and where a price says so service tiers: {more}"
    arguments.out.write_text(render(document("shipped", source, entries)))
    sys.stdout.write(f"{arguments.out}: {len(entries)} models, {arguments.out.stat().st_size:,} bytes\n")


def shipped(
    providers: list[genai.Raw], listed: Mapping[str, Any], labels: tuple[str, str], today: date
) -> Iterator[Entry]:
    """Yield the models to ship, each with what LiteLLM's map adds."""
    theirs = {(each["provider"], each["model"]): each for each in litellm_map.entries(listed, PROVIDERS)}
    limits = {provider: litellm_map.limits(listed, provider) for provider in PROVIDERS}
    for model in genai.models(providers, PROVIDERS):
        if _is_shipped(model):
            names = frozenset(name for name in limits[model.provider] if not _is_skipped(name))
            entry = genai.entry(model, names)
            _add_limit(entry, limits[model.provider])
            added = theirs.get((model.provider, model.name))
            if added is not None:
                _add_service_tiers(entry, added, labels, today)
                _add_note(entry, added)
            yield _ordered(entry)


def _is_shipped(model: genai.Model) -> bool:
    foreign = model.provider == "google" and model.name.startswith("claude")  # resold under Vertex names
    return not (model.raw.get("deprecated") or foreign or _is_skipped(model.name))


def _is_skipped(name: str) -> bool:
    return OTHER_UNITS.search(name) is not None or RETIRED.search(name) is not None


def _add_limit(entry: Entry, limits: Mapping[str, int | None]) -> None:
    entry["aliases"] = [alias for alias in entry.get("aliases", ()) if not _is_skipped(alias)]
    found = next((limits[name] for name in (entry["model"], *entry["aliases"]) if limits.get(name)), None)
    if found is not None and "output" in entry["prices"][-1]:
        entry["output_max"] = found


def _add_service_tiers(entry: Entry, added: Entry, labels: tuple[str, str], today: date) -> None:
    """Put the service tiers that are missing beside the price that holds today."""
    price = [each for each in entry["prices"] if each["from"] is None or each["from"] <= today.isoformat()][-1]
    theirs = added["prices"][0]
    known = price.get("service_tiers", {})
    missing = {name: own for name, own in theirs.get("service_tiers", {}).items() if name not in known}
    if missing and all(price.get(key) == theirs.get(key) for key in COMPARED):
        price["service_tiers"] = dict(sorted({**known, **missing}.items()))
        price["source"] = f"{labels[0]}; {', '.join(missing)}: {labels[1]}"


def _add_note(entry: Entry, added: Entry) -> None:
    """Say on which days LiteLLM's map bills something else than hours that are taken to be those of every day."""
    hours = added["prices"][0].get("hours", ())
    free = [each["days"] for each in hours if each["utc"] == "00:00-24:00"]
    if free and "hours" in entry["prices"][-1]:
        entry["note"] = DAYS_NOTE.format(days=", ".join(free))


def _ordered(entry: Entry) -> Entry:
    keys = ("provider", "model", "aliases", "context_window", "output_max", "note", "prices")
    return {key: entry[key] for key in keys if entry.get(key)}


if __name__ == "__main__":
    main()
