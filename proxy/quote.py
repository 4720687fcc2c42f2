"""What a request will be charged, frozen at admission, and how much of it is put aside until its usage is known.

A fixed price is held whole. A metered one is held at its ceiling (*strict*): at most one token for each byte of the
body, as no tokenizer makes more, and the output that was asked for or that the model can give.
Or (*statistical*) at what the plan's requests of this tier put out so far, up to the plan's quantile.
"""

from __future__ import annotations

from typing import NamedTuple

from margin.meter import Actions, Meter
from margin.sellbook import Plan
from margin.usage import Usage
from proxy.outputs import Outputs, Sketch
from proxy.routing.capability import OUTPUT_RESERVE_TOKENS
from proxy.routing.policy import Route
from proxy.settings import Deployment
from proxy.wire.ask import Ask
from proxy.wire.errors import Malformed

HOLD_MILLI_MAX = 10**14
"""The most that is put aside: a hundred billion credits, which nobody has. Those of all open exchanges fit 64 bits."""
IMAGE_TOKENS_MAX = 50_000
"""The dearest image that is documented takes 48,169: gpt-4o-mini at high detail, 2,833 and eight tiles of 5,667
(OpenAI, Images and vision)."""


class Quote(NamedTuple):
    """The terms one request is charged by. `meter` is None where the price is fixed: `hold_milli` is that price."""

    hold_milli: int
    meter: Meter | Actions | None = None
    input_tokens_max: int = 0
    output_tokens_max: int = 0
    seen: Sketch | None = None
    choices: int = 1

    def charge_milli(self, usage: Usage) -> int:
        """Return the charge for a whole answer. On an estimate of ours nobody pays more than what was held."""
        if self.meter is None:
            return self.hold_milli
        charge = self.meter.charge_milli(usage)
        return min(charge, self.hold_milli) if usage.source == "estimated" else charge

    def so_far_milli(self, usage: Usage) -> int | None:
        """Return what a checkpoint says that a crash would charge; None where the price is fixed."""
        return None if self.meter is None else self.charge_milli(usage)

    def learn(self, usage: Usage) -> None:
        """Take note of a whole answer's output, where holds are sized by it."""
        if self.seen is not None and usage.source == "reported":
            self.seen.add(-(-usage.output_total // self.choices))

    @property
    def refusal(self) -> str:
        """The sentence for a customer whose credits do not cover the hold."""
        needs = f"The credits do not cover this request: it needs {self.hold_milli / 1000:,.10g}"
        if self.meter is None:
            return f"{needs}."
        return (
            f"{needs} put aside, for at most {self.input_tokens_max:,} tokens in and {self.output_tokens_max:,} out;"
            " what it does not use goes back. A smaller `max_tokens` needs less."
        )


FREE = Quote(0)
"""Of a request that its task is charged in the place of."""


def quote(plan: Plan, route: Route, ask: Ask, outputs: Outputs) -> Quote:
    """Return the terms of a request.

    Raises:
        Malformed: the plan serves nothing past the balance, and nothing bounds what the request may use.
    """
    terms = plan.credits
    if terms.metered is None:
        return Quote(route.credits_milli)
    # Any of them may serve in the end: those before it may rest.
    ins = _largest([input_max_of(each, ask) for each in route.deployments])
    out = _largest([output_max_of(each, ask) for each in route.deployments])
    seen = None
    if terms.holds == "statistical" and ask.output_max != 0:  # of embeddings there is nothing to learn
        seen = outputs.of(plan.version, route.charge_tier)
        learnt = seen.quantile(float(terms.hold_quantile))
        if learnt is not None:
            wanted = max(learnt, terms.hold_floor_tokens)
            out = wanted if out is None else min(out, wanted)
    if terms.enforce == "hard":
        _must_be_bounded(ins, out)
    ins = route.input_estimate if ins is None else ins
    out = OUTPUT_RESERVE_TOKENS if out is None else out
    whole = out * ask.choices
    hold = min(terms.metered.ceiling_milli(input_tokens_max=ins, output_tokens_max=whole), HOLD_MILLI_MAX)
    return Quote(hold, terms.metered, ins, whole, seen, ask.choices)


def _must_be_bounded(ins: int | None, out: int | None) -> None:
    if out is None:
        raise Malformed(
            "`max_tokens` is needed: the plan charges by usage, and the model's output limit is not known.",
            param="max_tokens",
        )
    if ins is None:
        raise Malformed(
            "The plan charges by usage, and the tokens of audio and files are bounded by no known limit of this model.",
            param="messages",
        )


def input_max_of(deployment: Deployment, ask: Ask) -> int | None:
    """Return the most tokens that may go in. Those of files follow no size in bytes: only the window bounds them."""
    window = deployment.context_window
    if window is not None:
        window *= ask.prompts
    if ask.media_parts > ask.images:
        return window
    ins = ask.body_bytes + ask.images * IMAGE_TOKENS_MAX
    return ins if window is None or ins < window else window


def output_max_of(deployment: Deployment, ask: Ask) -> int | None:
    """Return the most tokens that may come out for each choice: what was asked for, else what the model can give.

    Also what is beyond that: the model's provider refuses it, and one that does not may bill it.
    """
    return deployment.output_max if ask.output_max is None else ask.output_max


def _largest(limits: list[int | None]) -> int | None:
    """Return the largest limit; None as soon as one is not known."""
    known = [each for each in limits if each is not None]
    return max(known) if known and len(known) == len(limits) else None
