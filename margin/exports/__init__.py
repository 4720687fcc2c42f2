"""Providers' own accounts of what they billed, read from the files that they export."""
