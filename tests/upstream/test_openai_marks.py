"""What OpenAI's cache is told of a prompt: the caller's words stay, byte for byte where none of its fields changes."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from proxy.upstream.dialects.openai.marks import TOKENS_MIN, marked

RULES = "Answer from the handbook, in one sentence. " * 120
BREAK = {"mode": "explicit"}


class Choice:
    """Decides as it is told to, and remembers what it was asked."""

    def __init__(self, head: str | None, talk: str | None) -> None:
        self.head, self.talk = head, talk
        self.parts: Sequence[tuple[bytes, int]] = ()
        self.goes_on = False

    def __call__(self, parts: Sequence[tuple[bytes, int]], tokens_min: int, *, goes_on: bool) -> list[Any]:
        self.parts, self.goes_on = parts, goes_on
        assert tokens_min == TOKENS_MIN
        return [self.head, *[None] * (len(parts) - 2), self.talk]

    def key(self, head: bytes, talk: bytes) -> str:
        assert (head, talk) == (self.parts[0][0], self.parts[1][0] if len(self.parts) > 1 else b"")
        return "key"


def body(**fields: Any) -> bytes:
    """Return a chat request with long instructions."""
    messages = [{"role": "system", "content": RULES}, {"role": "user", "content": "Why?"}]
    return orjson.dumps({"model": "gpt-6-luna", "messages": messages} | fields)


def told(raw: bytes, head: str | None = None, talk: str | None = None) -> dict[str, Any]:
    """Return what is sent."""
    found = marked(raw, "gpt-6-luna", Choice(head, talk))
    return orjson.loads(raw if found is None else found)


def test_what_is_not_expected_back_is_not_written() -> None:
    """Only two fields are added, behind the caller's bytes as they were."""
    raw = body(seed=7)
    found = marked(raw, "gpt-6-luna", Choice(None, None))

    assert found == raw[:-1] + b',"prompt_cache_key":"key","prompt_cache_options":{"mode":"explicit"}}'


def test_instructions_alone_are_kept_where_they_alone_come_back() -> None:
    """A breakpoint stands behind the last of them; in a text that is a part of its own from then on."""
    sent = told(body(), head="30m")

    assert sent["prompt_cache_options"] == BREAK
    assert sent["messages"] == [
        {"role": "system", "content": [{"type": "text", "text": RULES, "prompt_cache_breakpoint": BREAK}]},
        {"role": "user", "content": "Why?"},
    ]


def test_a_conversation_that_goes_on_is_left_to_the_provider() -> None:
    """It writes the whole by itself; it is told where to look."""
    assert told(body(), head="30m", talk="30m") == {**orjson.loads(body()), "prompt_cache_key": "key"}


@pytest.mark.parametrize(
    "raw",
    [
        body(prompt_cache_options={"mode": "implicit"}),
        body(
            messages=[{"role": "user", "content": [{"type": "text", "text": RULES, "prompt_cache_breakpoint": BREAK}]}]
        ),
        body(messages=[{"role": "user", "content": "Why?"}]),
        orjson.dumps({"model": "m", "input": RULES, "previous_response_id": "resp_1"}),
        orjson.dumps({"model": "m", "prompt": RULES}),
    ],
    ids=["its own options", "its own breakpoint", "short", "gone on with", "no conversation"],
)
def test_some_requests_are_left_alone(raw: bytes) -> None:
    """Who says what is to be kept; what is too short to be; and what most of is elsewhere."""
    assert marked(raw, "gpt-6-luna", Choice(None, None)) is None


def test_a_conversation_with_answers_is_said_to_have_come_back() -> None:
    """Whoever served its first turns."""
    choice = Choice(None, None)
    turns = [
        {"role": "user", "content": RULES},
        {"role": "assistant", "content": "So."},
        {"role": "user", "content": "?"},
    ]
    marked(body(messages=turns), "gpt-6-luna", choice)

    assert choice.goes_on


def test_a_caller_s_own_key_stays() -> None:
    """It knows better what belongs together."""
    assert told(body(prompt_cache_key="mine"))["prompt_cache_key"] == "mine"
    assert marked(body(prompt_cache_key="mine"), "gpt-6-luna", Choice("30m", "30m")) is None


def test_words_about_options_are_no_options() -> None:
    """In a text the quotes are escaped."""
    said = body(messages=[{"role": "user", "content": RULES + '"prompt_cache_options"'}])

    assert told(said)["prompt_cache_options"] == BREAK


def test_a_response_s_input_is_read_as_a_conversation() -> None:
    """As a text, and as items behind instructions; a breakpoint has no place in them."""
    for given in (RULES, [{"role": "user", "content": RULES}]):
        sent = told(orjson.dumps({"model": "m", "instructions": "Be brief.", "input": given}), head="30m")
        assert sent == {"model": "m", "instructions": "Be brief.", "input": given, "prompt_cache_key": "key",
                        "prompt_cache_options": BREAK}  # fmt: skip
