"""Answers that are given again: which may be, to whom, and where they are kept meanwhile.

A customer's own answers only, to the same request only. Pure, but for the clock that callers hand in; who is charged
what for one is `proxy.repeating`'s business. See docs/adr/0035.
"""
