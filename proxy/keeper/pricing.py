"""Which prices there are: those that are in use are kept in the books, and any can be re-rated by.

What a configuration can bill by is journalled before a worker uses it, card by card, so that `penstock ledger rerate`
can say later by which prices a call was booked, whatever became of the price files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from margin import costbook, records
from margin.card import Card
from margin.costbook import CostBook, CostBookError, NoPrice, PricedModel, PriceHistory
from margin.ledger import questions
from margin.ledger.books import Books
from margin.ledger.questions import CostLine
from margin.ledger.store import Store
from margin.rerating import Pricing, cards_of, read_card, read_history, stored, write_card, write_history
from proxy.keeper.refusing import Refused
from proxy.settings import Deployment, Settings

NS = 1_000_000_000
STORED = "stored"
"""The name of the prices that each line was booked by."""


def keep(books: Books, settings: Settings) -> None:
    """Journal the prices in use, as far as the books do not have them."""
    keep_cards(books, _cards(settings))
    version = settings.costbook.version
    have = questions.costbook(books.store.db, version)
    models = [[*name, write_history(prices)] for name, prices in _listed(settings) if name not in have]
    if models:
        books.record(records.costbook(t=time.time_ns(), version=version, models=models))
        books.commit()


def keep_cards(books: Books, cards: Iterable[Card]) -> None:
    """Journal price cards that the books do not have."""
    known = questions.cards(books.store.db)
    unknown = {card.id: card for card in cards if card.id not in known}
    for id_, card in unknown.items():
        books.record(records.card(t=time.time_ns(), id=id_, levels=write_card(card)))
    if unknown:
        books.commit()


def _cards(settings: Settings) -> Iterator[Card]:
    for deployment in settings.deployments.values():
        if deployment.prices is not None:
            yield from cards_of(deployment.prices)


def _listed(settings: Settings) -> Iterator[tuple[tuple[str, str], PriceHistory]]:
    """Yield what the cost book itself says of the models in use, by provider and model, each once."""
    found = {
        (each.provider.name, each.model): each.prices
        for each in settings.deployments.values()
        if each.prices is not None and not _states_its_price(settings, each)
    }
    yield from sorted(found.items(), key=lambda item: item[0])


def _states_its_price(settings: Settings, deployment: Deployment) -> bool:
    """Tell whether the configuration prices a deployment itself, whatever the cost book says."""
    return deployment.prices is not settings.costbook.find(deployment.model, deployment.provider.name)


def in_force(settings: Settings, *, with_book: bool) -> dict[str, Any]:
    """Return, as plain JSON, the prices that the configuration goes by, for a process that does not have it.

    Args:
        settings: The configuration.
        with_book: Whether the whole cost book is wanted, or only what the configuration states itself.
    """
    cards = list(_cards(settings))
    own: dict[str, Any] = {name: None for name, each in settings.deployments.items() if each.free}
    for name, each in settings.deployments.items():
        if not each.free and each.prices is not None and _states_its_price(settings, each):
            own[name] = write_history(each.prices)
    book = []
    for entry in settings.costbook.entries if with_book else ():
        cards += cards_of(entry.history)
        book.append([entry.provider, entry.model, list(entry.aliases), write_history(entry.history)])
    version = settings.costbook.version
    return {"own": own, "cards": {card.id: write_card(card) for card in cards}, "version": version, "book": book}


def is_of_book(settings: Settings, name: str | None) -> bool:
    """Tell whether a name means the cost book in use."""
    return name is None or name == settings.costbook.version


def named(ledger: Store, told: dict[str, Any], name: str | None) -> tuple[str, Pricing]:
    """Return the version of some prices, and how they price a line.

    Args:
        ledger: Where earlier prices are kept.
        told: What `in_force` said: a price that the configuration states itself counts under every cost book.
        name: `stored`, a cost book's version, or a price file; None is the cost book in use.

    Raises:
        Refused: There are no such prices.
    """
    cards = {id_: read_card(levels) for id_, levels in (told["cards"] | questions.cards(ledger.db)).items()}
    if name == STORED:
        return STORED, stored(cards)
    own = {key: None if each is None else read_history(each, cards) for key, each in told["own"].items()}
    if name is None or name == told["version"]:
        entries = (
            PricedModel(provider, model, tuple(aliases), read_history(history, cards))
            for provider, model, aliases, history in told["book"]
        )
        return told["version"], _by(own, CostBook("in use", "", tuple(entries)).find)
    if Path(name).is_file():
        try:
            book = costbook.load(Path(name))
        except CostBookError as error:
            raise Refused(str(error)) from None
        return book.version, _by(own, book.find)
    kept = questions.costbook(ledger.db, name)
    if not kept:
        versions = ", ".join(questions.costbook_versions(ledger.db))
        raise Refused(f'there are no prices "{name}": name a price file, {STORED}, or a version: {versions}')
    histories = {key: read_history(content, cards) for key, content in kept.items()}
    return name, _by(own, lambda model, provider: histories.get((provider, model)))


def _by(own: dict[str, PriceHistory | None], find: Callable[[str, str], PriceHistory | None]) -> Pricing:
    def pricing(line: CostLine) -> Card | None:
        history = own[line.deployment] if line.deployment in own else find(line.model, line.provider)
        if history is None:
            if line.deployment in own:
                return None  # it is free
            raise NoPrice(f"no price for {line.model} of {line.provider}")
        # Dated as it was booked: by the moment of the settlement.
        return history.at(line.t // NS).for_service_tier(line.service_tier)

    return pricing
