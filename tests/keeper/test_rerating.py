"""A whole ledger by other prices: shown, posted once, posted back; and by its own prices to the nano-dollar."""

import pytest

from margin import costbook
from margin.costbooks.writing import document, write
from margin.ledger import questions
from margin.usage import Usage
from proxy.cli import charges
from tests.keeper.offices import Worker, office, sound
from tests.keeper.test_commands import given, refusal, result
from tests.margin.bookkeeping import NS, T0, called, held, settled, void

MODEL = "gpt-6-luna"
USAGE = {"input": 1_000_000, "output": 100_000}


@pytest.fixture
def booked(found):
    """Two calls of acme's are booked by the configuration's price, one whose answer nobody got, one that never went."""
    given(found)
    worker = Worker(found, "worker-1")
    line = attempt(found)
    failed = line | {"kind": "failed", "id": None}
    worker.paper.write(
        held("x1", 0, plan="open"), called("x1"), settled("x1", 0, line),
        held("x2", 0, plan="open"), called("x2"), settled("x2", 0, failed, line | {"n": 2}),
        held("x3", 0, plan="open"), called("x3"), void("x3", line | {"u": None, "cost": 0, "kind": "failed"}),
    )  # fmt: skip
    worker.die()
    found.fold_all()
    return found


def attempt(found):
    """Return a cost line as metering books it."""
    card = found.settings.deployments[MODEL].prices.at(T0 // NS)
    return {"n": 1, "p": "openai", "d": MODEL, "m": MODEL, "card": card.id, "kind": "model", "u": USAGE, "id": "call1",
            "cost": card.cost_nusd(Usage.from_dict(USAGE)), "st": 200}  # fmt: skip


def price_file(folder, factor):
    """Write a price file in which the model costs `factor` hundredths of a dollar a million tokens, in and out."""
    path = folder / f"prices-{factor}.json"
    price = {"from": None, "input": str(factor / 100), "output": str(factor / 100)}
    entry = {"provider": "openai", "model": MODEL, "prices": [price]}
    write(path, document("test", "test", [entry]))
    return str(path)


def rerated(found, prices, **args):
    """Re-rate everything."""
    return result(found, "ledger.rerate", since="2026-11-01", prices=prices, **args)


def test_stored_prices_give_the_stored_amounts(booked):
    """Nothing differs, line for line, whatever the price files say by now."""
    said = rerated(booked, "stored")

    assert said["counts"] == {"changed": 0, "unchanged": 4, "unpriced": 0, "billed": 0, "unratable": 0}
    assert said["total"]["difference_nusd"] == 0
    assert said["total"]["booked_nusd"] == 3 * attempt(booked)["cost"] > 0


def test_a_service_tier_is_rerated_at_its_own_price(found, tmp_path):
    """Priority costs twice as much: by the prices in use nothing differs, by later ones priority's counts."""
    given(found)
    worker, standard = Worker(found, "worker-1"), found.settings.deployments[MODEL].prices.at(T0 // NS)
    card, usage = standard.for_service_tier("priority"), Usage.from_dict(USAGE)
    line = attempt(found) | {"card": card.id, "cost": card.cost_nusd(usage), "svc": "priority"}
    worker.paper.write(held("x1", 0, plan="open"), called("x1"), settled("x1", 0, line))
    worker.die()
    price = {"from": None, "input": "1", "output": "1", "service_tiers": {"priority": {"input": "3", "output": "3"}}}
    entry = {"provider": "openai", "model": MODEL, "prices": [price]}
    write(tmp_path / "later.json", document("test", "test", [entry]))

    for same in (None, "stored", found.settings.costbook.version):
        assert rerated(found, same)["counts"]["unchanged"] == 1
    assert rerated(found, str(tmp_path / "later.json"))["total"]["rerated_nusd"] == 3_300_000_000
    told = "\n".join(charges.in_words(result(found, "explain.charge", id="x1")))
    assert f"call 1: {MODEL} at openai in priority, status 200: cost" in told
    assert card.cost_nusd(usage) == 2 * standard.cost_nusd(usage)


def test_a_preview_changes_nothing(booked, tmp_path):
    """1.1 million tokens at a dollar, three times: by customer and model."""
    offset = booked.books.journal.offset

    said = rerated(booked, price_file(tmp_path, 100))

    assert said["groups"] == [
        {"customer": "acme", "model": MODEL, "lines": 4, "changed": 3, "booked_nusd": 3 * attempt(booked)["cost"],
         "rerated_nusd": 3_300_000_000, "difference_nusd": 3_300_000_000 - 3 * attempt(booked)["cost"]}
    ]  # fmt: skip
    assert booked.books.journal.offset == offset


def test_corrections_are_posted_once_and_each_version_corrects_the_last(booked, tmp_path):
    """Applied twice it posts nothing; a third version starts from the second; the stored prices are the newest."""
    dollar, half = price_file(tmp_path, 100), price_file(tmp_path, 50)

    first = rerated(booked, dollar, apply=True)
    again = rerated(booked, dollar, apply=True)
    third = rerated(booked, half, apply=True)

    assert (first["counts"]["changed"], again["counts"]["changed"], third["counts"]["changed"]) == (3, 0, 3)
    assert third["total"]["difference_nusd"] == -1_650_000_000
    assert result(booked, "report.margin")["total"]["cost_nusd"] == 1_650_000_000
    assert rerated(booked, "stored")["counts"]["changed"] == 0
    assert rerated(booked, None, apply=True)["total"]["rerated_nusd"] == 3 * attempt(booked)["cost"]
    assert rerated(booked, half, apply=True)["counts"]["changed"] == 3, "and forth again"
    assert sound(booked) == []


def test_an_earlier_version_is_known_by_its_name(booked, tmp_path):
    """The books keep what a cost book said, also when its file is gone."""
    version = booked.settings.costbook.version
    rerated(booked, price_file(tmp_path, 100), apply=True)
    booked.close()
    again = office(booked.settings.server.data_dir)

    said = rerated(again, version, apply=True)

    assert questions.costbook_versions(again.books.store.db) == [version]
    assert said["total"]["rerated_nusd"] == 3 * attempt(again)["cost"]
    again.close()


def test_a_customer_and_days_bound_it(booked, tmp_path):
    """What is outside is not even looked at."""
    price = price_file(tmp_path, 100)
    booked.open_customer("globex")

    assert rerated(booked, price, customer="globex")["total"]["lines"] == 0
    assert rerated(booked, price, until="2026-11-19")["total"]["lines"] == 0
    assert rerated(booked, price, until="2026-11-20", customer="acme")["total"]["lines"] == 4


def test_a_model_without_a_price_is_counted_and_left_alone(booked, tmp_path):
    """A price file that does not know the model changes nothing."""
    path = tmp_path / "others.json"
    path.write_text((costbook.SHIPPED).read_text().replace("gpt-6-luna", "gpt-6-sol-x"))

    said = rerated(booked, str(path), apply=True)

    assert (said["counts"]["unpriced"], said["counts"]["changed"]) == (3, 0)


@pytest.mark.parametrize(("args", "sentence"), [
    ({"prices": "cost_nosuch"}, 'there are no prices "cost_nosuch": name a price file, stored, or a version: cost_'),
    ({"prices": __file__}, "not JSON"),
    ({"since": "yesterday"}, '"yesterday" is no day'),
    ({"customer": "nobody"}, 'there is no customer "nobody"'),
    ({"since": "2026-11-20", "until": "2026-11-19"}, "no day lies between"),
])  # fmt: skip
def test_what_cannot_be_rerated_by_is_refused_in_a_sentence(booked, args, sentence):
    """Nothing is written."""
    said = refusal(booked, "ledger.rerate", **{"since": "2026-11-01", "prices": None} | args)

    assert sentence in said
