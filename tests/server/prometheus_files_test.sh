#!/bin/sh
# The Prometheus files of deploy/ are valid by Prometheus' own word; each alert has a test in which it fires, one in
# which it does not, and a paragraph for whoever it wakes. Runs in the repository's root.
command -v promtool >/dev/null || { echo "SKIP: prometheus_files: promtool is not installed"; exit 77; }
promtool check config deploy/prometheus/prometheus.yml || exit 1
promtool check rules deploy/prometheus/alerts.yml || exit 1
promtool test rules tests/server/alerts_test.yml || exit 1
missing=0
alerts=$(sed -n 's/^ *- alert: //p' deploy/prometheus/alerts.yml)
[ "$(echo "$alerts" | wc -l)" -ge 20 ] || { echo "FAIL: prometheus_files: found only: $alerts"; exit 1; }
for alert in $alerts; do
  for wanted in "tests/server/alerts_test.yml:name: $alert fires" "tests/server/alerts_test.yml:name: $alert is silent" \
    "docs/operations.md:### $alert"; do
    grep -q -- "${wanted#*:}\$" "${wanted%%:*}" && continue
    echo "FAIL: prometheus_files: ${wanted%%:*} has no \"${wanted#*:}\""
    missing=1
  done
done
exit $missing
