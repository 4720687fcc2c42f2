"""Planning an answer: all of its pieces, before any of them is sent."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final

import orjson

from simulator import tools, words
from simulator.chat_request import ChatRequest
from simulator.faults import Steering, without_markers
from simulator.models import Model
from simulator.schema import Filler
from simulator.tools import ToolCall

Delta = dict[str, Any]
"""What one streamed chunk adds to the message; each but the role's is one token."""

_REASONING_STEP: Final = 64  # OpenAI reports reasoning in multiples of it
_PIECE_CHARS: Final = 4  # of JSON, per token
TOKENS_MAX: Final = 200_000
"""Most tokens of one answer: above the 128,000 that the largest models generate."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice.

    Args:
        role: The first delta.
        deltas: The rest, one token each.
        reasoning: Tokens of thinking that come before.
        finish: OpenAI's `finish_reason`.
    """

    role: Delta
    deltas: tuple[Delta, ...]
    reasoning: int
    finish: str

    @property
    def tokens(self) -> int:
        """Output tokens, reasoning included."""
        return self.reasoning + len(self.deltas)

    def groups(self) -> Iterator[list[Delta]]:
        """Yield the deltas of each part: all text, or one tool call each."""
        group: list[Delta] = []
        for delta in self.deltas:
            if group and "id" in delta.get("tool_calls", [{}])[0]:
                yield group
                group = []
            group.append(delta)
        if group:
            yield group

    def message(self) -> dict[str, Any]:
        """Return the message that the deltas add up to, as a plain answer gives it."""
        message: dict[str, Any] = {**self.role, "annotations": []}
        if self.role["content"] is not None:
            message["content"] = "".join(delta["content"] for delta in self.deltas)
        else:
            message["tool_calls"] = _joined_calls(self.deltas)
        return message


def plan(request: ChatRequest, model: Model, steering: Steering, seed: int) -> tuple[Answer, ...]:
    """Return the answers to a request; the same for the same prompt, model and seed.

    Args:
        request: The request.
        model: Who answers.
        steering: What was asked of this call.
        seed: The simulator's.
    """
    conversation = orjson.dumps(request.messages)
    return tuple(
        _answer(
            request,
            model,
            steering,
            words.source(seed, request.seed, model.name, conversation, number),
        )
        for number in range(request.choices)
    )


def _answer(request: ChatRequest, model: Model, steering: Steering, choices: random.Random) -> Answer:
    wanted = None if steering.tokens is None else min(steering.tokens, TOKENS_MAX)
    reasoning = _reasoning(request, model, wanted, choices)
    visible = None if wanted is None else wanted - reasoning
    called = tools.calls(request.tools, steering, choices)
    if called:
        role: Delta = {"role": "assistant", "content": None, "refusal": None}
        deltas, finish = list(_call_deltas(called, visible)), "tool_calls"
    else:
        role = {"role": "assistant", "content": "", "refusal": None}
        pieces = _content(request, model, visible, choices) if steering.say is None else [steering.say]
        deltas, finish = [{"content": piece} for piece in pieces], "stop"
    return _limited(Answer(role, tuple(deltas), reasoning, finish), request.output_limit)


def _limited(answer: Answer, limit: int | None) -> Answer:
    if limit is None or answer.tokens <= limit:
        return answer
    reasoning = min(answer.reasoning, limit)
    return Answer(answer.role, answer.deltas[: limit - reasoning], reasoning, "length")


def _reasoning(request: ChatRequest, model: Model, wanted: int | None, choices: random.Random) -> int:
    if not model.reasons or request.effort in {"none", "minimal"}:
        return 0
    thought = _REASONING_STEP * choices.randint(1, 6)
    return thought if wanted is None else min(thought, wanted // 2)


def _content(request: ChatRequest, model: Model, visible: int | None, choices: random.Random) -> list[str]:
    prompt = without_markers(request.last_user_text)
    form = request.response_format or {}
    if form.get("type") in {"json_object", "json_schema"}:
        return _pieces(_json_answer(form, prompt, choices), visible)
    if visible is not None:
        return words.text_tokens(prompt, choices, visible)
    return words.usual_text_tokens(prompt, choices, model.typical_tokens)


def _json_answer(form: dict[str, Any], prompt: str, choices: random.Random) -> str:
    about = words.topics(prompt)
    wrapper = form.get("json_schema")
    if form["type"] == "json_schema" and isinstance(wrapper, dict):
        schema = wrapper.get("schema") or {"type": "object"}
        return orjson.dumps(Filler(schema, about, choices).fill(schema)).decode()
    text = "".join(words.text_tokens(prompt, choices, 30))
    return orjson.dumps({"answer": text, "topics": about[:3]}).decode()


def _pieces(text: str, count: int | None) -> list[str]:
    if count == 0:
        return []
    return words.split_into(text, -(-len(text) // _PIECE_CHARS) if count is None else count)


def _call_deltas(called: list[ToolCall], visible: int | None) -> Iterable[Delta]:
    """Yield, for each call, its name and then its arguments, in `visible` tokens altogether.

    A call needs at least two tokens, so fewer than that asked for gives more.
    """
    shares = _shares(visible, len(called))
    for index, (call, share) in enumerate(zip(called, shares, strict=True)):
        function = {"name": call.name, "arguments": ""}
        opening = {"id": f"call_{token_hex(12)}", "type": "function", "function": function}
        yield {"tool_calls": [{"index": index, **opening}]}
        for piece in _pieces(call.arguments, None if share is None else max(share - 1, 1)):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _shares(visible: int | None, count: int) -> list[int | None]:
    if visible is None:
        return [None] * count
    share, longer = divmod(visible, count)
    return [share + (number < longer) for number in range(count)]


def _joined_calls(deltas: Iterable[Delta]) -> list[dict[str, Any]]:
    joined: list[dict[str, Any]] = []
    for delta in deltas:
        (part,) = delta["tool_calls"]
        if "id" in part:
            function = dict(part["function"])
            joined.append({"id": part["id"], "type": "function", "function": function})
        else:
            joined[-1]["function"]["arguments"] += part["function"]["arguments"]
    return joined


def pieces_of_call(deltas: list[Delta]) -> list[str]:
    """Return the pieces of the arguments in the deltas of one call, whose first has none."""
    return [delta["tool_calls"][0]["function"]["arguments"] for delta in deltas[1:]]


def arguments_of(text: str) -> Any:
    """Return what a call's JSON says: nothing where the limit cut it off."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
