"""Marks for Anthropic's prompt cache in a body: where they stand, how they look, and when there are none."""

from typing import Any

import orjson
import pytest

from proxy.upstream.dialects.anthropic.marks import marked
from proxy.upstream.dialects.anthropic.models import cached_from_tokens

SONNET = "claude-sonnet-4-5"
LONG = "word " * 1_000


def body(**fields: Any) -> bytes:
    """Return a body that is long enough."""
    told = {"model": SONNET, "max_tokens": 9, "system": LONG, "messages": [{"role": "user", "content": "Why?"}]}
    return orjson.dumps(told | fields)


def all_of(*lifetimes: str | None):
    """Choose these, whatever the prompt."""
    return lambda parts, tokens_min, **_: lifetimes


def test_texts_become_blocks_with_a_mark():
    """A string cannot carry a mark; a block can, and five minutes need no word."""
    found = orjson.loads(marked(body(), SONNET, all_of("1h", "5m")))

    assert found["system"] == [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    assert found["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Why?", "cache_control": {"type": "ephemeral"}}]}
    ]


def test_the_last_block_is_marked_and_all_else_is_as_it_was():
    """Of several blocks the last one; fields nobody here knows stay."""
    blocks = [{"type": "text", "text": "a"}, {"type": "tool_result", "tool_use_id": "t", "content": "b"}]
    sent = body(messages=[{"role": "user", "content": blocks}], metadata={"user_id": "u"}, future={"x": [1]})

    found = orjson.loads(marked(sent, SONNET, all_of(None, "5m")))

    assert found["messages"][0]["content"] == [blocks[0], blocks[1] | {"cache_control": {"type": "ephemeral"}}]
    assert {name: found[name] for name in ("system", "metadata", "future")} == {
        "system": LONG, "metadata": {"user_id": "u"}, "future": {"x": [1]},
    }  # fmt: skip


def test_without_instructions_the_last_tool_is_marked():
    """Tools come first in a prompt: a mark on the last covers all of them."""
    tools = [{"name": "a", "input_schema": {}}, {"name": "b", "input_schema": {}}]
    sent = orjson.dumps({"messages": [{"role": "user", "content": LONG}], "tools": tools})

    found = orjson.loads(marked(sent, SONNET, all_of("5m", None)))

    assert found["tools"] == [tools[0], tools[1] | {"cache_control": {"type": "ephemeral"}}]


@pytest.mark.parametrize(
    "content", ["", [], [{"type": "text", "text": ""}], [{"type": "thinking", "thinking": "hm", "signature": "s"}]]
)
def test_what_cannot_carry_a_mark_gets_none(content: Any):
    """The provider would refuse it: then the body stays as it is."""
    sent = body(messages=[{"role": "assistant", "content": content}])

    assert marked(sent, SONNET, all_of(None, "5m")) is None


def test_a_caller_s_own_marks_stay_alone():
    """Nothing is added, and nobody is asked."""
    own = body(system=[{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}])

    assert marked(own, SONNET, lambda parts, tokens_min, **_: pytest.fail("asked")) is None


def test_the_word_in_a_text_is_no_mark():
    """Somebody who writes about caches has marked nothing."""
    sent = body(messages=[{"role": "user", "content": 'What does "cache_control" mean?'}])

    assert marked(sent, SONNET, all_of("5m", None)) is not None


def test_what_is_too_short_to_be_kept_costs_no_look():
    """Below the model's shortest prefix nobody is asked."""
    assert marked(body(system="short"), SONNET, lambda parts, tokens_min, **_: pytest.fail("asked")) is None


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("claude-sonnet-4-5-20250929", 1024), ("claude-sonnet-4-6", 2048), ("claude-opus-4-1", 1024),
        ("claude-opus-4-5", 4096), ("claude-opus-5-5", 4096), ("claude-haiku-4-5", 4096),
        ("claude-3-5-haiku-20241022", 2048), ("claude-3-7-sonnet-latest", 1024), ("some-gateway-s-name", 4096),
    ],
)  # fmt: skip
def test_the_shortest_prefix_by_model(model: str, tokens: int):
    """As the provider's page says; of what it says nothing of, the longest."""
    assert cached_from_tokens(model) == tokens
