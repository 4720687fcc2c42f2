"""How a command reaches the keeper: over `control.sock` while a server runs, else by taking the lock itself."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from pathlib import Path
from typing import Any

import orjson

from margin.ledger.refold import Progress, silent
from proxy.keeper.commands import perform
from proxy.keeper.lock import Lock, LockHeld, dead_journals
from proxy.keeper.office import Office
from proxy.keeper.studies import STUDIES
from proxy.settings import Settings

SOCKET_NAME = "control.sock"
WAIT_S = 10.0
"""How long a command waits for another that holds the lock."""
ANSWER_S = 120.0
"""Chosen, not measured."""
LONG = {"ledger.verify", *STUDIES}
LONG_S = 6 * 3600.0
"""These read all of a ledger; proving it folds it too, as long as a rebuild takes. Chosen, not measured."""


class NotReachable(Exception):
    """A server holds the folder and does not answer. Exit code 3."""


def socket_address(data_dir: Path) -> tuple[str, int]:
    """Return an address for the socket and the descriptor it goes through, to be closed by the caller.

    A socket's path may have 107 bytes and a data folder's path may be longer; through /proc it is always short.
    """
    folder = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{folder}/{SOCKET_NAME}", folder


def account(uid: int) -> str:
    """Return who asks, as the trail names it: an account of this machine."""
    return f"uid {uid}"


def peer(writer: asyncio.StreamWriter) -> str:
    """Return who is at the other end of a control connection; the kernel says, not the peer."""
    line = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return account(uid)


def ask(settings: Settings, command: str, args: dict[str, Any], progress: Progress = silent) -> dict[str, Any]:
    """Have a command performed, by the running server or here. One that is asked for its progress tells `progress`.

    Raises:
        NotReachable: a server runs and does not answer.
    """
    data_dir = settings.server.data_dir
    deadline = time.monotonic() + WAIT_S
    while True:
        answer = _ask_server(data_dir, command, args, progress)
        if answer is not None:
            return answer
        try:
            return _ask_here(settings, command, args, progress)
        except LockHeld:
            # A server that is starting or ending, or another command: one of the two ways opens soon.
            if time.monotonic() >= deadline:
                raise NotReachable("the data folder is in use and its server does not answer") from None
            time.sleep(0.05)


def _ask_server(data_dir: Path, command: str, args: dict[str, Any], progress: Progress) -> dict[str, Any] | None:
    if not (data_dir / SOCKET_NAME).exists():
        return None
    address, folder = socket_address(data_dir)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        try:
            line.settimeout(LONG_S if command in LONG else ANSWER_S)
            line.connect(address)
        except OSError:
            return None
        finally:
            os.close(folder)
        return _converse(line, command, args, progress)


def _converse(line: socket.socket, command: str, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    try:
        line.sendall(orjson.dumps({"command": command, "args": args}) + b"\n")
        with line.makefile("rb") as answers:
            answer = answers.readline()
            while answer.startswith(b'{"progress"'):
                progress(*orjson.loads(answer)["progress"])
                answer = answers.readline()
    except OSError as error:
        raise NotReachable(f"the server did not answer: {error.strerror}") from error
    if not answer.endswith(b"\n"):
        raise NotReachable("the server hung up")
    found = orjson.loads(answer)
    assert isinstance(found, dict)
    return found


def _ask_here(settings: Settings, command: str, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    os.umask(0o077)  # journals, ledger and names are for this account alone
    lock = Lock(settings.server.data_dir)
    try:
        lock.acquire(0)
        office = Office(settings)
        office.progress = progress
        try:
            office.recover(dead_journals(office.books.folder, wait_s=0))
            return perform(office, command, args, by=account(os.getuid()))
        finally:
            office.close()
    finally:
        lock.release()
