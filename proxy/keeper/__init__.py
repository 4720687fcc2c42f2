"""The keeper: the one process that writes ledger, keys and grants.

It feeds the ledger from the journals, lends credits to the workers, resolves what dead workers left open, exports the
money metrics, and answers the commands. `office` is its work without any socket (commands run it directly when no
server is up); `server` is the living process around it.
"""
