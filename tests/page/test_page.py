"""The page at `/` in a real Chromium: what it shows is what the ledger says, and it can be used."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from margin.money import format_usd
from tests.e2e.conftest import launch  # noqa: F401 - a fixture
from tests.e2e.polling import until
from tests.e2e.server import Server, write_config
from tests.page.chromium import Tab, browser

PHONE = 390
ODD = '<i>"a_nusd":5&'
"""A customer whose name is markup, and looks like an amount."""
AIMED = {"credits": {"mode": "prepaid", "price": 0.05, "enforce": "hard"}, "target_margin": 0.6}
"""Without a fee, which would accrue while the page is compared with the ledger."""


@pytest.fixture
def tab(tmp_path) -> Iterator[Tab]:
    """Open a browser."""
    with browser(tmp_path / "profile") as found:
        yield found


@pytest.fixture
def served(launch, tmp_path) -> Server:  # noqa: F811 - the fixture
    """Start a server whose page takes a key."""
    sandbox = {"customers": {"sandbox": {"plan": "sandbox", "grant": 100_000, "paid": 5000}}}
    config = write_config(tmp_path / "configs", plans={"aimed": AIMED}, server={"page": "key"}, sandbox=sandbox,
                          caching={"responses": {"enabled": True}})  # fmt: skip
    return launch(config)


def test_the_page_shows_what_the_ledger_says(served: Server, tab: Tab):
    """Behind its key: an empty ledger, every figure after traffic, one customer's details, a prompt explained."""
    admin = served.create_key("house", "admin", plan="open")
    acme, odd = served.create_key("acme", plan="aimed"), served.create_key(ODD, plan="open")
    served.grant("acme", 13, paid_usd=1)
    tab.look(1280, 1600)
    tab.open(served.origin)

    unlock(tab, admin)
    assert_it_is_empty(tab)
    report = traffic(served, acme, odd)
    tab.until("document.querySelectorAll('#charges tbody time').length == 4")
    tab.until("document.querySelectorAll('#customer-rows tbody a').length == 2")

    assert_margins(tab, report)
    assert_levers_and_tiers(tab, report, served.ask("report.savings")["total"])
    assert_details(tab)
    assert_explained(tab, served)
    assert_it_fits(tab)
    assert served.ask("report.margin") == report, "to look at it costs nothing"


def unlock(tab: Tab, key: str) -> None:
    """Give the page its key."""
    tab.until("!document.querySelector('#lock').hidden")
    tab.run(f"document.querySelector('#key').value = {key!r}; document.querySelector('#lock').requestSubmit()")


def assert_it_is_empty(tab: Tab) -> None:
    """Of nothing no share is made up."""
    tab.until("document.querySelector('#charges .empty')")
    assert tab.text("#to-date .big") == "n/a"
    assert "There is no baseline yet." in tab.text("#saved")
    assert tab.table("#customer-rows") == [["No customer has used or paid anything this month."]]


def traffic(served: Server, acme: str, odd: str) -> dict[str, Any]:
    """Ask four things, one of them twice; return what the ledger makes of it."""
    for prompt, key, model in [
        ("Translate to French: good morning", acme, "auto"), ("Translate to French: good morning", acme, "auto"),
        ("Write a merge sort", acme, "auto:complex"), ("Say hello", odd, "auto:medium"),
    ]:  # fmt: skip
        assert served.chat(prompt, key, model=model).status_code == 200
    until(lambda: served.ask("report.margin")["total"]["requests"] == 4, "all is booked")
    return served.ask("report.margin")


def assert_margins(tab: Tab, report: dict[str, Any]) -> None:
    """Totals, customers from the biggest loss on, and the distance to the target."""
    total = report["total"]
    assert tab.text("#to-date .big") == tab.text("#today .big") == f"{total['margin'] * 100:.1f}%"
    facts = dict(re.findall(r"^(Margin|Revenue|Cost|Requests)\n(.+)$", tab.text("#to-date .facts"), re.MULTILINE))
    assert facts == {
        "Margin": format_usd(total["margin_nusd"]), "Revenue": format_usd(total["revenue_nusd"]),
        "Cost": format_usd(total["cost_nusd"]), "Requests": "4",
    }  # fmt: skip
    amounts = ("revenue_nusd", "cost_nusd", "margin_nusd")
    assert [[row[0].removesuffix(" credits run out"), *row[2:7]] for row in tab.table("#customer-rows")] == [
        [each["customer"], str(each["requests"]), *(format_usd(each[name]) for name in amounts),
         "n/a" if each["margin"] is None else f"{each['margin'] * 100:.1f}%"]
        for each in report["customers"]
    ]  # fmt: skip
    loser, acme = report["customers"]
    assert (loser["customer"], loser["margin"]) == (ODD, None)
    over = acme["margin_nusd"] - acme["revenue_nusd"] * 6 // 10
    assert tab.text("#target .big") == f"{format_usd(over)} above"


def assert_levers_and_tiers(tab: Tab, report: dict[str, Any], saved: dict[str, int]) -> None:
    """The waterfall ends at the bill; requests and spend are of the tier that was charged."""
    assert {row[0]: row[2] for row in tab.table("#waterfall")} == {
        "Baseline": format_usd(saved["baseline_nusd"]), "Routing": format_usd(-saved["routing_nusd"]),
        "Answers from memory": format_usd(-saved["response_cache_nusd"]),
        "Bill": format_usd(report["total"]["cost_nusd"]),
    }  # fmt: skip
    tiers = {row[0]: row[1:] for row in tab.table("#tiers")}
    assert {tier: row[:2] for tier, row in tiers.items()} == {
        "simple": ["2", "50.0%"], "medium": ["1", "25.0%"], "complex": ["1", "25.0%"],
    }  # fmt: skip
    assert tiers["medium"][2] == format_usd(report["customers"][0]["cost_nusd"])


def assert_details(tab: Tab) -> None:
    """A name opens its customer's charges, and takes the focus there."""
    tab.run("[...document.querySelectorAll('#customer-rows a')].find(a => a.textContent == 'acme').click()")
    tab.until("document.activeElement.id == 'customer-h' && document.querySelector('#customer-charges time')")
    assert tab.text("#customer-h") == "acme"
    assert "1 credits run out" in tab.text("#customer-facts"), "of 13 credits 12 are spent"
    charges = tab.table("#customer-charges")
    assert [row[3] for row in charges] == ["10", "1", "1"]
    assert "answered from memory" in charges[1][2]
    assert charges[1][5] == "$0.00"


def assert_explained(tab: Tab, served: Server) -> None:
    """The playground says what the command says."""
    prompt = "Prove that there are infinitely many primes"
    tab.run(f"document.querySelector('#prompt').value = {prompt!r}; document.querySelector('#ask').requestSubmit()")
    tab.until("document.querySelector('#answer .verdict')")
    said = served.cli("explain", prompt, "--json").json()
    assert tab.text("#answer .verdict") == f"Goes to {said['model']} at {said['provider']}: {said['served_tier']}"
    assert tab.text("#answer .reasons").splitlines() == said["why"]
    assert format_usd(said["ceiling_nusd"]) in tab.text("#answer")


def assert_it_fits(tab: Tab) -> None:
    """Nothing sticks out on a phone, dark is dark, every picture has words, and the browser had no complaint."""
    tab.look(PHONE, 800, is_dark=True)
    wide = f"[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > {PHONE})"
    assert tab.run(f"{wide}.filter(e => !e.closest('.scroll')).map(e => e.outerHTML.slice(0, 99))") == []
    assert tab.run("document.documentElement.scrollWidth") == PHONE
    red, green, blue = map(int, re.findall(r"\d+", tab.run("getComputedStyle(document.body).backgroundColor")))
    assert max(red, green, blue) < 64
    unnamed = "[...document.querySelectorAll('svg')].filter(s => !s.querySelector('title').textContent).length"
    assert tab.run(unnamed) == 0
    assert tab.run("[...document.querySelectorAll('table')].filter(t => !t.caption).length") == 0
    assert tab.run("[...document.images].filter(i => !i.complete || !i.naturalWidth).length") == 0
    origins = "[...new Set(performance.getEntriesByType('resource').map(e => new URL(e.name).origin))].join()"
    assert tab.run(origins) == tab.run("location.origin")
    # Before there was a key the server said 401, which the browser notes.
    assert [each for each in tab.complaints if "401" not in each] == []
