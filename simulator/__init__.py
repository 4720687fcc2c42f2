"""A world to run against: providers that speak the real wire formats and keep their own invoice."""
