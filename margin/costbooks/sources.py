"""Where prices come from: genai-prices and LiteLLM's map, installed or as files, and other price files.

Both are read as data. Neither is needed while serving; `litellm` is never imported, its map is only opened.
"""

import hashlib
import importlib.util
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from margin.costbook import CostBook, CostBookError
from margin.costbooks import genai, litellm_map
from margin.costbooks.reading import FILE_BYTES_MAX, book_of
from margin.costbooks.writing import Entry, document

GENAI_PRICES: Final = "genai-prices"
LITELLM: Final = "litellm"
NAMES: Final = (GENAI_PRICES, LITELLM)
"""The sources that can be named; any of their files, and any price file, can be given as a file."""

PROVIDERS: Final = ("openai", "anthropic", "google", "mistral", "deepseek", "x-ai", "groq")
"""Whose models are read unless others are asked for."""

OTHER_UNITS: Final = re.compile(
    r"realtime|live|transcribe|whisper|tts|voice|voxtral|orpheus|ocr|moderation|guard"  # not chat
    r"|image|vision|nano-banana|omni|robotics|computer-use|search|deep-research"  # other units
)
"""Names of models that bill by something that is no bucket of ours: seconds, pages, images, searches."""

_LITELLM_FILE: Final = "model_prices_and_context_window_backup.json"
_GENAI_PIP: Final = "genai-prices==0.2.3"
_LITELLM_PIP: Final = "litellm==1.106.2"


class SourceMissing(LookupError):
    """A source is not installed; the text says how to get it."""


@dataclass(frozen=True, slots=True)
class Source:
    """Everything that one source says about prices.

    Args:
        name: `genai-prices`, `litellm`, or the file's name.
        label: The same with its version and the day it was read: what is written beside a price.
        book: Its prices.
        entries: The same as a price file has them.
        dated: Whether it knows when prices change; what it is silent about may still change otherwise.
    """

    name: str
    label: str
    book: CostBook
    entries: tuple[Entry, ...]
    dated: bool


def named(name: str, file: Path | None, today: date, providers: tuple[str, ...] = PROVIDERS) -> Source:
    """Open a source by its name.

    Args:
        name: One of `NAMES`.
        file: A file of its data; without one, it must be installed.
        today: The day to write beside its prices.
        providers: Whose models to read.

    Raises:
        SourceMissing: It is not installed.
        CostBookError: Its data cannot be read, or is another source's.
    """
    if file is not None:
        found = of_file(file, today, providers)
        if found.name != name:
            raise CostBookError(f"{file}: found the data of {found.name}; the data of {name} is allowed here")
        return found
    if name == GENAI_PRICES:
        return _genai(_installed_genai(), version(GENAI_PRICES), today, providers)
    path = _installed_litellm()
    return _litellm(_parsed(path, path.read_bytes()), version(LITELLM), today, providers)


def of_file(file: Path, today: date, providers: tuple[str, ...] = PROVIDERS) -> Source:
    """Open a file, whichever source's it is: by its shape.

    Raises:
        CostBookError: It cannot be read, or is none of them.
    """
    raw = _read(file)
    found = _parsed(file, raw)
    mark = f"({file.name}, sha256 {hashlib.sha256(raw).hexdigest()[:8]})"
    if isinstance(found, list) and all(isinstance(each, dict) and "models" in each for each in found):
        return _guarded(file, lambda: _genai(found, mark, today, providers))
    if isinstance(found, dict) and {"format", "models"} <= found.keys():
        return Source(file.name, file.name, book_of(found, str(file)), tuple(found["models"]), dated=True)
    if isinstance(found, dict) and any(
        isinstance(each, dict) and "litellm_provider" in each for each in found.values()
    ):
        return _guarded(file, lambda: _litellm(found, mark, today, providers))
    raise CostBookError(
        f"{file}: found neither genai-prices' data.json (a list of providers), nor LiteLLM's"
        " model_prices_and_context_window.json (an object of models), nor a price file of ours"
    )


def _guarded(file: Path, opened: Callable[[], Source]) -> Source:
    """Name the file in whatever is wrong with it."""
    try:
        return opened()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CostBookError(f"{file}: {error}") from None


def _genai(listed: list[genai.Raw], of_version: str, today: date, providers: tuple[str, ...]) -> Source:
    found = [model for model in genai.models(listed, providers) if not OTHER_UNITS.search(model.name)]
    return _source(GENAI_PRICES, of_version, today, [genai.entry(model) for model in found], dated=True)


def _litellm(listed: Any, of_version: str, today: date, providers: tuple[str, ...]) -> Source:
    found = [each for each in litellm_map.entries(listed, providers) if not OTHER_UNITS.search(each["model"])]
    return _source(LITELLM, of_version, today, found, dated=False)


def _source(name: str, of_version: str, today: date, entries: list[Entry], *, dated: bool) -> Source:
    label = f"{name} {of_version}, {today.isoformat()}"
    whole = document(name, label, _without_clashes(entries))
    return Source(name, label, book_of(whole, label), tuple(whole["models"]), dated)


def _without_clashes(entries: list[Entry]) -> list[Entry]:
    """Drop aliases that are another model's name or alias: the first keeps them."""
    taken = {(entry["provider"], entry["model"]) for entry in entries}
    return [_own_aliases(entry, taken) for entry in entries]


def _own_aliases(entry: Entry, taken: set[tuple[str, str]]) -> Entry:
    free = [alias for alias in entry.get("aliases", ()) if (entry["provider"], alias) not in taken]
    taken.update((entry["provider"], alias) for alias in free)
    rest = {key: value for key, value in entry.items() if key != "aliases"}
    if not free:
        return rest
    head = {key: rest.pop(key) for key in ("provider", "model")}
    return {**head, "aliases": free, **rest}


def _installed_genai() -> list[genai.Raw]:
    try:
        return genai.installed()
    except ModuleNotFoundError:
        raise SourceMissing(_absent(GENAI_PRICES, _GENAI_PIP, "data.json")) from None


def _installed_litellm() -> Path:
    spec = importlib.util.find_spec(LITELLM)
    path = None if spec is None or spec.origin is None else Path(spec.origin).with_name(_LITELLM_FILE)
    if path is None or not path.is_file():
        raise SourceMissing(_absent(LITELLM, _LITELLM_PIP, "model_prices_and_context_window.json"))
    return path


def _absent(name: str, pip: str, file: str) -> str:
    return f"{name} is not installed: `pip install {pip}` into this environment, or give a copy of its {file}"


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            raw = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise CostBookError(f"{file}: cannot be read: {error.strerror}") from None
    if len(raw) > FILE_BYTES_MAX:
        raise CostBookError(f"{file}: over {FILE_BYTES_MAX} bytes; no price list is so large")
    return raw


def _parsed(file: Path, raw: bytes) -> Any:
    """Parse JSON with its fractions as decimals, as they are written."""
    try:
        return json.loads(raw, parse_float=Decimal)
    except ValueError as error:
        raise CostBookError(f"{file}: not JSON: {error}") from None
