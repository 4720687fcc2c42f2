"""Has the books studied while they are served: read by a process of its own, and posted between other things.

The process gets what was asked over its standard input, and with it the prices and providers that the keeper goes by:
the configuration's files may say something else by now.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import orjson

from margin.ledger.refold import Progress, silent
from proxy.keeper import studies
from proxy.keeper.commands import NO, no
from proxy.keeper.errand import outcome, tell
from proxy.keeper.frames import Message
from proxy.keeper.office import Office
from proxy.keeper.refusing import Args
from proxy.keeper.studies import STUDIES


class Studying:
    """Performs the studies of one server, one at a time: what one corrects, the next must see."""

    def __init__(self, office: Office, stopping: asyncio.Event) -> None:
        self._office, self._stopping = office, stopping
        self._turn = asyncio.Semaphore(1)

    async def perform(self, name: str, args: Args, progress: Progress | None) -> Message:
        """Answer as `commands.perform` does. Who asks meanwhile waits for their turn; who leaves stops nothing."""
        async with self._turn:
            try:
                return await self._perform(name, args, silent if progress is None else progress)
            except NO as error:
                return no(error)

    async def _perform(self, name: str, args: Args, progress: Progress) -> Message:
        self._office.try_again()
        asked = studies.begin(name, self._office, args)
        with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
            data_dir = str(self._office.settings.server.data_dir.absolute())
            told = orjson.dumps([name, data_dir, asked, folder])
            answer: Message = await outcome("proxy.keeper.studying", told=told, progress=progress)
            if "found" not in answer:
                return answer
            for _ in studies.post(self._office, answer["found"], Path(folder), progress):
                await asyncio.sleep(0)  # the loop is served between two batches
                if self._stopping.is_set():
                    return {"failed": "the server ends; what was posted stays, and asked again the command goes on"}
        return {"result": STUDIES[name].tell(self._office, asked, answer["found"])}


def _answer(name: str, data_dir: str, asked: Args, folder: str) -> Message:
    try:
        return {"found": studies.read(name, Path(data_dir), asked, Path(folder), tell)}
    except NO as error:
        return no(error)


def main() -> None:
    """Answer what is asked on stdin, by our own parent; say on stderr how far it is, one JSON array a line."""
    answer = _answer(*orjson.loads(sys.stdin.buffer.read()))
    sys.stdout.buffer.write(orjson.dumps(answer))


if __name__ == "__main__":
    main()
