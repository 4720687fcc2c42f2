"""The label store: bounded by customer, by all and by age; what is booked makes labels; it can be erased."""

from base64 import b64encode
from pathlib import Path

import pytest

from proxy.keeper.commands import perform
from proxy.keeper.labels import Kept, LabelStore
from proxy.keeper.office import Office
from proxy.settings import Labels
from tests.keeper.offices import Worker, office
from tests.margin.bookkeeping import T0, called, held, line, settled

NS = 1_000_000_000
BOUNDS = Labels(customer_max=3, all_max=5)


def label(customer: int, number: int, source: str = "feedback", *, good: bool = True) -> Kept:
    """A label, later with each number."""
    return Kept(customer, f"ex_{number}", source, number, good, "simple", None, "faq", 0.1, 0.0, 1.0, b"\0" * 12)


@pytest.fixture
def store(tmp_path: Path):
    """An empty store."""
    found = LabelStore(tmp_path)
    yield found
    found.close()


def test_the_oldest_go_when_there_are_too_many(store: LabelStore):
    """Of one customer, then of all."""
    for number in range(5):
        store.put(label(1, number), BOUNDS)
    assert [each.x for each in store.everything()] == ["ex_2", "ex_3", "ex_4"]

    for number in range(5, 8):
        store.put(label(2, number), BOUNDS)

    assert [(each.customer, each.t) for each in store.everything()] == [(1, 3), (1, 4), (2, 5), (2, 6), (2, 7)]


def test_a_later_word_takes_the_place_of_an_earlier_one(store: LabelStore):
    """Of the same source; another source has its own."""
    store.put(label(1, 1), BOUNDS)
    store.put(label(1, 1, good=False), BOUNDS)
    store.put(label(1, 1, "retry", good=False), BOUNDS)

    assert [(each.source, each.good) for each in store.everything()] == [("feedback", False), ("retry", False)]


def test_labels_are_forgotten_by_age_and_by_customer(store: LabelStore):
    """What is old expires; a customer is erased alone."""
    for customer, number in ((1, 1), (1, 2), (2, 3)):
        store.put(label(customer, number), BOUNDS)

    store.expire(2)
    assert store.erase(1) == 1
    assert [each.customer for each in store.everything()] == [2]
    assert store.erase(None) == 1
    assert store.everything() == []


def test_a_transaction_is_whole_or_not_at_all(store: LabelStore):
    """What fails half-way leaves nothing."""

    def broken() -> None:
        with store.transaction():
            store.put(label(1, 1), BOUNDS)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()

    assert store.everything() == []


KEEPS = "classifier: {labels: {enabled: true, retry: 1h, ttl: 3650d}}\n"


@pytest.fixture
def labelled(tmp_path: Path):
    """An office that keeps labels, with two customers."""
    found = office(tmp_path / "data", more=KEEPS)
    found.open_customers(["acme", "bolt"])
    yield found
    found.close()


def ask(found: Office, command: str, **args: object) -> dict[str, object]:
    """Have a command performed."""
    return perform(found, command, args, by="test")


def book(worker: Worker, x: str, same: str, served: str, *, at_s: int, of: int = 1, failed: int = 0, **more: object):
    """Book an exchange as a worker that keeps something to learn from."""
    noted = {"same": same, "features": b64encode(b"\1" * 16).decode()}
    features = {"failed_before": failed} if failed else {}
    decision = {"task": "faq", "probabilities": [0.8, 0.1, 0.1], "features": features, "ask": noted, **more}
    t = T0 + at_s * NS
    worker.paper.write(held(x, 1000, of=of, plan="open", t=t) | {"served": served}, called(x),
                       settled(x, 1000, line(700), t=t) | {"dec": decision})  # fmt: skip


def kept(found: Office) -> set[tuple[str, str, str]]:
    """Return the labels: exchange, source and tier, of answers that did not do."""
    store = LabelStore(found.settings.server.data_dir)
    try:
        return {(each.x, each.source, each.served) for each in store.everything() if each.good is False}
    finally:
        store.close()


def test_what_is_booked_makes_labels_once(labelled: Office):
    """A retry, a stronger tier within the hour, a failed check; not later, not another's, and not again if erased."""
    worker = Worker(labelled, "worker-1")
    book(worker, "a1", "aa", "simple", at_s=0)
    book(worker, "a2", "aa", "complex", at_s=60)
    book(worker, "b1", "bb", "medium", at_s=70)
    book(worker, "b2", "bb", "medium", at_s=80, failed=1)
    book(worker, "c1", "cc", "simple", at_s=90)
    book(worker, "c2", "cc", "complex", at_s=90 + 3601)
    book(worker, "d1", "dd", "simple", at_s=100)
    book(worker, "d2", "dd", "complex", at_s=110, of=2)
    book(worker, "e1", "ee", "medium", at_s=120, escalated=[["small", "simple", "empty"]])

    found = {("a1", "escalation", "simple"), ("b1", "retry", "medium"), ("e1", "escalation", "simple")}
    assert ask(labelled, "labels.gather") == {"result": {"labels": 3}}
    assert kept(labelled) == found
    assert ask(labelled, "labels.erase", customer="acme") == {"result": {"erased": 3}}
    assert ask(labelled, "labels.gather") == {"result": {"labels": 0}}


def test_a_word_is_kept_of_a_customers_own_exchange(labelled: Office):
    """Of another's there is none; where nothing was kept of it, that is said; erased with all."""
    worker = Worker(labelled, "worker-1")
    book(worker, "a1", "aa", "simple", at_s=0)
    said = {"id": "a1", "good": False, "needed": None}

    assert ask(labelled, "labels.give", customer=2, **said)["refused"] == 'there is no exchange "a1"'
    assert ask(labelled, "labels.give", customer=1, **said) == {"result": {"id": "a1", "kept": True}}
    assert kept(labelled) == {("a1", "feedback", "simple")}
    assert ask(labelled, "labels.erase", customer=None) == {"result": {"erased": 1}}


def test_what_came_of_two_answers_is_a_label_of_the_lower_tier(labelled: Office):
    """With how likely it was to be drawn; of a customer's own exchange only; beside its own word."""
    worker = Worker(labelled, "worker-1")
    book(worker, "a1", "aa", "medium", at_s=0)
    said = {"id": "a1", "good": False, "served": "simple", "propensity": 0.01, "source": "shadow"}

    assert ask(labelled, "labels.compare", customer=2, **said)["refused"] == 'there is no exchange "a1"'
    assert ask(labelled, "labels.compare", customer=1, **said) == {"result": {"id": "a1", "kept": True}}

    assert kept(labelled) == {("a1", "shadow", "simple")}
    store = LabelStore(labelled.settings.server.data_dir)
    assert [each.propensity for each in store.everything()] == [0.01]
    store.close()


def test_without_labels_nothing_is_kept(tmp_path: Path):
    """The command says which key switches it on."""
    found = office(tmp_path / "data")

    answer = ask(found, "labels.give", customer=1, id="a1", good=True, needed=None)

    assert "classifier.labels.enabled is false" in str(answer["refused"])
    found.close()
