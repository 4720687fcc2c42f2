"""What is earned, by whom, and on what: the owner's dashboards."""

from __future__ import annotations

from typing import Final

from grafana.panels import (
    COUNT,
    PERCENT,
    PLANS,
    RANGE,
    USD,
    Board,
    Panel,
    cost,
    grown,
    rate,
    ratio,
    revenue,
    saved,
    stat_of,
)

MARGIN: Final = Board(
    "margin",
    "margin",
    "What is earned, what it costs, and what the house saves: the owner's view.",
    (
        stat_of(
            "Revenue",
            "Recognised in the time range, of the plans chosen, less what was reversed: credits burnt, usage, "
            "fees by time, seats, tasks, breakage.",
            USD,
            revenue(PLANS),
        ),
        stat_of(
            "Cost",
            "What providers bill for the time range, of the plans chosen, as corrected; estimates and failed "
            "calls included.",
            USD,
            cost(PLANS),
        ),
        stat_of(
            "Margin",
            "(Revenue - cost) / revenue in the time range, of the plans chosen; n/a where there is no revenue. "
            "A request whose cost is not known has none here.",
            PERCENT,
            f"1 - {ratio(f'({cost(PLANS)} or vector(0))', revenue(PLANS))}",
        ),
        stat_of(
            "Savings against the baseline",
            "What the same tokens would have cost at the baseline, less what they did "
            "cost; an estimate, below zero where routing made them dearer. All plans.",
            USD,
            saved(),
        ),
        stat_of(
            "Top tenth's share of revenue",
            "Of this month's revenue, that of the top tenth of paying customers. Much "
            "above a half, few customers hold the house up.",
            PERCENT,
            "max(penstock_top_tenth_revenue_ratio)",
        ),
        stat_of(
            "Customers at a loss",
            "Customers that cost more than they brought this month. `penstock report customers` names them.",
            COUNT,
            'sum(penstock_customer_margin_bucket{bucket="loss", plan=~"$plan"})',
        ),
        Panel(
            "Revenue and cost",
            "Per hour at the present pace, of the plans chosen.",
            USD,
            (
                (
                    "revenue per hour",
                    f"3600 * sum(rate(penstock_revenue_recognized_usd_total{PLANS}[$__rate_interval]))",
                ),
                ("cost per hour", f"3600 * sum(rate(penstock_cogs_usd_total{PLANS}[$__rate_interval]))"),
            ),
        ),
        Panel(
            "Margin of the last day, by plan",
            "Beside what each plan aims at. Below its target for two hours it is an alert.",
            PERCENT,
            (
                ("{{plan}}", f"plan:penstock_margin:ratio1d{PLANS}"),
                ("{{plan}}, target", f"penstock_margin_target_ratio{PLANS}"),
            ),
        ),
        Panel(
            "From baseline to bill",
            "What the same tokens would have cost, what each lever took off, and what overheads "
            "and losses put on, in the time range. All plans; an estimate but for the bill.",
            USD,
            (
                ("baseline", grown("penstock_baseline_usd_total")),
                ("saved by {{lever}}", grown("penstock_savings_usd_total", by="lever")),
                ("lost by {{lever}}", grown("penstock_savings_negative_usd_total", by="lever")),
                ("bill", cost()),
            ),
            "bars",
        ),
        Panel(
            "Customers by margin",
            "How many customers of the plans chosen have which margin this month, in percent; na has "
            "neither revenue nor loss.",
            COUNT,
            (("{{bucket}}", 'sum by (bucket) (penstock_customer_margin_bucket{plan=~"$plan"})'),),
            "bars",
        ),
        Panel(
            "Revenue by kind",
            "Per hour at the present pace, of the plans chosen.",
            USD,
            (("{{kind}}, per hour", f"3600 * {rate('penstock_revenue_recognized_usd_total', 'kind', PLANS)}"),),
        ),
        Panel(
            "Cost by kind",
            "Per hour at the present pace: model is what providers reported, estimated what they did not, "
            "classifier and shadow calls of our own.",
            USD,
            (("{{kind}}, per hour", f"3600 * {rate('penstock_cogs_usd_total', 'kind', PLANS)}"),),
        ),
    ),
    has_plan=True,
)

CUSTOMERS: Final = Board(
    "customers",
    "customers",
    "Who earns and who costs. Names only where `server.metrics_customers` asks for them; "
    "`penstock report customers` and the page have all.",
    (
        stat_of(
            "Power users",
            "Customers whose cost this month is over five times the average.",
            COUNT,
            "sum(penstock_power_users)",
        ),
        stat_of(
            "Their share of the cost",
            "Of this month's cost, that of power users; n/a where nothing was spent.",
            PERCENT,
            "max(penstock_power_users_cost_ratio)",
        ),
        stat_of(
            "Credits used up",
            "Customers with grants that have nothing left of those that have not ended.",
            COUNT,
            'sum(penstock_customers_by_credit_left{bucket="0"})',
        ),
        stat_of(
            "Not named",
            "Customers that cost something this month and are in no table here.",
            COUNT,
            "sum(penstock_top_customers_left_out)",
        ),
        Panel(
            "Biggest losses",
            "Margin of this month so far, of those that lose most. A name leads to the page.",
            USD,
            (("", "sort(sum by (customer) (penstock_top_customer_margin_usd))"),),
            "table",
            link="${page}#customer=${__value.text}",
        ),
        Panel(
            "Biggest costs",
            "Cost of this month so far, of those that cost most. A name leads to the page.",
            USD,
            (("", "sort_desc(sum by (customer) (penstock_top_customer_cost_usd))"),),
            "table",
            link="${page}#customer=${__value.text}",
        ),
        Panel(
            "Customers by credits left",
            "Of those with grants: nothing, below 5 %, below 20 %, or enough.",
            COUNT,
            (("{{bucket}}", "sum by (bucket) (penstock_customers_by_credit_left)"),),
            "bars",
        ),
        Panel(
            "Customers by plan and margin",
            "Customers at a loss, by plan, over time.",
            COUNT,
            (("{{plan}}", 'sum by (plan) (penstock_customer_margin_bucket{bucket="loss"})'),),
        ),
        Panel(
            "Segments",
            "Revenue and cost of this month so far, by segment; the empty one is in none.",
            USD,
            (
                ("{{segment}}, revenue", "sum by (segment) (penstock_segment_revenue_usd)"),
                ("{{segment}}, cost", "sum by (segment) (penstock_segment_cost_usd)"),
            ),
            "bars",
        ),
        Panel(
            "Active members",
            "Members of customers that were served in the last 28 days, by plan.",
            COUNT,
            (("{{plan}}", "sum by (plan) (penstock_active_members)"),),
        ),
        Panel(
            "Below their margin floor",
            "Customers below the floor that their plan states, and those with whom the guard has taken a step.",
            COUNT,
            (
                ("{{plan}}, below", "sum by (plan) (penstock_margin_below_floor)"),
                ("{{plan}}, {{step}}", "sum by (plan, step) (penstock_margin_guard)"),
            ),
        ),
        Panel(
            "Runaways",
            "Customers that were told of in the time range for costing far more a minute than usual.",
            COUNT,
            (("runaways", f"sum(increase(penstock_runaways[{RANGE}]))"),),
        ),
    ),
    since="now-24h",
    has_page=True,
)

_TASKS_DONE: Final = grown("penstock_tasks_total", '{event=~"done|idle"}', "type")

ECONOMICS: Final = Board(
    "economics",
    "unit economics",
    "What a task, a member and an hour cost and earn. Estimates from counters: "
    "`penstock report unit-economics` is exact.",
    (
        stat_of(
            "Model cost of revenue",
            "Below 25 % is the brief's bound; n/a where there is no revenue.",
            PERCENT,
            ratio(f"({cost()} or vector(0))", revenue()),
        ),
        stat_of(
            "Revenue per compute hour",
            "Revenue by the time that callers waited for providers.",
            USD,
            f"3600 * {ratio(revenue(), grown('penstock_provider_busy_seconds_total'))}",
        ),
        stat_of("Active members", "Served in the last 28 days.", COUNT, "sum(penstock_active_members)"),
        stat_of(
            "Unearned",
            "What tasks cost in the time range that failed, were handed off or taken back.",
            USD,
            grown("penstock_unearned_cogs_usd_total"),
        ),
        Panel(
            "Cost per task",
            "Cost of calls by tasks done in the time range, by type.",
            USD,
            (("{{type}}", ratio(grown("penstock_task_cogs_usd_total", by="type"), _TASKS_DONE)),),
            "bars",
        ),
        Panel(
            "Calls per task",
            "Requests by tasks done in the time range, by type: a rise is scope creep.",
            COUNT,
            (("{{type}}", ratio(grown("penstock_task_calls_total", by="type"), _TASKS_DONE)),),
            "bars",
        ),
        Panel(
            "Tasks",
            "What happened to tasks per hour, by type.",
            COUNT,
            (("{{type}}, {{event}}", f"3600 * {rate('penstock_tasks_total', 'type, event')}"),),
        ),
        Panel(
            "Outcomes",
            "States that outcomes reached per hour, by type.",
            COUNT,
            (("{{type}}, {{state}}", f"3600 * {rate('penstock_outcomes_total', 'type, state')}"),),
        ),
        Panel(
            "Cost per active member",
            "Cost of the last 28 days by members; all customers, also those that name none, so it "
            "is too high where some do not.",
            USD,
            (
                (
                    "cost per member",
                    ratio("sum(increase(penstock_cogs_usd_total[28d]))", "sum(penstock_active_members)"),
                ),
            ),
        ),
        Panel(
            "Busy providers",
            "How many calls each provider works at once, on average.",
            COUNT,
            (("{{provider}}", rate("penstock_provider_busy_seconds_total", "provider")),),
        ),
        Panel(
            "Margin by segment",
            "(Revenue - cost) / revenue of this month so far; the empty one is in no segment.",
            PERCENT,
            (
                (
                    "{{segment}}",
                    (
                        "1 - sum by (segment) (penstock_segment_cost_usd) / "
                        "(sum by (segment) (penstock_segment_revenue_usd) > 0)"
                    ),
                ),
            ),
            "bars",
        ),
    ),
    since="now-24h",
)
