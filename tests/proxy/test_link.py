"""A worker's line to the keeper: what it gives up when it hears of a change."""

from typing import Any

from proxy.identity import Identity
from proxy.keeper.link import KeeperLink
from proxy.limits.shares import Name, Purse

KEYS = [Name("key", id_, "requests", "minute") for id_ in ("k1", "k2")]
CUSTOMERS = [Name("customer", id_, "requests", "minute") for id_ in ("1", "2")]


class Frames:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any]) -> None:
        """Keep it."""
        self.said.append(message)


def test_a_change_gives_up_the_shares_of_its_key_and_its_customer_only() -> None:
    """What others hold stays: else each new customer has every worker ask for everything anew."""
    frames: Any = Frames()
    link = KeeperLink(frames, Identity())
    for name in (*KEYS, *CUSTOMERS):
        link.guard.share(name, 100).size = 10

    link._hear({"changes": [{"customer": 1, "name": "acme", "plan": "open"}], "number": 1})
    link._hear({"changes": [{"key": "k2", "digest": "0" * 64, "customer": 1, "scopes": ["serve"], "terms": {}}],
                "number": 2})  # fmt: skip

    given = [message["shares"] for message in frames.said if "shares" in message]
    assert given == [[(CUSTOMERS[0].text, 10)], [(KEYS[1].text, 10)]]
    assert [link.guard.share(name, 100).size for name in (*KEYS, *CUSTOMERS)] == [10, 0, 0, 10]


def test_a_no_of_a_budget_is_a_word_on_what_is_spent() -> None:
    """What of it is left is told by the answer that is given instead, and by the next."""
    frames: Any = Frames()
    link = KeeperLink(frames, Identity())
    name = Name("customer", "1", "cost", "day cost downgrade")
    purse = link.guard.share(name, 1_000)
    assert isinstance(purse, Purse)
    t = link.guard.clock()
    purse.asked(t)

    link._hear({"id": 1, "answer": {"no": name.text, "available": 300, "final": True, "frees": 5, "spent": 700,
                                    "resets": 3_600_000_000_000}})  # fmt: skip

    assert purse.left(t) == 300
