"""One file per provider family, pure: requests and answers to and from what the exchange understands."""
