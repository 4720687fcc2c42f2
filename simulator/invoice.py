"""The provider's own invoice: one line per billed call, appended, never rewritten."""

import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson

from simulator.models import Kind
from simulator.prices import DEFAULT, BilledUsage


@dataclass(frozen=True, slots=True)
class Line:
    """One billed call.

    Args:
        call_id: The id the client saw: of the response (chat, messages) or its `x-request-id` (embeddings).
        kind: Which endpoint.
        model: As the client named it.
        stream: Whether the answer was streamed.
        complete: Whether all of the answer was produced and handed over.
        usage: What is billed.
        amount_usd: Its exact price.
        service_tier: The service tier that it was billed in.
    """

    call_id: str
    kind: Kind
    model: str
    stream: bool
    complete: bool
    usage: BilledUsage
    amount_usd: Fraction
    service_tier: str = DEFAULT

    def serialise(self, at: datetime) -> bytes:
        """Return the line as it stands in the file, with its line feed."""
        amount = f"{self.amount_usd.numerator}/{self.amount_usd.denominator}"
        record = {
            "call_id": self.call_id,
            "at": at.isoformat(),
            "kind": self.kind,
            "model": self.model,
            "stream": self.stream,
            "complete": self.complete,
            "usage": asdict(self.usage),
            "amount_usd": amount,
            "service_tier": self.service_tier,
        }
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


class Invoice:
    """The lines so far.

    Args:
        path: The file to append to, created with its folder if need be; None keeps memory only.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._memory = bytearray()
        self._fd: int | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def append(self, line: Line) -> None:
        """Add a line with a single write, so that a reader or a crash never sees half of one."""
        serialised = line.serialise(datetime.now(UTC))
        if self._fd is None:
            self._memory += serialised
        else:
            os.write(self._fd, serialised)

    def lines(self) -> list[dict[str, Any]]:
        """Return all lines, those of earlier runs included."""
        content = bytes(self._memory) if self._path is None else self._path.read_bytes()
        return [orjson.loads(line) for line in content.splitlines()]

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
