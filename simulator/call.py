"""One call under way: what it costs, how far it has come, and its single line on the invoice."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from simulator.invoice import Invoice, Line
from simulator.models import Kind, Model
from simulator.prices import DEFAULT, BilledUsage
from simulator.prompt_cache import NO_CACHE, CacheUse


@dataclass(frozen=True, slots=True)
class Order:
    """Everything that the price of a call depends on, but for how far it came.

    Args:
        call_id: The id the client sees.
        kind: Which endpoint.
        model: Who answers.
        stream: Whether the answer is streamed.
        prompt_tokens: All prompt tokens.
        cache: Those of them that the prompt cache read or wrote.
        output_tokens: Output when everything is produced, reasoning included.
        reasoning_tokens: The part of it that is reasoning.
        service_tier: Which service tier it is served in, as OpenAI names them.
    """

    call_id: str
    kind: Kind
    model: Model
    stream: bool
    prompt_tokens: int
    cache: CacheUse = NO_CACHE
    output_tokens: int = 0
    reasoning_tokens: int = 0
    service_tier: str = DEFAULT

    @property
    def fresh_tokens(self) -> int:
        """Prompt tokens that the cache neither read nor wrote."""
        return self.prompt_tokens - self.cache.read - self.cache.written

    def billed(self, produced: int) -> BilledUsage:
        """Return what is billed after `produced` output tokens; reasoning comes first."""
        return BilledUsage(
            input=self.fresh_tokens,
            cache_read=self.cache.read,
            cache_write=self.cache.written - self.cache.written_1h,
            output=produced,
            reasoning=min(produced, self.reasoning_tokens),
            cache_write_1h=self.cache.written_1h,
        )

    def openai_usage(self) -> dict[str, Any]:
        """Return the usage of the whole call as OpenAI's chat API reports it."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.prompt_tokens + self.output_tokens,
            "prompt_tokens_details": {
                "cached_tokens": self.cache.read,
                "cache_write_tokens": self.cache.written,
                "audio_tokens": 0,
            },
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning_tokens,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def responses_usage(self) -> dict[str, Any]:
        """Return the usage of the whole call as OpenAI's Responses API reports it."""
        return {
            "input_tokens": self.prompt_tokens,
            "input_tokens_details": {"cached_tokens": self.cache.read, "cache_write_tokens": self.cache.written},
            "output_tokens": self.output_tokens,
            "output_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
            "total_tokens": self.prompt_tokens + self.output_tokens,
        }

    def anthropic_usage(self, produced: int) -> dict[str, Any]:
        """Return the usage after `produced` output tokens as Anthropic's Messages API reports it."""
        billed = self.billed(produced)
        return {
            "input_tokens": billed.input,
            "cache_creation_input_tokens": self.cache.written,
            "cache_read_input_tokens": billed.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": billed.cache_write,
                "ephemeral_1h_input_tokens": billed.cache_write_1h,
            },
            "output_tokens": produced,
            "output_tokens_details": {"thinking_tokens": billed.reasoning},
            "service_tier": "standard",
        }

    def gemini_usage(self, produced: int) -> dict[str, Any]:
        """Return the usage after `produced` output tokens as Gemini reports it: the thoughts beside the candidates."""
        billed = self.billed(produced)
        told: dict[str, Any] = {
            "promptTokenCount": self.prompt_tokens,
            "candidatesTokenCount": produced - billed.reasoning,
            "totalTokenCount": self.prompt_tokens + produced,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": self.prompt_tokens}],
            "serviceTier": "standard",
        }
        if billed.cache_read:
            told["cachedContentTokenCount"] = billed.cache_read
            told["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": billed.cache_read}]
        return told | ({"thoughtsTokenCount": billed.reasoning} if billed.reasoning else {})


@dataclass(frozen=True, slots=True)
class Pace:
    """When tokens come.

    Args:
        start_s: When the call began, on the loop's clock.
        first_s: Seconds until the first token.
        gap_s: Seconds between tokens.
    """

    start_s: float
    first_s: float
    gap_s: float

    def due_s(self, produced: int) -> float:
        """Return when, on the loop's clock, that many tokens are there."""
        return self.start_s + self.first_s + produced * self.gap_s

    def produced(self, now_s: float, most: int) -> int:
        """Return how many tokens, of `most`, are there at a time on the loop's clock."""
        thinking_s = now_s - self.start_s - self.first_s
        if thinking_s < 0:
            return 0
        return most if self.gap_s == 0 else min(int(thinking_s / self.gap_s), most)


class Call:
    """A call and its tab.

    Args:
        order: What was ordered.
        pace: When its tokens come.
        invoice: Where its line goes.
        factor: What its price is multiplied by; 1 but in tests of wrong invoices.
    """

    def __init__(self, order: Order, pace: Pace, invoice: Invoice, factor: Fraction) -> None:
        self.order = order
        self.pace = pace
        self.produced = 0
        self._invoice = invoice
        self._factor = factor
        self._settled = False

    def settle(self, *, complete: bool) -> None:
        """Write the line for what was produced so far; only the first time counts."""
        if self._settled:
            return
        self._settled = True
        usage = self.order.billed(self.produced)
        line = Line(
            call_id=self.order.call_id,
            kind=self.order.kind,
            model=self.order.model.name,
            stream=self.order.stream,
            complete=complete,
            usage=usage,
            amount_usd=self.order.model.price.in_tier(self.order.service_tier).amount_usd(usage) * self._factor,
            service_tier=self.order.service_tier,
        )
        self._invoice.append(line)

    def finish(self) -> None:
        """Take everything as produced."""
        self.produced = self.order.output_tokens
