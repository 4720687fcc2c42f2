"""Data folders for the tests of the books."""

import pytest

from tests.margin.bookkeeping import OPENING, open_books


@pytest.fixture
def folder(tmp_path):
    """Return a data folder."""
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture
def opened(folder):
    """Open the books of a folder, with a customer that has a thousand paid credits."""
    found = open_books(folder)
    for record in OPENING:
        found.record(record)
    found.commit()
    yield found
    found.store.close()
    found.journal.close()
