"""Many customers made at once are customers like any other."""

from benchmarks import crowd
from benchmarks.inside import CONFIG
from benchmarks.stage import PLANS, Penstock
from proxy.keeper.office import Office
from proxy.settings import load
from tests.keeper.offices import is_key


def test_each_has_a_name_a_key_and_credits(tmp_path):
    """Twice three customers: all keys are live, all balances are there, and the books open again."""
    (tmp_path / "penstock.yaml").write_text(CONFIG)
    (tmp_path / "plans.yaml").write_text(PLANS)
    made = Penstock(tmp_path, tmp_path / "penstock.yaml", 0, 0, tmp_path / "none.pem", {})

    keys = [key for _ in range(2) for key in crowd.populate(made, 3).read_text().split()]

    office = Office(load(made.config, environ=made.environment()))
    numbers = office.directory.numbers()
    assert [office.directory.name(each) for each in numbers] == [f"crowd-{each}" for each in numbers]
    assert {office.books.state.customers[each].plan for each in numbers} == {"prepaid"}
    assert len(numbers) == len(set(keys)) == 6
    assert all(is_key(office, key) for key in keys)
    office.close()
