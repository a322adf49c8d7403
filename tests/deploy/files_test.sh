#!/bin/sh
# What cmake --install places for an operator: complete, valid by systemd's own word, and a local cluster that runs.
#   files_test.sh BUILD_DIR DIRECTORY
set -eu
build=$1
work=$2
rm -rf "$work"
mkdir -p "$work"
prefix=$work/prefix

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

for component in server cli client; do
  cmake --install "$build" --component $component --prefix "$prefix" >"$work/install.log" || fail "installing $component"
done
for file in bin/varved bin/varve lib/systemd/system/varved.service lib/sysusers.d/varve.conf lib/tmpfiles.d/varve.conf \
  share/varve/varved.yaml share/varve/local_cluster.sh share/varve/prometheus/prometheus.yml \
  share/varve/prometheus/alerts.yml share/varve/prometheus/targets.yml share/varve/grafana/varve.json \
  share/doc/varve/operations/deploy.md share/doc/varve/metrics.md; do
  [ -f "$prefix/$file" ] || fail "$file is not installed"
done
if find "$prefix" -path '*etc*' -type f | grep -q /etc/; then fail "an update would overwrite what is in etc"; fi
unit=$prefix/lib/systemd/system/varved.service
grep -qx "ExecStart=$prefix/bin/varved --config=/etc/varve/varved.yaml" "$unit" || fail "the unit names another program"
if grep -q '@' "$unit" && grep -n '@[a-z]*@' "$unit"; then fail "the unit has a name that was not replaced"; fi
"$prefix/bin/varved" --config="$prefix/share/varve/varved.yaml" --check-config || fail "the example configuration"
passed=2

skipped=0
if command -v systemd-analyze >/dev/null; then
  systemd-analyze verify "$unit" >"$work/verify" 2>&1 || { cat "$work/verify"; fail "systemd-analyze verify"; }
  [ ! -s "$work/verify" ] || { cat "$work/verify"; fail "systemd-analyze verify has something to say"; }
  # 2.0 of 10.
  systemd-analyze security --offline=true --threshold=20 "$unit" >"$work/security" ||
    { cat "$work/security"; fail "the unit is less hardened than 2.0"; }
  sed -n 's/.*Overall exposure level/exposure level/p' "$work/security"
  mkdir -p "$work/root/etc"
  systemd-sysusers --root="$work/root" "$prefix/lib/sysusers.d/varve.conf" || fail "systemd-sysusers"
  grep -q '^varve:' "$work/root/etc/passwd" || fail "there is no user varve"
  passed=$((passed + 1))
else
  echo "SKIP: deploy_files: systemd-analyze is not installed: the unit was not checked"
  skipped=1
fi

# From the prefix, as an operator's developer has it: no build tree in sight.
cluster="$prefix/share/varve/local_cluster.sh"
cd "$work"
PORT=$((20000 + $$ % 10000))
export PORT
trap '"$cluster" stop "$work/cluster" || true' EXIT
"$cluster" start "$work/cluster" >"$work/start" || { cat "$work/start"; fail "local_cluster.sh start"; }
"$cluster" status "$work/cluster" >"$work/status"
[ "$(grep -c ' runs, process [0-9]*, grpc=' "$work/status")" = 3 ] || { cat "$work/status"; fail "three brokers do not run"; }
servers=$(sed -n 's/.*varve --server //p' "$work/start")
"$prefix/bin/varve" --server "$servers" topic create kept --replication 3 >/dev/null || fail "creating a topic"
echo one | "$prefix/bin/varve" --server "$servers" -q produce kept || fail "producing"
"$cluster" stop "$work/cluster"
# A process that has nothing to do with it has the number by now.
echo $$ >"$work/cluster/1.pid"
"$cluster" status "$work/cluster" | grep -qx 'broker 1 does not run' || fail "another process is taken for a broker"
"$cluster" stop "$work/cluster"
"$cluster" start "$work/cluster" >/dev/null || fail "local_cluster.sh start, again"
[ "$("$prefix/bin/varve" --server "$servers" -q consume kept -e -f '%v\n')" = one ] || fail "the record is gone"
"$cluster" wipe "$work/cluster"
[ ! -e "$work/cluster" ] || fail "local_cluster.sh wipe leaves something behind"
trap - EXIT
passed=$((passed + 1))
echo "$passed passed, 0 failed, $skipped skipped"
