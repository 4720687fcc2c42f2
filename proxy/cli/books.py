"""`penstock report` and `ledger`: questions to the books."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from margin.money import format_usd
from proxy.cli.archive import altered
from proxy.cli.frame import (
    NOT_REACHABLE,
    SAYS_NO,
    USAGE,
    console,
    fail,
    keeper,
    load,
    print_json,
    shared_options,
)
from proxy.cli.heads import unproved
from proxy.cli.progress import shown


@click.group()
def report() -> None:
    """Reports from the ledger."""


@report.command()
@shared_options
def floors(config: Path, as_json: bool) -> None:
    """How each customer stands to its margin floor in this period, and the guard's last step; the shortest first."""
    found = keeper(config, "report.floors", {})
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("No customer has a margin floor: routing.margin_floor, or margin_floor of a plan, states one.")
        return
    table = Table(title="margin floors", box=None, pad_edge=False, title_justify="left")
    for name in ("customer", "plan"):
        table.add_column(name)
    for name in ("floor", "margin", "revenue", "cost", "missing"):
        table.add_column(name, justify="right")
    table.add_column("step")
    for row in found:
        share = "n/a" if row["margin"] is None else f"{row['margin']:.1%}"
        amounts = [format_usd(row[f"{name}_nusd"]) for name in ("revenue", "cost")]
        missing = format_usd(row["short_nusd"]) if row["short_nusd"] > 0 else "–"
        step = row["steps"][-1] if row["steps"] else ""
        table.add_row(row["customer"], row["plan"], f"{row['floor']:.0%}", share, *amounts, missing, step)
    console().print(table)


@report.command()
@click.argument("customer")
@click.argument("month")
@shared_options
def statement(customer: str, month: str, config: Path, as_json: bool) -> None:
    """What a customer's month (such as 2026-11) was charged so far, line by line."""
    found = keeper(config, "report.statement", {"customer": customer, "month": month})
    if as_json:
        print_json(found)
        return
    table = Table(title=f"{customer}, {month}", box=None, pad_edge=False, title_justify="left")
    for name in ("plan", "what"):
        table.add_column(name)
    for name in ("quantity", "price", "amount"):
        table.add_column(name, justify="right")
    for line in found["lines"]:
        quantity = f"{line['quantity']:,.15g}" if "quantity" in line else ""
        quantity = f"of {format_usd(line['of_nusd'])}" if "of_nusd" in line else quantity
        price = "included" if "included" in line else line.get("price", "")
        table.add_row(line["plan"], line["what"], quantity, price, format_usd(line["nusd"]))
    table.add_section()
    table.add_row("total", "", "", "", format_usd(found["total_nusd"]), style="bold")
    if found["of_commitment_nusd"]:
        table.add_row("of which promised before", "", "", "", format_usd(found["of_commitment_nusd"]))
    console().print(table)


@report.command("credits")
@click.option("--since", help="First day to count, in UTC, such as 2026-11-01; everything without it.")
@shared_options
def credits_(since: str | None, config: Path, as_json: bool) -> None:
    """What a credit costs and sells for, by plan and charge tier, against the plan's target margin."""
    if since is not None:
        check_day(since)
    found = keeper(config, "report.credits", {"since": since})
    if as_json:
        print_json(found)
        return
    console().print(_credit_table(found["rows"]))


def _credit_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="credits", box=None, pad_edge=False, title_justify="left")
    for name in ("plan", "tier"):
        table.add_column(name)
    for name in ("requests", "credits", "cost", "cost each", "price each", "margin", "target"):
        table.add_column(name, justify="right")
    for row in rows:
        each = ["–" if row[f"{name}_per_credit_nusd"] is None else format_usd(row[f"{name}_per_credit_nusd"])
                for name in ("cost", "price")]  # fmt: skip
        shares = ["n/a" if row[name] is None else f"{row[name]:.1%}" for name in ("margin", "target")]
        table.add_row(row["plan"], row["tier"], f"{row['requests']:,}", f"{row['credits']:,}",
                      format_usd(row["cost_nusd"]), *each, *shares)  # fmt: skip
    return table


def check_day(text: str) -> None:
    """End the command when a text is no day."""
    try:
        datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        fail(f"{text} is no day; write it like 2026-11-01", USAGE)


@click.group()
def ledger() -> None:
    """The ledger itself."""


@ledger.command()
@click.option("--heads", "exported", type=click.Path(path_type=Path),
              help="Prove too that the journals contain every head in this file of `ledger heads`.")  # fmt: skip
@click.option("--archived", "whole", is_flag=True, help="Prove too that the archive is what its journals make.")
@shared_options
def verify(exported: Path | None, whole: bool, config: Path, as_json: bool) -> None:
    """Check the books against themselves and against the journals; exit 1 when anything is off."""
    if exported is not None and not exported.is_file():
        fail(f"there is no file {exported}", USAGE)
    with shown() as progress:
        found = keeper(config, "ledger.verify", {"progress": sys.stderr.isatty()}, progress)
    more = [] if exported is None else unproved(config, exported)
    more += altered(config) if whole else []
    found |= {"ok": found["ok"] and not more, "violations": [*found["violations"], *more]}
    if as_json:
        print_json(found)
    else:
        state = "The books are sound" if found["ok"] else "The books are NOT sound"
        click.echo(f"{state}: {found['transactions']:,} transactions, {found['open_holds']} open holds.")
        added = found["rounding"]
        if added:
            click.echo(
                f"Rounding adds up to {added['residue_nusd']:,} nano-dollars over {added['lines']:,} cost lines."
            )
        for violation in found["violations"]:
            click.echo(f"- {violation}")
    sys.exit(0 if found["ok"] else SAYS_NO)


@ledger.command()
@click.option(
    "--into", type=click.Path(path_type=Path), help="Keep the new file here; without it, it is a temporary one."
)
@click.option("--replace", "replaces", is_flag=True, help="Put it in the ledger's place. Only while no server runs.")
@shared_options
def rebuild(into: Path | None, replaces: bool, config: Path, as_json: bool) -> None:
    """Fold the journals into a new ledger and compare every row; exit 1 where the live one differs."""
    if into is not None and (replaces or into.exists()):
        fail("--replace has a place of its own" if replaces else f"{into} is there already", USAGE)
    found = _rebuilt(load(config, quiet=True).server.data_dir, into, replaces)
    differences = found["differences"]
    if as_json:
        print_json(found)
    else:
        click.echo(f"The journals make {found['transactions']:,} transactions; the ledger "
                   + ("differs:" if differences else "is the same, row for row."))  # fmt: skip
        for difference in differences:
            click.echo(f"- {difference}")
        if found["replaced"]:
            click.echo("The new ledger is in its place.")
    sys.exit(SAYS_NO if differences else 0)


def _rebuilt(data_dir: Path, into: Path | None, replaces: bool) -> dict[str, Any]:
    """Read the folder from this process: a server goes on meanwhile, and its lock keeps a replacement out."""
    from margin.journal import JournalCorrupt
    from margin.ledger import rebuilding
    from proxy.keeper.lock import Lock, LockHeld

    if not data_dir.is_dir():
        fail(f"there is no data folder {data_dir}", USAGE)
    os.umask(0o077)  # a ledger is for this account alone
    try:
        with shown() as progress:
            if not replaces:
                return asdict(rebuilding.rebuild(data_dir, into, progress))
            lock = Lock(data_dir)
            try:
                lock.acquire(0)
                return asdict(rebuilding.replace(data_dir, progress))
            finally:
                lock.release()
    except LockHeld:
        fail(
            "a server or another command keeps this data folder: the ledger is replaced only when none does",
            NOT_REACHABLE,
        )
    except JournalCorrupt as error:
        fail(f"the journals do not fold: {error}", SAYS_NO)
    except OSError as error:
        fail(f"cannot use the data folder {data_dir}: {error.strerror}", USAGE)


@ledger.command()
@click.argument("folder", type=click.Path(path_type=Path))
@shared_options
def backup(folder: Path, config: Path, as_json: bool) -> None:
    """Copy ledger, journals and names to a new FOLDER, while a server runs or not."""
    from margin.ledger import backup as copying
    from margin.ledger.store import UNREADABLE

    data_dir = load(config, quiet=True).server.data_dir
    os.umask(0o077)  # for this account alone, as what it is a copy of
    try:
        copying.backup(data_dir, folder, databases=("directory.sqlite",))
    except OSError as error:
        fail(f"cannot back up {data_dir}: {error.filename} {error.strerror}", USAGE)
    except (copying.NotWhole, *UNREADABLE) as error:
        fail(f"cannot back up {data_dir}: {error}", SAYS_NO)
    if as_json:
        print_json({"folder": str(folder)})
    else:
        click.echo(f"{folder} has the books of {data_dir}.")
