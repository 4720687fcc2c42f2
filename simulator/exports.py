"""`python -m simulator.exports`: the invoice as usage and cost exports of OpenAI and Anthropic, by day and model.

Written from the invoice's own lines and prices: an oracle for whoever reads such exports. Shapes: OpenAI's
`/v1/organization/usage/completions` and `/costs` grouped by model and line item, Anthropic's
`/v1/organizations/usage_report/messages` and `/cost_report` grouped by model and description.
"""

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import orjson

Days = dict[tuple[str, str], dict[str, Any]]
"""Sums by (day, model): tokens by bucket, calls, dollars."""

_BUCKETS = ("input", "cache_read", "cache_write", "cache_write_1h", "output")
_DIGITS = 40
"""Of an amount: the exact one where it has an end, else far beyond a nano-dollar."""


def summed(lines: list[dict[str, Any]]) -> Days:
    """Return the invoice by day and model."""
    found: Days = {}
    for line in lines:
        cell = found.setdefault(
            (line["at"][:10], line["model"]), dict.fromkeys(_BUCKETS, 0) | {"calls": 0, "usd": Fraction(0)}
        )
        for bucket in _BUCKETS:
            cell[bucket] += line["usage"].get(bucket, 0)  # lines of earlier versions know no hour
        cell["calls"] += 1
        cell["usd"] += Fraction(line["amount_usd"])
    return found


def openai(days: Days) -> list[dict[str, Any]]:
    """Return a page of usage and one of costs."""
    usage = [
        _openai_bucket(day, {
            "object": "organization.usage.completions.result", "model": model, "num_model_requests": cell["calls"],
            "input_tokens": cell["input"] + cell["cache_read"] + cell["cache_write"] + cell["cache_write_1h"],
            "input_cached_tokens": cell["cache_read"],
            "input_cache_write_tokens": cell["cache_write"] + cell["cache_write_1h"],
            "output_tokens": cell["output"], "input_audio_tokens": 0, "output_audio_tokens": 0, "project_id": None,
            "user_id": None, "api_key_id": None, "batch": None, "service_tier": None,
        })
        for (day, model), cell in sorted(days.items())
    ]  # fmt: skip
    costs = [
        _openai_bucket(day, {
            "object": "organization.costs.result", "amount": {"value": _decimal(cell["usd"]), "currency": "usd"},
            "line_item": f"{model}, tokens", "project_id": None,
        })
        for (day, model), cell in sorted(days.items())
    ]  # fmt: skip
    return [{"object": "page", "data": data, "has_more": False, "next_page": None} for data in (usage, costs)]


def _openai_bucket(day: str, result: Mapping[str, Any]) -> dict[str, Any]:
    start = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    return {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": [result]}


def anthropic(days: Days) -> list[dict[str, Any]]:
    """Return a page of the usage report and one of the cost report."""
    usage = [
        _anthropic_bucket(day, {
            "model": model, "uncached_input_tokens": cell["input"], "cache_read_input_tokens": cell["cache_read"],
            "cache_creation": {
                "ephemeral_5m_input_tokens": cell["cache_write"],
                "ephemeral_1h_input_tokens": cell["cache_write_1h"],
            },
            "output_tokens": cell["output"], "server_tool_use": {"web_search_requests": 0}, "service_tier": "standard",
            "api_key_id": None, "workspace_id": None, "context_window": None,
        })
        for (day, model), cell in sorted(days.items())
    ]  # fmt: skip
    costs = [
        _anthropic_bucket(day, {
            "model": model, "amount": _decimal(cell["usd"] * 100), "currency": "USD", "cost_type": "tokens",
            "description": f"{model} usage", "service_tier": "standard", "token_type": None, "workspace_id": None,
            "context_window": None,
        })
        for (day, model), cell in sorted(days.items())
    ]  # fmt: skip
    return [{"data": data, "has_more": False, "next_page": None} for data in (usage, costs)]


def _anthropic_bucket(day: str, result: Mapping[str, Any]) -> dict[str, Any]:
    after = date.fromisoformat(day) + timedelta(days=1)
    return {"starting_at": f"{day}T00:00:00Z", "ending_at": f"{after.isoformat()}T00:00:00Z", "results": [result]}


def _decimal(amount: Fraction) -> str:
    with localcontext() as context:
        context.prec = _DIGITS
        return f"{Decimal(amount.numerator) / Decimal(amount.denominator):f}"


FORMATS: dict[str, Callable[[Days], list[dict[str, Any]]]] = {"openai": openai, "anthropic": anthropic}


@click.command()
@click.argument("invoice", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "format_", type=click.Choice(sorted(FORMATS)), required=True, help="Whose shapes.")
def main(invoice: Path, format_: str) -> None:
    """Write INVOICE as a provider's export, to stdout: a JSON list of a page of usage and a page of costs."""
    lines = [orjson.loads(line) for line in invoice.read_bytes().splitlines()]
    sys.stdout.buffer.write(orjson.dumps(FORMATS[format_](summed(lines))) + b"\n")


if __name__ == "__main__":
    main()
