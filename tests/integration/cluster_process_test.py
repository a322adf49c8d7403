"""Three real brokers: they form a cluster, leaders are killed under load, nothing acknowledged is lost."""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

VARVED, VARVE, DIRECTORY = sys.argv[1:4]
SEED = int(os.environ.get("VARVE_SEED", "1"))
KILLS = 15 if os.environ.get("VARVE_SLOW") else 4
PARTITIONS = 3


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
PEERS = {node: "127.0.0.1:%d" % PORTS[node - 1] for node in (1, 2, 3)}
CLIENTS = {node: "127.0.0.1:%d" % PORTS[node + 2] for node in (1, 2, 3)}
SERVERS = ",".join(CLIENTS.values())


class Broker:
    def __init__(self, node):
        self.node = node
        self.ready = os.path.join(DIRECTORY, "ready%d" % node)
        self.process = None

    def start(self):
        if os.path.exists(self.ready):
            os.remove(self.ready)
        log = open(os.path.join(DIRECTORY, "log%d" % self.node), "a")
        self.process = subprocess.Popen(
            [VARVED, "--data_dir=" + os.path.join(DIRECTORY, "data%d" % self.node),
             "--node_id=%d" % self.node, "--grpc.address=" + CLIENTS[self.node],
             "--http.address=127.0.0.1:0", "--peer.address=" + PEERS[self.node],
             "--bootstrap.nodes=" + ", ".join("%d@%s" % item for item in PEERS.items()),
             "--ready-file=" + self.ready], stderr=log)

    def await_ready(self, seconds=40):
        deadline = time.monotonic() + seconds
        while not os.path.exists(self.ready):  # a real process tells by its file alone
            assert self.process.poll() is None, "broker %d ended" % self.node
            assert time.monotonic() < deadline, "broker %d does not get ready" % self.node
            time.sleep(0.02)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def varve(*arguments, stdin=None, servers=SERVERS, timeout=60):
    done = subprocess.run([VARVE, *arguments, "--server", servers], input=stdin, text=True,
                          capture_output=True, timeout=timeout, check=False)
    assert done.returncode == 0, (arguments, done.returncode, done.stdout[-2000:], done.stderr)
    return done.stdout


def leaders():
    topic = json.loads(varve("topic", "describe", "t", "-o", "json"))[0]
    return [partition["leader_node"] for partition in topic["partitions"]]


class Load(threading.Thread):
    """Numbered lines through one producer for as long as it is wanted; all must be acknowledged."""

    def __init__(self):
        super().__init__()
        self.sent = 0
        self.wanted = True
        self.result = None

    def run(self):
        producer = subprocess.Popen([VARVE, "produce", "t", "--server", SERVERS], text=True,
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE)
        while self.wanted:
            lines = ["%08d\n" % i for i in range(self.sent, self.sent + 100)]
            producer.stdin.write("".join(lines))
            producer.stdin.flush()
            self.sent += len(lines)
            time.sleep(0.02)
        self.result = producer.communicate(timeout=60), producer.returncode


def check_log(sent):
    got = varve("consume", "t", "-e", "-f", "%v\\n", timeout=120).split()
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
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    os.makedirs(DIRECTORY)
    brokers = {node: Broker(node) for node in (1, 2, 3)}
    try:
        begin = time.monotonic()
        for broker in brokers.values():
            broker.start()
        for broker in brokers.values():
            broker.await_ready()
        varve("topic", "create", "t", "--partitions", str(PARTITIONS), servers=CLIENTS[3])
        print("three brokers and the first topic after %.1f s" % (time.monotonic() - begin))
        assert all(leaders()), leaders()
        with open(brokers[1].ready) as ready:
            http = dict(part.split("=", 1) for part in ready.read().split())["http"]
        with urllib.request.urlopen("http://%s/admin/peers" % http, timeout=10) as page:
            peers = json.load(page)["peers"]
        assert [(peer["node"], peer["live"]) for peer in peers] == [(2, True), (3, True)], peers
        load = Load()
        load.start()
        for _ in range(KILLS):
            time.sleep(draw.uniform(0.5, 1.5))
            victim = brokers[draw.choice([node for node in leaders() if node])]
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
        for broker in brokers.values():
            broker.kill()
        for broker in brokers.values():
            broker.start()
        for broker in brokers.values():
            broker.await_ready()
        check_log(load.sent)
    finally:
        for broker in brokers.values():
            if broker.process is not None and broker.process.poll() is None:
                broker.kill()


main()
