"""`penstock prices`: what providers bill us. Nothing here changes a price that nobody asked to change."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from margin import costbook
from margin.costbook import SHIPPED, CostBook, CostBookError, NoPrice, PricedModel
from margin.costbooks import differing, importing, pinning, reading, showing, sources, writing
from margin.costbooks.complaints import meant
from margin.costbooks.differing import Side
from margin.costbooks.sources import NAMES, PROVIDERS, Source, SourceMissing
from proxy.cli import price_tables
from proxy.cli.frame import SAYS_NO, USAGE, fail, print_json, shared_options
from proxy.settings import SettingsError
from proxy.settings import document as yaml_document

FILE = "prices.json"
"""The price file beside the configuration, where the configuration names none."""

_FILE_OPTION = click.Path(path_type=Path, dir_okay=False)


@click.group()
def prices() -> None:
    """Look up, compare and update what providers bill.

    The prices shipped with Penstock count until the configuration says `prices: FILE`. `diff` shows
    where other sources disagree with them, `import` writes what a source says into such a file, with
    dates and without losing history, and `pin` keeps one model's price as it is.
    """


@dataclass(frozen=True, slots=True)
class PriceSettings:
    """What the price commands need of the configuration, which may be wrong elsewhere.

    A model without a price makes a configuration unusable, and an import is what repairs it.

    Args:
        path: The configuration file.
        file: The price file that it names, if it does.
        models: Its models, as written.
        listed: The models that its tiers list.
    """

    path: Path
    file: Path | None
    models: Mapping[str, Mapping[str, Any]]
    listed: tuple[str, ...]

    @property
    def target(self) -> Path:
        """The price file to write."""
        return self.path.parent / FILE if self.file is None else self.file

    def deployed(self, name: str) -> tuple[str, str | None]:
        """Return the provider's name of a model, and the provider, for a name of ours."""
        model = self.models.get(name, {})
        return str(model.get("model") or name), model.get("provider")


def _settings(config: Path) -> PriceSettings:
    try:
        found, _ = yaml_document.read(config, os.environ)
    except SettingsError as error:
        fail(str(error), USAGE)
    tree = found.tree
    models, tiers, named = tree.get("models"), tree.get("tiers"), tree.get("prices")
    kept = (
        {name: model for name, model in models.items() if isinstance(model, dict)} if isinstance(models, dict) else {}
    )
    lists = [each for each in tiers.values() if isinstance(each, list)] if isinstance(tiers, dict) else []
    listed = tuple(name for each in lists for name in each if isinstance(name, str))
    return PriceSettings(config, config.parent / named if isinstance(named, str) else None, kept, listed)


def _day(_context: click.Context, _parameter: click.Parameter, text: str | None) -> date:
    if text is None:
        return datetime.now(UTC).date()
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        fail(f"{text} is no day; write it like 2026-12-01", USAGE)


def _book(settings: PriceSettings) -> CostBook:
    try:
        return costbook.load(settings.file)
    except CostBookError as error:
        absent = settings.file is not None and not settings.file.exists()
        fail(f"{error}{'; `penstock prices import` makes one' if absent else ''}", USAGE)


@prices.command("import", epilog="Such as: penstock prices import --from litellm --data model_prices.json --dry-run")
@click.option("--from", "name", type=click.Choice(NAMES), required=True, help="Whose prices.")
@click.option("--data", "file", type=_FILE_OPTION, help="A file of that source's; without it, it must be installed.")
@click.option(
    "--out", type=_FILE_OPTION, help="The price file to write; the configuration's, or prices.json beside it."
)
@click.option(
    "--from-date", "day", callback=_day, metavar="YYYY-MM-DD", help="When changed prices start; today in UTC."
)
@click.option("--provider", "providers", multiple=True, help=f"Whose models, repeatable; {', '.join(PROVIDERS)}.")
@click.option("--replace", is_flag=True, help="Let entries of that day and later give way to the source's.")
@click.option("--dry-run", is_flag=True, help="Say what would change and write nothing.")
@shared_options
def import_(
    name: str,
    file: Path | None,
    out: Path | None,
    day: date,
    providers: tuple[str, ...],
    replace: bool,
    dry_run: bool,
    config: Path,
    as_json: bool,
) -> None:
    """Write a source's prices into a price file.

    Changed prices become dated entries beside the old ones, so old requests keep their price; every change is
    reported, and nothing takes effect until the configuration names the file. A new file begins with the prices
    that count now.
    """
    settings = _settings(config)
    path = settings.target if out is None else out
    try:
        source = sources.named(name, file, _today(), providers or PROVIDERS)
        made = importing.merged(_base(settings, path), source, day, replace=replace)
        wrote = not dry_run and not made.conflicts and not (made.is_empty and path.exists())
        if wrote:
            writing.write(path, made.document)
    except SourceMissing as error:
        fail(f"{error} with --data FILE", USAGE)
    except CostBookError as error:
        fail(str(error), USAGE)
    found = price_tables.import_as_json(made, source, day) | {"file": str(path), "written": wrote}
    if as_json:
        print_json(found | {"in_effect": _names_it(settings, path)})
    else:
        price_tables.print_import(made, source, day)
    if made.conflicts and not dry_run:
        fail(_conflict(path, name, day, len(made.conflicts)), USAGE)
    if not as_json:
        click.echo(_written(settings, path) if wrote else f"{path} is as it was.")


def _conflict(path: Path, name: str, day: date, count: int) -> str:
    return (
        f"nothing was written: for {count} of these prices {path} has other entries of {day} or later; "
        f"--replace puts those of {name} in their place, --from-date starts on another day"
    )


def _today() -> date:
    return datetime.now(UTC).date()


def _base(settings: PriceSettings, path: Path) -> dict[str, Any]:
    """Return the content to build on: the file's, else that of the prices that count now."""
    if path.exists():
        return reading.read_document(path)
    counting = settings.file if settings.file is not None and settings.file.exists() else SHIPPED
    return {**reading.read_document(counting), "name": path.stem}


def _names_it(settings: PriceSettings, path: Path) -> bool:
    return settings.file is not None and settings.file.resolve() == path.resolve()


def _written(settings: PriceSettings, path: Path) -> str:
    """Say what a written price file means."""
    if _names_it(settings, path):
        return f"Wrote {path}. {settings.path} names it: a server takes it up when it next reads its configuration."
    relative = os.path.relpath(path, settings.path.parent)
    return f"Wrote {path}. Nothing takes effect until {settings.path} says `prices: {relative}`."


@prices.command()
@click.option(
    "--against", "others", multiple=True, metavar="SOURCE|FILE", help=f"{', '.join(NAMES)} or a file; repeatable."
)
@click.option("--at", "day", callback=_day, metavar="YYYY-MM-DD", help="Compare the prices of that day; today in UTC.")
@click.option("--all", "everything", is_flag=True, help="List every missing price too, not only for models in tiers.")
@shared_options
def diff(
    others: tuple[str, ...],
    day: date,
    everything: bool,
    config: Path,
    as_json: bool,
) -> None:
    """Show where price sources disagree.

    With our prices and with each other, today and on dates ahead; nothing is changed. Without --against it compares
    with those of genai-prices and litellm that are installed. Exit 1 when a model that the tiers list differs by
    more than one per cent.
    """
    settings = _settings(config)
    book = _book(settings)
    compared = [Side("book", book), *(_side(each) for each in _opened(others))]
    found = differing.compare(compared, day)
    watched = _watched(settings, book)
    if as_json:
        print_json(price_tables.comparison_as_json(found, watched))
    else:
        price_tables.print_comparison(found, watched, everything=everything)
    sys.exit(SAYS_NO if price_tables.alarms(found, watched) else 0)


def _side(source: Source) -> Side:
    return Side(source.name, source.book, source.dated)


def _opened(others: tuple[str, ...]) -> Iterator[Source]:
    """Open what was named; without names, whatever is installed."""
    missing: list[str] = []
    for each in others or NAMES:
        try:
            named = each in NAMES
            yield sources.named(each, None, _today()) if named else sources.of_file(Path(each), _today())
        except SourceMissing as error:
            if others:
                fail(f"{error} with --against FILE", USAGE)
            missing.append(str(error))
        except CostBookError as error:
            near = "" if Path(each).exists() else meant(each, NAMES)
            fail(f"{error}{near}", USAGE)
    if len(missing) == len(NAMES):
        fail(f"there is nothing to compare with: {missing[0]} or LiteLLM's map with --against FILE", USAGE)
    for sentence in missing:
        click.echo(f"warning: {sentence} with --against FILE", err=True)


def _watched(settings: PriceSettings, book: CostBook) -> frozenset[tuple[str, str]]:
    """Return the models that the tiers list and the cost book prices, by provider and each of both names."""
    found: set[tuple[str, str]] = set()
    for name in settings.listed:
        model, provider = settings.deployed(name)
        entry = None if "price" in settings.models.get(name, {}) else book.entry(model, provider)
        if entry is not None:
            found |= {(entry.provider, entry.model), (entry.provider, model)}
    return frozenset(found)


@prices.command()
@click.argument("model")
@click.option("--at", "day", callback=_day, metavar="YYYY-MM-DD", help="The day whose price is kept; today in UTC.")
@click.option("--provider", help="Whose model, where several have one of that name.")
@click.option(
    "--out", type=_FILE_OPTION, help="The price file to write; the configuration's, or prices.json beside it."
)
@click.option("--remove", is_flag=True, help="Remove the pin: the model costs what its other entries say.")
@shared_options
def pin(
    model: str,
    day: date,
    provider: str | None,
    out: Path | None,
    remove: bool,
    config: Path,
    as_json: bool,
) -> None:
    """Keep MODEL's price as it is.

    The price of a day counts from that day on, whatever later entries and imports say. Earlier entries stay as they
    are, later ones wait, and `pin --remove` brings them back.
    """
    settings = _settings(config)
    path = settings.target if out is None else out
    try:
        document = _base(settings, path)
        entry = _found(settings, reading.book_of(document, str(path)), model, provider)[0]
        made = pinning.unpinned(document, entry) if remove else pinning.pinned(document, entry, day)
        writing.write(path, made.document)
    except CostBookError as error:
        fail(str(error), USAGE)
    said = {"provider": entry.provider, "model": entry.model, "file": str(path), "pinned": not remove}
    if as_json:
        print_json(said | {"from": made.price["from"], "source": made.price["source"], "price": made.price})
        return
    name = f"{entry.provider}/{entry.model}"
    click.echo(
        f"{name} is no longer pinned." if remove else f"{name} is pinned: {price_tables.price_in_words(made.price)}."
    )
    click.echo(_written(settings, path))


@prices.command()
@click.argument("model")
@click.option("--at", "day", callback=_day, metavar="YYYY-MM-DD", help="The day; today in UTC.")
@click.option("--provider", help="Whose model, where several have one of that name.")
@shared_options
def show(
    model: str,
    day: date,
    provider: str | None,
    config: Path,
    as_json: bool,
) -> None:
    """Show what MODEL costs on a day.

    At each hour, context size and service tier, with where that was read and since when and until when it holds.
    """
    settings = _settings(config)
    book = _book(settings)
    try:
        found = [showing.shown(entry, day) for entry in _found(settings, book, model, provider)]
    except NoPrice:
        fail(f"{model} had no price yet on {day}", USAGE)
    if as_json:
        print_json(price_tables.shown_as_json(model, day, book, found))
        return
    if settings.models.get(model, {}).get("price") is not None:
        click.echo(f"note: {settings.path} states a price for {model}, and that one counts", err=True)
    price_tables.print_shown(day, book, found)


def _found(settings: PriceSettings, book: CostBook, model: str, provider: str | None) -> tuple[PricedModel, ...]:
    """Return the models of a name: the preferred provider's first; a name of the configuration leads to its model."""
    name, deployed_at = settings.deployed(model)
    wanted = deployed_at if provider is None else provider
    if provider is not None and provider not in book.providers:
        hint = meant(provider, book.providers)
        fail(f"{provider} is no provider of the cost book{hint}; providers are: {', '.join(book.providers)}", USAGE)
    first = book.entry(name, wanted)
    if first is not None:
        rest = () if wanted in book.providers else tuple(each for each in book.named(name) if each is not first)
        return (first, *rest)
    found = book.named(name) if wanted is None or wanted not in book.providers else ()
    if not found:
        near = book.nearest(name)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        at = f" of {wanted}" if wanted in book.providers else ""
        fail(f'the cost book knows no "{name}"{at}{hint}', USAGE)
    return found
