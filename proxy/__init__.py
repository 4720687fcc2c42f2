"""The proxy: serves requests, keeps the way of a request in `proxy/exchange.py`."""

__version__ = "0.1.0"
