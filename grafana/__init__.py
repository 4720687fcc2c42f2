"""What Prometheus and Grafana are given. The dashboard is built by `python -m grafana.build` and checked in."""
