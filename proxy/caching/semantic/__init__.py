"""Answers to requests that mean the same: what two texts have in common, what must not differ, and what is proven.

Pure but for its memories, which are bounded; who asks and who pays is `proxy.resembling`'s business. See docs/adr/0053.
"""
