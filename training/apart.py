"""`python -m training.apart`: weights for the simulated month of `make bench-routing`, which asks what they never saw.

A fifth of the published prompts, by question, and the third of the everyday prompts that is always kept, teach nothing.
"""

import gzip
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from training.rows import Row, everyday, outcomes

FIFTHS, APART = 5, 0
WEIGHTS = Path(__file__).parents[1] / "benchmarks" / "routing" / "weights.json.gz"


def is_apart(row: Row) -> bool:
    """Tell whether a prompt is one of those that these weights have not seen."""
    return row.question % FIFTHS == APART


def main() -> None:
    """Train on the rest, and write the weights."""
    from training.weighing import calibrate, document, fit, write  # only training needs NumPy

    rows = [row for row in outcomes() if not is_apart(row)]
    ordinary = [each for each in everyday() if not each.is_kept]
    found = document(fit(rows, ordinary), calibrate(rows))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "weights.json"
        write(found, path)
        WEIGHTS.write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
    sys.stdout.write(f"{WEIGHTS}: {found['version']}\n")


if __name__ == "__main__":
    main()
