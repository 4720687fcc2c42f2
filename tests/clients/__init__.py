"""Real clients against a running Penstock, with a third-party mock behind it: `make clients`."""
