"""`python -m simulator`: a provider on a free port, with an invoice."""

import os
import sys
from fractions import Fraction
from pathlib import Path

import click
import orjson

from simulator import server
from simulator.app import build
from simulator.models import MODELS
from simulator.options import AfterDisconnect, SimulatorOptions


def _price_errors(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> dict[str, Fraction]:
    return dict(_price_error(pair) for pair in pairs)


def _price_error(pair: str) -> tuple[str, Fraction]:
    model, _, factor = pair.rpartition("=")
    if model not in MODELS:
        raise click.BadParameter(f"{pair!r} does not begin with the name of a model")
    try:
        return model, Fraction(factor)
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"{factor!r} is not a number") from None


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option(
    "--invoice",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File that billed calls are appended to, a JSON line each.",
)
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Times as fast as life; 0 does not wait at all.",
)
@click.option("--seed", default=0, show_default=True, help="Changes every answer.")
@click.option(
    "--after-disconnect",
    type=click.Choice(["stop", "finish"]),
    default="stop",
    show_default=True,
    help="Whether a call goes on, and is billed, without its client.",
)
@click.option(
    "--price-error",
    "price_errors",
    multiple=True,
    metavar="MODEL=FACTOR",
    callback=_price_errors,
    help="Bill a model wrongly, to see whether anybody notices.",
)
@click.option("--ready-fd", type=int, help="File descriptor that the ready line is written to, too.")
@click.option("--die-with-parent", is_flag=True, help="End when the parent process ends.")
def main(
    *,
    host: str,
    port: int,
    invoice: Path,
    speed: float,
    seed: int,
    after_disconnect: AfterDisconnect,
    price_errors: dict[str, Fraction],
    ready_fd: int | None,
    die_with_parent: bool,
) -> None:
    """Serve a simulated provider until SIGTERM.

    When it listens it prints one line of JSON: {"url": ..., "pid": ...}.
    """
    if die_with_parent:
        server.die_with_parent()
    options = SimulatorOptions(invoice, speed, seed, after_disconnect, price_errors)
    try:
        bound = server.bind(host, port)
        app = build(options)
    except OSError as error:
        raise click.ClickException(str(error)) from None
    server.run(app, bound, lambda: _announce(server.url_of(bound), ready_fd))


def _announce(url: str, ready_fd: int | None) -> None:
    line = orjson.dumps({"url": url, "pid": os.getpid()}, option=orjson.OPT_APPEND_NEWLINE)
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
    if ready_fd is not None:
        os.write(ready_fd, line)
        os.close(ready_fd)


if __name__ == "__main__":
    main()
