"""The fold of prices: every price card a call may be booked at is kept, so that any amount can be computed again.

Cards are named by their content, so one that is journalled twice is the same card. A cost book's version is kept as far
as it was used: per provider and model, which card from which moment on.
"""

from __future__ import annotations

from typing import Any

import orjson

from margin.ledger.postings import Effects
from margin.ledger.state import State

Record = dict[str, Any]


def card(_: State, record: Record, effects: Effects) -> None:
    """Keep a price card."""
    effects.cards.append((record["id"], record["t"], orjson.dumps(record["levels"]).decode()))


def costbook(_: State, record: Record, effects: Effects) -> None:
    """Keep what a cost book's version says of the models in use."""
    for provider, model, history in record["models"]:
        row = (record["version"], provider, model, record["t"], orjson.dumps(history).decode())
        effects.costbooks.append(row)
