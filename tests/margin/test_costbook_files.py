"""Price files: what they may say, how it is read, and what is said of one that cannot be used."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from margin.costbook import Card, CostBookError, load
from margin.costbooks.reading import RATE_KEYS


def unix_s(*moment):
    """Turn a UTC date, or date and time, into unix seconds."""
    return int(datetime(*moment, tzinfo=UTC).timestamp())


def model(**changes):
    """Return a valid entry of a price file, changed."""
    entry = {"provider": "p", "model": "m", "prices": [{"from": None, "input": "1"}]}
    return {key: value for key, value in (entry | changes).items() if value is not ...}


def prices(**changes):
    """Return a valid entry whose one price is changed."""
    return model(prices=[{"from": None, "input": "1"} | changes])


def book(*models, **changes):
    """Return a valid price file of these models, changed."""
    head = {"format": 1, "name": "n", "currency": "USD", "per": 1_000_000, "source": "s"}
    return head | {"models": list(models)} | changes


def test_a_file_reads_back_as_its_cards(tmp_path):
    """Every rate key of the format fills its bucket."""
    rates = {key: f"0.{number}" for number, key in enumerate(RATE_KEYS, start=1)}
    path = tmp_path.joinpath("prices.json")
    later = {"from": "2026-12-01", "input": "2", "tiers": [{"above": 9, "input": "3"}]}
    entry = model(prices=[{"from": None, **rates}, later], context_window=8, output_max=4)
    path.write_text(json.dumps(book(entry)))

    found = load(path).find("m", "p")

    assert found.at(0).rates == {RATE_KEYS[key]: Decimal(rate) for key, rate in rates.items()}
    assert found.at(unix_s(2026, 12, 1)) == Card.of(input=2, tiers=[(9, {"input": 3})])
    assert (found.context_window, found.output_max) == (8, 4)


def test_hours_and_service_tiers_read_back(tmp_path):
    """Hours are a card of their own, with the standard rate of what they do not name, and the same service tiers."""
    path = tmp_path.joinpath("prices.json")
    tiers = {"batch": {"input": "1", "output": "4"}}
    hours = [{"utc": "22:30-00:30, 12:00-13:00", "days": "mon-fri", "input": "3"}]
    path.write_text(json.dumps(book(prices(input="2", output="8", hours=hours, service_tiers=tiers))))

    found = load(path).find("m", "p")
    friday, sunday = (2026, 11, 20), (2026, 11, 22)

    assert found.at(unix_s(*friday, 22, 29)) == Card.of(input=2, output=8, service_tiers=tiers)
    assert found.at(unix_s(*friday, 22, 30)).rates == {"input": 3, "output": 8}
    assert found.at(unix_s(2026, 11, 21, 0, 29)).rates == {"input": 3, "output": 8}
    assert found.at(unix_s(2026, 11, 21, 0, 30)).rates == {"input": 2, "output": 8}
    assert found.at(unix_s(*sunday, 22, 30)).rates == {"input": 2, "output": 8}
    assert found.at(unix_s(*friday, 12, 0)).for_service_tier("batch") == Card.of(input=1, output=4)


def test_a_pinned_price_holds_from_its_day_on(tmp_path):
    """What came before stays, what is dated later waits, and a price of the same day gives way."""
    path = tmp_path.joinpath("prices.json")
    dated = [
        {"from": None, "input": "1"},
        {"from": "2026-11-01", "input": "2"},
        {"from": "2026-11-01", "input": "3", "pinned": True, "source": "a contract"},
        {"from": "2026-12-01", "input": "4"},
    ]
    path.write_text(json.dumps(book(model(prices=dated))))

    found = load(path).entry("m", "p")

    assert found.history.at(unix_s(2026, 10, 31)).rates == {"input": 1}
    assert found.history.at(unix_s(2026, 11, 1)).rates == {"input": 3}
    assert found.history.at(unix_s(2027, 1, 1)).rates == {"input": 3}
    assert found.pinned_s == unix_s(2026, 11, 1)
    assert found.source(1) == "a contract"


def test_the_version_is_of_the_content_not_of_the_text(tmp_path):
    """Layout, order and trailing zeros do not change it; a price does."""

    def version(document, **layout):
        path = tmp_path.joinpath("prices.json")
        path.write_text(json.dumps(document, **layout))
        return load(path).version

    original = version(book(model(), model(model="n")))

    assert version(book(model(model="n"), prices(input="1.00")), indent=2) == original
    assert version(book(prices(input="1.01"), model(model="n"))) != original
    assert version(book(prices(**{"from": "2026-01-01"}), model(model="n"))) != original
    assert version(book(model(aliases=["x"]), model(model="n"))) != original
    assert version(book(prices(service_tiers={"batch": {"input": "0.5"}}), model(model="n"))) != original
    assert version(book(prices(hours=[{"utc": "01:00-02:00", "input": "2"}]), model(model="n"))) != original
    assert original.startswith("cost_")
    assert len(original) == len("cost_") + 12


PINNED_TWICE = [{"from": f"2026-0{month}-01", "input": "1", "pinned": True} for month in (1, 2)]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (book(prices(input=0.1)), r'p/m: input: found 0.1; a decimal in quotes, "0.10"'),
        (book(prices(input=1)), r"p/m: input: found 1; a decimal in quotes"),
        (book(prices(input="-1")), r"p/m: the rate of input must be from 0 to 1000000, not -1"),
        (book(prices(input="NaN")), r"p/m: the rate of input must be from 0"),
        (book(prices(input="x")), r"p/m: 'x' is not a decimal"),
        (book(prices(ouput="1")), r"p/m: found ouput \(did you mean output\?\); allowed are from, tiers, input"),
        (book(prices(**{"from": "1.12.2026"})), r"p/m: from: found '1.12.2026'; null or a date"),
        (book(prices(**{"from": 5})), r"p/m: from: found 5; null or a date"),
        (book(prices(tiers=[{"input": "1"}])), r"p/m: tiers: found .* integer `above`"),
        (book(prices(tiers=[{"above": 1, "in": "1"}])), r"p/m: found in; allowed are above"),
        (
            book(prices(**{"from": "2026-12-01", "inptu": "1"})),
            r"p/m: from 2026-12-01: found inptu \(did you",
        ),
        (book(prices(service_tiers=[])), r"p/m: service_tiers: found list; an object"),
        (
            book(prices(service_tiers={"bacth": {}})),
            r"p/m: service_tiers: found bacth \(did you mean batch",
        ),
        (book(prices(service_tiers={"batch": 1})), r"p/m: service_tiers: batch: found int; an object of rates"),
        (
            book(prices(service_tiers={"batch": {"output": 1}})),
            r"p/m: service_tiers: batch: output: found 1; a",
        ),
        (book(prices(hours={})), r"p/m: hours: found dict; a list"),
        (book(prices(hours=[1])), r"p/m: hours: found int; objects with `utc`"),
        (book(prices(hours=[{"input": "1"}])), r"p/m: hours: utc: found None; text"),
        (book(prices(hours=[{"utc": "1-4"}])), r"p/m: hours: '1-4' are no hours; write them like '01:00-04:00'"),
        (book(prices(hours=[{"utc": "01:00-25:00"}])), r"p/m: hours: '01:00-25:00' are no hours of a day"),
        (book(prices(hours=[{"utc": "01:00-02:00", "days": "fri-mon"}])), r"p/m: hours: 'fri-mon' are no days"),
        (book(prices(hours=[{"utc": "01:00-02:00", "day": "mon"}])), r"p/m: hours: found day \(did you mean days\?\)"),
        (book(prices(hours=[{"utc": "01:00-03:00"}, {"utc": "02:00-04:00"}])), r"p/m: hours: mon 02:00 UTC has two"),
        (book(prices(source=1)), r"p/m: source: found 1; text"),
        (book(prices(pinned="yes")), r"p/m: pinned: found 'yes'; true or false"),
        (book(prices(pinned=True)), r"p/m: pinned: found no date"),
        (book(model(prices=PINNED_TWICE)), r"p/m: pinned: found 2 pinned prices; one"),
        (book(model(prices=[])), r"p/m: a price history needs cards"),
        (book(model(prices=[{"input": "1"}])), r"p/m: prices: .* with `from`"),
        (book(model(prices=model()["prices"] * 2)), r"p/m: prices: found null after a date"),
        (book(model(context_window=0)), r"p/m: context_window: found 0; a positive integer"),
        (book(model(note=1)), r"p/m: note: found 1; text in quotes"),
        (book(model(aliases=[1])), r"p/m: aliases: found \(1,\)"),
        (book(model(provider=...)), r"None/m: provider: found None; text"),
        (book(model(prizes=[])), r"p/m: found prizes \(did you mean prices\?\); allowed are provider"),
        (book(model(), model()), r"n: p lists 'm' twice"),
        (book(model(aliases=["n"]), model(model="n")), r"n: p lists 'n' twice"),
        (book(5), r"models: found int; objects"),
        (book(format=2), r"format: found 2; only 1 is allowed"),
        (book(currency="EUR"), r"currency: found 'EUR'; only 'USD'"),
        (book(per=1000), r"per: found 1000; only 1000000"),
        (book(extra=1), r"found extra; allowed are format"),
        (book(models=None), r"models: found nothing; a list"),
        ([], r"found list; a JSON object"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, document, message):
    """File, entry, what was found, what is allowed and what was probably meant are in the message."""
    path = tmp_path.joinpath("prices.json")
    path.write_text(json.dumps(document))

    with pytest.raises(CostBookError, match=rf"prices\.json: {message}"):
        load(path)


def test_a_key_that_is_written_twice_is_refused(tmp_path):
    """Of two prices nobody can tell which was meant."""
    path = tmp_path.joinpath("prices.json")
    path.write_text(json.dumps(book(prices(output="7"))).replace('"output"', '"input": "2", "output"'))

    with pytest.raises(CostBookError, match=r'prices\.json: input is written twice in one object, \{"from": null'):
        load(path)


def test_a_file_that_is_missing_or_no_json_says_so(tmp_path):
    """The first two things that go wrong with a path in a configuration."""
    path = tmp_path.joinpath("prices.json")

    with pytest.raises(CostBookError, match=r"prices\.json: cannot be read: No such file"):
        load(path)

    path.write_text("{")
    with pytest.raises(CostBookError, match=r"prices\.json: not JSON"):
        load(path)


def test_the_example_of_the_documentation_can_be_read(tmp_path):
    """What docs/prices.md shows is a price file, and its hours are those that it tells of."""
    text = (Path(__file__).parents[2] / "docs" / "prices.md").read_text()
    path = tmp_path.joinpath("prices.json")
    path.write_text(text.partition("```json\n")[2].partition("```")[0])

    history = load(path).find("example", "openai")

    assert history.at(unix_s(2026, 11, 30)).for_service_tier("batch").rates["output"] == 4
    assert history.at(unix_s(2026, 12, 1, 22, 0)).rates["input"] == 6
    assert history.at(unix_s(2026, 12, 5, 22, 0)).rates["input"] == 3
