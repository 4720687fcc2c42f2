"""What the keeper says to its workers, and in which order: whoever hears an answer has heard what it rests on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.keeper import workers
from proxy.keeper.crew import Crew
from proxy.keeper.office import Office
from proxy.keeper.workers import Worker
from tests.keeper.offices import create_key


class Line:
    """A line to a worker that says what it was given, all of it before anybody else has a turn, and acknowledges."""

    def __init__(self, *said: dict[str, Any]) -> None:
        self._said = said
        self.heard: list[dict[str, Any]] = []
        self.worker: Worker | None = None

    async def receive(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what the worker says: of what came at once each is read at once."""
        for each in self._said:
            yield each

    def send(self, message: dict[str, Any]) -> None:
        """Keep what the worker is told; a change is taken in a turn later."""
        self.heard.append(message)
        if "changes" in message:
            asyncio.get_running_loop().call_soon(self._acknowledge, message["number"])

    def _acknowledge(self, number: int) -> None:
        assert self.worker is not None
        self.worker.acknowledged({"ack": number})


def crew_of(office: Office, *lines: Line) -> Crew:
    """Return a crew whose workers, one a line, are up."""
    tasks: set[asyncio.Task[None]] = set()
    listener: Any = None
    found = Crew(office, [], listener, lambda work, _: tasks.add(asyncio.ensure_future(work)))
    for number, line in enumerate(lines):
        process: Any = None
        frames: Any = line
        line.worker = Worker(process, frames)
        line.worker.journal, line.worker.is_up = f"worker-{number}.journal", True
        found._workers.add(line.worker)
    return found


async def settle() -> None:
    """Let everything that is under way come to its end."""
    while len(asyncio.all_tasks()) > 1:
        await asyncio.sleep(0)


def follow(office: Office, *lines: Line) -> None:
    """Have the keeper hear what the workers say, and answer."""

    async def both() -> None:
        crew = crew_of(office, *lines)
        for line in lines:
            assert line.worker is not None
            await crew._follow(line.worker)
        await settle()

    asyncio.run(both())


def test_nobody_hears_that_a_customer_is_open_before_it_is_known_there(found: Office):
    """Two requests at once name a new customer: the second is not answered before what the first one changed."""
    ask = {"ask": "customer", "name": "walk-in"}
    line = Line({**ask, "id": 1}, {**ask, "id": 2})

    follow(found, line)

    assert [next(iter(each)) for each in line.heard] == ["changes", "id", "id"]


def test_others_hear_of_it_before_their_own_answer(found: Office):
    """The same, when the second request came to another worker."""
    lines = [Line({"ask": "customer", "name": "walk-in", "id": number}) for number in (1, 2)]

    follow(found, *lines)

    assert [[next(iter(each)) for each in line.heard] for line in lines] == [["changes", "id"]] * 2


def test_a_revocation_comes_after_the_key_it_revokes(found: Office, monkeypatch: pytest.MonkeyPatch):
    """A key that is revoked while a new worker is told everything, piece by piece, is not told of after its end."""
    monkeypatch.setattr(workers, "CHANGES_PER_MESSAGE", 1)
    id_, _ = create_key(found, "acme")
    found.take_changes()
    line = Line()

    async def meanwhile() -> None:
        crew = crew_of(found, line)
        assert line.worker is not None
        introduced = asyncio.ensure_future(crew._introduce(line.worker))
        while not line.heard:
            await asyncio.sleep(0)
        found.tell({"revoked": id_})
        await crew.announce()
        await introduced

    asyncio.run(meanwhile())

    changes = [change for message in line.heard for change in message.get("changes", [])]
    assert [next(iter(each)) for each in changes] == ["member_secret", "customer", "key", "revoked"]
    assert [next(iter(each)) for each in line.heard] == [*["changes"] * 3, "told", "changes", "unready"]
