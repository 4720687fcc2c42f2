"""The HTTP surfaces. Hot routes have turns of their own; everything else is FastAPI's."""
