"""How often the keeper is asked for a customer's use, whoever polls."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.admission import KeeperAway
from proxy.api.usage import ASKS_PER_S_MAX, KEPT_MAX, KEPT_S, _Desk
from proxy.wire.errors import TooOften, Unavailable


class Keeper:
    """Answers after a turn of the loop; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.is_away = False

    async def usage(self, customer: int, days: int, key: str, member: str | None) -> dict[str, Any]:
        self.asked.append((customer, days))
        await asyncio.sleep(0)
        if self.is_away:
            raise KeeperAway
        return {"n": len(self.asked)}


class Clock:
    """A clock that is moved by hand."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def desk() -> tuple[_Desk, Keeper, Clock]:
    """A desk, its keeper and its clock."""
    keeper, clock = Keeper(), Clock()
    world: Any = SimpleNamespace(keeper=keeper)
    return _Desk(world, clock), keeper, clock


def test_who_asks_at_once_shares_one_answer() -> None:
    """So does who asks within its lifetime; another customer, or another number of days, is another question."""

    async def act() -> None:
        found, keeper, clock = desk()
        await asyncio.gather(*(found.ask(1, 31, "k") for _ in range(50)))
        clock.now_s += KEPT_S
        await found.ask(1, 31, "k")
        assert keeper.asked == [(1, 31)]
        await found.ask(2, 31, "k")
        await found.ask(1, 7, "k")
        clock.now_s += 0.1
        await found.ask(1, 31, "k")
        assert keeper.asked == [(1, 31), (2, 31), (1, 7), (1, 31)]

    asyncio.run(act())


def test_beyond_so_many_a_second_nobody_is_asked() -> None:
    """The rest is told when to come back; in the next second the keeper may be asked again."""

    async def act() -> None:
        found, keeper, clock = desk()
        for customer in range(ASKS_PER_S_MAX):
            await found.ask(customer, 31, "k")
        with pytest.raises(TooOften) as raised:
            await found.ask(9999, 31, "k")
        assert raised.value.retry_after_s == 1
        await found.ask(0, 31, "k")  # that is known
        clock.now_s += 1
        await found.ask(9999, 31, "k")
        assert len(keeper.asked) == ASKS_PER_S_MAX + 1

    asyncio.run(act())


def test_no_answer_is_not_kept() -> None:
    """503 while the keeper is away, and the next who asks may have better luck."""

    async def act() -> None:
        found, keeper, _ = desk()
        keeper.is_away = True
        with pytest.raises(Unavailable):
            await found.ask(1, 31, "k")
        keeper.is_away = False
        assert (await found.ask(1, 31, "k"))["n"] == 2

    asyncio.run(act())


def test_what_is_kept_is_bounded() -> None:
    """The oldest answers make room."""

    async def act() -> None:
        found, _, clock = desk()
        for customer in range(KEPT_MAX + 10):
            clock.now_s += 1 / ASKS_PER_S_MAX
            await found.ask(customer, 31, "k")
        assert len(found._kept) == KEPT_MAX

    asyncio.run(act())
