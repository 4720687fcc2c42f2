"""The count of instructions: what is counted answers, what callgrind says is read, and what changed is named."""

import asyncio
import shutil

import pytest

from benchmarks import instructions
from benchmarks.inside import CHUNKS, Worker, worker
from benchmarks.instructions import PLAIN, STREAMED, Counts, complaints, counts_of
from benchmarks.process import ToolMissing
from margin import journal
from margin.journal import Position


def test_what_is_counted_is_the_whole_exchange(tmp_path):
    """Plain and streamed requests are authenticated, held, answered and settled; credits come out of the lease."""

    async def both(one: Worker) -> tuple[int, int]:
        return await one.ask(), await one.ask(stream=True)

    with worker(tmp_path) as one:
        plain, streamed = asyncio.run(both(one))

    kinds = [line.record["k"] for line in journal.read(tmp_path / "worker.journal", Position())]
    assert [kind for kind in kinds if kind in {"held", "settled", "void"}] == ["held", "settled"] * 2
    assert plain > 500
    assert streamed > CHUNKS * 200


def test_dumps_are_read():
    """Requests and events are counted singly; the yardstick is one."""
    dumps = ["part: 1\n\ntotals: 7000\n", f"summary: {PLAIN * 1500}\n", f"totals: {STREAMED * (CHUNKS + 1) * 90}\n"]

    found = counts_of(dumps)

    assert found == Counts(yardstick=7000, plain=1500, event=90)
    assert found.figures == {"plain request": round(1500 / 7000, 6), "streamed event": round(90 / 7000, 6)}


def test_a_dump_without_a_total_is_no_zero():
    """Broken, not cheap."""
    with pytest.raises(ToolMissing, match="plain"):
        counts_of(["totals: 1", "events: Ir", "totals: 1"])


@pytest.mark.parametrize(("figure", "words"), [(1.09, []), (0.91, []), (1.11, ["cheaper"]), (0.89, ["record it"])])
def test_a_change_beyond_the_margin_is_named(figure, words):
    """Either way: dearer is a regression, cheaper a gain that the record does not guard yet."""
    said = complaints({"plain request": figure}, {"plain request": 1.0})

    assert len(said) == len(words)
    assert all(word in line for word, line in zip(words, said, strict=True))


@pytest.mark.full
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
@pytest.mark.timeout(600)
def test_the_count_repeats():
    """Twice the same, to a hundredth, however busy the machine is."""
    once, again = instructions.count(), instructions.count()

    assert again.plain == pytest.approx(once.plain, rel=0.01)
    assert again.event == pytest.approx(once.event, rel=0.01)
