"""Refusals of providers, as far as they tell a caller whether to ask again."""

from types import ModuleType

import orjson
import pytest

from proxy.upstream.dialects import anthropic, gemini
from proxy.upstream.dialects.openai import errors as openai


@pytest.mark.parametrize("dialect", [openai, anthropic, gemini])
@pytest.mark.parametrize(
    ("status", "may_retry"), [(401, False), (402, False), (403, False), (404, False), (500, None), (503, None)]
)
def test_what_cannot_get_better_is_not_asked_again(dialect: ModuleType, status: int, may_retry: bool | None) -> None:
    """A key of ours that is wrong stays wrong; an outage may be over, and a wait that it names is passed on."""
    error = dialect.read_error(status, b"", b"7")

    assert error.should_retry is may_retry
    assert error.retry_after_s == 7


def test_a_key_of_ours_that_gemini_calls_a_bad_request_is_not_asked_again() -> None:
    """Gemini answers 400 to a key that it does not know; its detail tells it from what the caller wrote."""
    reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    body = {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT", "details": [reason]}}

    assert gemini.read_error(400, orjson.dumps(body), None).should_retry is False
