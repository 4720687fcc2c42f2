"""The page at `/`, and the figures behind it at `/admin/page`: what a server earns, and why it does what it does.

The page itself holds no figure and is anybody's. The figures take a key of the scope `admin`; where `server.page` is
`loopback`, none from this machine. Nothing is loaded from elsewhere: the policy sent along has the browser see to that.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request, Response

import proxy
from proxy.admission import KeeperAway
from proxy.api.answers import authenticated, headers_of, json_answer, refusal
from proxy.api.bodies import Foretold, Nothing, WhichCustomer, read_body, read_query
from proxy.foretelling import foretold
from proxy.identity import is_from_here, presented
from proxy.wire.errors import Malformed, Unavailable
from proxy.world import World

FOLDER: Final = Path(proxy.__file__).with_name("page")
TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
FROM_HERE: Final = "loopback"
"""Stands for a key where none was needed."""

KEPT_S = 1.0
"""How old figures may be: a page asks every two seconds, and several pages at once cost what one does."""
REST = 100
"""Figures are as many times as long not asked for again as it took to get them: a hundredth of the keeper at most."""
KEPT_MAX = 100

Answer = dict[str, Any]


def routes(world: World) -> APIRouter:
    """Return the routes of the page."""
    router = APIRouter()
    _files(router)
    _figures(router, world)
    return router


def _files(router: APIRouter) -> None:
    for path in sorted(FOLDER.iterdir()):
        if path.suffix in TYPES:
            url = "/" if path.name == "index.html" else f"/page/{path.name}"
            router.add_api_route(url, _file(path), methods=["GET", "HEAD"])


def _file(path: Path) -> Callable[[], Response]:
    content, kind = path.read_bytes(), f"{TYPES[path.suffix]}; charset=utf-8"
    return lambda: Response(content, 200, {**HEADERS, "content-type": kind})


def _figures(router: APIRouter, world: World) -> None:
    desk = Desk(world)

    @router.get("/admin/page/figures")
    async def _all(request: Request) -> Response:
        asker = _asker(world, request)
        read_query(Nothing, request.query_params.multi_items())
        return _shown(await desk.ask("page.figures", {}, asker))

    @router.get("/admin/page/charges")
    async def _charges(request: Request) -> Response:
        asker = _asker(world, request)
        read_query(Nothing, request.query_params.multi_items())
        return _shown(await desk.ask("page.charges", {}, asker))

    @router.get("/admin/page/customer")
    async def _customer(request: Request) -> Response:
        asker = _asker(world, request)
        asked = read_query(WhichCustomer, request.query_params.multi_items())
        return _shown(await desk.ask("page.customer", asked.model_dump(), asker))

    @router.post("/admin/page/explain")
    async def _explain(request: Request) -> Response:
        _asker(world, request)
        return _shown(_explained(world, read_body(Foretold, await request.body())))


def _asker(world: World, request: Request) -> str:
    """Return the id of the key that asks, or `FROM_HERE`.

    Raises:
        Unauthenticated, Forbidden: as for all of `/admin`.
    """
    found = headers_of(request)
    peer = None if request.client is None else request.client.host
    if world.settings.server.page == "loopback" and not presented(found) and is_from_here(peer, found):
        return FROM_HERE
    return authenticated(world, request, "admin").key


def _explained(world: World, asked: Foretold) -> Answer:
    """Return what `penstock explain` says of a prompt, or of a whole request, written as a JSON object."""
    book = world.settings.sellbook
    if asked.plan is not None and asked.plan not in book.plans:
        raise Malformed(f"There is no such plan; plans are: {', '.join(sorted(book.plans))}.", param="plan")
    body = asked.prompt.encode()
    if not asked.prompt.lstrip().startswith("{"):
        body = orjson.dumps({"model": asked.model, "messages": [{"role": "user", "content": asked.prompt}]})
    return foretold(world.settings, book.plan(asked.plan), body)


def _shown(content: Any) -> Response:
    answer = json_answer(content)
    answer.headers["cache-control"] = "no-store"
    return answer


class Desk:
    """Asks the keeper for figures, once for all pages that are open, and seldom if that takes it long."""

    def __init__(self, world: World, clock: Callable[[], float] = time.monotonic) -> None:
        self._world, self._clock = world, clock
        self._turn = asyncio.Lock()
        self._kept: OrderedDict[tuple[str, str | None], tuple[float, Answer]] = OrderedDict()

    async def ask(self, command: str, args: Answer, asker: str) -> Any:
        """Return what a command says, or said a moment ago.

        Raises:
            Unavailable: the keeper does not answer.
            ProxyError: it refused, as where there is no such customer.
        """
        name = (command, args.get("customer"))
        async with self._turn:
            until_s, answer = self._kept.pop(name, (0.0, {}))
            if self._clock() >= until_s:
                until_s, answer = await self._asked(command, args, asker)
            self._kept[name] = until_s, answer
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        if "result" not in answer:
            raise refusal(answer)
        return answer["result"]

    async def _asked(self, command: str, args: Answer, asker: str) -> tuple[float, Answer]:
        began_s = self._clock()
        try:
            answer = await self._world.keeper.command(command, args, asker, claim=None, request="")
        except KeeperAway:
            raise Unavailable("The books cannot be asked right now.") from None
        ended_s = self._clock()
        return ended_s + max(KEPT_S, REST * (ended_s - began_s)), answer
