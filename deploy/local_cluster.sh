#!/bin/sh
# A lasting cluster of three brokers on this machine, for development.
#
#   deploy/local_cluster.sh start|stop|status|wipe [DIRECTORY]
#
# Data, logs and process ids are in DIRECTORY (default: ./varve-cluster). `wipe` also removes the data.
# VARVED names the program (default: that of the tree or the prefix which this script is in, then varved of the PATH),
# PORT the first of its ports (default: 9640, and up to 9664).
set -eu

command=${1:-}
directory=${2:-varve-cluster}
varved=${VARVED:-}
if [ -z "$varved" ]; then
  here=$(dirname "$0")
  for varved in "$here/../build/release/server/varved" "$here/../../bin/varved" "$(command -v varved || true)"; do
    [ ! -x "$varved" ] || break
  done
fi
first=${PORT:-9640}
clients=127.0.0.1:$first,127.0.0.1:$((first + 10)),127.0.0.1:$((first + 20))
nodes="1@127.0.0.1:$((first + 1)), 2@127.0.0.1:$((first + 11)), 3@127.0.0.1:$((first + 21))"

fail() {
  echo "local_cluster: $*" >&2
  exit 1
}

# Its number may be another process's by now; one that ended and was not waited for has no command line.
runs() {
  [ -f "$directory/$1.pid" ] &&
    grep -qsaF -e "--data_dir=$directory/data$1" "/proc/$(cat "$directory/$1.pid")/cmdline"
}

start_node() {
  port=$((first + 10 * ($1 - 1)))
  rm -f "$directory/$1.ready"
  "$varved" --data_dir="$directory/data$1" --node_id="$1" --grpc.address="127.0.0.1:$port" \
    --peer.address="127.0.0.1:$((port + 1))" --http.address="127.0.0.1:$((port + 4))" \
    --bootstrap.nodes="$nodes" --ready-file="$directory/$1.ready" 2>>"$directory/$1.log" &
  echo $! >"$directory/$1.pid"
}

start() {
  [ -n "$varved" ] && [ -x "$varved" ] || fail "varved is not built: run scripts/quickstart, or set VARVED"
  mkdir -p "$directory"
  for node in 1 2 3; do
    runs $node || start_node $node
  done
  for node in 1 2 3; do
    tries=0
    while [ ! -f "$directory/$node.ready" ]; do
      runs $node || fail "broker $node ended; see $directory/$node.log"
      tries=$((tries + 1))
      [ $tries -lt 300 ] || fail "broker $node is not ready after 30 s; see $directory/$node.log"
      sleep 0.1
    done
  done
  echo "three brokers are ready: varve --server $clients"
}

stop() {
  for node in 1 2 3; do
    if runs $node; then kill "$(cat "$directory/$node.pid")"; fi
  done
  for node in 1 2 3; do
    tries=0
    while runs $node; do
      tries=$((tries + 1))
      [ $tries -lt 600 ] || fail "broker $node does not end within 60 s; see $directory/$node.log"
      sleep 0.1
    done
    rm -f "$directory/$node.pid" "$directory/$node.ready"
  done
}

status() {
  for node in 1 2 3; do
    if runs $node; then
      echo "broker $node runs, process $(cat "$directory/$node.pid"), $(cat "$directory/$node.ready" 2>/dev/null || echo "not ready")"
    else
      echo "broker $node does not run"
    fi
  done
}

case "$command" in
  start) start ;;
  stop) stop ;;
  status) status ;;
  wipe)
    stop
    for node in 1 2 3; do rm -rf "$directory/data$node" "$directory/$node.log"; done
    rmdir "$directory" 2>/dev/null || true
    ;;
  *) fail "say start, stop, status or wipe" ;;
esac
