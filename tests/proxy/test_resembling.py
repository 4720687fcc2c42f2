"""Answers by meaning: proven before any is given, only to their own customer, and only where all else is the same."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import orjson
import pytest

from proxy.caching.semantic.proof import bound, passes
from proxy.cli import judging
from proxy.foretelling import foretold
from proxy.identity import Principal
from proxy.upstream.client import Upstream
from tests.proxy.scene import Scene, charged_milli, configured
from tests.proxy.test_exchange import SIMPLE, play
from tests.proxy.test_repeating import cache_of, streamed, text_of

ON = "{enabled: true, error_max: 0.5}"
NEEDED = 5
"""Samples without an error that prove a target of one half: 0.5^5 is below 5 %."""
ONE, OTHER = "How do I reset my password?", "how can i reset my password"


class Sage(httpx.AsyncBaseTransport):
    """A provider that answers each prompt with a text of its own choice; it counts its calls."""

    def __init__(self, answer: Callable[[str], str] = lambda _: "Click on forgotten, and follow the mail.") -> None:
        self.calls, self.answer = 0, answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        asked = orjson.loads(request.content)
        message = {"role": "assistant", "content": self.answer(asked["messages"][-1]["content"]), "refusal": None}
        return httpx.Response(200, json={
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-6-luna",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16},
        })  # fmt: skip


def meet(
    tmp_path: Path, act: Callable[[Scene, Sage], Awaitable[None]], sage: Sage | None = None, **more: object
) -> Scene:
    """Play a scene with answers by meaning, in which no would-be hit is picked for a check."""
    teller = Sage() if sage is None else sage
    tmp_path.mkdir(exist_ok=True)

    async def whole(here: Scene) -> None:
        here.world.upstream = Upstream(teller)
        here.world.meaning().chance = lambda: 1.0
        await act(here, teller)

    return play(tmp_path, whole, repeats=True, **({"semantic": ON} | more))  # type: ignore[arg-type]


async def proven(here: Scene, **fields: object) -> None:
    """Ask so that enough pairs of prompts were answered both ways."""
    for number in range(NEEDED):
        for prompt in (f"What is a weir of {number} m?", f"what's a weir of {number} m"):
            await here.ask(prompt, **fields)
            await asyncio.sleep(0)
            await asyncio.sleep(0)


def counts(here: Scene) -> dict[str, int]:
    """What was counted so far."""
    return dict(here.world.meaning().counts)


def test_nothing_is_given_before_it_is_proven_and_then_it_is(tmp_path: Path) -> None:
    """Until then the provider is asked, once for each; then nobody is, and the record says by what right."""

    async def act(here: Scene, sage: Sage) -> None:
        await proven(here)
        assert sage.calls == 2 * NEEDED
        assert counts(here) == {"none": NEEDED, "unproven": NEEDED, "right": NEEDED}

        first, second = await here.ask(ONE), await here.ask(OTHER)
        assert (cache_of(first), cache_of(second)) == (b"miss", b"semantic")
        assert second.body == first.body
        assert sage.calls == 2 * NEEDED + 1

    here = meet(tmp_path, act)

    settled, repeated = here.records()[-2:]
    near = repeated["dec"].pop("near")
    assert 0.5 < near < 1
    assert repeated["dec"] == {"cache": "semantic", "of": settled["x"], "requested": "auto:simple", "cached_share": "1",
                               "stream": False, "samples": NEEDED, "errors": 0}  # fmt: skip
    assert (repeated["cr"], repeated["spared"], repeated["a"]) == (SIMPLE, settled["a"][0]["cost"], [])
    assert charged_milli(here.records()) == (2 * NEEDED + 2) * SIMPLE


def test_wrong_answers_are_never_proven_and_what_was_proven_closes_again(tmp_path: Path) -> None:
    """A provider that answers each wording otherwise; and complaints of hits, each of which counts once."""
    answers = iter(range(10**6))

    async def never(here: Scene, sage: Sage) -> None:
        await proven(here)
        await proven(here)
        assert counts(here)["wrong"] == NEEDED
        assert "hit" not in counts(here)

    meet(tmp_path / "never", never, Sage(lambda prompt: f"It is {next(answers)} of {prompt}"))

    async def closes(here: Scene, sage: Sage) -> None:
        await proven(here)
        await here.ask(ONE)
        hit = await here.ask(OTHER)
        x = dict(hit.headers)[b"x-penstock-request-id"].decode()
        here.world.meaning().complained(x, customer=2)
        assert cache_of(await here.ask(f"{OTHER}!")) == b"semantic"
        for _ in range(3):
            here.world.meaning().complained(x, customer=1)
        assert counts(here)["complaint"] == 1
        assert cache_of(await here.ask(f"{OTHER}!!")) == b"miss"

    meet(tmp_path / "closes", closes)


def test_a_share_of_what_is_proven_is_checked_all_the_same(tmp_path: Path) -> None:
    """The caller gets the fresh answer, and the sample counts."""

    async def act(here: Scene, sage: Sage) -> None:
        await proven(here)
        here.world.meaning().chance = lambda: 0.0
        await here.ask(ONE)
        assert cache_of(await here.ask(OTHER)) == b"miss"
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (counts(here)["sampled"], counts(here)["right"]) == (1, NEEDED + 1)

    here = meet(tmp_path, act)

    assert here.records()[-1]["dec"]["near_to"] == here.records()[-3]["x"]


@pytest.mark.parametrize(
    "other",
    [
        {"messages": [{"role": "system", "content": "Be rude."}, {"role": "user", "content": OTHER}]},
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"},
                      {"role": "user", "content": OTHER}]},
        {"response_format": {"type": "json_object"}},
        {"seed": 5},
        {"max_tokens": 9},
        {"model": "auto:medium"},
        {"temperature": 1},
        {"messages": [{"role": "user", "content": f"{OTHER} in 5 minutes"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": OTHER}, {"type": "text", "text": "x"}]}]},
        {"messages": [{"role": "user", "content": f"{OTHER} {'please ' * 200}"}]},
    ],
)  # fmt: skip
def test_whatever_else_differs_is_another_request(tmp_path: Path, other: dict[str, object]) -> None:
    """Instructions, earlier turns, format, tier, and any field that decides; and what is no short text."""

    async def act(here: Scene, sage: Sage) -> None:
        await proven(here)
        await here.ask(ONE)
        assert cache_of(await here.ask(OTHER)) == b"semantic"
        assert cache_of(await here.ask(OTHER, **other)) in {b"miss", b"bypass"}

    meet(tmp_path, act)


def test_a_stream_is_told_from_a_plain_answer_and_words_of_the_caller_hold(tmp_path: Path) -> None:
    """`no-cache` asks the provider, `no-store` is not compared, `max-age=0` takes nothing that is older."""

    async def act(here: Scene, sage: Sage) -> None:
        await proven(here)
        plain = orjson.loads((await here.ask(ONE)).body)
        assert text_of(await streamed(here, OTHER)) == plain["choices"][0]["message"]["content"]
        before = sage.calls
        for word in (b"no-cache", b"no-store", b"max-age=0"):
            await here.ask(f"{OTHER}?", headers={b"x-penstock-cache": word})
        assert sage.calls == before + 3

    meet(tmp_path, act)


def test_neither_a_customer_nor_an_answer_that_is_gone_is_guessed(tmp_path: Path) -> None:
    """Another customer is answered afresh, with its own proof; an answer that was dropped is counted, and forgotten."""

    async def act(here: Scene, sage: Sage) -> None:
        here.world.identity.put_customer(2, "second", "sandbox")
        await proven(here)
        await here.ask(ONE)
        first, here.principal = here.principal, Principal("key_2", 2, "second", "open", frozenset(["serve"]))
        assert cache_of(await here.ask(OTHER)) == b"miss"
        here.principal = first
        here.world.answers = type(here.world.answers)()
        assert cache_of(await here.ask(f"{OTHER}!")) == b"miss"
        assert counts(here)["lost"] == 1

    meet(tmp_path, act, plan="open")


def test_only_the_rules_that_are_named_and_nobody_when_it_is_off(tmp_path: Path) -> None:
    """Requests of other rules are not looked up; without the section nothing of it is loaded."""
    rules = "routing: {rules: [{name: faq, when: {feature: [faq]}, at_most: medium}]}"
    named = "{enabled: true, error_max: 0.5, rules: [faq]}"

    async def act(here: Scene, sage: Sage) -> None:
        await here.ask(ONE)
        assert counts(here) == {}
        await here.ask(ONE, headers={b"x-penstock-feature": b"faq"}, seed=1)
        assert counts(here) == {"none": 1}

    meet(tmp_path / "named", act, semantic=named, sections=rules)

    async def off(here: Scene) -> None:
        await here.ask(ONE)
        assert here.world.counted() == {}

    (tmp_path / "off").mkdir()
    play(tmp_path / "off", off, repeats=True)


@pytest.mark.parametrize(
    ("fields", "why"),
    [({}, None), ({"temperature": 1}, "varied"), ({"messages": [{"role": "user", "content": "a " * 600}]}, "long")],
)
def test_it_is_told_before_anybody_asks(tmp_path: Path, fields: dict[str, object], why: str | None) -> None:
    """`penstock explain` says whether a request would be looked up, and if not, why; its words exist."""
    settings = configured(tmp_path, None, "5s", repeats=True, semantic=ON)
    body = {"model": "auto:simple", "messages": [{"role": "user", "content": ONE}], **fields}

    found = foretold(settings, settings.sellbook.plan(None), orjson.dumps(body))

    assert found["meaning_why"] == why
    assert sum("means the same" in line for line in judging._in_words(found)) == (found["cache_why"] is None)


def test_those_who_wait_for_an_answer_do_not_wait_for_one_by_meaning(tmp_path: Path) -> None:
    """The same again at once: each is answered by meaning, nobody is called, and nobody is left waiting."""

    async def act(here: Scene, sage: Sage) -> None:
        await proven(here)
        await here.ask(ONE)
        before = sage.calls
        replies = await asyncio.gather(*(here.ask(OTHER) for _ in range(5)))
        assert {cache_of(each) for each in replies} == {b"semantic"}
        assert (sage.calls, len(here.world.flights)) == (before, 0)

    meet(tmp_path, act)


def test_the_bound_is_the_binomials() -> None:
    """149 samples without an error refute 2 %, 148 do not; with an error it takes 236; the bound says the same."""
    assert [passes(count, 0, 0.02) for count in (0, 148, 149)] == [False, False, True]
    assert [passes(count, 1, 0.02) for count in (235, 236)] == [False, True]
    assert bound(149, 0) == pytest.approx(1 - 0.05 ** (1 / 149), abs=1e-6)
    assert bound(0, 0) == 1
