"""`penstock ledger archive`: closed periods leave the ledger; and what `verify --archived` proves of them."""

from __future__ import annotations

from pathlib import Path

import click

from proxy.cli.frame import NOT_REACHABLE, SAYS_NO, USAGE, fail, load, print_json, shared_options
from proxy.cli.progress import shown


@click.command()
@click.option("--before", required=True, metavar="YYYY-MM", help="The first month that stays, in UTC.")
@shared_options
def archive(before: str, config: Path, as_json: bool) -> None:
    """Archive what was booked before a month: its journals are packed, its rows leave the ledger; sums stay."""
    from margin.journal import JournalBroken, JournalCorrupt
    from margin.ledger.archive.archiving import NotArchived
    from margin.ledger.store import LedgerBusy, LedgerFormat
    from proxy.keeper import archiving
    from proxy.keeper.lock import LockHeld

    settings = load(config, quiet=True)
    if not settings.server.data_dir.is_dir():
        fail(f"there is no data folder {settings.server.data_dir}", USAGE)
    try:
        with shown() as progress:
            found = archiving.archive(settings, before, progress)
    except LockHeld:
        fail("a server or another command keeps this data folder: it is archived only when none does", NOT_REACHABLE)
    except NotArchived as error:
        fail(str(error), USAGE)
    except (LedgerFormat, LedgerBusy, JournalCorrupt, JournalBroken) as error:
        fail(f"the books cannot be read or written: {error}", SAYS_NO)
    except OSError as error:
        fail(f"cannot archive {settings.server.data_dir}: {error.strerror}", USAGE)
    if as_json:
        print_json(found)
    else:
        click.echo(f"Archived what was booked before {before}: {found['transactions']:,} transactions, "
                   f"{found['journals']:,} journals.")  # fmt: skip


def altered(config: Path) -> list[str]:
    """Return, in words, in what the archive differs from what its journals make."""
    from margin.journal import JournalCorrupt
    from margin.ledger.archive import archiving

    data_dir = load(config, quiet=True).server.data_dir
    try:
        with shown() as progress:
            return list(archiving.differences(data_dir, progress))
    except JournalCorrupt as error:
        return [f"the archived journals do not fold: {error}"]
