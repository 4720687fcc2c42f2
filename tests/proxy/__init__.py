"""The exchange and its steps."""
