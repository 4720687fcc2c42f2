"""Every surface before every dialect: what is answered, what is refused by which name, and that the books balance."""

from pathlib import Path

from tests.e2e import matrix
from tests.e2e.conftest import Launch


def test_the_page_says_what_each_pair_can(launch: Launch, tmp_path: Path):
    """`python -m tests.e2e.matrix` renews the page; all calls of it are on both accounts, to the nano-dollar."""
    with matrix.borrowed():
        server = launch(matrix.config(tmp_path))
        found = matrix.pages(server)

        page = matrix.PAGE.read_text()
        assert page == matrix.filled(page, found)
        books, verified = server.cli("reconcile", "--json"), server.cli("ledger", "verify", "--json")
    calls = sum(cell[3:].count("yes") for rows in found.values() for cell in rows)
    assert (verified.code, len(server.invoice())) == (0, calls), verified.out
    # What Gemini and LiteLLM answer to embeddings names no call: it is booked and billed, and found on neither side.
    assert all("embedding" in line["model"] for line in books.json()["lines"]), books.out
    assert abs(books.json()["difference_nusd"]) <= books.json()["rounding_bound_nusd"]
    assert verified.json()["open_holds"] == 0
