"""Stores of answers: what comes back is what was kept, or nothing, and soon."""

import asyncio
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.usage import Usage
from proxy.caching.answers import Kept
from proxy.caching.stores import envelope, store
from proxy.caching.stores.disk import ROW_BYTES, Disk
from proxy.caching.stores.redis import InRedis
from proxy.caching.stores.store import Away, Backend, Store
from tests.redis_server import RedisServer

SECRET, OTHER = b"s" * 32, b"o" * 32
KEY, SECOND = b"k" * 32, b"l" * 32
HOUR_S = 3600.0
LONG_S = 5.0
bodies = st.binary(max_size=300)


def kept(body: bytes = b'{"id": 1}\n', customer: int = 1, t: int = 7) -> Kept:
    """Return an answer."""
    return Kept(customer, body, Usage(input=3, cache_read=4, output=5), "d1", "ex_1", t)


async def written(found: Store, key: bytes = KEY, answer: Kept | None = None) -> None:
    """Keep an answer, and wait until it is."""
    before = found.counts["kept"] + found.counts["unwritten"]
    found.keep(key, answer or kept(), HOUR_S)
    async with asyncio.timeout(LONG_S):
        while found.counts["kept"] + found.counts["unwritten"] == before:
            await asyncio.sleep(0)


async def asked(found: Store, key: bytes = KEY, customer: int = 1, since_t: int = 0) -> Kept | None:
    """Look an answer up."""
    return await found.find(key, customer, since_t, LONG_S)


@given(bodies, st.integers(0, 2**63 - 1), st.integers(1, 10**6))
def test_what_is_sealed_is_opened_again(body: bytes, t: int, customer: int) -> None:
    """Whatever bytes the provider sent."""
    answer = kept(body, customer, t)

    assert envelope.opened(SECRET, KEY, customer, envelope.sealed(SECRET, KEY, answer)) == answer


@given(bodies, st.data())
def test_whatever_was_altered_is_no_answer(body: bytes, data: st.DataObject) -> None:
    """Cut short at any byte, longer, or with any bit turned; another's, another key's, another Penstock's."""
    whole = envelope.sealed(SECRET, KEY, kept(body))
    at = data.draw(st.integers(0, len(whole) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    turned = whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]

    for wrong in (whole[:at], whole + b"\0", turned, b""):
        assert envelope.opened(SECRET, KEY, 1, wrong) is None
    assert envelope.opened(SECRET, KEY, 2, whole) is None
    assert envelope.opened(SECRET, SECOND, 1, whole) is None
    assert envelope.opened(OTHER, KEY, 1, whole) is None


class Shelf:
    """A backend in a dictionary, which can be away, and which can take for ever."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.asked = 0
        self.hangs = self.is_away = False

    async def get(self, key: bytes, customer: int) -> bytes | None:
        """Return a value."""
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.is_away:
            raise Away
        return self.values.get(key)

    async def put(self, key: bytes, customer: int, value: bytes, ttl_s: float) -> None:
        """Keep a value."""
        if self.is_away:
            raise Away
        self.values[key] = value

    async def close(self) -> None:
        """Do nothing."""


def run(work: object) -> None:
    """Run a coroutine, within a bound."""
    asyncio.run(asyncio.wait_for(work, 30))  # type: ignore[arg-type]


def test_a_store_that_is_late_is_a_miss_and_then_rests() -> None:
    """The first waits for the deadline, no longer; the next does not wait at all."""

    async def act() -> None:
        backend = Shelf()
        found = Store(backend, SECRET, 0.01)
        backend.hangs = True
        assert await asked(found) is None
        assert await asked(found) is None
        assert (backend.asked, dict(found.counts)) == (1, {"late": 1, "unasked": 1})

    run(act())


def test_a_store_that_is_away_rests_and_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while; what comes meanwhile is not kept."""
    monkeypatch.setattr(store, "REST_S", 0.0)

    async def act() -> None:
        backend = Shelf()
        found = Store(backend, SECRET, LONG_S)
        backend.is_away = True
        assert await asked(found) is None
        await written(found)
        backend.is_away = False
        await written(found)
        assert await asked(found) == kept()
        assert dict(found.counts) == {"away": 1, "unwritten": 1, "kept": 1, "hit": 1}

    run(act())


def test_an_answer_of_another_customer_or_too_old_is_none() -> None:
    """Also where the store itself gives the wrong value."""

    async def act() -> None:
        backend = Shelf()
        found = Store(backend, SECRET, LONG_S)
        await written(found)
        assert await asked(found, customer=2) is None
        assert await asked(found, since_t=8) is None
        backend.values[SECOND] = backend.values[KEY]
        assert await asked(found, SECOND) is None
        assert dict(found.counts) == {"kept": 1, "refused": 2, "old": 1}

    run(act())


def test_writes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is not kept, and nobody waits."""
    monkeypatch.setattr(store, "WRITES_MAX", 2)

    async def act() -> None:
        found = Store(Shelf(), SECRET, LONG_S)
        for n in range(5):
            found.keep(b"%d" % n, kept(), HOUR_S)
        await found.close()
        assert dict(found.counts) == {"unwritten": 3, "kept": 2}

    run(act())


def test_what_waits_to_be_written_is_bounded_by_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few, and large; what was written makes room again."""
    monkeypatch.setattr(store, "WRITES_BYTES_MAX", 100)

    async def act() -> None:
        found = Store(Shelf(), SECRET, LONG_S)
        for n in range(3):
            found.keep(b"%d" % n, kept(b"x" * 60), HOUR_S)
        assert dict(found.counts) == {"unwritten": 2}
        await found.close()
        await written(found, KEY, kept(b"x" * 60))
        assert found.counts["kept"] == 2

    run(act())


def test_a_caller_in_a_hurry_does_not_make_the_store_rest() -> None:
    """Its own time ran out: the next one is asked for all the same."""

    async def act() -> None:
        backend = Shelf()
        found = Store(backend, SECRET, LONG_S)
        await written(found)
        backend.hangs = True
        assert await found.find(KEY, 1, 0, 0.001) is None
        backend.hangs = False
        assert await asked(found) == kept()
        assert dict(found.counts) == {"kept": 1, "late": 1, "hit": 1}

    run(act())


def on_disk(folder: Path, bytes_max: int = 1 << 20) -> Store:
    """Return a store on disk."""
    return Store(Disk(folder / "answers.sqlite", bytes_max), SECRET, LONG_S)


def test_the_disk_outlives_a_restart_and_is_shared(tmp_path: Path) -> None:
    """Two workers see each other's; the file is this account's alone."""

    async def act() -> None:
        first, second = on_disk(tmp_path), on_disk(tmp_path)
        await written(first)
        assert await asked(second) == kept()
        await written(second, answer=kept(b"newer"))
        assert await asked(first) == kept(b"newer")
        await first.close()
        await second.close()
        third = on_disk(tmp_path)
        assert await asked(third) == kept(b"newer")
        await third.close()
        assert await asked(third) is None, "closed is away"

    run(act())
    assert stat.S_IMODE((tmp_path / "answers.sqlite").stat().st_mode) == 0o600


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 900)), max_size=30))
def test_the_disk_keeps_within_its_bound_and_drops_the_oldest(writes: list[tuple[int, int]]) -> None:
    """What is there is what was written last, as far as it fits."""
    bytes_max, expected = 4096, dict[bytes, bytes]()
    for n, size in writes:
        key, value = b"%d" % n, b"x" * size
        if (size + ROW_BYTES) * 8 > bytes_max:
            continue
        expected.pop(key, None)
        expected[key] = value

    async def act(folder: Path) -> None:
        backend = Disk(folder / "answers.sqlite", bytes_max)
        assert await backend.get(b"none", 1) is None
        for n, size in writes:
            await backend.put(b"%d" % n, 1, b"x" * size, HOUR_S)
        found = {key: await backend.get(key, 1) for key in expected}
        await backend.close()
        db = sqlite3.connect(folder / "answers.sqlite")
        used, total = db.execute(
            "SELECT used.bytes, (SELECT COALESCE(SUM(bytes), 0) FROM answers) FROM used"
        ).fetchone()
        db.close()
        assert used == total <= bytes_max
        there = [key for key, value in found.items() if value is not None]
        assert all(found[key] == expected[key] for key in there)
        assert there == list(expected)[len(expected) - len(there) :], "the oldest go first"

    with TemporaryDirectory() as folder:
        run(act(Path(folder)))


def test_what_has_ended_goes_with_the_next_write(tmp_path: Path) -> None:
    """Nobody asks for it any more."""

    async def act() -> None:
        backend = Disk(tmp_path / "answers.sqlite", 1 << 20)
        await backend.put(b"old", 1, b"x", -1)
        await backend.put(b"new", 1, b"x", HOUR_S)
        assert await backend.get(b"old", 1) is None
        await backend.close()

    run(act())


@pytest.mark.parametrize("damage", [b"no database at all" * 400, b""])
def test_a_damaged_file_is_put_aside_for_a_new_one(
    tmp_path: Path, damage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs misses, and no answer."""
    monkeypatch.setattr(store, "REST_S", 0.0)

    async def act() -> None:
        first = on_disk(tmp_path)
        await written(first)
        await first.close()
        (tmp_path / "answers.sqlite").write_bytes(damage)
        second = on_disk(tmp_path)
        assert await asked(second) is None
        await written(second)
        assert await asked(second) == kept()
        await second.close()

    run(act())


def test_a_folder_that_cannot_be_written_is_away(tmp_path: Path) -> None:
    """Misses, not errors."""

    async def act() -> None:
        (tmp_path / "file").write_bytes(b"")
        found = on_disk(tmp_path / "file")
        assert await asked(found) is None
        await found.close()
        assert dict(found.counts) == {"away": 1}

    run(act())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A real Redis."""
    found = RedisServer(tmp_path)
    found.start()
    yield found
    found.thaw() if found._process is not None else None
    found.stop()


def in_redis(server: RedisServer, whose: str = "a", deadline_s: float = LONG_S) -> Store:
    """Return a store in Redis."""
    backend: Backend = InRedis(server.url, whose, deadline_s)
    return Store(backend, SECRET, deadline_s)


def test_redis_keeps_answers_for_a_time_and_each_penstock_its_own(server: RedisServer) -> None:
    """They end with their TTL there; another installation's have other names."""

    async def act() -> None:
        found, other = in_redis(server), in_redis(server, "b")
        await written(found)
        assert await asked(found) == kept()
        assert await asked(other) is None
        assert await asked(found, customer=2) is None
        (name,) = server.client().keys("*")
        assert name == b"penstock:a:answer:1:" + KEY.hex().encode()
        assert 0 < server.client().pttl(name) <= HOUR_S * 1000
        server.client().set(name, b"PA1 and something else")
        assert await asked(found) is None
        await found.close()
        await other.close()
        assert dict(found.counts) == {"kept": 1, "hit": 1, "miss": 1, "refused": 1}

    run(act())


def test_redis_frozen_or_gone_is_a_miss_within_the_deadline(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client would wait for seconds, and try again; here nobody does."""
    monkeypatch.setattr(store, "REST_S", 0.0)

    async def act() -> None:
        found = in_redis(server, deadline_s=0.05)
        await written(found)
        server.freeze()
        async with asyncio.timeout(LONG_S):
            assert await asked(found) is None
        server.thaw()
        server.stop()
        assert await asked(found) is None
        server.start()
        await written(found)
        assert found.counts["kept"] == 2
        assert found.counts["late"] + found.counts["away"] == 2
        await found.close()

    run(act())


def test_look_ups_that_are_cancelled_give_nobody_anothers_answer(server: RedisServer) -> None:
    """A reply that comes when nobody waits for it any more must not be the next one's."""
    rounds = 1_000 if os.environ.get("PENSTOCK_MORE") else 100

    async def act() -> None:
        found = in_redis(server)
        answers = {b"%032d" % n: kept(b"%d" % n) for n in range(20)}
        for key, answer in answers.items():
            await written(found, key, answer)
        for _ in range(rounds):
            tasks = {key: asyncio.ensure_future(asked(found, key)) for key in answers}
            await asyncio.sleep(0)
            for key in list(answers)[::3]:
                tasks[key].cancel()
            told = await asyncio.gather(*tasks.values(), return_exceptions=True)
            for key, each in zip(tasks, told, strict=True):
                assert isinstance(each, asyncio.CancelledError) or each in {answers[key], None}
        assert found.counts["refused"] == 0
        await found.close()

    run(act())
