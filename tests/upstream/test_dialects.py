"""The seam: every dialect that the YAML may name is there, and the caller's own format passes untouched."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.settings import Deployment, Provider
from proxy.settings.shape import DIALECTS as NAMED
from proxy.upstream import dialects
from proxy.upstream.dialects import DIALECTS
from proxy.wire import chat, completions, responses
from proxy.wire.ask import Ask

PROVIDER = Provider("there", "openai", "https://there.test/v1", None, enabled=True)
DEPLOYMENT = Deployment("ours", PROVIDER, "their-name", prices=None, free=True)
ASK = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def test_what_the_yaml_may_name_is_what_is_built() -> None:
    """A name that is accepted has its dialect, and the other way round."""
    assert tuple(DIALECTS) == NAMED


@settings(deadline=None)  # the machine may be busy
@given(extra=st.dictionaries(st.text(min_size=1).filter(lambda name: name not in ASK), JSON, max_size=4))
def test_the_caller_s_own_format_passes_field_for_field(extra: dict[str, object]) -> None:
    """Fields that we know nothing of reach the provider by value; only the model's name is the provider's."""
    known = {"stream", "tools", "n", "stop", "metadata", "functions", "temperature", "stream_options"}
    fields = {name: value for name, value in extra.items() if name not in known}
    ask = chat.read(orjson.dumps({**ASK, **fields}))

    sent = orjson.loads(dialects.request_body(DEPLOYMENT, ask))

    assert sent == {**orjson.loads(orjson.dumps({**ASK, **fields})), "model": "their-name"}
    assert dialects.uncarried(DEPLOYMENT, ask) is None


RESPONSES = responses.read(b'{"model": "auto", "input": "hi"}')
COMPLETIONS = completions.read(b'{"model": "auto", "prompt": "hi"}')
CLAUDE = {"type": "error", "error": {"type": "invalid_request_error", "message": "max_tokens: too many"}}
GEMINI = {"error": {"details": [{"@type": "type.googleapis.com/google.rpc.BadRequest",
                                 "fieldViolations": [{"field": "contents[0].parts"}]}]}}  # fmt: skip


@pytest.mark.parametrize(
    ("dialect", "refusal", "ask", "named"),
    [
        ("anthropic", CLAUDE, chat.read(orjson.dumps(ASK)), "max_tokens"),
        ("anthropic", CLAUDE, RESPONSES, "max_output_tokens"),
        ("gemini", GEMINI, RESPONSES, "input"),
        ("gemini", GEMINI, COMPLETIONS, "prompt"),
        ("openai", {"error": {"param": "response_format.json_schema"}}, RESPONSES, "text.format"),
        ("openai", {"error": {"param": "messages[3].content"}}, COMPLETIONS, "prompt"),
        ("openai", {"error": {"param": "messages[3].content"}}, chat.read(orjson.dumps(ASK)), "messages[3].content"),
        ("openai", {"error": {"param": None}}, RESPONSES, None),
    ],
)
def test_a_refusal_names_the_caller_s_field(dialect: str, refusal: object, ask: Ask, named: str | None) -> None:
    """Whatever it was translated to; a place inside it only where the provider read the caller's own."""
    there = Provider("there", dialect, "https://there.test/v1", None, enabled=True)
    deployment = Deployment("ours", there, "their-name", prices=None, free=True)

    error = dialects.read_error(deployment, ask, 400, orjson.dumps(refusal), None)

    assert (error.status, error.param) == (400, named)
