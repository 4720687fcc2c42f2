"""Errors as callers see them."""

import pytest

from proxy.wire import errors
from proxy.wire.errors import ProxyError


def every(kind: type[ProxyError]) -> list[type[ProxyError]]:
    """A class and all below it."""
    return [kind, *(found for each in kind.__subclasses__() for found in every(each))]


def made(kind: type[ProxyError]) -> ProxyError:
    """One error of a class."""
    if kind is errors.Refused:
        return errors.Refused(422, "what", param="p", code="c")
    if kind is errors.OverBudget:
        return errors.OverBudget("what", is_final=True, retry_after_s=None)
    if kind is errors.OverLimit:
        return errors.OverLimit("what", reason="over_requests", retry_after_s=1)
    if kind is errors.PlanLacks:
        return errors.PlanLacks("what", what="model")
    return kind("what")


@pytest.mark.parametrize(
    ("kind", "status", "type_", "code"),
    [
        (errors.Malformed, 400, "invalid_request_error", None),
        (errors.Unauthenticated, 401, "invalid_request_error", "invalid_api_key"),
        (errors.OutOfCredit, 402, "insufficient_quota", "insufficient_quota"),
        (errors.Forbidden, 403, "invalid_request_error", "forbidden"),
        (errors.UnknownModel, 404, "invalid_request_error", "model_not_found"),
        (errors.TooLarge, 413, "invalid_request_error", "request_too_large"),
        (errors.UpstreamBusy, 429, "rate_limit_error", "upstream_rate_limited"),
        (errors.NotServed, 501, "invalid_request_error", "not_served"),
        (errors.UpstreamFailed, 502, "server_error", "upstream_error"),
        (errors.UpstreamBroke, 502, "server_error", "upstream_error"),
        (errors.Unavailable, 503, "server_error", "unavailable"),
        (errors.UpstreamLate, 504, "server_error", "upstream_timeout"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_status_and_body_of_each_error(kind: type[ProxyError], status: int, type_: str, code: str | None) -> None:
    """The body is OpenAI's error object with all four fields."""
    error = kind("A sentence.", param="messages") if kind is not errors.Unavailable else kind("A sentence.")

    param = None if kind is errors.Unavailable else "messages"
    assert error.status == status
    assert errors.openai_body(error) == {
        "error": {"message": "A sentence.", "type": type_, "param": param, "code": code}
    }


def test_what_a_provider_refused_keeps_its_fields() -> None:
    """Status, param and code are the provider's."""
    error = errors.Refused(422, "no", param="tools", code="bad_tool")

    assert error.status == 422
    assert errors.openai_body(error)["error"] == {
        "message": "no", "type": "invalid_request_error", "param": "tools", "code": "bad_tool",
    }  # fmt: skip


def test_the_headers_tell_an_sdk_what_to_do() -> None:
    """A 402 is never retried, a 503 after a second, and a 429 when the provider says; 0 seconds is a number."""
    busy = errors.UpstreamBusy("busy")
    busy.retry_after_s = 0

    assert errors.headers(errors.OutOfCredit("no")) == [(b"x-should-retry", b"false")]
    assert errors.headers(errors.NotServed("no")) == [(b"x-should-retry", b"false")]
    assert errors.headers(errors.Unavailable("no")) == [(b"retry-after", b"1")]
    assert errors.headers(errors.Unavailable("no", retry_after_s=5)) == [(b"retry-after", b"5")]
    assert errors.headers(busy) == [(b"retry-after", b"0")]
    assert errors.headers(errors.UpstreamBusy("no")) == []


@pytest.mark.parametrize("kind", every(ProxyError), ids=lambda kind: kind.__name__)
def test_every_error_can_be_rendered(kind: type[ProxyError]) -> None:
    """Each class has an error status, a type, and a reason that can be a metric's label."""
    error = made(kind)

    assert 400 <= error.status <= 599
    assert error.reason.isidentifier()
    assert errors.openai_body(error)["error"]["message"] == "what"
    assert errors.openai_body(error)["error"]["type"]


def test_a_code_given_to_one_error_stays_there() -> None:
    """The class's own code is not changed by an instance."""
    errors.Malformed("x", code="special")

    assert errors.Malformed("y").code is None
