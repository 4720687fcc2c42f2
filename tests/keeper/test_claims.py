"""Idempotency keys at the keeper: each verdict, whatever was folded, forgotten or lost in between."""

import time
from dataclasses import replace

import pytest

from proxy.keeper.claims import Claims
from proxy.settings import Idempotency
from tests.keeper import offices
from tests.margin.bookkeeping import called, held, line, mark, settled, void

ANSWER = {"headers": [["content-type", "application/json"]], "body": "{}"}


@pytest.fixture
def opened(found):
    """Return an office with a customer, and a worker whose journal it folds."""
    found.open_customer("acme", "prepaid")
    found.grant("acme", 100_000, paid_nusd=0, expires_t=None)
    return found, offices.Worker(found, "worker-1")


def asked(x, key="k", request="r"):
    """Return a claim as a worker makes it."""
    return {"customer": 1, "key": key, "request": request, "x": x}


def claiming(x, key="k", request="r"):
    """Return the record that such a claim's hold writes, now: a key of long ago means nothing any more."""
    return held(x, 1000, plan="prepaid") | {"i": [key, request], "t": time.time_ns()}


def verdict(claims, x, **fields):
    """Return the verdict on a claim."""
    return claims.claim("w", asked(x, **fields))["verdict"]


def test_one_runs_and_the_others_wait_for_its_answer(opened):
    """Taken, in use, another request's; and once it has answered, replayed: by its exchange alone."""
    claims = Claims(opened[0])

    assert verdict(claims, "x1") == "run"
    assert verdict(claims, "x2") == "in_use"
    assert verdict(claims, "x2", request="other") == "reused"
    claims.answered(asked("x2") | {"content": ANSWER})  # not the one that runs
    assert verdict(claims, "x2") == "in_use"
    claims.answered(asked("x1") | {"content": ANSWER})
    assert verdict(claims, "x2") == "replayed"
    assert verdict(claims, "x2", request="other") == "reused"
    assert verdict(claims, "x3", key="another") == "run"


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([], "run"),
        ([claiming("x1")], "run"),
        ([claiming("x1"), called("x1")], "run"),
        ([claiming("x1"), called("x1"), mark("x1")], "unavailable"),
        ([claiming("x1"), called("x1"), settled("x1", 1000, line(7))], "unavailable"),
        ([claiming("x1"), called("x1"), settled("x1", 0, line(7)) | {"o": "cut"}], "run"),
        ([claiming("x1"), void("x1")], "run"),
    ],
    ids=["claimed", "held", "called", "streaming", "settled", "cut by its provider", "voided"],
)
@pytest.mark.parametrize("dies", ["the worker", "the keeper"])
def test_each_crash_point(opened, tmp_path, records, expected, dies):
    """Whoever dies, a key whose exchange was charged never runs again, and one that was not is free."""
    found, worker = opened
    claims = Claims(found)
    assert verdict(claims, "x1") == "run"
    worker.paper.write(*records)
    worker.die()

    if dies == "the worker":
        found.recover({worker.name})
        claims.bury("w")
        assert verdict(claims, "x2") == expected
        return
    after = offices.office(offices.killed(found, tmp_path / "after"))
    after.recover({worker.name})
    assert verdict(Claims(after), "x2") == expected
    after.close()


def test_an_older_exchange_folded_late_frees_no_newer_key(opened):
    """Two journals are folded in either order: what voids the first exchange leaves the second's key alone."""
    found, late = opened
    prompt = offices.Worker(found, "worker-2")
    prompt.paper.write(claiming("x2"), called("x2"), settled("x2", 1000, line(7)))
    found.fold_all()

    late.paper.write(claiming("x1"), void("x1"))
    found.fold_all()

    assert verdict(Claims(found), "x3") == "unavailable"
    late.die()
    prompt.die()


def test_what_is_forgotten_for_its_count_is_known_to_the_ledger(opened):
    """Beyond the bound the oldest answer goes; its journal is folded first, so that the key stays used."""
    found, worker = opened
    claims = Claims(found)
    found.settings = replace(found.settings, idempotency=Idempotency(answers_max=1))
    for x, key in (("x1", "k1"), ("x2", "k2")):
        assert verdict(claims, x, key=key) == "run"
        worker.paper.write(claiming(x, key), called(x), settled(x, 1000, line(7)))
        claims.answered(asked(x, key=key) | {"content": ANSWER})

    assert verdict(claims, "x3", key="k1") == "unavailable"
    assert verdict(claims, "x3", key="k2") == "replayed"
    assert len(claims) == 1
    worker.die()
