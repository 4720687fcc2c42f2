"""Which store a configuration asks for."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from proxy.caching.stores.store import Backend, Store
from proxy.settings import AnswerStore


def opened(said: AnswerStore, folder: Path, secret: bytes) -> Store | None:
    """Return the store that a configuration asks for; None where the worker's memory is all. Nobody is asked yet.

    Args:
        said: What it says.
        folder: The data folder.
        secret: The folder's own; what is sealed with it no other Penstock takes for its own.
    """
    if said.kind == "memory":
        return None
    sealing = blake2b(b"answers", key=secret, digest_size=32).digest()
    return Store(_backend(said, folder, sealing), sealing, said.deadline_s)


def _backend(said: AnswerStore, folder: Path, sealing: bytes) -> Backend:
    if said.kind == "disk":
        from proxy.caching.stores import disk

        return disk.Disk(folder / disk.FILE_NAME, said.bytes_max)
    from proxy.caching.stores.redis import InRedis

    assert said.url is not None, "the configuration was checked"
    whose = blake2b(b"name", key=sealing, digest_size=8).hexdigest()
    return InRedis(said.url.reveal(), whose, said.deadline_s)
