"""Three real brokers as the command line shows them: describe, doctor with its exit codes, and deletions through any."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

VARVED, VARVE, DIRECTORY = sys.argv[1:4]
NODES = (1, 2, 3)
UNHEALTHY = 9


def free_ports(count):
    """Ports that nobody has now; asked for together, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


PORTS = free_ports(6)
PEERS = {node: "127.0.0.1:%d" % PORTS[node - 1] for node in NODES}
CLIENTS = {node: "127.0.0.1:%d" % PORTS[node + 2] for node in NODES}
SERVERS = ",".join(CLIENTS.values())
PROCESSES = {}


def ready_file(node):
    return os.path.join(DIRECTORY, "ready%d" % node)


def start(node):
    if os.path.exists(ready_file(node)):
        os.remove(ready_file(node))
    log = open(os.path.join(DIRECTORY, "log%d" % node), "a")
    PROCESSES[node] = subprocess.Popen(
        [VARVED, "--data_dir=" + os.path.join(DIRECTORY, "data%d" % node), "--node_id=%d" % node,
         "--grpc.address=" + CLIENTS[node], "--http.address=127.0.0.1:0",
         "--peer.address=" + PEERS[node], "--ready-file=" + ready_file(node),
         "--bootstrap.nodes=" + ", ".join("%d@%s" % item for item in PEERS.items())], stderr=log)


def kill(node):
    PROCESSES[node].send_signal(signal.SIGKILL)
    PROCESSES[node].wait()


def wait_until(holds, what, seconds=40):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "not in time: " + what
        time.sleep(0.05)  # other processes tell nobody when they are done


def run(*arguments, servers=SERVERS, stdin=None):
    return subprocess.run([VARVE, *arguments, "--server", servers], input=stdin, text=True,
                          capture_output=True, timeout=60, check=False)


def varve(*arguments, **options):
    done = run(*arguments, **options)
    assert done.returncode == 0, (arguments, done.returncode, done.stdout[-2000:], done.stderr)
    return done.stdout


def doctor():
    """Exit code, and the conditions by code."""
    done = run("doctor", "-o", "json")
    found = {}
    if done.returncode in (0, UNHEALTHY):
        report = json.loads(done.stdout)
        assert report["healthy"] == (done.returncode == 0), report
        for condition in report["conditions"]:
            assert condition["cause"] and condition["advice"], condition
            found.setdefault(condition["code"], []).append(condition)
    return done.returncode, found


def describe(servers=SERVERS):
    return json.loads(varve("topic", "describe", "t", "-o", "json", servers=servers))[0]


def check_healthy():
    wait_until(lambda: doctor()[0] == 0, "a healthy cluster")
    assert run("doctor").stdout.startswith("healthy: 3 of 3 brokers answered"), run("doctor")
    cluster = json.loads(varve("cluster", "describe", "-o", "json"))
    assert cluster["partitions"] == {"total": 3, "leaderless": 0, "under_replicated": 0}, cluster
    assert len(cluster["metadata"]["replicas"]) == 3, cluster["metadata"]
    brokers = json.loads(varve("broker", "list", "-o", "json"))
    assert [broker["state"] for broker in brokers] == ["serving"] * 3, brokers
    assert sum(broker["leaders"] for broker in brokers) == 3, brokers
    peers = json.loads(varve("broker", "describe", "2", "-o", "json"))["peers"]
    assert [(peer["node"], peer["live"]) for peer in peers] == [(1, True), (3, True)], peers
    assert run("broker", "describe", "9").returncode == 2
    assert run("partition", "describe", "t", "7").returncode == 3


def check_views():
    """Whoever is asked, the leaders speak for their partitions."""
    views = [describe(servers=CLIENTS[node]) for node in NODES]
    for view in views:
        for partition in view["partitions"]:
            assert partition["serving"] and not partition["under_replicated"], partition
            assert [r["in_sync"] for r in partition["replicas"]] == [True] * 3, partition
    for key in ("leader_node", "high_watermark", "log_start"):
        rows = [[partition[key] for partition in view["partitions"]] for view in views]
        assert rows[0] == rows[1] == rows[2], (key, rows)
    assert sum(partition["high_watermark"] for partition in views[0]["partitions"]) == 900
    assert varve("partition", "list", "--under-replicated", "-o", "json") == "[]\n"
    one = json.loads(varve("partition", "describe", "t", "0", "-o", "json"))
    assert sorted(own["role"] for own in one["reported_by"]) == ["follower", "follower", "leader"]


def check_deletions():
    """Each broker alone is asked about each partition; the client finds its leader."""
    for round_, node in enumerate(NODES, 1):
        for partition in range(3):
            got = varve("topic", "delete-records", "t", "--partition", str(partition), "--before",
                        str(10 * round_), "--yes", "-o", "json", servers=CLIENTS[node])
            assert json.loads(got) == {"log_start": 10 * round_}, (node, partition, got)
    assert [p["log_start"] for p in describe()["partitions"]] == [30, 30, 30]
    beyond = run("topic", "delete-records", "t", "--before", "100000", "--yes",
                 servers=CLIENTS[1])
    assert beyond.returncode == 1, beyond


def check_conditions():
    begin = time.monotonic()
    kill(3)
    wait_until(lambda: {"broker_unreachable", "under_replicated"} <= set(doctor()[1]), "3 is gone")
    wait_until(lambda: all(c["stated_by"] for c in doctor()[1]["broker_unreachable"]),
               "the brokers miss it too")
    code, found = doctor()
    elapsed_ms = 1000 * (time.monotonic() - begin)
    assert code == UNHEALTHY, code
    assert [c["node"] for c in found["broker_unreachable"]] == [3], found
    assert 1000 < found["broker_unreachable"][0]["age_ms"] <= elapsed_ms + 500, (elapsed_ms, found)
    under = [c for c in found["under_replicated"] if c["topic"] == "t"]
    assert sorted(c["partition"] for c in under) == [0, 1, 2], found
    assert all("node 3" in c["cause"] for c in under), under
    text = run("doctor")
    assert text.returncode == UNHEALTHY and "What to do" in text.stdout, text
    kill(2)
    wait_until(lambda: len([c for c in doctor()[1].get("leaderless", ())
                            if c["topic"] == "t"]) == 3, "no leader is left")
    code, found = doctor()
    assert code == UNHEALTHY and found["leaderless"][0]["severity"] == "critical", found
    assert json.loads(varve("partition", "list", "--leaderless", "-o", "json"))
    start(2)
    start(3)
    wait_until(lambda: doctor()[0] == 0, "everybody is back")
    kill(1)
    kill(2)
    kill(3)
    assert run("doctor", "--timeout", "2s").returncode in (6, 7), "nobody answers"


def main():
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    os.makedirs(DIRECTORY)
    try:
        for node in NODES:
            start(node)
        for node in NODES:
            wait_until(lambda node=node: os.path.exists(ready_file(node)), "node %d" % node)
        varve("topic", "create", "t", "--partitions", "3")
        for partition in range(3):
            varve("produce", "t", "-p", str(partition), stdin="x\n" * 300)
        check_healthy()
        check_views()
        check_deletions()
        check_conditions()
    finally:
        for process in PROCESSES.values():
            if process.poll() is None:
                process.kill()
                process.wait()


main()
