"""A file of weights as it is written: a row a line, so that a change can be read, and a version that is its hash."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def versioned(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return weights with their version: the hash of everything else."""
    rest = {name: value for name, value in found.items() if name != "version"}
    return {**rest, "version": f"table-{hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:8]}"}


def write(found: Mapping[str, Any], path: Path) -> None:
    """Write weights."""
    lines: list[str] = []
    for name, value in found.items():
        if isinstance(value, list) and value and isinstance(value[0], list):
            rows = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in value)
            lines.append(f"{json.dumps(name)}: [\n{rows}]")
        else:
            lines.append(f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}")
    path.write_text("{" + ",\n".join(lines) + "}\n", "utf-8")
