"""What all calls share: the options, the invoice, the prompt cache, the faults, what was asked."""

import asyncio
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import orjson

from simulator.call import Call, Order, Pace
from simulator.connection import Connection
from simulator.faults import FaultRules, Steering
from simulator.invoice import Invoice
from simulator.models import Model
from simulator.options import SimulatorOptions
from simulator.prompt_cache import PromptCache

REQUESTS_KEPT: Final = 50
"""Requests that `/_simulator/last` shows."""

_KEPT_BYTES_MAX: Final = 4 * 1024 * 1024  # of one body: 50 of them stay within 200 MiB


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes

    def shown(self) -> dict[str, Any]:
        """Return it as JSON values; the body is null where it is not JSON, or very long."""
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in self.headers.items()}
        try:
            body = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            body = None
        return {"method": self.method, "path": self.path, "headers": headers, "body": body}


class World:
    """The simulated provider's state."""

    def __init__(self, options: SimulatorOptions) -> None:
        self.options = options
        self.invoice = Invoice(options.invoice)
        self.prompt_cache = PromptCache()
        self.faults = FaultRules()
        self.received: deque[Received] = deque(maxlen=REQUESTS_KEPT)

    def note(self, connection: Connection, body: bytes) -> None:
        """Remember a request for inspection."""
        kept = body if len(body) <= _KEPT_BYTES_MAX else b""
        seen = Received(connection.method, connection.path, connection.headers, kept)
        self.received.append(seen)

    def open_call(self, order: Order, steering: Steering, choices: int = 1) -> Call:
        """Return a call that begins now.

        Args:
            order: What was ordered.
            steering: What was asked of it.
            choices: Answers generated side by side.
        """
        factor = self.options.price_errors.get(order.model.name, Fraction(1))
        pace = self._pace(order.model, steering, choices)
        return Call(order, pace, self.invoice, factor)

    def _pace(self, model: Model, steering: Steering, choices: int) -> Pace:
        gap_s = steering.slow
        if gap_s is None:
            gap_s = self.options.delay_s(1 / model.tokens_per_s) / choices
        now_s = asyncio.get_running_loop().time()
        return Pace(now_s, self.options.delay_s(model.first_token_s), gap_s)

    async def abandon(self, call: Call) -> None:
        """Bill a call whose client left: what was produced, or after going on, everything."""
        if self.options.after_disconnect == "finish":
            end_s = call.pace.due_s(call.order.output_tokens)
            try:
                await asyncio.sleep(end_s - asyncio.get_running_loop().time())
            finally:  # a shutdown ends the waiting, not the debt
                call.finish()
                call.settle(complete=False)
        call.settle(complete=False)
