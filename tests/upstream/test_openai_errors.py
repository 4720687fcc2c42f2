"""Refusals of a provider that speaks OpenAI's format, as far as they tell a caller whether to ask again."""

import pytest

from proxy.upstream.dialects.openai.errors import read_error


@pytest.mark.parametrize(("status", "may_retry"), [(401, False), (403, False), (404, False), (500, None), (503, None)])
def test_what_cannot_get_better_is_not_asked_again(status: int, may_retry: bool | None) -> None:
    """A key of ours that is wrong stays wrong; an outage may be over, and a wait that it names is passed on."""
    error = read_error(status, b"", b"7")

    assert error.should_retry is may_retry
    assert error.retry_after_s == 7
