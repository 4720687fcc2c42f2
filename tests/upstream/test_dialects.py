"""The seam: every dialect that the YAML may name is there, and the caller's own format passes untouched."""

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.settings import Deployment, Provider
from proxy.settings.shape import DIALECTS as NAMED
from proxy.upstream import dialects
from proxy.upstream.dialects import DIALECTS
from proxy.wire import chat

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
