"""Three real brokers: they form a cluster, leaders are killed under load, nothing acknowledged is lost."""
import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.request

from local_cluster import LocalCluster

CLUSTER = LocalCluster(*sys.argv[1:4])
SEED = int(os.environ.get("VARVE_SEED", "1"))
KILLS = 15 if os.environ.get("VARVE_SLOW") else 4
PARTITIONS = 3


class Load(threading.Thread):
    """Numbered lines through one producer for as long as it is wanted; all must be acknowledged."""

    def __init__(self):
        super().__init__()
        self.sent = 0
        self.wanted = True
        self.result = None

    def run(self):
        producer = subprocess.Popen(
            [CLUSTER.varve_path, "produce", "t", "--server", CLUSTER.servers], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while self.wanted:
            lines = ["%08d\n" % i for i in range(self.sent, self.sent + 100)]
            producer.stdin.write("".join(lines))
            producer.stdin.flush()
            self.sent += len(lines)
            time.sleep(0.02)
        self.result = producer.communicate(timeout=60), producer.returncode


def check_log(sent):
    got = CLUSTER.varve("consume", "t", "-e", "-f", "%v\\n", timeout=120).split()
    counts = {}
    for line in got:
        counts[line] = counts.get(line, 0) + 1
    lost = [i for i in range(sent) if "%08d" % i not in counts]
    doubled = sum(count - 1 for count in counts.values())
    print("%d sent, %d read, %d lost, %d doubled" % (sent, len(got), len(lost), doubled))
    assert not lost, "lost: %s" % lost[:20]


def main():
    print("VARVE_SEED", SEED)
    draw = random.Random(SEED)
    brokers = CLUSTER.brokers
    try:
        begin = time.monotonic()
        CLUSTER.start()
        CLUSTER.varve("topic", "create", "t", "--partitions", str(PARTITIONS),
                      servers=CLUSTER.clients[3])
        print("three brokers and the first topic after %.1f s" % (time.monotonic() - begin))
        assert all(CLUSTER.leaders("t")), CLUSTER.leaders("t")
        http = brokers[1].ready_fields()["http"]
        with urllib.request.urlopen("http://%s/admin/peers" % http, timeout=10) as page:
            peers = json.load(page)["peers"]
        assert [(peer["node"], peer["live"]) for peer in peers] == [(2, True), (3, True)], peers
        load = Load()
        load.start()
        for _ in range(KILLS):
            time.sleep(draw.uniform(0.5, 1.5))
            victim = brokers[draw.choice([node for node in CLUSTER.leaders("t") if node])]
            victim.kill()
            time.sleep(draw.uniform(0.2, 1.5))
            victim.start()
            victim.await_ready()
        time.sleep(1)
        load.wanted = False
        load.join()
        assert load.result is not None and load.result[1] == 0, load.result
        assert load.sent > 1000, load.sent
        check_log(load.sent)
        # The same once more from disk alone.
        CLUSTER.kill()
        CLUSTER.start()
        check_log(load.sent)
    finally:
        CLUSTER.kill()


main()
