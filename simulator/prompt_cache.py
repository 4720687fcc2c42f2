"""The provider's prompt cache: which leading messages were seen before.

OpenAI's rule (platform.openai.com/docs/guides/prompt-caching): prompts of 1,024 tokens or more,
hits in steps of 128 tokens, separate for each organisation and model. The real cache also finds a
common prefix inside a message; this one knows only whole messages.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import orjson

from simulator.tokens import Segment

CACHEABLE_TOKENS: Final = 1024
"""The shortest prompt that is cached."""

STEP_TOKENS: Final = 128
"""OpenAI's hits come in multiples of it."""
_PREFIXES_MAX: Final = 20_000  # 16-byte keys: a few megabytes, hours of sandbox traffic


@dataclass(frozen=True, slots=True)
class CacheUse:
    """Prompt tokens read from the cache, and those newly written to it; disjoint.

    Args:
        read: Read from it.
        written: Written to it.
        written_1h: The part of `written` that is kept for an hour.
    """

    read: int
    written: int
    written_1h: int = 0


NO_CACHE: Final = CacheUse(0, 0)
"""Nothing read, nothing written."""


class PromptCache:
    """Prefixes seen, the least recently used forgotten first."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def use(
        self, owner: str, prompt: Sequence[Segment], step: int = STEP_TOKENS, writes_tokens: int | None = None
    ) -> CacheUse:
        """Look a prompt up and remember it.

        Args:
            owner: Whose cache it is: the API key and the model.
            prompt: The prompt, segment by segment, as far as it is to be cached.
            step: Hits come in multiples of so many tokens.
            writes_tokens: Where what is written ends; None: with the prompt. 0: the cache is not used at all.
        """
        if sum(segment.tokens for segment in prompt) < CACHEABLE_TOKENS:
            return NO_CACHE
        prefixes = _prefixes(owner, prompt)
        if writes_tokens is not None:
            prefixes = [each for each in prefixes if each[1] <= writes_tokens]
        if not prefixes:
            return NO_CACHE
        read = max((_steps(tokens, step) for key, tokens in prefixes if key in self._seen), default=0)
        self._remember(key for key, _ in prefixes)
        return CacheUse(read, _steps(prefixes[-1][1], step) - read)

    def _remember(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            self._seen[key] = None
            self._seen.move_to_end(key)
        while len(self._seen) > _PREFIXES_MAX:
            self._seen.popitem(last=False)


def _prefixes(owner: str, prompt: Sequence[Segment]) -> list[tuple[bytes, int]]:
    """Return the key and length in tokens of each prefix that is long enough."""
    chain = blake2b(owner.encode(), digest_size=16)
    total = 0
    found = []
    for segment in prompt:
        content = orjson.dumps(segment.content)
        chain.update(b"%d:" % len(content))
        chain.update(content)
        total += segment.tokens
        if total >= CACHEABLE_TOKENS:
            found.append((chain.digest(), total))
    return found


def _steps(tokens: int, step: int) -> int:
    return tokens - tokens % step
