"""What the readers of all surfaces share: turns, images by URL, and the name of what the neutral form cannot say."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Literal

from proxy.wire.errors import Malformed
from proxy.wire.neutral import Block, ImageBytes, ImageLink, Turn

_DATA_URL: Final = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.IGNORECASE)


def unsayable(where: str, why: str = "cannot be carried over to this model's provider") -> Malformed:
    """Return the error for what the neutral form has no word for."""
    return Malformed(f"`{where}` {why}.", param=where)


def only(found: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Check that an object deep in a request holds nothing that the neutral form has no word for.

    Args:
        found: The object.
        known: Its fields that are carried over, or left out on purpose.
        where: Its place in the request.

    Raises:
        Malformed: it does; `param` names the field by its place.
    """
    for name, value in found.items():
        if name not in known and value is not None:
            raise unsayable(f"{where}.{name}")


def first_unheld(
    fields: Mapping[str, Any], held: frozenset[str], harmless: Mapping[str, Callable[[Any], bool]]
) -> str | None:
    """Name the first field that the neutral form has no word for; None when there is none.

    Args:
        fields: A request.
        held: Fields that it has a word for, hints and labels.
        harmless: Fields that it has none for, and the values at which they ask for nothing.
    """
    for name, value in fields.items():
        if name in held or value is None:
            continue
        asks_nothing = harmless.get(name)
        if asks_nothing is None or not asks_nothing(value):
            return name
    return None


def append(turns: list[Turn], role: Literal["user", "assistant"], blocks: tuple[Block, ...]) -> None:
    """Add what one side says; neighbours of one side become one turn, and nothing said none."""
    if not blocks:
        return
    if turns and turns[-1].role == role:
        turns[-1] = Turn(role, turns[-1].blocks + blocks)
    else:
        turns.append(Turn(role, blocks))


def stops_of(stop: Any) -> tuple[str, ...]:
    """Return the texts that end an answer: none, one or several.

    Raises:
        Malformed: they are no texts.
    """
    stops = [] if stop is None else [stop] if isinstance(stop, str) else stop
    if not all(isinstance(each, str) for each in stops):
        raise Malformed("`stop` must be a string or an array of strings.", param="stop")
    return tuple(stops)


def image_at(url: str, where: str) -> ImageBytes | ImageLink:
    """Return an image by its URL, a data URL included.

    Raises:
        Malformed: it is neither https nor base64.
    """
    data = _DATA_URL.match(url)
    if data is not None:
        return ImageBytes(data[1].lower(), url[data.end() :])
    if url[:8].lower() == "https://":
        return ImageLink(url)
    raise unsayable(where, "must be an https URL or a data URL with base64")
