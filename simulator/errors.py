"""Errors as data, in the shapes that OpenAI, Anthropic and Google give them."""

from collections.abc import Mapping
from typing import Any, Final

import orjson


class ApiError(Exception):
    """A call that is refused with an error body.

    Args:
        status: The HTTP status.
        message: The sentence for the caller.
        kind: OpenAI's `type`.
        param: The field at fault.
        code: OpenAI's machine-readable code.
        retry_after_s: Seconds for the `retry-after` header.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        self.retry_after_s = retry_after_s

    def body(self) -> bytes:
        """Return the JSON body."""
        error = {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }
        return orjson.dumps({"error": error})

    def messages_body(self, request_id: str) -> bytes:
        """Return the JSON body as Anthropic's Messages API gives it; the field at fault begins the sentence."""
        message = self.message if self.param is None else f"{self.param}: {self.message}"
        kind = _ANTHROPIC_KINDS.get(self.status, "api_error" if self.status >= 500 else "invalid_request_error")
        error = {"type": kind, "message": message}
        return orjson.dumps({"type": "error", "error": error, "request_id": request_id})

    def gemini_body(self) -> bytes:
        """Return the JSON body as Gemini's API gives it; what other APIs say in headers is among its details."""
        details: list[dict[str, Any]] = []
        if self.param is not None:
            violations = [{"field": self.param, "description": self.message}]
            details.append({"@type": f"{_GOOGLE_TYPES}.BadRequest", "fieldViolations": violations})
        if self.retry_after_s is not None:
            details.append({"@type": f"{_GOOGLE_TYPES}.RetryInfo", "retryDelay": f"{self.retry_after_s:g}s"})
        error = {"code": self.status, "message": self.message, "status": _GOOGLE_STATUSES.get(self.status, "UNKNOWN")}
        return orjson.dumps({"error": {**error, "details": details} if details else error})


def unknown_model(name: str) -> ApiError:
    """Return the 404 for a model that does not exist."""
    message = f"The model `{name}` does not exist or you do not have access to it."
    return ApiError(404, message, param="model", code="model_not_found")


_ANTHROPIC_KINDS: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Anthropic's `type` by status (its page "Errors")."""

_GOOGLE_TYPES: Final = "type.googleapis.com/google.rpc"
_GOOGLE_STATUSES: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""Google's `status` by status (its page "Troubleshooting")."""

_KNOWN: Final[Mapping[int, tuple[str, str | None, str]]] = {
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached. Please try again later."),
    500: ("server_error", None, "The server had an error while processing your request."),
    503: ("server_error", "overloaded", "The model is overloaded. Please try again later."),
    529: ("server_error", "overloaded", "Overloaded"),
}


def injected(status: int, retry_after_s: float | None) -> ApiError:
    """Return the error that a `status=` fault asked for, worded as OpenAI words that status."""
    fallback = ("server_error" if status >= 500 else "invalid_request_error", None, "Injected.")
    kind, code, message = _KNOWN.get(status, fallback)
    return ApiError(status, message, kind=kind, code=code, retry_after_s=retry_after_s)
