"""Legacy completions: what is read of a request, what a model that chats is told of it, and answers written back."""

from typing import Any

import orjson
import pytest

from margin.usage import Usage
from proxy.wire import completions, completions_pieces, sse
from proxy.wire.errors import Malformed
from proxy.wire.neutral import Ended, Piece, Said, Started, Text, Thought, Turn, Used
from proxy.wire.surfaces import completions as surface


def ask(prompt: Any = "Once", **fields: Any) -> completions.CompletionsRequest:
    """A request."""
    return completions.read(orjson.dumps({"model": "m", "prompt": prompt, **fields}))


@pytest.mark.parametrize(
    ("fields", "choices", "prompts", "weight"),
    [
        ({}, 1, 1, 4),
        ({"n": 3}, 3, 1, 4),
        ({"n": 2, "best_of": 5}, 5, 1, 4),
        ({"prompt": ["a", "bc"], "n": 2, "best_of": 3}, 2 * 3, 2, 1 + 2),
        ({"prompt": [1, 2, 3]}, 1, 1, 3 * 4),
        ({"prompt": [[1], [2, 3]], "suffix": "xy"}, 2, 2, 3 * 4 + 2 * 2),
        ({"prompt": ""}, 1, 1, 0),
    ],
)
def test_what_it_may_cost_counts_every_answer(fields: dict[str, Any], choices: int, prompts: int, weight: int) -> None:
    """`best_of` answers are made of every prompt, and billed; the suffix goes in with each."""
    found = ask(**fields)

    assert (found.choices, found.prompts, found.body_bytes) == (choices, prompts, weight)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1.5]}, "prompt[0]"),
        ({"prompt": ["a"] * 2049}, "prompt"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"best_of": 2**63}, "best_of"),
        ({"echo": "yes"}, "echo"),
        ({"suffix": 1}, "suffix"),
        ({"logprobs": True}, "logprobs"),
        ({"stream_options": {}}, "stream_options"),
        ({"temperature": "warm"}, "temperature"),
        ({"stop": 1}, "stop"),
    ],
)
def test_what_is_no_request_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(Malformed) as raised:
        ask(**fields)

    assert raised.value.param == param


def test_a_stream_is_asked_for_its_usage() -> None:
    """Everything else goes as it came, what nobody knows included."""
    extra = {f"x{number}": number for number in range(200)}
    sent = orjson.loads(ask(stream=True, stream_options={"y": 1}, echo=True, **extra).body_for("theirs"))

    assert sent == {
        "model": "theirs", "prompt": "Once", "stream": True, "stream_options": {"y": 1, "include_usage": True},
        "echo": True, **extra,
    }  # fmt: skip


def test_a_prompt_is_what_a_user_says() -> None:
    """To a model that chats; without `max_tokens` the API's own 16 hold."""
    told = surface.prompt(ask("Once", stop="\n", temperature=0.5, user="u", n=1, best_of=1, echo=False, suffix=""))

    assert told.turns == (Turn("user", (Text("Once"),)),)
    assert (told.output_max, told.stops, told.temperature, told.user) == (16, ("\n",), 0.5, "u")
    assert surface.prompt(ask(max_tokens=9)).output_max == 9


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"n": 2}, "n"),
        ({"best_of": 2}, "best_of"),
        ({"echo": True}, "echo"),
        ({"suffix": "end"}, "suffix"),
        ({"logprobs": 0}, "logprobs"),
        ({"frequency_penalty": 1}, "frequency_penalty"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"seed": 1}, "seed"),
        ({"guided_json": {}}, "guided_json"),
    ],
)
def test_what_no_chat_can_do_is_named(fields: dict[str, Any], param: str) -> None:
    """Never dropped."""
    with pytest.raises(Malformed) as raised:
        surface.prompt(ask(**fields))

    assert raised.value.param == param


PIECES: list[Piece] = [
    Started("id", "m"),
    Thought("hm"),
    Said("a"),
    Said("b"),
    Ended("limit"),
    Used(Usage(input=3, output=2)),
]


def test_an_answer_is_what_its_events_add_up_to() -> None:
    """Plain and streamed; thinking has no place in either."""
    plain = orjson.loads(completions_pieces.completion(PIECES, 7))
    writer = completions_pieces.Chunks(include_usage=True, at_s=7)
    events = b"".join(map(writer.write, PIECES)) + writer.end()
    payloads = [sse.payload(each) for each in sse.split(events)]
    chunks = [orjson.loads(each) for each in payloads[:-1] if each is not None]

    assert plain["object"] == chunks[0]["object"] == "text_completion"
    assert plain["choices"] == [{"text": "ab", "index": 0, "logprobs": None, "finish_reason": "length"}]
    assert "".join(choice["text"] for chunk in chunks for choice in chunk["choices"]) == "ab"
    assert [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]] == [None, None, "length"]
    assert chunks[-1]["usage"] == plain["usage"]
    assert plain["usage"]["total_tokens"] == 3 + 2
    assert (chunks[0]["usage"], payloads[-1]) == (None, sse.DONE)
