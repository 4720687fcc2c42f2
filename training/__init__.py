"""Makes the judge's weights out of `classifiers/data`; no part of what runs."""
