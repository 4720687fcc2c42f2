"""`penstock report`: what finance asks, as a table, as JSON, as CSV or as Markdown."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.table import Table

from margin.money import format_usd, nusd_to_usd
from proxy.cli.books import check_day
from proxy.cli.frame import USAGE, console, fail, keeper, print_json, shared_options

Row = dict[str, Any]
SINCE = click.option("--since", help="First day to count, in UTC, such as 2026-11-01; everything without it.")


class Column(NamedTuple):
    """A column: its title, the field it shows, and what that is: text, count, usd, share or number."""

    title: str
    field: str
    kind: str = "text"

    def cell(self, row: Row) -> str:
        """Write a value for people; what is not known or does not apply is n/a."""
        value = row.get(self.field)
        if value is None:
            return "" if self.kind == "text" else "n/a"
        if self.kind == "usd":
            return format_usd(value)
        if self.kind == "share":
            return f"{value:.1%}"
        if isinstance(value, bool):
            return "yes" if value else ""
        return f"{value:,}" if self.kind in {"count", "number"} else str(value)

    def raw(self, row: Row) -> Any:
        """Write a value for programs: dollars as exact decimals, nothing where nothing is known."""
        value = row.get(self.field)
        return value if value is None or self.kind != "usd" else f"{nusd_to_usd(value):f}"


class Part(NamedTuple):
    """One table of a report."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]


def styled(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a report `--since`, `--csv` and `--md` beside `--config` and `--json`."""
    command = click.option("--md", "as_md", is_flag=True, help="Markdown on stdout.")(command)
    command = click.option("--csv", "as_csv", is_flag=True, help="CSV on stdout; amounts in US dollars.")(command)
    return SINCE(shared_options(command))


def show(found: Any, parts: Iterable[Part], style: Row) -> None:
    """Print a report in the style that was asked for."""
    if style["as_json"]:
        print_json(found)
    elif style["as_csv"]:
        _csv(parts)
    elif style["as_md"]:
        _markdown(parts)
    else:
        for part in parts:
            console().print(_table(part))


def _table(part: Part) -> Table:
    table = Table(title=part.title, box=None, pad_edge=False, title_justify="left")
    for column in part.columns:
        table.add_column(column.title, justify="left" if column.kind == "text" else "right")
    for row in part.rows:
        table.add_row(*(column.cell(row) for column in part.columns), style="bold" if row.get("_total") else None)
    return table


def _csv(parts: Iterable[Part]) -> None:
    """Write each table under its own head; an empty line stands between two."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for number, part in enumerate(parts):
        if number:
            writer.writerow([])
        writer.writerow([column.title for column in part.columns])
        writer.writerows([column.raw(row) for column in part.columns] for row in part.rows)


def _markdown(parts: Iterable[Part]) -> None:
    for part in parts:
        heads = " | ".join(column.title for column in part.columns)
        lines = " | ".join("---" if column.kind == "text" else "---:" for column in part.columns)
        click.echo(f"## {part.title}\n\n| {heads} |\n| {lines} |")
        for row in part.rows:
            click.echo(f"| {' | '.join(column.cell(row).replace('|', chr(92) + '|') for column in part.columns)} |")
        click.echo()


def ask(name: str, config: Path, since: str | None, **args: Any) -> Any:
    """Have the keeper make a report."""
    if since is not None:
        check_day(since)
    return keeper(config, f"report.{name}", {"since": since, **args})


def one_style(style: Row) -> None:
    """End the command where two styles were asked for at once."""
    if sum(style.values()) > 1:
        fail("choose one of --json, --csv and --md", USAGE)


MONEY = (
    Column("requests", "requests", "count"), Column("cost", "cost_nusd", "usd"),
    Column("revenue", "revenue_nusd", "usd"), Column("margin", "margin_nusd", "usd"), Column("%", "margin", "share"),
)  # fmt: skip
SAVINGS = Column("savings", "savings_nusd", "usd")


def with_total(rows: list[Row], name: str, total: Row) -> list[Row]:
    """Return the rows and a last one with their sum."""
    return [*rows, {**total, name: "total", "_total": True}]


@click.command()
@click.option("--by", default="customer", show_default=True,
              help="customer, segment, persona, plan, tier, served, provider, model, day or month.")  # fmt: skip
@styled
def margin(since: str | None, by: str, config: Path, **style: bool) -> None:
    """Cost, revenue, margin and savings: by customer, overheads included, or by another group, as booked."""
    one_style(style)
    found = ask("margin", config, since, by=by)
    if by == "customer":
        nobodys = found["total"]["overhead_of_nobody_nusd"]
        show(found, [_by_customer(found)], style)
        if nobodys and not any(style.values()):
            click.echo(f"Overheads of {format_usd(nobodys)} are nobody's: no customer had any of what they are shared "
                       "out by.")  # fmt: skip
        return
    rows = [{**row, by: row[by] or "(none)"} for row in found["rows"]]
    show(found, [_margins(by, rows, found["total"])], style)


def margin_table(found: Row) -> Table:
    """Return a margin report by customer as a table."""
    return _table(_by_customer(found))


def _by_customer(found: Row) -> Part:
    """Return the table of customers: what all is left after overheads and fees, and after models alone."""
    rows = [
        row | {"cost_nusd": row["cost_nusd"] + row["overhead_nusd"] + row["payment_fees_nusd"],
               "margin_nusd": row["gross_margin_nusd"], "margin": row["gross_margin"]}
        for row in with_total(found["customers"], "customer", found["total"])
    ]  # fmt: skip
    columns = (Column("customer", "customer"), *MONEY, Column("model %", "model_margin", "share"), SAVINGS)
    return Part("margin", columns, rows)


def _margins(by: str, rows: list[Row], total: Row) -> Part:
    return Part("margin", (Column(by, by), *MONEY, SAVINGS), with_total(rows, by, total))


LEVERS = ("prompt_optimisation", "response_cache", "routing", "prompt_cache")


@click.command()
@styled
def savings(since: str | None, config: Path, **style: bool) -> None:
    """From the baseline to the bill, lever by lever; and what routing would have saved where it only observes."""
    one_style(style)
    found = ask("savings", config, since)
    columns = (
        Column("customer", "customer"), Column("requests", "requests", "count"),
        Column("baseline", "baseline_nusd", "usd"), Column("trimmed", "prompt_optimisation", "usd"),
        Column("repeats", "response_cache", "usd"),
        Column("routing", "routing", "usd"), Column("prompt cache", "prompt_cache", "usd"),
        Column("overhead", "overhead_nusd", "usd"), Column("bill", "actual_nusd", "usd"),
    )  # fmt: skip
    rows = [row | {name: -row[f"{name}_nusd"] for name in LEVERS}
            for row in with_total(found["customers"], "customer", found["total"])]  # fmt: skip
    show(found, [Part("savings", columns, rows)], style)
    for line in () if any(style.values()) else _besides(found["total"]):
        click.echo(line)


def _besides(total: dict[str, Any]) -> Iterator[str]:
    """Yield what stands beside the waterfall: parts of it, what is not known, and what was not done."""
    for name, why in (("escalated", "were not good enough"), ("hedged", "came second")):
        if total[f"{name}_nusd"]:
            yield f"Routing is net of {format_usd(total[f'{name}_nusd'])} for answers that {why}."
    if total["unpriced"]:
        yield f"{total['unpriced']:,} requests have no known cost or baseline and are not among the amounts."
    if total["observed"]:
        yield (f"Not realised: routing only observed {total['observed']:,} requests (mode: observe); it would have "
               f"saved {format_usd(total['would_save_nusd'])} of them, at the same tokens.")  # fmt: skip


@click.command()
@click.option("--by", default="loss", show_default=True, help="What comes first: loss, cost, revenue or requests.")
@styled
def customers(since: str | None, by: str, config: Path, **style: bool) -> None:
    """Each customer's margin, when it was served, power users, and tourists who tried it and left."""
    one_style(style)
    found = ask("customers", config, since, by=by)
    columns = (
        Column("customer", "customer"), Column("plan", "plan"), Column("segment", "segment"), *MONEY,
        Column("of cost", "cost_share", "share"), Column("days", "days_active", "count"),
        Column("last", "last_day"), Column("power user", "power_user"), Column("tourist", "tourist"),
        Column("credits", "credits", "number"),
    )  # fmt: skip
    show(found, [Part("customers", columns, with_total(found["rows"], "customer", found["total"]))], style)


@click.command()
@click.option("--by", default="segment", show_default=True, help="segment or persona.")
@styled
def segments(since: str | None, by: str, config: Path, **style: bool) -> None:
    """Margin by segment of customers, or by persona, as `penstock customers describe` says they are today."""
    one_style(style)
    found = ask("segments", config, since, by=by)
    rows = [{**row, by: row[by] or "(none)"} for row in found["rows"]]
    columns = (
        Column(by, by), Column("customers", "customers", "count"), *MONEY,
        *(Column(f"of {each}", f"{each}_share", "share") for each in ("requests", "revenue", "cost")),
    )  # fmt: skip
    show(found, [Part("segments", columns, with_total(rows, by, found["total"]))], style)


TASKS = (
    Column("type", "type"), Column("charged by", "charged_by"), Column("opened", "opened", "count"),
    Column("done", "done", "count"), Column("calls p95", "calls_p95", "count"), Column("cost", "cost_nusd", "usd"),
    Column("per task", "cost_per_task_nusd", "usd"), Column("p50", "cost_p50_nusd", "usd"),
    Column("p95", "cost_p95_nusd", "usd"), Column("resolved", "resolved", "count"),
    Column("per resolution", "cost_per_resolution_nusd", "usd"), Column("price", "price_nusd", "usd"),
    Column("of price", "share_of_price", "share"), Column("unearned", "unearned_nusd", "usd"),
    Column("revenue", "revenue_nusd", "usd"), Column("margin", "margin_nusd", "usd"), Column("%", "margin", "share"),
)  # fmt: skip


@click.command()
@styled
def tasks(since: str | None, config: Path, **style: bool) -> None:
    """What each type of task costs and earns: per task, per resolution, and what earned nothing."""
    one_style(style)
    found = ask("tasks", config, since)
    show(found, [Part("tasks", TASKS, found["rows"])], style)


@click.command("unit-economics")
@styled
def unit_economics(since: str | None, config: Path, **style: bool) -> None:
    """Cost per task, resolution and active member, the model cost ratio, revenue per compute hour, and their bounds."""
    one_style(style)
    found = ask("unit-economics", config, since)
    plans = (
        Column("plan", "plan"), Column("archetype", "archetype"), Column("customers", "customers", "count"), *MONEY,
        Column("target", "target", "share"), Column("verdict", "verdict"),
    )  # fmt: skip
    providers = (
        Column("provider", "provider"), Column("requests", "requests", "count"),
        Column("hours", "compute_hours", "number"), Column("cost", "cost_nusd", "usd"),
        Column("cost per hour", "cost_per_compute_hour_nusd", "usd"),
    )  # fmt: skip
    figures = (Column("figure", "figure"), Column("value", "value"), Column("bound", "bound"), Column("ok", "ok"))
    parts = [
        Part("unit economics", figures, _figures(found)),
        Part("plans against their targets", plans, found["plans"]),
        Part("providers", providers, found["providers"]),
        Part("tasks", TASKS, found["tasks"]),
    ]
    show(found, [part for part in parts if part.rows], style)


def _figures(found: Row) -> list[Row]:
    """Return the figures that stand for everything, each with its bound where it has one."""
    members = found["members"]
    amounts = {
        "revenue": found["revenue_nusd"], "cost": found["cost_nusd"], "margin": found["margin_nusd"],
        "cost per task": found["cost_per_task_nusd"], "cost per active member": members["cost_per_member_nusd"],
        "revenue per active member": members["revenue_per_member_nusd"],
        "revenue per compute hour": found["revenue_per_compute_hour_nusd"],
    }  # fmt: skip
    rows = [{"figure": name, "value": "n/a" if nusd is None else format_usd(nusd)} for name, nusd in amounts.items()]
    rows.append({"figure": "margin, stage", "value": f"{_share(found['margin'])}, {found['stage'] or 'n/a'}"})
    for name, of, field in (("model cost of revenue", found, "model_cost_ratio"),
                            ("cost of an active member of its revenue", members, "share_of_revenue")):  # fmt: skip
        rows.append({"figure": name, "value": _share(of[field]), "bound": f"below {of[f'{field}_max']:.0%}",
                     "ok": {None: "n/a", True: "yes", False: "no"}[of[f"{field}_ok"]]})  # fmt: skip
    rows.append({"figure": "active members in 28 days", "value": f"{members['active']:,}"})
    return rows


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.1%}"


@click.command()
@styled
def concentration(since: str | None, config: Path, **style: bool) -> None:
    """How unevenly revenue and cost lie among customers; power users, tourists, and churn by use."""
    one_style(style)
    found = ask("concentration", config, since)
    spread = (
        Column("of", "of"), Column("customers", "customers", "count"), Column("top 10 %", "top_customers", "count"),
        Column("their share", "top_share", "share"), Column("Gini", "gini", "number"),
    )  # fmt: skip
    power = (Column("power user", "customer"), *MONEY, Column("of cost", "cost_share", "share"))
    deciles = (
        Column("decile by use", "decile", "count"), Column("customers", "customers", "count"),
        Column("requests", "requests", "count"), Column("gone", "gone", "count"), Column("churn", "churn", "share"),
    )  # fmt: skip
    parts = [
        Part("concentration", spread, [{"of": of, **found[of]} for of in ("revenue", "cost")]),
        Part("power users", power, found["power_users"]),
        Part(
            "tourists",
            (Column("customer that tried it and left", "customer"),),
            [{"customer": name} for name in found["tourists"]],
        ),
        Part("use before, and gone in the last 28 days", deciles, found["deciles"]),
    ]
    show(found, [part for part in parts if part.rows], style)
