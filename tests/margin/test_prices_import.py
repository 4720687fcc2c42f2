"""Importing into a price file: dated entries, history kept, conflicts shown, pins respected."""

from datetime import date
from pathlib import Path

import pytest

from margin.card import Card
from margin.costbook import load
from margin.costbooks import importing, pinning, sources
from margin.costbooks.dated import day_s
from margin.costbooks.reading import book_of
from margin.costbooks.sources import Source
from margin.costbooks.writing import document, render, write

FIXTURES = Path(__file__).with_name("fixtures")
TODAY = date(2026, 11, 20)
BEFORE, LATER, LAST = date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1)


def price(start, **rates):
    """Return one dated price of a file."""
    return {"from": None if start is None else start.isoformat(), **rates}


def model(*prices, name="m", **more):
    """Return one model of a file."""
    return {"provider": "p", "model": name, **more, "prices": list(prices)}


def book(*models):
    """Return a price file's content."""
    return document("ours", "by hand", models)


def source(*models, dated=True):
    """Return a source that says this."""
    content = document("theirs", "theirs", models)
    return Source("theirs", "theirs 1.0, 2026-11-20", book_of(content, "theirs"), tuple(models), dated)


def rates_on(content, day, name="m"):
    """Return what a file bills on a day."""
    return book_of(content, "file").find(name, "p").at(day_s(day)).rates


def test_a_changed_price_counts_from_the_day_of_the_import():
    """The day before keeps the old price, and the new entry says where it came from."""
    ours = book(model(price(None, input="2", output="8")))

    made = importing.merged(ours, source(model(price(None, input="1", output="8"))), TODAY)

    assert rates_on(made.document, BEFORE)["input"] == 2
    assert rates_on(made.document, TODAY)["input"] == 1
    assert made.document["models"][0]["prices"][1]["source"] == "theirs 1.0, 2026-11-20"
    (change,) = made.changes
    assert [(str(place), before, after) for place, before, after in change.rates] == [("input", 2, 1)]
    assert ours == book(model(price(None, input="2", output="8")))


def test_a_change_that_is_dated_later_comes_with_its_date():
    """A price that doubles on a date does so in the file."""
    ours = book(model(price(None, input="2")))

    made = importing.merged(ours, source(model(price(None, input="2"), price(LATER, input="4"))), TODAY)

    assert rates_on(made.document, TODAY)["input"] == 2
    assert rates_on(made.document, LATER)["input"] == 4
    assert [change.day for change in made.changes] == [LATER]


def test_a_source_without_dates_leaves_later_entries_alone():
    """That it knows one price does not mean that there will be no other."""
    ours = book(model(price(None, input="2"), price(LATER, input="4")))

    made = importing.merged(ours, source(model(price(None, input="3")), dated=False), TODAY)

    assert rates_on(made.document, TODAY)["input"] == 3
    assert rates_on(made.document, LATER)["input"] == 4


def test_the_same_again_changes_nothing():
    """An import is idempotent."""
    theirs = source(model(price(None, input="1"), price(LATER, input="2")), model(price(None, input="5"), name="n"))
    once = importing.merged(book(model(price(None, input="3"))), theirs, TODAY)

    twice = importing.merged(once.document, theirs, TODAY)

    assert twice.is_empty
    assert twice.document == once.document
    assert twice.unchanged == 2


def test_a_new_model_comes_whole():
    """With the history that its source knows."""
    theirs = source(model(price(None, input="1"), price(BEFORE, input="2"), name="n", aliases=["n-2026"]))

    made = importing.merged(book(model(price(None, input="3"))), theirs, TODAY)

    assert made.new == (("p", "n"),)
    assert rates_on(made.document, date(2026, 10, 1), "n-2026")["input"] == 1
    assert rates_on(made.document, TODAY, "n-2026")["input"] == 2


def test_silence_is_no_change():
    """A bucket or a tier that only the file names stays, as long as what both name agrees."""
    tiers = {"batch": {"input": "1"}}
    ours = book(model(price(None, input="2", cache_write_1h="4", output="8", service_tiers=tiers)))

    made = importing.merged(ours, source(model(price(None, input="2", output="8"))), TODAY)

    assert made.is_empty


def test_what_only_the_source_names_is_added():
    """The file's own prices beside it stay, whatever the source is silent about."""
    ours = book(model(price(None, input="2", cache_write_1h="4", output="8")))
    theirs = source(model(price(None, input="2", output="8", cache_read="0.2", service_tiers={"flex": {"input": "1"}})))

    made = importing.merged(ours, theirs, TODAY)
    card = book_of(made.document, "file").find("m", "p").at(day_s(TODAY))

    assert card.rates == {"input": 2, "cache_read": card.rates["cache_read"], "cache_write_1h": 4, "output": 8}
    assert str(card.rates["cache_read"]) == "0.2"
    assert card.for_service_tier("flex").rates["input"] == 1
    assert made.document["models"][0]["prices"][1]["source"] == "by hand; theirs 1.0, 2026-11-20"


def test_a_replaced_price_says_what_it_no_longer_names():
    """A batch price of an old price would be dearer than the new one: it goes, and that is reported."""
    ours = book(model(price(None, input="2", output="8", service_tiers={"batch": {"input": "1", "output": "4"}})))

    made = importing.merged(ours, source(model(price(None, input="1", output="8"))), TODAY)
    card = book_of(made.document, "file").find("m", "p").at(day_s(TODAY))

    assert card.for_service_tier("batch") == Card.of(input=1, output=8)
    assert [str(place) for place in made.changes[0].ends] == ["batch input", "batch output"]


def test_thresholds_one_token_apart_are_one_line():
    """`above 199,999` and `above 200,000` are one provider's line, written as ≥ and as >."""
    ours = book(model(price(None, input="2", tiers=[{"above": 199_999, "input": "4"}])))
    theirs = source(model(price(None, input="2", tiers=[{"above": 200_000, "input": "4"}])))

    assert importing.merged(ours, theirs, TODAY).is_empty


@pytest.mark.parametrize("day", [TODAY, LATER])
def test_an_entry_of_that_day_or_later_is_not_overwritten(day):
    """It is a conflict, and gives way only if asked."""
    ours = book(model(price(None, input="2"), price(day, input="3")))
    theirs = source(model(price(None, input="2"), price(day, input="9")))

    kept = importing.merged(ours, theirs, TODAY)
    replaced = importing.merged(ours, theirs, TODAY, replace=True)

    assert [change.day for change in kept.conflicts] == [day]
    assert kept.is_empty
    assert rates_on(kept.document, LAST)["input"] == 3
    assert rates_on(replaced.document, LAST)["input"] == 9
    assert not replaced.conflicts


def test_a_pinned_model_is_left_alone():
    """What the source says of it is told, and not written."""
    pin = {**price(BEFORE, input="2"), "pinned": True, "source": "a contract"}
    ours = book(model(price(None, input="2"), pin))

    made = importing.merged(ours, source(model(price(None, input="1"))), TODAY)

    assert made.is_empty
    assert [change.model for change in made.pinned] == ["m"]
    assert made.document == ours


def test_hours_arrive_and_agree():
    """Peak and off-peak are two ways to say one thing: neither changes the other's file."""
    peak = {"utc": "01:00-04:00", "input": "2"}
    rest = {"utc": "00:00-01:00, 04:00-24:00", "input": "1"}
    one, other = model(price(None, input="1", hours=[peak])), model(price(None, input="2", hours=[rest]))

    assert importing.merged(book(one), source(other), TODAY).is_empty
    assert not importing.merged(book(model(price(None, input="1"))), source(other), TODAY).is_empty


def test_real_sources_into_the_shipped_book():
    """genai-prices agrees with the book that was made from it; LiteLLM's differences each get an entry of today."""
    shipped = document("shipped", "s", [])
    genai = sources.of_file(FIXTURES / "genai_prices.json", TODAY)
    litellm = sources.of_file(FIXTURES / "litellm.json", TODAY)

    first = importing.merged(shipped, genai, TODAY)
    second = importing.merged(first.document, litellm, TODAY)
    changed = {change.model for change in second.changes if change.rates[0][1] != change.rates[0][2]}

    assert len(first.new) == len(genai.entries)
    assert {"deepseek-v4-flash", "mistral-large-4"} <= changed
    assert "gpt-6-luna" not in changed
    assert rates_on_google(second.document) == 4


def rates_on_google(content):
    """Return what Gemini 4 Argon costs once it has doubled."""
    return book_of(content, "file").find("gemini-4-argon", "google").at(day_s(LATER)).rates["input"]


def test_a_pin_keeps_the_price_of_its_day():
    """History before it stays, what is dated later waits, and without it everything is as it was."""
    ours = book(model(price(None, input="1"), price(BEFORE, input="2"), price(LATER, input="4")))
    entry = book_of(ours, "file").entry("m", "p")

    pin = pinning.pinned(ours, entry, TODAY)
    pinned_entry = book_of(pin.document, "file").entry("m", "p")

    assert rates_on(pin.document, date(2026, 10, 1))["input"] == 1
    assert rates_on(pin.document, LAST)["input"] == 2
    assert pin.price == {"from": "2026-11-20", "input": "2", "source": "by hand", "pinned": True}
    assert pinning.unpinned(pin.document, pinned_entry).document == ours


def test_a_pin_of_another_day_takes_the_place_of_the_first():
    """A model has one pinned price."""
    ours = book(model(price(None, input="1"), price(LATER, input="4")))
    entry = book_of(ours, "file").entry("m", "p")
    first = pinning.pinned(ours, entry, TODAY)

    second = pinning.pinned(first.document, entry, LATER)

    assert second.replaced == first.price
    assert rates_on(second.document, LATER)["input"] == 4
    assert rates_on(second.document, TODAY)["input"] == 1


def test_a_file_is_written_one_model_a_line(tmp_path):
    """So a changed price is a changed line, and what is written reads back."""
    content = book(model(price(None, input="1")), model(price(None, input="2"), name="n"))
    path = tmp_path / "prices.json"

    write(path, content)

    assert path.read_text() == render(content)
    assert len(path.read_text().splitlines()) == 2 + 2
    assert load(path).find("n", "p").at(0).rates == {"input": 2}
    assert list(tmp_path.iterdir()) == [path]
