"""What commands answer: the shapes that others test against, and sentences where they refuse."""

import time
from fractions import Fraction
from pathlib import Path

import orjson
import pytest

from margin.ledger import questions
from proxy.keeper.commands import COMMANDS, perform
from tests.keeper.offices import Worker, is_key, office
from tests.margin.bookkeeping import CREDIT, USD, begun, called, held, line, mark, repeated, settled, void

KEY_TERMS = [
    "expires", "models", "tiers", "surfaces", "ips", "rpm", "tpm", "rpd", "tpd", "concurrency", "budget", "paused",
    "metadata",
]  # fmt: skip
MARGIN_FIELDS = [
    "requests",
    "cost_nusd",
    "revenue_nusd",
    "margin_nusd",
    "margin",
    "savings_nusd",
    "model_cost_nusd",
    "other_cost_nusd",
    "model_margin",
    "overhead_nusd",
    "overhead_of_nobody_nusd",
    "payment_fees_nusd",
    "gross_margin_nusd",
    "gross_margin",
]


@pytest.fixture
def found(tmp_path):
    """An open office."""
    opened = office(tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture
def worker(found):
    """A worker's journal."""
    one = Worker(found, "worker-1")
    yield one.paper
    one.die()


def result(found, command, **args):
    """Perform a command that succeeds; its answer is plain JSON."""
    answer = perform(found, command, args, by="uid 1000")
    assert set(answer) == {"result"}, answer
    assert orjson.loads(orjson.dumps(answer)) == answer
    return answer["result"]


def refusal(found, command, **args):
    """Perform a command that is refused; nothing is written."""
    before = found.books.journal.offset
    answer = perform(found, command, args, by="uid 1000")
    assert set(answer) == {"refused", "param", "unknown"}, answer
    assert found.books.journal.offset == before
    return answer["refused"]


def given(found, customer="acme", milli=100 * CREDIT, paid=0, expires_s=None):
    """Grant credits by command."""
    return result(found, "credits.grant", customer=customer, credits_milli=milli, paid_nusd=paid, expires_s=expires_s)


def test_keys_create(found):
    """The key, its id, its customer and its scopes; the customer is opened on the default plan."""
    made = result(found, "keys.create", customer="acme", scopes=["serve", "see-cost"])

    assert sorted(made) == sorted(["key", "id", "customer", "scopes", *KEY_TERMS])
    assert (made["customer"], made["scopes"]) == ("acme", ["serve", "see-cost"])
    assert is_key(found, made["key"])
    assert result(found, "customers.list")[0]["plan"] == "open"


def test_keys_list_shows_no_secret(found):
    """Ids, customers, scopes and both moments."""
    made = result(found, "keys.create", customer="acme", scopes=["serve"])
    result(found, "keys.revoke", id=made["id"])

    (listed,) = result(found, "keys.list")

    assert sorted(listed) == sorted(["id", "customer", "scopes", "created", "revoked", *KEY_TERMS])
    assert listed["revoked"].endswith("Z")
    assert made["key"] not in str(listed)


def test_keys_revoke(found):
    """Once."""
    made = result(found, "keys.create", customer="acme", scopes=["serve"])

    assert result(found, "keys.revoke", id=made["id"]) == {"id": made["id"], "revoked": True}
    assert not is_key(found, made["key"])
    assert refusal(found, "keys.revoke", id=made["id"]) == f'there is no live key "{made["id"]}"'


def test_customers_create_move_list(found):
    """A customer is on the plan that was asked for, and then on the other."""
    assert result(found, "customers.create", customer="acme", plan="hard") == {"customer": "acme", "plan": "hard"}
    assert result(found, "customers.create", customer="globex", plan=None) == {"customer": "globex", "plan": "open"}
    assert result(found, "customers.move", customer="acme", plan="starter") == {"customer": "acme", "plan": "starter"}

    listed = result(found, "customers.list")

    assert [(each["customer"], each["plan"]) for each in listed] == [("acme", "starter"), ("globex", "open")]
    assert all(sorted(each) == ["customer", "persona", "plan", "segment", "since"] for each in listed)


def test_credits_grant_and_balance(found):
    """Amounts are credits: whole ones are integers, parts are decimals."""
    made = given(found, milli=100 * CREDIT)

    assert sorted(made) == ["available", "expired", "grant", "held", "overdraft", "spent"]
    assert made["available"] == 100
    given(found, milli=1)
    assert result(found, "credits.balance", customer="acme") == {
        "available": 100.001, "held": 0, "spent": 0, "expired": 0, "overdraft": 0,
    }  # fmt: skip


def test_a_balance_counts_what_was_journalled_before_it_was_asked(found, worker):
    """No wait for the next fold."""
    given(found)
    worker.write(held("x1", 10 * CREDIT), settled("x1", 4 * CREDIT), held("x2", 5 * CREDIT))

    assert result(found, "credits.balance", customer="acme") == {
        "available": 91, "held": 5, "spent": 4, "expired": 0, "overdraft": 0,
    }  # fmt: skip


def test_report_margin(found, worker):
    """Every customer and the total, with the same fields; without revenue the margin is null, and the loss is shown."""
    result(found, "customers.create", customer="acme", plan="prepaid")
    given(found, milli=100 * CREDIT, paid=10 * USD)
    result(found, "customers.create", customer="globex", plan="open")
    t = time.time_ns()
    worker.write(
        held("x1", 10 * CREDIT, plan="prepaid", t=t), settled("x1", 10 * CREDIT, line(USD // 4), baseline=USD, t=t)
    )
    worker.write(held("x2", 0, of=2, t=t), settled("x2", 0, line(500), t=t), held("x3", 0, of=2), void("x3"))

    found_report = result(found, "report.margin")

    assert sorted(found_report) == ["customers", "total"]
    rows = {row["customer"]: row for row in found_report["customers"]}
    assert all(list(row) == ["customer", *MARGIN_FIELDS] for row in rows.values())
    assert rows["acme"] == {
        "customer": "acme", "requests": 1, "cost_nusd": USD // 4, "revenue_nusd": USD, "margin_nusd": USD * 3 // 4,
        "margin": 0.75, "savings_nusd": USD * 3 // 4, "model_cost_nusd": USD // 4, "other_cost_nusd": 0,
        "model_margin": 0.75, "overhead_nusd": 0, "overhead_of_nobody_nusd": 0, "payment_fees_nusd": 0,
        "gross_margin_nusd": USD * 3 // 4, "gross_margin": 0.75,
    }  # fmt: skip
    assert (rows["globex"]["margin"], rows["globex"]["margin_nusd"], rows["globex"]["requests"]) == (None, -500, 1)
    assert list(found_report["total"]) == MARGIN_FIELDS
    assert found_report["total"]["requests"] == 2
    assert found_report["total"]["margin_nusd"] == sum(row["margin_nusd"] for row in rows.values())


def test_report_savings(found, worker):
    """Lever by lever from the baseline to the bill; a mark whose write nobody read is a loss; routing is the rest."""
    found.open_customer("acme")
    worker.write(begun("x1", 0), settled("x1", 0, line(300), baseline=1_000, marks=200))
    worker.write(begun("x2", 0), settled("x2", 0, line(1_100), baseline=1_000, marks=-150))
    worker.write(repeated("x3", 0, spared=400, baseline=1_000))

    report = result(found, "report.savings")

    (acme,) = report["customers"]
    assert (acme["baseline_nusd"], acme["actual_nusd"]) == (3_000, 300 + 1_100)
    assert (acme["response_cache_nusd"], acme["prompt_cache_nusd"]) == (400, 200 - 150)
    assert acme["routing_nusd"] == (1_000 - 300 - 200) + (1_000 - 1_100 + 150) + (1_000 - 400)
    assert report["total"] == {name: value for name, value in acme.items() if name != "customer"}
    assert result(found, "ledger.verify")["violations"] == []


def test_report_margin_since(found, worker):
    """From a day on; what is no day is refused with an example."""
    worker.write(held("x1", 0), settled("x1", 0, line(500)))
    found.open_customer("acme")

    assert result(found, "report.margin", since="2026-11-20")["total"]["cost_nusd"] == 500
    assert result(found, "report.margin", since="20261121")["total"]["cost_nusd"] == 0
    assert result(found, "report.margin", since=None)["total"]["cost_nusd"] == 500
    assert refusal_of_day(found, "yesterday") == '"yesterday" is no day; write it like 2026-11-20'


def refusal_of_day(found, since):
    """Ask for a report since what is no day. Asking lets time pass in the books, so something is written."""
    return perform(found, "report.margin", {"since": since}, by="uid 1000")["refused"]


def test_a_report_of_nothing(found):
    """No customers, zeros, and no margin."""
    assert result(found, "report.margin") == {
        "customers": [],
        "total": dict.fromkeys(MARGIN_FIELDS, 0) | dict.fromkeys(("margin", "model_margin", "gross_margin")),
    }


def test_ledger_verify(found, worker):
    """Sound books, one hold open, whole transactions."""
    given(found)
    deadline = time.time_ns() + 10**12
    worker.write(held("x1", 1000, deadline=deadline), called("x1"), mark("x1"))

    answer = result(found, "ledger.verify")

    assert answer == {"ok": True, "transactions": 1, "imbalance_nusd": 0, "open_holds": 1, "violations": [],
                      "rounding": {"lines": 0, "residue_nusd": 0}}  # fmt: skip


def test_ledger_verify_says_no(found, worker):
    """A tampered entry, a record without effect and a hold past its deadline are each a sentence."""
    given(found)
    worker.write(held("x1", 1000, deadline=time.time_ns() - 10**12), settled("x9", 5))
    found.fold_all()
    db = found.books.store.db
    db.execute("DROP TRIGGER entries_are_final")
    db.execute("UPDATE entries SET amount = amount + 3 WHERE id = 1")

    answer = result(found, "ledger.verify")

    assert not answer["ok"]
    assert any("x1" in each and "deadline" in each for each in answer["violations"])
    assert any("no effect" in each for each in answer["violations"])
    assert any(each.startswith("I1") for each in answer["violations"])


def test_ledger_verify_reads_the_journals(found, worker):
    """Truncated behind our back, a journal is named."""
    worker.write(held("x1", 0), settled("x1", 0))
    found.open_customer("acme")
    found.fold_all()
    path = worker.path
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])

    answer = result(found, "ledger.verify")

    assert not answer["ok"]
    assert path.name in answer["violations"][0]


def invoice(folder, *amounts):
    """Write a provider's account of calls c0, c1 and so on."""
    path = folder / "invoice.jsonl"
    lines = [{"call_id": f"c{n}", "model": "m1", "amount_usd": str(amount)} for n, amount in enumerate(amounts)]
    path.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in lines))
    return str(path)


def test_reconcile(found, worker, tmp_path):
    """Share, difference and bound; no lines when all is explained."""
    found.open_customer("acme")
    for n, cost in enumerate((700, 1_234)):
        worker.write(held(f"x{n}", 0), settled(f"x{n}", 0, line(cost, call_id=f"c{n}")))

    answer = result(found, "ledger.reconcile", export=invoice(tmp_path, Fraction(7002, 10**10), Fraction(1_234, 10**9)))

    assert {"explained_share", "difference_nusd", "rounding_bound_nusd", "lines"} <= set(answer)
    assert answer["ok"]
    assert (answer["explained_share"], answer["lines"]) == (1.0, [])
    assert answer["difference_nusd"] == pytest.approx(-0.2)
    assert answer["rounding_bound_nusd"] == 2 / 2


def test_an_account_that_bills_nothing_explains_nothing(found, worker, tmp_path):
    """An empty account against booked cost is no success: its share is unknown, its difference is all of the cost."""
    found.open_customer("acme")
    worker.write(held("x0", 0), settled("x0", 0, line(700, call_id="c0")))

    answer = result(found, "ledger.reconcile", export=invoice(tmp_path))

    assert (answer["ok"], answer["explained_share"], answer["difference_nusd"]) == (False, None, 700)
    (last,) = questions.last_reconciled(found.books.store.db)
    assert (last.explained_ppb, last.difference_nusd) == (None, 700)
    assert result(found, "ledger.verify")["ok"]


@pytest.mark.parametrize("days", [{"since": "2100-01-01"}, {"until": "2026-11-20"}])
def test_some_days_are_not_the_last_comparison(found, worker, tmp_path, days):
    """The metrics go by the whole account: of some days any share can be had."""
    found.open_customer("acme")
    worker.write(held("x0", 0), settled("x0", 0, line(700, call_id="c0")))
    export = invoice(tmp_path, Fraction(700, 10**9), Fraction(700, 10**9))
    whole = result(found, "ledger.reconcile", export=export)

    some = result(found, "ledger.reconcile", export=export, **days)

    assert (whole["whole"], some["whole"]) == (True, False)
    (last,) = questions.last_reconciled(found.books.store.db)
    assert last.explained_ppb == 500_000_000


@pytest.mark.parametrize(("days", "booked"), [
    ({"since": "2026-11-20"}, 0), ({"until": "2026-11-19"}, 700), ({"since": "2026-11-19", "until": "2026-11-19"}, 700),
])  # fmt: skip
def test_a_stream_over_midnight_is_of_the_day_of_its_bill(found, worker, tmp_path, days, booked):
    """Billed when it began, on the 19th, and booked when it ended, on the 20th: one call, on one day, in any span."""
    found.open_customer("acme")
    worker.write(held("x0", 0), settled("x0", 0, line(700, call_id="c0")))
    path = tmp_path / "invoice.jsonl"
    bill = {"call_id": "c0", "model": "m1", "amount_usd": "7e-7", "at": "2026-11-19T23:59:58Z"}
    path.write_bytes(orjson.dumps(bill) + b"\n")

    answer = result(found, "ledger.reconcile", export=str(path), **days)

    assert (answer["ok"], answer["booked_nusd"], answer["billed_nusd"]) == (True, booked, booked)
    assert answer["lines"] == []


def test_reconcile_says_no(found, worker, tmp_path):
    """What is billed and not booked has a line of its own."""
    found.open_customer("acme")
    worker.write(held("x0", 0), settled("x0", 0, line(700, call_id="c0")))

    answer = result(found, "ledger.reconcile", export=invoice(tmp_path, Fraction(700, 10**9), Fraction(300, 10**9)))

    assert not answer["ok"]
    assert answer["explained_share"] == pytest.approx(0.7)
    assert answer["lines"] == [
        {"model": "m1", "day": None, "reason": "billed, not booked", "calls": 1, "booked_nusd": 0, "billed_nusd": 300.0,
         "tokens": {}}
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [b"{}", b"[]", b"not json", b'{"call_id":"c","model":"m","amount_usd":"1/0"}', b"5",
     b'{"call_id":"c","model":"m","amount_usd":"much"}'],
)  # fmt: skip
def test_an_invoice_that_is_none_is_refused_with_its_line(found, tmp_path, content):
    """The sentence names file and line, never a traceback."""
    path = tmp_path / "invoice.jsonl"
    path.write_bytes(b'{"call_id":"c","model":"m","amount_usd":"1/3"}\n' + content + b"\n")

    assert refusal(found, "ledger.reconcile", export=str(path)) == (
        "invoice.jsonl:2 is no invoice line (call_id, model, amount_usd)"
    )


def test_explain_charge(found, worker):
    """One charge with its cost lines, its decision record, its customer's name."""
    found.open_customer("acme")
    worker.write(held("x1", 3000), settled("x1", 3000, line(700), baseline=900))

    answer = result(found, "explain.charge", id="x1")

    assert (answer["x"], answer["customer"], answer["credits_milli"], answer["cost_nusd"]) == ("x1", "acme", 3000, 700)
    assert answer["decision"] == {"x": "x1"}
    assert answer["at"] == "2026-11-20T00:00:00Z"
    assert answer["cost_lines"][0]["usage"] == {"input": 100, "output": 20}


REFUSALS = [
    ("keys.create", {"customer": "", "scopes": ["serve"]}, "a customer's name must be 1 to 128 printable characters"),
    ("keys.create", {"customer": "a\nb", "scopes": []}, "a customer's name must be 1 to 128 printable characters"),
    ("keys.create", {"customer": "n" * 129, "scopes": []}, "a customer's name must be 1 to 128 printable characters"),
    ("keys.create", {"customer": "new", "scopes": ["root"]},
     '"root" is no scope; scopes are: serve, attribute, outcomes, costs, see-cost, admin'),
    ("keys.create", {"customer": "new", "scopes": ["serv"]}, '"serv" is no scope; did you mean "serve"?'),
    ("keys.revoke", {"id": "none"}, 'there is no live key "none"'),
    ("customers.create", {"customer": "acme", "plan": None}, 'the customer "acme" exists'),
    ("customers.create", {"customer": "new", "plan": "gold"},
     'there is no plan "gold"; plans are: hard, open, prepaid, starter'),
    ("customers.move", {"customer": "new", "plan": "hard"}, 'there is no customer "new"'),
    ("customers.move", {"customer": "acme", "plan": "gold"},
     'there is no plan "gold"; plans are: hard, open, prepaid, starter'),
    ("credits.grant", {"customer": "acme", "credits_milli": 0, "paid_nusd": 0, "expires_s": None},
     "a grant must be more than 0 credits"),
    ("credits.grant", {"customer": "acme", "credits_milli": 10**15 + 1, "paid_nusd": 0, "expires_s": None},
     "a grant must be at most a trillion credits and a billion US dollars"),
    ("credits.grant", {"customer": "acme", "credits_milli": 1, "paid_nusd": 10**18 + 1, "expires_s": None},
     "a grant must be at most a trillion credits and a billion US dollars"),
    ("credits.grant", {"customer": "acme", "credits_milli": 1, "paid_nusd": 0, "expires_s": 10**11},
     "a grant must expire in the future, and before the year 2262"),
    ("credits.grant", {"customer": "acme", "credits_milli": 1, "paid_nusd": 0, "expires_s": 0},
     "a grant must expire in the future, and before the year 2262"),
    ("credits.balance", {"customer": "new"}, 'there is no customer "new"'),
    ("explain.charge", {"id": "none"}, 'there is no charge "none"'),
    ("ledger.reconcile", {"export": "/nonexistent/invoice.jsonl"},
     "/nonexistent/invoice.jsonl is no file; name the provider's account with --export"),
    ("ledger.reconcile", {"export": "/"}, "/ is no file; name the provider's account with --export"),
    ("brew.coffee", {}, "the server knows no command brew.coffee; is it of another version?"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "args", "sentence"), REFUSALS, ids=[each[0] for each in REFUSALS])
def test_what_makes_no_sense_is_refused_in_a_sentence(found, command, args, sentence):
    """And nothing is written down."""
    found.open_customer("acme")

    assert refusal(found, command, **args) == sentence


def test_the_largest_grants_fit(found):
    """A trillion credits for a billion dollars, more than once, stay whole numbers."""
    for _ in range(3):
        given(found, milli=10**15, paid=10**18)

    assert result(found, "credits.balance", customer="acme")["available"] == 3 * 10**12
    assert result(found, "ledger.verify")["ok"]


def test_ledger_changes(found):
    """Time, who, what, and its fields; since a day."""
    given(found)

    last = result(found, "ledger.changes", since=time.strftime("%Y-%m-%d", time.gmtime()))[-1]

    assert sorted(last) == ["at", "by", "content", "kind"]
    assert (last["kind"], last["by"], last["content"]["customer"]) == ("grant", "uid 1000", "acme")
    assert result(found, "ledger.changes", since="2999-01-01") == []


def test_every_command_has_a_test_here():
    """Each name that can be asked is asked in this folder."""
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))

    assert [name for name in COMMANDS if f'"{name}"' not in text] == []


def test_a_customer_half_opened_by_a_crash_can_be_created(found):
    """Its name is in the directory and not in the books: the command makes it whole instead of refusing it."""
    found.directory.add(1, "acme")

    assert refusal(found, "credits.balance", customer="acme") == 'there is no customer "acme"'
    assert result(found, "customers.create", customer="acme", plan="hard") == {"customer": "acme", "plan": "hard"}


def test_an_estimate_is_corrected_when_the_account_names_its_call(found, worker, tmp_path):
    """A preview says how many, `apply` posts them, and then there is nothing left to correct; the last run is kept."""
    found.open_customer("acme")
    worker.write(held("x1", 1000), called("x1"), settled("x1", 1000, line(900, kind="estimated", call_id="c0")))
    export = invoice(tmp_path, Fraction(650, 10**9))

    preview = result(found, "ledger.reconcile", export=export)
    applied = result(found, "ledger.reconcile", export=export, apply=True)
    again = result(found, "ledger.reconcile", export=export, apply=True)

    assert (preview["ok"], preview["corrigible"], preview["corrected"]) == (False, 1, 0)
    assert (applied["ok"], applied["corrigible"], applied["corrected"]) == (True, 0, 1)
    assert (again["ok"], again["corrected"]) == (True, 0)
    assert result(found, "report.margin")["total"]["cost_nusd"] == 650
    assert result(found, "ledger.verify")["violations"] == []
    (last,) = questions.last_reconciled(found.books.store.db)
    assert (last.account, last.explained_ppb, last.difference_nusd, last.differences) == ("simulator", 10**9, 0, 0)


def test_days_outside_the_asked_ones_are_not_compared(found, worker, tmp_path):
    """A call of another day is neither booked nor billed there."""
    found.open_customer("acme")
    worker.write(held("x1", 1000), called("x1"), settled("x1", 1000, line(900, call_id="c0")))

    answer = result(found, "ledger.reconcile", export=invoice(tmp_path, Fraction(900, 10**9)), until="2026-11-01")

    assert answer["booked_nusd"] == 0
    assert refusal(found, "ledger.reconcile", export=invoice(tmp_path, Fraction(0)), since="soon") == (
        '"soon" is no day; write it like 2026-11-20'
    )
