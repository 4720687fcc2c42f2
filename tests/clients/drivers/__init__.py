"""One program per client."""
