"""The cost book: what providers bill us, by model and date. The other book, what we sell, is apart.

The shipped book lies beside this package's other price files in `margin/costbooks/`; it is read
from JSON whose prices are decimal strings, and nothing updates it behind the operator's back.
"""

import difflib
import hashlib
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from margin.card import SERVICE_TIERS, STANDARD, Card, UnpricedBucket
from margin.costbooks.hours import Hours, Week
from margin.usage import BUCKETS

__all__ = [
    "BUCKETS",
    "SERVICE_TIERS",
    "STANDARD",
    "Card",
    "CostBook",
    "CostBookError",
    "Hours",
    "NoPrice",
    "PriceHistory",
    "PricedModel",
    "UnpricedBucket",
    "Week",
    "load",
]

PREFERRED: Final = ("openai", "anthropic", "google", "mistral", "deepseek", "x-ai", "groq")
"""Whose price counts when a name has several: makers before those who host others' models."""

SHIPPED: Final = Path(__file__).with_name("costbooks").joinpath("shipped.json")
"""The book in this package, generated from genai-prices by `margin.costbooks.generate`."""


class CostBookError(ValueError):
    """A price file that cannot be used: names the file, the entry, what was found, what may be."""


class NoPrice(LookupError):
    """The model had no price yet at that moment."""


@dataclass(frozen=True, slots=True)
class PriceHistory:
    """One model's cards in time.

    Args:
        cards: `(valid from, card)`, ascending, in unix seconds UTC; 0 means since always.
        context_window: Most input tokens of a request, `None` when not known.
        output_max: Most output tokens of a request, `None` when not known.
        note: What a reader of these prices must know.
        hours: `(valid from, hours)`: other cards at some hours, by the moment of the card that they
            stand beside; a new card in time ends them.

    Raises:
        ValueError: No cards, moments that do not ascend, hours beside no card, or hours that overlap.
    """

    cards: tuple[tuple[int, Card], ...]
    context_window: int | None = None
    output_max: int | None = None
    note: str | None = None
    hours: tuple[tuple[int, Hours], ...] = ()
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _weeks: tuple[Week | None, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = tuple(start for start, _ in self.cards)
        if not starts or any(b <= a for a, b in pairwise(starts)):
            raise ValueError(f"a price history needs cards at ascending moments, not {list(starts)}")
        strays = {start for start, _ in self.hours} - set(starts)
        if strays:
            raise ValueError(f"hours need a card that starts with them; there is none at {sorted(strays)}")
        weeks = tuple(_week(card, tuple(h for s, h in self.hours if s == start)) for start, card in self.cards)
        object.__setattr__(self, "_starts", starts)
        object.__setattr__(self, "_weeks", weeks if self.hours else ())

    @classmethod
    def fixed(cls, card: Card) -> "PriceHistory":
        """Return a history of one price that was and stays valid."""
        return cls(((0, card),))

    def at(self, unix_s: int) -> Card:
        """Return the card valid at a moment, in unix seconds: of that date, and of that hour.

        Raises:
            NoPrice: The moment is before the first card.
        """
        index = bisect_right(self._starts, unix_s)
        if index == 0:
            raise NoPrice(f"no price at {unix_s}: the first is from {self._starts[0]}")
        if self._weeks:
            week = self._weeks[index - 1]
            if week is not None:
                return week.at(unix_s)
        return self.cards[index - 1][1]

    def week_at(self, unix_s: int) -> Week:
        """Return the cards of all hours, valid at a moment, in unix seconds.

        Raises:
            NoPrice: The moment is before the first card.
        """
        index = self.index_at(unix_s)
        week = self._weeks[index] if self._weeks else None
        return Week(self.cards[index][1], ()) if week is None else week

    def index_at(self, unix_s: int) -> int:
        """Return which of `cards` is valid at a moment, in unix seconds.

        Raises:
            NoPrice: The moment is before the first card.
        """
        index = bisect_right(self._starts, unix_s) - 1
        if index < 0:
            raise NoPrice(f"no price at {unix_s}: the first is from {self._starts[0]}")
        return index


def _week(card: Card, hours: tuple[Hours, ...]) -> Week | None:
    return Week(card, hours) if hours else None


@dataclass(frozen=True, slots=True)
class PricedModel:
    """A model of a cost book: who bills it, under which names, at what prices.

    Args:
        provider: Who bills it.
        model: Its name there.
        aliases: Its other names there.
        history: Its prices in time.
        sources: Where each of the history's cards was read; empty, or `None` in it: the book's source.
        pinned_s: Since when a price is pinned, in unix seconds; later ones wait until it is unpinned.
    """

    provider: str
    model: str
    aliases: tuple[str, ...]
    history: PriceHistory
    sources: tuple[str | None, ...] = ()
    pinned_s: int | None = None

    def source(self, index: int) -> str | None:
        """Return where the history's card of that index was read; `None`: where the book was."""
        return self.sources[index] if self.sources else None


@dataclass(frozen=True)
class CostBook:
    """Every price of one book, and a version that changes with any of them.

    Args:
        name: What the book calls itself.
        source: Where its prices were read, and when.
        entries: The models, each (provider, name) once, aliases included.

    Raises:
        CostBookError: A provider lists one name twice.
    """

    name: str
    source: str
    entries: tuple[PricedModel, ...]
    version: str = field(init=False)
    providers: tuple[str, ...] = field(init=False)
    _exact: dict[tuple[str, str], PricedModel] = field(init=False, repr=False, compare=False)
    _named: dict[str, list[PricedModel]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        entries = tuple(sorted(self.entries, key=lambda entry: (entry.provider, entry.model)))
        exact: dict[tuple[str, str], PricedModel] = {}
        named: dict[str, list[PricedModel]] = {}
        for entry in entries:
            for name in (entry.model, *entry.aliases):
                if (entry.provider, name) in exact:
                    raise CostBookError(f"{self.name}: {entry.provider} lists {name!r} twice")
                exact[entry.provider, name] = entry
                named.setdefault(name, []).append(entry)
        object.__setattr__(self, "entries", entries)
        object.__setattr__(self, "version", "cost_" + _digest(entries))
        object.__setattr__(self, "providers", tuple(sorted({e.provider for e in entries})))
        object.__setattr__(self, "_exact", exact)
        object.__setattr__(self, "_named", named)

    def models(self, provider: str | None = None) -> tuple[PricedModel, ...]:
        """Return the models of one provider, or all, sorted by provider and name."""
        return tuple(e for e in self.entries if provider is None or e.provider == provider)

    def find(self, model: str, provider: str | None = None) -> PriceHistory | None:
        """Return a model's prices by its exact name or alias, or `None`; see `entry`."""
        entry = self.entry(model, provider)
        return None if entry is None else entry.history

    def entry(self, model: str, provider: str | None = None) -> PricedModel | None:
        """Return a model by its exact name or alias, or `None`.

        Without a provider, or with one that the book does not know (a house name for a gateway),
        any provider's model of that name will do; of several the first in `PREFERRED` is taken,
        and if none is preferred and there are several, there is no answer.
        """
        if provider is not None and provider in self.providers:
            return self._exact.get((provider, model))
        return _preferred(self._named.get(model, []))

    def named(self, model: str) -> tuple[PricedModel, ...]:
        """Return every provider's model of that name or alias."""
        return tuple(self._named.get(model, ()))

    def nearest(self, model: str) -> list[str]:
        """Return up to three names of the book that are spelled most like this one."""
        return difflib.get_close_matches(model, self._named, n=3)


def load(path: Path | None = None) -> CostBook:
    """Read a cost book from its file; without a path, the one shipped in this package.

    Raises:
        CostBookError: The file cannot be read, or an entry in it cannot be; the message names the
            file, the entry, what was found and what is allowed.
    """
    from margin.costbooks.reading import read_book

    return read_book(SHIPPED if path is None else path)


def _preferred(candidates: list[PricedModel]) -> PricedModel | None:
    if len(candidates) == 1:
        return candidates[0]
    by_provider = {entry.provider: entry for entry in candidates}
    return next((by_provider[name] for name in PREFERRED if name in by_provider), None)


def _digest(entries: tuple[PricedModel, ...]) -> str:
    """Hash the content, not the text: layout, notes and the order of entries do not count."""
    lines = []
    for entry in entries:
        history = entry.history
        cards = " ".join(f"{start}:{_card_digest(card)}" for start, card in history.cards)
        hours = " ".join(f"{start}:{each.text}:{each.card.id}" for start, each in history.hours)
        names = " ".join((entry.provider, entry.model, *sorted(entry.aliases)))
        limits = f"{history.context_window} {history.output_max}"
        lines.append(f"{names} | {limits} | {cards}" + (f" | {hours}" if hours else ""))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _card_digest(card: Card) -> str:
    return "+".join((card.id, *(f"{name}={own.id}" for name, own in sorted(card.service_tiers.items()))))
