"""Stay or switch: amounts written as arithmetic, and what holds for any conversation."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.sessions import (
    TURNS_PER_MOVE,
    WARM_MAX,
    Decision,
    Session,
    Turn,
    Warm,
    answered,
    decide,
)
from proxy.settings import TIERS, Deployment, Provider, Tier

PROVIDER = Provider("house", "openai", "http://127.0.0.1/v1", None, enabled=True)
NOW = 1000.0


def deployment(name: str) -> Deployment:
    """One that nothing is known of but its name: prices are the weighing's."""
    return Deployment(name, PROVIDER, name, None)


CHEAP, MIDDLE, DEAR = deployment("cheap"), deployment("middle"), deployment("dear")
TIER_OF: dict[str, Tier] = {"cheap": "simple", "middle": "medium", "dear": "complex"}


@dataclass
class Prices:
    """Dollars per token, fresh and from the cache, of a request of `tokens`; nothing for output."""

    fresh: dict[str, int] = field(default_factory=lambda: {"cheap": 1, "middle": 20, "dear": 40})
    read: dict[str, int] = field(default_factory=lambda: {"cheap": 0, "middle": 1, "dear": 2})
    tokens: int = 10_000
    resting: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()

    found: float = 1.0
    """The share that is found of what later asks were."""

    def nusd(self, each: Deployment, warm_tokens: int) -> int | None:
        """What is warm at the cache's price, and the rest fresh."""
        if each.name in self.unknown:
            return None
        warm = min(warm_tokens, self.tokens)
        return warm * self.read[each.name] + (self.tokens - warm) * self.fresh[each.name]

    def later_nusd(self, each: Deployment, *, is_tools: bool) -> int | None:
        """All of it is warm for tools."""
        return self.nusd(each, self.tokens if is_tools else int(self.tokens * self.found))

    def rests(self, each: Deployment) -> bool:
        """As it was said."""
        return each.name in self.resting


def turn(*candidates: Deployment, is_tools: bool = False, is_harder: bool = False, to_come: float = 3.0) -> Turn:
    """The next turn, of those who may take it."""
    tiers = [TIER_OF.get(each.name, "simple") for each in candidates]
    return Turn(candidates, tiers, is_harder, is_tools, to_come, NOW)


def at(name: str, *, turns: int = 4, needed: tuple[int, int, int] = (0, 0, 4), warm: int = 10_000,
       moves: int = 0, tools: int = 0) -> Session:  # fmt: skip
    """A conversation that was answered there a moment ago."""
    return Session(name, turns, needed, tools, moves, 0, NOW - 1, 0, (Warm(name, warm, NOW + 299),))


def test_a_conversation_that_nobody_remembers_goes_where_the_policy_says() -> None:
    """The first candidate takes it."""
    assert decide(None, turn(CHEAP, DEAR), Prices()) == Decision(CHEAP, "new")


def test_it_stays_where_the_cold_prefix_costs_more_than_the_turns_to_come_save() -> None:
    """Warm at 2 a token it costs 20,000 now and 20,000 at the next turn; cold elsewhere 200,000, then 10,000."""
    prices = Prices(fresh={"middle": 20, "dear": 40}, read={"middle": 1, "dear": 2})

    found = decide(at("dear", needed=(0, 4, 0)), turn(MIDDLE, DEAR, to_come=1), prices)

    stays, moves = 10_000 * 2 + 1 * 10_000 * 2, 10_000 * 20 + 1 * 10_000 * 1
    assert found == Decision(DEAR, "stay", "dear", stays, moves)


def test_it_goes_down_where_the_turns_to_come_pay_for_the_cold_prefix() -> None:
    """The same with 30 turns to come: 620,000 against 500,000."""
    prices = Prices(fresh={"middle": 20, "dear": 40}, read={"middle": 1, "dear": 2})

    found = decide(at("dear", needed=(0, 4, 0)), turn(MIDDLE, DEAR, to_come=30), prices)

    stays, moves = 10_000 * 2 + 30 * 10_000 * 2, 10_000 * 20 + 30 * 10_000 * 1
    assert found == Decision(MIDDLE, "down", "dear", stays, moves)


def test_what_needed_more_before_is_expected_to_need_it_again() -> None:
    """Two of its five turns needed the dear one: so often a later one saves nothing, and it comes out even."""
    prices = Prices(fresh={"middle": 20, "dear": 40}, read={"middle": 1, "dear": 2})

    found = decide(at("dear", needed=(0, 2, 2)), turn(MIDDLE, DEAR, to_come=30), prices)

    moves = 10_000 * 20 + round(30 * (10_000 * 1 * 3 + 10_000 * 2 * 2) / 5)
    assert found == Decision(DEAR, "stay", "dear", 10_000 * 2 + 30 * 10_000 * 2, moves)


def test_the_tools_of_an_ask_go_where_it_goes() -> None:
    """The same, but nine turns of tools followed each ask: the first nine of 30 are at the price of where it goes."""
    prices = Prices(fresh={"middle": 20, "dear": 40}, read={"middle": 1, "dear": 2})

    found = decide(at("dear", needed=(0, 2, 2), tools=36), turn(MIDDLE, DEAR, to_come=30), prices)

    moves = 10_000 * 20 + 9 * 10_000 * 1 + round(21 * (10_000 * 1 * 3 + 10_000 * 2 * 2) / 5)
    assert found == Decision(MIDDLE, "down", "dear", 10_000 * 2 + 30 * 10_000 * 2, moves)


def test_people_come_back_later_than_tools() -> None:
    """Half of what it was is found when somebody asks again, all of it for tools; three turns in four are of tools."""
    prices = Prices(fresh={"middle": 20, "dear": 40}, read={"middle": 1, "dear": 2}, found=0.5)

    found = decide(at("dear", needed=(0, 4, 0), tools=12), turn(MIDDLE, DEAR, to_come=7), prices)

    def later(read: int, fresh: int) -> int:
        return 3 * 10_000 * read + (10_000 * read * 3 + 5_000 * (read + fresh)) // 4 * 4

    assert (found.pin_nusd, found.first_nusd) == (10_000 * 2 + later(2, 40), 10_000 * 20 + later(1, 20))


def test_a_cache_whose_time_is_over_holds_nobody() -> None:
    """Cold here and there, the cheaper one is as good a place to begin anew."""
    session = at("dear", needed=(4, 0, 0))._replace(warm=(Warm("dear", 10_000, NOW - 1),))

    assert decide(session, turn(CHEAP, DEAR, to_come=0), Prices()).word == "down"


def test_a_turn_of_tools_never_moves_whatever_it_saves() -> None:
    """The cheap one would cost a fortieth."""
    assert decide(at("dear"), turn(CHEAP, DEAR, is_tools=True), Prices()) == Decision(DEAR, "tools", "dear")


def test_a_harder_ask_moves_up_at_once() -> None:
    """Who answered so far is no candidate any more."""
    found = decide(at("cheap"), turn(DEAR, is_harder=True), Prices())

    assert found == Decision(DEAR, "up", "cheap")


def test_going_up_prefers_who_was_there_before() -> None:
    """Of two dear ones the second has the conversation in its cache, and costs less than the first."""
    other = deployment("other")
    prices = Prices(fresh={"dear": 40, "other": 40}, read={"dear": 2, "other": 2})
    session = at("cheap")._replace(warm=(Warm("cheap", 9_000, NOW + 9), Warm("other", 9_000, NOW + 9)))

    assert decide(session, turn(DEAR, other, is_harder=True), prices) == Decision(other, "up", "cheap")


def test_who_rests_is_left() -> None:
    """Turns of tools go on elsewhere, too: an answer is worth more than a warm cache."""
    prices = Prices(resting=frozenset({"dear"}))

    assert decide(at("dear"), turn(CHEAP, DEAR, is_tools=True), prices) == Decision(CHEAP, "left", "dear")


def test_who_may_not_be_asked_any_more_is_left() -> None:
    """It is no candidate, and no ask was harder: a key's lists, a plan's cap, or a configuration changed."""
    assert decide(at("dear"), turn(CHEAP), Prices()) == Decision(CHEAP, "left", "dear")


def test_without_a_price_it_stays() -> None:
    """What nobody knows cannot be weighed."""
    prices = Prices(unknown=frozenset({"cheap"}))

    assert decide(at("dear", needed=(4, 0, 0)), turn(CHEAP, DEAR), prices).word == "stay"


def test_when_all_rest_the_policys_first_is_tried() -> None:
    """Somebody has to be; the calls say who."""
    prices = Prices(resting=frozenset({"cheap", "dear"}))

    assert decide(None, turn(CHEAP, DEAR), prices) == Decision(CHEAP, "new")


def test_a_turn_is_remembered_with_whose_caches_hold_it() -> None:
    """The latest first, of three at most; also one whose time is over, to measure who returns."""
    session = at("dear")._replace(warm=(Warm("a", 1, NOW + 1), Warm("b", 1, NOW - 1), Warm("c", 1, NOW + 1),
                                        Warm("d", 1, NOW + 1)))  # fmt: skip

    found = answered(session, "cheap", "simple", "down", turns=5, now_s=NOW, tokens=7, warm=Warm("cheap", 7, NOW + 300))

    assert found == Session("cheap", 5, (1, 0, 4), 0, 1, 1, NOW, 0,
                            (Warm("cheap", 7, NOW + 300), Warm("a", 1, NOW + 1), Warm("b", 1, NOW - 1)))  # fmt: skip


def test_a_turn_of_tools_is_no_ask() -> None:
    """It needs what the ask behind it needed, and says nothing of the next."""
    found = answered(at("dear"), "dear", None, "tools", turns=5, now_s=NOW, tokens=7, warm=None)

    assert (found.needed, found.tools, found.tools_an_ask) == ((0, 0, 4), 1, 0.25)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(TIERS), st.booleans(), st.integers(0, 2000), st.floats(0, 64),
        st.sets(st.sampled_from(["cheap", "middle", "dear"]), max_size=2),
    ),
    min_size=1, max_size=120,
)  # fmt: skip


@pytest.mark.parametrize("has_rests", [False, True])
@given(steps=STEPS, prices=st.lists(st.integers(0, 50), min_size=6, max_size=6))
def test_no_conversation_flaps_and_no_turn_of_tools_moves(
    has_rests: bool, steps: list[tuple[Tier, bool, int, float, set[str]]], prices: list[int]
) -> None:
    """Any asks, waits, prices and rests: tools stay, money moves it at most once and once more each few turns."""
    names = ("cheap", "middle", "dear")
    session, needs, now_s, voluntary = None, TIERS[0], NOW, 0
    for tier, is_tools, wait_s, to_come, resting in steps:
        now_s += wait_s
        needs = needs if is_tools and session is not None else tier
        weighing = Prices(dict(zip(names, prices[:3], strict=True)), dict(zip(names, prices[3:], strict=True)),
                          resting=frozenset(resting) if has_rests else frozenset())  # fmt: skip
        candidates = [CHEAP, MIDDLE, DEAR][TIERS.index(needs) :]
        lower = session is not None and TIERS.index(TIER_OF[session.deployment]) < TIERS.index(needs)
        now = Turn(candidates, [TIER_OF[each.name] for each in candidates], lower, is_tools, to_come, now_s)

        found = decide(session, now, weighing)

        assert found.first in candidates
        if session is not None and is_tools and not weighing.rests(deployment(session.deployment)):
            assert found.first.name == session.deployment
        voluntary += found.word in {"down", "moved"}
        turns = 1 if session is None else session.turns + 1
        session = answered(session, found.first.name, None if is_tools else needs, found.word, turns=turns, now_s=now_s,
                           tokens=9, warm=Warm(found.first.name, 10_000, now_s + 300))  # fmt: skip
        assert len(session.warm) <= WARM_MAX
    assert session is not None
    assert voluntary == session.moves <= 1 + session.turns // TURNS_PER_MOVE
    if not has_rests:  # each move up beyond the first two needs a move down before it
        assert session.switches <= 3 * session.moves + len(TIERS) - 1
