"""Legacy completions passed through: what is relayed, held back and read, wherever the bytes are cut."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.usage import Usage
from proxy.settings import Deployment, Provider
from proxy.upstream import dialects
from proxy.upstream.dialects.openai.completions import CompletionStream
from proxy.wire import completions
from proxy.wire.errors import UpstreamBroke

PROVIDER = Provider("p", "openai", "https://example.org", None, enabled=True)
BASE = Deployment("ours", PROVIDER, "theirs", prices=None, free=True, serves=frozenset({"completions"}))
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def ask(**fields: Any) -> completions.CompletionsRequest:
    """A request."""
    return completions.read(orjson.dumps({"model": "ours", "prompt": "Once", **fields}))


def chunk(text: str, finish: str | None = None, **more: Any) -> bytes:
    """An event as OpenAI writes it."""
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
    return b"data: %b\n\n" % orjson.dumps({"id": "cmpl-1", "object": "text_completion", "choices": [choice], **more})


def usage_chunk(usage: Any = USAGE) -> bytes:
    """The event that only says what was used."""
    return b"data: %b\n\n" % orjson.dumps({"id": "cmpl-1", "choices": [], "usage": usage})


SAID = chunk('a "text"') + chunk("é" * 9) + b'data: {"choices":[{"text":"\\ud83d"}]}\n\n' + chunk("", "stop")
DONE = b"data: [DONE]\n\n"


def test_a_model_that_completes_is_asked_as_it_is() -> None:
    """By its own path, with everything that chat has no word for."""
    asked = ask(echo=True, best_of=3, logprobs=2, suffix="end")

    assert dialects.request_path(BASE, "completions", stream=False) == "/completions"
    assert dialects.uncarried(BASE, asked) is None
    assert orjson.loads(dialects.request_body(BASE, asked)) == {**asked.fields, "model": "theirs"}


def test_a_plain_answer_passes_as_it_came() -> None:
    """Its id and usage are read."""
    body = orjson.dumps({"id": "cmpl-1", "choices": [{"text": "x"}], "usage": USAGE})

    assert dialects.read_answer(BASE, ask(), body, 0) == ("cmpl-1", Usage(input=5, output=3), body)
    with pytest.raises(UpstreamBroke):
        dialects.read_answer(BASE, ask(), b'{"error": {}}', 0)


@given(st.data())
def test_a_stream_cut_anywhere_says_the_same(data: st.DataObject) -> None:
    """Bytes pass whole, half a surrogate pair included; usage that nobody asked for and the end are held back."""
    whole = SAID + usage_chunk() + DONE
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    stream = CompletionStream(usage_asked=False)

    got = b"".join(stream.feed(whole[a:b]) for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True))

    assert got == SAID
    assert (stream.usage, stream.call_id, stream.finished) == (Usage(input=5, output=3), "cmpl-1", True)
    assert stream.end() == DONE


@given(st.integers(0, len(SAID + usage_chunk())))
def test_a_stream_that_breaks_off_is_not_whole(length: int) -> None:
    """What came is counted, and nothing is taken for its end."""
    stream = CompletionStream(usage_asked=True)
    got = stream.feed((SAID + usage_chunk())[:length])

    assert not stream.finished
    assert (SAID + usage_chunk()).startswith(got)
    assert stream.output_estimate >= got.count(b'"text":"') - 1  # the last has no text


@given(st.binary(max_size=300))
def test_noise_is_neither_an_end_nor_a_crash(noise: bytes) -> None:
    """Whatever a provider sends."""
    stream = CompletionStream(usage_asked=False)
    stream.feed(b"data: " + noise.replace(b"[DONE]", b"") + b"\n\n")

    assert not stream.finished
