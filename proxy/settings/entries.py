"""Every value of a configuration by its path, as YAML would write it, and where it came from."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from proxy.settings.document import Document
from proxy.settings.fields import Section
from proxy.settings.plan_shape import PlansShape
from proxy.settings.problems import Steps, dotted
from proxy.settings.shape import SettingsShape

DEFAULT: Final = "default"
"""The origin of what nobody wrote."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One value that is in effect.

    Args:
        path: Its dotted path, such as `tiers.simple`; terms of plans are `plans.NAME.…`.
        value: What JSON can hold: text, numbers that YAML reads as text ("0.20", "30m", "16MiB"), whole numbers,
            true, false, null, a list of those, or an empty mapping. A secret is "•••".
        origin: `file:line`, `default`, or `environment NAME`.
    """

    path: str
    value: Any
    origin: str


def entries(document: Document, shape: SettingsShape) -> tuple[Entry, ...]:
    """Return the values of a configuration: in the file's order, with what is not written after what is."""
    return tuple(_found(document, shape))


def plan_entries(document: Document, shape: PlansShape) -> tuple[Entry, ...]:
    """Return the terms of a sell book, all under `plans`."""
    return tuple(
        Entry(found.path if found.path.startswith("plans.") else f"plans.{found.path}", found.value, found.origin)
        for found in _found(document, shape)
    )


def joined(main: tuple[Entry, ...], plans: tuple[Entry, ...], cost_book: str, prices: Path | None) -> tuple[Entry, ...]:
    """Put the plans after the name of their file, and the cost book's version after its own.

    Without the version a changed price file would be no change of the configuration.
    """
    origin = DEFAULT if prices is None else str(prices)
    after = {"plans": plans, "prices": (Entry("prices.version", cost_book, origin),)}
    return tuple(entry for found in main for entry in (found, *after.get(found.path, ())))


def _found(document: Document, shape: Section) -> Iterator[Entry]:
    return _below(document, shape.model_dump(mode="json", by_alias=True), document.tree, ())


def _below(document: Document, value: Any, written: Any, steps: Steps) -> Iterator[Entry]:
    if not isinstance(value, dict) or not value:
        yield Entry(dotted(steps), value, _origin(document, value, steps))
        return
    tree = written if isinstance(written, dict) else {}
    places = {key: place for place, key in enumerate(tree)}
    for key in sorted(value, key=lambda name: places.get(name, len(places))):
        yield from _below(document, value[key], tree.get(key), (*steps, key))


def _origin(document: Document, value: Any, steps: Steps) -> str:
    inside = range(len(value)) if isinstance(value, list) else ()
    ways = [steps, *((*steps, index) for index in inside)]
    supplied = {**document.unset, **document.variables}
    names = dict.fromkeys(supplied[way] for way in ways if way in supplied)
    if names:
        return f"environment {', '.join(names)}"
    return document.where(steps) if steps in document.lines else DEFAULT
