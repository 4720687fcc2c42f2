"""`penstock report`: each report in each style, also of books in which nothing happened."""

import csv
import io
import json

import pytest
from click.testing import CliRunner

from margin import records
from margin.ledger.books import Books
from proxy.cli import main
from proxy.keeper.directory import Directory
from tests.margin.bookkeeping import NS, USD, customer, grant, held, line, sellbook, settled
from tests.settings.writing import ENVIRON, changed

REPORTS = ("margin", "customers", "unit-economics", "savings", "tasks", "segments", "concentration")
T = 1_795_000_000 * NS


@pytest.fixture
def report(tmp_path, data_dir, monkeypatch):
    """Run a report beside the folder, as a shell would."""
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "penstock.yaml"
    config.write_text(changed("data_dir: ./books", f"data_dir: {data_dir}"), encoding="utf-8")

    def run(*words):
        arguments = ["report", *words, "--config", str(config)]
        return CliRunner().invoke(main, arguments, env=dict(ENVIRON), catch_exceptions=False)

    return run


@pytest.fixture
def served(data_dir):
    """Put two customers' requests into the books: one pays a dollar for what cost a quarter, one pays nothing."""
    names = Directory(data_dir / "directory.sqlite")
    names.add_all({1: "acme", 2: "glo|bex"})
    names.close()
    books = Books(data_dir, version="test")
    for record in [
        sellbook(t=T), customer(1, "prepaid", t=T), customer(2, t=T), grant("g1", 1000, paid=USD, t=T),
        records.described(t=T, customer=2, segment="smb", persona=""),
        held("x1", 1000, plan="prepaid", t=T), settled("x1", 1000, line(USD // 4), baseline=USD, t=T),
        held("x2", 0, of=2, t=T), settled("x2", 0, line(7), baseline=3, t=T),
    ]:  # fmt: skip
        books.record(record)
    books.close()


@pytest.mark.parametrize("style", [(), ("--json",), ("--csv",), ("--md",)])
@pytest.mark.parametrize("name", REPORTS)
def test_every_report_of_empty_books(report, name, style):
    """It exits 0 and says something; as JSON it is one document."""
    found = report(name, *style)

    assert found.exit_code == 0, found.output
    assert "Traceback" not in found.output
    if style == ("--json",):
        assert isinstance(json.loads(found.stdout), dict)


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.usefixtures("served")
def test_every_report_of_two_customers(report, name):
    """As a table."""
    found = report(name)

    assert found.exit_code == 0, found.output
    assert found.stdout.startswith(name.replace("-", " ")) or "tasks" in name


@pytest.mark.usefixtures("served")
def test_amounts_in_csv_are_exact_dollars(report):
    """To the nano-dollar; a margin without revenue is an empty field."""
    rows = list(csv.DictReader(io.StringIO(report("margin", "--csv").stdout)))

    assert [row["customer"] for row in rows] == ["glo|bex", "acme", "total"]
    assert rows[0] | {"savings": ""} == {
        "customer": "glo|bex", "requests": "1", "cost": "0.000000007", "revenue": "0.000000000",
        "margin": "-0.000000007", "%": "", "model %": "", "savings": "",
    }  # fmt: skip
    assert (rows[1]["cost"], rows[1]["revenue"], rows[1]["%"]) == ("0.250000000", "1.000000000", "0.75")


@pytest.mark.usefixtures("served")
def test_a_margin_by_segment_in_markdown(report):
    """A table that says what has no segment, and n/a where there is no revenue; a bar in a name breaks no table."""
    by_segment, by_customer = report("margin", "--by", "segment", "--md").stdout, report("customers", "--md").stdout

    assert "## margin" in by_segment
    assert "| (none) | 1 | $0.25 | $1.00 | $0.75 | 75.0% |" in by_segment
    assert "| smb | 1 |" in by_segment
    assert "| n/a |" in by_segment
    assert r"| glo\|bex |" in by_customer


@pytest.mark.usefixtures("served")
def test_the_json_of_a_margin_keeps_its_shape(report):
    """By customer as ever; by something else with what it is by."""
    by_customer, by_plan = (json.loads(report("margin", *more, "--json").stdout) for more in ((), ("--by", "plan")))

    assert list(by_customer) == ["customers", "total"]
    assert (by_plan["by"], [each["plan"] for each in by_plan["rows"]]) == ("plan", ["open", "prepaid"])
    assert by_plan["total"] == {name: by_customer["total"][name] for name in by_plan["total"]}


def test_two_styles_at_once_are_refused(report):
    """With exit code 2 and a sentence, as is a day that is none, and a group that there is not."""
    assert "choose one of" in report("margin", "--csv", "--md").stderr
    assert report("tasks", "--since", "yesterday").exit_code == 2
    assert "they are by customer" in report("margin", "--by", "colour").stderr
