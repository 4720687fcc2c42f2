"""Tests of the calls to providers."""
