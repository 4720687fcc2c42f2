"""`POST /v1/completions`, OpenAI's legacy API: a prompt goes on. `best_of` are made and billed, `n` come back."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from secrets import token_hex
from typing import Any, Final

import orjson

from simulator import tokens, words
from simulator.call import Order
from simulator.chat_request import include_usage, model_name, parse_object, whole
from simulator.connection import Connection, Headers
from simulator.delivery import Plain, deliver
from simulator.embeddings import read_inputs
from simulator.errors import ApiError
from simulator.faults import Steering, without_markers
from simulator.frames import DONE, ERROR, Frame
from simulator.models import Model, find
from simulator.refusals import answered_instead, request_headers
from simulator.world import World

MAX_TOKENS: Final = 16
"""The API's own default."""
CHOICES_MAX: Final = 128
GARBAGE: Final = b'data: {"id":"cmpl-garbage","choices":[{"te\n\n'
"""An event whose data is not JSON."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One choice: what it goes on with, a token each, and why it ends."""

    echoed: str
    pieces: tuple[str, ...]
    finish: str

    @property
    def text(self) -> str:
        """The whole."""
        return self.echoed + "".join(self.pieces)


async def complete(connection: Connection, world: World, body: bytes) -> None:
    """Answer a request for completions.

    Raises:
        ApiError: It is refused; nothing is billed.
        ClientLeftError: The client left; the call is billed.
        AbortedError: The connection is to be cut; the call is billed.
    """
    fields = parse_object(body)
    model = find(model_name(fields), "completions")
    prompts = read_inputs(fields.get("prompt"), "prompt")
    stream = fields.get("stream") is True
    told = include_usage(fields, stream=stream)
    first = prompts[0]
    steering = world.faults.steer(model.name, first if isinstance(first, str) else "")
    many, made = _choices(fields)
    if await answered_instead(connection, steering, stream=stream):
        return
    planned = [_planned(fields, model, prompt, steering, world.options.seed, made) for prompt in prompts]
    order = Order(
        call_id=f"cmpl-{token_hex(15)}", kind="completions", model=model, stream=stream,
        prompt_tokens=sum(tokens.count(each) if isinstance(each, str) else len(each) for each in prompts),
        output_tokens=sum(len(each.pieces) for group in planned for each in group),
    )  # fmt: skip
    shown = [each for group in planned for each in group[:many]]
    reply: Plain | CompletionStream
    if stream:
        reply = CompletionStream(order, int(time.time()), shown, told, request_headers())
    else:
        reply = Plain(_whole(order, shown, usage=not steering.no_usage), request_headers())
    await deliver(connection, world, world.open_call(order, steering, len(shown)), steering, reply)


def _choices(fields: dict[str, Any]) -> tuple[int, int]:
    """Return how many answers come back of each prompt, and how many are made.

    Raises:
        ApiError: More come back than are made, or a stream cannot choose (400).
    """
    many = whole(fields, "n", CHOICES_MAX) or 1
    made = whole(fields, "best_of", CHOICES_MAX) or many
    if made < many or (made > many and fields.get("stream") is True):
        raise ApiError(400, "best_of must be n or more, and n where the answer is streamed.", param="best_of")
    return many, made


def _planned(
    fields: dict[str, Any], model: Model, prompt: str | list[int], steering: Steering, seed: int, made: int
) -> list[Completion]:
    given = prompt if isinstance(prompt, str) else " ".join(map(str, prompt))
    said = without_markers(given)
    limit = fields.get("max_tokens")
    limit = MAX_TOKENS if limit is None else limit
    echoed = given if fields.get("echo") is True else ""
    found = []
    for number in range(made):
        source = words.source(seed, fields.get("seed"), model.name, given.encode("utf-8", "surrogatepass"), number)
        pieces = words.usual_text_tokens(said, source, model.typical_tokens)
        if steering.tokens is not None:
            pieces = words.text_tokens(said, source, steering.tokens)
        finish = "stop" if len(pieces) <= limit else "length"
        found.append(Completion(echoed, tuple(pieces[:limit]), finish))
    return found


def _head(order: Order, created: int) -> dict[str, Any]:
    return {"id": order.call_id, "object": "text_completion", "created": created, "model": order.model.name}


def _usage(order: Order) -> dict[str, int]:
    return {
        "prompt_tokens": order.prompt_tokens,
        "completion_tokens": order.output_tokens,
        "total_tokens": order.prompt_tokens + order.output_tokens,
    }


def _choice(index: int, text: str, finish: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}


def _whole(order: Order, shown: Sequence[Completion], *, usage: bool) -> bytes:
    told = _head(order, int(time.time()))
    told["choices"] = [_choice(index, each.text, each.finish) for index, each in enumerate(shown)]
    return orjson.dumps({**told, "usage": _usage(order)} if usage else told)


@dataclass(frozen=True, slots=True)
class CompletionStream:
    """The events of completions: side by side, a token each."""

    order: Order
    created: int
    shown: Sequence[Completion]
    include_usage: bool
    headers: Headers
    garbage: bytes = GARBAGE
    error: bytes = ERROR

    def content(self) -> Iterator[Frame]:
        """Yield what is echoed, then the pieces."""
        for index, each in enumerate(self.shown):
            if each.echoed:
                yield Frame(self._event([_choice(index, each.echoed, None)]), 0)
        for step in zip_longest(*(each.pieces for each in self.shown)):
            for index, piece in enumerate(step):
                if piece is not None:
                    yield Frame(self._event([_choice(index, piece, None)]), 1)

    def ending(self, *, usage: bool, done: bool) -> Iterator[bytes]:
        """Yield why each ends, the usage, and that this is the end."""
        for index, each in enumerate(self.shown):
            yield self._event([_choice(index, "", each.finish)])
        if self.include_usage and usage:
            yield self._event([], _usage(self.order))
        if done:
            yield DONE

    def _event(self, choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> bytes:
        chunk = {**_head(self.order, self.created), "choices": choices}
        return b"data: %b\n\n" % orjson.dumps({**chunk, "usage": usage} if self.include_usage else chunk)
