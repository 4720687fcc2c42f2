"""Errors that providers report inside a stream: whose fault they say it is, and what of their words goes on."""

from typing import Any

import pytest

from proxy.upstream.dialects import foreign
from proxy.wire.errors import ProxyError, Refused, UpstreamBroke, UpstreamBusy


@pytest.mark.parametrize(
    ("event", "kind", "code"),
    [
        ({"error": {"type": "invalid_request_error", "code": "context_length_exceeded", "message": "Too long."}},
         Refused, "context_length_exceeded"),
        ({"type": "response.failed", "response": {"error": {"code": "invalid_prompt", "message": "Too long."}}},
         Refused, "invalid_prompt"),
        ({"type": "error", "code": "invalid_prompt", "message": "Too long.", "param": None}, Refused, "invalid_prompt"),
        ({"type": "error", "error": {"type": "invalid_request_error", "message": "Too long."}}, Refused, None),
        ({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Too long."}}, Refused, None),
        ({"error": {"type": "tokens", "code": "rate_limit_exceeded", "message": "Your org org-1 is over it."}},
         UpstreamBusy, "upstream_rate_limited"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
         UpstreamBusy, "upstream_rate_limited"),
        ({"error": {"code": 503, "status": "UNAVAILABLE"}}, UpstreamBusy, "upstream_rate_limited"),
        ({"error": {"type": "server_error", "message": "at 10.0.0.7"}}, UpstreamBroke, "upstream_error"),
        ({"error": "boom"}, UpstreamBroke, "upstream_error"),
        ({"error": {"type": ["odd"], "code": {"x": 1}}}, UpstreamBroke, "upstream_error"),
        ({}, UpstreamBroke, "upstream_error"),
        (None, UpstreamBroke, "upstream_error"),
        ([1], UpstreamBroke, "upstream_error"),
    ],
)  # fmt: skip
def test_whose_fault_it_is(event: Any, kind: type[ProxyError], code: str | None) -> None:
    """The request's own faults keep their words, as in a refusal; what a provider says of itself stays with us."""
    found = foreign.in_band(event)

    assert type(found) is kind
    assert found.code == code
    assert (found.message == "Too long.") == (kind is Refused)
