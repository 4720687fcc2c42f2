"""Which connections exist, who has one, and who waits for one."""

import asyncio
import itertools
import ssl
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

from proxy.outbox import Outbox
from proxy.upstream.connection import Connection, Origin, Waits

SITES_MAX = 1024  # origins remembered though they have no connection: more than anyone configures
CLOSING_S = 1.0  # an aborted socket is gone within a turn of the loop


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many connections, and for how long.

    The defaults: providers allow some hundreds of concurrent calls per key; 64 idle ones carry a
    burst; 30 s is below the idle time of every provider's front (60 s and more), so that we, not
    they, close first; the line is bounded so that a stall shows as refusals, not as memory.
    """

    connections_max: int = 2048
    per_origin_max: int = 512
    idle_per_origin_max: int = 64
    idle_s: float = 30.0
    line_max: int = 4096


_Turn = asyncio.Future[Connection | httpx.TransportError | None]


@dataclass(slots=True, eq=False)
class _Site:
    """What one origin has: places taken, idle connections, oldest first, and its line."""

    taken: int = 0
    idle: dict[Connection, None] = field(default_factory=dict)
    line: OrderedDict[int, _Turn] = field(default_factory=OrderedDict)


class Pool:
    """Connections by origin, lent to one exchange at a time.

    A place is taken from before a connection is opened until it is closed. Whoever finds none free
    stands in line: first come, first served among those whose origin has room. When the first wants
    another origin than the connection given back leads to, that one is closed for its place.

    Attributes:
        opened: Connections opened since the start.
        reused: Exchanges begun on a connection that had served before.
    """

    def __init__(self, limits: PoolLimits, tls: ssl.SSLContext) -> None:
        self.opened = 0
        self.reused = 0
        self._outbox: Outbox | None = None  # before the first connection there may be no loop
        self._limits = limits
        self._tls = tls
        self._sites: dict[Origin, _Site] = {}
        self._taken = 0
        self._idle = 0
        self._waiting = 0
        self._tickets: Iterator[int] = itertools.count()
        self._sockets: set[Connection] = set()
        self._is_closed = False
        self._all_lost: asyncio.Future[None] | None = None

    @property
    def active(self) -> int:
        """Connections lent, or being opened."""
        return self._taken - self._idle

    @property
    def idle(self) -> int:
        """Connections ready for the next exchange."""
        return self._idle

    @property
    def waiting(self) -> int:
        """Exchanges in line for a connection."""
        return self._waiting

    def reuse(self, origin: Origin) -> Connection | None:
        """Lend the idle connection that served last (the least likely to be stale), if any."""
        site = self._sites.get(origin)
        if site is None or not site.idle:
            return None
        connection, _ = site.idle.popitem()
        self._idle -= 1
        self.reused += 1
        return connection

    async def acquire(self, origin: Origin, waits: Waits) -> Connection:
        """Open a connection, waiting in line for the place, or for one that another gives back.

        Raises:
            httpx.PoolTimeout: None came free in time, or the line is full.
            httpx.ConnectTimeout: The server did not answer, or not finish the TLS handshake.
            httpx.ConnectError: It cannot be reached, or its certificate is not good for its name.
        """
        if self._is_closed:
            raise _closed()
        while not self._claim(origin):
            granted = await self._stand_in_line(self._site(origin), waits.pool_s)
            if granted is None:
                break
            if not granted.is_closed:  # else the peer closed it on the way here
                self.reused += 1
                return granted
        return await self._open(origin, waits.connect_s)

    def made(self, connection: Connection) -> None:
        """Remember its socket, until it is lost."""
        self._sockets.add(connection)

    def released(self, connection: Connection) -> None:
        """Pass it, or its place, to whoever is first in line; else keep it, if there are not enough."""
        site = self._sites[connection.origin]
        while (first := self._first_in_line(spare=site)) is not None:
            if first is not site:
                connection.abort()  # which frees the place, for the first in line
                return
            turn = self._pop_turn(site)
            if turn is not None:
                turn.set_result(connection)
                return
        if len(site.idle) >= self._limits.idle_per_origin_max:
            connection.abort()
        else:
            site.idle[connection] = None
            self._idle += 1

    def closed(self, connection: Connection) -> None:
        """Free its place."""
        site = self._sites[connection.origin]
        if connection in site.idle:
            del site.idle[connection]
            self._idle -= 1
        self._free(site)

    def lost(self, connection: Connection) -> None:
        """Forget its socket."""
        self._sockets.discard(connection)
        if not self._sockets and self._all_lost is not None and not self._all_lost.done():
            self._all_lost.set_result(None)

    async def aclose(self) -> None:
        """Close every connection, refuse whoever waits, and return when all sockets are gone."""
        self._is_closed = True
        for site in self._sites.values():
            while (turn := self._pop_turn(site)) is not None:
                turn.set_result(_closed())
        for connection in list(self._sockets):
            connection.fail(httpx.ReadError("the transport was closed"))
        if self._sockets:
            self._all_lost = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._all_lost], timeout=CLOSING_S)

    def _site(self, origin: Origin) -> _Site:
        site = self._sites.get(origin)
        if site is None:
            if len(self._sites) >= SITES_MAX:
                self._sites = {o: s for o, s in self._sites.items() if s.taken or s.line}
            site = self._sites[origin] = _Site()
        return site

    def _claim(self, origin: Origin) -> bool:
        """Take a place, if need be an idle connection's; False when there is none."""
        site = self._site(origin)
        while site.taken >= self._limits.per_origin_max:
            if not site.idle:
                return False
            next(iter(site.idle)).abort()
        while self._taken >= self._limits.connections_max:
            if not self._idle:
                return False
            next(iter(next(s for s in self._sites.values() if s.idle).idle)).abort()
        self._take(site)
        return True

    def _take(self, site: _Site) -> None:
        site.taken += 1
        self._taken += 1

    def _free(self, site: _Site) -> None:
        site.taken -= 1
        self._taken -= 1
        while self._taken < self._limits.connections_max and (first := self._first_in_line()) is not None:
            turn = self._pop_turn(first)
            if turn is not None:
                self._take(first)
                turn.set_result(None)

    async def _open(self, origin: Origin, connect_s: float | None) -> Connection:
        """Open a connection in a place already taken; the place is freed if that fails."""
        loop = asyncio.get_running_loop()
        if self._outbox is None:
            self._outbox = Outbox(loop)
        connection = Connection(self, origin, self._limits.idle_s, self._outbox)
        try:
            async with asyncio.timeout(connect_s):
                await loop.create_connection(
                    lambda: connection,
                    origin.host,
                    origin.port,
                    ssl=self._tls if origin.is_tls else None,
                    server_hostname=origin.host if origin.is_tls else None,
                )
        except (OSError, UnicodeError, OverflowError) as error:
            connection.abort()
            raise _connect_failure(origin, error) from error
        except BaseException:  # cancelled: a half-open connection is nobody's
            connection.abort()
            raise
        self.opened += 1
        if self._is_closed:
            connection.abort()
            raise _closed()
        return connection

    def _first_in_line(self, spare: _Site | None = None) -> _Site | None:
        """The site whose line has the earliest ticket, of those with room or a `spare` connection."""
        if not self._waiting:
            return None
        limit = self._limits.per_origin_max
        ready = [s for s in self._sites.values() if s.line and (s is spare or s.taken < limit)]
        return min(ready, key=lambda site: next(iter(site.line)), default=None)

    def _pop_turn(self, site: _Site) -> _Turn | None:
        while site.line:
            _, turn = site.line.popitem(last=False)
            self._waiting -= 1
            if not turn.done():  # else its waiter was cancelled and is about to notice
                return turn
        return None

    async def _stand_in_line(self, site: _Site, pool_s: float | None) -> Connection | None:
        """Wait for a connection, or for a place (None)."""
        if self._waiting >= self._limits.line_max:
            raise httpx.PoolTimeout("too many requests wait for a connection")
        loop = asyncio.get_running_loop()
        ticket = next(self._tickets)
        turn: _Turn = loop.create_future()
        site.line[ticket] = turn
        self._waiting += 1
        timer = None if pool_s is None else loop.call_later(pool_s, self._expire, site, ticket)
        try:
            granted = await turn
        except asyncio.CancelledError:
            self._hand_back(site, ticket, turn)
            raise
        finally:
            if timer is not None:
                timer.cancel()
        if isinstance(granted, httpx.TransportError):
            raise granted
        return granted

    def _expire(self, site: _Site, ticket: int) -> None:
        turn = site.line.pop(ticket, None)
        if turn is not None:
            self._waiting -= 1
            if not turn.done():
                turn.set_result(httpx.PoolTimeout("no connection came free in time"))

    def _hand_back(self, site: _Site, ticket: int, turn: _Turn) -> None:
        """Undo what a cancelled waiter holds: its ticket, or what it was just given."""
        if site.line.pop(ticket, None) is not None:
            self._waiting -= 1
        elif not turn.cancelled():
            granted = turn.result()
            if granted is None:
                self._free(site)
            elif isinstance(granted, Connection) and not granted.is_closed:
                self.released(granted)


def _closed() -> httpx.ConnectError:
    return httpx.ConnectError("the transport was closed")


def _connect_failure(origin: Origin, error: Exception) -> httpx.TransportError:
    where = f"{origin.host}:{origin.port}"
    if isinstance(error, TimeoutError):
        return httpx.ConnectTimeout(f"{where} could not be reached in time")
    if isinstance(error, ssl.SSLCertVerificationError):
        return httpx.ConnectError(f"the certificate of {where} is not trusted for that name")
    if isinstance(error, ssl.SSLError):
        return httpx.ConnectError(f"no TLS connection could be agreed with {where}")
    return httpx.ConnectError(f"{where} could not be reached")
