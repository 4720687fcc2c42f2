"""One call: on file before it is made, and what is booked of it when it brings no answer."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple

from margin import records
from margin.records import Record
from proxy import marking, metering
from proxy.settings import Deployment
from proxy.settlement import NS, Case
from proxy.upstream import client, dialects
from proxy.upstream.client import Answer, CallFailed, Lost, NoStream, Unsent
from proxy.wire.errors import ProxyError, UpstreamBroke, UpstreamFailed, UpstreamLate
from proxy.world import World


class Made(NamedTuple):
    """A call that is on file: its number, where it goes, when it began (`perf_counter`), and its record."""

    n: int
    deployment: Deployment
    began_s: float
    record: Record
    body: bytes
    is_marked: bool
    """Whether the body was marked here for the provider's prompt cache."""

    @property
    def most_nusd(self) -> int | None:
        """What stated budgets count of it if nobody learns what it cost."""
        most = self.record.get("max")
        return None if most is None else int(most)


def note(
    world: World, case: Case, n: int, deployment: Deployment, body: bytes, began_s: float, most_nusd: int | None,
    before: Sequence[Record],
) -> Made:  # fmt: skip
    """Journal the intent to call, with the cost lines of the calls before it."""
    t = world.now()
    body, is_marked = marking.mark(world, case, deployment, body)
    estimate, tier = case.route.input_estimate, metering.service_tier_of(deployment, case.ask)
    record = records.called(
        x=case.ticket.x, t=t, attempt=n, provider=deployment.provider.name, deployment=deployment.name,
        model=deployment.model, card=metering.card_id(deployment, t // NS, tier), input_estimate=estimate,
        input_cost_nusd=metering.cost_nusd(deployment, metering.estimated(estimate, 0, tier), t // NS),
        before=before, most_nusd=most_nusd,
    )  # fmt: skip
    case.ticket.call(record)
    return Made(n, deployment, began_s, record, body, is_marked)


def send(world: World, case: Case, made: Made) -> Coroutine[Any, Any, Answer]:
    """Send a request; awaited, it returns the answer once its head is here.

    Raises:
        CallFailed: there is none.
    """
    # Each phase up to the answer's head has a deadline of its own in the transport, besides the exchange's.
    return world.upstream.call(made.deployment, made.body, case.left_s(), case.ask.surface, stream=case.ask.stream)


def failed(world: World, case: Case, made: Made, error: CallFailed) -> ProxyError:
    """Note a call without an answer. What was sent may be billed: its input is booked as an estimate.

    Budgets that were stated count all that was held for it: docs/adr/0024.
    """
    tier = metering.service_tier_of(made.deployment, case.ask)
    usage = metering.estimated(case.route.input_estimate, 0, tier) if isinstance(error, Lost) else None
    line = metering.attempt(made.n, made.deployment, world.now() // NS, usage=usage, failed=True, status=None,
                            most_nusd=made.most_nusd)  # fmt: skip
    case.ticket.attempts.append(line)
    if error.late:
        return UpstreamLate(f"The provider did not answer in time ({error.phase}).")
    if isinstance(error, NoStream):
        return UpstreamBroke("The provider was asked for a stream and answered with something else.")
    if isinstance(error, Unsent):
        return UpstreamFailed("The provider cannot be reached.")
    return UpstreamBroke("The provider's connection broke before it answered.")


async def refused(world: World, case: Case, made: Made, answer: Answer) -> ProxyError:
    """Note an answer that is an error. Providers bill nothing for those."""
    at_s = world.now() // NS
    line = metering.attempt(made.n, made.deployment, at_s, usage=None, failed=True, status=answer.status)
    case.ticket.attempts.append(line)
    try:
        body = await answer.read(client.ERROR_BYTES_MAX)
    except Lost:
        body = b""
    return dialects.read_error(made.deployment, case.ask, answer.status, body, answer.header("retry-after"))
