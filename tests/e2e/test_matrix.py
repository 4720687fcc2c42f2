"""Every surface before every dialect: what is answered, what is refused by which name, and that the books balance."""

from pathlib import Path

from tests.e2e import matrix
from tests.e2e.conftest import Launch


def test_the_page_says_what_each_pair_can(launch: Launch, tmp_path: Path):
    """`python -m tests.e2e.matrix` renews the page; all calls of it are on both accounts, to the nano-dollar."""
    server = launch(matrix.config(tmp_path))

    found = list(matrix.cells(server))

    page = matrix.PAGE.read_text()
    assert page == matrix.filled(page, matrix.table(found))
    calls = sum(cell[3:].count("yes") for cell in found)
    books, verified = server.cli("reconcile", "--json"), server.cli("ledger", "verify", "--json")
    assert (books.code, verified.code, len(server.invoice())) == (0, 0, calls), (books.out, verified.out)
    assert (books.json()["lines"], books.json()["explained_share"]) == ([], 1)
    assert abs(books.json()["difference_nusd"]) <= books.json()["rounding_bound_nusd"]
    assert verified.json()["open_holds"] == 0
