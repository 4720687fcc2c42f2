"""`python -m training`: fit the judge's weights from the data in the repository and write them."""

import sys
from pathlib import Path

from classifiers.table import WEIGHTS
from training.rows import everyday, outcomes
from training.weighing import calibrate, document, fit, write


def main(path: Path = WEIGHTS) -> None:
    """Train on everything but the everyday prompts that are kept for testing."""
    rows = outcomes()
    ordinary = [each for each in everyday() if not each.is_kept]
    found = document(fit(rows, ordinary), calibrate(rows))
    write(found, path)
    sys.stdout.write(f"{path}: {found['version']}, {len(found['words'])} words, {len(found['pairs'])} pairs\n")


main(*map(Path, sys.argv[1:]))
