"""The `penstock` command: one file per group of commands.

Exit codes: 0 done, 1 the check says no, 2 wrong usage or configuration, 3 the server is not reachable.
"""

from __future__ import annotations

import click

import proxy
from proxy.cli import (
    archive,
    books,
    changes,
    check,
    classifying,
    completion,
    corrections,
    credits,
    customers,
    demo,
    heads,
    judging,
    keys,
    learning,
    plans,
    prices,
    reconcile,
    reports,
    serve,
    tasks,
    tuning,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(proxy.__version__, prog_name="penstock")
def main() -> None:
    """Penstock: an OpenAI-compatible proxy that routes by difficulty and keeps both sides of the books.

    Start with `penstock serve`, make a key with `penstock keys create --customer NAME`, and ask
    `penstock report margin` what it earned. Every command takes --config and --json.
    """


for command in (
    serve.serve, demo.demo, check.check, classifying.classify, judging.explain, tuning.tune, learning.learn,
    keys.keys, customers.customers, credits.credits, plans.plans, tasks.tasks, prices.prices,
    books.report, books.ledger, reconcile.reconcile,
    completion.completion,
):  # fmt: skip
    main.add_command(command)
for command in (reports.margin, reports.customers, reports.unit_economics, reports.savings, reports.tasks,
                reports.segments, reports.concentration):  # fmt: skip
    books.report.add_command(command)
for command in (archive.archive, changes.changes, heads.heads, corrections.reverse, corrections.rerate):
    books.ledger.add_command(command)
