"""How long an exchange may take, all its calls together: as configured, or a shorter time of the caller's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from proxy.wire.errors import Malformed

HEADER: Final = "x-penstock-deadline"
SECONDS_MAX: Final = 86_400
_FORM: Final = re.compile(rb"(\d{1,8}(?:\.\d{1,6})?)(ms|s|m)?")
_UNITS: Final = {b"ms": 0.001, b"s": 1.0, b"m": 60.0}


def read(headers: Mapping[bytes, bytes], deadline_s: float) -> float:
    """Return how many seconds an exchange has; a number without a unit is seconds, as in `retry-after`.

    Raises:
        Malformed: the caller's header is no duration, or of no time at all.
    """
    value = headers.get(b"x-penstock-deadline")
    if value is None:
        return deadline_s
    found = _FORM.fullmatch(value.strip())
    asked_s = 0.0 if found is None else float(found[1]) * _UNITS[found[2] or b"s"]
    if not 0 < asked_s <= SECONDS_MAX:
        raise Malformed(f"`{HEADER}` must be a duration up to a day, such as 800ms, 30s or 2m.", param=HEADER)
    return min(asked_s, deadline_s)
