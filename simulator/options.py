"""What a simulator may be told when it starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

AfterDisconnect = Literal["stop", "finish"]
"""What a provider does when its client leaves: stop generating, or generate and bill it all."""


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """The settings of one simulator.

    Args:
        invoice: The file that billed calls are appended to; None keeps them in memory only.
        speed: Divides every delay; 2.0 is twice as fast as life, 0 does not wait at all.
        seed: Changes every answer; the same seed gives the same answers.
        after_disconnect: What is billed when a client leaves early.
        price_errors: Per model, the factor its prices are wrong by (1 is right).
    """

    invoice: Path | None = None
    speed: float = 1.0
    seed: int = 0
    after_disconnect: AfterDisconnect = "stop"
    price_errors: Mapping[str, Fraction] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.speed < 0:
            raise ValueError(f"speed must be 0 (no waiting) or more, not {self.speed}")

    def delay_s(self, lifelike_s: float) -> float:
        """Return how long to wait for what takes a real provider `lifelike_s` seconds."""
        return lifelike_s / self.speed if self.speed else 0.0
