"""The HTTP surfaces. Hot routes are raw ASGI; everything else is FastAPI's."""
