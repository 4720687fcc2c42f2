"""A price that is one per cent off, on either side, does not go unnoticed."""

import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from margin import costbook
from margin.costbooks.reading import RATE_KEYS, read_document
from margin.costbooks.writing import write
from tests.e2e.conftest import Launch
from tests.e2e.server import Server, write_config

LUNA_PRICE = {"input": 0.10, "cache_read": 0.01, "cache_write": 0.125, "output": 0.50}
"""What gpt-6-luna costs, USD per million tokens; the simulator's price list has it, too."""


@pytest.fixture
def faulty_provider(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Yield the URL and the invoice of a simulator that bills gpt-6.1-sol one per cent too high."""
    invoice = tmp_path / "invoice.jsonl"
    command = [sys.executable, "-m", "simulator", "--speed", "0", "--invoice", invoice,
               "--price-error", "gpt-6.1-sol=1.01"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield orjson.loads(process.stdout.readline())["url"], invoice
        process.terminate()


def test_one_per_cent_is_noticed_on_either_side(faulty_provider: tuple[str, Path], launch: Launch, tmp_path: Path):
    """The model whose bill is wrong and the model whose price we have wrong are named, the right ones are not."""
    url, invoice = faulty_provider
    provider = {"dialect": "openai", "base_url": f"{url}/v1", "api_key": "k"}
    ours = {name: rate * 1.01 for name, rate in LUNA_PRICE.items()}
    models = {"gpt-6-luna": {"provider": "sandbox", "price": ours}}
    server = launch(write_config(tmp_path / "config", providers={"sandbox": provider}, models=models))

    ask(server, "gpt-6-astra")
    ask(server, "gpt-4o-mini")
    right = reconcile(server, invoice)
    ask(server, "gpt-6.1-sol")
    provider_wrong = reconcile(server, invoice)
    ask(server, "gpt-6-luna")
    both_wrong = reconcile(server, invoice)

    assert right == (0, [])
    assert provider_wrong == (1, [("gpt-6.1-sol", "amounts differ", 1)])
    assert both_wrong == (1, [("gpt-6-luna", "amounts differ", 1), ("gpt-6.1-sol", "amounts differ", 1)])


def test_rerating_to_the_billed_price_settles_the_account(
    faulty_provider: tuple[str, Path], launch: Launch, tmp_path: Path
):
    """The wrong price is seen, corrected by entries of its own, and then every billed dollar is explained again."""
    url, invoice = faulty_provider
    provider = {"dialect": "openai", "base_url": f"{url}/v1", "api_key": "k"}
    server = launch(write_config(tmp_path / "config", providers={"sandbox": provider}))
    for model in ("gpt-6.1-sol", "gpt-6-luna", "gpt-6.1-sol"):
        ask(server, model)
    assert reconcile(server, invoice) == (1, [("gpt-6.1-sol", "amounts differ", 2)])
    book = read_document(costbook.SHIPPED)
    for entry in book["models"]:
        if entry["model"] == "gpt-6.1-sol":
            for price in entry["prices"]:
                price |= {name: str(Decimal(price[name]) * Decimal("1.01")) for name in RATE_KEYS if name in price}
    write(tmp_path / "billed.json", book)

    previewed = rerate(server, tmp_path / "billed.json")
    assert reconcile(server, invoice) == (1, [("gpt-6.1-sol", "amounts differ", 2)])
    applied = rerate(server, tmp_path / "billed.json", "--apply")

    assert previewed["total"] == applied["total"]
    assert [row["model"] for row in applied["groups"] if row["changed"]] == ["gpt-6.1-sol"]
    assert applied["counts"]["changed"] == 2
    assert reconcile(server, invoice) == (0, [])
    assert rerate(server, tmp_path / "billed.json", "--apply")["counts"]["changed"] == 0
    assert rerate(server, "stored")["counts"]["changed"] == 0
    assert server.cli("ledger", "verify", "--json").json()["ok"] is True


def rerate(server: Server, prices: Path | str, *words: str) -> Any:
    """Re-rate all calls by some prices."""
    said = server.cli("ledger", "rerate", "--since", "2020-01-01", "--prices", str(prices), *words, "--json")
    assert said.code == 0, said.out
    return said.json()


def ask(server: Server, model: str) -> None:
    """Ask a model something."""
    assert server.chat("Say hello to the accountants", model=model).status_code == 200


def reconcile(server: Server, invoice: Path) -> tuple[int, list[tuple[str, str, int]]]:
    """Return the exit code and what differs."""
    said = server.cli("reconcile", "--export", str(invoice), "--json")
    return said.code, [(line["model"], line["reason"], line["calls"]) for line in said.json()["lines"]]
