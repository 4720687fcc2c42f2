"""A request that names a task: whether it may, and whether the task is charged in its place. The keeper knows."""

from __future__ import annotations

from typing import NamedTuple

from proxy.admission import KeeperAway
from proxy.identity import Principal
from proxy.wire.errors import Conflict, Malformed, Unavailable, UnknownName
from proxy.world import World

HEADER = b"x-penstock-task"
ID_CHARS_MAX = 64


class Joined(NamedTuple):
    """The task a request belongs to. `is_whole`: its requests are charged nothing by themselves."""

    id: str
    is_whole: bool


async def join(world: World, principal: Principal, name: bytes) -> Joined:
    """Return the open task that a request names.

    Raises:
        Malformed, UnknownName, Conflict: it is no task of this customer's, or is closed.
        Unavailable: nobody knows right now.
    """
    id_ = name.decode("latin-1").strip()
    if not 0 < len(id_) <= ID_CHARS_MAX or not id_.isprintable():
        raise Malformed(f"`x-penstock-task` must be 1 to {ID_CHARS_MAX} characters.", param="x-penstock-task")
    args = {"customer": principal.customer, "task": id_}
    try:
        answer = await world.keeper.command("tasks.join", args, principal.key, claim=None, request="")
    except KeeperAway:
        raise Unavailable("Whether the task is open is not known right now.") from None
    if "failed" in answer:
        raise Unavailable("Whether the task is open is not known right now.")
    if "result" not in answer:
        kind = Conflict if "conflict" in answer else UnknownName
        raise kind(f"{answer['refused'][:1].upper()}{answer['refused'][1:]}.", param="x-penstock-task")
    return Joined(id_, answer["result"]["whole"])
