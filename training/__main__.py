"""`python -m training`: fit the judge's weights from the data in the repository; write them, and labels to tune on.

The labels (`classifiers/held_out.jsonl.gz`) are scored by weights that have not seen their question.
"""

import sys
from pathlib import Path

from classifiers.labels import SHIPPED
from classifiers.table import WEIGHTS, load
from classifiers.weights_file import write
from training.held_labels import labels, write_labels
from training.rows import everyday, outcomes
from training.weighing import calibrate, document, fit, held_back


def main(path: Path = WEIGHTS, labelled: Path = SHIPPED) -> None:
    """Train on everything but the everyday prompts that are kept for testing."""
    rows, ordinary = outcomes(), everyday()
    held = held_back(rows)
    found = document(fit(rows, [each for each in ordinary if not each.is_kept]), calibrate(rows, held))
    write(found, path)
    count = write_labels(labels(load(path), rows, held, ordinary), labelled)
    sys.stdout.write(f"{path}: {found['version']}, {len(found['words'])} words, {len(found['pairs'])} pairs\n")
    sys.stdout.write(f"{labelled}: {count} labels\n")


main(*map(Path, sys.argv[1:]))
