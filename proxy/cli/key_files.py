"""Reads a file of keys to be imported. The keys themselves are digested here and go no further."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from proxy.cli.frame import USAGE, fail
from proxy.identity import digest

Row = dict[str, Any]

FILE_BYTES_MAX = 32 * 1024 * 1024
"""Ten thousand keys with a hundred networks each."""
KEY_CHARS_MIN, KEY_CHARS_MAX = 20, 1024
"""A shorter one could be found from its digest, and guessed; longer ones are no keys."""
LISTS = ("scopes", "models", "tiers", "surfaces", "ips")
NUMBERS = ("rpm", "tpm", "rpd", "tpd", "concurrency")
KNOWN = {"customer", "key", "digest", "expires", "metadata", "budget", *LISTS, *NUMBERS}
NOTE = "metadata."


def read_keys(path: Path) -> list[Row]:
    """Return the keys of a file with their lines, each with a digest in place of the key; mistakes end the command."""
    if not path.is_file():
        fail(f"{path} is no file", USAGE)
    if path.stat().st_size > FILE_BYTES_MAX:
        fail(f"{path.name} is larger than {FILE_BYTES_MAX // 1024 // 1024} MiB", USAGE)
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        fail(f"{path.name} is not UTF-8", USAGE)
    mistakes: list[str] = []
    rows = []
    for line, row in _csv(text) if path.suffix.lower() == ".csv" else _json_lines(text):
        why = row if isinstance(row, str) else _wrong(row)
        if why is None and isinstance(row, dict):
            rows.append(_ready(row) | {"line": line})
        else:
            mistakes.append(f"line {line}: {why}")
    if mistakes:
        fail("\n".join(["nothing was imported", *mistakes[:50]]), USAGE)
    if not rows:
        fail(f"{path.name} has no keys", USAGE)
    return rows


def _json_lines(text: str) -> Iterator[tuple[int, Row | str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            yield number, "is not JSON"
            continue
        yield number, row if isinstance(row, dict) else "must be a JSON object"


def _csv(text: str) -> Iterator[tuple[int, Row | str]]:
    """Read rows under a first line of names; a list is written with spaces between, a note under `metadata.NAME`."""
    reader = csv.DictReader(text.splitlines(), strict=True, restkey="", restval="")
    try:
        for cells in reader:
            if "" in cells:
                yield reader.line_num, "has more columns than the first line"
                continue
            yield reader.line_num, _of_cells({name: value.strip() for name, value in cells.items() if value.strip()})
    except csv.Error as error:
        yield reader.line_num, f"is not CSV: {error}"


def _of_cells(cells: dict[str, str]) -> Row:
    row: Row = {name: value for name, value in cells.items() if not name.startswith(NOTE)}
    notes = {name.removeprefix(NOTE): value for name, value in cells.items() if name.startswith(NOTE)}
    row |= {name: row[name].split() for name in LISTS if name in row}
    row |= {name: int(row[name]) for name in NUMBERS if name in row and row[name].isdecimal()}
    row |= {"budget": row["budget"].split()} if "budget" in row else {}
    return row | ({"metadata": notes} if notes else {})


def _wrong(row: Row) -> str | None:
    """Return what is wrong with a row as far as this side can tell, or None; the keeper knows the rest."""
    unknown = sorted(set(row) - KNOWN)
    if unknown:
        return f'"{unknown[0]}" is no field; fields are: {", ".join(sorted(KNOWN))}'
    if not isinstance(row.get("customer"), str):
        return "`customer` is missing"
    if ("key" in row) == ("digest" in row):
        return "one of `key` and `digest` is needed"
    key = row.get("key", "x" * KEY_CHARS_MIN)
    if not isinstance(key, str) or not KEY_CHARS_MIN <= len(key) <= KEY_CHARS_MAX:
        return f"`key` must have {KEY_CHARS_MIN} to {KEY_CHARS_MAX} characters"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "`key` must be printable ASCII without spaces: it is sent in a header"
    return None if isinstance(row.get("digest", ""), str) else "`digest` must be a text"


def _ready(row: Row) -> Row:
    found = {name: value for name, value in row.items() if name != "key"}
    if "key" in row:
        found["digest"] = digest(row["key"].encode())
    found["digest"] = found["digest"].lower()
    return {"scopes": ["serve"]} | found
