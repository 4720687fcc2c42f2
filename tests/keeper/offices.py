"""Offices over small configurations, and workers that write what a worker writes."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path

from proxy.admission import Lease, Wallets
from proxy.keeper import keyring
from proxy.keeper.keyring import Wish
from proxy.keeper.office import Office
from proxy.settings import Settings, load
from tests.margin import bookkeeping
from tests.margin.bookkeeping import called, held, mark, settled, void

YAML = """\
providers:
  openai: {dialect: openai, base_url: https://api.openai.com/v1, api_key: sk-test-not-a-key}
models: {gpt-6-luna: {provider: openai}}
tiers: {simple: [gpt-6-luna]}
plans: plans.yaml
"""
PLANS = """\
default: open
plans:
  open: {credits: {enforce: none}}
  hard: {credits: {enforce: hard}}
  prepaid: {credits: {mode: prepaid, price: 0.05, enforce: hard}}
  starter: {fee: {amount: 199, per: month}, credits: {included: 500, enforce: hard}}
"""
SANDBOX = """\
sandbox:
  customers:
    sandbox: {plan: prepaid, grant: 100_000, paid: 5_000}
    acme: {plan: starter}
"""


@cache
def _parsed(folder: Path, plans: str, more: str) -> Settings:
    (folder / "plans.yaml").write_text(plans)
    (folder / "penstock.yaml").write_text(YAML + more)
    return load(folder / "penstock.yaml", environ={})


def settings(data_dir: Path, *, plans: str = PLANS, more: str = "") -> Settings:
    """Return a configuration whose books are in `data_dir`."""
    data_dir.mkdir(parents=True, exist_ok=True)
    found = _parsed(data_dir.parent, plans, more)
    return replace(found, server=replace(found.server, data_dir=data_dir))


def office(data_dir: Path, *, plans: str = PLANS, more: str = "") -> Office:
    """Open an office, as whoever holds the folder's lock may."""
    return Office(settings(data_dir, plans=plans, more=more), serving=True)


def create_key(found: Office, customer: str, *scopes: str) -> tuple[str, str]:
    """Make a key; return its id, and the key."""
    made, secret = keyring.create(found, Wish(customer, scopes or ["serve"]))
    return made.id, secret


def is_key(found: Office, secret: str) -> bool:
    """Tell whether a key is live."""
    return keyring.id_of(found, secret) is not None


def killed(found: Office, into: Path) -> Path:
    """Return what is left of an office's folder when its process is killed now; let go of its files."""
    copy = bookkeeping.killed(found.settings.server.data_dir, into / "data")
    abandon(found)
    return copy


def abandon(found: Office) -> None:
    """Let go of an office's files without committing anything."""
    found.books.store.close()
    found.directory.close()


class NoLender:
    """A keeper that lends nothing of its own accord."""

    async def lease(self, customer: int, need_milli: int, wish_milli: int, returned_milli: int) -> bool:
        """Refuse."""
        raise NotImplementedError(customer, need_milli, wish_milli, returned_milli)


class Worker:
    """A worker as the books see it: a journal, and wallets that are filled and emptied by hand."""

    def __init__(self, office: Office, name: str) -> None:
        self.office = office
        self.sellbook = office.settings.sellbook  # as it was when the worker last heard of it
        self.paper = bookkeeping.Worker(office.settings.server.data_dir, name)
        self.name = self.paper.path.name
        self.wallets = Wallets(NoLender())
        self.open: dict[str, tuple[int, int, bool, int | None]] = {}

    def lease(self, customer: int, need: int) -> bool:
        """Ask the keeper for a lease, as the server grants it to one of several workers."""
        self.office.fold_all()
        free = self.office.lending.free_milli(self.office.books.state, customer, bookkeeping.T0)
        if free < need:
            return False
        amount = max(need, free // 4)
        self.office.lending.lend(self.name, customer, amount)
        self.wallets.add(customer, Lease(amount, None))
        return True

    def surrender(self, customer: int) -> None:
        """Give the lease back."""
        self.office.lending.give_back(self.name, customer, self.wallets.surrender(customer))

    def hold(self, x: str, customer: int, milli: int, plan: str, deep: int) -> bool:
        """Admit an exchange if the wallet covers it or the plan asks for none; get as far as `deep`."""
        terms = self.sellbook.plan(plan)
        enforced = terms.credits.enforce == "hard"
        if enforced and not self.wallets.take(customer, milli, bookkeeping.T0):
            return False
        record = held(x, milli, of=customer, plan=plan) | {"pv": terms.version}
        self.paper.write(*[record, called(x), mark(x)][: deep + 1])
        self.open[x] = (customer, milli, enforced, self.wallets.lease(customer))
        return True

    def end(self, x: str, charge: int | None) -> None:
        """Settle an exchange for `charge`, or void it; the rest goes back to the wallet."""
        customer, milli, enforced, lease = self.open.pop(x)
        self.paper.write(void(x) if charge is None else settled(x, charge))
        if enforced:
            self.wallets.put_back(customer, milli - (0 if charge is None else charge), lease=lease)

    def left(self, customer: int) -> int:
        """Return what the worker would hand in now."""
        return copy.deepcopy(self.wallets).surrender(customer)

    def die(self) -> None:
        """End without a word."""
        self.paper.close()


def again(found: Office, *, plans: str = PLANS, more: str = "") -> Office:
    """Close an office and open it anew."""
    found.close()
    return office(found.settings.server.data_dir, plans=plans, more=more)


def balance(found: Office, of: int = 1) -> dict[str, int]:
    """Return a customer's credits as the ledger file has them."""
    return bookkeeping.balance(found.books, of)


def sound(found: Office) -> list[str]:
    """Return what is wrong with an office's books, journals and rebuild."""
    return bookkeeping.sound(found.books)
