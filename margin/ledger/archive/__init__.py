"""Closed periods, out of the way: `archiving` makes an archive, `shelf` knows what lies there.

`dividing` takes old rows out of a ledger at the cut, `behind` lets a ledger's file begin behind it. They are imported
from here one by one: the ledger's store needs `behind`, and the others need the store.
"""
