"""Keeps the books: usage, prices, charges, the journal and the ledger. Knows nothing of HTTP."""
