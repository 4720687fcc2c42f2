"""A model asked in doubt, on a real server: who serves moves, the charge does not, the invoice and the books agree."""

from collections.abc import Iterator
from fractions import Fraction

import pytest

from proxy.keeper.labels import LabelStore
from tests.e2e.conftest import Launch
from tests.e2e.invoices import reading
from tests.e2e.polling import until
from tests.e2e.server import Server, post, write_config
from tests.routing.test_advising import DOUBTFUL

JUDGE = {"enabled": True, "model": "gpt-4o-mini", "near": 0.3, "share": 1, "deadline": "5s"}


@pytest.fixture(scope="module")
def shop(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server whose judge may ask."""
    server = launch(write_config(tmp_path_factory.mktemp("config"), classifier={"judge": JUDGE}))
    yield server
    server.clear_away()


def answers(server: Server, *faults: str) -> None:
    """Let the next calls of the model that is asked go so."""
    url = (server.data_dir / "simulator" / "url").read_text().strip()
    rules = [{"fault": fault, "times": 1, "model": "gpt-4o-mini"} for fault in faults]
    post(f"{url}/_simulator/faults", json=rules).raise_for_status()


def test_the_invoice_and_the_books_agree_on_what_was_asked_beside(shop: Server) -> None:
    """Moved, agreed, failed and remembered: four charges of one tier, three calls beside them, every bill booked."""
    answers(shop, "say=simple", "say=medium", "status=500")
    prompts = [DOUBTFUL, f"{DOUBTFUL}, please", f"{DOUBTFUL} now", DOUBTFUL]

    said = [shop.chat(prompt, model="auto").headers for prompt in prompts]

    assert [each["x-penstock-served-tier"] for each in said] == ["simple", "medium", "medium", "simple"]
    assert {(each["x-penstock-tier"], each["x-penstock-credits-charged"]) for each in said} == {("medium", "3")}
    assert [each["x-penstock-route"] for each in said] == ["judged+advised", "judged", "judged", "judged+advised"]
    assert shop.ask("ledger.verify")["violations"] == []
    with reading(shop) as db:
        booked = dict(db.execute("SELECT call_id, cost_nusd FROM cost_lines WHERE call_id IS NOT NULL").fetchall())
        charged = db.execute("SELECT COUNT(*), SUM(credits_milli) FROM charges").fetchone()
        (beside,) = db.execute("SELECT SUM(cost_nusd) FROM cost_lines WHERE kind = 'classifier'").fetchone()
        tiers = db.execute("SELECT served_tier, COUNT(*) FROM charges GROUP BY 1 ORDER BY 1").fetchall()
    bills = {bill["call_id"]: round(Fraction(bill["amount_usd"]) * 10**9) for bill in shop.invoice()}
    assert booked == bills
    assert (charged, tiers) == ((4, 12_000), [("medium", 2), ("simple", 2)])
    saved = shop.ask("report.savings")["total"]
    assert (saved["overhead_nusd"], saved["actual_nusd"]) == (beside, sum(bills.values()))
    assert shop.cli("reconcile", "--json").json()["explained_share"] == 1
    until(lambda: {(each.labels["came"], each.labels["moved"]): each.value for each in shop.metrics()
                   if each.name == "penstock_advice_total"}
          == {("call", "yes"): 1, ("call", "no"): 1, ("failed", "no"): 1, ("memory", "yes"): 1}, "counted")  # fmt: skip


def test_the_charge_shows_what_was_asked_and_explain_asks_nobody(shop: Server) -> None:
    """`explain` says who would be asked; `--charge` what was said, and what it cost."""
    answers(shop, "say=simple")
    id_ = shop.chat(f"{DOUBTFUL} again", model="auto").headers["x-penstock-request-id"]
    calls = len(shop.invoice())

    foretold = shop.cli("explain", DOUBTFUL, "--json").json()
    told = shop.cli("explain", "--charge", id_).out

    assert foretold["advice"] == {"would_ask": "gpt-4o-mini", "between": ["medium", "simple"], "deadline_s": 5.0}
    assert "gpt-4o-mini takes it for simple, which is nearly as likely" in told
    assert "beside it, asked how hard it is: gpt-4o-mini at sandbox, status 200" in told
    assert len(shop.invoice()) == calls


@pytest.fixture(scope="module")
def sampled(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server that samples every request of its customers."""
    classifier = {"labels": {"enabled": True}, "shadows": {"enabled": True, "share": 1, "plans": ["sandbox"]}}
    server = launch(write_config(tmp_path_factory.mktemp("config"), classifier=classifier))
    yield server
    server.clear_away()


def test_a_sample_is_booked_and_becomes_a_label(sampled: Server) -> None:
    """Two requests, charged once each; the tier below answers both beside them; one is worth a label."""
    url = (sampled.data_dir / "simulator" / "url").read_text().strip()
    rules = [{"fault": "tokens=0", "times": 1, "model": "gpt-6-luna"}]
    prompt = "Summarise this paragraph about bees in two sentences."
    post(f"{url}/_simulator/faults", json=rules).raise_for_status()

    first = sampled.chat(prompt, model="auto").headers["x-penstock-request-id"]
    until(lambda: len(sampled.invoice()) == 2, "the tier below was asked")
    store = LabelStore(sampled.data_dir)
    until(store.everything, "a label")
    sampled.chat(prompt, model="auto", stream=True)
    until(lambda: len(sampled.invoice()) == 4, "and once more")
    until(lambda: sampled.ask("ledger.verify")["open_holds"] == 0, "all is closed")

    (label,) = store.everything()
    store.close()
    assert (label.x, label.source, label.good, label.served, label.propensity) == (first, "shadow", False, "simple", 1)
    with reading(sampled) as db:
        booked = db.execute("SELECT call_id, kind, cost_nusd FROM cost_lines").fetchall()
        charged = db.execute("SELECT COUNT(*), SUM(credits_milli) FROM charges").fetchone()
    bills = {bill["call_id"]: round(Fraction(bill["amount_usd"]) * 10**9) for bill in sampled.invoice()}
    assert {call_id: cost for call_id, _, cost in booked} == bills
    assert (charged, sorted(kind for _, kind, _ in booked)) == ((2, 6_000), ["model", "model", "shadow", "shadow"])
    assert sampled.ask("ledger.verify")["violations"] == []
    assert sampled.ask("report.savings")["total"]["overhead_nusd"] == sum(
        cost for _, kind, cost in booked if kind == "shadow"
    )
