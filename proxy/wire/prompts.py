"""What the readers of all surfaces share: turns, images by URL, and the name of what the neutral form cannot say."""

from __future__ import annotations

import re
from typing import Final, Literal

from proxy.wire.errors import Malformed
from proxy.wire.neutral import Block, ImageBytes, ImageLink, Turn

_DATA_URL: Final = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.IGNORECASE)


def unsayable(where: str, why: str = "cannot be carried over to this model's provider") -> Malformed:
    """Return the error for what the neutral form has no word for."""
    return Malformed(f"`{where}` {why}.", param=where)


def append(turns: list[Turn], role: Literal["user", "assistant"], blocks: tuple[Block, ...]) -> None:
    """Add what one side says; neighbours of one side become one turn, and nothing said none."""
    if not blocks:
        return
    if turns and turns[-1].role == role:
        turns[-1] = Turn(role, turns[-1].blocks + blocks)
    else:
        turns.append(Turn(role, blocks))


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
