"""What Prometheus and Grafana are given. The dashboards are built by `python -m grafana.build` and checked in."""
