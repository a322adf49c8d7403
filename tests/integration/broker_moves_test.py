"""Four real brokers: one joins, one is replaced and one is restarted after the other, all under load,
leaders killed meanwhile; nothing acknowledged is lost."""
import json
import os
import random
import subprocess
import sys
import threading
import time

from local_cluster import LocalCluster

VARVED, VARVE, DIRECTORY = sys.argv[1:4]
SEED = int(os.environ.get("VARVE_SEED", "1"))
KILLS = 12 if os.environ.get("VARVE_SLOW") else 3
PARTITIONS = 6


class Load(threading.Thread):
    """Numbered lines through one producer for as long as it is wanted; all must be acknowledged."""

    def __init__(self, servers):
        super().__init__()
        self.servers, self.sent, self.wanted, self.result = servers, 0, True, None

    def run(self):
        producer = subprocess.Popen([VARVE, "produce", "t", "--server", self.servers], text=True,
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE)
        while self.wanted:
            producer.stdin.write("".join("%08d\n" % i for i in range(self.sent, self.sent + 50)))
            producer.stdin.flush()
            self.sent += 50
            time.sleep(0.05)  # the rate of the load
        self.result = producer.communicate(timeout=60), producer.returncode


def check_log(cluster, sent):
    got = cluster.varve("consume", "t", "-e", "-f", "%v\\n").split()
    lost = sorted(set("%08d" % i for i in range(sent)) - set(got))
    print("%d sent, %d read, %d lost, %d doubled" % (sent, len(got), len(lost),
                                                     len(got) - len(set(got))))
    assert not lost, "lost: %s" % lost[:20]


def partitions(cluster):
    return json.loads(cluster.varve("topic", "describe", "t", "-o", "json"))[0]["partitions"]


def replace_under_load(cluster, draw):
    """Broker 4 takes the place of broker 2 while leaders die."""
    load = Load(cluster.servers)
    load.start()
    cluster.brokers[4].start()
    cluster.brokers[4].await_ready()
    begin = time.monotonic()
    command = [VARVE, "broker", "replace", "2", "--with", "4", "--wait", "--server", cluster.servers]
    replace = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for _ in range(KILLS):
        time.sleep(draw.uniform(0.2, 0.8))  # a moment that nothing else decides
        victim = cluster.brokers[draw.choice([node for node in cluster.leaders("t") if node])]
        victim.kill()
        time.sleep(draw.uniform(0.2, 0.8))
        victim.start()
        victim.await_ready()
    said = replace.communicate(timeout=60)[1]
    if replace.returncode != 0:  # its controller was killed under it: what is recorded goes on
        print("asked again after:", said.strip())
        cluster.varve("broker", "replace", "2", "--with", "4", "--wait")
    print("replaced in %.1f s, with %d leaders killed" % (time.monotonic() - begin, KILLS))
    load.wanted = False
    load.join()
    assert load.result[1] == 0, load.result
    for partition in partitions(cluster):
        assert sorted(partition["replica_nodes"]) == [1, 3, 4], partition
    assert cluster.nodes() == [1, 3, 4], cluster.nodes()
    cluster.brokers[2].kill()
    check_log(cluster, load.sent)
    return load.sent


def refuse_who_left(cluster):
    """The one that left is not let in again with its directory."""
    cluster.brokers[2].start()
    time.sleep(2)  # it would come back within this time
    assert cluster.nodes() == [1, 3, 4], cluster.nodes()
    cluster.brokers[2].kill()


def restart_one_by_one(cluster):
    """SIGTERM, start, ready; one after the other, at 1,000 records/s over 30 partitions."""
    cluster.varve("topic", "create", "many", "--partitions", "30", "--replication", "3")
    perf = subprocess.Popen(
        [VARVE, "perf", "produce", "--topic", "many", "--rate", "1000", "--size", "100",
         "--duration", "20s", "-o", "json", "--server", cluster.servers],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(3)  # the load is under way
    for node in (1, 3, 4):
        broker = cluster.brokers[node]
        broker.process.terminate()
        assert broker.process.wait(timeout=20) == 0
        broker.start()
        broker.await_ready()
        time.sleep(1.5)
    out, errors = perf.communicate(timeout=90)
    assert perf.returncode == 0, (out[-2000:], errors[-2000:])
    result = json.loads(out)
    assert result["failed"] == 0, result
    late = result["latency_us"]
    print("rolling restart: %d records, p50 %.1f, p99 %.1f, at most %.1f ms from due to acknowledged"
          % (result["records"], late["p50"] / 1e3, late["p99"] / 1e3, late["max"] / 1e3))


def main():
    print("VARVE_SEED", SEED)
    draw = random.Random(SEED)
    cluster = LocalCluster(VARVED, VARVE, DIRECTORY, most=4)
    try:
        cluster.start()
        cluster.varve("topic", "create", "t", "--partitions", str(PARTITIONS), "--replication", "3")
        sent = replace_under_load(cluster, draw)
        refuse_who_left(cluster)
        added = cluster.varve("topic", "add-partitions", "t", "--partitions", "8", "-o", "json")
        assert json.loads(added)[0]["partition_count"] == 8, added
        restart_one_by_one(cluster)
        check_log(cluster, sent)
    finally:
        cluster.kill()


main()
