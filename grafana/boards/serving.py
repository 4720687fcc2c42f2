"""How requests are served, what levers save, and what customers may still use."""

from __future__ import annotations

from typing import Final

from grafana.panels import (
    COUNT,
    PER_S,
    PERCENT,
    PLANS,
    USD,
    Board,
    Panel,
    grown,
    less,
    rate,
    ratio,
    saved,
    stat_of,
)

ROUTING: Final = Board(
    "routing",
    "routing & classifier",
    "Where requests go, what that costs, and how often it had to be mended.",
    (
        Panel(
            "Requests by tier",
            "Exchanges called, by the tier that is charged, of the plans chosen.",
            PER_S,
            (("{{tier}}", rate("penstock_requests_total", "tier", PLANS)),),
        ),
        Panel(
            "Spend by tier",
            "Cost per hour at the present pace, by the tier that is charged, of the plans chosen. Seven "
            "requests of ten may be simple and most of the cost complex: look at both.",
            USD,
            (("{{tier}}, per hour", f"3600 * {rate('penstock_cogs_usd_total', 'tier', PLANS)}"),),
        ),
        Panel(
            "Share of requests by tier",
            "Of the last hour; the brief's diagram sends 70 to 80 % to the cheapest.",
            PERCENT,
            (("{{tier}}", "tier:penstock_requests:share1h"),),
        ),
        Panel(
            "Cost of a request",
            "How many exchanges a second cost how many dollars; the brief's bands are the edges.",
            USD,
            (("{{le}}", rate("penstock_cost_per_request_usd_bucket", "le")),),
            "heatmap",
        ),
        Panel(
            "Mean cost of a request",
            "By the tier that is charged.",
            USD,
            (
                (
                    "{{tier}}",
                    (
                        f"{rate('penstock_cost_per_request_usd_sum', 'tier')} / "
                        f"({rate('penstock_cost_per_request_usd_count', 'tier')} > 0)"
                    ),
                ),
            ),
        ),
        Panel(
            "Requests by model",
            "Exchanges called, by who served; cache is an answer from memory.",
            PER_S,
            (("{{provider}} {{model}}", rate("penstock_provider_requests_total", "provider, model")),),
        ),
        Panel(
            "Asked for again",
            "Answers that were not good enough, by the tier that gave them and their flaw.",
            PER_S,
            (("{{tier}}, {{flaw}}", rate("penstock_escalations_total", "tier, flaw")),),
        ),
        Panel(
            "Company for slow calls",
            "Hedged calls, by who answered.",
            PER_S,
            (("{{answered}}", rate("penstock_hedges_total", "answered")),),
        ),
        Panel(
            "A model asked in doubt",
            "Requests between two tiers, by how the model's word came and whether it moved them.",
            PER_S,
            (("{{came}}, moved: {{moved}}", rate("penstock_advice_total", "came, moved")),),
        ),
        Panel(
            "Turns of conversations",
            "What was decided for turns that `auto` routed.",
            PER_S,
            (("{{decided}}", rate("penstock_session_turns_total", "decided")),),
        ),
        Panel(
            "Deployments left alone",
            "Workers that do not call a deployment now, as its calls fail.",
            COUNT,
            (("{{deployment}}", "sum by (deployment) (penstock_deployments_resting)"),),
        ),
    ),
    has_plan=True,
)

CACHING: Final = Board(
    "caching",
    "caching & levers",
    "What was not asked, what was read from providers' caches, and what each lever saved.",
    (
        stat_of(
            "Answered from memory",
            "Share of exchanges that nobody was called for, in the time range.",
            PERCENT,
            ratio(
                f"({grown('penstock_provider_requests_total', '{provider=' + chr(34) + 'cache' + chr(34) + '}')} "
                "or vector(0))",
                grown("penstock_provider_requests_total"),
            ),
        ),
        stat_of(
            "Input read from providers' caches",
            "Share of input tokens, in the time range; reads cost a tenth to a half.",
            PERCENT,
            ratio(
                grown("penstock_tokens_total", '{bucket="cache_read"}'),
                grown("penstock_tokens_total", '{bucket=~"input|cache_read|cache_write"}'),
            ),
        ),
        stat_of(
            "Saved of the baseline",
            "Share of what the same tokens would have cost; an estimate.",
            PERCENT,
            ratio(saved(), grown("penstock_baseline_usd_total")),
        ),
        stat_of(
            "Answers that nobody got",
            "What they cost in the time range: not good enough, or second.",
            USD,
            grown("penstock_unused_cogs_usd_total"),
        ),
        Panel(
            "Saved by each lever",
            "Per hour at the present pace, where positive.",
            USD,
            (("{{lever}}, per hour", f"3600 * {rate('penstock_savings_usd_total', 'lever')}"),),
        ),
        Panel(
            "Lost by each lever",
            "Per hour at the present pace, where the bill was higher; overhead is what calls of our own cost.",
            USD,
            (("{{lever}}, per hour", f"3600 * {rate('penstock_savings_negative_usd_total', 'lever')}"),),
        ),
        Panel(
            "Tokens",
            "Tokens per second by bucket, all models; no token is in two buckets.",
            COUNT,
            (("{{bucket}}", rate("penstock_tokens_total", "bucket")),),
        ),
        Panel(
            "Written and read",
            "Tokens written to and read from providers' caches per second. Writes above reads cost more "
            "than they save.",
            COUNT,
            (("{{bucket}}", rate("penstock_tokens_total", "bucket", '{bucket=~"cache_.*"}')),),
        ),
        Panel(
            "Answers by meaning",
            "Look-ups, and the checks of such answers.",
            PER_S,
            (("{{event}}", rate("penstock_semantic_cache_total", "event")),),
        ),
        Panel(
            "CPU of answers by meaning",
            "Seconds per second.",
            PERCENT,
            (("CPU", "sum(rate(penstock_semantic_cache_seconds_total[$__rate_interval]))"),),
        ),
        Panel(
            "Idempotency keys",
            "Requests with a key, by verdict.",
            PER_S,
            (("{{verdict}}", rate("penstock_idempotency_claims_total", "verdict")),),
        ),
    ),
)

CREDITS: Final = Board(
    "credits",
    "credits & limits",
    "What customers may still use, what is put aside, and what was refused.",
    (
        stat_of(
            "Granted",
            "Credits given in the time range.",
            COUNT,
            "sum(increase(penstock_credits_granted_total[$__range]))",
        ),
        stat_of(
            "Consumed",
            "Credits charged in the time range, less what came back, of the plans chosen.",
            COUNT,
            less(grown("penstock_credits_consumed_total", PLANS), grown("penstock_credits_reversed_total", PLANS)),
        ),
        stat_of(
            "Expired",
            "Credits that ended unused in the time range.",
            COUNT,
            "sum(increase(penstock_credits_expired_total[$__range]))",
        ),
        stat_of(
            "Overdraft",
            "Credits held or charged with no grant behind them, less what was covered since.",
            COUNT,
            "sum(penstock_credits_overdraft)",
        ),
        Panel(
            "Credits consumed",
            "Credits charged per hour at the present pace, by tier, of the plans chosen.",
            COUNT,
            (("{{tier}}, per hour", f"3600 * {rate('penstock_credits_consumed_total', 'tier', PLANS)}"),),
        ),
        Panel(
            "Put aside",
            "Open holds, and the credits they put aside. Stale ones should be none.",
            COUNT,
            (
                ("holds", "sum(penstock_reservations_open)"),
                ("credits", "sum(penstock_reserved_credits)"),
                ("stale", "sum(penstock_reservations_stale)"),
            ),
        ),
        Panel(
            "Charged beyond holds",
            "Credits per hour at the present pace, by plan.",
            COUNT,
            (("{{plan}}", f"3600 * {rate('penstock_overdraft_credits_total', 'plan', PLANS)}"),),
        ),
        Panel(
            "Refused",
            "Requests refused before they reached the books, by reason: bad keys, bad bodies, limits, spent credit.",
            PER_S,
            (("{{reason}}", rate("penstock_refused_total", "reason")),),
        ),
        Panel(
            "Budgets",
            "Budgets that something was spent of, by kind and how far.",
            COUNT,
            (("{{kind}} {{action}}, {{band}}", "sum by (kind, action, band) (penstock_budgets)"),),
            "bars",
        ),
        Panel(
            "Least left of any budget",
            "Of the budgets of a kind.",
            PERCENT,
            (("{{kind}}, {{action}}", "min by (kind, action) (penstock_budget_remaining_ratio)"),),
        ),
        Panel(
            "Left of the configuration's budgets",
            "Of all, a plan, a feature or a model.",
            USD,
            (("{{kind}} {{subject}} per {{per}}", "min by (kind, subject, per) (penstock_budget_remaining_usd)"),),
        ),
    ),
    has_plan=True,
)
