"""Every error a caller can get.

The tree says whose doing it is::

    ProxyError
    ├─ Rejected               the caller's doing
    │  ├─ Malformed      400  not JSON, not the shape, beyond a limit of ours
    │  ├─ Unauthenticated 401 no key, unknown key, revoked key
    │  ├─ OutOfCredit    402  told not to retry
    │  ├─ OverBudget     402  told not to retry, unless the budget is only held by requests under way
    │  ├─ Unprofitable   402  its plan does not cover it for now, as the margin guard says: told not to retry
    │  ├─ Forbidden      403  a scope or a plan's gate
    │  ├─ UnknownModel   404
    │  ├─ UnknownName    404  no key, customer or plan of that name
    │  ├─ MethodNotAllowed 405
    │  ├─ Conflict       409  it contradicts what was told of the same task before
    │  ├─ KeyInUse       409  its idempotency key's first request still runs: come back
    │  ├─ AnswerUnavailable 409 that request was charged, and its answer is gone: told not to retry
    │  ├─ TooLarge       413
    │  ├─ KeyReused      422  its idempotency key was another request's
    │  ├─ OverLimit      429  a limit on requests, tokens or requests open at once: come back when it says
    │  ├─ TooOften       429  asked for more often than it changes
    │  ├─ HeadTooLarge   431
    │  └─ Refused        4xx  the provider refused the request itself, mapped field by field
    ├─ UpstreamFailed         the provider's doing
    │  ├─ UpstreamBusy   429  its rate limit, after every deployment was tried
    │  ├─ UpstreamBroke  502  it answered nonsense, or not at all
    │  ├─ UpstreamLate   504  a deadline ran out, ours or the caller's own
    │  └─ AllDown        503  every deployment failed, or rests as it failed before: says which, and when to come back
    ├─ NotServed         501  an endpoint that is not built
    └─ Unavailable       503  our own doing: shutting down, the keeper or the disk is away, too many at once

Steps raise the narrowest; `openai_body` and `anthropic_body` are the only renderers. Texts are ours: a foreign
exception's text may hold a secret and never reaches a caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Headers = Sequence[tuple[bytes, bytes]]


class ProxyError(Exception):
    """An error with everything its answer needs. `code` and `type` are OpenAI's words."""

    status = 500
    type = "server_error"
    code: str | None = None
    should_retry: bool | None = None
    reason = "error"
    """A closed word for metrics."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s: int | None = None
        self.headers: Headers = ()
        """What else its answer says."""
        self.exchange: str | None = None
        """The exchange it ended, once there was one: what a cost line of it can be found by."""
        if code is not None:
            self.code = code


class Rejected(ProxyError):
    """The caller's doing."""

    status = 400
    type = "invalid_request_error"
    reason = "malformed"


class Malformed(Rejected):
    """Not JSON, not the shape, or beyond a limit; `param` names the field."""


class Unauthenticated(Rejected):
    """No key, an unknown key or a revoked one: all look alike."""

    status = 401
    code = "invalid_api_key"
    reason = "unauthenticated"


class OutOfCredit(Rejected):
    """The customer's credits do not cover the request. A retry cannot help."""

    status = 402
    type = "insufficient_quota"
    code = "insufficient_quota"
    should_retry = False
    reason = "out_of_credit"


class OverBudget(Rejected):
    """A budget does not cover the most that the request can cost. `retry_after_s`: when it may."""

    status = 402
    type = "insufficient_quota"
    code = "insufficient_quota"
    reason = "over_budget"

    def __init__(self, message: str, *, is_final: bool, retry_after_s: int | None) -> None:
        super().__init__(message)
        self.should_retry, self.retry_after_s = not is_final, retry_after_s


class Unprofitable(Rejected):
    """The customer's margin is below its floor, and the plan's ladder ends in refusing. A retry cannot help soon."""

    status = 402
    type = "insufficient_quota"
    code = "insufficient_quota"
    should_retry = False
    reason = "unprofitable"


class OverLimit(Rejected):
    """A limit has no room for the request. `reason` says of what; `should_retry` is False where it never will."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    reason = "over_requests"

    def __init__(self, message: str, *, reason: str, retry_after_s: int | None, headers: Headers = ()) -> None:
        super().__init__(message)
        self.reason, self.retry_after_s, self.headers = reason, retry_after_s, tuple(headers)
        if retry_after_s is None:
            self.should_retry = False


class Forbidden(Rejected):
    """The key's scopes or the plan's gates do not allow it."""

    status = 403
    code = "forbidden"
    reason = "forbidden"


class PlanLacks(Forbidden):
    """The customer's plan does not include it; `code` says what: a model, a feature, a surface or one more key."""

    def __init__(self, message: str, *, what: str, param: str | None = None) -> None:
        super().__init__(message, param=param, code=f"{what}_not_in_plan")


class UnknownModel(Rejected):
    """No model, alias or tier by that name."""

    status = 404
    code = "model_not_found"
    reason = "unknown_model"


class UnknownName(Rejected):
    """No key, customer or plan by that name."""

    status = 404
    code = "not_found"
    reason = "unknown_name"


class MethodNotAllowed(Rejected):
    """The endpoint exists and takes another method: `allowed` says which, separated by commas."""

    status = 405
    code = "method_not_allowed"
    reason = "no_route"

    def __init__(self, message: str, *, allowed: str = "POST") -> None:
        super().__init__(message)
        self.headers = ((b"allow", allowed.encode()),)  # RFC 9110, 15.5.6: a 405 must say so


class Conflict(Rejected):
    """It contradicts what was told before. A retry of the same cannot help."""

    status = 409
    code = "conflict"
    should_retry = False
    reason = "conflict"


class KeyInUse(Rejected):
    """The first request with this idempotency key still runs. A retry will find its answer."""

    status = 409
    type = "idempotency_error"
    code = "idempotency_key_in_use"
    reason = "idempotency"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.retry_after_s = 1


class AnswerUnavailable(Rejected):
    """The request with this idempotency key was served, and its answer is gone; `exchange` names the charge, if any."""

    status = 409
    type = "idempotency_error"
    code = "answer_unavailable"
    should_retry = False
    reason = "idempotency"


class KeyReused(Rejected):
    """This idempotency key was used for another request."""

    status = 422
    type = "idempotency_error"
    code = "idempotency_key_reused"
    should_retry = False
    reason = "idempotency"


class TooLarge(Rejected):
    """The body is over the limit."""

    status = 413
    code = "request_too_large"
    reason = "too_large"


class TooOften(Rejected):
    """It is asked for more often than it changes. `retry_after_s` says when to come back."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limited"
    reason = "too_often"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.retry_after_s = 1


class HeadTooLarge(TooLarge):
    """The request's first lines are over the limit."""

    status = 431


class Refused(Rejected):
    """The provider refused the request for what it says; status and fields are mapped from its answer."""

    reason = "refused_by_provider"

    def __init__(self, status: int, message: str, *, param: str | None, code: str | None) -> None:
        super().__init__(message, param=param, code=code)
        self.status = status


class UpstreamFailed(ProxyError):
    """The provider's doing."""

    status = 502
    code = "upstream_error"
    reason = "upstream_failed"


class UpstreamBusy(UpstreamFailed):
    """Every deployment said it is over its rate limit."""

    status = 429
    type = "rate_limit_error"
    code = "upstream_rate_limited"
    reason = "upstream_busy"


class UpstreamBroke(UpstreamFailed):
    """No answer, or one that is not an answer."""


class UpstreamLate(UpstreamFailed):
    """A deadline ran out."""

    status = 504
    code = "upstream_timeout"
    reason = "upstream_late"


class AllDown(UpstreamFailed):
    """No deployment of the route answered, or none is called for now as all failed a moment ago."""

    status = 503
    reason = "all_down"


class NotServed(ProxyError):
    """An endpoint of the API that is not built here."""

    status = 501
    type = "invalid_request_error"
    code = "not_served"
    should_retry = False
    reason = "not_served"


class Unavailable(ProxyError):
    """Our own dependency is away, or we are going."""

    status = 503
    code = "unavailable"
    reason = "unavailable"

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotDurable(ProxyError):
    """The answer was made and charged, and the disk does not take what says so: to ask again is to pay again."""

    status = 503
    code = "not_durable"
    should_retry = False
    reason = "unavailable"


def openai_body(error: ProxyError) -> dict[str, Any]:
    """Return OpenAI's error object."""
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}


_ANTHROPIC_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 405: "invalid_request_error", 409: "invalid_request_error", 413: "request_too_large",
    422: "invalid_request_error", 429: "rate_limit_error", 501: "invalid_request_error", 504: "timeout_error",
}  # fmt: skip
"""Anthropic's words by status ("Errors" in its API reference); our 503 is its 529, `overloaded_error`."""


def anthropic_body(error: ProxyError) -> dict[str, Any]:
    """Return Anthropic's error object; the message names the field, as there is no place of its own for it.

    What a provider refused it names itself, in its own words.
    """
    message = error.message
    if isinstance(error, Malformed) and error.param is not None and error.param not in message:
        message = f"`{error.param}`: {message}"
    kind = "overloaded_error" if error.status == 503 else _ANTHROPIC_TYPES.get(error.status, "api_error")
    return {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": error.exchange,
    }


def headers(error: ProxyError) -> list[tuple[bytes, bytes]]:
    """Return the headers that tell an SDK whether and when to retry."""
    found = list(error.headers)
    if error.exchange is not None:
        found += [(b"x-penstock-request-id", error.exchange.encode()), (b"x-request-id", error.exchange.encode())]
    if error.retry_after_s is not None:
        found.append((b"retry-after", b"%d" % error.retry_after_s))
    if error.should_retry is not None:
        found.append((b"x-should-retry", b"true" if error.should_retry else b"false"))
    return found
