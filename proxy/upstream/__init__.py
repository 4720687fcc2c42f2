"""Calls to providers: connections, deadlines, and one dialect per provider family."""
