"""What the dashboards and rules ask Prometheus, and the metrics that there are."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from proxy.telemetry import metrics

FOLDER = Path(__file__).parents[2] / "grafana"
DASHBOARDS = sorted((FOLDER / "dashboards").glob("*.json"))
RULES = FOLDER / "rules" / "penstock.yml"

_NAME = re.compile(r"(?<![\w:])penstock_\w+")
_RECORDED = re.compile(r"\b\w+:penstock_\w+:\w+")


def board(path: Path) -> dict[str, Any]:
    """Return a dashboard as it is checked in."""
    return json.loads(path.read_text("utf-8"))


def panels() -> list[tuple[str, dict[str, Any]]]:
    """Return the panels of all dashboards, each with its dashboard's name."""
    return [(path.stem, panel) for path in DASHBOARDS for panel in board(path)["panels"]]


def queries() -> list[tuple[str, str]]:
    """Return every expression of the dashboards, with the dashboard, title and legend it stands under."""
    return [
        (f"{name}: {panel['title']}: {target['legendFormat']}", target["expr"])
        for name, panel in panels()
        for target in panel["targets"]
    ]


def rules() -> list[dict[str, Any]]:
    """Return every rule, whichever its group."""
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def named(expression: str) -> set[str]:
    """Return the metrics of ours that an expression names, recorded ones left out."""
    return set(_NAME.findall(_RECORDED.sub("", expression)))


def recorded(expression: str) -> set[str]:
    """Return the recorded series that an expression names."""
    return set(_RECORDED.findall(expression))


def exported() -> set[str]:
    """Return the names of all series that /metrics can have."""
    gauges = dict.fromkeys(metrics._GAUGES, 0.0)
    books = metrics.Books(
        lambda *_: [], lambda: {"granted": 0, "expired": 0}, lambda: gauges, lambda: "requested", list, dict
    )
    text = metrics.Metrics(books).render().decode()
    return {name for found in re.findall(r"^# TYPE (\S+) (\w+)", text, re.MULTILINE) for name in _series(*found)}


def _series(name: str, kind: str) -> tuple[str, ...]:
    return tuple(f"{name}_{part}" for part in ("bucket", "sum", "count")) if kind == "histogram" else (name,)
