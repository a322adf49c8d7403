#!/bin/sh
# The Prometheus files of deploy/ are valid by Prometheus' own word. Runs in the repository's root.
command -v promtool >/dev/null || { echo "SKIP: prometheus_files: promtool is not installed"; exit 77; }
exec promtool check config deploy/prometheus/prometheus.yml
