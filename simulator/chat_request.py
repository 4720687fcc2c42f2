"""Reading a chat request: what the simulator looks at, checked; the rest is accepted unread."""

from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import orjson

from simulator import tokens
from simulator.errors import ApiError
from simulator.faults import without_markers
from simulator.tokens import Segment
from simulator.tools import ToolAsk, offered

CHOICES_MAX: Final = 128
"""OpenAI's limit on `n`."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat request.

    Args:
        model: The model's name.
        messages: The conversation.
        prompt: What the model reads, for counting and for its cache.
        last_user_text: The last user message with its markers.
        stream: Whether to stream.
        include_usage: Whether the stream ends with the usage.
        choices: How many answers.
        output_limit: Most output tokens per answer, reasoning included; None for no limit.
        response_format: As sent.
        effort: `reasoning_effort` as sent.
        seed: As sent.
        tools: What is said about tools.
        written_tokens: Where what may be kept of the prompt ends; None: with the prompt, 0: nothing may.
    """

    model: str
    messages: list[dict[str, Any]]
    prompt: tuple[Segment, ...]
    last_user_text: str
    stream: bool
    include_usage: bool
    choices: int
    output_limit: int | None
    response_format: dict[str, Any] | None
    effort: Any
    seed: Any
    tools: ToolAsk
    written_tokens: int | None = None

    @property
    def prompt_tokens(self) -> int:
        """Tokens in the whole prompt."""
        return sum(segment.tokens for segment in self.prompt)


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return a request body as an object.

    Raises:
        ApiError: It is not JSON, or not an object (400).
    """
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise ApiError(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(parsed, dict):
        raise ApiError(400, "The JSON body of your request must be an object.")
    return parsed


def model_name(fields: dict[str, Any]) -> str:
    """Return the name of the model asked for.

    Raises:
        ApiError: There is none (400).
    """
    name = fields.get("model")
    if not isinstance(name, str) or not name:
        raise ApiError(400, "you must provide a model parameter", param="model")
    return name


def read(fields: dict[str, Any]) -> ChatRequest:
    """Return the request that a body's fields make.

    Raises:
        ApiError: OpenAI would refuse it, too (400).
    """
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        message = "Invalid 'messages': expected an array with at least one message."
        raise ApiError(400, message, param="messages")
    form = fields.get("response_format")
    extras = (fields.get("tools"), form)
    prompt = tokens.segments(messages, extras)
    last_user_text = _last_user_text(messages)
    stream = fields.get("stream") is True
    return ChatRequest(
        model=model_name(fields),
        messages=messages,
        prompt=prompt,
        last_user_text=last_user_text,
        stream=stream,
        include_usage=include_usage(fields, stream=stream),
        choices=whole(fields, "n", CHOICES_MAX) or 1,
        output_limit=_output_limit(fields),
        response_format=form if isinstance(form, dict) else None,
        effort=_word(fields, "reasoning_effort"),
        seed=fields.get("seed"),
        tools=_tools(fields, messages, last_user_text),
        written_tokens=_written_tokens(fields.get("prompt_cache_options"), prompt),
    )


def _written_tokens(options: Any, prompt: tuple[Segment, ...]) -> int | None:
    """Return where the last breakpoint is, if the caller wants no others; source: OpenAI's `PromptCacheOptions`.

    Raises:
        ApiError: OpenAI would refuse the options, too (400).
    """
    if options is None:
        return None
    if not isinstance(options, dict) or options.get("mode", "implicit") not in {"implicit", "explicit"}:
        raise ApiError(400, "Invalid value for 'prompt_cache_options'.", param="prompt_cache_options")
    if options.get("mode") != "explicit":
        return None
    ends = accumulate(segment.tokens for segment in prompt)
    return max((end for end, segment in zip(ends, prompt, strict=True) if segment.is_marked), default=0)


def _tools(fields: dict[str, Any], messages: list[dict[str, Any]], text: str) -> ToolAsk:
    return ToolAsk(
        functions=offered(fields.get("tools")),
        choice=fields.get("tool_choice"),
        parallel=fields.get("parallel_tool_calls") is not False,
        prompt=without_markers(text),
        answered=messages[-1]["role"] == "tool",
    )


def _last_user_text(messages: list[dict[str, Any]]) -> str:
    users = (message for message in reversed(messages) if message["role"] == "user")
    last = next(users, None)
    return "" if last is None else tokens.text_of(last)


def include_usage(fields: dict[str, Any], *, stream: bool) -> bool:
    """Return whether a stream ends with the usage.

    Raises:
        ApiError: It is no stream (400).
    """
    options = fields.get("stream_options")
    if options is None:
        return False
    if not stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise ApiError(400, message, param="stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _output_limit(fields: dict[str, Any]) -> int | None:
    limit = whole(fields, "max_completion_tokens", None)
    return whole(fields, "max_tokens", None) if limit is None else limit


def _word(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise ApiError(400, f"Invalid type for '{name}': expected a string.", param=name)
    return value


def whole(fields: dict[str, Any], name: str, most: int | None) -> int | None:
    """Return a whole number of at least 1; None where it is not stated.

    Raises:
        ApiError: It is none, or more than `most` (400).
    """
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ApiError(400, f"Invalid type for '{name}': expected an integer.", param=name)
    if value < 1 or (most is not None and value > most):
        raise ApiError(400, f"Invalid value for '{name}': {value} is out of range.", param=name)
    return value
