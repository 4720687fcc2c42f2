"""How Python's collector runs in a process that serves."""

import gc

YOUNG_MAX = 50_000
"""New containers before the collector looks at them: a few milliseconds of work. At the interpreter's 700 it walks over
a batch's records several times, a tenth of what folding costs, to find nothing: nearly all of ours go by count."""


def settle() -> None:
    """Leave what exists by now, modules and configuration, out of all later collections, and make those seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, 20, 50)
