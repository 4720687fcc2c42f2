"""The ledger: double entry, append-only, a fold of the journals.

Every transaction sums to zero per commodity and is unique by its key; balances are sums; corrections are further
entries. `fold` is pure (state and record in, postings out), `store` writes what it returns, `verify` checks the books
against themselves and against the journals. The ledger does not decide anything: whether credit suffices is asked
before a hold is journalled, and by then it is history.
"""
