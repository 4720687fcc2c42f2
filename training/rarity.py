"""`python -m training.rarity`: how rare each piece of a text is in the training prompts, for the semantic cache.

One byte for each bucket that pieces are hashed into: natural logarithm of how many prompts there are for each that has
such a piece, in sixteenths. The weights hold no word of any prompt.
"""

import base64
import gzip
import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from proxy.caching.semantic import vectors
from proxy.caching.semantic.vectors import BUCKETS, STEPS, pieces
from training.rows import FOLDER

WEIGHTS = Path(vectors.__file__).with_name("weights.json")
CHARS_MAX = 1_000
"""Of a prompt: what is longer is never looked up."""
LINE_CHARS = 100


def prompts() -> Iterator[str]:
    """Yield the training prompts, the outcomes' and our own."""
    for path in sorted(FOLDER.glob("train-*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)["prompt"]
    for line in (FOLDER / "everyday.jsonl").read_text("utf-8").splitlines():
        yield json.loads(line)["prompt"]


def rarity() -> bytes:
    """Return the byte of each bucket; of one that no prompt has a piece in, the highest."""
    seen, count = Counter[int](), 0
    for prompt in prompts():
        count += 1
        seen.update({crc32(piece.encode()) % BUCKETS for piece in pieces(prompt[:CHARS_MAX])})
    return bytes(min(255, round(STEPS * math.log((count + 1) / (seen[each] + 1)))) for each in range(BUCKETS))


def main(path: Path = WEIGHTS) -> None:
    """Write the file."""
    found = rarity()
    text = base64.b64encode(found).decode()
    said = {
        "version": f"letters-{hashlib.sha256(found).hexdigest()[:8]}",
        "rarity": [text[at : at + LINE_CHARS] for at in range(0, len(text), LINE_CHARS)],
    }
    path.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {said['version']}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
