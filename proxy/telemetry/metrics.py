"""The metrics, all of them, with closed label sets. No metric carries both plan and model.

Money, credits, tokens and request counts are read from the ledger's rollup at each scrape, so a counter here *is* the
ledger, also after a restart. Latencies are observed as exchanges are folded (`proxy.telemetry.observed`), and refusals
as workers report them: those start at zero with the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from margin.records import COST_KINDS, OTHER_COSTS
from proxy.telemetry import worked
from proxy.telemetry.observed import Observed
from proxy.telemetry.routed import NUSD, Alerted, Guarded, alerted, guarded
from proxy.telemetry.standing import Standing, standing

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REVENUE_KINDS = {"credits": "credits", "usage": "usage", "subscription": "fee", "breakage": "breakage",
                 "metered": "metered", "seats": "seats", "shortfall": "shortfall", "tasks": "tasks"}  # fmt: skip
TOKEN_BUCKETS = ("input", "cache_read", "cache_write", "output")


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The latest comparison with one kind of provider's account. What is unknown is None."""

    account: str
    t_s: float
    explained_share: float | None
    difference_usd: float | None
    differences: int


@dataclass(frozen=True, slots=True)
class BudgetLeft:
    """What is left of one budget of the configuration: of all, a plan, a feature or a model. Names are the YAML's."""

    kind: str
    subject: str
    per: str
    of: str
    action: str
    remaining_usd: float
    reset_s: float | None
    """In how long it begins anew; None when nobody can say."""


@dataclass(frozen=True, slots=True)
class Books:
    """What the collector asks the ledger, as functions: sums of the rollup by labels, balances, and gauges."""

    totals: Callable[[tuple[str, ...], tuple[str, ...]], list[tuple[Any, ...]]]
    credits_milli: Callable[[], dict[str, int]]
    gauges: Callable[[], dict[str, float]]
    baseline: Callable[[], str]
    reconciled: Callable[[], list[Reconciled]]
    claims: Callable[[], Mapping[str, int]]
    budgets: Callable[[], Mapping[tuple[str, str, str], int]] = dict
    """How many budgets of a kind and action are spent how far, by band."""
    resting: Callable[[], Mapping[str, int]] = dict
    """How many workers leave a deployment alone."""
    budgets_left: Callable[[], Iterable[BudgetLeft]] = tuple
    budgets_least: Callable[[], Mapping[tuple[str, str], float]] = dict
    """Of the budgets of a kind and action the least part that is left of any."""
    guarding: Guarded | None = None
    task_totals: Callable[[], Iterable[tuple[str, str, int, int]]] = tuple
    """Type, event, count and cost in nano-dollars of what happened to tasks."""
    standing: Callable[[], Standing] = Standing
    alerting: Alerted | None = None


_GAUGES = {
    "penstock_reservations_reaped": "Holds that this process closed after their deadline.",
    "penstock_credits_overdraft": "Credits held or charged with no grant behind them, less what was covered since.",
    "penstock_credits_owed": "Overdraft of plans that serve nothing past the balance, to be covered first.",
    "penstock_reservations_open": "Exchanges whose hold is open.",
    "penstock_reserved_credits": "Credits put aside by open holds.",
    "penstock_reservations_stale": "Open holds past their deadline; should be 0.",
    "penstock_ledger_lag_seconds": "Age of the oldest journalled record that is not folded yet.",
    "penstock_idempotency_answers": "Answers kept for requests with an idempotency key.",
    "penstock_idempotency_answer_bytes": "Their size.",
    "penstock_conversations": "Responses kept that may be gone on with.",
    "penstock_conversation_bytes": "Their size.",
    "penstock_journals_broken": "Journals that a disk error closed, until fresh ones are open; should be 0.",
    "penstock_journals_foreign": "Journals of another data folder, left alone in this one; should be 0.",
    "penstock_budget_overshoot_usd": "Cost beyond hard budgets in their present periods; should be 0.",
    "penstock_runaways": "Customers that this process told of for costing far more a minute than they usually do.",
    "penstock_workers": "Worker processes that answer.",
    "penstock_ledger_refolded": "Ledgers set aside as the journals had lost records they knew; should be 0.",
    "penstock_ledger_refused_records": "Journal records without effect; should be 0.",
    "penstock_ledger_audit_ok": "1 when the last audit ended and found the books sound, else 0.",
    "penstock_ledger_audit_violations": "What the last audit found wrong; should be 0.",
    "penstock_ledger_audit_timestamp_seconds": "When the last audit ended, in seconds since 1970.",
    "penstock_ledger_audit_duration_seconds": "How long the last audit took.",
}


class Metrics:
    """The registry, and the few instruments that are fed as things happen."""

    def __init__(self, books: Books) -> None:
        # Series that only say when a series began double the exposition and nobody asks for them.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.observed = Observed(self.registry)
        self._refused = Counter(
            "penstock_refused", "Requests refused before they reached the books.", ("reason",), registry=self.registry
        )
        self._meant = Counter(
            "penstock_semantic_cache", "What look-ups by meaning, and checks of such answers, came to.", ("event",),
            registry=self.registry,
        )  # fmt: skip
        self._meant_s = Counter(
            "penstock_semantic_cache_seconds", "CPU that look-ups by meaning took.", registry=self.registry
        )
        self._stored = Counter(
            "penstock_answer_store", "What look-ups and writes of answers beside the workers' memory came to.",
            ("event",), registry=self.registry,
        )  # fmt: skip
        self._reloads = Counter(
            "penstock_config_reloads", "Readings of a changed configuration, by result.", ("result",),
            registry=self.registry,
        )  # fmt: skip
        self._reload_ok = Gauge(
            "penstock_config_last_reload_successful", "1 while the newest configuration serves, else 0.",
            registry=self.registry,
        )  # fmt: skip
        self._reload_ok.set(1)
        self.registry.register(_LedgerCollector(books))

    def refused(self, counts: dict[str, int]) -> None:
        """Add refusals a worker reports."""
        for reason, count in counts.items():
            self._refused.labels(reason).inc(count)

    def stored(self, counts: dict[str, float]) -> None:
        """Add look-ups and writes of the answer store that a worker reports."""
        for event, count in counts.items():
            self._stored.labels(event).inc(count)

    def meant(self, counts: dict[str, float]) -> None:
        """Add look-ups by meaning that a worker reports, and the seconds they took."""
        self._meant_s.inc(counts.pop("seconds"))
        for event, count in counts.items():
            self._meant.labels(event).inc(count)

    def reloaded(self, *, ok: bool) -> None:
        """Count a reading of the configuration."""
        self._reloads.labels("ok" if ok else "refused").inc()
        self._reload_ok.set(1 if ok else 0)

    def render(self) -> bytes:
        """Return the exposition text."""
        return generate_latest(self.registry)


class _LedgerCollector(Collector):
    """Counters that are the ledger's sums."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def describe(self) -> Iterable[Metric]:
        # Nothing is asked of the ledger at registration.
        return ()

    def collect(self) -> Iterator[Metric]:
        yield from self._requests()
        yield from self._costs()
        yield from self._revenue()
        yield from self._savings()
        yield from self._credits()
        yield from self._reconciled()
        claims = CounterMetricFamily(
            "penstock_idempotency_claims", "Requests with an idempotency key, by verdict.", labels=("verdict",)
        )
        for verdict, count in self._books.claims().items():
            claims.add_metric((verdict,), count)
        yield claims
        budgets = GaugeMetricFamily(
            "penstock_budgets", "Budgets that something was spent of in their period, by how far they are spent.",
            labels=("kind", "action", "band"),
        )  # fmt: skip
        for labels, count in self._books.budgets().items():
            budgets.add_metric(labels, count)
        yield budgets
        resting = GaugeMetricFamily(
            "penstock_deployments_resting", "Workers that leave a deployment alone, as its calls fail.",
            labels=("deployment",),
        )  # fmt: skip
        for name, count in self._books.resting().items():
            resting.add_metric((name,), count)
        yield resting
        yield from self._budgets_left()
        yield from guarded(self._books.guarding)
        yield from worked.tasks(self._books.task_totals())
        yield from worked.unused(self._books.totals(("1",), tuple(worked.UNUSED.values())))
        yield from standing(self._books.standing())
        yield from alerted(self._books.alerting)
        for name, value in self._books.gauges().items():
            yield GaugeMetricFamily(name, _GAUGES[name], value=value)

    def _budgets_left(self) -> Iterator[Metric]:
        labels = ("kind", "subject", "per", "of", "action")
        left = GaugeMetricFamily(
            "penstock_budget_remaining_usd", "What is left of each budget of a plan, a feature, a model, or all.",
            labels=labels,
        )  # fmt: skip
        reset = GaugeMetricFamily(
            "penstock_budget_reset_seconds", "In how long such a budget begins anew, or gets the first of it back.",
            labels=labels,
        )  # fmt: skip
        for each in self._books.budgets_left():
            values = (each.kind, each.subject, each.per, each.of, each.action)
            left.add_metric(values, each.remaining_usd)
            if each.reset_s is not None:
                reset.add_metric(values, each.reset_s)
        least = GaugeMetricFamily(
            "penstock_budget_remaining_ratio", "The least part that is left of any budget of a kind.",
            labels=("kind", "action"),
        )  # fmt: skip
        for kind, ratio in self._books.budgets_least().items():
            least.add_metric(kind, ratio)
        yield from (left, reset, least)

    def _requests(self) -> Iterator[Metric]:
        yield self._counter(
            "penstock_requests", "Exchanges called, by plan, charge tier and outcome.",
            {"plan": "plan", "tier": "charge_tier", "outcome": "outcome"}, "requests", 1,
        )  # fmt: skip
        yield self._counter(
            "penstock_provider_requests", "Exchanges called, by who served and outcome.",
            {"provider": "provider", "model": "model", "outcome": "outcome"}, "requests", 1,
        )  # fmt: skip
        yield self._counter(
            "penstock_unpriced_requests", "Exchanges whose cost or baseline is not known.",
            {"provider": "provider", "model": "model"}, "unpriced", 1,
        )  # fmt: skip
        yield self._counter(
            "penstock_usage_unusable",
            "Whole answers whose usage the provider did not report, or contradicted itself in.",
            {"provider": "provider", "model": "model"}, "usage_unusable", 1,
        )  # fmt: skip
        yield self._counter(
            "penstock_costless_requests",
            "Exchanges that used tokens and cost nothing: of a free model, or a wrong price.",
            {"provider": "provider", "model": "model"}, "costless", 1,
        )  # fmt: skip
        yield self._counter(
            "penstock_provider_busy_seconds", "How long callers waited for providers, of exchanges settled live.",
            {"provider": "provider"}, "busy_us", 1_000_000,
        )  # fmt: skip
        tokens = CounterMetricFamily("penstock_tokens", "Tokens, by model and bucket.", labels=("model", "bucket"))
        for model, *sums in self._books.totals(("model",), TOKEN_BUCKETS):
            for bucket, count in zip(TOKEN_BUCKETS, sums, strict=True):
                if count:
                    tokens.add_metric((model, bucket), count)
        yield tokens

    def _costs(self) -> Iterator[Metric]:
        kinds = (*COST_KINDS, *OTHER_COSTS)
        columns = tuple(f"cost_{kind}_nusd" for kind in kinds)
        sides = {
            "penstock_cogs_usd": ("Cost, by plan, charge tier and kind.", ("plan", "tier"), ("plan", "charge_tier")),
            "penstock_provider_cogs_usd": (
                "Cost, by who billed it and kind.",
                ("provider", "model"),
                ("provider", "model"),
            ),
        }
        for name, (text, labels, grouped) in sides.items():
            family = CounterMetricFamily(name, text, labels=(*labels, "kind"))
            for one, other, *sums in self._books.totals(grouped, columns):
                for kind, nusd in zip(kinds, sums, strict=True):
                    if nusd or (kind == "model" and other):
                        family.add_metric((one, other, kind), nusd / NUSD)
            yield family
        yield self._counter(
            "penstock_cogs_corrected_usd", "Cost that corrections took out of the books again, by plan and tier.",
            {"plan": "plan", "tier": "charge_tier"}, "cost_corrected_nusd", NUSD,
        )  # fmt: skip
        yield self._counter(
            "penstock_other_cogs_corrected_usd", "Cost of tasks beside their calls that was told wrongly, by plan.",
            {"plan": "plan"}, "cost_other_corrected_nusd", NUSD,
        )  # fmt: skip
        yield self._counter(
            "penstock_unearned_cogs_usd", "Cost of tasks that failed, were handed off or reversed, by plan.",
            {"plan": "plan"}, "cost_unearned_nusd", NUSD,
        )  # fmt: skip

    def _reconciled(self) -> Iterator[Metric]:
        found = self._books.reconciled()
        sides: dict[str, tuple[str, Callable[[Reconciled], float | None]]] = {
            "explained_ratio": (
                "Share of the billed dollars that the books explain.",
                lambda each: each.explained_share,
            ),
            "difference_usd": ("Booked minus billed.", lambda each: each.difference_usd),
            "differences": ("Calls, or days of a model, that do not match.", lambda each: each.differences),
            "last_run_timestamp_seconds": ("When it was compared.", lambda each: each.t_s),
        }
        for name, (text, value_of) in sides.items():
            family = GaugeMetricFamily(
                f"penstock_reconcile_{name}", f"Last comparison with a provider's account: {text}", labels=("account",)
            )
            for each in found:
                value = value_of(each)
                if value is not None:
                    family.add_metric((each.account,), value)
            yield family

    def _revenue(self) -> Iterator[Metric]:
        columns = tuple(f"revenue_{column}_nusd" for column in REVENUE_KINDS.values())
        family = CounterMetricFamily(
            "penstock_revenue_recognized_usd", "Revenue, by plan and kind.", labels=("plan", "kind")
        )
        for plan, *sums in self._books.totals(("plan",), columns):
            for kind, nusd in zip(REVENUE_KINDS, sums, strict=True):
                family.add_metric((plan, kind), nusd / NUSD)
        yield family
        reversible = ("credits", "usage", "metered", "tasks")
        columns = tuple(f"revenue_{kind}_reversed_nusd" for kind in reversible)
        family = CounterMetricFamily(
            "penstock_revenue_reversed_usd", "Revenue taken back with its charge, by plan and kind.",
            labels=("plan", "kind"),
        )  # fmt: skip
        for plan, *sums in self._books.totals(("plan",), columns):
            for kind, nusd in zip(reversible, sums, strict=True):
                if nusd:
                    family.add_metric((plan, kind), nusd / NUSD)
        yield family

    def _savings(self) -> Iterator[Metric]:
        columns = ("baseline_nusd", "saving_cache_nusd", "saving_routing_nusd", "saving_negative_nusd",
                   "saving_prompt_nusd", "saving_prompt_negative_nusd", "cost_overhead_nusd",
                   "saving_trims_nusd")  # fmt: skip
        sums = self._books.totals(("1",), columns)
        found = sums[0][1:] if sums else (0,) * len(columns)
        baseline, spared, net, negative, marks, marks_negative, overhead, trims = found
        family = CounterMetricFamily(
            "penstock_baseline_usd", "What the baseline would have cost.", labels=("baseline",)
        )
        family.add_metric((self._books.baseline(),), baseline / NUSD)
        yield family
        saved = {
            "routing": net + negative,
            "prompt_cache": marks + marks_negative,
            "response_cache": spared,
            "prompt_optimisation": trims,
        }
        lost = {"routing": negative, "prompt_cache": marks_negative, "overhead": overhead}
        for name, text, levers in (
            ("penstock_savings_usd", "Savings against the baseline, where positive.", saved),
            ("penstock_savings_negative_usd", "Losses against the baseline, where the bill was higher.", lost),
        ):
            family = CounterMetricFamily(name, text, labels=("lever", "attribution", "basis"))
            for lever, nusd in levers.items():
                family.add_metric((lever, "gateway", "same_token"), nusd / NUSD)
            yield family

    def _credits(self) -> Iterator[Metric]:
        yield self._counter(
            "penstock_credits_consumed", "Credits charged, by plan and charge tier.",
            {"plan": "plan", "tier": "charge_tier"}, "credits_milli", 1000,
        )  # fmt: skip
        yield self._counter(
            "penstock_credits_reversed", "Credits given back with a reversed charge, by plan and charge tier.",
            {"plan": "plan", "tier": "charge_tier"}, "credits_reversed_milli", 1000,
        )  # fmt: skip
        milli = self._books.credits_milli()
        for name, text in (("granted", "Credits given."), ("expired", "Credits that ended unused.")):
            yield CounterMetricFamily(f"penstock_credits_{name}", text, value=milli[name] / 1000)
        yield self._counter(
            "penstock_overdraft_credits", "Credits charged beyond what was held for a request, by plan.",
            {"plan": "plan"}, "excess_milli", 1000,
        )  # fmt: skip

    def _counter(self, name: str, text: str, labels: dict[str, str], column: str, unit: float) -> Metric:
        family = CounterMetricFamily(name, text, labels=tuple(labels))
        for *values, total in self._books.totals(tuple(labels.values()), (column,)):
            if total:
                family.add_metric(values, total / unit)
        return family
