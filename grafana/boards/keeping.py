"""Whether prices, service and books are right."""

from __future__ import annotations

from typing import Final

from grafana.panels import (
    COUNT,
    PER_S,
    PERCENT,
    PLANS,
    SECONDS,
    USD,
    Board,
    Panel,
    grown,
    quantiles,
    rate,
    ratio,
    stat_of,
)

PRICES: Final = Board(
    "prices",
    "prices & reconciliation",
    "Whether the books know what providers bill.",
    (
        stat_of(
            "Not priced",
            "Exchanges of the time range whose cost or baseline is not known. `penstock prices` finds what is missing.",
            COUNT,
            f"{grown('penstock_unpriced_requests_total')} or vector(0)",
        ),
        stat_of(
            "Estimated share of cost",
            "Cost that no provider reported; above 2 % is an alert.",
            PERCENT,
            ratio(
                f"({grown('penstock_cogs_usd_total', '{kind=' + chr(34) + 'estimated' + chr(34) + '}')} or vector(0))",
                grown("penstock_cogs_usd_total"),
            ),
        ),
        stat_of(
            "Usage captured",
            "Share of exchanges whose usage the provider reported and that can be priced.",
            PERCENT,
            "min(job:penstock_capture:ratio1h)",
        ),
        stat_of(
            "Tokens that cost nothing",
            "Exchanges of the time range with tokens and a cost of 0: free models, or a wrong price.",
            COUNT,
            f"{grown('penstock_costless_requests_total')} or vector(0)",
        ),
        Panel(
            "Explained by the books",
            "Of the dollars billed, at the last comparison with each account.",
            PERCENT,
            (("{{account}}", "max by (account) (penstock_reconcile_explained_ratio)"),),
        ),
        Panel(
            "Booked minus billed",
            "At the last comparison with each account.",
            USD,
            (("{{account}}", "max by (account) (penstock_reconcile_difference_usd)"),),
        ),
        Panel(
            "Differences",
            "Calls, or days of a model, that did not match at the last comparison.",
            COUNT,
            (("{{account}}", "max by (account) (penstock_reconcile_differences)"),),
        ),
        Panel(
            "Since the last comparison",
            "`penstock reconcile` makes one.",
            SECONDS,
            (("{{account}}", "time() - max by (account) (penstock_reconcile_last_run_timestamp_seconds)"),),
        ),
        Panel(
            "Usage not reported",
            "Whole answers, by who gave them; each is booked as an estimate.",
            PER_S,
            (("{{provider}} {{model}}", rate("penstock_usage_unusable_total", "provider, model")),),
        ),
        Panel(
            "Cost of a thousand tokens",
            "Cost by tokens of all buckets, at the present pace, by model; a step is a change of price or of use.",
            USD,
            (
                (
                    "{{model}}",
                    (
                        f"1000 * {rate('penstock_provider_cogs_usd_total', 'model')} / "
                        f"({rate('penstock_tokens_total', 'model')} > 0)"
                    ),
                ),
            ),
        ),
        Panel(
            "Cost by provider",
            "Per hour at the present pace, by who bills it.",
            USD,
            (("{{provider}}", f"3600 * {rate('penstock_provider_cogs_usd_total', 'provider')}"),),
        ),
        Panel(
            "Corrected",
            "Cost that corrections took out again, per hour.",
            USD,
            (("corrected", "3600 * sum(rate(penstock_cogs_corrected_usd_total[$__rate_interval])) or vector(0)"),),
        ),
    ),
    since="now-24h",
)

SERVICE: Final = Board(
    "service",
    "service health",
    "Rate, errors and duration of what callers see.",
    (
        stat_of(
            "Requests",
            "Exchanges called in the time range, of the plans chosen.",
            COUNT,
            grown("penstock_requests_total", PLANS),
        ),
        stat_of(
            "Answered whole",
            "Share of exchanges of the time range that ended well; a client that left is no failure.",
            PERCENT,
            ratio(grown("penstock_requests_total", '{outcome=~"ok|client_gone"}'), grown("penstock_requests_total")),
        ),
        stat_of("Workers", "Processes that answer.", COUNT, "sum(penstock_workers)"),
        stat_of(
            "Refused",
            "Requests of the time range that did not reach the books.",
            COUNT,
            f"{grown('penstock_refused_total')} or vector(0)",
        ),
        Panel(
            "Latency",
            "Whole exchanges, the provider's time included; half are faster than p50. All plans.",
            SECONDS,
            quantiles("penstock_request_duration_seconds"),
        ),
        Panel(
            "First byte",
            "From the call to the first byte of the provider's answer.",
            SECONDS,
            quantiles("penstock_ttft_seconds"),
        ),
        Panel(
            "Overhead",
            "What callers waited for the proxy and not for the provider. A rise with a flat latency is ours.",
            SECONDS,
            quantiles("penstock_overhead_seconds"),
        ),
        Panel(
            "Outcomes", "How exchanges ended.", PER_S, (("{{outcome}}", rate("penstock_requests_total", "outcome")),)
        ),
        Panel(
            "Calls",
            "Each try on its own, by provider and what came of it.",
            PER_S,
            (("{{provider}}, {{result}}", rate("penstock_attempts_total", "provider, result")),),
        ),
        Panel(
            "Refusals",
            "Requests refused before they reached the books, by reason.",
            PER_S,
            (("{{reason}}", rate("penstock_refused_total", "reason")),),
        ),
        Panel(
            "Configuration",
            "Readings of a changed configuration; 1 while a changed one is refused.",
            COUNT,
            (
                ("{{result}}", "sum by (result) (increase(penstock_config_reloads_total[$__range])) or vector(0)"),
                ("refused now", "1 - min(penstock_config_last_reload_successful)"),
            ),
        ),
    ),
    has_plan=True,
)

LEDGER: Final = Board(
    "ledger",
    "ledger integrity",
    "Whether the books are whole: all but the workers' figures should be zero.",
    (
        stat_of(
            "Books sound",
            "1 when the last audit found them so; n/a before the first, a minute after the start.",
            COUNT,
            "min(penstock_ledger_audit_ok)",
        ),
        stat_of("Violations", "What the last audit found wrong.", COUNT, "sum(penstock_ledger_audit_violations)"),
        stat_of("Refused records", "Journal records without effect.", COUNT, "sum(penstock_ledger_refused_records)"),
        stat_of(
            "Lag",
            "Age of the oldest record that is not folded and stored yet.",
            SECONDS,
            "max(penstock_ledger_lag_seconds)",
        ),
        Panel(
            "Lag over time",
            "It rises while the ledger is locked or its disk full.",
            SECONDS,
            (("lag", "max(penstock_ledger_lag_seconds)"),),
        ),
        Panel(
            "Journals",
            "That a disk error closed, or that belong to another folder; ledgers set aside.",
            COUNT,
            (
                ("broken", "sum(penstock_journals_broken)"),
                ("foreign", "sum(penstock_journals_foreign)"),
                ("ledgers set aside", "sum(penstock_ledger_refolded)"),
            ),
        ),
        Panel(
            "Holds",
            "Open, past their deadline, and closed after it.",
            COUNT,
            (
                ("open", "sum(penstock_reservations_open)"),
                ("stale", "sum(penstock_reservations_stale)"),
                ("reaped", "sum(penstock_reservations_reaped)"),
            ),
        ),
        Panel(
            "Since the last audit",
            "They come an hour apart, or nineteen times their own length.",
            SECONDS,
            (
                ("since", "time() - max(penstock_ledger_audit_timestamp_seconds)"),
                ("took", "max(penstock_ledger_audit_duration_seconds)"),
            ),
        ),
        Panel(
            "Beyond hard budgets",
            "Cost that providers billed beyond a ceiling.",
            USD,
            (("overshot", "sum(penstock_budget_overshoot_usd)"),),
        ),
        Panel(
            "Kept in memory",
            "Answers of idempotency keys, and conversations.",
            "bytes",
            (
                ("answers", "sum(penstock_idempotency_answer_bytes)"),
                ("conversations", "sum(penstock_conversation_bytes)"),
            ),
        ),
    ),
)
