"""Beside a server, cost lines are read by a process of their own and corrections posted between other work."""

import asyncio

from proxy.keeper import studies
from proxy.keeper.studying import Studying
from tests.keeper.offices import sound
from tests.keeper.test_commands import result
from tests.keeper.test_rerating import booked, price_file  # noqa: F401 - a fixture


def studied(found, name, *, until=lambda _what, _count: False, **args):
    """Perform a command as a server does; return the answer, and what happened: progress, and turns of the loop.

    The server ends as soon as `until` says so of some progress.
    """
    happened = []

    async def run():
        stopping = asyncio.Event()

        def hear(what, count):
            happened.append((what, count))
            if until(what, count):
                stopping.set()

        async def serve():
            while True:
                happened.append("turn")
                await asyncio.sleep(0.001)

        serving = asyncio.create_task(serve())
        answer = await Studying(found, stopping).perform(name, args, hear)
        serving.cancel()
        return answer

    return asyncio.run(run()), happened


def test_beside_a_server_the_answer_is_the_same(booked):  # noqa: F811 - a fixture
    """By the cost book in use, which the process is told of; the loop goes on while lines are read."""
    args = {"since": "2026-11-01", "prices": None}

    answer, happened = studied(booked, "ledger.rerate", **args)

    assert answer == {"result": result(booked, "ledger.rerate", **args)}
    assert answer["result"]["counts"]["unchanged"] == 4
    assert ("reading cost lines", 0) in happened
    assert happened.count("turn") > 1


def test_corrections_are_posted_some_at_a_time(booked, tmp_path, monkeypatch):  # noqa: F811 - a fixture
    """Three batches, and what is answered is what is booked."""
    monkeypatch.setattr(studies, "BATCH_RECORDS_MAX", 1)

    answer, happened = studied(
        booked, "ledger.rerate", since="2026-11-01", prices=price_file(tmp_path, 100), apply=True
    )

    posted = [happened.index(("posting corrections", count)) for count in (1, 2, 3)]
    assert answer["result"]["counts"]["changed"] == 3
    assert posted == sorted(posted)
    assert result(booked, "report.margin")["total"]["cost_nusd"] == 3_300_000_000
    assert sound(booked) == []


def test_what_a_server_that_ends_has_posted_stays(booked, tmp_path, monkeypatch):  # noqa: F811 - a fixture
    """Asked again, the command posts the rest, and no line twice."""
    monkeypatch.setattr(studies, "BATCH_RECORDS_MAX", 1)
    args = {"since": "2026-11-01", "prices": price_file(tmp_path, 100), "apply": True}

    cut, _ = studied(booked, "ledger.rerate", until=lambda what, _: what == "posting corrections", **args)
    rest = result(booked, "ledger.rerate", **args)

    assert cut == {"failed": "the server ends; what was posted stays, and asked again the command goes on"}
    assert rest["counts"]["changed"] == 2
    assert sound(booked) == []


def test_what_the_process_refuses_is_refused_in_its_words(booked, tmp_path):  # noqa: F811 - a fixture
    """An account that is no file is no bug."""
    refused, _ = studied(booked, "ledger.reconcile", export=str(tmp_path))

    assert refused == {"refused": f"{tmp_path} is no file; name the provider's account with --export", "param": None,
                       "unknown": False}  # fmt: skip
