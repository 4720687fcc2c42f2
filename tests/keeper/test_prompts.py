"""Prompts of customers who opted in: in memory until a label is made, then with it, for a while, and erased with it."""

from base64 import b64encode
from pathlib import Path

import pytest

from proxy.keeper import labelling
from proxy.keeper.commands import perform
from proxy.keeper.labels import LabelStore
from proxy.keeper.office import Office
from proxy.keeper.prompts import ENTRY_BYTES, Prompts
from tests.keeper.offices import Worker, office
from tests.keeper.test_labels import label
from tests.margin.bookkeeping import begun, line, settled

OPTED = "classifier: {labels: {enabled: true, prompts: {plans: [open], ttl: 1h}}}\n"
DECISION = {
    "ask": {"same": "1", "features": b64encode(b"\0" * 12).decode()}, "probabilities": [0.9, 0.1, 0.0], "task": "faq",
    "features": {},
}  # fmt: skip


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def test_memory_is_bounded_by_bytes_and_age():
    """The oldest go; what is too old is not found; a customer's are erased alone."""
    clock = Clock()
    prompts = Prompts(clock)
    for number in range(4):
        prompts.keep(1 + number % 2, f"x{number}", "a" * 100, 3 * (ENTRY_BYTES + 100), 60)

    assert [prompts.find(1 + number % 2, f"x{number}", 60) is None for number in range(4)] == [
        True,
        False,
        False,
        False,
    ]
    assert prompts.find(2, "x2", 60) is None  # another customer's
    prompts.erase(1)
    assert (prompts.find(1, "x2", 60), prompts.find(2, "x3", 60)) == (None, "a" * 100)
    clock.s = 61
    assert prompts.find(2, "x3", 60) is None


def served(found: Office) -> None:
    """Serve one exchange of acme."""
    found.open_customer("acme")
    worker = Worker(found, "worker-1")
    end = settled("x1", 0, line(700))
    worker.paper.write(begun("x1", 0), end | {"dec": end["dec"] | DECISION})


def words(found: Office) -> dict[tuple[int, str], str]:
    """The prompts on disk."""
    store = LabelStore(found.settings.server.data_dir)
    try:
        return store.prompts()
    finally:
        store.close()


@pytest.mark.parametrize(("more", "kept"), [(OPTED, True), ("classifier: {labels: {enabled: true}}\n", False)])
def test_a_prompt_is_written_with_its_label_and_only_then(tmp_path: Path, more: str, kept: bool):
    """Nothing lies on the disk before a word was said; where nobody opted in, nothing after it either."""
    found = office(tmp_path / "data", more=more)
    served(found)
    labelling.remember(found, 1, "x1", "What is the capital of Zorblaxia?")
    assert b"Zorblaxia" not in b"".join(each.read_bytes() for each in (tmp_path / "data").rglob("*") if each.is_file())

    perform(found, "labels.give", {"id": "x1", "customer": 1, "good": False, "needed": None}, by="test")

    assert words(found) == ({(1, "x1"): "What is the capital of Zorblaxia?"} if kept else {})
    found.close()


def test_erasing_leaves_no_trace_of_it(tmp_path: Path):
    """Of memory, table and write-ahead log; the labels of others stay."""
    found = office(tmp_path / "data", more=OPTED)
    served(found)
    labelling.remember(found, 1, "x1", "What is the capital of Zorblaxia?")
    labelling.remember(found, 1, "x2", "And of Qwertania?")
    perform(found, "labels.give", {"id": "x1", "customer": 1, "good": False, "needed": None}, by="test")

    assert perform(found, "labels.erase", {"customer": "acme"}, by="test")["result"] == {"erased": 1}

    assert words(found) == {}
    assert found.prompts.find(1, "x2", 60) is None
    assert b"Zorblaxia" not in b"".join(each.read_bytes() for each in (tmp_path / "data").rglob("*") if each.is_file())
    found.close()


def test_prompts_go_sooner_than_labels(tmp_path: Path):
    """By their own age, and with a label that has gone."""
    store = LabelStore(tmp_path)
    bounds = labelling.Labels()
    for number in (10, 20, 30):
        store.put(label(1, number), bounds)
        store.keep_prompt(1, f"ex_{number}", number, f"prompt {number}")

    store.expire(15, 25)

    assert [each.x for each in store.everything()] == ["ex_20", "ex_30"]
    assert store.prompts() == {(1, "ex_30"): "prompt 30"}
    store.close()
