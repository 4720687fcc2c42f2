"""Which prices there are: those that are in use are kept in the books, and any can be re-rated by.

What a configuration can bill by is journalled before a worker uses it, card by card, so that `penstock ledger rerate`
can say later by which prices a call was booked, whatever became of the price files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from margin import costbook, records
from margin.card import Card
from margin.costbook import CostBookError, NoPrice, PriceHistory
from margin.ledger import questions
from margin.ledger.books import Books
from margin.ledger.questions import CostLine
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


def named(books: Books, settings: Settings, name: str | None) -> tuple[str, Pricing]:
    """Return the version of some prices, and how they price a line.

    Args:
        books: Where earlier prices are kept.
        settings: The configuration: a price that it states for a deployment itself counts under every cost book.
        name: `stored`, a cost book's version, or a price file; None is the cost book in use.

    Raises:
        Refused: There are no such prices.
    """
    cards = {card.id: card for card in _cards(settings)}
    cards |= {id_: read_card(levels) for id_, levels in questions.cards(books.store.db).items()}
    if name == STORED:
        return STORED, stored(cards)
    if name is None or name == settings.costbook.version:
        return settings.costbook.version, _by(settings, settings.costbook.find)
    if Path(name).is_file():
        try:
            book = costbook.load(Path(name))
        except CostBookError as error:
            raise Refused(str(error)) from None
        return book.version, _by(settings, book.find)
    kept = questions.costbook(books.store.db, name)
    if not kept:
        versions = ", ".join(questions.costbook_versions(books.store.db))
        raise Refused(f'there are no prices "{name}": name a price file, {STORED}, or a version: {versions}')
    histories = {key: read_history(content, cards) for key, content in kept.items()}
    return name, _by(settings, lambda model, provider: histories.get((provider, model)))


def _by(settings: Settings, find: Callable[[str, str], PriceHistory | None]) -> Pricing:
    def pricing(line: CostLine) -> Card | None:
        deployment = settings.deployments.get(line.deployment)
        if deployment is not None and deployment.free:
            return None
        if deployment is not None and _states_its_price(settings, deployment):
            history = deployment.prices
        else:
            history = find(line.model, line.provider)
        if history is None:
            raise NoPrice(f"no price for {line.model} of {line.provider}")
        # Dated as it was booked: by the moment of the settlement.
        return history.at(line.t // NS)

    return pricing
