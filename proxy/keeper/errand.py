"""Work that a keeper has done by a process of its own, so that neither its loop nor its interpreter lock is held."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import orjson

from margin.ledger.refold import Progress

STDERR_CHARS = 500


class ErrandFailed(Exception):
    """The process ended without an answer; the text is the end of what it said."""


async def outcome(module: str, *options: str, progress: Progress, told: bytes = b"") -> Any:
    """Run a module of ours; return the JSON that it prints. `told` is its standard input.

    Raises:
        ErrandFailed: it failed.
    """
    pipe = asyncio.subprocess.PIPE
    argv = (sys.executable, "-P", "-m", module, *options)
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        assert process.stdin is not None, "it was asked for"
        assert process.stdout is not None, "it was asked for"
        assert process.stderr is not None, "it was asked for"
        process.stdin.write(told)
        process.stdin.close()
        answer, said = await asyncio.gather(process.stdout.read(), _heard(process.stderr, progress))
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise ErrandFailed(said.decode(errors="replace")[-STDERR_CHARS:].strip())
    return orjson.loads(answer)


async def _heard(lines: asyncio.StreamReader, progress: Progress) -> bytes:
    """Pass on what is said of the progress; return everything else."""
    said = b""
    async for line in lines:
        if line.startswith(b"["):
            progress(*orjson.loads(line))
        else:
            said += line
    return said


def tell(what: str, count: int) -> None:
    """Say in such a process how far it is."""
    sys.stderr.buffer.write(orjson.dumps([what, count]) + b"\n")
    sys.stderr.buffer.flush()
