"""Limits: windows, shares, workers that race for them, and a day on a simulated clock."""
