"""Every metric by name. The only room that knows prometheus_client."""
