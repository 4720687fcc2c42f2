"""An office for the tests of the keeper."""

import pytest

from tests.keeper.offices import office


@pytest.fixture
def found(tmp_path):
    """Open an office, and let go of its files."""
    opened = office(tmp_path / "data")
    yield opened
    opened.books.journal.close()
    opened.books.store.close()
    opened.directory.close()
