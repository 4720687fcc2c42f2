"""Tests of the judge of difficulty."""
