"""Errors in the shape OpenAI gives them, as data."""

from collections.abc import Mapping
from typing import Final

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


def unknown_model(name: str) -> ApiError:
    """Return the 404 for a model that does not exist."""
    message = f"The model `{name}` does not exist or you do not have access to it."
    return ApiError(404, message, param="model", code="model_not_found")


_KNOWN: Final[Mapping[int, tuple[str, str | None, str]]] = {
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached. Please try again later."),
    500: ("server_error", None, "The server had an error while processing your request."),
    503: ("server_error", "overloaded", "The model is overloaded. Please try again later."),
}


def injected(status: int, retry_after_s: float | None) -> ApiError:
    """Return the error that a `status=` fault asked for, worded as OpenAI words that status."""
    fallback = ("server_error" if status >= 500 else "invalid_request_error", None, "Injected.")
    kind, code, message = _KNOWN.get(status, fallback)
    return ApiError(status, message, kind=kind, code=code, retry_after_s=retry_after_s)
