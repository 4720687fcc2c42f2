"""Which conversation a request belongs to, by whatever it says."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.routing import naming
from proxy.routing.naming import Named
from proxy.wire import chat, messages, responses
from proxy.wire.ask import Ask

FIRST = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "what is a weir?"}]
SECOND = [*FIRST, {"role": "assistant", "content": "a low dam"}, {"role": "user", "content": "and a sluice?"}]
THIRD = [*SECOND, {"role": "assistant", "content": "a gate"}, {"role": "user", "content": "thanks"}]


def ask(said: list[dict[str, Any]], **fields: Any) -> Ask:
    """A chat request."""
    return chat.read(orjson.dumps({"model": "auto", "messages": said, **fields}))


def named(said: list[dict[str, Any]], customer: str = "acme", **fields: Any) -> Named | None:
    """Whose turn it is."""
    return naming.named(customer, {}, ask(said, **fields))


def test_one_turn_that_nobody_named_is_of_none() -> None:
    """It may be a beginning; only that it goes on makes it one."""
    assert named(FIRST) is None


def test_a_conversation_is_known_by_how_it_begins() -> None:
    """Its second and third turn have one key, and the second finds what was kept of the first."""
    second, third = named(SECOND), named(THIRD)

    assert second is not None
    assert second == third
    assert second.by == "prefix"
    assert second.before == naming.beginning("acme", FIRST)


@pytest.mark.parametrize("at", range(3))
def test_another_beginning_is_another_conversation(at: int) -> None:
    """Other instructions, another first question or another first answer."""
    other = [*SECOND]
    other[at] = {**other[at], "content": "something else"}

    assert named(other) != named(SECOND)


def test_another_customers_conversation_is_another() -> None:
    """Even word by word."""
    assert named(SECOND, "acme") != named(SECOND, "globex")


def test_the_header_goes_before_everything() -> None:
    """Whatever is said, and whatever the body names."""
    found = naming.named("acme", {b"x-penstock-session": b"s1"}, ask(SECOND, metadata={"session_id": "x"}))

    assert found == naming.named("acme", {b"x-penstock-session": b"s1"}, ask(FIRST))
    assert found is not None
    assert (found.by, found.before) == ("header", None)


@pytest.mark.parametrize(
    "metadata", [{"session_id": "s1"}, {"conversation_id": "s1"}, {"user_id": "user_1_session_s1"}]
)
def test_metadata_names_it(metadata: dict[str, str]) -> None:
    """As agents and assistants send it; Claude Code has its session in the user's id."""
    found = named(FIRST, metadata=metadata)

    assert found is not None
    assert found == named(THIRD, metadata=metadata)
    assert found.by == "body"


@pytest.mark.parametrize("metadata", [None, {}, {"session_id": ""}, {"session_id": 7}, {"user_id": "user_1"}])
def test_metadata_that_names_none_is_passed_over(metadata: Any) -> None:
    """Empty, of another kind, or the user's id alone."""
    assert named(FIRST, metadata=metadata) is None


def test_a_key_of_a_prompt_cache_names_it_together_with_its_beginning() -> None:
    """An application may send one key with all that it asks."""
    one, other = named(FIRST, prompt_cache_key="app"), named(FIRST[1:], prompt_cache_key="app")

    assert one is not None
    assert one == named(THIRD, prompt_cache_key="app")
    assert one != other


def test_a_response_that_is_gone_on_with_names_it() -> None:
    """Its provider has the conversation; what is sent is the new turn alone."""
    sent = responses.read(orjson.dumps({"model": "auto", "input": "and then?", "previous_response_id": "resp_1"}))

    assert naming.named("acme", {}, sent) == Named("response", naming.of_response("resp_1"))


def test_messages_and_responses_are_known_by_their_beginning_too() -> None:
    """Blocks, items without a role, images: nothing has to be a text."""
    blocks = [{"role": "user", "content": [{"type": "text", "text": "weir?"}]},
              {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {}}]},
              {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "dam"}]}]  # fmt: skip
    items = [{"role": "user", "content": "weir?"},
             {"type": "function_call", "call_id": "t", "name": "look", "arguments": "{}"},
             {"type": "function_call_output", "call_id": "t", "output": "a dam"}]  # fmt: skip
    message = messages.read(orjson.dumps({"model": "auto", "max_tokens": 9, "messages": blocks}))
    response = responses.read(orjson.dumps({"model": "auto", "input": items}))

    found = [naming.named("acme", {}, each) for each in (message, response)]

    assert [each is not None and each.by for each in found] == ["prefix", "prefix"]
