"""Whether the replicas of a stopped cluster hold equal logs."""
import itertools
import json
import signal
import subprocess

from local_cluster import SEEDS

METADATA = 1  # the group whose entries are not records
FIELDS = ("first_index", "last_index", "term", "kind", "base_offset", "last_offset",
          "payload_bytes", "payload_crc")


def stop_cleanly(cluster, seconds=60):
    brokers = [broker for broker in cluster.brokers.values() if broker.running()]
    for broker in brokers:
        broker.process.send_signal(signal.SIGTERM)
    for broker in brokers:
        code = broker.process.wait(timeout=seconds)
        assert code == 0, "broker %d ended with %d" % (broker.node, code)


def replicas_of(cluster, node):
    """The journal's record of each replica, by group. The directory has to be clean."""
    done = subprocess.run([cluster.varved, "inspect", "--json", cluster.brokers[node].data],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, (node, done.returncode, done.stdout[-2000:], done.stderr)
    return {group["group"]: group["replica"] for group in json.loads(done.stdout)["groups"]}


def logs_of(cluster, node):
    """(group, entries in order) of each group in turn; one log at a time is held."""
    inspect = subprocess.Popen([cluster.varved, "inspect", "--entries", cluster.brokers[node].data],
                               stdout=subprocess.PIPE, text=True)
    entries = map(json.loads, inspect.stdout)
    for group, found in itertools.groupby(entries, key=lambda entry: entry["group"]):
        yield group, [tuple(entry[field] for field in FIELDS) for entry in found]
    assert inspect.wait() == 0


def compare_group(group, records, logs):
    """One group: `records` and `logs` by node. The number of entries that are equal."""
    start = max(record["log_start_index"] for record in records.values())
    end = min(record["last_index"] for record in records.values())
    common, tails = {}, {}
    for node in SEEDS:
        kept = [entry for entry in logs[node]
                if entry[1] >= start and entry[1] <= records[node]["last_index"]]
        assert kept and kept[0][0] <= start and kept[-1][1] == records[node]["last_index"], (
            "inspect does not show the whole log", group, node, kept[:1], kept[-1:], records[node])
        common[node] = [entry for entry in kept if entry[1] <= end]
        tails[node] = [entry for entry in kept if entry[1] > end]
    first = common[SEEDS[0]]
    for node in SEEDS[1:]:
        for one, other in itertools.zip_longest(first, common[node]):
            assert one == other, ("replicas differ", group, SEEDS[0], one, node, other)
    # Elections of the stop itself may have reached some replicas only, records none of them.
    for node, tail in tails.items():
        records_behind = [entry for entry in tail if entry[3] == "data"]
        assert group == METADATA or not records_behind, (
            "records that not every replica has", group, node, records_behind[:5])
    return len(first)


def compare_replicas(cluster):
    """Stops the cluster. Above all log starts and up to the end of the shortest replica, each group's
    entries must be equal in index, term, kind, offsets and payload CRC; no record lies beyond."""
    stop_cleanly(cluster)
    records = {node: replicas_of(cluster, node) for node in SEEDS}
    groups = set(records[SEEDS[0]])
    assert all(set(found) == groups for found in records.values()), records
    equal = {}
    for logs in zip(*(logs_of(cluster, node) for node in SEEDS), strict=True):
        group = logs[0][0]
        assert all(log[0] == group for log in logs), [log[0] for log in logs]
        equal[group] = compare_group(group, {node: records[node][group] for node in SEEDS},
                                     dict(zip(SEEDS, (log[1] for log in logs))))
    assert set(equal) == groups, (equal, groups)
    print("%d groups, %d entries, equal on every replica" % (len(equal), sum(equal.values())))
