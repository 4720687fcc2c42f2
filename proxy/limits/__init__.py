"""Limits: how much of everything one worker may let through, and what each exchange has taken of it.

Reading order: `windows` (what a sliding window holds), `shares` (a worker's part of one limit), `guard` (all limits of
a worker, and the one check that admits an exchange), `passage` (what an exchange took, until it ends).
"""
