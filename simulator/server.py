"""Running the simulator as a process: a socket, a ready line, signals."""

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from simulator.app import Simulator

_GRACE_S = 1  # calls still running after it are cancelled and billed; exit is promised in 2 s
_KEEP_ALIVE_S = 75  # longer than clients keep idle connections, so they never race a close
STOPPING = [signal.SIGTERM, signal.SIGINT]
"""The signals that end it; `die_with_parent` puts its own in their place."""
_PR_SET_PDEATHSIG = 1  # from linux/prctl.h


class _Server(uvicorn.Server):
    """A uvicorn server that says when it listens and takes a signal for a normal end."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT; unlike uvicorn, do not raise them again afterwards."""
        for number in STOPPING:
            signal.signal(number, self.handle_exit)
        yield


def bind(host: str, port: int) -> socket.socket:
    """Return a bound socket.

    Args:
        host: An address or name; with a colon it is IPv6.
        port: A port, or 0 for a free one.

    Raises:
        OSError: The address is taken or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    return bound


def url_of(bound: socket.socket) -> str:
    """Return the URL of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: Simulator, bound: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; calls still running then are billed as incomplete.

    Args:
        app: What to serve.
        bound: Where.
        ready: Called once, when it listens.
    """
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_level="critical",  # a cut connection is asked for, and would be logged as an error
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    _Server(config, ready).run(sockets=[bound])
    app.invoice.close()


def die_with_parent() -> None:
    """End when the parent does or says so, by SIGUSR1, and for no other signal (Linux only; elsewhere nothing happens).

    A terminal's Ctrl-C and a SIGTERM to the whole group reach this process too: the parent ends it last, when the calls
    that are under way have been answered.

    The kernel watches the thread that started this process: start it from one that lasts.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    STOPPING[:] = [signal.SIGUSR1]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1)
    if os.getppid() != parent:  # it ended before the kernel was asked
        sys.exit(0)
